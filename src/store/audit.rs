//! The audit log: a chain of records, each sealed with the hash of the one before.
//!
//! The writer assigns number and previous hash at the commit, in the transaction of the change that is told. What is
//! hashed doesn't depend on JSON: a tag, then every field in order, texts with their length in front.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Store;
use super::database::{self, AUDIT};
use super::error::{Damaged, ReadError};
use super::key::{Key, printable};
use super::notes::{self, Counters};
use super::row::Row;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// What one act did, told by whoever asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done, as in `group.update`.
    pub action: String,
    /// To what, as in `group/edge`.
    pub object: String,
    /// From which network address; `None` for acts of the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The digest of the object before; `None` when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// The digest of the object after; `None` when there is none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// One sentence for people; may be empty.
    pub detail: String,
}

/// An entry in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecord {
    /// Counts from 1 without gaps.
    pub number: u64,
    /// The hash of the record before; zeros for the first.
    pub previous: Digest,
    /// The SHA-256 over number, previous hash and entry.
    pub hash: Digest,
    /// What happened.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// What verifying the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum AuditVerdict {
    /// Every record is there and as it was written.
    Intact {
        /// How many there are.
        records: u64,
        /// The hash of the last one; zeros when there is none.
        last: Digest,
    },
    /// The chain is broken.
    Broken {
        /// The first record that doesn't hold.
        number: u64,
        /// What is wrong with it.
        fault: AuditFault,
    },
}

/// What is wrong with a record of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFault {
    /// It can't be read, or its content doesn't have its hash.
    Altered,
    /// It is not there.
    Missing,
    /// It doesn't follow the record before it.
    Unlinked,
    /// It is not one that the store has written.
    Unexpected,
}

/// The hash before the first record.
pub(super) const ORIGIN: Digest = Digest([0; 32]);

impl AuditRecord {
    pub(super) fn next(counters: &Counters, entry: AuditEntry) -> Self {
        let number = counters.audit.saturating_add(1);
        let previous = counters.audit_hash;
        let hash = hash(number, &previous, &entry);
        Self {
            number,
            previous,
            hash,
            entry,
        }
    }

    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, Damaged> {
        let row = Row::from_bytes(bytes, AUDIT, key)?;
        let why = "it is not an audit record";
        let record: Self = serde_json::from_slice(row.json).map_err(|_| Damaged {
            table: AUDIT,
            key: printable(key),
            why,
        })?;
        Ok(record)
    }
}

fn hash(number: u64, previous: &Digest, entry: &AuditEntry) -> Digest {
    // A field that is added must be hashed: no `..` here.
    let AuditEntry {
        at,
        actor,
        action,
        object,
        address,
        before,
        after,
        detail,
    } = entry;
    let mut hash = Sha256::new();
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    text("muster audit record 1");
    text(actor);
    text(action);
    text(object);
    text(detail);
    if let Some(address) = address {
        text(address);
    }
    hash.update([u8::from(address.is_some())]);
    for digest in [before, after] {
        hash.update([u8::from(digest.is_some())]);
        hash.update(digest.unwrap_or(ORIGIN).0);
    }
    hash.update(at.0.to_be_bytes());
    hash.update(number.to_be_bytes());
    hash.update(previous.0);
    Digest(hash.finalize().into())
}

impl Store {
    /// The newest audit records whose number is below `before` (or the newest of all), newest first, at most `limit`. Those
    /// that can't be read are left out, and told of by [`Store::unreadable`].
    ///
    /// # Errors
    /// When the storage fails.
    pub fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        self.read(|transaction| {
            let Some(table) = database::table(transaction, AUDIT)? else {
                return Ok(Vec::new());
            };
            let end = before.unwrap_or(u64::MAX).to_bytes();
            let mut records = Vec::new();
            for row in table.range::<&[u8]>(..end.as_slice())?.rev().take(limit) {
                let (key, value) = row?;
                match AuditRecord::decode(key.value(), value.value()) {
                    Ok(record) => records.push(record),
                    Err(damaged) => self.shared.damage.note_error(&damaged.into()),
                }
            }
            Ok(records)
        })
    }

    /// Walks the whole audit chain and names the first record that doesn't hold.
    ///
    /// # Errors
    /// When the storage fails. A damaged record is a verdict, not an error.
    pub fn verify_audit(&self) -> Result<AuditVerdict, ReadError> {
        self.read(|transaction| {
            let counters = notes::counters(transaction)?;
            let mut number = 0;
            let mut previous = ORIGIN;
            let broken = |number, fault| Ok(AuditVerdict::Broken { number, fault });
            let rows = database::table(transaction, AUDIT)?;
            let rows = rows.map(|table| table.range::<&[u8]>(..)).transpose()?;
            for row in rows.into_iter().flatten() {
                let (key, value) = row?;
                number += 1;
                if number > counters.audit {
                    return broken(number, AuditFault::Unexpected);
                }
                if u64::from_bytes(key.value()) != Some(number) {
                    return broken(number, AuditFault::Missing);
                }
                let Ok(record) = AuditRecord::decode(key.value(), value.value()) else {
                    return broken(number, AuditFault::Altered);
                };
                if record.number != number || record.hash != hash(number, &record.previous, &record.entry) {
                    return broken(number, AuditFault::Altered);
                }
                if record.previous != previous {
                    return broken(number, AuditFault::Unlinked);
                }
                previous = record.hash;
            }
            if number < counters.audit {
                return broken(number + 1, AuditFault::Missing);
            }
            if previous != counters.audit_hash {
                return broken(number, AuditFault::Unexpected);
            }
            Ok(AuditVerdict::Intact {
                records: number,
                last: previous,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_entries_share_a_hash_by_moving_text_between_fields() {
        let entry = |actor: &str, action: &str, address: Option<&str>, detail: &str| AuditEntry {
            actor: actor.to_owned(),
            action: action.to_owned(),
            address: address.map(str::to_owned),
            detail: detail.to_owned(),
            ..AuditEntry::default()
        };
        let entries = [
            entry("ab", "c", None, ""),
            entry("a", "bc", None, ""),
            entry("ab", "c", Some(""), ""),
            entry("ab", "c", None, "\0"),
            AuditEntry {
                before: Some(ORIGIN),
                ..entry("ab", "c", None, "")
            },
            AuditEntry {
                after: Some(ORIGIN),
                ..entry("ab", "c", None, "")
            },
            AuditEntry {
                at: Timestamp(1),
                ..entry("ab", "c", None, "")
            },
        ];
        let hashes: std::collections::BTreeSet<_> =
            entries.iter().map(|entry| hash(1, &ORIGIN, entry)).collect();
        assert_eq!(hashes.len(), entries.len());
        assert_ne!(hash(1, &ORIGIN, &entries[0]), hash(2, &ORIGIN, &entries[0]));
    }
}
