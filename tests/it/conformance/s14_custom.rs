//! Custom capabilities and their messages: announced once, sent only where both sides announce, one at a time.

use muster::app::agents::AgentAct;
use muster::app::error::Error;
use muster::fleet::agent::Happening;
use muster::fleet::custom::{CustomMessage, LARGEST, MOST_KEPT, MOST_QUEUED, TAKEN_PER_MINUTE, VALID};
use muster::fleet::ids::AgentId;

use super::s04_exchange::is_bare;
use crate::harness::{Agent, Line, Plan, World, admin};

const ONE: &str = "com.example.inventory/v1";
const TWO: &str = "com.example.inventory/v2";

fn announcing(names: &[&str]) -> Plan {
    let mut plan = Plan::default();
    plan.app.custom_capabilities = names.iter().map(|&name| name.to_owned()).collect();
    plan
}

fn message(capability: &str, kind: &str, data: &[u8]) -> CustomMessage {
    CustomMessage {
        capability: capability.into(),
        kind: kind.into(),
        data: data.to_vec(),
    }
}

impl World {
    async fn sends(&self, id: AgentId, message: CustomMessage) -> Result<(), Error> {
        self.app.act(&admin(), id, &AgentAct::Message { message }).await
    }

    fn messages(&self, id: AgentId) -> muster::app::messages::AgentMessages {
        self.app.agent_messages(&admin(), id).unwrap()
    }

    /// An agent that announces these, on a WebSocket.
    async fn talker(&self, names: &[&str]) -> (Agent, Line) {
        let mut agent = self.agent().await;
        let mut line = agent.connect(self).await;
        let mut full = agent.full();
        full.parts.custom_capabilities = Some(names.iter().map(|&name| name.to_owned()).collect());
        line.ask(&full).await;
        (agent, line)
    }
}

#[tokio::test]
async fn s_270_our_custom_capabilities_are_announced_once_on_a_link() {
    let world = World::with(announcing(&[ONE, TWO]));
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let full = agent.full();
    let known = [ONE.to_owned(), TWO.to_owned()];
    let first = line.ask(&full).await.custom_capabilities;
    assert_eq!(first.as_deref(), Some(known.as_slice()));
    let heartbeat = agent.compressed();
    assert!(is_bare(&line.ask(&heartbeat).await));
    line.close().await;
    let mut line = agent.connect(&world).await;
    let again = agent.compressed();
    let first = line.ask(&again).await.custom_capabilities;
    assert_eq!(first.as_deref(), Some(known.as_slice()), "a new connection");
}

#[tokio::test]
async fn s_270_who_has_none_announces_none() {
    let world = World::start();
    let mut agent = world.agent().await;
    let full = agent.full();
    assert_eq!(
        agent.poll(&full).send(&world).await.message().custom_capabilities,
        None
    );
}

#[tokio::test]
async fn s_271_a_list_replaces_the_one_before_and_an_empty_one_ends_it() {
    let world = World::with(announcing(&[ONE, TWO]));
    let (mut agent, mut line) = world.talker(&[ONE, TWO]).await;
    world.sends(agent.id(), message(TWO, "scan", b"1")).await.unwrap();
    assert_eq!(line.hear().await.custom_message, Some(message(TWO, "scan", b"1")));
    for list in [vec![ONE.to_owned()], Vec::new()] {
        let mut said = agent.compressed();
        said.parts.custom_capabilities = Some(list.clone());
        line.ask(&said).await;
        assert_eq!(world.messages(agent.id()).theirs, list);
        let refused = world.sends(agent.id(), message(TWO, "scan", b"2")).await;
        assert!(matches!(refused, Err(Error::Conflict(_))));
    }
    let refused = world.sends(agent.id(), message(ONE, "scan", b"3")).await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn s_272_only_messages_that_both_sides_announce_are_sent() {
    let world = World::with(announcing(&[ONE]));
    let (agent, mut line) = world.talker(&[ONE, TWO]).await;
    let silent = world.agent().await;
    for (id, capability) in [(agent.id(), TWO), (silent.id(), ONE)] {
        let refused = world.sends(id, message(capability, "scan", b"x")).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{capability}");
    }
    for wrong in [
        message("nonsense", "scan", b"x"),
        message(ONE, "", b"x"),
        message(ONE, "scan", &vec![0; LARGEST + 1]),
    ] {
        let refused = world.sends(agent.id(), wrong).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    world.sends(agent.id(), message(ONE, "scan", b"x")).await.unwrap();
    assert_eq!(line.hear().await.custom_message, Some(message(ONE, "scan", b"x")));
    let sent = Happening::MessageSent {
        capability: ONE.into(),
        message: "scan".into(),
    };
    assert!(world.story(agent.id()).contains(&sent));
    let records = world.store.audit(None, usize::MAX).unwrap();
    let audited = records
        .iter()
        .find(|record| record.entry.action == "agent.message");
    assert!(audited.is_some_and(|record| record.entry.detail.contains("1 bytes")));
}

#[tokio::test]
async fn s_273_what_nobody_announced_is_acknowledged_and_left() {
    let world = World::with(announcing(&[ONE]));
    let (mut agent, mut line) = world.talker(&[ONE]).await;
    for (capability, data) in [(TWO, vec![1]), ("", vec![1]), (ONE, vec![0; LARGEST + 1])] {
        let mut said = agent.compressed();
        said.parts.custom_message = Some(message(capability, "odd", &data));
        assert!(is_bare(&line.ask(&said).await), "{capability}");
    }
    assert_eq!(world.messages(agent.id()).received, []);
    let mut said = agent.compressed();
    said.parts.custom_message = Some(message(ONE, "found", &[0, 0xff]));
    assert!(is_bare(&line.ask(&said).await));
    let received = world.messages(agent.id()).received;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].message, message(ONE, "found", &[0, 0xff]));
}

