//! Sets of components by the agents' own hashes of them, shared by agents of one kind (S-282).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::records::ComponentSet;
use crate::fleet::hash::Digest;

/// Which content holds the components behind a hash. Kinds of agents are kept apart: each makes hashes its own way.
#[derive(Debug, Default)]
pub(super) struct Components(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_hash: BTreeMap<(String, String), Digest>,
    unwritten: BTreeMap<(String, String), ComponentSet>,
}

impl Components {
    /// Remembers a set that was read from the store.
    pub(super) fn load(&self, key: (String, String), set: &ComponentSet) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_hash
            .insert(key, set.digest);
    }

    /// Remembers a set that was just reported.
    pub(super) fn learn(&self, service: &str, hash: &str, digest: Digest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (service.to_owned(), hash.to_owned());
        known.unwritten.insert(key.clone(), ComponentSet { digest });
        known.by_hash.insert(key, digest);
    }

    /// The content behind a hash, if an agent of this kind reported it.
    pub(super) fn recall(&self, service: &str, hash: &str) -> Option<Digest> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_hash.get(&(service.to_owned(), hash.to_owned())).copied()
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, sets: BTreeMap<(String, String), ComponentSet>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, set) in sets {
            known.unwritten.entry(key).or_insert(set);
        }
    }

    /// Takes what is not in the store yet.
    pub(super) fn take_unwritten(&self) -> BTreeMap<(String, String), ComponentSet> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).unwritten)
    }
}
