//! Agents that change groups keep what they have until a rollout of their new group takes them.

use std::time::Duration;

use muster::app::agents::AgentAct;
use muster::app::groups::GroupEdit;
use muster::app::publish::IfRunning;
use muster::app::rollouts::{GroupMoves, RolloutSummary, Verdict};
use muster::fleet::agent::Happening;
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::Content;
use muster::fleet::ids::{AgentId, RolloutId};
use muster::fleet::name::Name;
use muster::fleet::rollout::{Act, Kind, State, Strategy};
use muster::fleet::selector::Known;
use muster::fleet::target::LayerRef;

use super::{
    Host, ROLLED_BACK, SUCCEEDED, fleet, offered, publish, publish_layers, says, says_what_it_is_offered,
};
use crate::harness::{Plan, World, admin, collector};

/// Longer than movers wait for each other.
const GATHERED: Duration = Duration::from_secs(3);
const NOBODY: [usize; 0] = [];

impl World {
    pub(super) async fn pin(&self, host: &Host, group: &str) {
        let pin = AgentAct::Pin {
            group: Name::slug(group),
            reason: String::new(),
            until: None,
        };
        self.app.act(&admin(), host.agent.id(), &pin).await.unwrap();
    }

    fn moves(&self, group: &str) -> GroupMoves {
        self.app.group_moves(&admin(), group).unwrap()
    }

    fn moving_rollouts(&self) -> Vec<RolloutSummary> {
        let all = self.app.list_rollouts(&admin(), None).unwrap();
        all.into_iter()
            .filter(|summary| summary.rollout.kind == Kind::Move)
            .collect()
    }

    /// The newest move, once it has begun.
    async fn move_after(&self, count: usize) -> RolloutSummary {
        self.until("a move begins", || self.moving_rollouts().len() > count)
            .await;
        self.moving_rollouts().remove(0)
    }

    async fn until_failed(&self, id: RolloutId) {
        self.until("its failure is noticed", || {
            let agents = self.rollout(id).agents;
            agents.iter().any(|agent| agent.verdict == Verdict::Failed)
        })
        .await;
    }

    pub(super) fn group_of(&self, agent: AgentId) -> String {
        self.look(agent).registration.group.to_string()
    }

    /// How often the store committed something.
    fn commits(&self) -> u64 {
        let metrics = self.app.metrics_page(&admin()).unwrap();
        let mut lines = metrics.lines();
        let made = lines.find_map(|line| line.strip_prefix("muster_store_commits_total "));
        made.unwrap().parse().unwrap()
    }

    async fn selects(&self, group: &str, selectors: &[&str]) {
        let edit = GroupEdit {
            selectors: Some(selectors.iter().map(|text| (*text).to_owned()).collect()),
            ..GroupEdit::default()
        };
        let ada = admin();
        let edited = self
            .app
            .intentions
            .edit_group(&ada, group, edit, None, |_| Known::Neither);
        edited.await.unwrap();
    }

    async fn strategy(&self, group: &str, strategy: &str) {
        let edit = GroupEdit {
            strategy: Some(Some(strategy.parse::<Strategy>().unwrap())),
            ..GroupEdit::default()
        };
        let ada = admin();
        let edited = self
            .app
            .intentions
            .edit_group(&ada, group, edit, None, |_| Known::Neither);
        edited.await.unwrap();
    }
}

/// Agents of a group `edge`, by a label that it selects, which run what it has.
async fn selected(world: &World, count: usize) -> Vec<Host> {
    world.group("edge").await;
    let mut hosts = Vec::new();
    for _ in 0..count {
        let mut agent = world.agent().await;
        let label = AgentAct::Label {
            set: [("site".to_owned(), "a".to_owned())].into(),
            remove: Vec::new(),
        };
        world.app.act(&admin(), agent.id(), &label).await.unwrap();
        let line = agent.online(world).await;
        hosts.push(Host { agent, line });
    }
    world.selects("edge", &["label.site = a"]).await;
    world
        .until("they are in edge", || {
            hosts.iter().all(|host| world.group_of(host.agent.id()) == "edge")
        })
        .await;
    world.wants("edge", "edge").await;
    for host in &mut hosts {
        says_what_it_is_offered(host).await;
    }
    hosts
}

