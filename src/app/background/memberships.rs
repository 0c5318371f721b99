//! Puts agents into the groups that they belong to. One that has something of ours already keeps it, and waits until a
//! rollout of its new group takes it.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::app::App;
use crate::app::changes::Topic;
use crate::app::error::Error;
use crate::app::intentions::Index;
use crate::fleet::agent::{Agent, Happening, Intent, Registration};
use crate::fleet::group::{Candidate, membership};
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::rollout::{PendingMove, has};
use crate::store::Batch;

/// What settling one agent came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// It is where it belongs.
    Done,
    /// It has something that it must keep when it moves; nothing was done.
    HasToMove,
}

impl App {
    /// Settles every membership when the groups' rules changed. What changes at an agent settles it at once, so otherwise
    /// this only makes sure, now and then.
    pub(super) async fn settle_all(&self) {
        const MAKING_SURE: Duration = Duration::from_mins(5);
        const MOST_AT_ONCE: usize = 200;
        let arrivals = std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner));
        let rules = self.intentions.index().rules();
        let now = self.clock.now();
        let settled = *self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let all = !settled.is_some_and(|(under, at)| under == rules && now.since(at) < MAKING_SURE);
        let agents = if all {
            self.live.collect(|entry| Some(entry.agent.id()))
        } else {
            arrivals.into_iter().collect()
        };
        let mut failed = BTreeSet::new();
        let mut moving = Vec::new();
        for id in agents {
            match self.settle_unless_it_moves(id).await {
                Ok(Settled::Done) => {}
                Ok(Settled::HasToMove) => moving.push(id),
                Err(error) => {
                    failed.insert(id);
                    tracing::error!(agent_id = %id, error = %error, "an agent's membership could not be settled");
                }
            }
        }
        // Those that one change moves are to wait together, and one commit each would take long.
        for ids in moving.chunks(MOST_AT_ONCE) {
            if let Err(error) = self.move_agents(ids).await {
                failed.extend(ids);
                tracing::error!(agents = ids.len(), error = %error, "agents could not be put into their groups");
            }
        }
        if all && failed.is_empty() {
            *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Some((rules, now));
        }
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.extend(failed);
    }

    /// Puts an agent that is in no store yet into its group.
    pub(in crate::app) fn place(&self, agent: &mut Agent) {
        let facts = facts(agent);
        let registration = &mut agent.registration;
        let candidate = Candidate {
            labels: &registration.labels,
            facts: &facts,
            pin: registration.pin.as_ref(),
            token_group: registration.token_group.as_ref(),
        };
        let index = self.intentions.index();
        if index.lacks_groups() {
            return;
        }
        let decided = membership(&candidate, index.claimants());
        registration.settle(decided, |group| index.keeps_by_facts(group));
    }

    /// Puts an agent into the group that it belongs to now, durably. What it has it keeps, until a rollout takes it.
    ///
    /// # Errors
    /// When the store can't take it.
    pub(in crate::app) async fn settle(&self, id: AgentId) -> Result<(), Error> {
        match self.settle_unless_it_moves(id).await? {
            Settled::Done => Ok(()),
            Settled::HasToMove => self.move_agents(&[id]).await,
        }
    }

    /// The same in the middle of an exchange. Whoever has to move does so a moment later: intent is changed before an
    /// agent's turn is taken, never after.
    ///
    /// # Errors
    /// When the store can't take it.
    pub(in crate::app) async fn settle_in_its_turn(&self, id: AgentId) -> Result<(), Error> {
        if self.settle_unless_it_moves(id).await? == Settled::HasToMove {
            self.arrivals
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id);
            self.reconcile.activate();
        }
        Ok(())
    }

    async fn settle_unless_it_moves(&self, id: AgentId) -> Result<Settled, Error> {
        if self.misplaced(id).is_none() {
            return Ok(Settled::Done);
        }
        let _writing = self.registrations.lock(id).await;
        let Some((agent, after)) = self.misplaced(id) else {
            return Ok(Settled::Done);
        };
        let index = self.intentions.index();
        let known = index.pending_move(id);
        let changes = agent.registration.group != after.group;
        if changes && (known.is_some() || self.pending(&index, &agent, &after).is_some()) {
            return Ok(Settled::HasToMove);
        }
        let mut batch = Batch::new();
        batch.put(&id, &after);
        self.store.commit(batch).await?;
        self.settled_in(&agent, after);
        Ok(Settled::Done)
    }

    /// Moves agents that have something of ours, in one commit: they are in their new group, and keep what they have.
    async fn move_agents(&self, ids: &[AgentId]) -> Result<(), Error> {
        let mut writing = self.intentions.begin().await?;
        let _writing = self.registrations.lock_all(ids).await;
        let mut index = writing.index();
        let mut batch = Batch::new();
        let mut groups = BTreeSet::new();
        let (mut keeping, mut others) = (Vec::new(), Vec::new());
        for id in ids {
            let Some((agent, after)) = self.misplaced(*id) else {
                continue;
            };
            let known = index.pending_move(*id).cloned();
            let changes = agent.registration.group != after.group;
            let pending = if changes {
                self.pending(&index, &agent, &after)
            } else {
                known.clone()
            };
            batch.put(id, &after);
            match (&pending, &known) {
                (Some(pending), _) => {
                    batch.put(id, pending);
                }
                (None, Some(_)) => {
                    batch.delete::<PendingMove>(id);
                }
                (None, None) => {}
            }
            groups.extend([agent.registration.group.clone(), after.group.clone()]);
            let settled = if pending.is_some() {
                &mut keeping
            } else {
                &mut others
            };
            settled.push((agent, after));
            // What it keeps may be wanted of nobody else.
            let kept = pending.as_ref().and_then(|pending| pending.keeps);
            index.load_offers(&self.store, self.intentions.keys(), kept);
            index.put_move(*id, pending);
        }
        if groups.is_empty() {
            return Ok(());
        }
        writing.commit(batch).await?;
        let moves = !keeping.is_empty();
        let topics = groups.into_iter().map(Topic::Group);
        let topics = topics.chain([Topic::Groups]).collect::<Vec<_>>();
        // While the move is known the agent keeps what it has, whichever group it is in.
        for (agent, after) in others {
            self.settled_in(&agent, after);
        }
        writing.install(index, topics, false);
        for (agent, after) in keeping {
            self.settled_in(&agent, after);
        }
        if moves {
            self.rollouts.activate();
        }
        Ok(())
    }

    /// The move that an agent has to make into the group of `after`, if there is anything to bring it there.
    fn pending(&self, index: &Index, agent: &Agent, after: &Registration) -> Option<PendingMove> {
        let wanted = self.wanted_of(&agent.registration);
        let known = index.pending_move(agent.id());
        let group = index.group(&after.group)?;
        let pending = PendingMove::of(agent, wanted, known, &after.group, self.clock.now())?;
        if index.keeps_movers(&after.group).is_some() {
            return Some(pending);
        }
        let target = index.target_head(group.group.target?)?;
        target.target.content.as_ref()?;
        let comes_to = target.digest_for(agent.id());
        let has_it = comes_to.is_some() && (comes_to == wanted || comes_to == has(&agent.delivery));
        (!has_it).then_some(pending)
    }

    /// What is wanted of an agent, also while that is held.
    fn wanted_of(&self, registration: &Registration) -> Option<Digest> {
        match self.intentions.behind_holds(registration).config {
            Intent::Want(offer) => Some(offer.stamp.digest),
            Intent::Hold(_) | Intent::Unmanaged => None,
        }
    }

    /// An agent whose record isn't as it belongs, and how it does. Nobody changes groups in the middle of a rollout: they
    /// do when that is over.
    fn misplaced(&self, id: AgentId) -> Option<(Arc<Agent>, Registration)> {
        let agent = self.live.get(id)?.agent;
        let mut settled = Agent::clone(&agent);
        self.place(&mut settled);
        let mut after = settled.registration;
        if after.group != agent.registration.group && self.is_rolling(id) {
            after.group = agent.registration.group.clone();
            after.because = agent.registration.because.clone();
        }
        (after != agent.registration).then_some((agent, after))
    }

    /// Follows what was just made durable.
    fn settled_in(&self, agent: &Agent, after: Registration) {
        let (id, before) = (agent.id(), &agent.registration);
        if before.group != after.group {
            let group = after.group.clone();
            self.happen(id, Happening::GroupChanged { group }, self.clock.now());
        }
        self.adopt_registration(before, after);
        self.announce_agent(id);
    }
}

fn facts(agent: &Agent) -> crate::fleet::attributes::Facts {
    agent
        .reported
        .description
        .as_ref()
        .map(|packed| packed.unpack().facts())
        .unwrap_or_default()
}
