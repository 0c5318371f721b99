//! Laws of the pure core: whatever an agent reports, in any order, over any link, whatever operators want meanwhile.

use std::sync::Arc;
use std::time::Duration;

use muster::fleet::agent::report::{
    ConnectionStatus, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus, Report,
};
use muster::fleet::agent::{
    Agent, Asking, Command, Contact, Desired, HoldReason, Intent, Offer, Offered, Origin, Pulse,
    Registration, Reply, RestartOrder, Seen, Subject, Transport, Update, Using, Verdict,
};
use muster::fleet::attributes::Description;
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::{Comparison, ConfigMap};
use muster::fleet::connection_offer::{ConnectionOffer, ConnectionSettings};
use muster::fleet::hash::{ConfigHash, Digest, HashKey};
use muster::fleet::ids::{AgentId, CredentialId, InstanceUid};
use muster::fleet::time::Timestamp;
use proptest::prelude::*;

use crate::harness::{ALL, KEY};

/// All that an agent may be able to do, connection settings and their status included.
const EVERYTHING: u64 = ALL.0
    | Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS.0
    | Capabilities::REPORTS_CONNECTION_SETTINGS_STATUS.0;

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
    /// Somebody wants another credential in the agent's connection: one of these, or none.
    Rotates(u8),
    /// The agent connects with one of its credentials; the second number is whether that one was replaced.
    Shows(u8, bool),
    /// Somebody has what is wanted offered once more.
    Reapply,
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
    /// Which connection offer a status names, if there is one: 3 = one that is not ours.
    connection: Option<(u8, RemoteConfigOutcome)>,
    /// Which content it reports to run, if it reports any.
    runs: Option<u8>,
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
        2 => (0_u8..4).prop_map(Step::Rotates),
        2 => (0_u8..4, any::<bool>()).prop_map(|(credential, recovery)| Step::Shows(credential, recovery)),
        1 => Just(Step::Reapply),
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
        2 => Just(Some(EVERYTHING)),
        1 => Just(Some(ALL.0 | Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS.0)),
        1 => any::<u64>().prop_map(Some),
    ];
    let status = proptest::option::of((0_u8..4, outcome.clone()));
    let connection = proptest::option::of((0_u8..4, outcome));
    (
        number,
        capabilities,
        any::<bool>(),
        proptest::option::of(any::<bool>()),
        status,
        connection,
        proptest::option::of(0_u8..3),
        0_u64..3,
    )
        .prop_map(
            |(sequence, capabilities, full, healthy, status, connection, runs, bytes)| Said {
                sequence,
                capabilities,
                full,
                healthy,
                status,
                connection,
                runs,
                bytes,
            },
        )
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
    /// The settings that its connection should have.
    rotated: Option<Arc<ConnectionOffer>>,
    reapplies: u32,
    offered_again: u32,
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
            rotated: None,
            reapplies: 0,
            offered_again: 0,
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
                connection_status: said.connection.map(|(number, outcome)| ConnectionStatus {
                    hash: connection_hash(number),
                    outcome,
                    error: String::new(),
                }),
                effective_config: said.runs.map(|number| (*self.offer(number).content).clone()),
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
        let desired = self.wanted();
        let repeated = observed.repetition.then(|| self.subject().repeat(&desired));
        repeated.flatten().unwrap_or_else(|| self.reply())
    }

    /// What is wanted, as the use cases put it together.
    fn wanted(&self) -> Desired {
        let shows = self.contact.using.as_ref().map(|using| using.credential);
        let rotated = self.rotated.clone();
        Desired {
            connection: rotated.filter(|offer| shows.is_some_and(|shows| shows != offer.credential)),
            ..self.desired.clone()
        }
    }

    fn reply(&mut self) -> Reply {
        let (desired, now) = (self.wanted(), self.now);
        let settled = desired
            .digest()
            .is_some_and(|digest| self.agent.delivery.settled_on(digest));
        let stale = self.contact.asking != Asking::No;
        let reply = self.subject().reply(&desired, now).0;
        if let Reply::Update(update) = &reply {
            self.offered_again += u32::from(settled && update.remote_config.is_some());
            assert!(
                self.offered_again <= self.reapplies,
                "it runs that already, and nobody asked for it"
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
            Step::Rotates(number) => {
                self.rotated = (*number < 3).then(|| connection(*number));
                return;
            }
            Step::Shows(number, recovery) => {
                let asking = self.contact.asking;
                self.contact = Contact {
                    asking,
                    ..Contact::new(self.contact.transport)
                };
                self.contact.using = Some(Using {
                    credential: CredentialId([*number; 16]),
                    recovery: *recovery,
                    authority: None,
                });
                let now = self.now;
                self.subject().arrive(now);
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
            Step::Reapply => {
                self.reapplies += 1;
                let wanted = self.desired.digest();
                let at = self.now;
                Arc::make_mut(&mut self.agent).delivery.again = wanted.map(|digest| Offered { digest, at });
                return;
            }
            Step::Passes(seconds) => {
                self.now = self.now.plus(Duration::from_secs(*seconds));
                return;
            }
        };
        self.check(&reply);
        self.check_verdict();
    }

    /// What holds of the word for where its configuration stands, however what it runs compares.
    fn check_verdict(&self) {
        let agent = &self.agent;
        let failed = self
            .desired
            .digest()
            .is_some_and(|digest| agent.delivery.failure_of(digest).is_some());
        let comparisons = [
            None,
            Some(Comparison::Same),
            Some(Comparison::Differs),
            Some(Comparison::Unclear),
        ];
        for comparison in comparisons {
            let judged = agent.judge(&self.desired.config, comparison, self.now);
            let verdict = judged.verdict;
            match &self.desired.config {
                Intent::Unmanaged => assert_eq!(verdict, Verdict::ObserveOnly),
                Intent::Hold(_) => assert_eq!(verdict, Verdict::Held),
                Intent::Want(_) if !agent.registration.is_served() => assert_eq!(verdict, Verdict::Held),
                Intent::Want(_) => {
                    assert_eq!(verdict.is_refusal(), failed, "FAILED wins: {verdict:?}");
                    assert!(!matches!(verdict, Verdict::Held | Verdict::ObserveOnly));
                }
            }
            let is_same = comparison == Some(Comparison::Same) && agent.reported.effective_config.is_some();
            assert!(
                verdict != Verdict::InSync || is_same,
                "what can't be verified is not in sync"
            );
            let took = |digest| {
                agent.delivery.has(digest) || agent.delivery.offered.is_some_and(|last| last.digest == digest)
            };
            if matches!(verdict, Verdict::InSync | Verdict::Drifted | Verdict::Unverified) {
                assert!(self.desired.digest().is_some_and(took), "nothing was given to it");
            }
            if verdict == Verdict::SelfReverted {
                let said = agent.delivery.acknowledged.as_ref().unwrap();
                assert!(said.outcome == RemoteConfigOutcome::Applied && said.digest != self.desired.digest());
            }
        }
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
                self.check_connection(update);
                assert!(!(update.full_state && update.available_components));
                assert!(
                    self.asked_since_gap <= u32::from(Asking::LIMIT),
                    "asked too often"
                );
            }
        }
    }

    fn check_connection(&mut self, update: &Update) {
        let using = self.contact.using.clone();
        if using.as_ref().is_some_and(|using| using.recovery) {
            let rest = Update {
                capabilities: false,
                new_uid: None,
                connection: None,
                ..update.clone()
            };
            assert_eq!(
                rest,
                Update::default(),
                "nothing else goes to a recovery credential"
            );
        }
        let Some(offer) = &update.connection else { return };
        let takes = Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS;
        assert!(self.agent.reported.capabilities.has(takes));
        let shows = using.expect("over a link of a known credential").credential;
        assert_ne!(shows, offer.credential, "what is in use");
        let record = self.agent.delivery.connection.as_ref().expect("it is recorded");
        assert_eq!(record.failure_of(offer.hash), None, "never what failed here");
        assert_eq!(record.offered.map(|offered| offered.hash), Some(offer.hash));
    }

    /// The agent behaves from now on: it reconnects, reports everything and applies what it is offered.
    fn settle(&mut self) {
        // What was offered too often rests for a while.
        self.step(&Step::Passes(660));
        self.step(&Step::Reconnects(true));
        self.step(&Step::Shows(0, false));
        let mut says = Said {
            sequence: Number::Next,
            capabilities: Some(EVERYTHING),
            full: true,
            healthy: Some(true),
            status: Some((3, RemoteConfigOutcome::Unset)),
            connection: None,
            runs: None,
            bytes: 77,
        };
        for _ in 0..8 {
            let report = self.report(&says);
            let reply = self.hear(report);
            self.check(&reply);
            let Reply::Update(update) = reply else { continue };
            if let Some(offer) = update.connection {
                // A new client, as real agents make it: everything is said again over the new connection.
                let [number, ..] = offer.credential.0;
                self.step(&Step::Shows(number, false));
                says.connection = Some((number, RemoteConfigOutcome::Applied));
            }
            if let Some(offer) = update.remote_config {
                let number = (0..3)
                    .find(|number| self.offer(*number).stamp == offer.stamp)
                    .unwrap();
                says.status = Some((number, RemoteConfigOutcome::Applied));
            }
        }
    }
}

