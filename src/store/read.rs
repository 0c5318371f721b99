//! Typed reads. Each sees one snapshot: the last commit when it began.

use std::ops::Bound;

use redb::{AccessGuard, ReadTransaction, ReadableDatabase as _};
use std::sync::atomic::Ordering;

use super::Store;
use super::apply::Stamp;
use super::database::{self, BODIES, Bytes, STAMPS};
use super::error::{Damaged, ReadError, Unavailable};
use super::key::{Key, first_part, printable};
use super::record::{Record, Versioned, decode};
use super::writer::Job;
use crate::fleet::hash::{ConfigHash, Digest};

/// A whole table, with the rows that can't be read named instead of failing everything.
#[derive(Debug)]
pub struct Survey<R: Record> {
    /// The readable records in the order of their keys.
    pub rows: Vec<(R::Key, Versioned<R>)>,
    /// What is wrong with the others.
    pub unreadable: Vec<ReadError>,
}

type Found<R> = (<R as Record>::Key, Versioned<R>);

impl Store {
    /// The record at `key`.
    ///
    /// # Errors
    /// When the storage fails or the record is damaged.
    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<Versioned<R>>, ReadError> {
        let key = key.to_bytes();
        self.read(|transaction| {
            let Some(table) = database::table(transaction, R::TABLE)? else {
                return Ok(None);
            };
            table
                .get(key.as_slice())?
                .map(|row| decode(&key, row.value()))
                .transpose()
        })
    }

    /// All records in the order of their keys.
    ///
    /// # Errors
    /// When the storage fails or any record is damaged; see [`Store::survey`].
    pub fn scan<R: Record>(&self) -> Result<Vec<Found<R>>, ReadError> {
        self.rows(&Bound::Unbounded, &Bound::Unbounded, usize::MAX, false)
    }

