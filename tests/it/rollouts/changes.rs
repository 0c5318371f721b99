//! Agents and groups that change in the middle of a rollout.

use std::time::Duration;

use muster::app::agents::AgentAct;
use muster::app::configs::NewConfig;
use muster::app::publish::{IfRunning, Publish};
use muster::app::rollouts::Verdict;
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::Content;
use muster::fleet::name::Name;
use muster::fleet::rollout::{Ended, State};
use muster::fleet::target::{LayerRef, Member};

use super::moves::{next_offered, offered_soon};
use super::{Host, SUCCEEDED, fleet, offered, publish, publish_layers, says};
use crate::harness::{OBSERVED, World, admin, collector, fresh_uid, text};

const NOBODY: [usize; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_deleted_in_the_middle_of_a_rollout_ends_it_and_hosts_keep_what_they_run() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let fleet = world.app.fleet();
    let intentions = &world.app.intentions;
    let refused = intentions
        .delete_group(&admin(), "edge", None, false, &fleet)
        .await;
    assert!(refused.is_err(), "it has agents, and that wasn't said");
    let deleted = intentions
        .delete_group(&admin(), "edge", None, true, &fleet)
        .await;
    assert_eq!(deleted.unwrap().members, 3);
    assert_eq!(world.state(id), State::Ended { how: Ended::Aborted });
    for host in &hosts {
        let agent = host.agent.id();
        world
            .until("it is in no group", || world.group_of(agent) == "unassigned")
            .await;
        let observed = muster::fleet::agent::Verdict::ObserveOnly;
        assert_eq!(world.standing(agent), observed);
    }
    world.pass(Duration::from_mins(10));
    for host in &mut hosts {
        host.beats().await;
    }
    assert_eq!(offered(&mut hosts).await, NOBODY);
    assert_eq!(world.state(id), State::Ended { how: Ended::Aborted });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_archived_and_restored_in_the_middle_of_a_rollout_has_its_turn() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let away = (canary + 1) % 3;
    let agent = hosts[away].agent.id();
    world.app.act(&admin(), agent, &AgentAct::Archive).await.unwrap();
    world.pass(Duration::from_secs(61));
    for host in &mut hosts {
        host.beats().await;
    }
    let next = next_offered(&mut hosts).await;
    assert_eq!(next, [(canary + 2) % 3], "nothing is sent to who was put away");
    let members = world.rollout(id).agents;
    let member = members.iter().find(|member| member.id == agent).unwrap();
    assert_eq!(member.verdict, Verdict::Left);
    world.app.act(&admin(), agent, &AgentAct::Restore).await.unwrap();
    says(&mut hosts[next[0]], RemoteConfigOutcome::Applied).await;
    assert_eq!(next_offered(&mut hosts).await, [away]);
    says(&mut hosts[away], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_re_keyed_in_the_middle_of_a_rollout_is_given_the_same_and_proves_it_anew() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    let hash = hosts[canary].agent.status.hash.clone();
    // The host is made anew and comes back with the credential, another uid, and nothing.
    let mut agent = hosts[canary].agent.clone();
    let record = agent.id();
    let Host { line, .. } = hosts.remove(canary);
    line.close().await;
    world.until("it is gone", || !world.is_online(record)).await;
    agent.uid = fresh_uid();
    (agent.sequence, agent.status) = (0, muster::fleet::agent::report::RemoteConfigStatus::default());
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    assert_eq!(answer.error, None);
    let (_, again) = answer.remote_config.expect("what it is to have");
    assert_eq!(again, hash, "the new content: its turn had come");
    assert_eq!(world.state(id), State::Running { stage: 0 });
    line.ask(&agent.reports(&again, RemoteConfigOutcome::Applied))
        .await;
    world.pass(Duration::from_secs(61));
    line.ask(&agent.compressed()).await;
    hosts[0].beats().await;
    assert_eq!(next_offered(&mut hosts).await, [0], "it proved the content");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_re_keyed_before_its_turn_is_given_what_it_had() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let before = hosts[0].agent.status.hash.clone();
    publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    let other = 1 - canary;
    let mut agent = hosts[other].agent.clone();
    let record = agent.id();
    let Host { line, .. } = hosts.remove(other);
    line.close().await;
    world.until("it is gone", || !world.is_online(record)).await;
    agent.uid = fresh_uid();
    (agent.sequence, agent.status) = (0, muster::fleet::agent::report::RemoteConfigStatus::default());
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    let (_, given) = answer.remote_config.expect("what it is to have");
    assert_eq!(given, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_re_labelled_in_the_middle_of_a_rollout_is_sent_what_was_frozen() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let label = |value: &str| AgentAct::Label {
        set: [("port".to_owned(), value.to_owned())].into(),
        remove: Vec::new(),
    };
    for host in &hosts {
        world
            .app
            .act(&admin(), host.agent.id(), &label("1111"))
            .await
            .unwrap();
    }
    let new = NewConfig {
        name: "varied".into(),
        description: String::new(),
        content: Content::Yaml(collector("here:${muster:label.port}")),
        message: String::new(),
        allow_blank: false,
    };
    world.app.intentions.create_config(&admin(), new).await.unwrap();
    let layers = LayerRef::list("varied@1").unwrap();
    let id = publish_layers(&world, "edge", layers, "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    for host in &hosts {
        world
            .app
            .act(&admin(), host.agent.id(), &label("2222"))
            .await
            .unwrap();
    }
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    world.pass(Duration::from_secs(61));
    for host in &mut hosts {
        host.beats().await;
    }
    let next = next_offered(&mut hosts).await;
    assert_eq!(next, [1 - canary]);
    says(&mut hosts[next[0]], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
    for host in &hosts {
        let offer = world.wanted(&host.agent);
        let body = String::from_utf8(offer.content.files[""].body.clone()).unwrap();
        assert!(body.contains("here:1111"), "{body}");
    }
    let group = world.app.intentions.group(&admin(), "edge", &world.app.fleet());
    assert_eq!(group.unwrap().summary.changed_inputs, 2, "and that is told");
    assert_eq!(offered(&mut hosts).await, NOBODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_upgraded_in_the_middle_of_a_rollout_doesnt_fail_for_its_restart() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    // The package manager replaces the program, which starts anew and says so.
    let mut agent = hosts[canary].agent.clone();
    let record = agent.id();
    let Host { line, .. } = hosts.remove(canary);
    line.close().await;
    world.until("it is gone", || !world.is_online(record)).await;
    world.pass(Duration::from_secs(20));
    agent.sequence = 0;
    let mut line = agent.connect(&world).await;
    let mut message = agent.full();
    let description = message.parts.description.as_mut().unwrap();
    description.identifying[1] = text("service.version", "1.3.0");
    let health = message.parts.health.as_mut().unwrap();
    health.started_at = Some(world.clock.now());
    let answer = line.ask(&message).await;
    assert_eq!((answer.error, answer.remote_config), (None, None));
    // It stays well for a minute since that was noticed.
    let mut next = Vec::new();
    for _ in 0..3 {
        world.pass(Duration::from_secs(61));
        line.ask(&agent.compressed()).await;
        hosts[0].beats().await;
        next = offered_soon(&mut hosts).await;
        if !next.is_empty() {
            break;
        }
    }
    assert_eq!(next, [0], "the canary proved the content");
    says(&mut hosts[0], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
    let member = world.rollout(id).agents;
    assert!(
        member.iter().all(|member| member.verdict == Verdict::Ok),
        "{member:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_takes_no_configurations_after_an_upgrade_holds_nobody_up() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    let other = (canary + 1) % 3;
    hosts[other].agent.capabilities = OBSERVED;
    let message = hosts[other].agent.full();
    hosts[other].line.ask(&message).await;
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let next = next_offered(&mut hosts).await;
    assert_eq!(next, [(canary + 2) % 3]);
    says(&mut hosts[next[0]], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
    let agents = world.rollout(id).agents;
    let blocked = agents.iter().find(|agent| agent.verdict == Verdict::Blocked);
    assert_eq!(blocked.unwrap().reason, "takes no remote configuration");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_groups_in_the_middle_of_a_rollout_and_afterwards_they_move_with_what_they_have() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    world.wants("elsewhere", "elsewhere").await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let second = world.wanted(&hosts[canary].agent).stamp;
    let agent = hosts[canary].agent.id();
    world.pin(&hosts[canary], "elsewhere").await;
    assert_eq!(world.look(agent).registration.group, Name::slug("edge"));
    world.steer(id, muster::fleet::rollout::Act::Abort).await.unwrap();
    world
        .until("it is in its new group", || world.group_of(agent) == "elsewhere")
        .await;
    assert_eq!(world.wanted(&hosts[canary].agent).stamp, second);
    world.pass(Duration::from_secs(3));
    assert_eq!(next_offered(&mut hosts).await, [canary], "by a move of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_moves_while_its_old_group_is_published_to_waits_for_its_turn_in_the_new() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    world.wants("core", "theirs").await;
    // Who is there was listed before the publication could begin.
    let listed: Vec<Member> = world
        .app
        .fleet()
        .into_iter()
        .map(|agent| Member {
            agent,
            online: true,
            lacks: Vec::new(),
        })
        .collect();
    world.pin(&hosts[0], "core").await;
    assert_eq!(waiting(&world), 1);
    let new = NewConfig {
        name: "second".into(),
        description: String::new(),
        content: Content::Yaml(collector("second:4317")),
        message: String::new(),
        allow_blank: false,
    };
    let intentions = &world.app.intentions;
    intentions.create_config(&admin(), new).await.unwrap();
    let wish = Publish {
        group: "edge".into(),
        layers: vec![LayerRef {
            config: Name::slug("second"),
            revision: 1,
        }],
        message: String::new(),
        expected_revision: None,
        confirm: Some(2),
        allow_blank: false,
        strategy: Some("all at once".parse().unwrap()),
        if_running: IfRunning::Refuse,
    };
    let published = intentions.publish(&admin(), wish, &listed).await.unwrap();
    let members = world.rollout(published.rollout.unwrap()).agents;
    let ids: Vec<_> = members.iter().map(|member| member.id).collect();
    assert_eq!(ids, [hosts[1].agent.id()]);
    assert_eq!(
        next_offered(&mut hosts).await,
        [1],
        "the other has to wait for its turn"
    );
    assert_eq!(waiting(&world), 1);
}

/// How many agents wait to move to `core`.
fn waiting(world: &World) -> usize {
    let moves = world.app.group_moves(&admin(), "core").unwrap();
    moves.pending.len()
}
