//! Errors, throttling, and the end of a server.

use std::time::Duration;

use muster::fleet::agent::RefusalKind;
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::opamp::client::{self, Outgoing};

use super::s04_exchange::is_bare;
use crate::harness::{Line, Plan, Raw, Request, World};

const GARBAGE: [u8; 4] = [0, 0xff, 0xff, 0xff];
const LEAST_WAIT: Duration = Duration::from_secs(30);

/// A server that bears few messages.
fn strict() -> World {
    let mut plan = Plan::default();
    plan.plane.messages_per_minute = 10;
    World::with(plan)
}

#[tokio::test]
async fn s_300_what_is_malformed_is_a_bad_request_that_says_why() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let short = Outgoing {
        uid: vec![1; 15],
        ..agent.full()
    };
    let error = line.ask(&short).await.error.unwrap();
    assert_eq!(error.kind, RefusalKind::BadRequest);
    assert!(error.message.contains("15 bytes"), "{}", error.message);
    line.send(GARBAGE.to_vec()).await;
    let error = line.hear().await.error.unwrap();
    assert!(error.kind == RefusalKind::BadRequest && !error.message.is_empty());
}

#[tokio::test]
async fn s_301_over_http_the_unreadable_is_400_and_the_wrong_is_an_answer() {
    let world = World::start();
    let mut agent = world.agent().await;
    let garbage = Request::posting(&agent.credential, GARBAGE[1..].to_vec())
        .send(&world)
        .await;
    assert_eq!(garbage.status, 400);
    let body = client::read(&garbage.body).unwrap();
    assert_eq!(body.error.unwrap().kind, RefusalKind::BadRequest);
    let wrong = Outgoing {
        uid: vec![1; 17],
        ..agent.full()
    };
    let answer = agent.poll(&wrong).send(&world).await.message();
    assert_eq!(answer.error.unwrap().kind, RefusalKind::BadRequest);
}

#[tokio::test]
async fn s_302_garbage_between_good_messages_harms_nobody() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.send(GARBAGE.to_vec()).await;
    assert!(line.hear().await.error.is_some());
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    for _ in 0..9 {
        line.send(GARBAGE.to_vec()).await;
    }
    assert_eq!(line.closed().await, Some(1008));
}

#[tokio::test]
async fn s_303_each_cause_has_its_type() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let wrong = Outgoing {
        uid: Vec::new(),
        ..agent.clone().full()
    };
    assert_eq!(
        line.ask(&wrong).await.error.unwrap().kind,
        RefusalKind::BadRequest
    );
    disk.fail(true);
    let failed = line.ask(&agent.reports(b"?", RemoteConfigOutcome::Failed)).await;
    assert_eq!(failed.error.unwrap().kind, RefusalKind::Unavailable);
}

#[tokio::test]
async fn s_304_on_a_websocket_overload_says_how_long_to_wait() {
    let world = strict();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let mut refused = None;
    for _ in 0..20 {
        refused = line.ask(&agent.compressed()).await.error.or(refused);
    }
    let refused = refused.expect("too many");
    assert_eq!(refused.kind, RefusalKind::Unavailable);
    assert!(refused.retry_after.unwrap() >= LEAST_WAIT);
}

#[tokio::test]
async fn s_305_over_http_overload_is_429_with_a_time() {
    let world = strict();
    let mut agent = world.agent().await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let answer = agent.clone().poll(&agent.compressed()).send(&world).await;
        if answer.status != 200 {
            assert!(answer.header("retry-after").is_some());
        }
        statuses.push(answer.status);
    }
    assert!(statuses.contains(&429) && statuses.contains(&200));
}

#[tokio::test]
async fn s_306_waits_are_long_and_differ() {
    let world = strict();
    let mut agent = world.agent().await;
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let answer = agent.clone().poll(&agent.compressed()).send(&world).await;
        waits.extend(
            answer
                .header("retry-after")
                .map(|wait| wait.parse::<u64>().unwrap()),
        );
    }
    assert!(waits.first().is_some_and(|least| *least >= 30));
    assert!(waits.len() > 3, "{waits:?}");
}

#[tokio::test]
async fn s_307_retry_after_is_a_whole_number_of_seconds() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    disk.fail(true);
    let answer = agent.clone().poll(&agent.full()).send(&world).await;
    assert_eq!(answer.status, 503);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 30);
}

#[tokio::test]
async fn s_308_an_outage_is_503() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    agent.clone().poll(&agent.full()).send(&world).await;
    disk.fail(true);
    let report = agent.reports(b"?", RemoteConfigOutcome::Failed);
    assert_eq!(agent.poll(&report).send(&world).await.status, 503);
}

#[tokio::test]
async fn s_309_a_stop_closes_every_connection_properly() {
    let world = World::start();
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..20 {
        let mut agent = world.agent().await;
        lines.push(agent.online(&world).await);
    }
    let agent = world.agent().await;
    let mut waiting = Raw::open(&world).await;
    world.stop.cancel();
    for line in &mut lines {
        assert_eq!(line.closed().await, Some(1012));
    }
    let _ = tokio::io::AsyncWriteExt::write_all(&mut waiting.stream, b"GET / HTTP/1.1\r\n").await;
    assert!(waiting.ended().await, "{}", agent.host);
}
