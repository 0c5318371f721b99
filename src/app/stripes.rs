//! Locks by key, of which there are few: what belongs to one key happens in order, and unrelated keys rarely wait.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 256;

/// A fixed number of locks, shared by all keys.
#[derive(Debug)]
pub(super) struct Stripes(Box<[Mutex<()>]>);

impl Default for Stripes {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Mutex::default()).collect())
    }
}

impl Stripes {
    /// Waits until nobody else works on `key`.
    pub(super) async fn lock(&self, key: impl Hash) -> Option<MutexGuard<'_, ()>> {
        Some(self.0.get(stripe_of(key))?.lock().await)
    }

    /// The same for many keys. Nobody who holds one may wait for another but in this way: it takes each lock once, in
    /// their order.
    pub(super) async fn lock_all(
        &self,
        keys: impl IntoIterator<Item = impl Hash>,
    ) -> Vec<MutexGuard<'_, ()>> {
        let stripes: BTreeSet<usize> = keys.into_iter().map(stripe_of).collect();
        let mut held = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            if let Some(lock) = self.0.get(stripe) {
                held.push(lock.lock().await);
            }
        }
        held
    }
}

fn stripe_of(key: impl Hash) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default()
}
