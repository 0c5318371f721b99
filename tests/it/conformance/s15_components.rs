//! The components that agents are built from.

use std::collections::BTreeMap;

use muster::fleet::agent::report::{AvailableComponents, Component, Health};
use muster::opamp::client::Outgoing;

use super::s04_exchange::is_bare;
use crate::harness::{Agent, Plan, World, admin};

fn set() -> BTreeMap<String, Component> {
    let receivers = Component {
        components: [("otlp".to_owned(), Component::default())].into(),
        ..Component::default()
    };
    [("receivers".to_owned(), receivers)].into()
}

fn saying(mut message: Outgoing, hash: &[u8], components: BTreeMap<String, Component>) -> Outgoing {
    message.parts.available_components = Some(AvailableComponents {
        hash: hash.to_vec(),
        components,
    });
    message
}

fn known(world: &World, agent: &Agent) -> Option<BTreeMap<String, Component>> {
    let view = world.app.components(&admin(), agent.id()).unwrap();
    view.expect("a hash").components
}

#[tokio::test]
async fn s_280_a_hash_alone_is_accepted() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&saying(agent.full(), b"h", BTreeMap::new())).await;
    assert_eq!(answer.error, None);
    assert_eq!(known(&world, &agent), None);
}

#[tokio::test]
async fn s_281_an_unknown_hash_is_asked_for_and_a_known_one_is_not() {
    let world = World::on_disk(Plan::default());
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert!(
        line.ask(&saying(agent.full(), b"h", BTreeMap::new()))
            .await
            .available_components
    );
    assert!(is_bare(&line.ask(&saying(agent.compressed(), b"h", set())).await));
    assert!(is_bare(
        &line.ask(&saying(agent.full(), b"h", BTreeMap::new())).await
    ));
    drop(line);
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert!(!line.ask(&agent.compressed()).await.available_components);
    assert_eq!(known(&world, &agent), Some(set()));
}

#[tokio::test]
async fn s_282_agents_of_a_kind_share_what_a_hash_means() {
    let world = World::start();
    let (mut one, mut two) = (world.agent().await, world.agent().await);
    one.connect(&world)
        .await
        .ask(&saying(one.full(), b"h", set()))
        .await;
    let answer = two
        .connect(&world)
        .await
        .ask(&saying(two.full(), b"h", BTreeMap::new()))
        .await;
    assert!(!answer.available_components);
    assert_eq!(known(&world, &two), Some(set()));
    let mut other = world.agent().await;
    let mut message = saying(other.full(), b"h", BTreeMap::new());
    message.parts.description.as_mut().unwrap().identifying.clear();
    assert!(
        other
            .connect(&world)
            .await
            .ask(&message)
            .await
            .available_components
    );
}

#[tokio::test]
async fn s_283_a_hash_alone_deletes_nothing() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    line.ask(&saying(agent.full(), b"h", set())).await;
    line.ask(&saying(agent.compressed(), b"h", BTreeMap::new())).await;
    assert_eq!(known(&world, &agent), Some(set()));
}

#[tokio::test]
async fn s_284_who_cannot_tell_is_asked_a_few_times_only() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let mut asked = 0;
    for _ in 0..20 {
        let answer = line.ask(&saying(agent.full(), b"h", BTreeMap::new())).await;
        asked += u32::from(answer.available_components);
    }
    assert!((1..=3).contains(&asked), "{asked}");
}

#[tokio::test]
async fn s_285_components_are_not_health() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut message = saying(agent.full(), b"h", set());
    message.parts.health = Some(Health {
        components: [("pipeline:traces".to_owned(), Health::default())].into(),
        ..agent.health(true)
    });
    agent.connect(&world).await.ask(&message).await;
    let health = world.look(agent.id()).health.unwrap();
    assert!(health.components.contains_key("pipeline:traces"));
    assert_eq!(known(&world, &agent), Some(set()));
}
