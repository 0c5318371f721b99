//! Offers of connection settings: what is in them, to whom they go, and how often.

use std::time::Duration;

use muster::app::agents::{AgentAct, Rotation};
use muster::app::error::Error;
use muster::fleet::agent::Happening;
use muster::fleet::agent::report::RemoteConfigOutcome::{Applied, Applying, Failed};
use muster::fleet::capabilities::Capabilities;
use muster::opamp::client::{Incoming, OfferedConnection};

use super::s04_exchange::is_bare;
use crate::harness::{ALL, Agent, Line, Plan, World, admin, bearer_of, caps::C};

pub(super) const TAKES: Capabilities = ALL.with(C::ACCEPTS_OPAMP_CONNECTION_SETTINGS);
const REPORTS: Capabilities = TAKES.with(C::REPORTS_CONNECTION_SETTINGS_STATUS);

/// An agent that is connected and was just offered a new credential.
pub(super) async fn offered(world: &World, able: Capabilities) -> (Agent, Line, OfferedConnection) {
    let mut agent = world.agent().await.able(able);
    let mut line = agent.online(world).await;
    world.rotate(&agent).await;
    let offer = connection(line.hear().await);
    (agent, line, offer)
}

pub(super) fn connection(message: Incoming) -> OfferedConnection {
    message.connection.expect("a connection offer")
}

