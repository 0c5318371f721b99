//! When a configuration is offered: the table of S-135, a scenario per row, and what real agents do with offers.

use muster::fleet::agent::report::RemoteConfigOutcome::{Applied, Applying, Failed, Unset};
use muster::opamp::client::Incoming;

use super::s04_exchange::is_bare;
use crate::harness::{ALL, Agent, Line, World, caps::C};
use muster::fleet::capabilities::Capabilities;

/// An agent that was offered what its group wants, and the hash of that.
async fn offered(world: &World) -> (Agent, Line, Vec<u8>) {
    world.wants("edge", "first").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(world).await;
    let hash = hash_of(&line.ask(&agent.full()).await);
    (agent, line, hash)
}

/// An agent that runs what its group wants.
async fn converged(world: &World) -> (Agent, Line, Vec<u8>) {
    let (mut agent, mut line, hash) = offered(world).await;
    assert!(is_bare(&line.ask(&agent.reports(&hash, Applied)).await));
    (agent, line, hash)
}

fn hash_of(message: &Incoming) -> Vec<u8> {
    message.remote_config.as_ref().expect("an offer").1.clone()
}

#[tokio::test]
async fn s_133_an_offer_answers_a_status_that_names_something_else() {
    let world = World::start();
    world.wants("edge", "first").await;
    for stale in [&b""[..], b"older"] {
        let mut agent = world.agent_of("edge").await;
        let mut line = agent.connect(&world).await;
        agent.status.hash = stale.to_vec();
        assert!(line.ask(&agent.full()).await.remote_config.is_some());
    }
}

#[tokio::test]
async fn s_134_nothing_is_offered_while_nothing_changes() {
    let world = World::start();
    let (mut agent, mut line, _) = converged(&world).await;
    for _ in 0..10 {
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
    assert!(is_bare(&line.ask(&agent.full()).await));
}

#[tokio::test]
async fn s_135_row_1_first_contact_with_another_hash_is_offered() {
    let world = World::start();
    let (_, _, hash) = offered(&world).await;
    assert!(!hash.is_empty());
}

#[tokio::test]
async fn s_135_row_1_the_answer_to_a_full_state_request_is_offered() {
    let world = World::start();
    world.wants("edge", "first").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let asked = line.ask(&agent.at(40)).await;
    assert!(asked.full_state && asked.remote_config.is_none());
    assert!(line.ask(&agent.full()).await.remote_config.is_some());
}

#[tokio::test]
async fn s_135_row_2_a_change_is_offered() {
    let world = World::start();
    let (_agent, mut line, hash) = converged(&world).await;
    world.wants("edge", "second").await;
    assert_ne!(hash_of(&line.hear().await), hash);
    let mut polling = world.agent_of("edge").await;
    let first = hash_of(&polling.poll(&polling.clone().full()).send(&world).await.message());
    polling.sequence = 1;
    polling
        .poll(&polling.clone().reports(&first, Applied))
        .send(&world)
        .await;
    polling.sequence = 2;
    world.wants("edge", "third").await;
    let answer = polling
        .poll(&polling.clone().compressed())
        .send(&world)
        .await
        .message();
    assert_ne!(hash_of(&answer), first);
}

#[tokio::test]
async fn s_135_row_3_messages_without_a_status_are_not_offered_again() {
    let world = World::start();
    let (mut agent, mut line, _) = offered(&world).await;
    for _ in 0..5 {
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
    let mut health = agent.compressed();
    health.parts.health = Some(agent.health(false));
    assert!(is_bare(&line.ask(&health).await));
}

#[tokio::test]
async fn s_135_row_4_the_right_hash_is_enough() {
    let world = World::start();
    for outcome in [Applied, Applying, Unset] {
        let (mut agent, mut line, hash) = offered(&world).await;
        assert!(
            is_bare(&line.ask(&agent.reports(&hash, outcome)).await),
            "{outcome:?}"
        );
        assert!(is_bare(&line.ask(&agent.full()).await), "{outcome:?}");
    }
}

#[tokio::test]
async fn s_135_row_5_what_failed_is_not_offered_until_something_changes() {
    let world = World::start();
    let (mut agent, mut line, hash) = offered(&world).await;
    assert!(is_bare(&line.ask(&agent.reports(&hash, Failed)).await));
    assert!(is_bare(&line.ask(&agent.full()).await));
    drop(line);
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.full()).await.remote_config.is_none());
    let retry = muster::app::agents::AgentAct::Retry;
    world
        .app
        .act(&crate::harness::admin(), agent.id(), &retry)
        .await
        .unwrap();
    assert_eq!(hash_of(&line.hear().await), hash);
}

#[tokio::test]
async fn s_135_row_6_another_hash_in_a_status_is_offered() {
    let world = World::start();
    let (mut agent, mut line, hash) = converged(&world).await;
    assert_eq!(
        hash_of(&line.ask(&agent.reports(b"another", Applied)).await),
        hash
    );
}

