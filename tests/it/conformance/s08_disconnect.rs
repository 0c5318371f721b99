//! Goodbyes, said and unsaid.

use std::time::Duration;

use muster::opamp::client::Outgoing;

use super::s04_exchange::is_bare;
use crate::harness::{Agent, Raw, World};

fn goodbye(agent: &mut Agent) -> Outgoing {
    Outgoing {
        disconnect: true,
        ..agent.compressed()
    }
}

#[tokio::test]
async fn s_120_a_goodbye_shows_at_once() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.ask(&goodbye(&mut agent)).await;
    assert!(!world.is_online(agent.id()));
}

#[tokio::test]
async fn s_121_the_end_of_a_connection_ends_all_its_agents() {
    let world = World::start();
    let mut one = world.gateway(None, 5).await;
    let mut two = one.sibling();
    let mut raw = Raw::open(&world).await;
    raw.shake(&one.credential, "").await;
    for agent in [&mut one, &mut two] {
        let message = muster::opamp::client::write(&agent.full());
        raw.frame(0x82, &[&[0], message.as_slice()].concat()).await;
        raw.next_frame().await;
    }
    let records = [
        world.record_of(&one.uid).unwrap(),
        world.record_of(&two.uid).unwrap(),
    ];
    assert!(records.iter().all(|id| world.is_online(*id)));
    drop(raw);
    world
        .until("both gone", || records.iter().all(|id| !world.is_online(*id)))
        .await;
}

#[tokio::test]
async fn s_122_a_goodbye_is_answered_and_what_it_says_is_kept() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let mut last = goodbye(&mut agent);
    let mut health = agent.health(false);
    health.last_error = "Supervisor is shutdown".into();
    last.parts.health = Some(health.clone());
    assert!(is_bare(&line.ask(&last).await));
    assert_eq!(world.look(agent.id()).health, Some(health));
}

#[tokio::test]
async fn s_123_over_http_a_goodbye_or_silence_ends_it() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    assert!(world.is_online(agent.id()));
    let goodbye = agent.clone().poll(&goodbye(&mut agent));
    goodbye.send(&world).await.message();
    assert!(!world.is_online(agent.id()));
    goodbye.send(&world).await.message();
    assert!(!world.is_online(agent.id()), "also when it is repeated");
    agent.clone().poll(&agent.compressed()).send(&world).await;
    assert!(world.is_online(agent.id()));
    world.pass(Duration::from_secs(151));
    world.until("offline", || !world.is_online(agent.id())).await;
}

#[tokio::test]
async fn s_124_a_goodbye_ends_nobody_else() {
    let world = World::start();
    let mut one = world.gateway(None, 5).await;
    let mut two = one.sibling();
    let mut line = one.online(&world).await;
    line.ask(&two.full()).await;
    line.ask(&goodbye(&mut one)).await;
    let (first, second) = (
        world.record_of(&one.uid).unwrap(),
        world.record_of(&two.uid).unwrap(),
    );
    assert!(!world.is_online(first) && world.is_online(second));
    assert!(is_bare(&line.ask(&two.compressed()).await));
}

#[tokio::test]
async fn s_125_after_a_goodbye_the_agent_is_known() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.ask(&goodbye(&mut agent)).await;
    line.close().await;
    let mut line = agent.connect(&world).await;
    assert!(!line.ask(&agent.compressed()).await.full_state);
    assert_eq!(world.look(agent.id()).summary.host_name, agent.host);
}

#[tokio::test]
async fn s_126_a_late_end_of_an_old_connection_changes_nothing() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut old = agent.online(&world).await;
    let mut new = agent.connect(&world).await;
    new.ask(&agent.compressed()).await;
    old.ask(&goodbye(&mut agent)).await;
    assert!(world.is_online(agent.id()));
    old.close().await;
    world
        .until("one connection", || world.app.open_links() == 1)
        .await;
    assert!(world.is_online(agent.id()));
}
