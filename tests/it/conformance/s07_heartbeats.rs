//! Heartbeats and liveness.

use std::time::Duration;

use muster::fleet::agent::Happening;
use muster::fleet::agent::health::Condition;
use muster::fleet::agent::presence::Presence;
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

#[tokio::test]
async fn after_a_start_nobody_is_called_offline_before_the_patience_has_passed() {
    let world = World::on_disk(Plan::default());
    let (mut back, mut gone) = (world.agent().await, world.agent().await);
    let never = world.agent().await;
    for agent in [&mut back, &mut gone] {
        let report = agent.full();
        agent.poll(&report).send(&world).await;
    }
    let world = world.restart().await;
    world.pass(Duration::from_secs(20));
    for agent in [&back, &gone] {
        let seen = world.look(agent.id()).summary;
        assert!(matches!(seen.presence, Presence::Awaited { .. }), "{seen:?}");
        assert_eq!(seen.status.condition, Condition::Unknown);
        assert_eq!(seen.status.reason, "Not heard of since the server started");
        assert_eq!(world.clock.now().since(seen.status.since).as_secs(), 20);
    }
    assert_eq!(world.look(never.id()).summary.presence, Presence::NeverSeen);
    back.poll(&back.clone().compressed()).send(&world).await;
    assert!(world.is_online(back.id()));
    world.pass(Duration::from_secs(140));
    let offline = || matches!(world.look(gone.id()).summary.presence, Presence::Offline { .. });
    world.until("called offline", offline).await;
    let left = world.story(gone.id());
    let left = left
        .iter()
        .filter(|what| matches!(what, Happening::Disconnected { .. }));
    assert_eq!(
        left.count(),
        0,
        "it may have been gone for weeks before the start"
    );
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
