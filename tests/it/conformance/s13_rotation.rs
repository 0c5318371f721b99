//! The exchange of a credential: two are accepted while it lasts, and nobody is ever left outside.

use std::time::Duration;

use muster::app::agents::{AgentAct, Rotation};
use muster::app::error::Error;
use muster::fleet::agent::Happening;
use muster::fleet::agent::health::Condition;
use muster::fleet::agent::report::RemoteConfigOutcome::Applied;
use muster::fleet::identity::Purpose;
use muster::opamp::client::Outgoing;

use super::s04_exchange::is_bare;
use super::s13_connection::{TAKES, connection, offered};
use crate::harness::{Agent, Plan, World, admin, bearer_of, caps::C};

/// An agent that uses the credential that it was offered and is away for a moment, and the same as it was before.
async fn rotated(world: &World) -> (Agent, Agent) {
    let (before, line, offer) = offered(world, TAKES).await;
    drop(line);
    let mut agent = before.clone();
    agent.take(&offer);
    let mut line = agent.connect(world).await;
    assert_eq!(line.ask(&agent.full()).await.error, None);
    drop(line);
    // As long as the server has the line, it is what an offer goes out on.
    let id = agent.id();
    world.until("it is away", || !world.is_online(id)).await;
    (agent, before)
}

#[tokio::test]
async fn s_212_the_old_credential_works_until_the_new_one_was_used() {
    let world = World::start();
    world.wants("edge", "first").await;
    let (mut agent, mut line, offer) = offered(&world, TAKES).await;
    let pin = AgentAct::Pin {
        group: muster::fleet::name::Name::slug("edge"),
        reason: String::new(),
        until: None,
    };
    // Two are accepted: the old one gets whatever is wanted.
    world.app.act(&admin(), agent.id(), &pin).await.unwrap();
    let (_, hash) = line.hear().await.remote_config.expect("all as before");
    assert!(is_bare(&line.ask(&agent.reports(&hash, Applied)).await));
    let mut old = agent.clone();
    agent.take(&offer);
    let mut line = agent.connect(&world).await;
    assert!(is_bare(&line.ask(&agent.full()).await));
    // From now on the old one is good for coming back: acknowledged, offered the present one, and nothing else.
    world.wants("edge", "second").await;
    assert!(line.hear().await.remote_config.is_some());
    let mut back = old.connect(&world).await;
    old.sequence = 0;
    let answer = back.ask(&old.full()).await;
    assert_eq!(answer.error, None);
    assert_eq!(connection(answer.clone()), offer);
    assert!(answer.remote_config.is_none() && !answer.full_state && !answer.restart);
    world.restart_agent(&old).await;
    assert!(is_bare(&back.ask(&old.compressed()).await), "no command either");
    assert_eq!(world.identity(&agent).rotation, Rotation::Recovering);
    let purposes: Vec<_> = world
        .identity(&agent)
        .credentials
        .iter()
        .map(|known| known.purpose)
        .collect();
    let since = world.clock.now();
    assert_eq!(
        purposes,
        [Purpose::Main, Purpose::Recovery { since, until: None }]
    );
}

#[tokio::test]
async fn s_213_whoever_returns_with_the_old_credential_is_served_as_before() {
    let world = World::start();
    world.wants("edge", "first").await;
    let mut agent = world.agent_of("edge").await.able(TAKES);
    let mut line = agent.connect(&world).await;
    let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
    assert!(is_bare(&line.ask(&agent.reports(&hash, Applied)).await));
    world.rotate(&agent).await;
    connection(line.hear().await);
    drop(line);
    let mut line = agent.connect(&world).await;
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    world.wants("edge", "second").await;
    assert!(line.hear().await.remote_config.is_some());
    // The candidate stays: the agent may hold it and be about to use it.
    assert!(matches!(
        world.identity(&agent).rotation,
        Rotation::Offered { times: 1, .. }
    ));
    // After a restart of the agent it is told once more.
    agent.sequence = 0;
    agent.status.hash = world.wanted(&agent).hash.to_vec();
    let mut line = agent.connect(&world).await;
    connection(line.ask(&agent.full()).await);
    // Never used, it lapses.
    world.pass(Duration::from_hours(24 * 31));
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    assert!(matches!(world.identity(&agent).rotation, Rotation::Lapsed { .. }));
}

