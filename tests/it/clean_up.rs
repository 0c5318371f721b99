//! Old rows go after a while; what anything refers to never does.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;
use std::time::Duration;

use muster::app::agents::AgentAct;
use muster::app::changes::Changes;
use muster::app::configs::{NewConfig, NewRevision};
use muster::app::intentions::{Intentions, SPENT_KEPT, Spent};
use muster::app::publish::{IfRunning, Publish};
use muster::app::rollouts::Steer;
use muster::app::secrets::{HiddenText, SetSecret};
use muster::app::tasks::Activation;
use muster::app::vault::{Keys, SealKey};
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::agent::{Intent, Offer};
use muster::fleet::config::Content;
use muster::fleet::hash::{Digest, HashKey};
use muster::fleet::ids::AgentId;
use muster::fleet::name::Name;
use muster::fleet::rollout::Act;
use muster::fleet::target::{LayerRef, Rendered, Target};
use muster::observability::Secret;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::{Agent, KEY, Line, Plan, World, admin, collector};

const DAY: Duration = Duration::from_hours(24);

/// A content with secrets, of which only that it is there is looked at.
#[derive(Serialize, Deserialize)]
struct Sealed {}

muster::records! {
    /// The table has another owner.
    const SEALED;
    Sealed: Digest => "sealed_contents_v1", version 1;
}

struct Host {
    agent: Agent,
    line: Line,
}

/// A group `edge` whose agents have a region and are given what has it in it.
struct Fleet {
    world: World,
    hosts: Vec<Host>,
    revision: u64,
}

fn layer(revision: u64) -> Vec<LayerRef> {
    vec![LayerRef {
        config: Name::slug("base"),
        revision,
    }]
}

fn yaml(revision: u64, secret: bool) -> Content {
    let secret = if secret { "-${muster:secret.vendor}" } else { "" };
    Content::Yaml(collector(&format!(
        "gateway-{revision}-${{muster:label.region}}{secret}:4317"
    )))
}

impl Fleet {
    async fn new(world: World, count: usize) -> Self {
        world.group("edge").await;
        let new = NewConfig {
            name: "base".into(),
            description: String::new(),
            content: yaml(1, false),
            message: String::new(),
            allow_blank: false,
        };
        let intentions = &world.app.intentions;
        intentions.create_config(&admin(), new).await.unwrap();
        let mut hosts = Vec::new();
        for number in 0..count {
            let mut agent = world.agent_of("edge").await;
            label(&world, agent.id(), number).await;
            let line = agent.online(&world).await;
            hosts.push(Host { agent, line });
        }
        let mut fleet = Self {
            world,
            hosts,
            revision: 1,
        };
        fleet.set_secret("first").await;
        fleet.publish(1, "all at once").await;
        fleet.talk(|_| RemoteConfigOutcome::Applied).await;
        fleet
    }

    async fn set_secret(&self, value: &str) {
        let set = SetSecret {
            value: Some(HiddenText(Secret::new(format!("hunter2-{value}")))),
            description: None,
        };
        let intentions = &self.world.app.intentions;
        intentions.set_secret(&admin(), "vendor", set).await.unwrap();
    }

    async fn save(&mut self, secret: bool) {
        let new = NewRevision {
            base: self.revision,
            content: yaml(self.revision + 1, secret),
            message: String::new(),
            allow_blank: false,
        };
        let intentions = &self.world.app.intentions;
        let saved = intentions.save_revision(&admin(), "base", new).await.unwrap();
        self.revision = saved.revision.number;
    }

    async fn publish(&self, revision: u64, strategy: &str) {
        let preview = self.world.app.impact(&admin(), "edge", &layer(revision)).unwrap();
        let publish = Publish {
            group: "edge".into(),
            layers: layer(revision),
            message: String::new(),
            expected_revision: None,
            confirm: preview.impact.confirmation.map(|confirmation| confirmation.count),
            allow_blank: false,
            strategy: Some(strategy.parse().unwrap()),
            if_running: IfRunning::Replace,
        };
        self.world.app.publish(&admin(), publish).await.unwrap();
    }

    /// Everybody says that it lives, and what became of what it is offered.
    async fn talk(&mut self, outcome: impl Fn(usize) -> RemoteConfigOutcome) {
        for (number, host) in self.hosts.iter_mut().enumerate() {
            let message = host.agent.compressed();
            let answer = host.line.ask(&message).await;
            if let Some((_, hash)) = answer.remote_config {
                let said = host.agent.reports(&hash, outcome(number));
                host.line.ask(&said).await;
            }
        }
    }

