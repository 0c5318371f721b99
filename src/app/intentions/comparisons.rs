//! How what agents run compares with what is wanted of them: looked at when either changes, and remembered by both digests.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::fleet::config::Comparison;
use crate::fleet::hash::Digest;

/// A wanted content and one that runs.
pub(in crate::app) type Pair = (Digest, Digest);

/// What was compared.
#[derive(Debug, Default)]
pub(in crate::app) struct Comparisons(RwLock<HashMap<Pair, Comparison>>);

impl Comparisons {
    /// What came of comparing the two; `None` when that wasn't done yet.
    pub(in crate::app) fn of(&self, wanted: Digest, runs: Digest) -> Option<Comparison> {
        if wanted == runs {
            return Some(Comparison::Same);
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&(wanted, runs)).copied()
    }

    /// Remembers what came of a comparison.
    pub(in crate::app) fn learn(&self, pair: Pair, found: Comparison) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(pair, found);
    }

    /// Forgets what no agent has any more.
    pub(in crate::app) fn retain(&self, is_used: impl Fn(&Pair) -> bool) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|pair, _| is_used(pair));
        // A reconnect storm with other contents must not leave its memory behind.
        if known.capacity() > known.len() * 4 {
            known.shrink_to_fit();
        }
    }
}