#[tokio::test]
async fn s_214_an_agent_is_not_sent_where_it_could_not_verify_us() {
    let mut plan = Plan::default();
    plan.app.connection.names = muster::pki::Names::default();
    let world = World::with(plan);
    let mut agent = world.agent().await.able(TAKES);
    let mut line = agent.online(&world).await;
    let refused = world.app.act(&admin(), agent.id(), &AgentAct::Rotate).await;
    assert!(matches!(refused, Err(Error::Conflict(why)) if why.contains("certificate")));
    assert!(is_bare(&line.ask(&agent.compressed()).await));
}

#[tokio::test]
async fn s_215_an_agent_that_forgot_what_it_was_offered_comes_back_any_number_of_times() {
    let world = World::on_disk(Plan::default());
    let (mut agent, before) = rotated(&world).await;
    let mut world = world.restart().await;
    for _ in 0..4 {
        // Its file's credential, as a Supervisor after its restart.
        let mut restarted = before.clone();
        restarted.sequence = 0;
        let mut line = restarted.connect(&world).await;
        let offer = connection(line.ask(&restarted.full()).await);
        assert!(
            is_bare(&line.ask(&restarted.compressed()).await),
            "once per connection"
        );
        drop(line);
        agent.take(&offer);
        let mut line = agent.connect(&world).await;
        assert_eq!(line.ask(&agent.full()).await.connection, None, "no loop");
        drop(line);
        world = world.restart().await;
    }
    assert!(world.story(agent.id()).contains(&Happening::CameToRecover));
}

#[tokio::test]
async fn an_agent_that_comes_back_is_offered_one_even_if_the_present_one_can_not_be_had_any_more() {
    let world = World::on_disk(Plan::default());
    let (agent, before) = rotated(&world).await;
    // A later one that it never heard of lapses: the one before is offered.
    world.rotate(&agent).await;
    world.pass(Duration::from_hours(24 * 31));
    let mut back = before.clone();
    back.sequence = 0;
    let mut line = back.connect(&world).await;
    let offer = connection(line.ask(&back.full()).await);
    assert_eq!(bearer_of(&offer), agent.credential);
    drop(line);
    // With another key in the data folder no secret can be derived again: a new one is made, once.
    let world = world.restart_with_key([8; 32]).await;
    back.sequence = 0;
    let mut line = back.connect(&world).await;
    let offer = connection(line.ask(&back.full()).await);
    assert!(![&agent.credential, &before.credential].contains(&&bearer_of(&offer)));
    drop(line);
    back.sequence = 0;
    let mut line = back.connect(&world).await;
    assert_eq!(connection(line.ask(&back.full()).await), offer);
    back.take(&offer);
    let mut line = back.connect(&world).await;
    assert_eq!(line.ask(&back.full()).await.connection, None);
}

#[tokio::test]
async fn an_agent_that_does_not_take_the_present_credential_is_seen() {
    let world = World::start();
    let (_, mut back) = rotated(&world).await;
    back.sequence = 0;
    let mut line = back.connect(&world).await;
    connection(line.ask(&back.full()).await);
    let condition = |world: &World| world.look(back.id()).summary.status.condition;
    assert_eq!(condition(&world), Condition::InProgress);
    world.pass(Duration::from_mins(3));
    assert_eq!(condition(&world), Condition::Degraded);
    let troubles = world.app.overview(&admin()).unwrap().troubles;
    assert!(format!("{troubles:?}").contains("Recovering"), "{troubles:?}");
}

#[tokio::test]
async fn s_217_the_goodbye_after_an_offer_is_planned() {
    let world = World::start();
    let (mut agent, mut line, offer) = offered(&world, TAKES).await;
    let goodbye = Outgoing {
        disconnect: true,
        ..agent.compressed()
    };
    line.ask(&goodbye).await;
    let seen = world.look(agent.id()).summary;
    assert!(!seen.presence.is_online());
    assert_eq!(seen.status.condition, Condition::InProgress, "{:?}", seen.status);
    let troubles = world.app.overview(&admin()).unwrap().troubles;
    assert!(
        troubles
            .iter()
            .all(|trouble| !format!("{trouble:?}").contains("Offline")),
        "{troubles:?}"
    );
    agent.take(&offer);
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    assert!(answer.new_uid.is_none() && answer.error.is_none() && !answer.full_state);
    // One that doesn't come back is missed after a while.
    let (mut lost, mut line, _) = offered(&world, TAKES).await;
    let goodbye = Outgoing {
        disconnect: true,
        ..lost.compressed()
    };
    line.ask(&goodbye).await;
    world.pass(Duration::from_mins(3));
    assert_eq!(world.look(lost.id()).summary.status.condition, Condition::Down);
}