#[tokio::test]
async fn s_135_row_7_what_failed_here_is_not_offered_after_a_rollback() {
    let world = World::start();
    let (mut agent, mut line, old) = converged(&world).await;
    world.wants("edge", "second").await;
    let new = hash_of(&line.hear().await);
    line.ask(&agent.reports(&new, Failed)).await;
    assert!(is_bare(&line.ask(&agent.reports(&old, Applied)).await));
    assert!(is_bare(&line.ask(&agent.full()).await));
}

#[tokio::test]
async fn s_135_row_8_what_was_never_acknowledged_is_offered_once_per_connection() {
    let world = World::start();
    let (mut agent, mut line, hash) = offered(&world).await;
    for _ in 0..3 {
        drop(line);
        line = agent.connect(&world).await;
        assert_eq!(hash_of(&line.ask(&agent.compressed()).await), hash);
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
}

#[tokio::test]
async fn s_135_row_9_without_statuses_an_offer_comes_once_per_change_and_restart() {
    let world = World::start();
    world.wants("edge", "first").await;
    let silent = Capabilities(ALL.0 & !C::REPORTS_REMOTE_CONFIG.0);
    let mut agent = world.agent_of("edge").await.able(silent);
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.full()).await.remote_config.is_some());
    for _ in 0..5 {
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
    drop(line);
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.compressed()).await.remote_config.is_none());
    let mut first = agent.full();
    (first.sequence, agent.sequence) = (0, 0);
    assert!(line.ask(&first).await.remote_config.is_some(), "it restarted");
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    world.wants("edge", "second").await;
    assert!(line.hear().await.remote_config.is_some());
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_136_progress_is_kept_and_never_hurried() {
    let world = World::start();
    let (mut agent, mut line, hash) = offered(&world).await;
    assert!(is_bare(&line.ask(&agent.reports(&hash, Applying)).await));
    assert_eq!(
        world.standing(agent.id()),
        muster::fleet::agent::Verdict::Applying
    );
    world.pass(std::time::Duration::from_hours(1));
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    assert!(!world.look(agent.id()).summary.status.reason.is_empty());
    let mut failure = agent.reports(&hash, Failed);
    failure.parts.remote_config_status.as_mut().unwrap().error = "no such port".into();
    line.ask(&failure).await;
    let said = world.look(agent.id()).delivery.acknowledged.unwrap();
    assert_eq!(
        (said.error.as_str(), said.at),
        ("no such port", world.clock.now())
    );
}

#[tokio::test]
async fn s_137_while_an_agent_is_applying_nothing_is_offered_again() {
    let world = World::start();
    let (mut agent, mut line, hash) = offered(&world).await;
    line.ask(&agent.reports(&hash, Applying)).await;
    for _ in 0..20 {
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
}

#[tokio::test]
async fn s_138_a_rollback_by_the_agent_is_respected() {
    let world = World::start();
    let (mut agent, mut line, a) = converged(&world).await;
    world.wants("edge", "b").await;
    let b = hash_of(&line.hear().await);
    line.ask(&agent.reports(&b, Applying)).await;
    line.ask(&agent.reports(&b, Failed)).await;
    line.ask(&agent.reports(&a, Applied)).await;
    for _ in 0..3 {
        drop(line);
        line = agent.connect(&world).await;
        assert!(line.ask(&agent.full()).await.remote_config.is_none());
    }
    assert_eq!(world.look(agent.id()).delivery.failures.len(), 1);
    assert_eq!(
        world.standing(agent.id()),
        muster::fleet::agent::Verdict::SelfReverted
    );
}

#[tokio::test]
async fn s_143_an_agent_that_never_acknowledges_is_left_alone() {
    let world = World::start();
    let (mut agent, mut line, _) = offered(&world).await;
    for _ in 0..20 {
        world.pass(std::time::Duration::from_secs(30));
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
}

/// A change that is taken back before the agent said a word: what it took on the way must not stay.
#[tokio::test]
async fn s_070_what_is_taken_back_before_it_was_acknowledged_is_offered_again() {
    let world = World::start();
    let (mut agent, mut line, first) = converged(&world).await;
    world.wants("edge", "second").await;
    let second = hash_of(&line.hear().await);
    assert_ne!(second, first);
    world.wants("edge", "first").await;
    assert_eq!(hash_of(&line.hear().await), first);
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    assert!(is_bare(&line.ask(&agent.reports(&first, Applied)).await));
    assert!(is_bare(&line.ask(&agent.full()).await));
}

/// Its machine was made anew: nothing of what the one before said about its configuration is true of it.
#[tokio::test]
async fn s_135_a_new_instance_behind_an_old_credential_is_given_what_it_lacks() {
    let world = World::start();
    world.wants("edge", "first").await;
    let silent = Capabilities(ALL.0 & !C::REPORTS_REMOTE_CONFIG.0);
    let mut agent = world.agent_of("edge").await.able(silent);
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.full()).await.remote_config.is_some());
    line.close().await;
    world.until("offline", || !world.is_online(agent.id())).await;
    let mut anew = agent.sibling();
    let mut line = anew.connect(&world).await;
    assert!(line.ask(&anew.full()).await.remote_config.is_some());
    assert!(is_bare(&line.ask(&anew.compressed()).await));
    assert_eq!(world.record_of(&anew.uid), Some(agent.id()));
}