/// Waits until somebody is offered something.
pub(super) async fn next_offered(hosts: &mut [Host]) -> Vec<usize> {
    for _ in 0..20 {
        let found = offered_soon(hosts).await;
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// The same, for a moment only.
pub(super) async fn offered_soon(hosts: &mut [Host]) -> Vec<usize> {
    for _ in 0..4 {
        let found = offered(hosts).await;
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// All of them say that they live, as time passes.
async fn time_passes(world: &World, hosts: &mut [Host], time: Duration) {
    world.pass(time);
    for host in hosts {
        host.beats().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_changes_groups_keeps_what_it_has_until_its_move_takes_it() {
    let world = World::start();
    let mut hosts = fleet(&world, 1).await;
    world.wants("core", "core").await;
    let id = hosts[0].agent.id();
    let kept = world.wanted(&hosts[0].agent).stamp;
    world.pin(&hosts[0], "core").await;
    assert_eq!(world.group_of(id), "core");
    assert_eq!(
        world.wanted(&hosts[0].agent).stamp,
        kept,
        "what it had is still wanted"
    );
    assert_eq!(offered(&mut hosts).await, NOBODY, "and nothing is sent");
    let core = world.app.intentions.group(&admin(), "core", &world.app.fleet());
    let core = core.unwrap().summary;
    assert_eq!((core.members.all, core.members.current, core.moving), (1, 0, 1));
    let moves = world.moves("core");
    assert_eq!(moves.pending.len(), 1);
    assert_eq!(moves.pending[0].waits, "a rollout takes it in a moment");
    assert_eq!(moves.pending[0].from, Name::slug("edge"));
    assert_eq!(world.look(id).pending_move, moves.pending.first().cloned());
    world.pass(GATHERED);
    let rollout = world.move_after(0).await;
    assert_eq!(rollout.plan, "all at once", "one alone");
    assert_eq!(next_offered(&mut hosts).await, [0]);
    says(&mut hosts[0], RemoteConfigOutcome::Applied).await;
    world.until_state(rollout.rollout.id, &SUCCEEDED).await;
    assert_eq!(world.moves("core").pending, []);
    assert_ne!(world.wanted(&hosts[0].agent).stamp, kept);
    let acts = world.acts();
    assert!(acts.contains(&"group.move".to_owned()), "{acts:?}");
    let changed = |happening: &Happening| matches!(happening, Happening::GroupChanged { .. });
    assert!(world.story(id).iter().any(changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_one_selector_edit_moves_go_together_and_in_the_groups_stages() {
    let world = World::start();
    world.wants("core", "core").await;
    world.strategy("core", "1 for 60s; all").await;
    let mut hosts = selected(&world, 3).await;
    // One edit of a selector claims all of them.
    world.selects("edge", &[]).await;
    world.selects("core", &["label.site = a"]).await;
    world
        .until("they wait to move", || world.moves("core").pending.len() == 3)
        .await;
    assert_eq!(
        offered(&mut hosts).await,
        NOBODY,
        "nobody has the new content at once"
    );
    world.pass(GATHERED);
    let rollout = world.move_after(0).await;
    assert_eq!(
        (rollout.rollout.members, rollout.plan.as_str()),
        (3, "1 for 1m; all")
    );
    let first = next_offered(&mut hosts).await;
    assert_eq!(first.len(), 1, "a canary");
    says(&mut hosts[first[0]], RemoteConfigOutcome::Applied).await;
    assert_eq!(offered(&mut hosts).await, NOBODY);
    time_passes(&world, &mut hosts, Duration::from_secs(61)).await;
    for _ in 0..2 {
        let next = next_offered(&mut hosts).await;
        assert_eq!(next.len(), 1, "one at risk");
        says(&mut hosts[next[0]], RemoteConfigOutcome::Applied).await;
    }
    world.until_state(rollout.rollout.id, &SUCCEEDED).await;
    assert_eq!(world.moving_rollouts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn movers_wait_for_the_end_of_a_rollout_of_their_new_group() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    world.wants("core", "core").await;
    let mut mover = {
        let mut agent = world.agent_of("core").await;
        let mut line = agent.connect(&world).await;
        let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
        line.ask(&agent.reports(&hash, RemoteConfigOutcome::Applied))
            .await;
        [Host { agent, line }]
    };
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    world.pin(&mover[0], "edge").await;
    world.pass(GATHERED);
    assert_eq!(offered(&mut mover).await, NOBODY);
    let waits = &world.moves("edge").pending[0].waits;
    assert_eq!(*waits, format!("rollout {id} of its group is not over"));
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    time_passes(&world, &mut hosts, Duration::from_secs(61)).await;
    mover[0].beats().await;
    let next = next_offered(&mut hosts).await[0];
    says(&mut hosts[next], RemoteConfigOutcome::Applied).await;
    world.until_state(id, &SUCCEEDED).await;
    let rollout = world.move_after(0).await;
    assert_eq!(rollout.rollout.target, world.rollout(id).summary.rollout.target);
    assert_eq!(next_offered(&mut mover).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_fails_is_brought_back_shown_and_made_again_when_somebody_says_so() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    world.wants("core", "core").await;
    let kept = world.wanted(&hosts[0].agent).stamp;
    for host in &hosts {
        world.pin(host, "core").await;
    }
    world.pass(GATHERED);
    let rollout = world.move_after(0).await;
    assert_eq!(rollout.rollout.members, 3);
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Failed).await;
    world.until_failed(rollout.rollout.id).await;
    time_passes(&world, &mut hosts, Duration::from_secs(11)).await;
    says_what_it_is_offered(&mut hosts[canary]).await;
    world.until_state(rollout.rollout.id, &ROLLED_BACK).await;
    let group = world
        .app
        .intentions
        .group(&admin(), "core", &world.app.fleet())
        .unwrap();
    assert_eq!((group.summary.moving, group.summary.left_behind), (0, 3));
    for host in &hosts {
        let agent = world.look(host.agent.id());
        assert_eq!(
            agent.registration.group,
            Name::slug("core"),
            "they stay in the group"
        );
        assert_eq!(world.wanted(&host.agent).stamp, kept, "on what they had");
        assert!(agent.left_behind.is_some());
    }
    time_passes(&world, &mut hosts, Duration::from_mins(10)).await;
    assert_eq!(
        offered(&mut hosts).await,
        NOBODY,
        "nothing begins again by itself"
    );
    assert_eq!(world.moving_rollouts().len(), 1);
    let act = world.rollout(rollout.rollout.id).summary;
    assert_eq!((act.left_behind, act.acts), (3, vec!["retry".to_owned()]));
    let retry = Act::Retry { agents: [].into() };
    world.steer(rollout.rollout.id, retry.clone()).await.unwrap();
    assert_eq!(world.moves("core").pending.len(), 3);
    let again = world.steer(rollout.rollout.id, retry).await;
    assert!(again.is_err(), "they wait already");
    world.pass(GATHERED);
    let second = world.move_after(1).await;
    let first = next_offered(&mut hosts).await;
    assert_eq!(first.len(), 1);
    assert_eq!(second.rollout.state, State::Running { stage: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_takes_in_the_agents_that_wait_to_move() {
    let world = World::start();
    let mut hosts = fleet(&world, 1).await;
    world.wants("core", "core").await;
    let before = world.wanted(&hosts[0].agent).stamp.digest;
    world.pin(&hosts[0], "core").await;
    world.wants("core", "newer").await;
    assert_eq!(world.moves("core").pending, []);
    let latest = world.app.list_rollouts(&admin(), None).unwrap().remove(0);
    assert_eq!((latest.rollout.kind, latest.rollout.members), (Kind::Publish, 1));
    assert_eq!(next_offered(&mut hosts).await, [0]);
    says(&mut hosts[0], RemoteConfigOutcome::Failed).await;
    world.until_failed(latest.rollout.id).await;
    time_passes(&world, &mut hosts, Duration::from_secs(11)).await;
    world
        .until("it is brought back to what it had", || {
            world.wanted(&hosts[0].agent).stamp.digest == before
        })
        .await;
    says_what_it_is_offered(&mut hosts[0]).await;
    world.until_state(latest.rollout.id, &ROLLED_BACK).await;
    world.pass(GATHERED);
    assert_eq!(world.moving_rollouts().len(), 0, "not by itself");
    let left = world.moves("core").left_behind;
    assert_eq!((left.len(), left[0].rollout), (1, latest.rollout.id));
    let retry = Act::Retry { agents: [].into() };
    world.steer(latest.rollout.id, retry).await.unwrap();
    world.pass(GATHERED);
    let rollout = world.move_after(0).await.rollout;
    assert_eq!(
        rollout.target,
        latest.rollout.from.unwrap(),
        "to what the group has"
    );
    assert_eq!(next_offered(&mut hosts).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_has_what_its_new_group_has_needs_no_rollout() {
    let world = World::start();
    let mut hosts = fleet(&world, 1).await;
    world.wants("core", "first").await;
    let kept = world.wanted(&hosts[0].agent).stamp;
    world.pin(&hosts[0], "core").await;
    assert_eq!(world.moves("core").pending, []);
    assert_eq!(world.wanted(&hosts[0].agent).stamp, kept);
    world.pass(GATHERED);
    assert_eq!(offered(&mut hosts).await, NOBODY);
    assert_eq!(world.moving_rollouts().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_that_has_nothing_is_given_what_its_group_has_at_once() {
    let world = World::start();
    world.wants("core", "core").await;
    let mut agent = world.agent().await;
    let line = agent.online(&world).await;
    let mut hosts = [Host { agent, line }];
    world.pin(&hosts[0], "core").await;
    assert_eq!(next_offered(&mut hosts).await, [0]);
    assert_eq!(world.moving_rollouts().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_new_group_never_published_keeps_what_it_runs_and_is_sent_nothing() {
    let world = World::start();
    let mut hosts = fleet(&world, 1).await;
    world.group("empty").await;
    world.pin(&hosts[0], "empty").await;
    world.pass(GATHERED);
    assert_eq!(offered(&mut hosts).await, NOBODY);
    assert_eq!(world.moves("empty").pending, []);
    assert_eq!(
        world.standing(hosts[0].agent.id()),
        muster::fleet::agent::Verdict::ObserveOnly
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_survives_a_kill_before_it_begins_and_in_its_middle() {
    let world = World::on_disk(Plan::default());
    let hosts = fleet(&world, 2).await;
    world.wants("core", "core").await;
    for host in &hosts {
        world.pin(host, "core").await;
    }
    let agents: Vec<_> = hosts.into_iter().map(|host| host.agent).collect();
    let world = world.kill().await;
    assert_eq!(world.moves("core").pending.len(), 2);
    let mut hosts = Vec::new();
    for mut agent in agents {
        let mut line = agent.connect(&world).await;
        let answer = line.ask(&agent.full()).await;
        assert_eq!(answer.remote_config, None, "it keeps what it has");
        hosts.push(Host { agent, line });
    }
    world.pass(GATHERED);
    let rollout = world.move_after(0).await.rollout;
    let canary = next_offered(&mut hosts).await[0];
    says(&mut hosts[canary], RemoteConfigOutcome::Applied).await;
    let agents: Vec<_> = hosts.into_iter().map(|host| host.agent).collect();
    let world = world.kill().await;
    assert_eq!(world.state(rollout.id), State::Running { stage: 0 });
    for mut agent in agents {
        let mut line = agent.connect(&world).await;
        let answer = line.ask(&agent.full()).await;
        assert_eq!(answer.remote_config, None, "nobody is told twice, or too early");
    }
    assert_eq!(world.moving_rollouts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mover_for_which_a_variable_stands_for_nothing_is_blocked_and_told_why() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    let yaml = collector("${muster:label.address}:4317");
    world.wants_content("core", Content::Yaml(yaml)).await;
    for (number, host) in hosts.iter().enumerate() {
        let label = AgentAct::Label {
            set: [("address".to_owned(), format!("10.0.0.{number}"))].into(),
            remove: Vec::new(),
        };
        if number > 0 {
            world.app.act(&admin(), host.agent.id(), &label).await.unwrap();
        }
        world.pin(host, "core").await;
    }
    let lacking = hosts[0].agent.id();
    let waits = |agent: AgentId| {
        let moves = world.moves("core").pending.into_iter();
        moves
            .into_iter()
            .find(|waiting| waiting.agent.id == agent)
            .unwrap()
            .waits
    };
    // Not rendered yet, which is no reason that anybody could do something about.
    for host in &hosts[1..] {
        assert_eq!(waits(host.agent.id()), "a rollout takes it in a moment");
    }
    world
        .until("it is told why", || waits(lacking) == "it has no label.address")
        .await;
    world.pass(GATHERED);
    let rollout = world.move_after(0).await.rollout;
    let agents = world.rollout(rollout.id).agents;
    let blocked = agents.iter().find(|agent| agent.id == lacking).unwrap();
    assert_eq!(
        (blocked.verdict, blocked.reason.as_str()),
        (Verdict::Blocked, "it has no label.address")
    );
    assert_eq!(next_offered(&mut hosts).await.len(), 1);
    let label = AgentAct::Label {
        set: [("address".to_owned(), "10.0.0.9".to_owned())].into(),
        remove: Vec::new(),
    };
    world.app.act(&admin(), lacking, &label).await.unwrap();
    world
        .app
        .intentions
        .render_late(&world.app.fleet())
        .await
        .unwrap();
    world
        .until("it can be moved, too", || {
            let agents = world.rollout(rollout.id).agents;
            let agent = agents.iter().find(|agent| agent.id == lacking).unwrap();
            agent.verdict == Verdict::Waiting
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_goes_back_before_it_was_moved_has_lost_nothing() {
    let world = World::start();
    let mut hosts = fleet(&world, 1).await;
    world.wants("core", "core").await;
    let kept = world.wanted(&hosts[0].agent).stamp;
    world.pin(&hosts[0], "core").await;
    world.pin(&hosts[0], "edge").await;
    assert_eq!(
        world.moves("core").pending.len() + world.moves("edge").pending.len(),
        0
    );
    assert_eq!(world.wanted(&hosts[0].agent).stamp, kept);
    world.pass(GATHERED);
    assert_eq!(offered(&mut hosts).await, NOBODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn movers_of_a_held_group_wait_and_so_do_held_agents() {
    let world = World::start();
    let mut hosts = fleet(&world, 2).await;
    world.wants("core", "core").await;
    let terms = muster::app::terms::OnTerms::default();
    let intentions = &world.app.intentions;
    intentions
        .hold_group(&admin(), "core", terms, None)
        .await
        .unwrap();
    let hold = AgentAct::Hold {
        reason: String::new(),
        until: None,
    };
    let second = hosts[1].agent.id();
    world.app.act(&admin(), second, &hold).await.unwrap();
    for host in &hosts {
        world.pin(host, "core").await;
    }
    world.pass(GATHERED);
    let waits = |world: &World| -> Vec<String> {
        let moves = world.moves("core").pending.into_iter();
        let mut waits: Vec<_> = moves.map(|waiting| waiting.waits).collect();
        waits.sort();
        waits
    };
    assert_eq!(waits(&world), ["it is held", "its group is held"]);
    assert_eq!(offered(&mut hosts).await, NOBODY);
    intentions.release_group(&admin(), "core", None).await.unwrap();
    let rollout = world.move_after(0).await.rollout;
    assert_eq!(rollout.members, 1);
    assert_eq!(waits(&world), ["it is held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_configuration_is_taken_away_moves_nobody() {
    let world = World::start();
    let mut hosts = fleet(&world, 1).await;
    world.wants("core", "core").await;
    world.pin(&hosts[0], "core").await;
    let intentions = &world.app.intentions;
    intentions.withdraw(&admin(), "core", "", None).await.unwrap();
    world.pass(GATHERED);
    assert_eq!(world.moves("core").pending, []);
    assert_eq!(offered(&mut hosts).await, NOBODY);
    assert_eq!(world.moving_rollouts().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_rollout_waits_for_a_move_and_takes_in_who_came_meanwhile() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    world.wants("core", "core").await;
    world.strategy("core", "1 for 60s; all").await;
    world.pin(&hosts[0], "core").await;
    world.pass(GATHERED);
    let rollout = world.move_after(0).await.rollout;
    assert_eq!(next_offered(&mut hosts).await, [0]);
    // Published while the move runs, with a variable: rendered for those that come later, too.
    let new = muster::app::configs::NewConfig {
        name: "varied".into(),
        description: String::new(),
        content: Content::Yaml(collector("${muster:fact.host.name}:4317")),
        message: String::new(),
        allow_blank: false,
    };
    world.app.intentions.create_config(&admin(), new).await.unwrap();
    let layers = LayerRef::list("varied@1").unwrap();
    let refused = publish_layers(&world, "core", layers.clone(), "all at once", IfRunning::Refuse).await;
    assert!(refused.is_err());
    let queued = publish_layers(&world, "core", layers, "all at once", IfRunning::Queue)
        .await
        .unwrap();
    assert_eq!(world.state(queued), State::Queued);
    world.pin(&hosts[1], "core").await;
    world.pass(GATHERED);
    let waits = &world.moves("core").pending[0].waits;
    assert!(waits.contains("is not over"), "{waits}");
    assert_eq!(offered(&mut hosts).await, NOBODY);
    says(&mut hosts[0], RemoteConfigOutcome::Applied).await;
    time_passes(&world, &mut hosts, Duration::from_secs(61)).await;
    world.until_state(rollout.id, &SUCCEEDED).await;
    let mut reached = next_offered(&mut hosts).await;
    for _ in 0..5 {
        reached.extend(offered(&mut hosts).await);
    }
    reached.sort_unstable();
    assert_eq!(reached, [0, 1], "both are sent what was rendered for them");
    let text = |host: &Host| {
        let offer = world.wanted(&host.agent);
        String::from_utf8(offer.content.files[""].body.clone()).unwrap()
    };
    for host in &hosts[..2] {
        assert!(text(host).contains(&host.agent.host), "{}", text(host));
    }
    assert_eq!(world.moves("core").pending, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_publication_was_aborted_before_its_turn_is_shown_and_can_move() {
    let world = World::start();
    world.wants("edge", "first").await;
    world.wants("core", "core").await;
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let mut agent = world.agent_of("core").await;
        let mut line = agent.connect(&world).await;
        let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
        line.ask(&agent.reports(&hash, RemoteConfigOutcome::Applied))
            .await;
        hosts.push(Host { agent, line });
    }
    let kept = world.wanted(&hosts[0].agent).stamp;
    for host in &hosts {
        world.pin(host, "edge").await;
    }
    let id = publish(&world, "second", "1 for 60s; all", IfRunning::Refuse)
        .await
        .unwrap();
    let from = world.rollout(id).summary.rollout.from.unwrap();
    let released = next_offered(&mut hosts).await[0];
    says(&mut hosts[released], RemoteConfigOutcome::Applied).await;
    let waits = hosts[1 - released].agent.id();
    world.steer(id, Act::Abort).await.unwrap();
    assert_eq!(world.wanted(&hosts[1 - released].agent).stamp.digest, kept.digest);
    let left = world.moves("edge").left_behind;
    let named: Vec<_> = left.iter().map(|left| (left.agent.id, left.rollout)).collect();
    assert_eq!(named, [(waits, id)], "and not who has what was published");
    assert_eq!(left[0].why, "the rollout that took it in was aborted");
    let summary = world.rollout(id).summary;
    assert_eq!((summary.left_behind, summary.acts), (1, vec!["retry".to_owned()]));
    world.steer(id, Act::Retry { agents: [].into() }).await.unwrap();
    assert_eq!(offered(&mut hosts).await, NOBODY, "it waits for its turn");
    world.pass(GATHERED);
    let rollout = world.move_after(0).await.rollout;
    assert_eq!(
        (rollout.members, rollout.target),
        (1, from),
        "to what the group has"
    );
    assert_eq!(next_offered(&mut hosts).await, [1 - released]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_a_tolerant_move_left_behind_moves_again_in_a_rollout() {
    let world = World::start();
    let mut hosts = fleet(&world, 3).await;
    world.wants("core", "core").await;
    world.strategy("core", "all at once").await;
    let kept = world.wanted(&hosts[0].agent).stamp;
    for host in &hosts {
        world.pin(host, "core").await;
    }
    world.pass(GATHERED);
    let id = world.move_after(0).await.rollout.id;
    let mut reached = Vec::new();
    while reached.len() < 3 {
        let next = next_offered(&mut hosts).await;
        assert_ne!(next, NOBODY);
        reached.extend(next);
    }
    says(&mut hosts[0], RemoteConfigOutcome::Failed).await;
    for host in &mut hosts[1..] {
        says(host, RemoteConfigOutcome::Applied).await;
    }
    world.until_failed(id).await;
    time_passes(&world, &mut hosts, Duration::from_secs(11)).await;
    says_what_it_is_offered(&mut hosts[0]).await;
    world.until_state(id, &SUCCEEDED).await;
    let summary = world.rollout(id).summary;
    assert_eq!((summary.left_behind, summary.acts), (1, vec!["retry".to_owned()]));
    let retry = Act::Retry { agents: [].into() };
    world.steer(id, retry.clone()).await.unwrap();
    assert_eq!(world.wanted(&hosts[0].agent).stamp.digest, kept.digest);
    assert_eq!(world.moves("core").pending.len(), 1);
    assert_eq!(offered(&mut hosts).await, NOBODY, "it waits for a rollout");
    assert!(world.rollout(id).summary.acts.is_empty());
    assert!(world.steer(id, retry).await.is_err(), "it waits already");
    world.pass(GATHERED);
    let second = world.move_after(1).await.rollout;
    assert_eq!(second.members, 1);
    assert_eq!(next_offered(&mut hosts).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_long_cannot_move_hurries_nobody_who_comes() {
    let world = World::start();
    let mut hosts = fleet(&world, 4).await;
    world.wants("core", "core").await;
    let hold = AgentAct::Hold {
        reason: String::new(),
        until: None,
    };
    let first = hosts[0].agent.id();
    world.app.act(&admin(), first, &hold).await.unwrap();
    world.pin(&hosts[0], "core").await;
    time_passes(&world, &mut hosts, Duration::from_mins(1)).await;
    world.pin(&hosts[1], "core").await;
    assert_eq!(offered(&mut hosts).await, NOBODY, "others may come");
    for host in &hosts[2..] {
        world.pin(host, "core").await;
    }
    assert_eq!(offered(&mut hosts).await, NOBODY);
    world.pass(GATHERED);
    assert_eq!(world.move_after(0).await.rollout.members, 3, "all that can");
    assert_eq!(world.moving_rollouts().len(), 1);
    assert_eq!(world.moves("core").pending.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_one_change_moves_are_put_into_their_group_in_one_go() {
    const AGENTS: usize = 12;
    let world = World::start();
    let mut hosts = selected(&world, AGENTS).await;
    world.wants("core", "core").await;
    let before = world.commits();
    // The first by name has them, of two groups that claim them.
    world.selects("core", &["label.site = a"]).await;
    world
        .until("they wait to move", || {
            world.moves("core").pending.len() == AGENTS
        })
        .await;
    let made = world.commits() - before;
    assert!(made < AGENTS as u64 / 2, "{made} commits");
    for host in &hosts {
        assert_eq!(world.group_of(host.agent.id()), "core");
    }
    assert_eq!(offered(&mut hosts).await, NOBODY);
    world.pass(GATHERED);
    assert_eq!(world.move_after(0).await.rollout.members, 12);
}
