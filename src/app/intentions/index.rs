//! All heads of intent, in memory, immutable.

mod read;
mod rollouts;

pub use rollouts::RolloutHead;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::secrets::SecretHead;
use crate::app::vault::Sealed;
use crate::fleet::agent::{HoldReason, Intent, Offer};
use crate::fleet::config::{Config, Revision, Variable};
use crate::fleet::group::{Because, Claimant, Group};
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::PendingMove;
use crate::fleet::target::{Frozen, LayerRef, Rendered, Rendering, Scope, Target};
use crate::fleet::time::Timestamp;

/// All heads of intent. A clone shares everything with the original until it is changed.
#[derive(Clone, Debug, Default)]
pub struct Index {
    groups: Arc<BTreeMap<Name, Arc<GroupHead>>>,
    configs: Arc<BTreeMap<Name, Arc<ConfigHead>>>,
    targets: Arc<BTreeMap<TargetId, Arc<TargetHead>>>,
    offers: Arc<BTreeMap<Digest, Arc<Offer>>>,
    secrets: Arc<BTreeMap<Name, Arc<SecretHead>>>,
    rollouts: Arc<BTreeMap<RolloutId, Arc<RolloutHead>>>,
    /// The rollout that says what an agent should have: the latest that it is a member of.
    governing: Arc<BTreeMap<AgentId, RolloutId>>,
    /// Agents that came into a group and keep what they have until a rollout takes them. Before anything that governs.
    moves: Arc<BTreeMap<AgentId, PendingMove>>,
    /// Whether groups could not be read: nobody knows whom they would take.
    lacks_groups: bool,
}

/// A group.
#[derive(Debug)]
pub struct GroupHead {
    /// The group.
    pub group: Group,
    /// How often its record was written: the value of its `ETag`.
    pub revision: u64,
}

/// A config and the heads of its revisions.
#[derive(Debug)]
pub struct ConfigHead {
    /// The config.
    pub config: Config,
    /// How often its record was written: the value of its `ETag`.
    pub revision: u64,
    /// Its revisions in the order of their numbers.
    pub revisions: Vec<Revision>,
}

/// A target and what it came to for single agents.
#[derive(Clone, Debug)]
pub struct TargetHead {
    /// The target.
    pub target: Target,
    /// What single agents are sent, where layers have variables.
    pub renderings: BTreeMap<AgentId, Rendered>,
}

/// A content that holds secrets, kept under its digest, which is keyed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::app) struct SealedContent {
    /// The digest of the content as people may see it, which lies open.
    pub(in crate::app) shown: Digest,
    /// The content in its canonical encoding.
    pub(in crate::app) content: Sealed,
}

impl Index {
    /// Whether groups could not be read. No agent changes its group then.
    #[must_use]
    pub fn lacks_groups(&self) -> bool {
        self.lacks_groups
    }

    /// Whether an operator holds what a group publishes.
    #[must_use]
    pub fn is_held(&self, group: &Name) -> bool {
        self.groups
            .get(group)
            .is_some_and(|head| head.group.hold.is_some())
    }

    /// What a group's target says to an agent; `None` for a group that never published or doesn't exist.
    #[must_use]
    pub fn group_intent(&self, name: &Name, agent: AgentId) -> Option<Intent<Offer>> {
        let target = self.groups.get(name)?.group.target?;
        let unreadable = Intent::Hold(HoldReason::Unreadable);
        Some(self.target_intent(target, agent).unwrap_or(unreadable))
    }

    /// What a target says to an agent; `None` when there is no such target.
    #[must_use]
    pub fn target_intent(&self, id: TargetId, agent: AgentId) -> Option<Intent<Offer>> {
        let head = self.targets.get(&id)?;
        Some(match (&head.target.content, head.digest_for(agent)) {
            (None, _) => Intent::Hold(HoldReason::NothingLeft),
            (Some(_), Some(digest)) => self.intent(digest),
            (Some(_), None) => Intent::Hold(HoldReason::NotRendered),
        })
    }

    /// The intent that an agent has the content with this digest: held when that isn't among what is in force.
    #[must_use]
    pub fn intent(&self, digest: Digest) -> Intent<Offer> {
        match self.offers.get(&digest) {
            Some(offer) => Intent::Want(Arc::clone(offer)),
            None => Intent::Hold(HoldReason::Unreadable),
        }
    }

    /// The contents that agents may have to be offered: of the targets that groups point at, and of agents' own.
    pub(super) fn wanted_contents(&self) -> BTreeSet<Digest> {
        let of_groups = self.groups().filter_map(|head| head.group.target);
        let in_force: BTreeSet<TargetId> = of_groups.collect();
        let heads = self.targets.values().filter(|head| {
            matches!(head.target.scope, Scope::Agent(_)) || in_force.contains(&head.target.id)
        });
        let rolling = self.governing.iter().filter_map(|(agent, id)| {
            let member = self.rollouts.get(id)?.members.get(agent)?;
            Some([member.target, member.before, member.base])
        });
        let of_targets = heads.flat_map(|head| head.contents());
        let kept = self.moves.values().filter_map(|pending| pending.keeps);
        of_targets
            .chain(rolling.flatten().flatten())
            .chain(kept)
            .collect()
    }