#[tokio::test]
async fn s_274_names_are_compared_as_they_are_spelt() {
    let world = World::with(announcing(&[ONE]));
    let (agent, _line) = world
        .talker(&[TWO, "com.example.Inventory/v1", "com.example.inventory"])
        .await;
    assert_eq!(world.messages(agent.id()).shared, Vec::<String>::new());
    let refused = world.sends(agent.id(), message(ONE, "scan", b"x")).await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn s_275_messages_come_one_by_one_in_their_order_and_byte_for_byte() {
    let world = World::with(announcing(&[ONE]));
    let (mut agent, line) = world.talker(&[ONE]).await;
    line.close().await;
    world.until("offline", || !world.is_online(agent.id())).await;
    let bodies: [&[u8]; 3] = [b"", &[0, 1, 0xff, 0xfe], "\u{fc}".as_bytes()];
    for body in bodies {
        world.sends(agent.id(), message(ONE, "scan", body)).await.unwrap();
    }
    assert_eq!(world.messages(agent.id()).queued.len(), 3);
    let mut line = agent.connect(&world).await;
    let hello = agent.compressed();
    let first = line.ask(&hello).await.custom_message;
    let mut came = vec![first.unwrap().data];
    for _ in 1..3 {
        came.push(line.hear().await.custom_message.unwrap().data);
    }
    assert_eq!(came, bodies);
    assert_eq!(world.messages(agent.id()).queued, []);

    // Over HTTP there is one with every poll.
    let mut polling = world.agent().await;
    let mut full = polling.full();
    full.parts.custom_capabilities = Some(vec![ONE.to_owned()]);
    polling.poll(&full).send(&world).await;
    for body in bodies {
        world
            .sends(polling.id(), message(ONE, "scan", body))
            .await
            .unwrap();
    }
    let mut came = Vec::new();
    for _ in 0..4 {
        let poll = polling.compressed();
        came.extend(polling.poll(&poll).send(&world).await.message().custom_message);
    }
    let came: Vec<_> = came.into_iter().map(|message| message.data).collect();
    assert_eq!(came, bodies, "each once");
}

#[tokio::test]
async fn a_message_waits_for_its_agent_for_an_hour_and_few_do() {
    let world = World::on_disk(announcing(&[ONE]));
    let (mut agent, line) = world.talker(&[ONE]).await;
    line.close().await;
    world.until("offline", || !world.is_online(agent.id())).await;
    for number in 0..MOST_QUEUED {
        let kind = format!("scan-{number}");
        world.sends(agent.id(), message(ONE, &kind, b"x")).await.unwrap();
    }
    let refused = world.sends(agent.id(), message(ONE, "more", b"x")).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "no more wait");
    let world = world.kill().await;
    assert_eq!(world.messages(agent.id()).queued.len(), MOST_QUEUED, "they last");
    assert_eq!(world.look(agent.id()).delivery.outbox, [], "not for everybody");
    world.pass(VALID + std::time::Duration::from_secs(1));
    assert_eq!(world.messages(agent.id()).queued, []);
    let mut full = agent.full();
    full.parts.custom_capabilities = Some(vec![ONE.to_owned()]);
    assert_eq!(
        agent.poll(&full).send(&world).await.message().custom_message,
        None
    );
    world.sends(agent.id(), message(ONE, "late", b"x")).await.unwrap();
}

#[tokio::test]
async fn of_an_agents_messages_the_last_are_kept_and_a_flood_is_left() {
    let world = World::on_disk(announcing(&[ONE]));
    let (mut agent, mut line) = world.talker(&[ONE]).await;
    for number in 0..TAKEN_PER_MINUTE + 5 {
        let mut said = agent.compressed();
        said.parts.custom_message = Some(message(ONE, &format!("n{number}"), b"x"));
        assert!(line.ask(&said).await.error.is_none());
    }
    let received = world.messages(agent.id()).received;
    assert_eq!(received.len() as u64, MOST_KEPT);
    let newest = format!("n{}", TAKEN_PER_MINUTE - 1);
    assert_eq!(received[0].message.kind, newest, "those above the limit are left");

    // They last, and counting goes on.
    drop(line);
    let world = world.kill().await;
    assert_eq!(world.messages(agent.id()).received, received);
    world.pass(std::time::Duration::from_mins(2));
    let mut said = agent.full();
    said.parts.custom_message = Some(message(ONE, "again", b"x"));
    agent.poll(&said).send(&world).await;
    let after = world.messages(agent.id()).received;
    assert_eq!(after[0].message.kind, "again");
    assert_eq!(after.len() as u64, MOST_KEPT);
}
