//! Health: a tree, opaque but for its root.

use muster::fleet::agent::Happening;
use muster::fleet::agent::health::Condition;
use muster::fleet::agent::report::Health;
use muster::fleet::attributes::{Attribute, Value};
use muster::fleet::time::Timestamp;

use crate::harness::{World, caps::C};

fn nested(depth: usize) -> Health {
    let inner = (0..depth).fold(Health::default(), |inner, _| Health {
        components: [("c".to_owned(), inner)].into(),
        ..Health::default()
    });
    Health {
        healthy: true,
        ..inner
    }
}

#[tokio::test]
async fn s_160_trees_are_kept_and_absurd_ones_refused() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let mut deep = agent.compressed();
    deep.parts.health = Some(nested(40));
    assert_eq!(line.ask(&deep).await.error, None);
    assert_eq!(world.look(agent.id()).health, Some(nested(40)));
    let mut absurd = agent.compressed();
    absurd.parts.health = Some(nested(200));
    assert!(line.ask(&absurd).await.error.is_some());
    let mut wide = agent.compressed();
    let child = |number: u32| (number.to_string(), Health::default());
    wide.parts.health = Some(Health {
        components: (0..60_000).map(child).collect(),
        ..Health::default()
    });
    assert!(line.ask(&wide).await.error.is_some());
    assert_eq!(line.ask(&agent.full()).await.error, None);
}

#[tokio::test]
async fn s_161_what_was_never_reported_is_unknown() {
    let world = World::start();
    let mut agent = world.agent().await.able(C::REPORTS_STATUS);
    agent.online(&world).await;
    let seen = world.look(agent.id());
    assert_eq!(
        (seen.health, seen.summary.status.condition),
        (None, Condition::Unknown)
    );
}

#[tokio::test]
async fn s_162_times_survive_to_the_nanosecond_and_zero_is_not_running() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    for at in [Some(Timestamp(1_700_000_000_123_456_789)), None] {
        let mut message = agent.full();
        message.parts.health = Some(Health {
            started_at: at,
            status_at: at,
            ..agent.health(true)
        });
        line.ask(&message).await;
        let health = world.look(agent.id()).health.unwrap();
        assert_eq!((health.started_at, health.status_at), (at, at));
    }
}

#[tokio::test]
async fn s_163_status_and_attributes_are_returned_as_they_came() {
    let world = World::start();
    let mut agent = world.agent().await;
    let health = Health {
        status: "<b>Weird\u{202e} status</b>\n".into(),
        attributes: vec![Attribute {
            key: "k".into(),
            value: Value::Array(vec![Value::Int(1), Value::Null]),
        }],
        ..agent.health(true)
    };
    let mut message = agent.full();
    message.parts.health = Some(health.clone());
    agent.connect(&world).await.ask(&message).await;
    assert_eq!(world.look(agent.id()).health, Some(health));
}

#[tokio::test]
async fn s_164_equal_reports_of_health_are_no_events() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    for _ in 0..1000 {
        let mut message = agent.compressed();
        message.parts.health = Some(agent.health(true));
        line.say(&message).await;
    }
    for _ in 0..1000 {
        line.hear().await;
    }
    let healthy = |happening: &Happening| *happening == Happening::Healthy;
    let story = world.story(agent.id());
    assert_eq!(story.iter().filter(|happening| healthy(happening)).count(), 1);
    assert!(story.len() < 10, "{story:?}");
}
