//! Starting rollouts: who is a member, of which stage, and from what to what.

use crate::app::error::Error;
use crate::app::intentions::{Index, Intentions, RolloutHead};
use crate::app::publish::IfRunning;
use crate::auth::actor::Actor;
use crate::fleet::agent::Intent;
use crate::fleet::group::{Because, Group};
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{
    Candidate, Ended, Kind, Member, Members, PendingMove, Progress, Rollout, State, Strategy, View, assign,
    plan,
};
use crate::fleet::target;
use crate::fleet::time::Timestamp;
use crate::store::Batch;

/// A rollout that is wanted.
pub(in crate::app) struct Wanted {
    /// What for.
    pub(in crate::app) kind: Kind,
    /// To what; the index knows it.
    pub(in crate::app) target: TargetId,
    /// How; `None`: as the group says, else by default.
    pub(in crate::app) strategy: Option<Strategy>,
    /// Whether it waits for another to end.
    pub(in crate::app) queued: bool,
}

impl Intentions {
    /// Whether agents of the group may have something else than it has: its last rollout was ended halfway, or agents that
    /// came into it wait to move, or were left behind.
    pub(in crate::app) fn is_unsettled(index: &Index, group: &Group, fleet: &[target::Member]) -> bool {
        let stays = |member: &target::Member| {
            let id = member.agent.id();
            is_member(group, member)
                && (index.pending_move(id).is_some() || index.left_behind(&group.name, id).is_some())
        };
        if fleet.iter().any(stays) {
            return true;
        }
        let Some(head) = group.rollout.and_then(|id| index.rollout(id)) else {
            return false;
        };
        match head.rollout.state {
            State::Ended {
                how: Ended::Succeeded,
            } => false,
            State::Ended { .. } => head.rollout.governs,
            State::Queued
            | State::AwaitingApproval
            | State::Running { .. }
            | State::Paused { .. }
            | State::RollingBack { .. } => !head.rollout.is_at_once(),
        }
    }

    /// How a publication to the group reaches its agents among `fleet`, if it doesn't say otherwise.
    pub(in crate::app) fn strategy_of(group: &Group, fleet: &[target::Member]) -> Strategy {
        let here = |member: &&target::Member| is_member(group, member);
        group
            .strategy
            .clone()
            .unwrap_or_else(|| Strategy::default_for(fleet.iter().filter(here).count()))
    }

    /// The rollout that keeps another from beginning, if there is one.
    pub(in crate::app) fn in_the_way(index: &Index, group: &Name) -> Option<RolloutId> {
        let head = index.rollouts().find(|head| {
            let rollout = &head.rollout;
            rollout.group == *group && is_in_the_way(rollout)
        });
        head.map(|head| head.id())
    }

    /// Sees to a rollout to the group that isn't over, as the publication says. Whether the new one has to wait.
    pub(in crate::app) fn make_way(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        group: &Group,
        if_running: IfRunning,
        actor: &Actor,
    ) -> Result<bool, Error> {
        let of_group = |head: &&std::sync::Arc<RolloutHead>| {
            head.rollout.group == group.name && !head.rollout.is_ended()
        };
        let open: Vec<RolloutHead> = index
            .rollouts()
            .filter(of_group)
            .map(|head| RolloutHead::clone(head))
            .collect();
        if let Some(other) = open.iter().find(|head| is_in_the_way(&head.rollout)) {
            let id = other.rollout.id;
            match if_running {
                IfRunning::Refuse => {
                    return Err(Error::Conflict(format!(
                        "rollout {id} to this group {}; say whether this one waits for it (queue) or takes its \
                         place (replace)",
                        other.rollout.state.words()
                    )));
                }
                IfRunning::Queue if open.iter().any(|head| head.rollout.state == State::Queued) => {
                    return Err(Error::Conflict(format!(
                        "another rollout waits for rollout {id} already; abort it, or say that this one takes the \
                         place of both (replace)"
                    )));
                }
                IfRunning::Queue => return Ok(true),
                IfRunning::Replace => {}
            }
        }
        self.supersede(index, batch, open, &actor.name);
        Ok(false)
    }

