//! Two groups, agents that operators move between them, and an engine that begins a rollout for those that came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster::fleet::agent::Failure;
use muster::fleet::hash::Digest;
use muster::fleet::ids::{AgentId, RolloutId, TargetId};
use muster::fleet::name::Name;
use muster::fleet::rollout::{
    Act, Candidate, FailureReason, Kind, Member, Members, PendingMove, Phase, Rollout, State, Step, Strategy,
    View, Wants, are_together, assign, at_risk_now, has, plan,
};

use super::{Manner, World, group, id};

/// What there is beside agents where two groups are.
pub(super) struct Moves {
    strategy: Strategy,
    pending: BTreeMap<AgentId, PendingMove>,
    rollouts: Vec<(Rollout, Members)>,
    governing: BTreeMap<AgentId, usize>,
    /// What each agent was last told as it changed groups: until its turn it is told nothing else.
    told: BTreeMap<AgentId, Option<Digest>>,
    /// How often each was moved, or tried again.
    moved: BTreeMap<AgentId, usize>,
}

fn other() -> Name {
    Name::slug("other")
}

/// The content that a group has.
fn content_of(name: &Name) -> u8 {
    u8::from(*name != group())
}

impl Moves {
    fn holds_back(&self, agent: AgentId) -> bool {
        let governing = self.governing.get(&agent).map(|at| &self.rollouts[*at].0);
        governing.is_some_and(|rollout| !rollout.is_ended() && !rollout.is_at_once())
    }

    pub(super) fn most_offers(&self, agent: AgentId) -> usize {
        2 * self.moved.get(&agent).copied().unwrap_or(0)
    }
}

impl World {
    /// All agents are in one group and run its content, 0; the other group has content 1.
    pub(crate) fn of_two_groups(manners: &[Manner], strategy: Strategy, seed: u64) -> Self {
        let mut world = Self::new(manners, strategy.clone(), seed);
        world.members.clear();
        world.moves = Some(Moves {
            strategy,
            pending: BTreeMap::new(),
            rollouts: Vec::new(),
            governing: BTreeMap::new(),
            told: BTreeMap::new(),
            moved: BTreeMap::new(),
        });
        world
    }

