//! Model agents, a network that loses, and an engine that does nothing but plan and apply.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a model says what is special about few manners and steps"
)]

mod moves;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use muster::fleet::agent::report::{Health, Parts, RemoteConfigOutcome, RemoteConfigStatus, Report};
use muster::fleet::agent::{
    Agent, Contact, Desired, Intent, Offer, Offered, Origin, Pulse, Registration, Reply, Seen, Standing,
    Subject, Transport,
};
use muster::fleet::attributes::Description;
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::ConfigMap;
use muster::fleet::group::Because;
use muster::fleet::hash::{ConfigHash, Digest, HashKey};
use muster::fleet::ids::{AgentId, CredentialId, InstanceUid, RolloutId, TargetId};
use muster::fleet::name::Name;
use muster::fleet::rollout::{
    Act, Candidate, Kind, Member, Members, Phase, Rollout, State, Step, Strategy, View, Wants, assign,
    at_risk_now, plan,
};
use muster::fleet::time::Timestamp;

use crate::harness::{ALL, KEY};

/// What an agent does with the new content. With the old one it is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes it and is well.
    Well,
    /// Says that it failed, and runs on with the old.
    Refuses,
    /// Says that it failed, and then that it runs the old: a Supervisor.
    FallsBack,
    /// Says that it applied it, and is unhealthy.
    Lies,
    /// Says that it applied it and is never heard of again, but comes back after an hour with the old.
    GoesDark,
    /// Says nothing and is gone.
    Dies,
    /// Says that it applied it and becomes unhealthy after seconds.
    DiesAfter(u64),
    /// Takes it after seconds.
    Slow(u64),
    /// Takes it, and its health turns all the time.
    Flaps,
    /// Takes it, and its process starts anew all the time.
    Loops,
    /// Is offline for seconds, and then well.
    Offline(u64),
    /// Polls every five minutes, and is well.
    Polls,
    /// Polls every five minutes, says that it failed, and runs on with the old.
    PollsAndRefuses,
}

/// The tick of the world.
const TICK: Duration = Duration::from_secs(5);
const HEARTBEAT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_mins(5);
const HTTP_SILENCE: Duration = Duration::from_secs(150);

/// A strategy in one line.
pub(super) fn strategy(text: &str) -> Strategy {
    text.parse().unwrap()
}

struct Host {
    manner: Manner,
    agent: Arc<Agent>,
    pulse: Pulse,
    contact: Contact,
    online: bool,
    sequence: u64,
    /// What it runs: the number of a content.
    runs: u8,
    status: Option<(u8, RemoteConfigOutcome)>,
    healthy: bool,
    started_at: Timestamp,
    /// What it does later.
    later: VecDeque<(Timestamp, Later)>,
    next_word: Timestamp,
    /// Nothing comes from it any more.
    silent_until: Option<Timestamp>,
    /// The contents that it was offered, each once in a row.
    offered: Vec<u8>,
    /// How often it was offered something.
    offers: usize,
    retried: bool,
    broken: bool,
    /// How far its clock is ahead, in seconds.
    skew: i64,
    /// A report that another overtakes.
    late: Option<Report>,
}

#[derive(Clone, Copy, Debug)]
enum Later {
    Take(u8),
    Sicken,
    FallBack,
    Turn,
    Restart,
}

pub(super) struct World {
    pub(super) rollout: Rollout,
    pub(super) members: Members,
    pub(super) loss_percent: u8,
    pub(super) doubled_percent: u8,
    pub(super) late_percent: u8,
    pub(super) base_fails_too: bool,
    hosts: BTreeMap<AgentId, Host>,
    key: HashKey,
    offers: Vec<Arc<Offer>>,
    group_target: u8,
    now: Timestamp,
    /// Nobody is silent since before this: a start, or a jump of the clock.
    floor: Timestamp,
    random: fastrand::Rng,
    stages: BTreeMap<AgentId, usize>,
    furthest: usize,
    /// Where agents move between two groups; the rollout above is none then.
    moves: Option<moves::Moves>,
}

fn group() -> Name {
    Name::slug("edge")
}