#[tokio::test]
async fn a_replaced_credential_reaches_nobody_but_its_own_agent() {
    let world = World::start();
    let (mut agent, before) = rotated(&world).await;
    let mut other = world.agent().await;
    other.online(&world).await;
    // Another agent's uid, and one that nobody has while its own agent is there.
    let _line = agent.online(&world).await;
    for uid in [other.uid.clone(), before.sibling().uid] {
        let mut odd = before.clone();
        odd.uid = uid;
        let answer = odd.poll(&odd.clone().full()).send(&world).await.message();
        assert!(answer.error.is_some());
        assert!(
            answer.connection.is_none(),
            "a stranger is not told the present credential"
        );
    }
    assert_eq!(world.app.fleet().len(), 2, "it makes no records");
    assert!(world.acts().contains(&"credential.foreign_uid".to_owned()));
}

#[tokio::test]
async fn a_revocation_of_the_agent_kills_all_its_credentials() {
    let world = World::start();
    let (agent, before) = rotated(&world).await;
    world.rotate(&agent).await;
    let mut line = agent.connect(&world).await;
    let candidate = connection(line.ask(&agent.clone().compressed()).await);
    let revoke = AgentAct::Revoke;
    world.app.act(&admin(), agent.id(), &revoke).await.unwrap();
    assert_eq!(line.closed().await, Some(1008));
    let mut third = agent.clone();
    third.take(&candidate);
    for dead in [&agent, &before, &third] {
        assert!(dead.connect_or_refusal(&world).await.is_err());
        assert_eq!(dead.poll(&dead.clone().full()).send(&world).await.status, 401);
    }
}

#[tokio::test]
async fn a_recovery_credential_is_revoked_alone() {
    let world = World::start();
    let (agent, before) = rotated(&world).await;
    let ada = admin();
    world
        .app
        .revoke_credential(&ada, before.credential_id)
        .await
        .unwrap();
    assert!(before.connect_or_refusal(&world).await.is_err());
    let mut line = agent.connect(&world).await;
    assert!(is_bare(&line.ask(&agent.clone().compressed()).await));
}

#[tokio::test]
async fn one_credential_after_the_other_leaves_the_enrolled_one_good_for_coming_back() {
    let world = World::start();
    let (mut agent, mut before) = rotated(&world).await;
    let second = agent.clone();
    world.rotate(&agent).await;
    let mut line = agent.connect(&world).await;
    let offer = connection(line.ask(&agent.compressed()).await);
    agent.take(&offer);
    let mut line = agent.connect(&world).await;
    assert_eq!(line.ask(&agent.full()).await.connection, None);
    // The enrolled one and the one in between both lead to the present one; the latter only for a while.
    before.sequence = 0;
    for mut old in [before.clone(), second.clone()] {
        let answer = old.connect(&world).await.ask(&old.full()).await;
        assert_eq!(connection(answer), offer);
    }
    world.pass(Duration::from_hours(24 * 31));
    assert!(second.connect_or_refusal(&world).await.is_err());
    assert!(before.connect_or_refusal(&world).await.is_ok());
}

#[tokio::test]
async fn every_act_on_a_credential_is_in_the_audit_log() {
    let world = World::start();
    rotated(&world).await;
    let acts = world.acts();
    for act in ["agent.rotate", "credential.take_up"] {
        assert_eq!(acts.iter().filter(|known| *known == act).count(), 1, "{acts:?}");
    }
}

#[tokio::test]
async fn agents_behind_a_gateway_are_not_given_credentials_one_by_one() {
    let world = World::start();
    let mut gateway = world.gateway(None, 5).await.able(TAKES.with(C::REPORTS_OWN_LOGS));
    gateway.online(&world).await;
    let id = world.record_of(&gateway.uid).unwrap();
    let refused = world.app.act(&admin(), id, &AgentAct::Rotate).await;
    assert!(matches!(refused, Err(Error::Conflict(why)) if why.contains("other agents")));
}
