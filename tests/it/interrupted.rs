//! What must not come apart when somebody hangs up, a commit fails, or the server is killed in between: what memory and
//! store say of the same thing.

use std::pin::Pin;
use std::sync::Arc;

use muster::app::enrolment::{Enrol, NewEnrolmentToken};
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::ConfigMap;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{ALL, Agent, Disk, Request, World, admin, begun, caps::C};

/// Sends a request, and hangs up while what it leads to is being made durable.
async fn hung_up_on(world: &World, disk: &Disk, request: &Request) {
    disk.hold();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!("{}content-length: {}\r\n\r\n", request.head(), request.body.len());
    stream
        .write_all(&[head.as_bytes(), &request.body].concat())
        .await
        .unwrap();
    world.until("a commit waits", || disk.waits()).await;
    let tasks = world.tracker.len();
    drop(stream);
    world
        .until("the server saw that nobody listens", || {
            world.tracker.len() < tasks
        })
        .await;
}

/// Waits until the server has nothing more to do: what is left is whoever takes connections.
async fn quiet(world: &World) {
    world.until("quiet", || world.tracker.len() == 1).await;
}

fn enrolment(secret: &str) -> Request {
    Request {
        method: "POST",
        path: "/v1/enroll".into(),
        headers: vec![
            ("authorization".into(), format!("Bearer {secret}")),
            ("content-type".into(), "application/json".into()),
        ],
        body: serde_json::to_vec(&Enrol::default()).unwrap(),
    }
}

#[tokio::test]
async fn a_token_is_used_up_also_when_its_user_hangs_up() {
    let (disk, world) = World::on_failing_disk();
    let wish = NewEnrolmentToken::default();
    let token = world.app.create_enrolment_token(&admin(), wish).await.unwrap();
    let request = enrolment(&token.secret);
    hung_up_on(&world, &disk, &request).await;
    disk.go_on();
    quiet(&world).await;
    assert_eq!(request.send(&world).await.status, 401);
    assert_eq!(world.app.fleet().len(), 1);
}

#[tokio::test]
async fn an_agent_of_a_pool_that_hangs_up_has_its_record() {
    let (disk, world) = World::on_failing_disk();
    let shared = world.gateway(None, 1).await;
    let (mut first, mut second) = (shared.sibling(), shared.sibling());
    let poll = first.clone().poll(&first.full());
    hung_up_on(&world, &disk, &poll).await;
    disk.go_on();
    quiet(&world).await;
    assert!(world.record_of(&first.uid).is_some());
    let refused = second.clone().poll(&second.full()).send(&world).await.message();
    assert!(refused.error.is_some(), "the pool is full");
    assert_eq!(poll.send(&world).await.message().error, None);
    assert_eq!(world.app.fleet().len(), 1);
}

#[tokio::test]
async fn a_verdict_that_was_not_stored_is_not_known_also_when_its_agent_hangs_up() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await.message();
    let failed = agent.reports(b"?", RemoteConfigOutcome::Failed);
    hung_up_on(&world, &disk, &agent.poll(&failed)).await;
    disk.fail_held();
    quiet(&world).await;
    world.recovered().await;
    let acknowledged = world.look(agent.id()).delivery.acknowledged;
    assert_ne!(
        acknowledged.map(|said| said.outcome),
        Some(RemoteConfigOutcome::Failed)
    );
    assert_eq!(world.look(agent.id()).sequence, Some(1));
}

/// A flush that has begun, and waits.
async fn flushing(world: &World) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let app = Arc::clone(&world.app);
    begun(Box::pin(async move { app.flush_all().await })).await
}

/// The server after a kill, and whether the agent's next heartbeat is answered with a request for the full state.
async fn after_a_kill(world: World, mut agent: Agent) -> (World, bool) {
    let world = world.kill().await;
    let beat = agent.compressed();
    let answer = agent.poll(&beat).send(&world).await.message();
    (world, answer.full_state)
}

#[tokio::test]
async fn a_number_is_never_stored_ahead_of_the_verdict_that_it_covers() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await.message();
    world.app.flush_all().await;
    disk.hold();
    let poll = agent.reports(b"?", RemoteConfigOutcome::Failed);
    let poll = agent.poll(&poll);
    let address = world.address;
    let mut sent = JoinSet::new();
    sent.spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        poll.send_on(&mut stream).await.status
    });
    world.until("the verdict's commit waits", || disk.waits()).await;
    let flushes = (flushing(&world).await, flushing(&world).await);
    disk.fail_held();
    assert_eq!(sent.join_all().await, [503]);
    tokio::join!(flushes.0, flushes.1);
    let (_world, asked) = after_a_kill(world, agent).await;
    assert!(asked, "what it said is gone");
}

#[tokio::test]
async fn a_number_is_never_stored_ahead_of_the_state_that_it_covers() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await.message();
    world.app.flush_all().await;
    let mut sick = agent.compressed();
    sick.parts.health = Some(agent.health(false));
    agent.poll(&sick).send(&world).await.message();
    disk.hold();
    let first = flushing(&world).await;
    world.until("the state's commit waits", || disk.waits()).await;
    let second = flushing(&world).await;
    disk.fail_held();
    tokio::join!(first, second);
    let id = agent.id();
    let (world, asked) = after_a_kill(world, agent).await;
    let known = world.look(id).health.is_some_and(|health| !health.healthy);
    assert!(asked || known, "what it said is gone");
}

#[tokio::test]
async fn a_content_is_kept_also_when_its_message_fails() {
    let (disk, world) = World::on_failing_disk();
    let able = ALL.with(C::ACCEPTS_OPAMP_CONNECTION_SETTINGS);
    let mut agent = world.agent().await.able(able);
    agent.clone().poll(&agent.full()).send(&world).await.message();
    world.rotate(&agent).await;
    let offered = agent
        .clone()
        .poll(&agent.compressed())
        .send(&world)
        .await
        .message();
    let mut failed = agent.says_of_connection(&offered.connection.unwrap().hash, RemoteConfigOutcome::Failed);
    agent.effective = ConfigMap::document("receivers: {other: {}}\n");
    failed.parts.effective_config = Some(agent.effective.clone());
    disk.fail(true);
    assert_eq!(agent.poll(&failed).send(&world).await.status, 503);
    disk.fail(false);
    world.recovered().await;
    agent.clone().poll(&agent.full()).send(&world).await.message();
    let kept = world.app.effective_config(&admin(), agent.id()).unwrap();
    assert_eq!(kept.map(|kept| kept.content), Some(agent.effective));
}
