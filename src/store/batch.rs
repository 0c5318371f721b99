//! What is written together.

use std::collections::BTreeMap;
use std::fmt;

use super::audit::AuditEntry;
use super::error::CommitError;
use super::key::Key;
use super::record::Record;
use crate::fleet::hash::{ConfigHash, Digest};

/// What a batch expects of a key before anything of the batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// There is no record.
    Absent,
    /// There is a record.
    Present,
    /// There is a record with this revision.
    Revision(u64),
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Present => f.write_str("one"),
            Self::Revision(revision) => write!(f, "revision {revision}"),
        }
    }
}

/// Changes that become durable together or not at all, with what they expect and what the audit log says of them.
///
/// Expectations are checked first, against the state before the batch; then changes happen in the order in which they
/// were added.
#[derive(Debug, Default)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    pub(super) expectations: Vec<Expected>,
    pub(super) changes: Vec<Change>,
    pub(super) bodies: BTreeMap<Digest, Vec<u8>>,
    pub(super) frozen: Vec<Digest>,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) fault: Option<CommitError>,
    pub(super) vital: bool,
}

#[derive(Debug)]
pub(super) struct Expected {
    pub(super) table: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) expectation: Expectation,
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) table: &'static str,
    pub(super) key: Vec<u8>,
    /// The version and JSON of a record that is put; `None` deletes.
    pub(super) value: Option<(u8, Vec<u8>)>,
}

/// What the store assigned when it committed a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The number of each audit entry, in the order in which they were added.
    pub audit: Vec<u64>,
    /// The epoch and generation of each frozen body, in the order of the calls.
    pub stamps: Vec<ConfigHash>,
    /// The revision of each record that was put, in the order of the calls.
    pub revisions: Vec<u64>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `record` at `key`, whether or not one is there.
    pub fn put<R: Record>(&mut self, key: &R::Key, record: &R) -> &mut Self {
        match serde_json::to_vec(record) {
            Ok(json) => self.changes.push(Change {
                table: R::TABLE,
                key: key.to_bytes(),
                value: Some((R::VERSION, json)),
            }),
            Err(error) => {
                let fault = CommitError::Encode {
                    table: R::TABLE,
                    why: error.to_string(),
                };
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    /// Deletes what is at `key`, if anything is.
    pub fn delete<R: Record>(&mut self, key: &R::Key) -> &mut Self {
        self.changes.push(Change {
            table: R::TABLE,
            key: key.to_bytes(),
            value: None,
        });
        self
    }

    /// Expects that nothing is at `key`.
    pub fn expect_absent<R: Record>(&mut self, key: &R::Key) -> &mut Self {
        self.expect::<R>(key, Expectation::Absent)
    }

    /// Expects that a record is at `key`.
    pub fn expect_present<R: Record>(&mut self, key: &R::Key) -> &mut Self {
        self.expect::<R>(key, Expectation::Present)
    }

    /// Expects that the record at `key` has this revision.
    pub fn expect_revision<R: Record>(&mut self, key: &R::Key, revision: u64) -> &mut Self {
        self.expect::<R>(key, Expectation::Revision(revision))
    }

    /// Keeps content under its digest. Content that is already there costs nothing.
    pub fn put_body(&mut self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.bodies.insert(digest, bytes);
        digest
    }

    /// [`Batch::put_body`], and gives the content its epoch and generation when it has none yet: what its `config_hash`
    /// will say for as long as the store lives. [`Committed::stamps`] tells them.
    pub fn freeze(&mut self, bytes: impl Into<Vec<u8>>) -> Digest {
        let digest = self.put_body(bytes);
        self.frozen.push(digest);
        digest
    }

    /// Gives a content that is kept elsewhere its epoch and generation, as [`Batch::freeze`] does.
    pub fn stamp(&mut self, digest: Digest) -> &mut Self {
        self.frozen.push(digest);
        self
    }

    /// Adds an entry to the audit log.
    pub fn audit(&mut self, entry: AuditEntry) -> &mut Self {
        self.audit.push(entry);
        self
    }

    /// Says that it is written while room is short, too: what an answer to an agent depends on, who was refused, what takes
    /// back or frees. Small batches only.
    pub fn vital(&mut self) -> &mut Self {
        self.vital = true;
        self
    }

    /// Whether committing it would do nothing.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0 && self.expectations.is_empty() && self.fault.is_none()
    }

    /// The rows that it writes, about.
    pub fn rows(&self) -> usize {
        self.changes.len() + self.bodies.len() + self.frozen.len() + self.audit.len()
    }

    /// The bytes that it writes, about.
    pub(super) fn bytes(&self) -> usize {
        let records = self
            .changes
            .iter()
            .filter_map(|change| change.value.as_ref())
            .map(|(_, json)| json.len());
        records.chain(self.bodies.values().map(Vec::len)).sum()
    }

    fn expect<R: Record>(&mut self, key: &R::Key, expectation: Expectation) -> &mut Self {
        self.expectations.push(Expected {
            table: R::TABLE,
            key: key.to_bytes(),
            expectation,
        });
        self
    }
}
