//! Exchange and status reporting: answers, compression, and the numbers that show what was lost.

use muster::app::agents::AgentAct;
use muster::app::exchange::Message;
use muster::fleet::agent::report::{Health, RemoteConfigOutcome, RemoteConfigStatus, Report};
use muster::fleet::agent::{Completeness, RefusalKind, Reply};
use muster::fleet::attributes::{Attribute, Value};
use muster::fleet::ids::InstanceUid;
use muster::opamp::client::{Incoming, Outgoing};

use crate::harness::{Agent, Plan, World, admin, caps::C};

/// What an answer says besides whom it is for and what we can do.
pub(super) fn is_bare(answer: &Incoming) -> bool {
    let bare = Incoming {
        uid: answer.uid.clone(),
        capabilities: answer.capabilities,
        ..Incoming::default()
    };
    *answer == bare
}

#[tokio::test]
async fn s_050_every_message_is_answered() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let heartbeat = agent.compressed();
    let goodbye = Outgoing {
        disconnect: true,
        ..agent.compressed()
    };
    for message in [&heartbeat, &heartbeat, &goodbye] {
        assert_eq!(line.ask(message).await.error, None);
    }
    let poll = agent.poll(&agent.clone().compressed());
    assert_eq!(poll.send(&world).await.message().uid, agent.uid);
}

#[tokio::test]
async fn s_051_with_nothing_to_say_only_the_uid_is_sent() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.say(&agent.compressed()).await;
    let bytes = line.hear_bytes().await;
    assert_eq!(bytes[1..], [&[0x0a, 16][..], &agent.uid].concat());
}

#[tokio::test]
async fn s_052_a_failed_store_is_an_error_and_a_success_is_none() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    disk.fail(true);
    let failed = line.ask(&agent.reports(b"?", RemoteConfigOutcome::Applied)).await;
    assert_eq!(failed.error.unwrap().kind, RefusalKind::Unavailable);
    disk.fail(false);
    world.recovered().await;
    assert_eq!(line.ask(&agent.full()).await.error, None);
}

#[tokio::test]
async fn s_053_an_error_stands_alone_and_the_rest_comes_later() {
    let (disk, world) = World::on_failing_disk();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    disk.fail(true);
    line.say(&agent.at(7)).await;
    let mut lost = agent.full();
    lost.sequence = 8;
    let first = line.hear().await;
    assert!(first.full_state || first.error.is_some());
    let failed = line.ask(&lost).await;
    let error = failed.error.clone().expect("an error");
    assert_eq!(error.kind, RefusalKind::Unavailable);
    let alone = Incoming {
        uid: agent.uid.clone(),
        error: failed.error.clone(),
        ..Incoming::default()
    };
    assert_eq!(failed, alone);
    disk.fail(false);
    world.recovered().await;
    let later = line.ask(&agent.at(9)).await;
    assert!(later.capabilities != 0 && later.error.is_none());
    assert!(later.full_state, "the lost report shows as a gap");
    let offered = line.ask(&agent.full()).await;
    assert!(offered.remote_config.is_some());
}

/// An error answers a message; nobody asked for a push.
#[tokio::test]
async fn a_push_that_can_not_be_stored_is_not_sent_and_comes_later() {
    let (disk, world) = World::on_failing_disk();
    world.group("edge").await;
    let mut agent = world.agent_of("edge").await;
    let speaker = world.app.authenticate(&agent.credential, None, None).unwrap();
    let link = world.app.open_link(&speaker);
    let full = agent.full();
    let report = Report {
        uid: InstanceUid(agent.uid.clone().try_into().unwrap()),
        sequence: full.sequence,
        fingerprint: 1,
        capabilities: Some(agent.capabilities),
        parts: full.parts,
        disconnect: false,
        requests_uid: false,
    };
    let message = Message::Report(Box::new(report));
    drop(world.app.exchange(&speaker, Some(&link), message).await);
    world.wants("edge", "a").await;
    disk.fail(true);
    let unsaid = world.app.push(&link, agent.id()).await;
    assert!(unsaid.is_none(), "{unsaid:?}");
    assert_eq!(world.look(agent.id()).delivery.offered, None);
    disk.fail(false);
    world.recovered().await;
    let said = world.app.push(&link, agent.id()).await.expect("the offer");
    let Reply::Update(update) = &said.reply else {
        panic!("no offer but {:?}", said.reply);
    };
    assert_eq!(update.remote_config, Some(world.wanted(&agent)));
}

