//! The WebSocket: framing, limits, closing, liveness, and many agents on one connection.

use std::time::Duration;

use muster::app::configs::NewConfig;
use muster::app::error::Error;
use muster::fleet::agent::RefusalKind;
use muster::fleet::config::Content;
use muster::opamp::client;

use super::s04_exchange::is_bare;
use crate::harness::{Plan, Raw, World, admin};

#[tokio::test]
async fn s_010_messages_are_binary_with_a_header_of_zero() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    for message in [agent.full(), agent.at(9), agent.full()] {
        raw.frame(0x82, &[&[0], client::write(&message).as_slice()].concat())
            .await;
        let (first, payload) = raw.next_frame().await;
        assert_eq!((first, payload[0]), (0x82, 0));
        assert_eq!(client::read(&payload[1..]).unwrap().uid, agent.uid);
    }
}

#[tokio::test]
async fn s_011_another_header_is_malformed() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    line.send([&[5], client::write(&agent.full()).as_slice()].concat())
        .await;
    assert_eq!(line.hear().await.error.unwrap().kind, RefusalKind::BadRequest);
    assert_eq!(world.look(agent.id()).sequence, None);
}

#[tokio::test]
async fn s_012_the_rest_of_a_message_is_its_data() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    line.send(vec![0]).await;
    assert_eq!(line.hear().await.error.unwrap().kind, RefusalKind::BadRequest);
    line.send([&[0x80, 0], client::write(&agent.full()).as_slice()].concat())
        .await;
    let answer = line.hear().await;
    assert!(
        answer
            .error
            .is_none_or(|error| error.kind == RefusalKind::BadRequest)
    );
    assert_eq!(line.ask(&agent.full()).await.error, None);
}

#[tokio::test]
async fn s_013_agents_without_headers_are_understood() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    line.send(client::write(&agent.full())).await;
    let bytes = line.hear_bytes().await;
    let answer = client::read(&bytes).unwrap();
    assert_eq!((answer.uid, answer.error), (agent.uid, None));
}

fn small(bytes: usize) -> Plan {
    let mut plan = Plan::default();
    plan.plane.message.bytes = bytes;
    plan
}

#[tokio::test]
async fn s_014_messages_over_the_limit_are_not_taken() {
    let world = World::with(small(10_000));
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.send(vec![0; 10_001]).await;
    assert_eq!(line.closed().await, Some(1009));
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    raw.frame(0x02, &[0; 6_000]).await;
    raw.frame(0x80, &[0; 6_000]).await;
    assert_eq!(raw.close_code().await, 1009);
}

#[tokio::test]
async fn s_015_too_large_closes_with_1009_also_when_only_claimed() {
    let world = World::with(small(10_000));
    let agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    let claim = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &claim)
        .await
        .unwrap();
    assert_eq!(raw.close_code().await, 1009);
}

