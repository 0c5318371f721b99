//! Plain HTTP: one request, one answer, whatever the connection.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use muster::fleet::config::Content;
use muster::opamp::client;
use tokio::net::TcpStream;

use super::s04_exchange::is_bare;
use crate::harness::{Plan, Request, World};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn s_030_bodies_are_bare_protobuf() {
    let world = World::start();
    let mut agent = world.agent().await;
    let answer = agent.clone().poll(&agent.full()).send(&world).await;
    assert_eq!(answer.body[..2], [0x0a, 16]);
    assert_eq!(answer.message().uid, agent.uid);
}

#[tokio::test]
async fn s_031_gzip_and_identity_are_understood_and_nothing_else() {
    let world = World::start();
    let mut agent = world.agent().await;
    let body = gzip(&client::write(&agent.full()));
    let post = |body: &[u8], encoding: &str| {
        Request::posting(&agent.credential, body.to_vec()).with("content-encoding", encoding)
    };
    assert!(post(&body, "gzip").send(&world).await.message().error.is_none());
    assert_eq!(post(&body, "br").send(&world).await.status, 415);
    assert_eq!(
        post(&body[..body.len() - 9], "gzip").send(&world).await.status,
        400
    );
    let plain = client::write(&agent.clone().compressed());
    assert_eq!(post(&plain, "identity").send(&world).await.status, 200);
}

#[tokio::test]
async fn s_032_answers_are_packed_for_those_who_take_that() {
    let world = World::start();
    let mut agent = world.agent().await;
    for (accept, packed) in [
        ("gzip", true),
        ("gzip;q=0", false),
        ("*", true),
        ("identity", false),
        ("br, gzip;q=0.5", true),
    ] {
        let answer = agent
            .clone()
            .poll(&agent.full())
            .with("accept-encoding", accept)
            .send(&world)
            .await;
        assert_eq!(
            answer.header("content-encoding") == Some("gzip"),
            packed,
            "{accept}"
        );
        assert_eq!(answer.message().uid, agent.uid);
    }
    let answer = agent.clone().poll(&agent.full()).send(&world).await;
    assert_eq!(answer.header("content-encoding"), None);
}

#[tokio::test]
async fn s_033_bodies_over_the_limit_are_413() {
    let mut plan = Plan::default();
    plan.plane.message.bytes = 10_000;
    let world = World::with(plan);
    let agent = world.agent().await;
    let post = |body: Vec<u8>| Request::posting(&agent.credential, body);
    assert_eq!(post(vec![0; 10_001]).send(&world).await.status, 413);
    let bomb = gzip(&vec![0; 1 << 20]);
    assert!(bomb.len() < 10_000);
    assert_eq!(
        post(bomb)
            .with("content-encoding", "gzip")
            .send(&world)
            .await
            .status,
        413
    );
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = post(Vec::new()).head() + "transfer-encoding: chunked\r\n\r\n";
    let chunk = [format!("{:x}\r\n", 8_000).as_bytes(), &[0; 8_000], b"\r\n"].concat();
    let bytes = [head.as_bytes(), &chunk, &chunk].concat();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
        .await
        .unwrap();
    assert_eq!(crate::harness::Answer::read(&mut stream).await.status, 413);
}

#[tokio::test]
async fn s_034_nothing_over_the_limit_is_answered_but_an_acknowledgement() {
    let mut plan = Plan::default();
    plan.plane.message.bytes = 10_000;
    let world = World::with(plan);
    let big = crate::harness::collector("a:1") + &format!("# {}\n", "x".repeat(20_000));
    world.wants_content("edge", Content::Yaml(big)).await;
    let mut agent = world.agent_of("edge").await;
    let answer = agent.clone().poll(&agent.full()).send(&world).await;
    assert!(answer.body.len() < 10_000 && is_bare(&answer.message()));
}

#[tokio::test]
async fn s_035_a_report_gets_200_and_a_body() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    let idle = agent.clone().poll(&agent.compressed()).send(&world).await;
    assert_eq!((idle.status, idle.message().uid), (200, agent.uid));
}

#[tokio::test]
async fn s_036_answers_say_that_they_are_protobuf() {
    let world = World::start();
    let mut agent = world.agent().await;
    let answer = agent.clone().poll(&agent.full()).send(&world).await;
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
}

#[tokio::test]
async fn s_037_the_header_with_the_uid_is_optional_and_must_not_lie() {
    let world = World::start();
    let mut agent = world.agent().await;
    let poll = agent.clone().poll(&agent.full());
    let right = uuid::Uuid::from_slice(&agent.uid).unwrap().to_string();
    let wrong = uuid::Uuid::from_u128(5).to_string();
    assert_eq!(poll.send(&world).await.status, 200);
    assert_eq!(
        poll.clone()
            .with("opamp-instance-uid", &right)
            .send(&world)
            .await
            .status,
        200
    );
    assert_eq!(
        poll.with("opamp-instance-uid", &wrong).send(&world).await.status,
        400
    );
}

#[tokio::test]
async fn s_038_a_connection_means_nothing() {
    let world = World::start();
    let mut one = world.agent().await;
    let mut two = world.agent().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for agent in [&mut one, &mut two] {
        agent.clone().poll(&agent.full()).send(&world).await;
        agent.sequence = 1;
    }
    for _ in 0..3 {
        for agent in [&mut one, &mut two] {
            let message = agent.compressed();
            let answer = agent.poll(&message).send_on(&mut stream).await.message();
            assert!(is_bare(&answer));
            assert_eq!(answer.uid, agent.uid);
        }
    }
}

#[tokio::test]
async fn s_039_what_is_to_be_said_waits_and_only_the_newest_is_kept() {
    let world = World::start();
    world.wants("edge", "first").await;
    let mut agent = world.agent_of("edge").await;
    agent.clone().poll(&agent.full()).send(&world).await;
    world.wants("edge", "a").await;
    world.wants("edge", "b").await;
    let answer = agent
        .clone()
        .poll(&agent.compressed())
        .send(&world)
        .await
        .message();
    assert_eq!(answer.remote_config.unwrap().0, *world.wanted(&agent).content);
    assert!(is_bare(
        &agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message()
    ));
}

#[tokio::test]
async fn s_040_answers_come_at_once() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    for _ in 0..20 {
        let watch = muster::app::clock::Stopwatch::start();
        agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message();
        assert!(watch.elapsed() < std::time::Duration::from_secs(1));
    }
}

#[tokio::test]
async fn s_041_requests_that_overlap_are_taken_in_turns() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    let poll = agent.clone().poll(&agent.compressed());
    let (one, two) = tokio::join!(poll.send(&world), poll.send(&world));
    assert!(is_bare(&one.message()) && is_bare(&two.message()));
    assert_eq!(world.look(agent.id()).sequence, Some(2));
}