#[tokio::test]
async fn s_054_what_is_absent_is_unchanged() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let before = world.look(agent.id());
    line.ask(&agent.compressed()).await;
    let after = world.look(agent.id());
    assert!(after.health.is_some());
    assert_eq!(
        (
            before.description,
            before.health,
            before.effective_config,
            before.delivery
        ),
        (
            after.description,
            after.health,
            after.effective_config,
            after.delivery
        )
    );
}

#[tokio::test]
async fn s_055_what_is_present_replaces_everything_before() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    for children in [&["a", "b"][..], &["a"]] {
        let mut message = agent.compressed();
        let components = children
            .iter()
            .map(|name| ((*name).to_owned(), Health::default()));
        message.parts.health = Some(Health {
            components: components.collect(),
            ..agent.health(true)
        });
        let mut description = agent.description();
        description.non_identifying = children.iter().map(|name| attribute(name)).collect();
        message.parts.description = Some(description);
        message.parts.custom_capabilities = Some(children.iter().map(|&name| name.into()).collect());
        line.ask(&message).await;
    }
    let seen = world.look(agent.id());
    assert_eq!(
        seen.health.unwrap().components.into_keys().collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(seen.description.unwrap().non_identifying, [attribute("a")]);
    assert_eq!(seen.custom_capabilities, ["a"]);
}

fn attribute(key: &str) -> Attribute {
    Attribute {
        key: key.into(),
        value: Value::Bool(true),
    }
}

#[tokio::test]
async fn s_056_a_gap_is_answered_with_a_request_for_the_full_state() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    assert!(!line.ask(&agent.at(2)).await.full_state);
    assert!(line.ask(&agent.at(4)).await.full_state);
}

#[tokio::test]
async fn s_057_an_agent_of_which_nothing_is_known_is_asked_for_everything() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.at(57)).await.full_state);
    let mut polling = world.agent().await;
    let answer = polling.clone().poll(&polling.at(57)).send(&world).await;
    assert!(answer.message().full_state);
    let mut complete = world.agent().await;
    let mut line = complete.connect(&world).await;
    assert!(!line.ask(&complete.full()).await.full_state);
}

#[tokio::test]
async fn s_058_a_restarted_agent_is_heard_with_its_first_full_report() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    for number in 2..=10 {
        line.ask(&agent.at(number)).await;
    }
    agent.host = "renamed".into();
    let mut first = agent.full();
    first.sequence = 0;
    assert!(!line.ask(&first).await.full_state);
    assert_eq!(world.look(agent.id()).summary.host_name, "renamed");
    assert!(!line.ask(&agent.at(1)).await.full_state);
}

#[tokio::test]
async fn s_059_a_number_after_a_gap_is_the_new_beginning() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    assert!(line.ask(&agent.at(5)).await.full_state);
    assert!(!line.ask(&agent.full()).await.full_state);
    assert!(!line.ask(&agent.at(7)).await.full_state);
}

#[tokio::test]
async fn s_060_one_full_report_is_enough_whatever_it_lacks() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.at(5)).await.full_state);
    let mut poor = agent.full();
    poor.parts.health = None;
    assert!(!line.ask(&poor).await.full_state);
    assert!(!line.ask(&agent.compressed()).await.full_state);
    assert_eq!(world.look(agent.id()).completeness, Completeness::Incomplete);
}

#[tokio::test]
async fn s_061_a_message_that_failed_does_not_count() {
    let (disk, world) = World::on_failing_disk();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.ask(&agent.at(2)).await;
    disk.fail(true);
    let mut third = agent.reports(b"?", RemoteConfigOutcome::Failed);
    third.sequence = 3;
    assert!(line.ask(&third).await.error.is_some());
    disk.fail(false);
    world.recovered().await;
    assert!(line.ask(&agent.at(4)).await.full_state);
    line.ask(&agent.full()).await;
    let acknowledged = world.look(agent.id()).delivery.acknowledged.unwrap();
    assert_eq!(acknowledged.outcome, RemoteConfigOutcome::Failed);
    let stored = world
        .store
        .get::<muster::fleet::agent::Delivery>(&agent.id())
        .unwrap();
    assert_eq!(
        stored.unwrap().record.acknowledged,
        Some(acknowledged),
        "durable before it acts"
    );
}

