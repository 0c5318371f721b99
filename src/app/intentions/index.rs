//! All heads of intent, in memory, immutable.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fleet::agent::{HoldReason, Intent, Offer};
use crate::fleet::config::{Config, ConfigMap, Revision};
use crate::fleet::group::Group;
use crate::fleet::hash::{Digest, HashKey};
use crate::fleet::ids::TargetId;
use crate::fleet::name::Name;
use crate::fleet::target::{Scope, Target};
use crate::store::{ReadError, Record, Store};

/// All heads of intent. A clone shares everything with the original until it is changed.
#[derive(Clone, Debug, Default)]
pub struct Index {
    groups: Arc<BTreeMap<Name, Arc<GroupHead>>>,
    configs: Arc<BTreeMap<Name, Arc<ConfigHead>>>,
    targets: Arc<BTreeMap<TargetId, Arc<TargetHead>>>,
}

/// A group and what its target says.
#[derive(Debug)]
pub struct GroupHead {
    /// The group.
    pub group: Group,
    /// How often its record was written: the value of its `ETag`.
    pub revision: u64,
    /// What its agents should have; `None` when nothing was ever published.
    pub intent: Option<Intent<Offer>>,
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

/// A target, and what it says when it is an agent's own.
#[derive(Debug)]
pub struct TargetHead {
    /// The target.
    pub target: Target,
    /// What the agent should have; `None` for a target of a group, which keeps its own.
    pub intent: Option<Intent<Offer>>,
}

impl Index {
    /// Reads everything.
    pub(super) fn read(store: &Store, key: &HashKey) -> Result<Self, ReadError> {
        let mut offers = Offers::default();
        let targets: BTreeMap<_, _> = readable::<Target>(store)?
            .into_iter()
            .map(|(id, target, _)| {
                let own = matches!(target.scope, Scope::Agent(_));
                let intent = own.then(|| offers.intent(store, key, &target));
                (id, Arc::new(TargetHead { target, intent }))
            })
            .collect();
        let mut configs: BTreeMap<Name, ConfigHead> = readable::<Config>(store)?
            .into_iter()
            .map(|(name, config, revision)| {
                let revisions = Vec::new();
                (
                    name,
                    ConfigHead {
                        config,
                        revision,
                        revisions,
                    },
                )
            })
            .collect();
        for ((name, _), revision, _) in readable::<Revision>(store)? {
            if let Some(head) = configs.get_mut(&name) {
                head.revisions.push(revision);
            }
        }
        let groups = store.scan::<Group>()?.into_iter().map(|(name, row)| {
            let intent = row.record.target.map(|id| match targets.get(&id) {
                Some(head) => offers.intent(store, key, &head.target),
                None => Intent::Hold(HoldReason::Unreadable),
            });
            let (group, revision) = (row.record, row.revision);
            (
                name,
                Arc::new(GroupHead {
                    group,
                    revision,
                    intent,
                }),
            )
        });
        Ok(Self {
            groups: Arc::new(groups.collect()),
            configs: Arc::new(
                configs
                    .into_iter()
                    .map(|(name, head)| (name, Arc::new(head)))
                    .collect(),
            ),
            targets: Arc::new(targets),
        })
    }

    /// What a group's target says; `None` for a group that never published or doesn't exist.
    #[must_use]
    pub fn group_intent(&self, name: &Name) -> Option<&Intent<Offer>> {
        self.groups.get(name)?.intent.as_ref()
    }

    /// What an agent's own target says; `None` when there is no such target.
    #[must_use]
    pub fn own_intent(&self, id: TargetId) -> Option<&Intent<Offer>> {
        self.targets.get(&id)?.intent.as_ref()
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

    /// The config of that name.
    #[must_use]
    pub fn config(&self, name: &Name) -> Option<&Arc<ConfigHead>> {
        self.configs.get(name)
    }

    /// All configs in the order of their names.
    pub fn configs(&self) -> impl Iterator<Item = &Arc<ConfigHead>> {
        self.configs.values()
    }

    /// The target with that identity.
    #[must_use]
    pub fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(&id).map(|head| &head.target)
    }

    /// The groups that list a config as a layer, or to which it is published.
    #[must_use]
    pub fn groups_with(&self, config: &Name) -> Vec<Name> {
        let published = |head: &GroupHead| {
            let target = head.group.target.and_then(|id| self.target(id));
            let content = target.and_then(|target| target.content.as_ref());
            content.is_some_and(|content| content.config == *config)
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

/// Offers that were made ready, one per content.
#[derive(Default)]
struct Offers(BTreeMap<Digest, Option<Arc<Offer>>>);

impl Offers {
    fn intent(&mut self, store: &Store, key: &HashKey, target: &Target) -> Intent<Offer> {
        let Some(content) = &target.content else {
            return Intent::Hold(HoldReason::NothingLeft);
        };
        let offer = self
            .0
            .entry(content.digest)
            .or_insert_with(|| offer(store, key, content.digest));
        match offer {
            Some(offer) => Intent::Want(Arc::clone(offer)),
            None => Intent::Hold(HoldReason::Unreadable),
        }
    }
}

/// The offer of a frozen content, as the store has it. `None` when it can't be read, which is logged.
fn offer(store: &Store, key: &HashKey, digest: Digest) -> Option<Arc<Offer>> {
    let content = store
        .body(&digest)
        .inspect_err(|error| log(error, digest))
        .ok()??;
    let stamp = store
        .stamp(&digest)
        .inspect_err(|error| log(error, digest))
        .ok()??;
    let content = ConfigMap::from_canonical(&content)
        .inspect_err(|error| log(error, digest))
        .ok()?;
    Some(Arc::new(Offer {
        content: Arc::new(content),
        stamp,
        hash: stamp.to_wire(key),
    }))
}

fn log(error: &(dyn std::error::Error + 'static), digest: Digest) {
    tracing::error!(error, %digest, "a published configuration can't be read; its agents are held");
}

/// The records of a table that can be read, with their revisions; what is wrong with the others is logged.
fn readable<R: Record>(store: &Store) -> Result<Vec<(R::Key, R, u64)>, ReadError> {
    let survey = store.survey::<R>()?;
    for error in &survey.unreadable {
        tracing::error!(error = error as &dyn std::error::Error, "a record can't be read");
    }
    let rows = survey.rows.into_iter();
    Ok(rows.map(|(key, row)| (key, row.record, row.revision)).collect())
}
