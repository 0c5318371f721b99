//! Reading intent from the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ConfigHead, GroupHead, Index, RolloutHead, SealedContent, TargetHead};
use crate::app::secrets::{SecretHead, SecretRecord};
use crate::app::vault::Keys;
use crate::fleet::agent::Offer;
use crate::fleet::config::{Config, ConfigMap, Revision};
use crate::fleet::group::Group;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{self, Members, PendingMove, Rollout};
use crate::fleet::target::{Rendered, Target};
use crate::store::{ReadError, Record, Store};

impl Index {
    /// Reads everything.
    pub(in crate::app::intentions) fn read(store: &Store, keys: &Keys) -> Result<Self, ReadError> {
        let mut targets: BTreeMap<TargetId, TargetHead> = readable::<Target>(store)?
            .into_iter()
            .map(|(id, target, _)| (id, TargetHead::of(target)))
            .collect();
        for ((target, agent), rendered, _) in readable::<Rendered>(store)? {
            if let Some(head) = targets.get_mut(&target) {
                head.renderings.insert(agent, rendered);
            }
        }
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
        let survey = store.survey::<Group>()?;
        let lacks_groups = !survey.unreadable.is_empty();
        let groups = survey.rows.into_iter().map(|(name, row)| {
            let (group, revision) = (row.record, row.revision);
            (name, Arc::new(GroupHead { group, revision }))
        });
        let mut index = Self {
            groups: Arc::new(groups.collect()),
            configs: shared(configs),
            targets: shared(targets),
            offers: Arc::default(),
            lacks_groups,
            ..Self::default()
        };
        for (_, record, _) in readable::<SecretRecord>(store)? {
            index.put_secret(SecretHead::open(record, &keys.seal));
        }
        index.read_rollouts(store)?;
        let wanted = index.wanted_contents();
        let offers = wanted
            .into_iter()
            .filter_map(|digest| Some((digest, offer(store, keys, digest)?)));
        index.offers = Arc::new(offers.collect());
        Ok(index)
    }

    /// Reads all rollouts, and the moves that wait for one. One that can't be read governs nobody, which is logged: its agents have what their group has.
    fn read_rollouts(&mut self, store: &Store) -> Result<(), ReadError> {
        let mut rollouts: BTreeMap<RolloutId, RolloutHead> = readable::<Rollout>(store)?
            .into_iter()
            .map(|(id, rollout, _)| {
                let members = Members::new();
                (id, RolloutHead { rollout, members })
            })
            .collect();
        for ((id, agent), member, _) in readable::<rollout::Member>(store)? {
            if let Some(head) = rollouts.get_mut(&id) {
                head.members.insert(agent, member);
            }
        }
        for head in rollouts.into_values() {
            self.put_rollout(head);
        }
        for (agent, pending, _) in readable::<PendingMove>(store)? {
            self.put_move(agent, Some(pending));
        }
        Ok(())
    }

    /// Makes the offers ready that members of rollouts may need and that aren't yet.
    pub(in crate::app) fn load_offers(
        &mut self,
        store: &Store,
        keys: &Keys,
        digests: impl IntoIterator<Item = Digest>,
    ) {
        for digest in digests {
            if !self.offers.contains_key(&digest)
                && let Some(offer) = offer(store, keys, digest)
            {
                Arc::make_mut(&mut self.offers).insert(digest, offer);
            }
        }
    }
}

fn shared<K: Ord, V>(map: BTreeMap<K, V>) -> Arc<BTreeMap<K, Arc<V>>> {
    let shared = map.into_iter().map(|(key, value)| (key, Arc::new(value)));
    Arc::new(shared.collect())
}

/// The offer of a frozen content, as the store has it. `None` when it can't be read, which is logged.
fn offer(store: &Store, keys: &Keys, digest: Digest) -> Option<Arc<Offer>> {
    let sealed = store
        .get::<SealedContent>(&digest)
        .inspect_err(|error| log(error, digest))
        .ok()?;
    if let Some(sealed) = sealed {
        return sealed_offer(store, keys, digest, &sealed.record);
    }
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
    Some(Arc::new(Offer::new(content, stamp, &keys.hash)))
}

/// The offer of a content that holds secrets.
fn sealed_offer(store: &Store, keys: &Keys, digest: Digest, sealed: &SealedContent) -> Option<Arc<Offer>> {
    let stamp = store
        .stamp(&digest)
        .inspect_err(|error| log(error, digest))
        .ok()??;
    let shown = store
        .body(&sealed.shown)
        .inspect_err(|error| log(error, digest))
        .ok()??;
    let opened = keys
        .seal
        .open(SealedContent::TABLE, &digest.to_string(), &sealed.content);
    let Some(opened) = opened else {
        tracing::error!(%digest, "a published configuration can't be opened: the key in the data folder is another; its agents are held");
        return None;
    };
    let read = |bytes: &[u8]| {
        ConfigMap::from_canonical(bytes)
            .inspect_err(|error| log(error, digest))
            .ok()
    };
    let offer = Offer::new(read(&opened)?, stamp, &keys.hash);
    Some(Arc::new(offer.shown_as(read(&shown)?)))
}

fn log(error: &(dyn std::error::Error + 'static), digest: Digest) {
    tracing::error!(error, %digest, "a published configuration can't be read; its agents are held");
}

/// The records of a table that can be read, with their revisions; the store tells of the others.
fn readable<R: Record>(store: &Store) -> Result<Vec<(R::Key, R, u64)>, ReadError> {
    let rows = store.survey::<R>()?.rows.into_iter();
    Ok(rows.map(|(key, row)| (key, row.record, row.revision)).collect())
}