fn id(number: usize) -> AgentId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    AgentId(bytes)
}

impl World {
    /// All agents run content 0; the rollout is to content 1.
    pub(super) fn new(manners: &[Manner], strategy: Strategy, seed: u64) -> Self {
        let now = Timestamp::from_seconds(1_700_000_000);
        let key = HashKey(KEY);
        let offers: Vec<_> = (0..3).map(|number| offer(&key, number)).collect();
        let digests: Vec<Digest> = offers.iter().map(|offer| offer.stamp.digest).collect();
        let mut hosts = BTreeMap::new();
        for (number, manner) in manners.iter().enumerate() {
            hosts.insert(id(number), Host::new(id(number), *manner, digests[0], now));
        }
        let candidates: Vec<_> = hosts
            .iter()
            .map(|(agent, host)| Candidate {
                agent: *agent,
                able: host.online,
            })
            .collect();
        let rollout = Rollout {
            id: RolloutId(seed),
            group: group(),
            kind: Kind::Publish,
            target: TargetId([1; 16]),
            from: None,
            state: State::Running { stage: 0 },
            members: u32::try_from(hosts.len()).unwrap(),
            started_by: "ada".into(),
            created_at: now,
            stage_since: now,
            promoted: 0,
            accepted_failures: 0,
            approval: None,
            governs: true,
            history: Vec::new(),
            strategy,
        };
        let stages = assign(rollout.id, &rollout.strategy.stages, &candidates, |_, _| false);
        let member = |stage: usize| Member::new(stage, Some(digests[1]), Some(digests[0]), Some(digests[0]));
        Self {
            members: stages
                .iter()
                .map(|(agent, stage)| (*agent, member(*stage)))
                .collect(),
            group_target: u8::from(rollout.is_at_once()),
            rollout,
            loss_percent: 0,
            doubled_percent: 0,
            late_percent: 0,
            base_fails_too: false,
            hosts,
            key,
            offers,
            now,
            floor: now,
            random: fastrand::Rng::with_seed(seed),
            stages,
            furthest: 0,
            moves: None,
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while self.now < until {
            self.now = self.now.plus(TICK);
            self.tick();
        }
    }

    /// Runs until the rollout has ended and everybody had time to hear of it; at most for `time`.
    pub(super) fn run_out(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while self.now < until && !self.rollout.is_ended() {
            self.run(TICK);
        }
        self.run(Duration::from_mins(2));
    }

    fn tick(&mut self) {
        let agents: Vec<AgentId> = self.hosts.keys().copied().collect();
        for agent in &agents {
            self.live(*agent);
        }
        self.engine();
        for agent in &agents {
            // A push to whoever is connected.
            let host = &self.hosts[agent];
            if host.online && host.contact.transport == Transport::WebSocket && !host.is_silent(self.now) {
                self.answer(*agent, true);
            }
        }
    }

    /// One agent does what is due.
    fn live(&mut self, agent: AgentId) {
        let now = self.now;
        let mut happens = |percent| percent > 0 && self.random.u8(0..100) < percent;
        let lost = happens(self.loss_percent);
        let (doubled, late) = (happens(self.doubled_percent), happens(self.late_percent));
        let host = self.hosts.get_mut(&agent).unwrap();
        if host.contact.transport == Transport::Http && now.since(host.pulse.last_seen) > HTTP_SILENCE {
            host.online = false;
        }
        match host.silent_until {
            Some(until) if now < until => {
                if host.contact.transport == Transport::WebSocket {
                    host.online = false;
                }
                return;
            }
            Some(_) => host.come_back(now),
            None => {}
        }
        let mut parts = Parts::default();
        while host.later.front().is_some_and(|(at, _)| *at <= now) {
            let (_, later) = host.later.pop_front().unwrap();
            host.do_later(later, now, self.base_fails_too, &mut parts, &self.offers);
            if host.is_silent(now) {
                break;
            }
        }
        if host.next_word > now && parts == Parts::default() {
            return;
        }
        let period = if host.contact.transport == Transport::Http {
            POLL
        } else {
            HEARTBEAT
        };
        host.next_word = now.plus(period);
        host.sequence += 1;
        if lost {
            return;
        }
        let report = host.report(parts);
        if late && host.late.is_none() {
            host.late = Some(report);
            return;
        }
        let overtaken = host.late.take();
        if doubled {
            self.hear(agent, report.clone());
        }
        self.hear(agent, report);
        if let Some(report) = overtaken {
            self.hear(agent, report);
        }
    }

    fn hear(&mut self, agent: AgentId, report: Report) {
        let now = self.now;
        let key = self.key.clone();
        let seen = Seen {
            key: &key,
            epoch: 1,
            generation: 10,
            ask_at: now,
        };
        let host = self.hosts.get_mut(&agent).unwrap();
        host.online = true;
        host.subject().observe(report, &seen, now);
        self.answer(agent, false);
    }

    /// What the server says, and what the agent does about it.
    fn answer(&mut self, agent: AgentId, pushed: bool) {
        let desired = Desired {
            config: Intent::Want(Arc::clone(&self.offers[usize::from(self.wanted(agent))])),
            ..Desired::default()
        };
        let now = self.now;
        let host = self.hosts.get_mut(&agent).unwrap();
        let (reply, _) = host.subject().reply(&desired, now);
        let Reply::Update(update) = reply else {
            panic!("{reply:?}")
        };
        if pushed && update.is_empty() {
            return;
        }
        if let Some(offer) = update.remote_config {
            host.offers += 1;
            let number = self
                .offers
                .iter()
                .position(|known| known.stamp == offer.stamp)
                .unwrap();
            host.take(u8::try_from(number).unwrap(), now);
            self.check_offers(agent);
        }
        if update.full_state {
            let host = self.hosts.get_mut(&agent).unwrap();
            host.sequence += 1;
            let everything = host.everything(&self.offers);
            let report = host.report(everything);
            self.hear(agent, report);
        }
    }

    fn check_offers(&self, agent: AgentId) {
        let host = &self.hosts[&agent];
        if let Some(moves) = &self.moves {
            assert!(
                host.offered.len() <= moves.most_offers(agent),
                "{:?} flaps: {:?}",
                host.manner,
                host.offered
            );
            return;
        }
        // There and back once; an operator's retry may go there again.
        assert!(
            host.retried || host.offered.len() <= 2,
            "{:?} flaps: {:?}",
            host.manner,
            host.offered
        );
    }

    /// The content that is wanted of the agent.
    fn wanted(&self, agent: AgentId) -> u8 {
        if let Some(moves) = &self.moves {
            return self.wanted_between(moves, agent);
        }
        let number = |digest: Option<Digest>| {
            let at = self
                .offers
                .iter()
                .position(|offer| Some(offer.stamp.digest) == digest);
            u8::try_from(at.unwrap()).unwrap()
        };
        match self.members[&agent].wants(&self.rollout) {
            Wants::Group => self.group_target,
            Wants::Before(digest) | Wants::Target(digest) | Wants::Base(digest) => number(digest),
        }
    }

    fn views(&self) -> BTreeMap<AgentId, View> {
        let view = |(agent, host): (&AgentId, &Host)| {
            let member = &self.members[agent];
            let polls = host.contact.transport == Transport::Http;
            let heard = (host.pulse.last_seen, self.floor);
            (
                *agent,
                View::of(&host.agent, member, &group(), (host.online, polls), heard),
            )
        };
        self.hosts.iter().map(view).collect()
    }

    fn engine(&mut self) {
        if self.moves.is_some() {
            return self.engine_of_moves();
        }
        let views = self.views();
        let view = |agent: AgentId| views.get(&agent);
        let steps = plan(&self.rollout, &self.members, view, self.now);
        for step in &steps {
            let from = step.agent().map(|agent| self.members[&agent].phase.clone());
            self.rollout.apply(&mut self.members, step, self.now);
            self.check_step(step, from.as_ref());
        }
        let again = plan(&self.rollout, &self.members, view, self.now);
        assert_eq!(again, [], "planned twice, after {steps:?}");
        self.check();
    }

    fn check_step(&mut self, step: &Step, from: Option<&Phase>) {
        match step {
            Step::Release { agent, .. } => {
                let stage = self.rollout.stage().unwrap();
                assert!(self.members[agent].stage <= stage, "released before its stage");
                assert_eq!(from, Some(&Phase::Waiting));
                // What proved itself may still fail later; but nobody is put at risk beyond the budget.
                let (now, most) = (at_risk_now(&self.rollout, &self.members), self.rollout.at_risk());
                assert!(now <= most, "{now} at risk, at most {most} may be");
            }
            Step::Pass { stage } => {
                assert!(*stage > self.furthest, "a stage begins twice");
                self.furthest = *stage;
            }
            Step::End { .. }
                if matches!(
                    self.rollout.state,
                    State::Ended {
                        how: muster::fleet::rollout::Ended::Succeeded
                    }
                ) =>
            {
                self.group_target = 1;
                let awaited = |host: &Host| {
                    let silent = self.now.since(host.pulse.last_seen.max(self.floor));
                    silent <= Duration::from_secs(self.rollout.strategy.silence_seconds)
                };
                let members = self
                    .members
                    .iter()
                    .filter(|(_, member)| member.phase == Phase::Waiting);
                let skipped = members.filter(|(agent, _)| awaited(&self.hosts[*agent])).count();
                assert!(
                    skipped == 0 || self.rollout.promoted > 0,
                    "it succeeded without {skipped} agents that were there just now"
                );
            }
            _ => {}
        }
    }

    fn check(&self) {
        for (agent, member) in &self.members {
            assert_eq!(self.stages[agent], member.stage, "membership is frozen");
            let waits =
                member.phase == Phase::Waiting && !self.rollout.is_at_once() && !self.rollout.is_ended();
            let has = self.hosts[agent]
                .agent
                .delivery
                .offered
                .is_some_and(|o| o.digest == self.offers[1].stamp.digest);
            assert!(
                !(waits && has) || self.hosts[agent].retried,
                "{agent} waits and has the new content"
            );
        }
    }

    pub(super) fn act(&mut self, act: &Act) {
        let Ok(retried) = self.rollout.act(&mut self.members, act, "ada", "", self.now) else {
            return;
        };
        for agent in retried {
            let target = self.members[&agent].target.unwrap();
            let host = self.hosts.get_mut(&agent).unwrap();
            host.retried = true;
            Arc::make_mut(&mut host.agent).delivery.forgive(target);
            host.contact.offered = None;
        }
        if self.rollout.is_ended() {
            self.furthest = usize::MAX;
        }
    }

    /// The engine and all links die and come up again: only what is durable is left.
    pub(super) fn restart(&mut self) {
        self.floor = self.now;
        for host in self.hosts.values_mut() {
            host.contact = Contact::new(host.contact.transport);
            host.online = false;
            host.next_word = self.now.plus(Duration::from_secs(self.random.u64(1..20)));
        }
    }

    /// An agent's clock is wrong.
    pub(super) fn skew(&mut self, number: usize, seconds: i64) {
        self.hosts.get_mut(&id(number)).unwrap().skew = seconds;
    }

    /// The clock jumps.
    pub(super) fn jump(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.floor = self.now;
    }

    pub(super) fn archive(&mut self, agent: AgentId) {
        let host = self.hosts.get_mut(&agent).unwrap();
        Arc::make_mut(&mut host.agent).registration.standing = Standing::Archived {
            at: self.now,
            conflict_with: None,
        };
    }

    pub(super) fn mend(&mut self, number: usize) {
        self.hosts.get_mut(&id(number)).unwrap().manner = Manner::Well;
    }

    pub(super) fn say_failed_with_something_older(&mut self, number: usize) {
        let hash = self.offers[2].hash.to_vec();
        let host = self.hosts.get_mut(&id(number)).unwrap();
        host.sequence += 1;
        let report = host.report(Parts {
            remote_config_status: Some(RemoteConfigStatus {
                hash,
                outcome: RemoteConfigOutcome::Failed,
                error: "of long ago".into(),
            }),
            ..Parts::default()
        });
        self.hear(id(number), report);
        // It goes on to say what is true.
        let host = self.hosts.get_mut(&id(number)).unwrap();
        host.sequence += 1;
        let truth = host.everything(&self.offers);
        let report = host.report(truth);
        self.hear(id(number), report);
    }

    pub(super) fn offers(&self, number: usize) -> usize {
        self.hosts[&id(number)].offered.len()
    }

    /// Agents that the new content broke, ever.
    pub(super) fn broken(&self) -> usize {
        self.hosts.values().filter(|host| host.broken).count()
    }

    pub(super) fn released_agents(&self) -> Vec<AgentId> {
        let released = |member: &Member| member.phase != Phase::Waiting;
        self.members
            .iter()
            .filter(|(_, member)| released(member))
            .map(|(agent, _)| *agent)
            .collect()
    }

    pub(super) fn released(&self) -> usize {
        self.released_agents().len()
    }

    pub(super) fn everybody_runs_the_target(&self) -> bool {
        self.hosts.values().all(|host| host.runs == 1)
    }

    pub(super) fn everybody_runs_the_base_and_is_well(&self) -> bool {
        self.hosts.values().all(|host| host.runs == 0 && host.healthy)
    }
}

fn offer(key: &HashKey, number: u8) -> Arc<Offer> {
    let content = ConfigMap::document(&format!("content: {number}"));
    let stamp = ConfigHash {
        digest: content.digest(),
        epoch: 1,
        generation: u64::from(number),
    };
    Arc::new(Offer::new(content, stamp, key))
}

impl Host {
    fn new(id: AgentId, manner: Manner, base: Digest, now: Timestamp) -> Self {
        let mut registration = Registration::new(id, CredentialId([1; 16]), Origin::default());
        registration.group = group();
        registration.because = Because::Pin;
        let mut agent = Agent::new(registration);
        agent.reported.capabilities = ALL.with(Capabilities::REPORTS_HEARTBEAT);
        agent.reported.completeness = muster::fleet::agent::Completeness::Complete;
        agent.reported.healthy = Some(true);
        agent.delivery.acknowledged = Some(muster::fleet::agent::Acknowledgement {
            digest: Some(base),
            outcome: RemoteConfigOutcome::Applied,
            error: String::new(),
            at: Timestamp::EPOCH,
        });
        agent.delivery.applied = Some(Offered {
            digest: base,
            at: Timestamp::EPOCH,
        });
        let (transport, silent_until) = match manner {
            Manner::Polls | Manner::PollsAndRefuses => (Transport::Http, None),
            Manner::Offline(seconds) => (Transport::WebSocket, Some(now.plus(Duration::from_secs(seconds)))),
            _ => (Transport::WebSocket, None),
        };
        Self {
            manner,
            agent: Arc::new(agent),
            pulse: Pulse {
                sequence: Some(1),
                last_seen: now,
                ..Pulse::default()
            },
            contact: Contact::new(transport),
            online: silent_until.is_none(),
            sequence: 1,
            runs: 0,
            status: Some((0, RemoteConfigOutcome::Applied)),
            healthy: true,
            started_at: now,
            later: VecDeque::new(),
            next_word: now.plus(Duration::from_secs(u64::from(id.0[7]) % 30)),
            silent_until,
            offered: Vec::new(),
            offers: 0,
            retried: false,
            broken: false,
            skew: 0,
            late: None,
        }
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject {
            agent: &mut self.agent,
            pulse: &mut self.pulse,
            contact: &mut self.contact,
        }
    }