    async fn act(&self, number: usize, act: AgentAct) {
        let agent = self.hosts[number % self.hosts.len()].agent.id();
        // It may have nothing to give up.
        drop(self.world.app.act(&admin(), agent, &act).await);
    }

    async fn steer(&self, act: Act) {
        let Some(last) = self
            .world
            .app
            .list_rollouts(&admin(), None)
            .unwrap()
            .into_iter()
            .map(|seen| seen.rollout.id)
            .max()
        else {
            return;
        };
        let steer = Steer {
            act,
            reason: String::new(),
        };
        // It may be over.
        drop(self.world.app.steer_rollout(&admin(), last, &steer).await);
    }

    async fn clean_up(&self) -> Spent {
        self.world.app.clean_up().await.unwrap()
    }

    /// What each agent should have.
    fn desired(&self, intentions: &Intentions) -> BTreeMap<AgentId, Intent<Offer>> {
        let fleet = self.world.app.fleet().into_iter();
        fleet
            .map(|agent| (agent.id(), intentions.desired(&agent.registration).config))
            .collect()
    }

    /// Intent as a start reads it from the store.
    fn reread(&self) -> Intentions {
        let keys = Keys {
            hash: HashKey(KEY),
            seal: SealKey([9; 32]),
        };
        let (store, clock) = (self.world.store.clone(), self.world.clock.clone());
        Intentions::load(store, clock, keys, Activation::new(), Changes::default()).unwrap()
    }

    /// Every content that something refers to, found without what cleans up.
    fn referred_to(&self) -> BTreeSet<Digest> {
        let index = self.world.app.intentions.index();
        let agents = self.world.app.fleet();
        let mut found = BTreeSet::new();
        for head in index.groups() {
            let members = agents
                .iter()
                .filter(|agent| agent.registration.group == head.group.name);
            let target = head.group.target.and_then(|id| index.target_head(id));
            found.extend(members.filter_map(|agent| target?.digest_for(agent.id())));
            let history = index.history(head.group.target);
            let contents = history.filter_map(|target| target.content.as_ref());
            found.extend(contents.flat_map(|content| content.contents().collect::<Vec<_>>()));
        }
        for agent in &agents {
            let own = agent.registration.own_target.and_then(|id| index.target_head(id));
            found.extend(own.and_then(|target| target.digest_for(agent.id())));
            found.extend(agent.delivery.contents());
            found.extend(agent.reported.contents());
        }
        for head in index.rollouts() {
            if !head.rollout.is_ended() || index.governs(head.id()) {
                let members = head.members.values();
                let contents = members.flat_map(|member| [member.target, member.before, member.base]);
                found.extend(contents.flatten());
            }
        }
        for head in index.configs() {
            found.extend(head.revisions.iter().map(|revision| revision.digest));
        }
        found
    }

    fn is_kept(&self, digest: Digest) -> bool {
        let store = &self.world.store;
        store.body(&digest).unwrap().is_some() || store.get::<Sealed>(&digest).unwrap().is_some()
    }

    /// Cleans up twice, as a week of rounds does, and holds that nothing is missed.
    async fn check_clean_up(&self) {
        self.world.app.flush_all().await;
        let wanted = self.desired(&self.world.app.intentions);
        let mut kept = self.referred_to();
        kept.retain(|digest| self.is_kept(*digest));
        let targets = self.world.app.intentions.index();
        let group = targets.group(&Name::slug("edge")).unwrap().group.target;
        let history = targets.history(group).count();
        self.clean_up().await;
        self.clean_up().await;
        for digest in kept {
            assert!(self.is_kept(digest), "{digest} is gone");
        }
        assert_eq!(self.desired(&self.world.app.intentions), wanted);
        let reread = self.reread();
        assert_eq!(self.desired(&reread), wanted);
        assert_eq!(reread.index().history(group).count(), history);
    }

    /// How many renderings and contents with secrets there are.
    fn rows(&self) -> (usize, usize) {
        let store = &self.world.store;
        (
            store.keys::<Rendered>().unwrap().len(),
            store.keys::<Sealed>().unwrap().len(),
        )
    }
}

