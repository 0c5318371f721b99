//! Operators' intent about configurations: groups, configs with their revisions, and targets. All heads are in memory in
//! one immutable index, replaced once a change is durable; contents come from the store.
//!
//! The use cases on it are in `configs`, `groups` and `publish`.

mod comparisons;
mod index;
mod spent;
mod views;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use tokio::sync::MutexGuard;

pub(super) use comparisons::Pair;
pub(super) use index::SealedContent;
pub use index::{ConfigHead, GroupHead, Index, RolloutHead, TargetHead};
pub use spent::{SPENT_KEPT, Spent};
pub use views::{
    ConfigDetail, ConfigSummary, Deleted, GroupDetail, GroupSummary, MemberCounts, Preview, PublishResult,
    RevisionContent, Saved,
};

use super::changes::{Changes, Topic};
use super::clock::Clock;
use super::error::Error;
use super::secrets::SecretRecord;
use super::tasks::Activation;
use super::validation::{self, Validator};
use super::vault::{Keys, SealKey};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{Agent, Desired, HoldReason, Intent, Judgement, Registration, Verdict};
use crate::fleet::config::{Config, Revision};
use crate::fleet::group::Group;
use crate::fleet::hash::{Digest, HashKey};
use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{Member, PendingMove, Rollout};
use crate::fleet::target::{Rendered, Target, desired};
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch, CommitError, Committed, ReadError, Store};

crate::records! {
    /// The tables of intent about configurations.
    pub const TABLES;
    Group: Name => "groups_v1", version 1;
    Config: Name => "configs_v1", version 1;
    Revision: (Name, u64) => "revisions_v1", version 1;
    Target: TargetId => "targets_v1", version 1;
    Rendered: (TargetId, AgentId) => "renderings_v1", version 1;
    Rollout: RolloutId => "rollouts_v1", version 1;
    Member: (RolloutId, AgentId) => "rollout_members_v1", version 1;
    PendingMove: AgentId => "pending_moves_v1", version 1;
    SealedContent: Digest => "sealed_contents_v1", version 1;
    SecretRecord: Name => "secrets_v1", version 1;
}

/// Operators' intent about configurations.
#[derive(Debug)]
pub struct Intentions {
    pub(super) store: Store,
    pub(super) clock: Clock,
    keys: Keys,
    index: ArcSwap<Index>,
    /// One change at a time, so that the index follows the store in the same order.
    write: tokio::sync::Mutex<()>,
    /// Whether the store may know more than the index: a commit whose outcome nobody saw.
    suspect: AtomicBool,
    /// Why nobody is sent anything, while that is so.
    held: ArcSwapOption<HoldReason>,
    reconcile: Activation,
    changes: Changes,
    /// The largest content that fits into a message, in bytes.
    pub(super) largest_content: usize,
    /// Who else looks at configurations.
    pub(super) validator: Option<Validator>,
    /// How what agents run compares with what is wanted.
    pub(super) comparisons: comparisons::Comparisons,
    /// The targets that nothing needed when that was last looked at.
    spent: Mutex<BTreeSet<TargetId>>,
}

/// A change on its way. While it lives, no other is made.
pub(in crate::app) struct Writing<'a> {
    of: &'a Intentions,
    _turn: MutexGuard<'a, ()>,
}

impl Intentions {
    /// Reads all intent from the store. `keys` prove hashes to be ours and open secrets; `reconcile` is activated by every change that may
    /// reach agents, and `changes` hears of all.
    ///
    /// A content that can't be read holds the agents that should have it. Damaged configs and targets are logged.
    ///
    /// # Errors
    /// When the storage fails or a group is damaged: without its groups the fleet would be regrouped.
    pub fn load(
        store: Store,
        clock: Clock,
        keys: Keys,
        reconcile: Activation,
        changes: Changes,
    ) -> Result<Self, ReadError> {
        let index = Index::read(&store, &keys)?;
        Ok(Self {
            store,
            clock,
            keys,
            index: ArcSwap::from_pointee(index),
            write: tokio::sync::Mutex::default(),
            suspect: AtomicBool::new(false),
            held: ArcSwapOption::empty(),
            reconcile,
            changes,
            largest_content: super::configs::largest_content(1 << 20),
            validator: None,
            comparisons: comparisons::Comparisons::default(),
            spent: Mutex::default(),
        })
    }

    /// Has a collector look at configurations, too.
    #[must_use]
    pub fn with_validation(self, settings: Option<validation::Settings>) -> Self {
        Self {
            validator: settings.map(Validator::new),
            ..self
        }
    }

    /// Keeps contents to what fits into a message of at most `bytes`.
    #[must_use]
    pub fn for_messages_of(self, bytes: usize) -> Self {
        Self {
            largest_content: super::configs::largest_content(bytes),
            ..self
        }
    }

    /// What the agent should have. Runs for every message: looks a few names up and clones pointers.
    #[must_use]
    pub fn desired(&self, registration: &Registration) -> Desired {
        let index = self.index.load();
        let mut desired = desired(
            registration,
            |id| index.target_intent(id, registration.id),
            |name| index.delivered_intent(name, registration.id),
        );
        if let Intent::Want(_) = &desired.config
            && !desired.own
            && index.shuts_out(&registration.group, &registration.because)
        {
            // It is about to fall out of the group; until then nothing goes to it.
            desired.config = Intent::Hold(HoldReason::OwnWord);
        }
        if let (Intent::Want(_), Some(reason)) = (&desired.config, self.held.load().as_deref()) {
            desired.config = Intent::Hold(*reason);
        }
        desired
    }