    /// An operator puts agents into the other one of the groups.
    pub(crate) fn move_agents(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            let agent = id(number % self.hosts.len());
            self.move_one(agent);
        }
    }

    fn move_one(&mut self, agent: AgentId) {
        let wanted = self.offers[usize::from(self.wanted(agent))].stamp.digest;
        let moves = self.moves.as_mut().unwrap();
        // Nobody changes groups in the middle of a rollout.
        if moves.holds_back(agent) {
            return;
        }
        let host = self.hosts.get_mut(&agent).unwrap();
        let from = host.agent.registration.group.clone();
        let to = if from == group() { other() } else { group() };
        let known = moves.pending.remove(&agent);
        let pending = PendingMove::of(&host.agent, Some(wanted), known.as_ref(), &to, self.now);
        let comes_to = self.offers[usize::from(content_of(&to))].stamp.digest;
        let busy = moves
            .rollouts
            .iter()
            .any(|(rollout, _)| rollout.group == to && rollout.keeps_movers());
        let delivery = &host.agent.delivery;
        if busy || (wanted != comes_to && has(delivery) != Some(comes_to)) {
            moves.pending.insert(agent, pending.expect("it has something"));
        }
        let told = delivery.offered.map(|offered| offered.digest);
        moves.told.insert(agent, told);
        *moves.moved.entry(agent).or_default() += 1;
        Arc::make_mut(&mut host.agent).registration.group = to;
    }

    /// The content that is wanted of an agent.
    pub(super) fn wanted_between(&self, moves: &Moves, agent: AgentId) -> u8 {
        let number = |digest: Option<Digest>| {
            let mut offers = self.offers.iter();
            let at = offers.position(|offer| Some(offer.stamp.digest) == digest);
            u8::try_from(at.unwrap()).unwrap()
        };
        if let Some(pending) = moves.pending.get(&agent) {
            return number(pending.keeps);
        }
        let registration = &self.hosts[&agent].agent.registration;
        let of_group = content_of(&registration.group);
        let Some(at) = moves.governing.get(&agent) else {
            return of_group;
        };
        let (rollout, members) = &moves.rollouts[*at];
        if rollout.group != registration.group {
            return of_group;
        }
        match members[&agent].wants(rollout) {
            Wants::Group => of_group,
            Wants::Before(digest) | Wants::Target(digest) | Wants::Base(digest) => number(digest),
        }
    }

    /// Moves that are due begin, and every rollout goes as far as it can.
    pub(super) fn engine_of_moves(&mut self) {
        let mut moves = self.moves.take().unwrap();
        for name in [group(), other()] {
            self.begin_move(&mut moves, &name);
        }
        for (rollout, members) in &mut moves.rollouts {
            if !rollout.is_ended() {
                self.advance(rollout, members);
            }
        }
        self.check_moves(&moves);
        self.moves = Some(moves);
    }

    fn view(&self, name: &Name, agent: AgentId, member: &Member) -> View {
        let host = &self.hosts[&agent];
        let polls = host.contact.transport == muster::fleet::agent::Transport::Http;
        let heard = (host.pulse.last_seen, self.floor);
        View::of(&host.agent, member, name, (host.online, polls), heard)
    }

    fn begin_move(&self, moves: &mut Moves, name: &Name) {
        let open = moves
            .rollouts
            .iter()
            .filter(|(rollout, _)| rollout.group == *name);
        if open.clone().any(|(rollout, _)| rollout.keeps_movers()) {
            return;
        }
        let comes_to = self.offers[usize::from(content_of(name))].stamp.digest;
        let delivery = |agent: &AgentId| &self.hosts[agent].agent.delivery;
        moves
            .pending
            .retain(|agent, pending| pending.group != *name || has(delivery(agent)) != Some(comes_to));
        let coming = moves.pending.iter().filter(|(_, pending)| pending.group == *name);
        let coming: BTreeMap<AgentId, PendingMove> =
            coming.map(|(agent, pending)| (*agent, pending.clone())).collect();
        if !are_together(coming.values(), self.now) {
            return;
        }
        let mut members: Members = coming
            .iter()
            .map(|(agent, pending)| {
                let applied = delivery(agent).applied.map(|applied| applied.digest);
                let member = Member::new(0, Some(comes_to), pending.keeps, applied.or(pending.keeps));
                (*agent, member)
            })
            .collect();
        let candidates: Vec<Candidate> = members
            .iter()
            .map(|(agent, member)| Candidate {
                agent: *agent,
                able: self.view(name, *agent, member).blocked.is_none(),
            })
            .collect();
        if !candidates.iter().any(|candidate| candidate.able) {
            return;
        }
        let number = moves.rollouts.len();
        let rollout = Rollout {
            id: RolloutId(number as u64),
            group: name.clone(),
            kind: Kind::Move,
            target: TargetId([content_of(name); 16]),
            from: Some(TargetId([content_of(name); 16])),
            strategy: moves.strategy.clone(),
            state: State::Running { stage: 0 },
            members: u32::try_from(members.len()).unwrap(),
            started_by: "muster".into(),
            created_at: self.now,
            stage_since: self.now,
            promoted: 0,
            accepted_failures: 0,
            approval: None,
            governs: true,
            history: Vec::new(),
        };
        for (agent, stage) in assign(rollout.id, &rollout.strategy.stages, &candidates, |_, _| false) {
            members.get_mut(&agent).unwrap().stage = stage;
            moves.pending.remove(&agent);
            moves.governing.insert(agent, number);
        }
        moves.rollouts.push((rollout, members));
    }

    fn advance(&mut self, rollout: &mut Rollout, members: &mut Members) {
        let views: BTreeMap<AgentId, View> = members
            .iter()
            .map(|(agent, member)| (*agent, self.view(&rollout.group, *agent, member)))
            .collect();
        let steps = plan(rollout, members, |agent| views.get(&agent), self.now);
        for step in &steps {
            rollout.apply(members, step, self.now);
            match step {
                Step::Release { agent, .. } => {
                    let stage = rollout.stage().unwrap();
                    assert!(members[agent].stage <= stage, "released before its stage");
                    let (now, most) = (at_risk_now(rollout, members), rollout.at_risk());
                    assert!(now <= most, "{now} at risk, at most {most} may be");
                }
                Step::Fail { agent, why } if !matches!(why, FailureReason::Refused { .. }) => {
                    let failure = Failure {
                        digest: members[agent].target.unwrap(),
                        error: why.words(),
                        at: self.now,
                    };
                    let host = self.hosts.get_mut(agent).unwrap();
                    Arc::make_mut(&mut host.agent).delivery.remember_failure(failure);
                }
                _ => {}
            }
        }
        let views: BTreeMap<AgentId, View> = members
            .iter()
            .map(|(agent, member)| (*agent, self.view(&rollout.group, *agent, member)))
            .collect();
        let again = plan(rollout, members, |agent| views.get(&agent), self.now);
        assert_eq!(again, [], "planned twice, after {steps:?}");
    }

    fn check_moves(&self, moves: &Moves) {
        for name in [group(), other()] {
            let open = moves.rollouts.iter().map(|(rollout, _)| rollout);
            let open = open.filter(|rollout| rollout.group == name && rollout.keeps_movers());
            assert!(open.count() <= 1, "two rollouts of one group hold agents back");
        }
        for (agent, host) in &self.hosts {
            let governing = moves.governing.get(agent).map(|at| &moves.rollouts[*at]);
            let waits = governing.is_some_and(|(rollout, members)| {
                rollout.group == host.agent.registration.group
                    && members[agent].phase == Phase::Waiting
                    && !rollout.is_at_once()
                    && !rollout.is_ended()
            });
            let pending = moves.pending.get(agent);
            if pending.is_none() && !waits {
                continue;
            }
            let keeps = match (pending, governing) {
                (Some(pending), _) => pending.keeps,
                (None, Some((_, members))) => members[agent].before,
                (None, None) => None,
            };
            let told = host.agent.delivery.offered.map(|offered| offered.digest);
            assert!(
                told == moves.told[agent] || told == keeps,
                "{agent} has not had its turn and was told something new"
            );
        }
    }

    /// An operator does something about the newest rollout that isn't over, or tries again what one left behind.
    pub(crate) fn act_between(&mut self, act: &Act) {
        let moves = self.moves.as_mut().unwrap();
        let again = matches!(act, Act::Retry { .. });
        let found = moves.rollouts.iter_mut().enumerate().rev();
        let mut found = found.filter(|(_, (rollout, _))| !rollout.is_ended() || again);
        let Some((number, (rollout, members))) = found.next() else {
            return;
        };
        let moves_again = rollout.left_behind_can_move();
        let act = match act {
            Act::Retry { .. } if moves_again => {
                let left: BTreeSet<AgentId> = members
                    .keys()
                    .copied()
                    .filter(|agent| {
                        moves.governing.get(agent) == Some(&number)
                            && !moves.pending.contains_key(agent)
                            && self.hosts[agent].agent.registration.group == rollout.group
                            && !matches!(members[agent].wants(rollout), Wants::Target(_) | Wants::Group)
                    })
                    .collect();
                if left.is_empty() {
                    return;
                }
                Act::Retry { agents: left }
            }
            other => other.clone(),
        };
        let Ok(retried) = rollout.act(members, &act, "ada", "", self.now) else {
            return;
        };
        for agent in retried {
            let member = &members[&agent];
            let host = self.hosts.get_mut(&agent).unwrap();
            Arc::make_mut(&mut host.agent)
                .delivery
                .forgive(member.target.unwrap());
            host.contact.offered = None;
            let told = host.agent.delivery.offered.map(|offered| offered.digest);
            moves.told.insert(agent, told);
            *moves.moved.entry(agent).or_default() += 1;
            if moves_again {
                let keeps = match member.wants(rollout) {
                    Wants::Before(digest) | Wants::Base(digest) | Wants::Target(digest) => digest,
                    Wants::Group => None,
                };
                let pending = PendingMove {
                    group: rollout.group.clone(),
                    from: rollout.group.clone(),
                    keeps,
                    since: self.now,
                };
                moves.pending.insert(agent, pending);
            }
        }
    }

    /// Whether every move has been made, and every agent runs what its group has.
    pub(crate) fn everybody_runs_what_their_group_has(&self) -> bool {
        let moves = self.moves.as_ref().unwrap();
        let over = moves.rollouts.iter().all(|(rollout, _)| rollout.is_ended());
        let runs = |host: &super::Host| host.runs == content_of(&host.agent.registration.group);
        over && moves.pending.is_empty() && self.hosts.values().all(runs)
    }

    /// How many rollouts there were.
    pub(crate) fn moves_begun(&self) -> usize {
        self.moves.as_ref().unwrap().rollouts.len()
    }

    /// All that was offered to anybody, ever.
    pub(crate) fn all_offers(&self) -> usize {
        self.hosts.values().map(|host| host.offers).sum()
    }
}
