//! Agents that are newer, older, or do less.

use muster::fleet::agent::Completeness;
use muster::opamp::client;

use super::s04_exchange::is_bare;
use crate::harness::{Request, World, caps::C};

#[tokio::test]
async fn s_330_unknown_fields_and_values_are_ignored() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut bytes = client::write(&agent.full());
    bytes.extend([0xa2, 0x06, 0x01, 0x78]); // field 100, a string
    bytes.extend([0x3a, 0x02, 0x10, 0x63]); // remote_config_status with status 99
    let answer = Request::posting(&agent.credential, bytes)
        .send(&world)
        .await
        .message();
    assert!(is_bare(&answer), "{answer:?}");
    assert!(world.look(agent.id()).description.is_some());
}

#[tokio::test]
async fn s_331_reserved_bits_are_zero() {
    let world = World::start();
    let mut agent = world.agent().await;
    let answer = agent.connect(&world).await.ask(&agent.full()).await;
    assert_eq!(answer.capabilities & !0x7f, 0);
    assert!(answer.other_fields.is_empty());
}

#[tokio::test]
async fn s_332_one_bad_field_does_not_lose_the_agent() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    // package_statuses { packages { value { download_details { download_bytes_per_second: integer } } } }
    let mut bytes = vec![0];
    bytes.extend(client::write(&agent.compressed()));
    bytes.extend([0x42, 0x08, 0x0a, 0x06, 0x12, 0x04, 0x42, 0x02, 0x10, 0x07]);
    line.send(bytes).await;
    let _ = line.hear().await;
    let mut bytes = vec![0];
    bytes.extend(client::write(&agent.compressed()));
    bytes.extend([0x52, 0x02, 0x0a, 0x00]);
    bytes.extend([0x3a, 0x03, 0x1a, 0x01, 0xff]); // an error that is not UTF-8
    line.send(bytes).await;
    assert!(line.hear().await.error.is_some());
    assert_eq!(line.ask(&agent.full()).await.error, None);
}

#[tokio::test]
async fn s_333_an_agent_that_only_reports_runs_for_hours() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await.able(C::REPORTS_STATUS);
    let mut line = agent.online(&world).await;
    for _ in 0..200 {
        world.pass(std::time::Duration::from_mins(1));
        assert!(is_bare(&line.ask(&agent.compressed()).await));
    }
    assert_eq!(world.look(agent.id()).completeness, Completeness::Complete);
}