#[tokio::test]
async fn s_062_a_repeated_request_gets_its_answer_once_more() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let poll = agent.clone().poll(&agent.full());
    let first = poll.send(&world).await.message();
    assert!(first.remote_config.is_some());
    assert_eq!(poll.send(&world).await.message(), first);
    let mut asked = world.agent().await;
    let poll = asked.clone().poll(&asked.at(9));
    assert!(poll.send(&world).await.message().full_state);
    assert!(poll.send(&world).await.message().full_state);
}

/// The hash that an answer offers, as far as it names the content.
fn offered(answer: &Incoming) -> Option<Vec<u8>> {
    let (_, hash) = answer.remote_config.as_ref()?;
    Some(hash[..32].to_vec())
}

#[tokio::test]
async fn s_062_a_repeated_request_gets_nothing_that_was_not_noted_before() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let poll = agent.clone().poll(&agent.full());
    let first = poll.send(&world).await.message();
    world.wants("edge", "b").await;
    let again = poll.send(&world).await.message();
    let noted = world.look(agent.id()).delivery.offered.unwrap();
    assert_ne!(offered(&again), offered(&first));
    assert_eq!(offered(&again), Some(noted.digest.0.to_vec()));
    let next = agent.clone().poll(&agent.compressed());
    assert_eq!(
        next.send(&world).await.message().remote_config,
        None,
        "it was offered"
    );
}

#[tokio::test]
async fn s_062_a_repeated_request_of_an_agent_that_is_not_served_any_more_gets_no_offer() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let poll = agent.clone().poll(&agent.full());
    assert!(poll.send(&world).await.message().remote_config.is_some());
    world
        .app
        .act(&admin(), agent.id(), &AgentAct::Archive)
        .await
        .unwrap();
    assert_eq!(poll.send(&world).await.message().remote_config, None);
}

#[tokio::test]
async fn s_063_an_equal_number_with_another_content_is_a_gap() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.ask(&agent.at(2)).await;
    let mut other = agent.at(2);
    other.parts.health = Some(agent.health(false));
    assert!(line.ask(&other).await.full_state);
}

#[tokio::test]
async fn s_064_a_bare_poll_is_no_gap_and_changes_nothing() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    line.ask(&agent.at(2)).await;
    let bare = Outgoing {
        uid: agent.uid.clone(),
        ..Outgoing::default()
    };
    assert!(is_bare(&line.ask(&bare).await));
    assert_eq!(world.look(agent.id()).sequence, Some(2));
    assert!(world.look(agent.id()).accepts_restart);
    assert!(is_bare(&line.ask(&agent.at(3)).await));
}

#[tokio::test]
async fn s_065_a_reconnect_needs_no_full_report() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.online(&world).await.close().await;
    world.until("offline", || !world.is_online(agent.id())).await;
    let mut line = agent.connect(&world).await;
    assert!(!line.ask(&agent.compressed()).await.full_state);
    assert!(world.is_online(agent.id()));
    assert_eq!(world.look(agent.id()).summary.host_name, agent.host);
}

#[tokio::test]
async fn s_066_after_a_clean_restart_nobody_is_asked_again() {
    let world = World::on_disk(Plan::default());
    let mut agents = Vec::new();
    for _ in 0..5 {
        let mut agent = world.agent().await;
        let mut line = agent.online(&world).await;
        line.ask(&agent.compressed()).await;
        agents.push(agent);
    }
    let world = world.restart().await;
    for agent in &mut agents {
        let mut line = agent.connect(&world).await;
        assert!(!line.ask(&agent.compressed()).await.full_state);
        assert_eq!(world.look(agent.id()).summary.host_name, agent.host);
    }
}

#[tokio::test]
async fn s_066_after_a_kill_only_those_are_asked_whose_reports_were_lost() {
    let quiet = Plan {
        loops: false,
        ..Plan::default()
    };
    let world = World::on_disk(quiet);
    let (mut known, mut lost) = (world.agent().await, world.agent().await);
    for agent in [&mut known, &mut lost] {
        agent.poll(&agent.clone().full()).send(&world).await.message();
        agent.sequence = 1;
    }
    world.app.flush_all().await;
    lost.clone().poll(&lost.compressed()).send(&world).await.message();
    let world = world.kill().await;
    let answer = known.clone().poll(&known.compressed()).send(&world).await;
    assert!(!answer.message().full_state);
    let answer = lost.clone().poll(&lost.compressed()).send(&world).await;
    assert!(answer.message().full_state);
}

