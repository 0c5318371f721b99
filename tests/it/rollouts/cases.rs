//! What goes wrong in the middle of a rollout, over the real server.

use muster::app::groups::GroupEdit;
use muster::fleet::agent::{HoldReason, Intent};
use muster::fleet::rollout::Gate;
use muster::fleet::selector::Known;

use super::*;
use crate::harness::OBSERVED;

/// The hosts that are offered something within a while, once somebody is.
async fn next(hosts: &mut [Host]) -> Vec<usize> {
    for _ in 0..20 {
        let found = offered(hosts).await;
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Lets so much time pass in steps after each of which everybody says that it lives.
async fn pass_alive(world: &World, hosts: &mut [Host], steps: u32) {
    for _ in 0..steps {
        world.pass(Duration::from_secs(30));
        for host in &mut *hosts {
            host.beats().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_durable_write_and_the_send_loses_nothing_and_sends_it_once() {
    // Without the loops nobody is told what was committed.
    let world = World::on_disk(Plan {
        loops: false,
        ..Plan::default()
    });
    let mut hosts = fleet(&world, 4).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    assert_eq!(offered(&mut hosts).await, [0_usize; 0], "nothing was sent yet");
    let before = world.rollout(id).summary.rollout;
    let agents: Vec<Agent> = hosts.into_iter().map(|host| host.agent).collect();
    let world = world.kill().await;
    assert_eq!(world.rollout(id).summary.rollout, before);
    let mut told = 0;
    for mut agent in agents {
        let mut line = agent.connect(&world).await;
        let answer = line.ask(&agent.full()).await;
        told += usize::from(answer.remote_config.is_some());
        let again = line.ask(&agent.compressed()).await;
        assert_eq!(again.remote_config, None, "once");
    }
    assert_eq!(told, 1, "the canary and nobody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_remote_config_capability_is_withdrawn_is_blocked_and_holds_nobody_up() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let able = hosts[0].agent.capabilities;
    let (withdrawn, other) = ((canary + 1) % 3, (canary + 2) % 3);
    hosts[withdrawn].agent.capabilities = OBSERVED;
    hosts[withdrawn].beats().await;
    pass_alive(&world, &mut hosts, 3).await;
    assert_eq!(next(&mut hosts).await, [other]);
    says(&mut hosts[other], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
    let detail = world.rollout(id);
    let blocked = hosts[withdrawn].agent.id();
    let view = detail.agents.iter().find(|view| view.id == blocked).unwrap();
    assert_eq!(
        (view.verdict, view.reason.as_str()),
        (Verdict::Blocked, "takes no remote configuration")
    );
    assert_eq!(offered(&mut hosts).await, [0_usize; 0]);
    hosts[withdrawn].agent.capabilities = able;
    let message = hosts[withdrawn].agent.full();
    let answer = hosts[withdrawn].line.ask(&message).await;
    assert!(answer.remote_config.is_some(), "it catches up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_for_an_older_hash_that_arrives_in_the_new_stage_fails_nobody() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let old = hosts[0].agent.status.hash.clone();
    let between = publish(&world, "between", "all at once", IfRunning::Refuse)
        .await
        .unwrap();
    let all = next(&mut hosts).await;
    for number in all {
        says(&mut hosts[number], RemoteConfigOutcome::Applied).await;
    }
    world.until_state(between, &SUCCEEDED).await;
    let id = publish(&world, "second", "1; all for 60s", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = next(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &State::Running { stage: 1 }).await;
    for _ in 0..2 {
        let released = next(&mut hosts).await[0];
        let host = &mut hosts[released];
        let new = host.agent.status.hash.clone();
        host.agent.status.hash.clone_from(&old);
        says(host, RemoteConfigOutcome::Failed).await;
        host.agent.status.hash = new;
        says(host, RemoteConfigOutcome::Applied).await;
        pass_alive(&world, &mut hosts, 3).await;
    }
    world.until_state(id, &SUCCEEDED).await;
    let detail = world.rollout(id);
    assert!(
        detail.agents.iter().all(|agent| agent.verdict == Verdict::Ok),
        "{:?}",
        detail.agents
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_rollbacks_target_fails_too_that_is_told_and_nothing_more_is_sent() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "bad", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Failed).await;
    world
        .until("it turns back", || {
            matches!(world.state(id), State::RollingBack { .. })
        })
        .await;
    world.pass(Duration::from_secs(11));
    hosts[canary].beats().await;
    assert_eq!(next(&mut hosts).await, [canary], "what it had");
    says(&mut hosts[canary], RemoteConfigOutcome::Failed).await;
    world.until_state(id, &ROLLED_BACK).await;
    let detail = world.rollout(id);
    let of_canary = hosts[canary].agent.id();
    let view = detail.agents.iter().find(|view| view.id == of_canary).unwrap();
    assert_eq!(view.verdict, Verdict::Failed);
    assert!(view.reason.contains("refused what it had too"), "{}", view.reason);
    pass_alive(&world, &mut hosts, 4).await;
    assert_eq!(offered(&mut hosts).await, [0_usize; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_retry_offers_a_failed_hash_once_more_and_nothing_else_does() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let id = publish(&world, "second", "all at once", IfRunning::Refuse)
        .await
        .unwrap();
    assert_eq!(next(&mut hosts).await, [0, 1]);
    let failed = hosts[0].agent.status.hash.clone();
    says(&mut hosts[0], RemoteConfigOutcome::Failed).await;
    says(&mut hosts[1], RemoteConfigOutcome::Applied).await;
    // How long it may take to go back by itself counts from when the rollout saw it.
    world
        .until("it is seen", || {
            let agents = world.rollout(id).agents;
            agents.iter().any(|agent| agent.verdict == Verdict::Failed)
        })
        .await;
    world.pass(Duration::from_secs(11));
    hosts[0].beats().await;
    assert_eq!(next(&mut hosts).await, [0], "it is brought back");
    says(&mut hosts[0], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
    pass_alive(&world, &mut hosts, 4).await;
    let message = hosts[0].agent.full();
    let answer = hosts[0].line.ask(&message).await;
    assert_eq!(answer.remote_config, None, "not by itself");
    let agents = [hosts[0].agent.id()].into();
    world.steer(id, Act::Retry { agents }).await.unwrap();
    assert_eq!(next(&mut hosts).await, [0]);
    assert_eq!(hosts[0].agent.status.hash, failed);
    says(&mut hosts[0], RemoteConfigOutcome::Applied).await;
    world
        .until("it counts as good", || {
            world
                .rollout(id)
                .agents
                .iter()
                .all(|agent| agent.verdict == Verdict::Ok)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_metrics_the_throughput_gate_is_shown_as_skipped_and_holds_nobody_up() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let detail = world.rollout(id);
    let gate = detail.gates.iter().find(|gate| gate.gate == Gate::Throughput);
    let gate = gate.unwrap();
    assert!(gate.skipped);
    assert_eq!((gate.passed, gate.waiting, gate.failed), (0, 0, 0));
    pass_alive(&world, &mut hosts, 3).await;
    world.until_state(id, &State::Running { stage: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_last_layer_in_the_middle_ends_the_rollout_in_a_hold_and_blanks_nobody() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let edit = GroupEdit {
        layers: Some(Vec::new()),
        ..GroupEdit::default()
    };
    world
        .app
        .intentions
        .edit_group(&admin(), "edge", edit, None, |_| Known::Neither)
        .await
        .unwrap();
    let aborted = State::Ended { how: Ended::Aborted };
    assert_eq!(world.state(id), aborted);
    pass_alive(&world, &mut hosts, 4).await;
    assert_eq!(offered(&mut hosts).await, [0_usize; 0]);
    for host in &mut hosts {
        let message = host.agent.full();
        assert_eq!(host.line.ask(&message).await.remote_config, None);
        let registration = world.look(host.agent.id()).registration;
        let wanted = world.app.intentions.desired(&registration).config;
        assert_eq!(wanted, Intent::Hold(HoldReason::NothingLeft));
    }
}