    /// All records in the order of their keys, and what is wrong with those that can't be read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn survey<R: Record>(&self) -> Result<Survey<R>, ReadError> {
        let mut survey = Survey {
            rows: Vec::new(),
            unreadable: Vec::new(),
        };
        self.each::<R>(&Bound::Unbounded, &Bound::Unbounded, false, |row| {
            match row {
                Ok(row) => survey.rows.push(row),
                Err(error @ ReadError::Unavailable(_)) => return Err(error),
                Err(error) => {
                    self.shared.damage.note_error(&error);
                    survey.unreadable.push(error);
                }
            }
            Ok(true)
        })?;
        Ok(survey)
    }

    /// Hands every record to `visit`, in the order of the keys, and keeps none of them.
    ///
    /// # Errors
    /// When the storage fails or any record is damaged.
    pub fn visit<R: Record>(&self, mut visit: impl FnMut(R::Key, R)) -> Result<(), ReadError> {
        self.each::<R>(&Bound::Unbounded, &Bound::Unbounded, false, |row| {
            let (key, row) = row?;
            visit(key, row.record);
            Ok(true)
        })
    }

    /// The keys of all records in their order. The records themselves are not looked at.
    ///
    /// # Errors
    /// When the storage fails or a key is damaged.
    pub fn keys<R: Record>(&self) -> Result<Vec<R::Key>, ReadError> {
        self.read(|transaction| {
            let Some(table) = database::table(transaction, R::TABLE)? else {
                return Ok(Vec::new());
            };
            let mut keys = Vec::new();
            for row in table.range::<&[u8]>(..)? {
                keys.push(parsed_key::<R>(row?.0.value())?);
            }
            Ok(keys)
        })
    }

    /// The first `limit` records between two keys, in the order of the keys; the last ones, backwards, when `reverse`.
    /// Those that can't be read are left out, and told of by [`Store::unreadable`].
    ///
    /// # Errors
    /// When the storage fails.
    pub fn range<R: Record>(
        &self,
        from: Bound<&R::Key>,
        to: Bound<&R::Key>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Found<R>>, ReadError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.each::<R>(&from.map(Key::to_bytes), &to.map(Key::to_bytes), reverse, |row| {
                match row {
                    Ok(row) => rows.push(row),
                    Err(error @ ReadError::Unavailable(_)) => return Err(error),
                    Err(error) => self.shared.damage.note_error(&error),
                }
                Ok(rows.len() < limit)
            })?;
        }
        Ok(rows)
    }

    /// The first `limit` records whose key begins with `first`; the last ones, backwards, when `reverse`.
    ///
    /// # Errors
    /// When the storage fails or one of these records is damaged.
    pub fn under<A: Key, B: Key, R: Record<Key = (A, B)>>(
        &self,
        first: &A,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Found<R>>, ReadError> {
        let from = first_part(first);
        let to = after(&from).map_or(Bound::Unbounded, Bound::Excluded);
        self.rows(&Bound::Included(from), &to, limit, reverse)
    }

    /// The content with this digest; `None` when the store doesn't have it.
    ///
    /// # Errors
    /// When the storage fails, or what it has is not that content any more.
    pub fn body(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        let body = self.read(|transaction| {
            let Some(table) = database::table(transaction, BODIES)? else {
                return Ok(None);
            };
            Ok(table.get(digest.0.as_slice())?.map(|body| body.value().to_vec()))
        })?;
        if body.as_ref().is_some_and(|body| Digest::of(body) != *digest) {
            let why = "its bytes don't have its digest";
            return Err(Damaged {
                table: BODIES,
                key: printable(&digest.0),
                why,
            }
            .into());
        }
        Ok(body)
    }

    /// The epoch and generation of a frozen content; `None` when it was never frozen.
    ///
    /// # Errors
    /// When the storage fails or the row is damaged.
    pub fn stamp(&self, digest: &Digest) -> Result<Option<ConfigHash>, ReadError> {
        self.read(|transaction| {
            let Some(table) = database::table(transaction, STAMPS)? else {
                return Ok(None);
            };
            let row = table.get(digest.0.as_slice())?;
            Ok(row.map(|row| Stamp::decode(digest, row.value())).transpose()?)
        })
    }

    fn rows<R: Record>(
        &self,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Found<R>>, ReadError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.each::<R>(from, to, reverse, |row| {
                rows.push(row?);
                Ok(rows.len() < limit)
            })?;
        }
        Ok(rows)
    }

    /// Hands the rows of a range to `visit` until it says `false`.
    fn each<R: Record>(
        &self,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
        reverse: bool,
        mut visit: impl FnMut(Result<Found<R>, ReadError>) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        if is_empty(from, to) {
            return Ok(());
        }
        self.read(|transaction| {
            let Some(table) = database::table(transaction, R::TABLE)? else {
                return Ok(());
            };
            let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
            let mut rows = table.range::<&[u8]>(bounds)?;
            while let Some(row) = if reverse { rows.next_back() } else { rows.next() } {
                if !visit(found(row?))? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Runs `work` on a snapshot. A storage that fails is reopened by the writer.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let result = self.shared.with(|database| {
            guarded(|| {
                let transaction = database.begin_read().map_err(Unavailable::storage)?;
                work(&transaction)
            })
        });
        if let Err(error) = &result {
            self.shared.damage.note_error(error);
        }
        if let Err(ReadError::Unavailable(Unavailable::Storage(_) | Unavailable::Full(_))) = &result {
            self.shared.suspect.store(true, Ordering::Release);
            // When the writer is gone there is nothing to heal.
            drop(self.writer.send(Job::Reopen));
        }
        result
    }
}

/// The database takes the shape of its file for granted, and panics where it is something else.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let why = "the file's structure is damaged".to_owned();
        Err(Unavailable::storage(redb::Error::Corrupted(why)).into())
    })
}

fn found<R: Record>(
    (key, value): (AccessGuard<'_, Bytes>, AccessGuard<'_, Bytes>),
) -> Result<Found<R>, ReadError> {
    Ok((parsed_key::<R>(key.value())?, decode(key.value(), value.value())?))
}

fn parsed_key<R: Record>(key: &[u8]) -> Result<R::Key, ReadError> {
    let damaged = || Damaged {
        table: R::TABLE,
        key: printable(key),
        why: "its key is not of this kind",
    };
    Ok(R::Key::from_bytes(key).ok_or_else(damaged)?)
}

/// The first key after all that begin with `prefix`; `None` when there is none.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != 255)?;
    let mut next = prefix.get(..=kept)?.to_vec();
    let last = next.last_mut()?;
    *last += 1;
    Some(next)
}

fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_after_a_prefix_skips_what_can_not_grow() {
        assert_eq!(after(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(after(&[255]), None);
        assert_eq!(after(&[]), None);
    }
}