/// A message that says nothing.
fn silence(bytes: u64) -> Said {
    Said {
        sequence: Number::Next,
        capabilities: None,
        full: false,
        healthy: None,
        status: None,
        connection: None,
        runs: None,
        bytes,
    }
}

/// The connection offer of a number, which shows the credential of that number.
fn connection(number: u8) -> Arc<ConnectionOffer> {
    let token = format!("secret {number}");
    let settings = ConnectionSettings::with_token(
        "muster:4320",
        Transport::WebSocket,
        &token,
        "an authority",
        Duration::from_secs(30),
    );
    Arc::new(ConnectionOffer::new(CredentialId([number; 16]), settings))
}

fn connection_hash(number: u8) -> Vec<u8> {
    if number < 3 {
        connection(number).hash.0.to_vec()
    } else {
        b"of another server".to_vec()
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
            capabilities: Some(EVERYTHING),
            full: false,
            healthy: None,
            status: None,
            connection: None,
            runs: None,
            bytes: 78,
        };
        for _ in 0..5 {
            world.now = world.now.plus(Duration::from_mins(1));
            let report = world.report(&silent);
            prop_assert_eq!(world.hear(report), Reply::Update(Update::default()));
            prop_assert_eq!(world.reply(), Reply::Update(Update::default()));
        }
        let digest = world.desired.digest();
        if let Some(offer) = &world.rotated {
            let shows = world.contact.using.as_ref().map(|using| using.credential);
            let known = world.agent.delivery.connection.as_ref();
            let failed = known.is_some_and(|known| known.failure_of(offer.hash).is_some());
            let said = known.and_then(|known| known.acknowledged.as_ref());
            // T-23: one that says that it has the settings can't be asked to look again.
            let says_so = said.is_some_and(|said| said.hash == offer.hash);
            prop_assert!(shows == Some(offer.credential) || failed || says_so);
        }
        let failed = digest.is_some_and(|digest| world.agent.delivery.failure_of(digest).is_some());
        let runs = digest.is_none_or(|digest| world.agent.delivery.runs(digest));
        prop_assert!(runs || failed);
    }

    #[test]
    fn an_agent_that_takes_no_connection_settings_is_never_offered_any(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(Transport::WebSocket);
        for step in &steps {
            let mut step = step.clone();
            if let Step::Says(said) = &mut step {
                let takes = Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS.0;
                said.capabilities = said.capabilities.map(|bits| bits & !takes);
            }
            world.step(&step);
        }
        prop_assert_eq!(&world.agent.delivery.connection, &None);
    }

    #[test]
    fn a_connection_offer_that_failed_is_never_made_again_by_itself(
        steps in proptest::collection::vec(step(), 0..40),
        later in proptest::collection::vec(step(), 1..60),
        recovery in any::<bool>(),
    ) {
        let mut world = World::new(Transport::WebSocket);
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::Rotates(1));
        world.step(&Step::Shows(0, recovery));
        let mut says = silence(91);
        says.capabilities = Some(EVERYTHING);
        world.step(&Step::Says(says.clone()));
        let offered = world.agent.delivery.connection.as_ref().and_then(|known| known.offered);
        prop_assume!(offered.is_some_and(|offered| offered.credential == CredentialId([1; 16])));
        says.connection = Some((1, RemoteConfigOutcome::Failed));
        says.bytes = 92;
        world.step(&Step::Says(says));
        let failed = |world: &World| {
            let known = world.agent.delivery.connection.as_ref();
            known.is_some_and(|known| known.failure_of(connection(1).hash).is_some())
        };
        prop_assert!(failed(&world));
        for step in &later {
            // Unless a connection shows that it works after all.
            if !matches!(step, Step::Shows(1, _)) {
                world.step(step);
                prop_assert!(failed(&world));
            }
        }
    }

    #[test]
    fn whoever_never_uses_what_it_is_offered_is_offered_it_seldom(
        recovery in any::<bool>(),
        capabilities in prop_oneof![Just(EVERYTHING), Just(ALL.0 | Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS.0)],
        waits in proptest::collection::vec(0_u64..120, 1..200),
    ) {
        let mut world = World::new(Transport::WebSocket);
        world.step(&Step::Rotates(1));
        let (mut offers, start) = (0_u64, world.now);
        for wait in &waits {
            world.step(&Step::Shows(0, recovery));
            let mut says = silence(93);
            says.full = true;
            says.capabilities = Some(capabilities);
            says.connection = Some((3, RemoteConfigOutcome::Applied));
            let report = world.report(&says);
            if let Reply::Update(update) = world.hear(report) {
                offers += u64::from(update.connection.is_some());
            }
            world.step(&Step::Passes(*wait));
        }
        let minutes = world.now.since(start).as_secs() / 60;
        prop_assert!(offers <= 3 + minutes / 10, "{} offers in {} minutes", offers, minutes);
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
        let beat = Said { sequence: Number::Next, capabilities: Some(world.agent.reported.capabilities.0), full: false, healthy: None, status: None, connection: None, runs: None, bytes: 9 };
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