async fn label(world: &World, agent: AgentId, number: usize) {
    let act = AgentAct::Label {
        set: [("region".to_owned(), format!("r{number}"))].into(),
        remove: Vec::new(),
    };
    world.app.act(&admin(), agent, &act).await.unwrap();
}

fn quiet() -> Plan {
    Plan {
        loops: false,
        ..Plan::default()
    }
}

/// What happens, by number.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Save { secret: bool },
    Publish { back: u64, staged: bool },
    Talk { fails: usize },
    Label { agent: usize, region: usize },
    Secret { number: u8 },
    Own { agent: usize },
    Unpublish { agent: usize },
    Steer { act: u8 },
    Days { days: u32 },
    CleanUp,
}

fn happenings() -> impl Strategy<Value = Vec<Happens>> {
    let one = prop_oneof![
        2 => any::<bool>().prop_map(|secret| Happens::Save { secret }),
        4 => (0_u64..3, any::<bool>()).prop_map(|(back, staged)| Happens::Publish { back, staged }),
        4 => (0_usize..6).prop_map(|fails| Happens::Talk { fails }),
        1 => (0_usize..3, 0_usize..4).prop_map(|(agent, region)| Happens::Label { agent, region }),
        1 => (0_u8..3).prop_map(|number| Happens::Secret { number }),
        1 => (0_usize..3).prop_map(|agent| Happens::Own { agent }),
        1 => (0_usize..3).prop_map(|agent| Happens::Unpublish { agent }),
        1 => (0_u8..4).prop_map(|act| Happens::Steer { act }),
        3 => (1_u32..9).prop_map(|days| Happens::Days { days }),
        2 => Just(Happens::CleanUp),
    ];
    proptest::collection::vec(one, 1..24)
}

async fn happen(fleet: &mut Fleet, happens: Happens) {
    match happens {
        Happens::Save { secret } => fleet.save(secret).await,
        Happens::Publish { back, staged } => {
            let revision = fleet.revision.saturating_sub(back).max(1);
            let strategy = if staged { "1 for 60s; all" } else { "all at once" };
            fleet.publish(revision, strategy).await;
        }
        Happens::Talk { fails } => {
            fleet
                .talk(|number| {
                    if number == fails {
                        RemoteConfigOutcome::Failed
                    } else {
                        RemoteConfigOutcome::Applied
                    }
                })
                .await;
        }
        Happens::Label { agent, region } => {
            let id = fleet.hosts[agent].agent.id();
            label(&fleet.world, id, region).await;
        }
        Happens::Secret { number } => fleet.set_secret(&number.to_string()).await,
        Happens::Own { agent } => {
            let id = fleet.hosts[agent].agent.id();
            let revision = layer(fleet.revision).remove(0);
            let (app, ada) = (&fleet.world.app, admin());
            let given = app.publish_to_agent(&ada, id, (&revision, ""), false, None);
            given.await.unwrap();
        }
        Happens::Unpublish { agent } => fleet.act(agent, AgentAct::Unpublish).await,
        Happens::Steer { act } => {
            let acts = [Act::Pause, Act::Promote, Act::RollBack, Act::Abort];
            fleet.steer(acts[usize::from(act)].clone()).await;
        }
        Happens::Days { days } => fleet.world.pass(DAY * days),
        Happens::CleanUp => fleet.check_clean_up().await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_referred_to_is_ever_deleted(happenings in happenings()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut fleet = Fleet::new(World::with(quiet()), 3).await;
            for happens in happenings {
                happen(&mut fleet, happens).await;
            }
            fleet.check_clean_up().await;
        });
    }
}