    fn is_silent(&self, now: Timestamp) -> bool {
        self.silent_until.is_some_and(|until| now < until)
    }

    fn come_back(&mut self, now: Timestamp) {
        self.silent_until = None;
        self.contact = Contact::new(self.contact.transport);
        self.next_word = now;
        self.started_at = now;
        self.healthy = true;
        self.runs = 0;
        self.status = Some((0, RemoteConfigOutcome::Applied));
    }

    /// Takes an offer.
    fn take(&mut self, number: u8, now: Timestamp) {
        if self.offered.last() != Some(&number) {
            self.offered.push(number);
        }
        let takes = match self.manner {
            Manner::Slow(seconds) if number == 1 => Duration::from_secs(seconds),
            _ => Duration::from_secs(2),
        };
        let known = self
            .later
            .iter()
            .any(|(_, later)| matches!(later, Later::Take(n) if *n == number));
        if !known {
            self.later.clear();
            self.later.push_back((now.plus(takes), Later::Take(number)));
        }
    }

    fn do_later(
        &mut self,
        later: Later,
        now: Timestamp,
        base_fails: bool,
        parts: &mut Parts,
        offers: &[Arc<Offer>],
    ) {
        let in_seconds = |seconds| now.plus(Duration::from_secs(seconds));
        match later {
            Later::Take(0) if base_fails => self.status = Some((0, RemoteConfigOutcome::Failed)),
            Later::Take(1) => {
                self.started_at = now;
                let good = (1, RemoteConfigOutcome::Applied);
                self.broken |= !matches!(
                    self.manner,
                    Manner::Well
                        | Manner::Slow(_)
                        | Manner::Offline(_)
                        | Manner::Polls
                        | Manner::DiesAfter(_)
                );
                match self.manner {
                    Manner::Refuses | Manner::PollsAndRefuses => {
                        self.status = Some((1, RemoteConfigOutcome::Failed));
                    }
                    Manner::FallsBack => {
                        self.status = Some((1, RemoteConfigOutcome::Failed));
                        self.later.push_back((in_seconds(5), Later::FallBack));
                    }
                    Manner::Dies => {
                        self.silent_until = Some(in_seconds(3600));
                        return;
                    }
                    _ => {
                        self.runs = 1;
                        self.status = Some(good);
                    }
                }
                match self.manner {
                    Manner::Lies => self.healthy = false,
                    Manner::GoesDark => self.silent_until = Some(in_seconds(3600)),
                    Manner::DiesAfter(seconds) => self.later.push_back((in_seconds(seconds), Later::Sicken)),
                    Manner::Flaps => self.later.push_back((in_seconds(5), Later::Turn)),
                    Manner::Loops => self.later.push_back((in_seconds(10), Later::Restart)),
                    _ => {}
                }
            }
            Later::Take(number) => {
                self.runs = number;
                self.healthy = true;
                self.status = Some((number, RemoteConfigOutcome::Applied));
            }
            Later::Sicken => {
                self.broken = true;
                self.healthy = false;
            }
            Later::FallBack => self.status = Some((0, RemoteConfigOutcome::Applied)),
            Later::Turn => {
                self.healthy = !self.healthy;
                self.later.push_back((in_seconds(10), Later::Turn));
            }
            Later::Restart => {
                self.started_at = now;
                self.later.push_back((in_seconds(10), Later::Restart));
            }
        }
        parts.health = Some(self.health());
        parts.remote_config_status = self.say_status(offers);
    }

    fn health(&self) -> Health {
        Health {
            healthy: self.healthy,
            started_at: Some(self.its_time(self.started_at)),
            ..Health::default()
        }
    }

    /// A point in time as its own clock has it.
    fn its_time(&self, at: Timestamp) -> Timestamp {
        let by = Duration::from_secs(self.skew.unsigned_abs());
        if self.skew < 0 { at.minus(by) } else { at.plus(by) }
    }

    fn say_status(&self, offers: &[Arc<Offer>]) -> Option<RemoteConfigStatus> {
        self.status.map(|(number, outcome)| RemoteConfigStatus {
            hash: offers[usize::from(number)].hash.to_vec(),
            outcome,
            error: String::new(),
        })
    }

    fn everything(&self, offers: &[Arc<Offer>]) -> Parts {
        Parts {
            description: Some(Description::default()),
            health: Some(self.health()),
            remote_config_status: self.say_status(offers),
            ..Parts::default()
        }
    }

    fn report(&self, parts: Parts) -> Report {
        Report {
            uid: InstanceUid([1; 16]),
            sequence: self.sequence,
            fingerprint: self.sequence,
            capabilities: Some(self.agent.reported.capabilities),
            parts,
            disconnect: false,
            requests_uid: false,
        }
    }
}
