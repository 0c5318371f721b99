//! What an offer is made of, and who never gets one.

use std::collections::BTreeMap;
use std::time::Duration;

use muster::fleet::agent::report::{RemoteConfigOutcome, RemoteConfigStatus};
use muster::fleet::config::{ConfigFile, ConfigMap, Content};

use super::s04_exchange::is_bare;
use crate::harness::{Agent, OBSERVED, Plan, World};

/// What an agent of a group is offered at first contact.
async fn offer_to(world: &World, group: &str) -> (ConfigMap, Vec<u8>) {
    let mut agent = world.agent_of(group).await;
    let answer = agent.clone().poll(&agent.full()).send(world).await.message();
    answer.remote_config.expect("an offer")
}

fn file(body: &[u8], content_type: &str, role: &str) -> ConfigFile {
    ConfigFile {
        body: body.to_vec(),
        content_type: content_type.into(),
        role: role.into(),
    }
}

fn files<const N: usize>(files: [(&str, ConfigFile); N]) -> BTreeMap<String, ConfigFile> {
    files
        .into_iter()
        .map(|(name, file)| (name.to_owned(), file))
        .collect()
}

#[tokio::test]
async fn s_130_an_agent_that_takes_no_configuration_is_never_offered_one() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await.able(OBSERVED);
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.full()).await.remote_config.is_none());
    world.wants("edge", "b").await;
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_131_every_offer_has_a_hash() {
    let world = World::start();
    world.wants("edge", "a").await;
    let (_, hash) = offer_to(&world, "edge").await;
    assert!(!hash.is_empty());
}

#[tokio::test]
async fn s_132_equal_contents_have_equal_hashes_also_after_a_restart() {
    let world = World::on_disk(Plan::default());
    world.wants("edge", "a").await;
    let (_, before) = offer_to(&world, "edge").await;
    world.wants("core", "a").await;
    assert_eq!(offer_to(&world, "core").await.1, before);
    let world = world.restart().await;
    assert_eq!(offer_to(&world, "edge").await.1, before);
}

#[tokio::test]
async fn s_132_contents_that_differ_anywhere_have_different_hashes() {
    let world = World::start();
    let contents = [
        files([("a", file(b"bc", "", ""))]),
        files([("ab", file(b"c", "", ""))]),
        files([("a", file(b"bc", "text/yaml", ""))]),
        files([("a", file(b"bc", "", "role"))]),
        files([("a", file(b"bc", "", "")), ("b", file(b"x", "", ""))]),
    ];
    let mut hashes = std::collections::BTreeSet::new();
    for content in contents.clone() {
        world.wants_content("edge", Content::Files(content)).await;
        hashes.insert(offer_to(&world, "edge").await.1);
    }
    assert_eq!(hashes.len(), contents.len());
}

#[tokio::test]
async fn s_139_entries_arrive_under_the_names_that_were_entered() {
    let world = World::start();
    let content = files([("", file(b"x", "", "")), ("b/c.yaml", file(b"y", "", ""))]);
    world.wants_content("edge", Content::Files(content.clone())).await;
    assert_eq!(offer_to(&world, "edge").await.0.files, content);
}

#[tokio::test]
async fn s_140_bodies_arrive_byte_for_byte() {
    let world = World::start();
    let body: Vec<u8> = (0..=255).collect();
    let content = files([("bin", file(&body, "application/octet-stream", "agent-config"))]);
    world.wants_content("edge", Content::Files(content.clone())).await;
    assert_eq!(offer_to(&world, "edge").await.0.files, content);
}

#[tokio::test]
async fn s_141_no_opinion_is_not_an_empty_configuration() {
    let world = World::start();
    world.group("edge").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.full()).await.remote_config.is_none());
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    world.wants_content("edge", Content::Files(BTreeMap::new())).await;
    let (content, hash) = line
        .hear()
        .await
        .remote_config
        .expect("an empty one was asked for");
    assert!(content.files.is_empty() && !hash.is_empty());
}

#[tokio::test]
async fn s_142_a_change_is_pushed_within_a_second() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.online(&world).await;
    world.wants("edge", "b").await;
    let pushed = line.hears_within(Duration::from_secs(1)).await.expect("a push");
    assert_eq!((pushed.remote_config.is_some(), pushed.uid), (true, agent.uid));
}

#[tokio::test]
async fn s_144_an_agent_is_known_before_it_is_given_anything() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.at(9)).await;
    assert!(answer.full_state && answer.remote_config.is_none());
    assert!(line.ask(&agent.full()).await.remote_config.is_some());
}

#[tokio::test]
async fn s_145_a_status_proves_no_capability() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await.able(OBSERVED);
    let mut message = agent.full();
    message.parts.remote_config_status = Some(RemoteConfigStatus::default());
    let mut bytes = muster::opamp::client::write(&message);
    bytes.extend([0x42, 0x00]); // package_statuses, empty
    let answer = crate::harness::Request::posting(&agent.credential, bytes)
        .send(&world)
        .await
        .message();
    assert!(is_bare(&answer));
    assert!(is_bare(
        &agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message()
    ));
}

/// Offers of a file config hold also for a fleet that polls.
#[tokio::test]
async fn t_07_a_restart_of_the_server_offers_nothing_to_a_converged_fleet() {
    let world = World::on_disk(Plan::default());
    world.wants("edge", "a").await;
    let mut fleet: Vec<Agent> = Vec::new();
    for _ in 0..3 {
        let mut agent = world.agent_of("edge").await;
        let answer = agent.clone().poll(&agent.full()).send(&world).await.message();
        agent.sequence = 1;
        let (_, hash) = answer.remote_config.unwrap();
        let applied = agent.reports(&hash, RemoteConfigOutcome::Applied);
        agent.clone().poll(&applied).send(&world).await;
        fleet.push(agent);
    }
    let world = world.restart().await;
    for agent in &mut fleet {
        let answer = agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message();
        assert!(is_bare(&answer), "{answer:?}");
    }
}
