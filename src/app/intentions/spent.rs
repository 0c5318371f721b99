//! What nothing refers to any more, and that goes after a while: what single agents were rendered of targets that were
//! replaced, targets of groups that are gone and of agents that have none of their own any more, and contents that hold
//! secrets.
//!
//! What was published to a group stays for as long as the group: who published which revisions when. It is published again
//! from those, so what agents were once rendered is not needed for it.
//!
//! Whoever refers to a content again puts it again. Rows go in batches, each durable as a whole: after a kill the rest goes
//! the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::index::Index;
use super::{Intentions, SealedContent};
use crate::app::error::Error;
use crate::fleet::agent::Agent;
use crate::fleet::config::Revision;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::rollout::{Member, PendingMove, Rollout};
use crate::fleet::target::{Rendered, Target};
use crate::fleet::time::Timestamp;
use crate::store::{Batch, ReadError, Store};

/// How long what nothing needs is kept, after it was replaced.
pub const SPENT_KEPT: Duration = Duration::from_hours(7 * 24);
/// Rows deleted in one commit, at the most.
const ROWS_A_COMMIT: usize = 1_000;

/// What was deleted since nothing referred to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Targets.
    pub targets: usize,
    /// What targets came to for single agents.
    pub renderings: usize,
    /// Contents that hold secrets.
    pub sealed: usize,
    /// Other contents: what was rendered without secrets, and what agents reported.
    pub bodies: u64,
    /// The length of these, in bytes.
    pub bytes: u64,
}

/// What is needed of targets.
struct Needed {
    /// The targets of which somebody may be sent what it was rendered.
    in_force: BTreeSet<TargetId>,
    /// The targets that are looked at: these, what they took the place of, and what rollouts went from and to.
    told: BTreeSet<TargetId>,
    /// The contents that each agent has or may be brought back to.
    of_agents: BTreeMap<AgentId, BTreeSet<Digest>>,
}

impl Needed {
    fn of(index: &Index, agents: &[Arc<Agent>], now: Timestamp) -> Self {
        let mut in_force = in_force(index);
        in_force.extend(agents.iter().filter_map(|agent| agent.registration.own_target));
        in_force.extend(fresh(index, now));
        let rollouts = index.rollouts().map(|head| &head.rollout);
        let mut left: Vec<TargetId> = rollouts.flat_map(targets_of).collect();
        left.extend(&in_force);
        let mut told = BTreeSet::new();
        while let Some(id) = left.pop() {
            if told.insert(id) {
                left.extend(index.target(id).and_then(|target| target.supersedes));
            }
        }
        let of_agents = agents
            .iter()
            .map(|agent| (agent.id(), agent.delivery.contents().collect()));
        Self {
            in_force,
            told,
            of_agents: of_agents.collect(),
        }
    }

    fn has(&self, agent: AgentId, content: Digest) -> bool {
        self.of_agents
            .get(&agent)
            .is_some_and(|contents| contents.contains(&content))
    }
}

/// The targets that groups have, and that rollouts go from or to which aren't over. What others say to agents they say by
/// content.
fn in_force(index: &Index) -> BTreeSet<TargetId> {
    let of_groups = index.groups().filter_map(|head| head.group.target);
    let open = index.rollouts().filter(|head| !head.rollout.is_ended());
    let rolling = open.flat_map(|head| targets_of(&head.rollout));
    of_groups.chain(rolling).collect()
}

fn targets_of(rollout: &Rollout) -> impl Iterator<Item = TargetId> + use<> {
    std::iter::once(rollout.target).chain(rollout.from)
}

/// The targets that were made or replaced a short while ago.
fn fresh(index: &Index, now: Timestamp) -> impl Iterator<Item = TargetId> {
    let young = move |target: &Target| now.since(target.published_at) < SPENT_KEPT;
    let made = index.targets().map(|head| &head.target);
    made.filter(move |target| young(target))
        .flat_map(|target| std::iter::once(target.id).chain(target.supersedes))
}

