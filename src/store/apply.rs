//! Applying batches to one transaction, each as if it were alone.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable as _, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::audit::AuditRecord;
use super::batch::{Batch, Committed, Expectation, Expected};
use super::database::{AUDIT, BODIES, Bytes, STAMPS, definition};
use super::error::{CommitError, Damaged};
use super::key::{Key as _, printable};
use super::notes::{Counters, write_counters};
use super::row::Row;
use crate::fleet::hash::{ConfigHash, Digest};

/// Batches that are committed together. Later ones see what earlier ones did.
pub(super) struct Group<'t> {
    transaction: &'t WriteTransaction,
    // A table can be open once per transaction, and opening costs a lookup.
    tables: BTreeMap<&'static str, redb::Table<'t, Bytes, Bytes>>,
    epoch: u64,
    counters: Counters,
    counted: Counters,
    /// Rows written so far.
    rows: u64,
}

/// What the row of a stamp says.
#[derive(Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) epoch: u64,
    pub(super) generation: u64,
}

impl Stamp {
    pub(super) fn decode(digest: &Digest, bytes: &[u8]) -> Result<ConfigHash, Damaged> {
        let row = Row::from_bytes(bytes, STAMPS, &digest.0)?;
        let why = "it is not a stamp";
        let damaged = || Damaged {
            table: STAMPS,
            key: printable(&digest.0),
            why,
        };
        let stamp: Self = serde_json::from_slice(row.json).map_err(|_| damaged())?;
        Ok(ConfigHash {
            digest: *digest,
            epoch: stamp.epoch,
            generation: stamp.generation,
        })
    }
}