#[tokio::test]
async fn s_016_nothing_over_the_limit_is_sent_and_the_answer_still_comes() {
    let world = World::with(small(10_000));
    let big = crate::harness::collector("a:1") + &format!("# {}\n", "x".repeat(20_000));
    world.wants_content("edge", Content::Yaml(big)).await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    assert!(answer.error.is_none() && answer.remote_config.is_none());
    assert_eq!(answer.uid, agent.uid);
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_016_what_fits_into_no_message_is_refused_when_it_is_saved() {
    let mut plan = small(100_000);
    plan.app.message_bytes = 100_000;
    let world = World::with(plan);
    let content =
        |size| Content::Yaml(crate::harness::collector("a:1") + &format!("# {}\n", "x".repeat(size)));
    let save = |size: usize| NewConfig {
        name: format!("c-{size}"),
        description: String::new(),
        content: content(size),
        message: String::new(),
        allow_blank: false,
    };
    let intentions = &world.app.intentions;
    let refused = intentions.create_config(&admin(), save(90_000)).await;
    assert!(
        matches!(&refused, Err(Error::Invalid(fields)) if fields[0].why.contains("limits.message_size")),
        "{refused:?}"
    );
    // What is just small enough arrives.
    world.wants_content("edge", content(80_000)).await;
    let mut agent = world.agent_of("edge").await;
    let answer = agent.connect(&world).await.ask(&agent.full()).await;
    assert!(answer.remote_config.is_some());
}

#[tokio::test]
async fn s_017_no_extension_is_agreed_on() {
    let world = World::start();
    let agent = world.agent().await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let head = Raw::open(&world).await.shake(&agent.credential, offer).await;
    assert!(head.starts_with("http/1.1 101"));
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn s_018_neither_subprotocol_nor_origin_is_needed() {
    let world = World::start();
    let agent = world.agent().await;
    let head = Raw::open(&world).await.shake(&agent.credential, "").await;
    assert!(head.starts_with("http/1.1 101") && !head.contains("sec-websocket-protocol"));
}

#[tokio::test]
async fn s_019_a_close_is_answered_and_our_own_comes_before_the_end() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    raw.frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(raw.close_code().await, 1000);
    assert!(raw.ended().await);
    let mut line = agent.online(&world).await;
    world.app.close_all_links();
    assert_eq!(line.closed().await, Some(1012));
}

#[tokio::test]
async fn s_020_pings_are_answered_also_between_fragments() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    let message = [&[0], client::write(&agent.full()).as_slice()].concat();
    let (head, tail) = message.split_at(20);
    raw.frame(0x02, head).await;
    raw.frame(0x89, b"beat").await;
    raw.frame(0x80, tail).await;
    assert_eq!(raw.next_frame().await, (0x8a, b"beat".to_vec()));
    let (first, payload) = raw.next_frame().await;
    assert_eq!((first, client::read(&payload[1..]).unwrap().error), (0x82, None));
}

#[tokio::test]
async fn s_021_a_peer_that_answers_no_pings_is_gone() {
    let mut plan = Plan::default();
    plan.plane.ping = Duration::from_millis(50);
    let world = World::with(plan);
    let mut agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    raw.frame(0x82, &[&[0], client::write(&agent.full()).as_slice()].concat())
        .await;
    world.until("online", || world.is_online(agent.id())).await;
    world.until("offline", || !world.is_online(agent.id())).await;
    assert!(raw.ended().await);
}

#[tokio::test]
async fn s_022_many_agents_share_a_connection() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut one = world.gateway(Some("edge"), 10).await;
    let mut two = one.sibling();
    let mut line = one.connect(&world).await;
    for _ in 0..3 {
        assert_eq!(line.ask(&one.full()).await.uid, one.uid);
        assert_eq!(line.ask(&two.full()).await.uid, two.uid);
    }
    world.wants("edge", "b").await;
    let pushed = [line.hear().await, line.hear().await];
    let mut reached: Vec<_> = pushed.iter().map(|message| message.uid.clone()).collect();
    reached.sort();
    let mut both = vec![one.uid.clone(), two.uid.clone()];
    both.sort();
    assert_eq!(reached, both);
    assert!(pushed.iter().all(|message| message.remote_config.is_some()));
}

#[tokio::test]
async fn s_023_nothing_is_said_before_the_first_message() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    world.wants("edge", "b").await;
    assert!(line.hears_within(Duration::from_millis(200)).await.is_none());
    assert!(line.ask(&agent.full()).await.remote_config.is_some());
    world.wants("edge", "c").await;
    assert!(line.hear().await.remote_config.is_some());
}

#[tokio::test]
async fn s_024_a_hundred_messages_get_a_hundred_answers_in_order() {
    let world = World::start();
    let mut one = world.gateway(None, 10).await;
    let mut agents = [one.sibling(), one.sibling(), one.sibling()];
    let mut line = one.online(&world).await;
    for number in 0..99 {
        let agent = &mut agents[number % 3];
        let message = agent.full();
        line.say(&message).await;
    }
    for number in 0..99 {
        assert_eq!(line.hear().await.uid, agents[number % 3].uid);
    }
}
