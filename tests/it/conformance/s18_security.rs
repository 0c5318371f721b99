//! Who is let in, and what is done with what they say.

use std::time::Duration;

use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::attributes::{Attribute, Value};
use muster::settings::Settings;

use super::s04_exchange::is_bare;
use crate::harness::{Raw, Request, World, admin};

#[tokio::test]
async fn s_320_who_is_not_known_gets_401_on_both_transports() {
    let world = World::start();
    let mut agent = world.agent().await;
    let poll = agent.clone().poll(&agent.full());
    let strangers = [
        poll.clone().without("authorization"),
        poll.clone().with("authorization", "Bearer nonsense"),
        poll.clone().with("authorization", "Basic dTpw"),
    ];
    for request in strangers {
        for request in [request.clone(), request.by("GET")] {
            let answer = request.send(&world).await;
            assert_eq!(answer.status, 401);
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
    let head = Raw::open(&world).await.shake("nonsense", "").await;
    assert!(head.starts_with("http/1.1 401") && head.contains("www-authenticate"));
}

#[tokio::test]
async fn s_321_a_bearer_token_works_on_both_transports() {
    let world = World::start();
    let mut agent = world.agent().await;
    let lenient = agent.clone().poll(&agent.full());
    let lenient = lenient.with("authorization", &format!("bearer  {}", agent.credential));
    assert_eq!(lenient.send(&world).await.status, 200);
    assert!(is_bare(&agent.connect(&world).await.ask(&agent.full()).await));
}

#[tokio::test]
async fn s_322_a_revoked_credential_closes_its_connection_and_gets_401() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    world
        .app
        .revoke_credential(&admin(), agent.credential_id)
        .await
        .unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(2), line.closed()).await;
    assert_eq!(closed, Ok(Some(1008)));
    assert!(agent.connect_or_refusal(&world).await.is_err());
    assert_eq!(
        agent.clone().poll(&agent.compressed()).send(&world).await.status,
        401
    );
}

#[tokio::test]
async fn s_324_hostile_inputs_are_bounded() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let mut wide = agent.full();
    let attribute = |number: u32| Attribute {
        key: number.to_string(),
        value: Value::Null,
    };
    wide.parts.description.as_mut().unwrap().non_identifying = (0..60_000).map(attribute).collect();
    assert!(line.ask(&wide).await.error.is_some());
    let mut long = agent.full();
    long.parts.health.as_mut().unwrap().last_error = "x".repeat(100_000);
    assert!(line.ask(&long).await.error.is_some());
}

#[tokio::test]
async fn s_326_refusals_are_information_and_no_fault() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
    let mut refusal = agent.reports(&hash, RemoteConfigOutcome::Failed);
    refusal.parts.remote_config_status.as_mut().unwrap().error = "not allowed here".into();
    assert!(is_bare(&line.ask(&refusal).await));
    let seen = world.look(agent.id());
    assert_eq!(seen.delivery.failures[0].error, "not allowed here");
    assert!(seen.summary.presence.is_online());
}

#[tokio::test]
async fn s_327_strange_names_are_kept_as_text() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.host = "<script>alert(1)</script>\n\u{1b}[31m\u{202e}".into();
    let answer = agent.connect(&world).await.ask(&agent.full()).await;
    assert_eq!(answer.error, None);
    assert_eq!(world.look(agent.id()).summary.host_name, agent.host);
}

#[test]
fn s_324_the_defaults_bound_messages_and_connections() {
    let limits = Settings::default().limits;
    assert!(limits.connections > 0 && limits.connections_per_address <= limits.connections);
    assert!(limits.messages_per_minute > 0);
}

#[tokio::test]
async fn s_222_each_agent_is_revoked_by_itself() {
    let world = World::start();
    let (mut one, mut two) = (world.agent().await, world.agent().await);
    let mut line = two.online(&world).await;
    one.online(&world).await;
    world
        .app
        .revoke_credential(&admin(), one.credential_id)
        .await
        .unwrap();
    assert!(is_bare(&line.ask(&two.compressed()).await));
    let refused = Request::poll(&one.credential, &one.clone().compressed())
        .send(&world)
        .await;
    assert_eq!(refused.status, 401);
}