impl Intentions {
    /// Deletes targets that nothing refers to, and what those came to for single agents that nobody can be sent any more.
    /// Nothing that wasn't so the last time too. `agents` are all that there are.
    ///
    /// # Errors
    /// When the store fails; what was deleted until then was not referred to.
    pub async fn forget_spent(&self, agents: &[Arc<Agent>]) -> Result<Spent, Error> {
        let index = self.index();
        let needed = Needed::of(&index, agents, self.now());
        let known = index.targets().map(|head| head.target.id);
        let spent: BTreeSet<TargetId> = known.filter(|id| !needed.in_force.contains(id)).collect();
        let before = {
            let mut known = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, spent.clone())
        };
        let heads = spent
            .intersection(&before)
            .filter_map(|id| index.target_head(*id));
        let (mut renderings, mut targets) = (Vec::new(), Vec::new());
        for head in heads {
            let id = head.target.id;
            let there = renderings.len();
            let rows = head.renderings.iter();
            let gone = rows.filter(|(agent, rendered)| !needed.has(**agent, rendered.digest));
            renderings.extend(gone.map(|(agent, _)| (id, *agent)));
            if !needed.told.contains(&id) && renderings.len() - there == head.renderings.len() {
                targets.push(id);
            }
        }
        for rows in renderings.chunks(ROWS_A_COMMIT) {
            self.forget(rows, &[]).await?;
        }
        for rows in targets.chunks(ROWS_A_COMMIT) {
            self.forget(&[], rows).await?;
        }
        Ok(Spent {
            targets: targets.len(),
            renderings: renderings.len(),
            ..Spent::default()
        })
    }

    async fn forget(&self, renderings: &[(TargetId, AgentId)], targets: &[TargetId]) -> Result<(), Error> {
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let in_force = in_force(&index);
        let mut batch = Batch::new();
        for key in renderings.iter().filter(|(target, _)| !in_force.contains(target)) {
            batch.delete::<Rendered>(key);
            index.remove_rendering(key.0, key.1);
        }
        for id in targets.iter().filter(|id| !in_force.contains(id)) {
            batch.delete::<Target>(id);
            index.remove_target(*id);
        }
        batch.vital();
        writing.commit(batch).await?;
        writing.install(index, [], false);
        Ok(())
    }

    /// Deletes the contents with secrets that are not among `kept` and that nothing published came to since. How many.
    ///
    /// # Errors
    /// When the store fails; what was deleted until then was not referred to.
    pub async fn forget_sealed(&self, kept: &BTreeSet<Digest>) -> Result<usize, Error> {
        let mut spent = self.store.keys::<SealedContent>()?;
        spent.retain(|digest| !kept.contains(digest));
        let mut deleted = 0;
        for digests in spent.chunks(ROWS_A_COMMIT) {
            let mut writing = self.begin().await?;
            let index = writing.index();
            let mut used = index.wanted_contents();
            used.extend(
                index
                    .targets()
                    .flat_map(|head| head.contents().collect::<Vec<_>>()),
            );
            let mut batch = Batch::new();
            for digest in digests.iter().filter(|digest| !used.contains(digest)) {
                batch.delete::<SealedContent>(digest);
                deleted += 1;
            }
            batch.vital();
            writing.commit(batch).await?;
            writing.install(index, [], false);
        }
        Ok(deleted)
    }

    /// The digests of all contents that intent refers to, read from the store: these are to be kept.
    ///
    /// # Errors
    /// When the storage fails or a record is damaged.
    pub fn referenced(store: &Store) -> Result<BTreeSet<Digest>, ReadError> {
        let mut found = BTreeSet::new();
        // What a target was made of is looked at after the revisions: a config that is deleted meanwhile is in one of them.
        store.visit(|_, revision: Revision| {
            found.insert(revision.digest);
        })?;
        store.visit(|_, target: Target| {
            found.extend(
                target
                    .content
                    .iter()
                    .flat_map(crate::fleet::target::Frozen::contents),
            );
        })?;
        store.visit(|_, rendered: Rendered| {
            found.insert(rendered.digest);
        })?;
        store.visit(|_, sealed: SealedContent| {
            found.insert(sealed.shown);
        })?;
        // Before the rollouts: a move that begins meanwhile is in one of them.
        store.visit(|_, pending: PendingMove| found.extend(pending.keeps))?;
        found.extend(rolling(store)?);
        Ok(found)
    }
}

/// The contents that rollouts may still say that agents should have: of those that aren't over, and of the last of each
/// agent.
fn rolling(store: &Store) -> Result<BTreeSet<Digest>, ReadError> {
    let mut rollouts: BTreeMap<RolloutId, bool> = BTreeMap::new();
    store.visit(|id, rollout: Rollout| {
        if rollout.governs {
            rollouts.insert(id, rollout.is_ended());
        }
    })?;
    let mut found = BTreeSet::new();
    // In the order of the rollouts: a later one takes the place of those before.
    let mut last: BTreeMap<AgentId, [Option<Digest>; 3]> = BTreeMap::new();
    store.visit(|(id, agent), member: Member| {
        let contents = [member.target, member.before, member.base];
        if let Some(is_ended) = rollouts.get(&id) {
            if !is_ended {
                found.extend(contents.into_iter().flatten());
            }
            last.insert(agent, contents);
        }
    })?;
    found.extend(last.into_values().flatten().flatten());
    Ok(found)
}
