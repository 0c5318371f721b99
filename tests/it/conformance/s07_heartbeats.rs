//! Heartbeats and liveness.

use std::time::Duration;

use muster::opamp::client::Outgoing;

use crate::harness::{OBSERVED, Plan, World};

const SILENCE: Duration = Duration::from_secs(200);

#[tokio::test]
async fn s_111_any_message_keeps_an_agent_online() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    for _ in 0..4 {
        world.pass(Duration::from_secs(100));
        let mut report = agent.compressed();
        report.parts.health = Some(agent.health(true));
        agent.poll(&report).send(&world).await;
        assert!(world.is_online(agent.id()));
        assert_eq!(world.look(agent.id()).summary.last_seen, Some(world.clock.now()));
    }
}

#[tokio::test]
async fn s_112_silence_on_an_open_connection_says_nothing() {
    let world = World::start();
    let mut agent = world.agent().await.able(OBSERVED);
    let mut other = world.agent().await;
    let _line = agent.online(&world).await;
    other.clone().poll(&other.full()).send(&world).await;
    world.pass(Duration::from_hours(72));
    world
        .until("the polling one is gone", || !world.is_online(other.id()))
        .await;
    assert!(world.is_online(agent.id()));
}

#[test]
fn s_113_the_default_patience_is_several_usual_intervals() {
    let patience = muster::settings::Settings::default().presence.http_silence;
    assert!(patience >= 4 * Duration::from_secs(30));
}

#[tokio::test]
async fn s_113_the_patience_can_be_set() {
    let mut plan = Plan::default();
    plan.app.http_silence = Duration::from_hours(1);
    let world = World::with(plan);
    let mut patient = world.agent().await;
    patient.clone().poll(&patient.full()).send(&world).await;
    world.pass(Duration::from_mins(11));
    let mut late = world.agent().await;
    late.clone().poll(&late.full()).send(&world).await;
    world.pass(Duration::from_mins(50));
    world
        .until("gone after the patience", || !world.is_online(patient.id()))
        .await;
    assert!(world.is_online(late.id()), "gone before the patience");
}

#[tokio::test]
async fn s_116_a_silent_agent_is_marked_and_kept() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    agent.clone().poll(&agent.full()).send(&world).await;
    assert!(world.is_online(agent.id()));
    world.pass(SILENCE);
    world.until("offline", || !world.is_online(agent.id())).await;
    let seen = world.look(agent.id());
    assert_eq!(seen.registration.group.as_str(), "edge");
    assert!(seen.description.is_some());
    let bare = Outgoing {
        uid: agent.uid.clone(),
        ..Outgoing::default()
    };
    agent.poll(&bare).send(&world).await.message();
    assert!(world.is_online(agent.id()));
}