    /// Where an agent's configuration stands.
    #[must_use]
    pub fn judge<'a>(&self, agent: &'a Agent) -> Judgement<'a> {
        let desired = self.desired(&agent.registration).config;
        let comparison = match (&desired, &agent.reported.effective_config) {
            (Intent::Want(offer), Some(runs)) => self.comparisons.of(offer.stamp.digest, runs.digest),
            (Intent::Want(_) | Intent::Hold(_) | Intent::Unmanaged, _) => None,
        };
        let mut judged = agent.judge(&desired, comparison, self.now());
        if judged.verdict == Verdict::Held && judged.wanted.is_none() {
            judged.wanted = self.behind_holds(&agent.registration).digest();
        }
        judged
    }

    /// What the agent is sent once operators release it and its group.
    #[must_use]
    pub fn behind_holds(&self, registration: &Registration) -> Desired {
        let index = self.index.load();
        let free;
        let registration = if registration.is_held() {
            free = Registration {
                suspension: None,
                ..registration.clone()
            };
            &free
        } else {
            registration
        };
        desired(
            registration,
            |id| index.target_intent(id, registration.id),
            |name| index.member_intent(name, registration.id),
        )
    }

    /// Holds the whole fleet: nothing is offered to anybody until [`Intentions::release_all`] or a restart. Whoever holds
    /// single agents durably finds out again after a restart.
    pub fn hold_all(&self, reason: HoldReason) {
        self.held.store(Some(Arc::new(reason)));
    }

    /// Why the whole fleet is held, when it is.
    #[must_use]
    pub fn held(&self) -> Option<HoldReason> {
        self.held.load().as_deref().copied()
    }

    /// Ends [`Intentions::hold_all`].
    ///
    /// # Errors
    /// When the actor may not publish, or the act can't be recorded.
    pub async fn release_all(&self, actor: &Actor) -> Result<(), Error> {
        actor.may(Permission::Publish)?;
        let Some(reason) = self.held() else { return Ok(()) };
        let mut writing = self.begin().await?;
        let mut batch = Batch::new();
        let told = format!("was held: {reason:?}");
        batch.audit(self.audited(actor, "fleet.release", "fleet".to_owned(), told));
        writing.commit(batch).await?;
        self.held.store(None);
        let index = writing.index();
        writing.install(index, [Topic::Agents], true);
        Ok(())
    }

    /// All heads as they are now.
    #[must_use]
    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    /// Reads the index again when a commit's outcome was never seen: its request went away, or the storage failed in the
    /// middle. For the reconcile loop; every change does it too.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn refresh(&self) -> Result<(), Error> {
        if self.suspect.load(Ordering::Acquire) {
            drop(self.begin().await?);
        }
        Ok(())
    }

    /// Waits for the turn to change something, with an index that is as new as the store.
    pub(super) async fn begin(&self) -> Result<Writing<'_>, Error> {
        let turn = self.write.lock().await;
        if self.suspect.load(Ordering::Acquire) {
            // Goes through the writer behind whatever was handed to it, and always holds: the name is reserved.
            let mut barrier = Batch::new();
            barrier.expect_absent::<Group>(&Name::unassigned());
            self.store.commit(barrier).await?;
            self.index.store(Arc::new(Index::read(&self.store, &self.keys)?));
            self.suspect.store(false, Ordering::Release);
            self.reconcile.activate();
        }
        Ok(Writing {
            of: self,
            _turn: turn,
        })
    }

    /// The audit entry of an act on `object`, as in `group/edge`.
    pub(super) fn audited(&self, actor: &Actor, action: &str, object: String, detail: String) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            actor: actor.name.clone(),
            action: action.to_owned(),
            object,
            address: actor.address.map(|address| address.to_string()),
            detail,
            ..AuditEntry::default()
        }
    }

    /// A new identity for a target that is made now.
    pub(super) fn new_target(&self) -> Result<TargetId, Error> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| Error::Unavailable(error.to_string()))?;
        let id = uuid::Builder::from_unix_timestamp_millis(self.now().millis(), &random).into_uuid();
        Ok(TargetId(id.into_bytes()))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn key(&self) -> &HashKey {
        &self.keys.hash
    }

    pub(super) fn seal_key(&self) -> &SealKey {
        &self.keys.seal
    }
}

impl Writing<'_> {
    /// A copy of the index to change and to hand to [`Writing::install`].
    pub(super) fn index(&self) -> Index {
        Index::clone(&self.of.index.load())
    }

    /// Makes the batch durable. Until [`Writing::install`] the index is behind the store, whatever becomes of the caller.
    pub(super) async fn commit(&mut self, batch: Batch) -> Result<Committed, Error> {
        self.of.suspect.store(true, Ordering::Release);
        let committed = self.of.store.commit(batch).await;
        let refused = match &committed {
            Ok(_) | Err(CommitError::Unavailable(_)) => false,
            Err(CommitError::Precondition { .. } | CommitError::Encode { .. } | CommitError::Damaged(_)) => {
                true
            }
        };
        if refused {
            self.of.suspect.store(false, Ordering::Release);
        }
        Ok(committed?)
    }

    /// Puts the index that goes with the committed batch in force, and tells who has to know.
    pub(super) fn install(
        self,
        mut index: Index,
        topics: impl IntoIterator<Item = Topic>,
        reaches_agents: bool,
    ) {
        if reaches_agents {
            index.forget_offers();
        }
        self.of.index.store(Arc::new(index));
        self.of.suspect.store(false, Ordering::Release);
        if reaches_agents {
            self.of.reconcile.activate();
        }
        for topic in topics {
            self.of.changes.announce(topic);
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.of.suspect.load(Ordering::Acquire) {
            self.of.reconcile.activate();
        }
    }
}

/// The digest of a record, for the audit log.
pub(super) fn fingerprint(record: &impl Serialize) -> Option<Digest> {
    serde_json::to_vec(record).ok().map(|json| Digest::of(&json))
}
