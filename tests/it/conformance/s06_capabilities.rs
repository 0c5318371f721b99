//! Capabilities: ours, stated and true, and theirs, respected.

use muster::app::agents::AgentAct;
use muster::fleet::agent::report::AvailableComponents;
use muster::fleet::capabilities::Capabilities;
use muster::opamp::client::Outgoing;

use super::s04_exchange::is_bare;
use crate::harness::{Plan, World, admin, caps::C};

const KNOWN: u64 = 0x7f;

#[tokio::test]
async fn s_100_we_accept_status() {
    let world = World::start();
    let mut agent = world.agent().await;
    assert_eq!(
        agent.connect(&world).await.ask(&agent.full()).await.capabilities & 1,
        1
    );
}

#[tokio::test]
async fn s_101_the_first_answer_of_a_connection_states_our_capabilities() {
    let world = World::on_disk(Plan::default());
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert_ne!(line.ask(&agent.full()).await.capabilities, 0);
    assert_eq!(line.ask(&agent.compressed()).await.capabilities, 0);
    drop(line);
    let mut line = agent.connect(&world).await;
    assert_ne!(line.ask(&agent.compressed()).await.capabilities, 0);
    assert_ne!(
        agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message()
            .capabilities,
        0
    );
    drop(line);
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert_ne!(line.ask(&agent.compressed()).await.capabilities, 0);
}

#[tokio::test]
async fn s_101_after_an_error_the_next_answer_states_them() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let odd = Outgoing {
        uid: vec![1; 5],
        ..agent.clone().full()
    };
    assert_eq!(line.ask(&odd).await.capabilities, 0);
    assert_ne!(line.ask(&agent.full()).await.capabilities, 0);
}

#[tokio::test]
async fn s_102_no_undefined_bit_is_ever_set() {
    let world = World::start();
    let mut agent = world.agent().await;
    assert_eq!(
        agent.connect(&world).await.ask(&agent.full()).await.capabilities & !KNOWN,
        0
    );
}

#[tokio::test]
async fn s_103_only_what_works_is_advertised() {
    let world = World::start();
    let mut agent = world.agent().await;
    let stated = agent.connect(&world).await.ask(&agent.full()).await.capabilities;
    // Status, remote configuration, effective configuration, connection settings: each is used by a test of its section.
    assert_eq!(stated, 0x01 | 0x02 | 0x04 | 0x20);
}

#[tokio::test]
async fn s_104_an_agent_that_only_reports_is_asked_and_given_nothing() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await.able(C::REPORTS_STATUS);
    let mut line = agent.connect(&world).await;
    let mut first = agent.full();
    first.parts.available_components = Some(AvailableComponents {
        hash: b"h".to_vec(),
        ..AvailableComponents::default()
    });
    first.parts.custom_capabilities = Some(vec!["com.example/v1".into()]);
    let refused = world.app.act(&admin(), agent.id(), &AgentAct::Restart).await;
    assert!(refused.is_err(), "the operator is told");
    for message in [first, agent.compressed(), agent.full()] {
        let answer = line.ask(&message).await;
        assert!(is_bare(&answer), "{answer:?}");
    }
    world.wants("edge", "b").await;
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_105_changed_capabilities_hold_from_the_next_answer_on() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let able = agent.capabilities;
    let mut line = agent.online(&world).await;
    agent.capabilities = Capabilities(able.0 & !C::ACCEPTS_REMOTE_CONFIG.0);
    line.ask(&agent.compressed()).await;
    world.wants("edge", "b").await;
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    agent.capabilities = able;
    assert!(line.ask(&agent.compressed()).await.remote_config.is_some());
}

#[tokio::test]
async fn s_106_zero_says_nothing_about_capabilities() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.online(&world).await;
    let silent = Outgoing {
        capabilities: 0,
        ..agent.compressed()
    };
    assert!(is_bare(&line.ask(&silent).await));
    world.wants("edge", "b").await;
    assert!(line.hear().await.remote_config.is_some());
}

#[tokio::test]
async fn s_107_unknown_bits_of_an_agent_are_ignored() {
    let world = World::start();
    world.wants("edge", "a").await;
    let agent = world.agent_of("edge").await;
    let able = agent.capabilities.with(Capabilities(1 << 40));
    let mut agent = agent.able(able);
    let answer = agent.connect(&world).await.ask(&agent.full()).await;
    assert!(answer.error.is_none() && answer.remote_config.is_some());
}
