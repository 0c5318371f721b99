//! Laws of the pure core: whatever an agent reports, in any order, over any link, whatever operators want meanwhile.

use std::sync::Arc;
use std::time::Duration;

use muster::fleet::agent::report::{Health, Parts, RemoteConfigOutcome, RemoteConfigStatus, Report};
use muster::fleet::agent::{
    Agent, Asking, Command, Contact, Desired, HoldReason, Intent, Offer, Origin, Pulse, Registration, Reply,
    RestartOrder, Seen, Subject, Transport, Update,
};
use muster::fleet::attributes::Description;
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::ConfigMap;
use muster::fleet::hash::{ConfigHash, Digest, HashKey};
use muster::fleet::ids::{AgentId, CredentialId, InstanceUid};
use muster::fleet::time::Timestamp;
use proptest::prelude::*;

use crate::harness::{ALL, KEY};

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// The agent says something.
    Says(Said),
    /// Its link is replaced.
    Reconnects(bool),
    /// Somebody wants something else: one of three contents, nothing, or that nothing is sent.
    Wants(u8),
    /// Its link is nudged.
    Nudged,
    /// Somebody orders a restart.
    Restart,
    /// Seconds pass.
    Passes(u64),
}

#[derive(Clone, Debug)]
struct Said {
    sequence: Number,
    capabilities: Option<u64>,
    full: bool,
    healthy: Option<bool>,
    /// Which content the status names, if there is a status: 3 = one that is not ours.
    status: Option<(u8, RemoteConfigOutcome)>,
    bytes: u64,
}

#[derive(Clone, Debug)]
enum Number {
    Next,
    Any(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => said().prop_map(Step::Says),
        1 => any::<bool>().prop_map(Step::Reconnects),
        2 => (0_u8..5).prop_map(Step::Wants),
        2 => Just(Step::Nudged),
        1 => Just(Step::Restart),
        2 => (0_u64..120).prop_map(Step::Passes),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let number = prop_oneof![4 => Just(Number::Next), 1 => (0_u64..12).prop_map(Number::Any), 1 => any::<u64>().prop_map(Number::Any)];
    let outcome = prop_oneof![
        Just(RemoteConfigOutcome::Unset),
        Just(RemoteConfigOutcome::Applied),
        Just(RemoteConfigOutcome::Applying),
        Just(RemoteConfigOutcome::Failed),
    ];
    let capabilities = prop_oneof![
        4 => Just(Some(ALL.0)),
        1 => Just(None),
        1 => Just(Some(ALL.0 & !Capabilities::REPORTS_REMOTE_CONFIG.0)),
        1 => any::<u64>().prop_map(Some),
    ];
    let status = proptest::option::of((0_u8..4, outcome));
    (
        number,
        capabilities,
        any::<bool>(),
        proptest::option::of(any::<bool>()),
        status,
        0_u64..3,
    )
        .prop_map(|(sequence, capabilities, full, healthy, status, bytes)| Said {
            sequence,
            capabilities,
            full,
            healthy,
            status,
            bytes,
        })
}

/// One agent and what is wanted of it.
struct World {
    key: HashKey,
    agent: Arc<Agent>,
    pulse: Pulse,
    contact: Contact,
    desired: Desired,
    now: Timestamp,
    asked_since_gap: u32,
    orders: u32,
    restarts: u32,
}

impl World {
    fn new(transport: Transport) -> Self {
        let registration = Registration::new(AgentId([1; 16]), CredentialId([1; 16]), Origin::default());
        Self {
            key: HashKey(KEY),
            agent: Arc::new(Agent::new(registration)),
            pulse: Pulse::default(),
            contact: Contact::new(transport),
            desired: Desired::default(),
            now: Timestamp::from_seconds(1_000_000),
            asked_since_gap: 0,
            orders: 0,
            restarts: 0,
        }
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject {
            agent: &mut self.agent,
            pulse: &mut self.pulse,
            contact: &mut self.contact,
        }
    }

    /// The content of a number, and its hash on the wire.
    fn offer(&self, number: u8) -> Arc<Offer> {
        let content = ConfigMap::document(&format!("content: {number}"));
        let stamp = ConfigHash {
            digest: content.digest(),
            epoch: 1,
            generation: u64::from(number),
        };
        Arc::new(Offer::new(content, stamp, &self.key))
    }