impl<'t> Group<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction, epoch: u64, counters: &Counters) -> Self {
        Self {
            transaction,
            tables: BTreeMap::new(),
            epoch,
            counters: counters.clone(),
            counted: counters.clone(),
            rows: 0,
        }
    }

    /// Applies one batch. The outer error is the storage's and ends the group; the inner one is the batch's own, found
    /// before anything of it was written.
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Result<Committed, CommitError>, redb::Error> {
        if let Some(fault) = &batch.fault {
            return Ok(Err(fault.clone()));
        }
        for expected in &batch.expectations {
            if let Err(refused) = self.check(expected)? {
                return Ok(Err(refused));
            }
        }
        let stamps = match self.stamps(&batch.frozen)? {
            Ok(stamps) => stamps,
            Err(damaged) => return Ok(Err(damaged.into())),
        };
        let mut committed = Committed {
            stamps,
            ..Committed::default()
        };
        for (digest, bytes) in &batch.bodies {
            self.write_body(digest, bytes)?;
        }
        for stamp in &committed.stamps {
            self.write_stamp(stamp)?;
        }
        for change in &batch.changes {
            let table = self.table(change.table)?;
            match &change.value {
                Some((version, json)) => {
                    let found = table.get(change.key.as_slice())?;
                    let revision = found
                        .map_or(0, |row| Row::revision_of(row.value()))
                        .saturating_add(1);
                    let row = Row {
                        version: *version,
                        revision,
                        json,
                    }
                    .to_bytes(change.table, &change.key);
                    table.insert(change.key.as_slice(), row.as_slice())?;
                    committed.revisions.push(revision);
                }
                None => {
                    table.remove(change.key.as_slice())?;
                }
            }
            self.rows += 1;
        }
        for entry in &batch.audit {
            let record = AuditRecord::next(&self.counters, entry.clone());
            self.write_audit(&record)?;
            committed.audit.push(record.number);
        }
        Ok(Ok(committed))
    }

    /// Deletes the contents that nothing refers to, but none that was put since `touched` is kept.
    pub(super) fn remove_bodies(
        &mut self,
        unreferenced: &[Digest],
        touched: &BTreeSet<Digest>,
    ) -> Result<super::Collected, redb::Error> {
        let mut collected = super::Collected::default();
        for digest in unreferenced.iter().filter(|digest| !touched.contains(digest)) {
            if let Some(body) = self.table(BODIES)?.remove(digest.0.as_slice())? {
                collected.bodies += 1;
                collected.bytes += body.value().len() as u64;
            }
        }
        self.rows += collected.bodies;
        Ok(collected)
    }

    /// Ends the group: the counters as they are now, and the rows that the transaction will write.
    pub(super) fn finish(self) -> Result<(Counters, u64), redb::Error> {
        drop(self.tables);
        if self.counters != self.counted {
            write_counters(self.transaction, &self.counters)?;
        }
        Ok((self.counters, self.rows))
    }

    fn table(&mut self, name: &'static str) -> Result<&mut redb::Table<'t, Bytes, Bytes>, redb::Error> {
        match self.tables.entry(name) {
            std::collections::btree_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::btree_map::Entry::Vacant(closed) => {
                Ok(closed.insert(self.transaction.open_table(definition(name))?))
            }
        }
    }

    fn check(&mut self, expected: &Expected) -> Result<Result<(), CommitError>, redb::Error> {
        let Expected {
            table,
            key,
            expectation,
        } = expected;
        let found = match self.table(table)?.get(key.as_slice())? {
            None => None,
            Some(bytes) => match Row::from_bytes(bytes.value(), table, key) {
                Ok(row) => Some(row.revision),
                Err(damaged) => return Ok(Err(damaged.into())),
            },
        };
        let holds = match expectation {
            Expectation::Absent => found.is_none(),
            Expectation::Present => found.is_some(),
            Expectation::Revision(revision) => found == Some(*revision),
        };
        if holds {
            return Ok(Ok(()));
        }
        let key = printable(key);
        Ok(Err(CommitError::Precondition {
            table,
            key,
            expected: *expectation,
            found,
        }))
    }

    /// The stamps of `frozen`: those that exist, and the next ones for the rest.
    fn stamps(&mut self, frozen: &[Digest]) -> Result<Result<Vec<ConfigHash>, Damaged>, redb::Error> {
        let mut new = BTreeMap::new();
        let mut generation = self.counters.generation;
        let epoch = self.epoch;
        let mut stamps = Vec::with_capacity(frozen.len());
        for digest in frozen {
            let stamp = match self.table(STAMPS)?.get(digest.0.as_slice())? {
                Some(bytes) => match Stamp::decode(digest, bytes.value()) {
                    Ok(stamp) => stamp,
                    Err(damaged) => return Ok(Err(damaged)),
                },
                None => *new.entry(*digest).or_insert_with(|| {
                    generation += 1;
                    ConfigHash {
                        digest: *digest,
                        epoch,
                        generation,
                    }
                }),
            };
            stamps.push(stamp);
        }
        Ok(Ok(stamps))
    }

    fn write_stamp(&mut self, stamp: &ConfigHash) -> Result<(), redb::Error> {
        if stamp.epoch != self.epoch || stamp.generation <= self.counters.generation {
            return Ok(());
        }
        self.counters.generation = stamp.generation;
        let json = json(&Stamp {
            epoch: stamp.epoch,
            generation: stamp.generation,
        })?;
        let row = Row {
            version: 1,
            revision: 1,
            json: &json,
        }
        .to_bytes(STAMPS, &stamp.digest.0);
        self.table(STAMPS)?
            .insert(stamp.digest.0.as_slice(), row.as_slice())?;
        self.rows += 1;
        Ok(())
    }

    fn write_body(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), redb::Error> {
        let table = self.table(BODIES)?;
        // Compared, not trusted: putting a content again heals one that was damaged.
        let same = table
            .get(digest.0.as_slice())?
            .is_some_and(|found| found.value() == bytes);
        if !same {
            table.insert(digest.0.as_slice(), bytes)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn write_audit(&mut self, record: &AuditRecord) -> Result<(), redb::Error> {
        let key = record.number.to_bytes();
        let json = json(record)?;
        let row = Row {
            version: 1,
            revision: 1,
            json: &json,
        }
        .to_bytes(AUDIT, &key);
        self.table(AUDIT)?.insert(key.as_slice(), row.as_slice())?;
        self.counters.audit = record.number;
        self.counters.audit_hash = record.hash;
        self.rows += 1;
        Ok(())
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|error| redb::Error::Io(error.into()))
}
