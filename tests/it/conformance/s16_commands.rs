//! The restart command: alone, once, and only for those who take it.

use muster::app::agents::AgentAct;
use muster::fleet::agent::Happening;
use muster::opamp::client;

use super::s04_exchange::is_bare;
use crate::harness::{OBSERVED, World, admin};

#[tokio::test]
async fn s_290_only_who_accepts_restarts_is_restarted() {
    let world = World::start();
    let mut agent = world.agent().await.able(OBSERVED);
    let mut line = agent.online(&world).await;
    assert!(
        world
            .app
            .act(&admin(), agent.id(), &AgentAct::Restart)
            .await
            .is_err()
    );
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_291_a_command_comes_alone() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    agent.clone().poll(&agent.full()).send(&world).await;
    world.restart_agent(&agent).await;
    world.wants("edge", "b").await;
    let first = agent.clone().poll(&agent.at(9)).send(&world).await.message();
    assert!(first.restart && !first.full_state && first.remote_config.is_none());
    let second = agent
        .clone()
        .poll(&agent.compressed())
        .send(&world)
        .await
        .message();
    assert!(second.full_state && !second.restart);
    let third = agent.clone().poll(&agent.full()).send(&world).await.message();
    assert!(third.remote_config.is_some());
}

#[tokio::test]
async fn s_291_on_a_websocket_the_rest_follows_at_once() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    agent.online(&world).await.close().await;
    world.until("offline", || !world.is_online(agent.id())).await;
    world.restart_agent(&agent).await;
    let mut line = agent.connect(&world).await;
    let first = line.ask(&agent.at(9)).await;
    assert!(first.restart && !first.full_state);
    assert!(line.hear().await.full_state);
}

#[tokio::test]
async fn s_292_the_command_is_there_although_it_says_nothing() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    world.restart_agent(&agent).await;
    let bytes = line.hear_bytes().await;
    assert!(bytes.ends_with(&[0x4a, 0x00]), "{bytes:?}");
    assert!(client::read(&bytes[1..]).unwrap().restart);
}

#[tokio::test]
async fn s_293_a_command_is_sent_at_most_once() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    world.restart_agent(&agent).await;
    let poll = agent.clone().poll(&agent.compressed());
    assert!(poll.send(&world).await.message().restart);
    assert!(
        !poll.send(&world).await.message().restart,
        "also when its answer was lost"
    );
    for _ in 0..3 {
        assert!(
            !agent
                .clone()
                .poll(&agent.compressed())
                .send(&world)
                .await
                .message()
                .restart
        );
    }
    let sent = world.story(agent.id());
    assert_eq!(sent.iter().filter(|h| **h == Happening::RestartSent).count(), 1);
}

#[tokio::test]
async fn s_294_while_a_command_is_polled_the_rest_waits() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    world.restart_agent(&agent).await;
    let first = agent.clone().poll(&agent.at(30)).send(&world).await.message();
    assert!(first.restart && !first.full_state);
    let second = agent
        .clone()
        .poll(&agent.compressed())
        .send(&world)
        .await
        .message();
    assert!(second.full_state && !second.restart);
}

#[tokio::test]
async fn s_293_a_command_does_not_wait_for_days() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    world.restart_agent(&agent).await;
    world.pass(std::time::Duration::from_hours(48));
    assert!(
        !agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message()
            .restart
    );
    assert_eq!(world.look(agent.id()).delivery.restart, None);
}