    fn hash(&self, number: u8) -> Vec<u8> {
        if number < 3 {
            self.offer(number).hash.to_vec()
        } else {
            b"of another server".to_vec()
        }
    }

    fn report(&self, said: &Said) -> Report {
        Report {
            uid: InstanceUid([1; 16]),
            sequence: match said.sequence {
                Number::Next => self.pulse.sequence.map_or(1, |last| last.wrapping_add(1)),
                Number::Any(number) => number,
            },
            fingerprint: said.bytes,
            capabilities: said.capabilities.filter(|bits| *bits != 0).map(Capabilities),
            parts: Parts {
                description: said.full.then(Description::default),
                health: said.healthy.map(|healthy| Health {
                    healthy,
                    ..Health::default()
                }),
                remote_config_status: said.status.map(|(content, outcome)| RemoteConfigStatus {
                    hash: self.hash(content),
                    outcome,
                    error: String::new(),
                }),
                ..Parts::default()
            },
            disconnect: false,
            requests_uid: false,
        }
    }

    fn hear(&mut self, report: Report) -> Reply {
        let (key, now) = (self.key.clone(), self.now);
        let seen = Seen {
            key: &key,
            epoch: 1,
            generation: 10,
            ask_at: now,
        };
        let observed = self.subject().observe(report, &seen, now);
        if observed.staleness.is_some() {
            self.asked_since_gap = 0;
        }
        let desired = self.desired.clone();
        if observed.repetition {
            return self.subject().repeat(&desired);
        }
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let (desired, now) = (self.desired.clone(), self.now);
        let settled = desired
            .digest()
            .is_some_and(|digest| self.agent.delivery.settled_on(digest));
        let stale = self.contact.asking != Asking::No;
        let reply = self.subject().reply(&desired, now).0;
        if let Reply::Update(update) = &reply {
            assert!(
                !(settled && update.remote_config.is_some()),
                "it runs that already"
            );
            assert!(
                !(stale && update.full_state && update.remote_config.is_some()),
                "it is asked, not told"
            );
            self.asked_since_gap += u32::from(update.full_state);
        }
        reply
    }

    fn step(&mut self, step: &Step) {
        let reply = match step {
            Step::Says(said) => {
                let report = self.report(said);
                self.hear(report)
            }
            Step::Nudged => self.reply(),
            Step::Reconnects(websocket) => {
                let transport = if *websocket {
                    Transport::WebSocket
                } else {
                    Transport::Http
                };
                let asking = self.contact.asking;
                self.contact = Contact {
                    asking,
                    ..Contact::new(transport)
                };
                return;
            }
            Step::Wants(number) => {
                self.desired.config = match number {
                    0..=2 => Intent::Want(self.offer(*number)),
                    3 => Intent::Unmanaged,
                    _ => Intent::Hold(HoldReason::Operator),
                };
                return;
            }
            Step::Restart => {
                self.orders += 1;
                Arc::make_mut(&mut self.agent).delivery.restart = Some(RestartOrder {
                    at: self.now,
                    by: "ada".into(),
                });
                return;
            }
            Step::Passes(seconds) => {
                self.now = self.now.plus(Duration::from_secs(*seconds));
                return;
            }
        };
        self.check(&reply);
    }

    /// What holds of every reply.
    fn check(&mut self, reply: &Reply) {
        let able = |bit| self.agent.reported.capabilities.has(bit);
        match reply {
            Reply::Command(Command::Restart) => {
                assert!(able(Capabilities::ACCEPTS_RESTART_COMMAND));
                self.restarts += 1;
                assert!(self.restarts <= self.orders, "at most once each");
            }
            Reply::Error(refused) => panic!("nothing was wrong: {refused:?}"),
            Reply::Update(update) => {
                if let Some(offer) = &update.remote_config {
                    assert!(able(Capabilities::ACCEPTS_REMOTE_CONFIG));
                    assert_eq!(
                        self.desired.digest(),
                        Some(offer.stamp.digest),
                        "only what is wanted"
                    );
                    assert_eq!(
                        self.agent.delivery.failure_of(offer.stamp.digest),
                        None,
                        "never what failed here"
                    );
                    assert!(self.agent.delivery.hold.is_none());
                }
                assert!(!(update.full_state && update.available_components));
                assert!(
                    self.asked_since_gap <= u32::from(Asking::LIMIT),
                    "asked too often"
                );
            }
        }
    }