#[tokio::test]
async fn s_200_only_whoever_accepts_settings_of_its_connection_is_offered_any() {
    let world = World::start();
    let (mut agent, mut line, _) = offered(&world, TAKES).await;
    // Bits of other settings don't count, and the operator is told why nothing comes of it.
    let others = ALL
        .with(C::REPORTS_OWN_LOGS)
        .with(C::REPORTS_OWN_METRICS)
        .with(C::REPORTS_OWN_TRACES)
        .with(C::ACCEPTS_OTHER_CONNECTION_SETTINGS)
        .with(C::REPORTS_CONNECTION_SETTINGS_STATUS);
    let mut other = world.agent().await.able(others);
    let mut other_line = other.online(&world).await;
    let refused = world.app.act(&admin(), other.id(), &AgentAct::Rotate).await;
    assert!(matches!(refused, Err(Error::Conflict(why)) if why.contains("connection settings")));
    assert!(is_bare(&other_line.ask(&other.compressed()).await));
    // Whoever drops the bit is offered nothing more.
    agent = agent.able(ALL);
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    world
        .app
        .act(&admin(), agent.id(), &AgentAct::Rotate)
        .await
        .unwrap_err();
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_201_the_hash_covers_everything_and_outlives_a_restart() {
    let mut plan = Plan::default();
    plan.app.connection.heartbeat = Duration::from_secs(45);
    let world = World::on_disk(plan);
    let (mut agent, line, first) = offered(&world, REPORTS).await;
    assert_eq!(first.hash.len(), 32);
    assert_eq!(first.hash, first.settings.digest().0);
    drop(line);
    // A restart of ours in the middle of it: the same offer, secret and hash included.
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    let again = connection(line.ask(&agent.says_of_connection(b"older", Applied)).await);
    assert_eq!(again, first);
    world.rotate(&agent).await;
    assert_ne!(
        connection(line.hear().await).hash,
        first.hash,
        "another credential"
    );
}

#[tokio::test]
async fn s_202_a_status_that_names_another_hash_is_answered_by_the_offer() {
    let world = World::start();
    let (mut agent, mut line, offer) = offered(&world, REPORTS).await;
    let stale = agent.says_of_connection(b"older", Applied);
    assert_eq!(connection(line.ask(&stale).await), offer);
    let right = agent.says_of_connection(&offer.hash, Applying);
    assert!(is_bare(&line.ask(&right).await));
}

#[tokio::test]
async fn s_203_settings_in_use_are_not_offered_again() {
    let world = World::on_disk(Plan::default());
    let (mut agent, line, offer) = offered(&world, REPORTS).await;
    drop(line);
    agent.take(&offer);
    for _ in 0..3 {
        let mut line = agent.connect(&world).await;
        assert_eq!(line.ask(&agent.full()).await.connection, None);
        let applied = agent.says_of_connection(&offer.hash, Applied);
        assert!(is_bare(&line.ask(&applied).await));
    }
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(line.ask(&agent.full()).await.connection, None);
    // By polling the same.
    let polled = agent
        .poll(&agent.clone().compressed())
        .send(&world)
        .await
        .message();
    assert_eq!(polled.connection, None);
}

#[tokio::test]
async fn s_204_without_statuses_one_offer_is_made_in_all() {
    let world = World::on_disk(Plan::default());
    let (mut agent, mut line, _) = offered(&world, TAKES).await;
    for _ in 0..5 {
        line = agent.connect(&world).await;
        assert_eq!(line.ask(&agent.compressed()).await.connection, None);
        world.pass(Duration::from_mins(20));
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
    drop(line);
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(line.ask(&agent.compressed()).await.connection, None);
    let offers = world.story(agent.id());
    let offers = offers
        .iter()
        .filter(|what| **what == Happening::ConnectionOffered);
    assert_eq!(offers.count(), 1);
}

#[tokio::test]
async fn s_205_a_failure_is_shown_and_its_offer_is_never_made_again() {
    let world = World::on_disk(Plan::default());
    let (mut agent, mut line, offer) = offered(&world, REPORTS).await;
    let failed = agent.says_of_connection(&offer.hash, Failed);
    assert!(is_bare(&line.ask(&failed).await));
    let Rotation::Refused { error, .. } = world.identity(&agent).rotation else {
        panic!("{:?}", world.identity(&agent).rotation)
    };
    assert_eq!(error, "no route to host");
    drop(line);
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(
        line.ask(&agent.full()).await.connection,
        None,
        "the old one works"
    );
    for outcome in [Failed, Applied] {
        let says = agent.says_of_connection(b"older", outcome);
        assert!(is_bare(&line.ask(&says).await));
    }
    // What it could not use is given up (S-213); another one may be offered.
    let mut given_up = agent.clone();
    given_up.take(&offer);
    assert!(given_up.connect_or_refusal(&world).await.is_err());
    world.rotate(&agent).await;
    let second = connection(line.hear().await);
    assert_ne!(second.hash, offer.hash);
    assert!(world.acts().contains(&"credential.give_up".to_owned()));
}

#[tokio::test]
async fn s_206_an_offer_of_one_kind_is_silent_about_the_others() {
    let world = World::start();
    let mut agent = world.agent().await.able(TAKES.with(C::REPORTS_OWN_LOGS));
    let mut line = agent.online(&world).await;
    world.rotate(&agent).await;
    let message = line.hear().await;
    assert_eq!(message.other_fields, Vec::<u32>::new());
    assert!(message.connection.is_some() && message.remote_config.is_none());
}

#[tokio::test]
async fn s_210_the_endpoint_is_the_one_that_the_agent_found_us_at() {
    let world = World::start();
    let (_, _, offer) = offered(&world, TAKES).await;
    // Without a port in the Host header it is the scheme's own.
    assert_eq!(offer.settings.endpoint, "wss://muster:443/v1/opamp");
    let mut polling = world.agent().await.able(TAKES);
    polling.clone().poll(&polling.full()).send(&world).await;
    world.rotate(&polling).await;
    let answer = polling
        .poll(&polling.clone().compressed())
        .send(&world)
        .await
        .message();
    assert_eq!(
        connection(answer).settings.endpoint,
        "https://muster:443/v1/opamp"
    );
}

#[tokio::test]
async fn s_211_an_offer_is_whole() {
    let world = World::start();
    let (agent, _, offer) = offered(&world, TAKES).await;
    let settings = &offer.settings;
    assert!(!settings.endpoint.is_empty());
    assert_ne!(bearer_of(&offer), agent.credential);
    assert_eq!(settings.headers.len(), 1);
    assert!(
        settings.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"),
        "or verification would be off"
    );
    assert_eq!(settings.heartbeat_seconds, 30, "0 would stop heartbeats");
}

/// What the connection settings of an offer carry beside those that every offer of ours has.
async fn beside() -> Vec<&'static str> {
    let world = World::start();
    let (_, _, offer) = offered(&world, TAKES).await;
    offer.beside
}

#[tokio::test]
async fn s_240_an_offer_names_authorities_and_no_certificate_of_the_agent() {
    let world = World::start();
    let (_, _, offer) = offered(&world, TAKES).await;
    assert!(!offer.settings.ca_pem.is_empty());
    assert!(!offer.beside.contains(&"certificate"));
}

#[tokio::test]
async fn s_241_no_private_key_is_sent() {
    assert!(!beside().await.contains(&"private key"));
}

#[tokio::test]
async fn s_242_what_an_agent_does_with_tls_and_proxies_stays_unchanged() {
    let beside = beside().await;
    assert!(
        !beside.contains(&"tls") && !beside.contains(&"proxy"),
        "{beside:?}"
    );
}

#[tokio::test]
async fn s_110_the_interval_that_was_set_is_offered() {
    let mut plan = Plan::default();
    plan.app.connection.heartbeat = Duration::from_secs(75);
    let world = World::with(plan);
    let (_, _, offer) = offered(&world, TAKES).await;
    assert_eq!(offer.settings.heartbeat_seconds, 75);
}

#[tokio::test]
async fn s_115_an_agent_that_took_an_interval_may_be_silent_for_some_of_them() {
    let mut plan = Plan::default();
    plan.app.connection.heartbeat = Duration::from_mins(10);
    let world = World::with(plan);
    let (mut agent, mut other) = (world.agent().await.able(TAKES), world.agent().await);
    agent.clone().poll(&agent.full()).send(&world).await;
    world.rotate(&agent).await;
    let answer = agent.poll(&agent.clone().full()).send(&world).await.message();
    agent.take(&connection(answer));
    agent.poll(&agent.clone().full()).send(&world).await;
    other.clone().poll(&other.full()).send(&world).await;
    world.pass(Duration::from_mins(35));
    world
        .until("one of the usual interval is gone", || {
            !world.is_online(other.id())
        })
        .await;
    assert!(world.is_online(agent.id()));
    world.pass(Duration::from_mins(10));
    world
        .until("silent for too long", || !world.is_online(agent.id()))
        .await;
}