    /// Forgets the offers that nobody is to have any more.
    pub(super) fn forget_offers(&mut self) {
        let wanted = self.wanted_contents();
        if self.offers.len() > wanted.len() {
            Arc::make_mut(&mut self.offers).retain(|digest, _| wanted.contains(digest));
        }
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &Name) -> Option<&Arc<GroupHead>> {
        self.groups.get(name)
    }

    /// All groups in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<GroupHead>> {
        self.groups.values()
    }

    /// All groups as those that claim agents: what agents say of themselves is no key to secrets.
    pub fn claimants(&self) -> impl Iterator<Item = Claimant<'_>> {
        self.groups().map(|head| Claimant {
            group: &head.group,
            joins_by_facts: head.group.joins_by_facts && !self.takes_nobody_s_word(&head.group),
        })
    }

    /// Whether a group sends secrets: what is published to it holds some, or what its latest rollout brings or would
    /// go back to.
    #[must_use]
    pub fn sends_secrets(&self, group: &Group) -> bool {
        let rollout = group
            .rollout
            .and_then(|id| self.rollout(id))
            .map(|head| &head.rollout);
        let rolled = rollout
            .filter(|rollout| rollout.governs)
            .map_or([None, None], |rollout| {
                let back = rollout.from.filter(|_| !rollout.is_ended());
                [Some(rollout.target), back]
            });
        let targets = rolled.into_iter().chain([group.target]).flatten();
        targets.into_iter().any(|target| self.holds_secrets(target))
    }

    /// Whether what agents say of themselves is no way into a group: secrets are sent there, or it is protected.
    #[must_use]
    pub fn takes_nobody_s_word(&self, group: &Group) -> bool {
        group.is_protected() || self.sends_secrets(group)
    }

    /// Whether what a target sends holds secrets.
    #[must_use]
    pub fn holds_secrets(&self, target: TargetId) -> bool {
        let content = self.target(target).and_then(|target| target.content.as_ref());
        let secret = |variable: &Variable| matches!(variable, Variable::Secret(_));
        content.is_some_and(|content| content.variables().iter().any(secret))
    }

    /// Whether an agent that came into a group by its own word stays when it says something else.
    #[must_use]
    pub fn keeps_by_facts(&self, group: &Name) -> bool {
        self.group(group)
            .is_some_and(|head| !self.takes_nobody_s_word(&head.group))
    }

    /// Whether nothing of a group may go to an agent: it came by its own word, and secrets are sent there or it is protected.
    #[must_use]
    pub fn shuts_out(&self, group: &Name, because: &Because) -> bool {
        matches!(because, Because::Fact(_))
            && self
                .group(group)
                .is_some_and(|head| self.takes_nobody_s_word(&head.group))
    }

    /// A digest of what decides which group claims an agent: all of the groups but what was published to them, and of
    /// that whether it holds secrets.
    #[must_use]
    pub fn rules(&self) -> Digest {
        let rules: Vec<(Group, bool)> = self
            .groups()
            .map(|head| {
                let rules = Group {
                    target: None,
                    hold: None,
                    updated_at: Timestamp::EPOCH,
                    ..head.group.clone()
                };
                (rules, self.sends_secrets(&head.group))
            })
            .collect();
        // None of ours fails; if one did, groups would be looked at again later.
        Digest::of(&serde_json::to_vec(&rules).unwrap_or_default())
    }

    /// The config of that name.
    #[must_use]
    pub fn config(&self, name: &Name) -> Option<&Arc<ConfigHead>> {
        self.configs.get(name)
    }

    /// All configs in the order of their names.
    pub fn configs(&self) -> impl Iterator<Item = &Arc<ConfigHead>> {
        self.configs.values()
    }

    /// The newest revision of a layer's config, when it is newer than the layer.
    #[must_use]
    pub fn newer_than(&self, layer: &LayerRef) -> Option<LayerRef> {
        let revision = self.config(&layer.config)?.config.latest;
        (revision > layer.revision).then(|| LayerRef {
            config: layer.config.clone(),
            revision,
        })
    }

    /// The target with that identity.
    #[must_use]
    pub fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(&id).map(|head| &head.target)
    }

    /// All targets, oldest first.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<TargetHead>> {
        self.targets.values()
    }

    /// What a target's layers came to.
    #[must_use]
    pub fn document_of(&self, id: TargetId) -> Option<&Rendering> {
        Some(&self.target(id)?.content.as_ref()?.document)
    }

    /// A target with what it came to for single agents.
    #[must_use]
    pub fn target_head(&self, id: TargetId) -> Option<&Arc<TargetHead>> {
        self.targets.get(&id)
    }

    /// The groups that list a config as a layer, or to which it is published.
    #[must_use]
    pub fn groups_with(&self, config: &Name) -> Vec<Name> {
        let published = |head: &GroupHead| {
            let target = head.group.target.and_then(|id| self.target(id));
            let content = target.and_then(|target| target.content.as_ref());
            content.is_some_and(|content| content.has(config))
        };
        self.groups()
            .filter(|head| head.group.layers.contains(config) || published(head))
            .map(|head| head.group.name.clone())
            .collect()
    }

    /// A target and those that it took the place of, newest first.
    pub fn history(&self, newest: Option<TargetId>) -> impl Iterator<Item = &Target> {
        let first = newest.and_then(|id| self.target(id));
        std::iter::successors(first, |target| target.supersedes.and_then(|id| self.target(id)))
    }

    pub(in crate::app) fn put_group(&mut self, head: GroupHead) {
        Arc::make_mut(&mut self.groups).insert(head.group.name.clone(), Arc::new(head));
    }

    pub(in crate::app) fn remove_group(&mut self, name: &Name) {
        Arc::make_mut(&mut self.groups).remove(name);
    }

    pub(in crate::app) fn put_config(&mut self, head: ConfigHead) {
        Arc::make_mut(&mut self.configs).insert(head.config.name.clone(), Arc::new(head));
    }

    pub(in crate::app) fn remove_config(&mut self, name: &Name) {
        Arc::make_mut(&mut self.configs).remove(name);
    }

    pub(in crate::app) fn put_target(&mut self, head: TargetHead) {
        Arc::make_mut(&mut self.targets).insert(head.target.id, Arc::new(head));
    }

    pub(super) fn remove_target(&mut self, id: TargetId) {
        Arc::make_mut(&mut self.targets).remove(&id);
    }

    pub(super) fn remove_rendering(&mut self, target: TargetId, agent: AgentId) {
        if let Some(head) = Arc::make_mut(&mut self.targets).get_mut(&target) {
            Arc::make_mut(head).renderings.remove(&agent);
        }
    }

    /// The secret of that name.
    pub(in crate::app) fn secret(&self, name: &Name) -> Option<&Arc<SecretHead>> {
        self.secrets.get(name)
    }

    /// All secrets in the order of their names.
    pub(in crate::app) fn secrets(&self) -> impl Iterator<Item = &Arc<SecretHead>> {
        self.secrets.values()
    }

    pub(in crate::app) fn put_secret(&mut self, head: SecretHead) {
        Arc::make_mut(&mut self.secrets).insert(head.record.name.clone(), Arc::new(head));
    }

    pub(in crate::app) fn remove_secret(&mut self, name: &Name) {
        Arc::make_mut(&mut self.secrets).remove(name);
    }

    /// The groups to which something with this variable is published.
    pub(in crate::app) fn groups_with_variable(&self, variable: &Variable) -> Vec<Name> {
        let uses = |head: &GroupHead| {
            let target = head.group.target.and_then(|id| self.target(id));
            let content = target.and_then(|target| target.content.as_ref());
            content.is_some_and(|content| content.variables().contains(variable))
        };
        let heads = self.groups().filter(|head| uses(head));
        heads.map(|head| head.group.name.clone()).collect()
    }

    /// The content with this digest, when agents are to have it.
    pub(in crate::app) fn offer(&self, digest: Digest) -> Option<&Arc<Offer>> {
        self.offers.get(&digest)
    }

    /// Notes what a target came to for more agents.
    pub(in crate::app) fn put_renderings(
        &mut self,
        target: TargetId,
        renderings: impl IntoIterator<Item = (AgentId, Rendered)>,
    ) {
        if let Some(head) = Arc::make_mut(&mut self.targets).get_mut(&target) {
            Arc::make_mut(head).renderings.extend(renderings);
        }
    }

    pub(in crate::app) fn put_offers(&mut self, offers: impl IntoIterator<Item = Arc<Offer>>) {
        let offers = offers.into_iter().map(|offer| (offer.stamp.digest, offer));
        Arc::make_mut(&mut self.offers).extend(offers);
    }
}

impl ConfigHead {
    /// The revision with that number.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.number == number)
    }

    /// The newest revision.
    #[must_use]
    pub fn latest(&self) -> Option<&Revision> {
        self.revisions.last()
    }
}

impl TargetHead {
    /// A target that came to nothing for single agents.
    #[must_use]
    pub fn of(target: Target) -> Self {
        Self {
            target,
            renderings: BTreeMap::new(),
        }
    }

    /// The digest of what an agent is sent; `None` when there is nothing, or it is not rendered for it.
    #[must_use]
    pub fn digest_for(&self, agent: AgentId) -> Option<Digest> {
        let common = self.target.content.as_ref()?.common();
        common.or_else(|| self.renderings.get(&agent).map(|rendered| rendered.digest))
    }

    /// The digests of all that agents are sent.
    pub fn contents(&self) -> impl Iterator<Item = Digest> {
        let common = self.target.content.as_ref().and_then(Frozen::common);
        let rendered = self.renderings.values().map(|rendered| rendered.digest);
        common.into_iter().chain(rendered)
    }
}