#[tokio::test]
async fn s_066_an_agent_that_was_being_asked_is_asked_again_after_a_restart() {
    let world = World::on_disk(Plan::default());
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.at(5)).await.full_state);
    drop(line);
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert!(line.ask(&agent.compressed()).await.full_state);
}

#[tokio::test]
async fn s_067_a_flag_that_found_no_room_comes_later() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.poll(&agent.clone().full()).send(&world).await;
    agent.sequence = 1;
    world.restart_agent(&agent).await;
    let answer = agent.clone().poll(&agent.at(7)).send(&world).await.message();
    assert!(answer.restart && !answer.full_state);
    let answer = agent
        .clone()
        .poll(&agent.compressed())
        .send(&world)
        .await
        .message();
    assert!(answer.full_state && !answer.restart);
}

#[tokio::test]
async fn s_068_any_number_of_reports_may_follow_an_offer() {
    let world = World::start();
    world.wants("edge", "a").await;
    for steps in [0, 3] {
        let mut agent = world.agent_of("edge").await;
        let mut line = agent.connect(&world).await;
        let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
        for _ in 0..steps {
            let answer = line
                .ask(&agent.reports(&hash, RemoteConfigOutcome::Applying))
                .await;
            assert!(is_bare(&answer));
        }
        for _ in 0..3 {
            assert!(is_bare(&line.ask(&agent.compressed()).await));
        }
    }
}

#[tokio::test]
async fn s_069_an_agent_that_reports_after_every_message_settles() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let mut offers = 0;
    line.say(&agent.full()).await;
    for _ in 0..20 {
        // It answers every offer with the status of something else.
        offers += u32::from(line.hear().await.remote_config.is_some());
        line.say(&agent.reports(b"older", RemoteConfigOutcome::Applied))
            .await;
    }
    assert!(offers <= 3, "{offers} offers");
}

#[tokio::test]
async fn s_070_only_the_latest_state_is_delivered() {
    let world = World::start();
    world.wants("edge", "first").await;
    let mut agent = world.agent_of("edge").await;
    agent.online(&world).await.close().await;
    for number in 0..10 {
        world.wants("edge", &format!("host-{number}")).await;
    }
    let mut line = agent.connect(&world).await;
    let (content, _) = line.ask(&agent.compressed()).await.remote_config.unwrap();
    assert_eq!(content, *world.wanted(&agent).content);
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_071_every_kind_of_attribute_survives() {
    let world = World::start();
    let mut agent = world.agent().await;
    let nested = Value::Object(vec![attribute("inner")]);
    let values = vec![
        Value::Null,
        Value::String("t".into()),
        Value::Bool(false),
        Value::Int(i64::MIN),
        Value::Double(0.5),
        Value::Bytes(vec![0, 255]),
        Value::Array(vec![Value::Null, nested.clone()]),
        nested,
    ];
    let attributes = values.into_iter().enumerate().map(|(number, value)| Attribute {
        key: format!("k{number}"),
        value,
    });
    let mut message = agent.full();
    let mut description = agent.description();
    description.identifying.extend(attributes.clone());
    description.non_identifying.extend(attributes);
    message.parts.description = Some(description.clone());
    agent.connect(&world).await.ask(&message).await;
    assert_eq!(world.look(agent.id()).description, Some(description));
}

/// A status is one message among others: an agent without the bit may send one.
#[tokio::test]
async fn t_03_first_numbers_may_be_zero_or_one() {
    let world = World::start();
    for first in [0, 1] {
        let mut agent: Agent = world.agent().await.able(C::REPORTS_STATUS);
        let mut line = agent.connect(&world).await;
        let mut message = agent.full();
        message.sequence = first;
        message.parts.remote_config_status = Some(RemoteConfigStatus::default());
        assert!(!line.ask(&message).await.full_state);
        assert!(!line.ask(&agent.at(first + 1)).await.full_state);
    }
}