#[tokio::test]
async fn what_was_replaced_a_week_ago_goes_with_its_contents_and_the_history_stays() {
    let mut fleet = Fleet::new(World::with(quiet()), 3).await;
    for _ in 0..10 {
        fleet.world.pass(DAY);
        fleet.save(true).await;
        fleet.publish(fleet.revision, "all at once").await;
        fleet.talk(|_| RemoteConfigOutcome::Applied).await;
    }
    assert_eq!(fleet.rows(), (33, 30));
    assert_eq!(
        fleet.clean_up().await,
        Spent::default(),
        "only what was so the last time too"
    );
    let spent = fleet.clean_up().await;
    // Three were replaced more than a week ago; the first had no secrets.
    assert_eq!((spent.renderings, spent.sealed, spent.targets), (9, 6, 0));
    assert!(spent.bodies >= 9, "{spent:?}");
    assert_eq!(fleet.rows(), (24, 24));
    fleet.world.pass(SPENT_KEPT);
    fleet.clean_up().await;
    fleet.clean_up().await;
    assert_eq!(
        fleet.rows(),
        (6, 6),
        "what everybody has, and what the rollout came from"
    );
    fleet.steer(Act::Abort).await;
    fleet.clean_up().await;
    fleet.clean_up().await;
    assert_eq!(fleet.rows(), (3, 6), "its members may still be brought back");
    let group = fleet.world.app.intentions.group(&admin(), "edge", &[]).unwrap();
    assert_eq!(group.history.len(), 11);
    // The oldest is published again from its revision.
    fleet.publish(1, "all at once").await;
    let agent = fleet.hosts[0].agent.clone();
    let offer = fleet.world.wanted(&agent);
    let text = String::from_utf8(offer.content.files[""].body.clone()).unwrap();
    assert!(text.contains("gateway-1-r0"), "{text}");
}

#[tokio::test]
async fn what_an_agent_still_runs_stays_however_long_it_is_away() {
    let mut fleet = Fleet::new(World::with(quiet()), 2).await;
    let away = fleet.hosts.remove(0);
    let runs = fleet.world.look(away.agent.id()).registration.id;
    for _ in 0..3 {
        fleet.save(false).await;
        fleet.publish(fleet.revision, "all at once").await;
        fleet.talk(|_| RemoteConfigOutcome::Applied).await;
        fleet.world.pass(SPENT_KEPT * 2);
        fleet.check_clean_up().await;
    }
    let agents = fleet.world.app.fleet();
    let agent = agents.iter().find(|agent| agent.id() == runs).unwrap();
    let applied = agent.delivery.applied.unwrap().digest;
    assert!(fleet.is_kept(applied));
    fleet.steer(Act::Abort).await;
    fleet.check_clean_up().await;
    assert_eq!(
        fleet.rows().0,
        3,
        "what both should have, and what one of them still runs"
    );
}

#[tokio::test]
async fn targets_of_a_group_that_is_gone_and_of_an_agents_own_go_too() {
    let mut fleet = Fleet::new(World::with(quiet()), 2).await;
    let id = fleet.hosts[0].agent.id();
    let revision = layer(1).remove(0);
    let app = &fleet.world.app;
    app.publish_to_agent(&admin(), id, (&revision, ""), false, None)
        .await
        .unwrap();
    fleet.act(0, AgentAct::Unpublish).await;
    assert_eq!(fleet.world.store.keys::<Target>().unwrap().len(), 2);
    fleet.talk(|_| RemoteConfigOutcome::Applied).await;
    fleet.world.pass(SPENT_KEPT);
    fleet.check_clean_up().await;
    assert_eq!(
        fleet.world.store.keys::<Target>().unwrap().len(),
        2,
        "an agent has what it came to, which its group's comes to as well"
    );
    fleet.save(false).await;
    fleet.publish(2, "all at once").await;
    fleet.talk(|_| RemoteConfigOutcome::Applied).await;
    fleet.world.pass(SPENT_KEPT);
    fleet.check_clean_up().await;
    assert_eq!(
        fleet.world.store.keys::<Target>().unwrap().len(),
        2,
        "its group's two"
    );
}

/// Polls a future so often, and drops it in the middle.
async fn begin<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_clean_up_loses_nothing_and_the_next_goes_on() {
    for polls in [1, 2, 3, 4, 6, 8, 12] {
        let mut fleet = Fleet::new(World::on_disk(quiet()), 2).await;
        for _ in 0..4 {
            fleet.save(true).await;
            fleet.publish(fleet.revision, "all at once").await;
            fleet.talk(|_| RemoteConfigOutcome::Applied).await;
        }
        fleet.steer(Act::Abort).await;
        fleet.world.pass(SPENT_KEPT * 2);
        let wanted = fleet.desired(&fleet.world.app.intentions);
        fleet.clean_up().await;
        drop(begin(fleet.world.app.clean_up(), polls).await);
        fleet.hosts.clear();
        let world = fleet.world.kill().await;
        let fleet = Fleet { world, ..fleet };
        assert_eq!(fleet.desired(&fleet.world.app.intentions), wanted, "{polls}");
        fleet.check_clean_up().await;
        assert_eq!(fleet.rows(), (2, 4), "{polls}");
    }
}
