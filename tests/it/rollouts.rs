//! Rollouts over the real server: stages, gates, the way back, kills in the middle, and what operators do.

mod cases;
mod changes;
mod moves;

use std::time::Duration;

use muster::app::agents::AgentAct;
use muster::app::configs::NewConfig;
use muster::app::error::Error;
use muster::app::publish::{IfRunning, Publish};
use muster::app::rollouts::{RolloutDetail, Steer, Verdict};
use muster::app::terms::OnTerms;
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::Content;
use muster::fleet::ids::RolloutId;
use muster::fleet::name::Name;
use muster::fleet::rollout::{Act, Ended, Pause, State, Strategy};
use muster::fleet::target::LayerRef;

use crate::harness::{Agent, Line, Plan, World, admin, collector};

const SUCCEEDED: State = State::Ended {
    how: Ended::Succeeded,
};
const ROLLED_BACK: State = State::Ended {
    how: Ended::RolledBack,
};

/// A connected agent.
struct Host {
    agent: Agent,
    line: Line,
}

impl Host {
    /// Says that it lives.
    async fn beats(&mut self) {
        let beat = self.agent.compressed();
        self.line.ask(&beat).await;
    }
}

/// A group `edge` whose agents all run its first content.
async fn fleet(world: &World, count: usize) -> Vec<Host> {
    world.wants("edge", "first").await;
    let mut hosts = Vec::new();
    for _ in 0..count {
        let mut agent = world.agent_of("edge").await;
        let mut line = agent.connect(world).await;
        let answer = line.ask(&agent.full()).await;
        let (_, hash) = answer.remote_config.expect("an offer at first contact");
        line.ask(&agent.reports(&hash, RemoteConfigOutcome::Applied))
            .await;
        hosts.push(Host { agent, line });
    }
    hosts
}

/// Publishes another content to the group.
async fn publish(
    world: &World,
    letters: &str,
    strategy: &str,
    if_running: IfRunning,
) -> Result<RolloutId, Error> {
    let new = NewConfig {
        name: letters.into(),
        description: String::new(),
        content: Content::Yaml(collector(&format!("{letters}:4317"))),
        message: String::new(),
        allow_blank: false,
    };
    world.app.intentions.create_config(&admin(), new).await?;
    let layers = vec![LayerRef {
        config: Name::slug(letters),
        revision: 1,
    }];
    publish_layers(world, "edge", layers, strategy, if_running).await
}

/// Publishes layers to a group.
async fn publish_layers(
    world: &World,
    group: &str,
    layers: Vec<LayerRef>,
    strategy: &str,
    if_running: IfRunning,
) -> Result<RolloutId, Error> {
    let preview = world.app.impact(&admin(), group, &layers)?;
    let publish = Publish {
        group: group.into(),
        layers,
        message: String::new(),
        expected_revision: None,
        confirm: preview.impact.confirmation.map(|confirmation| confirmation.count),
        allow_blank: false,
        strategy: Some(strategy.parse::<Strategy>().unwrap()),
        if_running,
    };
    let published = world.app.publish(&admin(), publish).await?;
    Ok(published.rollout.unwrap())
}

impl World {
    fn rollout(&self, id: RolloutId) -> RolloutDetail {
        self.app.rollout(&admin(), id).unwrap()
    }

    fn state(&self, id: RolloutId) -> State {
        self.rollout(id).summary.rollout.state
    }

    async fn steer(&self, id: RolloutId, act: Act) -> Result<State, Error> {
        let steer = Steer {
            act,
            reason: "for the tests".into(),
        };
        self.app.steer_rollout(&admin(), id, &steer).await
    }

    async fn until_state(&self, id: RolloutId, state: &State) {
        self.until(&format!("{state:?}"), || self.state(id) == *state)
            .await;
    }
}

/// The hosts that are offered something now; the others hear nothing.
async fn offered(hosts: &mut [Host]) -> Vec<usize> {
    let mut found = Vec::new();
    for (number, host) in hosts.iter_mut().enumerate() {
        let heard = host.line.hears_within(Duration::from_millis(150)).await;
        if let Some((_, hash)) = heard.and_then(|heard| heard.remote_config) {
            host.agent.status.hash = hash;
            found.push(number);
        }
    }
    found
}

/// A host says what became of what it was offered last.
async fn says(host: &mut Host, outcome: RemoteConfigOutcome) {
    let hash = host.agent.status.hash.clone();
    host.line.say(&host.agent.reports(&hash, outcome)).await;
    host.line.hear().await;
}

