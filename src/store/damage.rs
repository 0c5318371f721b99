//! Rows that can't be read: noted by whoever meets them, kept as they are, and told to people.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Damaged, ReadError};

/// A row that can't be read. It stays where it is until somebody writes or deletes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Unreadable {
    /// Its table.
    pub table: String,
    /// Its key, for people.
    pub key: String,
    /// What is wrong, as the end of a sentence.
    pub why: String,
}

/// More of them are counted, not named.
const NAMED: usize = 1_000;

/// What was met since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Damage {
    rows: Mutex<BTreeMap<(String, String), String>>,
}

impl Unreadable {
    pub(super) fn of(error: &ReadError) -> Option<Self> {
        match error {
            ReadError::Damaged(Damaged { table, key, why }) => Some(Self {
                table: (*table).to_owned(),
                key: key.clone(),
                why: (*why).to_owned(),
            }),
            ReadError::Migrate { table, key, source } => Some(Self {
                table: (*table).to_owned(),
                key: key.clone(),
                why: source.to_string(),
            }),
            ReadError::Unavailable(_) => None,
        }
    }
}

impl Damage {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a reader met, and logs it the first time.
    pub(super) fn note(&self, found: Unreadable) {
        let Unreadable { table, key, why } = found;
        let mut rows = self.rows();
        if rows.len() >= NAMED || rows.contains_key(&(table.clone(), key.clone())) {
            return;
        }
        tracing::error!(table, key, why, "a record can't be read; it is left as it is");
        rows.insert((table, key), why);
    }

    pub(super) fn note_error(&self, error: &ReadError) {
        if let Some(found) = Unreadable::of(error) {
            self.note(found);
        }
    }

    /// A row was written or deleted: what it was before is gone.
    pub(super) fn replaced(&self, table: &str, key: impl FnOnce() -> String) {
        let mut rows = self.rows();
        if !rows.is_empty() {
            rows.remove(&(table.to_owned(), key()));
        }
    }

    pub(super) fn found(&self) -> Vec<Unreadable> {
        let rows = self.rows();
        let named = rows.iter().map(|((table, key), why)| Unreadable {
            table: table.clone(),
            key: key.clone(),
            why: why.clone(),
        });
        named.collect()
    }
}
