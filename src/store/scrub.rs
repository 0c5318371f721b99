//! Reading every row to see whether it still is what was written.
//!
//! The database trusts what it reads, so this looks at more than the rows: that their keys ascend, that each is found under
//! its key, and that there are as many as the table says.

use std::ops::Bound;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata as _, TableHandle as _};

use super::Store;
use super::damage::Unreadable;
use super::database::{self, BODIES, Bytes};
use super::error::ReadError;
use super::key::printable;
use super::notes;
use super::row::Row;
use crate::fleet::hash::Digest;

/// How far a walk through all rows has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The table; empty at the beginning.
    table: String,
    /// The last row that was looked at; `None` before the first.
    key: Option<Vec<u8>>,
}

/// What a part of a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
    /// The rows that were looked at.
    pub rows: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// Those that can't be trusted.
    pub unreadable: Vec<Unreadable>,
}

impl Store {
    /// Verifies rows from `place` on, about `bytes` of them. What it finds is also in [`Store::unreadable`]. Blocks the
    /// thread.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn scrub(&self, place: &Place, bytes: u64) -> Result<Looked, ReadError> {
        let looked = self.read(|transaction| look(transaction, place, bytes))?;
        for found in &looked.unreadable {
            self.shared.damage.note(found.clone());
        }
        Ok(looked)
    }

    /// The rows that could not be read since the store was opened, and are still as they were.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.shared.damage.found()
    }
}

fn look(transaction: &ReadTransaction, place: &Place, bytes: u64) -> Result<Looked, ReadError> {
    let mut looked = Looked::default();
    let mut names: Vec<String> = transaction
        .list_tables()?
        .map(|table| table.name().to_owned())
        .filter(|name| *name >= place.table)
        .collect();
    names.sort();
    for name in names {
        let Some(table) = database::table(transaction, &name)? else {
            continue;
        };
        let after = place.key.as_deref().filter(|_| name == place.table);
        if after.is_none() {
            look_at_shape(&table, &name, &mut looked)?;
        }
        if let Some(last) = look_at_rows(&table, &name, after, bytes, &mut looked)? {
            looked.next = Some(Place {
                table: name,
                key: Some(last),
            });
            return Ok(looked);
        }
    }
    Ok(looked)
}

/// Whether a table has as many rows as it says, in the order of their keys.
fn look_at_shape(
    table: &ReadOnlyTable<Bytes, Bytes>,
    name: &str,
    looked: &mut Looked,
) -> Result<(), ReadError> {
    let mut before: Option<Vec<u8>> = None;
    let mut rows = 0;
    for row in table.range::<&[u8]>(..)? {
        let (key, _) = row?;
        if before.as_deref().is_some_and(|before| before >= key.value()) {
            looked
                .unreadable
                .push(unreadable(name, key.value(), "its key is out of order"));
        }
        before = Some(key.value().to_vec());
        rows += 1;
    }
    let said = table.len()?;
    if said != rows {
        looked.unreadable.push(Unreadable {
            table: name.to_owned(),
            key: "(all)".to_owned(),
            why: format!("the table says that it has {said} rows, and {rows} are found"),
        });
    }
    Ok(())
}

/// Looks at the rows after one; the last of them when there are more.
fn look_at_rows(
    table: &ReadOnlyTable<Bytes, Bytes>,
    name: &str,
    after: Option<&[u8]>,
    bytes: u64,
    looked: &mut Looked,
) -> Result<Option<Vec<u8>>, ReadError> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    for row in table.range::<&[u8]>((from, Bound::Unbounded))? {
        let (key, value) = row?;
        let (key, value) = (key.value(), value.value());
        looked.rows += 1;
        looked.bytes += (key.len() + value.len()) as u64;
        if let Err(why) = verify(name, key, value) {
            looked.unreadable.push(unreadable(name, key, why));
        }
        if table.get(key)?.is_none_or(|found| found.value() != value) {
            looked
                .unreadable
                .push(unreadable(name, key, "it is not found under its key"));
        }
        if looked.bytes >= bytes {
            return Ok(Some(key.to_vec()));
        }
    }
    Ok(None)
}

/// Whether a row is what was written.
fn verify(table: &str, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if table == BODIES {
        return if Digest::of(value).0.as_slice() == key {
            Ok(())
        } else {
            Err("its bytes don't have its digest")
        };
    }
    if notes::is_bare(table, key) {
        return Ok(());
    }
    Row::verified(value, table, key).map(|_| ())
}

fn unreadable(table: &str, key: &[u8], why: &str) -> Unreadable {
    Unreadable {
        table: table.to_owned(),
        key: printable(key),
        why: why.to_owned(),
    }
}
