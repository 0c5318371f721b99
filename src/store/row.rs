//! How a value lies in its row: `version (1) ‖ revision (8, big endian) ‖ seal (8) ‖ JSON`.
//!
//! The database doesn't verify what it reads, so the seal does: the first 8 bytes of a SHA-256 over table, key, version,
//! revision and JSON. It notices flipped bits and rows that moved; it is no defence against somebody who may write.

use sha2::{Digest as _, Sha256};

use super::error::Damaged;
use super::key::printable;

const HEADER: usize = 17;

/// A row that was read and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) version: u8,
    pub(super) revision: u64,
    pub(super) json: &'a [u8],
}

impl<'a> Row<'a> {
    pub(super) fn to_bytes(self, table: &str, key: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.json.len());
        bytes.push(self.version);
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(self.seal(table, key));
        bytes.extend(self.json);
        bytes
    }

    pub(super) fn from_bytes(bytes: &'a [u8], table: &'static str, key: &[u8]) -> Result<Self, Damaged> {
        let damaged = |why| Damaged {
            table,
            key: printable(key),
            why,
        };
        Self::verified(bytes, table, key).map_err(damaged)
    }

    /// The row, when it is what was written at this key of this table; otherwise what is wrong.
    pub(super) fn verified(bytes: &'a [u8], table: &str, key: &[u8]) -> Result<Self, &'static str> {
        let (row, seal) = Self::split(bytes).ok_or("it is too short")?;
        if row.seal(table, key) != seal {
            return Err("its bytes changed since they were written");
        }
        Ok(row)
    }

    /// The revision without verifying anything: good enough to overwrite a row with the next one.
    pub(super) fn revision_of(bytes: &'a [u8]) -> u64 {
        Self::split(bytes).map_or(0, |(row, _)| row.revision)
    }

    fn split(bytes: &'a [u8]) -> Option<(Self, [u8; 8])> {
        let (version, rest) = bytes.split_first()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (seal, json) = rest.split_first_chunk()?;
        let row = Self {
            version: *version,
            revision: u64::from_be_bytes(*revision),
            json,
        };
        Some((row, *seal))
    }

    fn seal(&self, table: &str, key: &[u8]) -> [u8; 8] {
        let mut hash = Sha256::new();
        // Lengths first, or a byte could move from the table's name into the key.
        hash.update((table.len() as u64).to_be_bytes());
        hash.update(table);
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
        hash.update([self.version]);
        hash.update(self.revision.to_be_bytes());
        hash.update(self.json);
        let hash: [u8; 32] = hash.finalize().into();
        let mut seal = [0; 8];
        seal.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let row = Row {
            version: 1,
            revision: 9,
            json: b"{\"a\":1}",
        };
        let bytes = row.to_bytes("t_v1", b"key");
        assert_eq!(Row::from_bytes(&bytes, "t_v1", b"key"), Ok(row));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(Row::from_bytes(&bent, "t_v1", b"key").is_err(), "bit {bit}");
        }
        assert!(Row::from_bytes(&bytes, "t_v2", b"key").is_err());
        assert!(Row::from_bytes(&bytes, "t_v1", b"kez").is_err());
        for length in 0..bytes.len() {
            assert!(
                Row::from_bytes(&bytes[..length], "t_v1", b"key").is_err(),
                "length {length}"
            );
        }
    }
}