    /// The agent behaves from now on: it reconnects, reports everything and applies what it is offered.
    fn settle(&mut self) {
        self.step(&Step::Reconnects(true));
        let mut says = Said {
            sequence: Number::Next,
            capabilities: Some(ALL.0),
            full: true,
            healthy: Some(true),
            status: Some((3, RemoteConfigOutcome::Unset)),
            bytes: 77,
        };
        for _ in 0..6 {
            let report = self.report(&says);
            let reply = self.hear(report);
            self.check(&reply);
            if let Reply::Update(Update {
                remote_config: Some(offer),
                ..
            }) = reply
            {
                let number = (0..3)
                    .find(|number| self.offer(*number).stamp == offer.stamp)
                    .unwrap();
                says.status = Some((number, RemoteConfigOutcome::Applied));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_reply_keeps_the_laws(steps in proptest::collection::vec(step(), 1..60), websocket in any::<bool>()) {
        let mut world = World::new(if websocket { Transport::WebSocket } else { Transport::Http });
        for step in &steps {
            world.step(step);
        }
    }

    #[test]
    fn an_agent_that_behaves_converges_and_then_hears_nothing(
        steps in proptest::collection::vec(step(), 0..40),
        wanted in 0_u8..4,
    ) {
        let mut world = World::new(Transport::WebSocket);
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::Wants(wanted));
        world.settle();
        let silent = Said {
            sequence: Number::Next,
            capabilities: Some(ALL.0),
            full: false,
            healthy: None,
            status: None,
            bytes: 78,
        };
        for _ in 0..5 {
            world.now = world.now.plus(Duration::from_mins(1));
            let report = world.report(&silent);
            prop_assert_eq!(world.hear(report), Reply::Update(Update::default()));
            prop_assert_eq!(world.reply(), Reply::Update(Update::default()));
        }
        let digest = world.desired.digest();
        let failed = digest.is_some_and(|digest| world.agent.delivery.failure_of(digest).is_some());
        let runs = digest.is_none_or(|digest| world.agent.delivery.runs(digest));
        prop_assert!(runs || failed);
    }

    #[test]
    fn an_unmanaged_agent_is_never_given_a_configuration(
        steps in proptest::collection::vec(step(), 1..60),
        held in any::<bool>(),
    ) {
        let mut world = World::new(Transport::WebSocket);
        world.step(&Step::Wants(if held { 4 } else { 3 }));
        for step in &steps {
            if !matches!(step, Step::Wants(_)) {
                world.step(step);
            }
        }
        prop_assert_eq!(world.agent.delivery.offered, None);
    }

    #[test]
    fn an_agent_in_conflict_is_given_nothing_and_asked_for_nothing(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(Transport::Http);
        let with = AgentId([2; 16]);
        Arc::make_mut(&mut world.agent).registration.standing =
            muster::fleet::agent::Standing::Conflict { with };
        for step in &steps {
            world.step(step);
            let (desired, now) = (world.desired.clone(), world.now);
            let reply = world.subject().reply(&desired, now).0;
            let Reply::Update(update) = reply else { return Err(TestCaseError::fail("a command")) };
            prop_assert_eq!(Update { capabilities: false, ..update }, Update::default());
        }
    }

    #[test]
    fn a_heartbeat_says_the_same_on_the_short_way_and_on_the_long(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut world = World::new(Transport::WebSocket);
        for step in &steps {
            world.step(step);
        }
        let beat = Said { sequence: Number::Next, capabilities: Some(world.agent.reported.capabilities.0), full: false, healthy: None, status: None, bytes: 9 };
        let report = world.report(&beat);
        let (sequence, capabilities, now) = (report.sequence, world.agent.reported.capabilities.0, world.now);
        let mut short = (Arc::clone(&world.agent), world.pulse, world.contact.clone());
        let taken = Subject { agent: &mut short.0, pulse: &mut short.1, contact: &mut short.2 }
            .heartbeat(sequence, 9, capabilities, now);
        if taken {
            world.hear(report);
            prop_assert_eq!(short.1.sequence, world.pulse.sequence);
            prop_assert_eq!(short.0.reported.completeness, world.agent.reported.completeness);
        }
    }
}

/// Equal contents have one digest, whatever they are called: what all of these laws compare.
#[test]
fn digests_are_of_contents() {
    let content = ConfigMap::document("a: 1");
    assert_eq!(content.digest(), ConfigMap::document("a: 1").digest());
    assert_ne!(content.digest(), Digest([0; 32]));
}