    /// Ends rollouts whose place another one takes.
    pub(in crate::app) fn supersede(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        open: Vec<RolloutHead>,
        by: &str,
    ) {
        for mut head in open {
            let ended = State::Ended {
                how: Ended::Superseded,
            };
            head.rollout.enter(ended, by, String::new(), self.now());
            batch.put(&head.rollout.id, &head.rollout);
            index.put_rollout(head);
        }
    }

    /// Puts a rollout to `group` into the batch and the index, with the agents of `fleet` that are in the group, and
    /// releases those of its first stage. The group is changed accordingly; the caller puts it.
    pub(in crate::app) fn start_rollout(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        group: &mut Group,
        wanted: Wanted,
        actor: &Actor,
        fleet: &[target::Member],
    ) -> Rollout {
        let now = self.now();
        let strategy = wanted.strategy.unwrap_or_else(|| Self::strategy_of(group, fleet));
        let fleet: Vec<&target::Member> = fleet.iter().filter(|member| is_member(group, member)).collect();
        let id = index.next_rollout();
        let mut rollout = Rollout {
            id,
            group: group.name.clone(),
            kind: wanted.kind,
            target: wanted.target,
            from: group.target,
            strategy,
            state: State::Queued,
            members: 0,
            started_by: actor.name.clone(),
            created_at: now,
            stage_since: now,
            promoted: 0,
            accepted_failures: 0,
            approval: None,
            governs: true,
            history: Vec::new(),
        };
        if wanted.queued {
            rollout.enter(State::Queued, &actor.name, String::new(), now);
            batch.put(&id, &rollout);
            let members = Members::new();
            index.put_rollout(RolloutHead {
                rollout: rollout.clone(),
                members,
            });
            return rollout;
        }
        self.begin_rollout(index, batch, group, rollout, &actor.name, &fleet)
    }

    /// Lets a rollout begin: freezes its members and releases the first. Members that waited to move do so with it.
    pub(in crate::app) fn begin_rollout(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        group: &mut Group,
        mut rollout: Rollout,
        by: &str,
        fleet: &[&target::Member],
    ) -> Rollout {
        let now = self.now();
        rollout.from = group.target;
        // Whoever is in the group by its own word falls out of it where secrets are sent.
        let secret = index.holds_secrets(rollout.target) || index.takes_nobody_s_word(group);
        // The agents were listed before this change began: one that went to another group meanwhile is that one's.
        let elsewhere = |agent: AgentId| {
            let moves = index.pending_move(agent);
            let rolls = index.rolling(agent);
            moves.is_some_and(|pending| pending.group != group.name)
                || rolls.is_some_and(|head| head.rollout.group != group.name)
        };
        let known = |member: &&&target::Member| {
            let by_its_own_word = matches!(member.agent.registration.because, Because::Fact(_));
            !((secret && by_its_own_word) || elsewhere(member.agent.id()))
        };
        let fleet: Vec<&target::Member> = fleet.iter().filter(known).copied().collect();
        let fleet = fleet.as_slice();
        rollout.members = u32::try_from(fleet.len()).unwrap_or(u32::MAX);
        let mut members = freeze(index, &rollout, fleet);
        let needed = members.values();
        let needed = needed.flat_map(|member| [member.target, member.before, member.base]);
        let digests: Vec<Digest> = needed.flatten().collect();
        index.load_offers(&self.store, self.keys(), digests);
        rollout.enter(State::Running { stage: 0 }, by, String::new(), now);
        rollout.stage_since = now;
        let views: std::collections::BTreeMap<AgentId, View> = fleet
            .iter()
            .filter_map(|seen| {
                let member = members.get(&seen.agent.id())?;
                let view = View::of(&seen.agent, member, &group.name, (seen.online, false), (now, now));
                Some((seen.agent.id(), view))
            })
            .collect();
        for step in plan(&rollout, &members, |agent| views.get(&agent), now) {
            rollout.apply(&mut members, &step, now);
        }
        let succeeded = State::Ended {
            how: Ended::Succeeded,
        };
        // A move brings agents to what the group has; it is no rollout of the group itself.
        if rollout.kind == Kind::Publish {
            if rollout.is_at_once() || rollout.state == succeeded {
                group.target = Some(rollout.target);
            }
            group.rollout = Some(rollout.id);
        }
        for agent in members.keys() {
            if index
                .pending_move(*agent)
                .is_some_and(|pending| pending.group == group.name)
            {
                batch.delete::<PendingMove>(agent);
                index.put_move(*agent, None);
            }
        }
        batch.put(&rollout.id, &rollout);
        for (agent, member) in &members {
            batch.put(&(rollout.id, *agent), member);
        }
        index.put_rollout(RolloutHead {
            rollout: rollout.clone(),
            members,
        });
        rollout
    }

