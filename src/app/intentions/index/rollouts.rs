//! What rollouts say to their members.

use std::sync::Arc;

use super::Index;
use crate::fleet::agent::{HoldReason, Intent, Offer};
use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{Kind, Members, PendingMove, Rollout, State, Wants};

/// A rollout with its members.
#[derive(Clone, Debug)]
pub struct RolloutHead {
    /// The rollout.
    pub rollout: Rollout,
    /// Its members; none for one that ended long ago.
    pub members: Members,
}

impl Index {
    /// What an agent of a group is to be sent: nothing while the group is held, also in the middle of a rollout.
    #[must_use]
    pub fn delivered_intent(&self, name: &Name, agent: AgentId) -> Option<Intent<Offer>> {
        if self.is_held(name) {
            return Some(Intent::Hold(HoldReason::Group));
        }
        self.member_intent(name, agent)
    }

    /// What an agent of a group should have by the rollout that it is in and by what the group has; `None` for a group
    /// that never published or doesn't exist. An agent that came into the group keeps what it has, whatever the group has.
    #[must_use]
    pub fn member_intent(&self, name: &Name, agent: AgentId) -> Option<Intent<Offer>> {
        if let Some(pending) = self.moves.get(&agent) {
            return pending.keeps.map(|digest| self.intent(digest));
        }
        let group = || self.group_intent(name, agent);
        let Some(wants) = self.governing(agent, name) else {
            return group();
        };
        match wants {
            Wants::Group => group(),
            Wants::Before(Some(digest)) | Wants::Target(Some(digest)) | Wants::Base(Some(digest)) => {
                Some(self.intent(digest))
            }
            // Nothing was wanted of it before, and what is published is not for it yet.
            Wants::Before(None) => group().filter(|intent| !matches!(intent, Intent::Want(_))),
            Wants::Target(None) => Some(Intent::Hold(HoldReason::NotRendered)),
            Wants::Base(None) => Some(Intent::Hold(HoldReason::NothingToGoBackTo)),
        }
    }

    fn governing(&self, agent: AgentId, group: &Name) -> Option<Wants> {
        let head = self.rollouts.get(self.governing.get(&agent)?)?;
        let member = head.members.get(&agent)?;
        (head.rollout.group == *group).then(|| member.wants(&head.rollout))
    }

    /// The rollout that is over and left an agent of a group with something else than the group has: it was to move it, or
    /// left it with what it had before it came. Whoever has what an aborted publication brought is not meant.
    #[must_use]
    pub fn left_behind(&self, group: &Name, agent: AgentId) -> Option<&Arc<RolloutHead>> {
        if self.moves.contains_key(&agent) {
            return None;
        }
        let head = self.rollouts.get(self.governing.get(&agent)?)?;
        let rollout = &head.rollout;
        if rollout.group != *group || !rollout.left_behind_can_move() {
            return None;
        }
        let has = match head.members.get(&agent)?.wants(rollout) {
            Wants::Group => return None,
            Wants::Target(_) if rollout.kind == Kind::Publish => return None,
            Wants::Before(digest) | Wants::Target(digest) | Wants::Base(digest) => digest,
        };
        let target = self.target_head(self.groups.get(group)?.group.target?)?;
        let differs = target.target.content.is_some() && has != target.digest_for(agent);
        differs.then_some(head)
    }

    /// The move of an agent that waits for a rollout.
    #[must_use]
    pub fn pending_move(&self, agent: AgentId) -> Option<&PendingMove> {
        self.moves.get(&agent)
    }

    /// All moves that wait for a rollout.
    pub fn pending_moves(&self) -> impl Iterator<Item = (AgentId, &PendingMove)> {
        self.moves.iter().map(|(agent, pending)| (*agent, pending))
    }

    /// The moves into a group that wait for a rollout.
    pub fn moves_into(&self, group: &Name) -> impl Iterator<Item = (AgentId, &PendingMove)> {
        self.pending_moves()
            .filter(move |(_, pending)| pending.group == *group)
    }

    /// Takes on an agent's move as it is now; `None` ends it.
    pub(in crate::app) fn put_move(&mut self, agent: AgentId, pending: Option<PendingMove>) {
        match pending {
            Some(pending) => {
                Arc::make_mut(&mut self.moves).insert(agent, pending);
            }
            None if self.moves.contains_key(&agent) => {
                Arc::make_mut(&mut self.moves).remove(&agent);
            }
            None => {}
        }
    }

    /// The rollout that movers into a group wait for, if there is one: it holds agents back, or is about to begin.
    #[must_use]
    pub fn keeps_movers(&self, group: &Name) -> Option<RolloutId> {
        let mut open = self.rollouts.values().map(|head| &head.rollout);
        let found = open.find(|rollout| rollout.group == *group && rollout.keeps_movers());
        found.map(|rollout| rollout.id)
    }

    /// A rollout.
    #[must_use]
    pub fn rollout(&self, id: RolloutId) -> Option<&Arc<RolloutHead>> {
        self.rollouts.get(&id)
    }

    /// All rollouts, oldest first.
    pub fn rollouts(&self) -> impl DoubleEndedIterator<Item = &Arc<RolloutHead>> {
        self.rollouts.values()
    }

    /// The rollout that says what an agent should have, also when it is over: the latest that it is a member of.
    #[must_use]
    pub fn governing_rollout(&self, agent: AgentId) -> Option<&Arc<RolloutHead>> {
        self.rollouts.get(self.governing.get(&agent)?)
    }

    /// The rollout that says what an agent should have, when it is not over.
    #[must_use]
    pub fn rolling(&self, agent: AgentId) -> Option<&Arc<RolloutHead>> {
        let head = self.rollouts.get(self.governing.get(&agent)?)?;
        (!head.rollout.is_ended()).then_some(head)
    }

    /// Whether a rollout says what some agent should have.
    #[must_use]
    pub fn governs(&self, id: RolloutId) -> bool {
        self.governing.values().any(|governing| *governing == id)
    }

    /// The number of the next rollout.
    #[must_use]
    pub fn next_rollout(&self) -> RolloutId {
        let last = self.rollouts.last_key_value().map_or(0, |(id, _)| id.0);
        RolloutId(last + 1)
    }

    /// Takes on a rollout as it is now. From its start on it says what its members should have.
    pub(in crate::app) fn put_rollout(&mut self, head: RolloutHead) {
        let id = head.rollout.id;
        let starts = !matches!(head.rollout.state, State::Queued | State::AwaitingApproval);
        if starts && head.rollout.governs {
            let newer = |agent: &AgentId| self.governing.get(agent).is_none_or(|known| *known < id);
            let mine: Vec<AgentId> = head.members.keys().copied().filter(newer).collect();
            if !mine.is_empty() {
                let governing = Arc::make_mut(&mut self.governing);
                governing.extend(mine.into_iter().map(|agent| (agent, id)));
            }
        }
        Arc::make_mut(&mut self.rollouts).insert(id, Arc::new(head));
    }

    pub(in crate::app) fn remove_rollout(&mut self, id: RolloutId) {
        Arc::make_mut(&mut self.rollouts).remove(&id);
    }
}