async fn say_health(host: &mut Host, healthy: bool) {
    let mut message = host.agent.compressed();
    message.parts.health = Some(host.agent.health(healthy));
    host.line.ask(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_reaches_the_canary_first_and_the_others_once_it_proved_itself() {
    let world = World::start();
    let mut hosts = fleet(&world, 4).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let first = offered(&mut hosts).await;
    assert_eq!(first.len(), 1, "one canary");
    let canary = first[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    world.pass(Duration::from_secs(30));
    hosts[canary].beats().await;
    assert_eq!(
        offered(&mut hosts).await,
        [0_usize; 0],
        "it must stay well for a minute"
    );
    assert_eq!(world.state(id), State::Running { stage: 0 });
    world.pass(Duration::from_secs(40));
    hosts[canary].beats().await;
    // One at a time, since of four agents one may be at risk.
    for _ in 0..3 {
        let mut next = Vec::new();
        for _ in 0..20 {
            next = offered(&mut hosts).await;
            if !next.is_empty() {
                break;
            }
        }
        assert_eq!(next.len(), 1);
        says(&mut hosts[next[0]], RemoteConfigOutcome::Applied).await;
    }
    world.until_state(id, &SUCCEEDED).await;
    let group = world.app.intentions.group(&admin(), "edge", &[]).unwrap();
    assert_eq!(
        group.summary.group.target,
        Some(world.rollout(id).summary.rollout.target)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_group_stops_its_rollout_where_it_is_and_a_held_agent_is_left_out() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let intentions = &world.app.intentions;
    let terms = OnTerms::of("a fair", None);
    intentions
        .hold_group(&admin(), "edge", terms, None)
        .await
        .unwrap();
    world.pass(Duration::from_mins(3));
    for host in &mut hosts {
        host.beats().await;
    }
    assert_eq!(offered(&mut hosts).await, [0_usize; 0]);
    assert_eq!(world.state(id), State::Running { stage: 0 });
    let other = (canary + 1) % 3;
    let hold = AgentAct::Hold {
        reason: String::new(),
        until: None,
    };
    let other_id = hosts[other].agent.id();
    world.app.act(&admin(), other_id, &hold).await.unwrap();
    intentions.release_group(&admin(), "edge", None).await.unwrap();
    for host in &mut hosts {
        host.beats().await;
    }
    let mut next = Vec::new();
    for _ in 0..20 {
        next = offered(&mut hosts).await;
        if !next.is_empty() {
            break;
        }
    }
    let last = (canary + 2) % 3;
    assert_eq!(next, [last], "neither the canary once more, nor who is held");
    says(&mut hosts[last], RemoteConfigOutcome::Applied).await;
    assert!(offered(&mut hosts).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_refuses_stops_everything_and_is_brought_back() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let before = world
        .app
        .intentions
        .group(&admin(), "edge", &[])
        .unwrap()
        .summary
        .group
        .target;
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
    world
        .until("it is brought back", || {
            let agents = world.rollout(id).agents;
            agents
                .iter()
                .any(|agent| agent.verdict == Verdict::Failed && agent.reason.contains("brought back"))
        })
        .await;
    says_what_it_is_offered(&mut hosts[canary]).await;
    world.until_state(id, &ROLLED_BACK).await;
    assert_eq!(offered(&mut hosts).await, [0_usize; 0]);
    let group = world.app.intentions.group(&admin(), "edge", &[]).unwrap();
    assert_eq!(group.summary.group.target, before);
    let acts = world.acts();
    assert!(acts.contains(&"rollout.roll_back".to_owned()), "{acts:?}");
}

/// Takes whatever it is offered.
async fn says_what_it_is_offered(host: &mut Host) {
    for _ in 0..20 {
        if let Some((_, hash)) = host
            .line
            .hears_within(Duration::from_millis(100))
            .await
            .and_then(|heard| heard.remote_config)
        {
            host.line
                .ask(&host.agent.reports(&hash, RemoteConfigOutcome::Applied))
                .await;
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_reports_applied_for_the_old_hash_after_its_own_rollback_is_told_nothing_more() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let old = hosts[0].agent.status.hash.clone();
    let id = publish(&world, "bad", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Failed).await;
    world.pass(Duration::from_secs(1));
    hosts[canary].agent.status.hash = old;
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &ROLLED_BACK).await;
    assert_eq!(offered(&mut hosts).await, [0_usize; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_applied_and_is_unhealthy_fails_after_the_grace() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "lie", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    say_health(&mut hosts[canary], false).await;
    world.pass(Duration::from_secs(31));
    let host = &mut hosts[canary];
    host.line.say(&host.agent.compressed()).await;
    world
        .until("it turns back", || {
            !matches!(world.state(id), State::Running { .. })
        })
        .await;
    let delivery = world.look(hosts[canary].agent.id());
    assert_eq!(world.rollout(id).agents[0].verdict, Verdict::Failed);
    assert!(
        world.rollout(id).agents[0]
            .reason
            .starts_with("Unhealthy with it"),
        "{delivery:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publication_is_refused_queued_or_takes_the_firsts_place() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let first = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let refused = publish(&world, "third", "1 for 60s; all", IfRunning::Refuse).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let queued = publish(&world, "fourth", "all", IfRunning::Queue).await.unwrap();
    assert_eq!(world.state(queued), State::Queued);
    let again = publish(&world, "fifth", "all", IfRunning::Queue).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    assert_eq!(offered(&mut hosts).await.len(), 1);
    world.steer(first, Act::Abort).await.unwrap();
    world
        .until("the queued one begins", || world.state(queued) != State::Queued)
        .await;
    let replacing = publish(&world, "sixth", "1 for 60s; all", IfRunning::Replace)
        .await
        .unwrap();
    assert_eq!(
        world.state(queued),
        State::Ended {
            how: Ended::Superseded
        }
    );
    assert_eq!(world.state(replacing), State::Running { stage: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_pauses_resumes_promotes_and_rolls_back() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let id = publish(&world, "second", "1 for 1h; all for 1h", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let why = Pause::Operator;
    assert_eq!(
        world.steer(id, Act::Pause).await.unwrap(),
        State::Paused { stage: 0, why }
    );
    assert!(world.steer(id, Act::Pause).await.is_err());
    world.steer(id, Act::Resume).await.unwrap();
    world.steer(id, Act::Promote).await.unwrap();
    world.until_state(id, &State::Running { stage: 1 }).await;
    let next = offered(&mut hosts).await;
    assert_eq!(next.len(), 1, "one at risk at a time");
    world.steer(id, Act::RollBack).await.unwrap();
    says_what_it_is_offered(&mut hosts[canary]).await;
    says_what_it_is_offered(&mut hosts[next[0]]).await;
    world.until_state(id, &ROLLED_BACK).await;
    let history = world.rollout(id).summary.rollout.history;
    assert!(
        history
            .iter()
            .any(|step| step.by == "ada" && step.note == "for the tests")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_stage_resumes_and_tells_nobody_twice() {
    let world = World::on_disk(Plan::default());
    let mut hosts = fleet(&world, 4).await;
    let id = publish(&world, "second", "1; all for 60s", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &State::Running { stage: 1 }).await;
    let second = offered(&mut hosts).await;
    assert_eq!(second.len(), 1);
    says(&mut hosts[second[0]], RemoteConfigOutcome::Applied).await;
    let mut agents: Vec<Agent> = hosts.into_iter().map(|host| host.agent).collect();
    let before = world.rollout(id);
    let world = world.kill().await;
    let after = world.rollout(id);
    assert_eq!(before.summary.rollout, after.summary.rollout);
    let mut hosts = Vec::new();
    for mut agent in agents.drain(..) {
        let mut line = agent.connect(&world).await;
        let answer = line.ask(&agent.full()).await;
        assert_eq!(answer.remote_config, None, "everybody has what they should have");
        hosts.push(Host { agent, line });
    }
    assert_eq!(
        offered(&mut hosts).await,
        [0_usize; 0],
        "the second one still proves itself"
    );
    world.pass(Duration::from_secs(70));
    hosts[second[0]].beats().await;
    let mut third = Vec::new();
    for _ in 0..20 {
        third.extend(offered(&mut hosts).await);
    }
    assert_eq!(third.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_offline_catches_up_and_one_with_its_own_target_is_left_alone() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let away = hosts.pop().unwrap();
    let mut agent = away.agent.clone();
    drop(away);
    world.until("it is gone", || !world.is_online(agent.id())).await;
    let id = publish(&world, "second", "1; all", IfRunning::Refuse)
        .await
        .unwrap();
    for _ in 0..2 {
        let mut next = Vec::new();
        for _ in 0..20 {
            next.extend(offered(&mut hosts).await);
            if !next.is_empty() {
                break;
            }
        }
        says(&mut hosts[next[0]], RemoteConfigOutcome::Applied).await;
    }
    assert_eq!(
        world.state(id),
        State::Running { stage: 1 },
        "it is waited for, for a while"
    );
    for _ in 0..2 {
        world.pass(Duration::from_secs(65));
        for host in &mut hosts {
            host.beats().await;
        }
    }
    world.until_state(id, &SUCCEEDED).await;
    assert_eq!(world.rollout(id).summary.total.blocked, 1);
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    assert!(answer.remote_config.is_some(), "it catches up");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_to_move_in_the_middle_moves_when_the_rollout_is_over() {
    let world = World::start();
    let hosts = fleet(&world, 2).await;
    world.group("elsewhere").await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let agent = hosts[0].agent.id();
    let pin = AgentAct::Pin {
        group: Name::slug("elsewhere"),
        reason: String::new(),
        until: None,
    };
    world.app.act(&admin(), agent, &pin).await.unwrap();
    assert_eq!(world.look(agent).registration.group, Name::slug("edge"));
    world.steer(id, Act::Abort).await.unwrap();
    world
        .until("it moves", || {
            world.look(agent).registration.group == Name::slug("elsewhere")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_put_away_in_the_middle_holds_nobody_up() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let canary = offered(&mut hosts).await[0];
    let away = AgentAct::Archive;
    world
        .app
        .act(&admin(), hosts[canary].agent.id(), &away)
        .await
        .unwrap();
    world.until_state(id, &State::Running { stage: 1 }).await;
    assert_eq!(world.rollout(id).summary.total.left, 1);
}
