//! Where contents come from: which target, or which revision of a config, a digest stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::app::App;
use crate::app::intentions::Index;
use crate::fleet::agent::Registration;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::target::{LayerRef, Scope, Target};

/// What contents are made of. Several targets and revisions may have the same content: an agent's is named by what it is,
/// or was, wanted to have before anything else.
#[derive(Debug)]
pub struct Origins {
    index: Arc<Index>,
    /// The newest target of a single agent with a content.
    of_agents: BTreeMap<AgentId, BTreeMap<Digest, TargetId>>,
    /// The newest target of a group with a content.
    of_groups: BTreeMap<Name, BTreeMap<Digest, TargetId>>,
    /// Of all: one that is in force for its group, else the oldest.
    of_any: BTreeMap<Digest, TargetId>,
    /// The oldest revision with a content.
    revisions: BTreeMap<Digest, LayerRef>,
}

impl App {
    /// Where contents come from, as it is now.
    #[must_use]
    pub fn origins(&self) -> Origins {
        Origins::of(self.intentions.index())
    }
}

impl Origins {
    fn of(index: Arc<Index>) -> Self {
        let mut of_agents: BTreeMap<AgentId, BTreeMap<Digest, TargetId>> = BTreeMap::new();
        let mut of_groups: BTreeMap<Name, BTreeMap<Digest, TargetId>> = BTreeMap::new();
        let mut of_any = BTreeMap::new();
        let in_force: BTreeSet<TargetId> = index.groups().filter_map(|head| head.group.target).collect();
        let first = in_force.iter().filter_map(|id| index.target_head(*id));
        for head in first.chain(index.targets()) {
            for digest in head.contents() {
                of_any.entry(digest).or_insert(head.target.id);
            }
        }
        for head in index.targets() {
            let newest = match &head.target.scope {
                Scope::Agent(agent) => of_agents.entry(*agent).or_default(),
                Scope::Group(group) => of_groups.entry(group.clone()).or_default(),
            };
            newest.extend(head.contents().map(|digest| (digest, head.target.id)));
        }
        let mut all: Vec<_> = index.configs().flat_map(|head| &head.revisions).collect();
        all.sort_by_key(|revision| revision.at);
        let mut revisions = BTreeMap::new();
        for revision in all {
            revisions.entry(revision.digest).or_insert_with(|| LayerRef {
                config: revision.config.clone(),
                revision: revision.number,
            });
        }
        Self {
            index,
            of_agents,
            of_groups,
            of_any,
            revisions,
        }
    }

    /// The target that a content of an agent comes from: what is wanted of it by its own target, by its rollout and by its
    /// group; then what once was; then any.
    #[must_use]
    pub fn target(&self, registration: &Registration, digest: Digest) -> Option<&Target> {
        let (id, group) = (registration.id, &registration.group);
        let of_group = self.index.group(group).and_then(|head| head.group.target);
        let rollout = self.index.governing_rollout(id);
        let rollout = rollout.filter(|head| head.rollout.group == *group);
        let rolled = rollout.map_or([None, None], |head| {
            [Some(head.rollout.target), head.rollout.from]
        });
        let has = |target: &TargetId| {
            let head = self.index.target_head(*target);
            head.is_some_and(|head| head.digest_for(id) == Some(digest))
        };
        let wanted = registration
            .own_target
            .into_iter()
            .chain(rolled.into_iter().flatten());
        let wanted = wanted.chain(of_group).find(has);
        let came_from = self.index.pending_move(id).map(|pending| &pending.from);
        let once = || {
            let of_groups = [Some(group), came_from].into_iter().flatten();
            let scopes = self.of_agents.get(&id).into_iter();
            let mut scopes = scopes.chain(of_groups.filter_map(|name| self.of_groups.get(name)));
            scopes.find_map(|known| known.get(&digest).copied())
        };
        let found = wanted.or_else(once).or_else(|| self.of_any.get(&digest).copied());
        self.index.target(found?)
    }

    /// The layers that a content of an agent was made of; none when it isn't one of ours.
    #[must_use]
    pub fn layers(&self, registration: &Registration, digest: Digest) -> Vec<LayerRef> {
        let content = self
            .target(registration, digest)
            .and_then(|target| target.content.as_ref());
        match content {
            Some(content) => content.layers.clone(),
            None => self.revisions.get(&digest).cloned().into_iter().collect(),
        }
    }
}