    /// Ends the rollouts of a group that has nothing to send any more, what they say to its agents, and the moves into it.
    pub(in crate::app) fn disarm_rollouts(
        index: &mut Index,
        batch: &mut Batch,
        group: &Name,
        by: &str,
        now: Timestamp,
    ) {
        let of_group =
            |head: &&std::sync::Arc<RolloutHead>| head.rollout.group == *group && head.rollout.governs;
        let armed: Vec<RolloutHead> = index
            .rollouts()
            .filter(of_group)
            .map(|head| RolloutHead::clone(head))
            .collect();
        for mut head in armed {
            head.rollout.governs = false;
            if !head.rollout.is_ended() {
                let note = "the group's configuration was taken away".to_owned();
                let ended = State::Ended { how: Ended::Aborted };
                head.rollout.enter(ended, by, note, now);
            }
            batch.put(&head.rollout.id, &head.rollout);
            index.put_rollout(head);
        }
        let moves: Vec<AgentId> = index.moves_into(group).map(|(agent, _)| agent).collect();
        for agent in moves {
            batch.delete::<PendingMove>(&agent);
            index.put_move(agent, None);
        }
    }
}

/// Whether an agent is a member of a rollout to the group that begins now.
fn is_member(group: &Group, member: &target::Member) -> bool {
    let registration = &member.agent.registration;
    registration.group == group.name && registration.is_served()
}

/// Whether a rollout keeps another from beginning. One that reached everybody has nothing left to hold back.
fn is_in_the_way(rollout: &Rollout) -> bool {
    rollout.state == State::AwaitingApproval || !rollout.is_ended() && !rollout.is_at_once()
}

/// The members of a rollout that begins: stage, target, and the way back.
fn freeze(index: &Index, rollout: &Rollout, fleet: &[&target::Member]) -> Members {
    let target = index.target_head(rollout.target);
    let digest_for = |agent: AgentId| target.and_then(|target| target.digest_for(agent));
    let mut members = Members::new();
    for seen in fleet {
        let agent = &seen.agent;
        let wanted = match index.member_intent(&rollout.group, agent.id()) {
            Some(Intent::Want(offer)) => Some(offer.stamp.digest),
            Some(Intent::Hold(_) | Intent::Unmanaged) | None => None,
        };
        let delivery = &agent.delivery;
        let applied = delivery.applied.map(|applied| applied.digest);
        let untried = wanted.filter(|digest| delivery.failure_of(*digest).is_none());
        let member = Member::new(0, digest_for(agent.id()), wanted, applied.or(untried));
        members.insert(agent.id(), member);
    }
    let candidates: Vec<Candidate> = fleet
        .iter()
        .filter_map(|seen| {
            let member = members.get(&seen.agent.id())?;
            let view = View::of(
                &seen.agent,
                member,
                &rollout.group,
                (seen.online, false),
                (Timestamp::EPOCH, Timestamp::EPOCH),
            );
            // One that runs it already proves nothing.
            let able = view.blocked.is_none() && !matches!(view.target, Progress::Applied { .. });
            Some(Candidate {
                agent: seen.agent.id(),
                able,
            })
        })
        .collect();
    let facts: std::collections::BTreeMap<AgentId, &target::Member> =
        fleet.iter().map(|seen| (seen.agent.id(), *seen)).collect();
    let stages = assign(
        rollout.id,
        &rollout.strategy.stages,
        &candidates,
        |selector, agent| {
            facts.get(&agent).is_some_and(|seen| {
                let facts = seen.agent.reported.description.as_ref();
                let facts = facts.map(|packed| packed.unpack().facts()).unwrap_or_default();
                selector.matches(&seen.agent.registration.labels, &facts)
            })
        },
    );
    for (agent, stage) in stages {
        if let Some(member) = members.get_mut(&agent) {
            member.stage = stage;
        }
    }
    members
}

impl RolloutHead {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> RolloutId {
        self.rollout.id
    }
}
