//! What is kept in a table, and how it is read when an older version wrote it.

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Damaged, ReadError};
use super::key::{Key, printable};
use super::row::Row;

/// Something that the store keeps, one per key. Declared with [`records!`](crate::records).
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What leads to it.
    type Key: Key;

    /// Its table; the name ends in a version, as in `groups_v1`.
    const TABLE: &'static str;

    /// The version of its JSON, counted up when [`Record::migrate`] has to help.
    const VERSION: u8;

    /// Makes a record of what an older version wrote. Only fields that can be absent need no migration.
    ///
    /// # Errors
    /// When `json` is not what that version wrote, or that version was never released.
    fn migrate(version: u8, json: serde_json::Value) -> Result<Self, MigrateError> {
        drop(json);
        Err(MigrateError::Unknown(version))
    }
}

/// A record and the number of times that its key was put since it appeared: what an `ETag` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The record.
    pub record: R,
    /// 1 for a record that was put once.
    pub revision: u64,
}

/// Why a record of an older version can't be read.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Nobody knows how to read that version.
    #[error("records of version {0} can't be migrated")]
    Unknown(u8),
    /// It is not what that version wrote.
    #[error("it is not what its version wrote")]
    Json(#[from] serde_json::Error),
}

pub(super) fn decode<R: Record>(key: &[u8], bytes: &[u8]) -> Result<Versioned<R>, ReadError> {
    let row = Row::from_bytes(bytes, R::TABLE, key)?;
    let damaged = |why| Damaged {
        table: R::TABLE,
        key: printable(key),
        why,
    };
    let record = match row.version.cmp(&R::VERSION) {
        Ordering::Equal => {
            serde_json::from_slice(row.json).map_err(|_| damaged("it is not a record of this kind"))?
        }
        Ordering::Less => {
            let json = serde_json::from_slice(row.json).map_err(|_| damaged("it is not JSON"))?;
            R::migrate(row.version, json).map_err(|source| ReadError::Migrate {
                table: R::TABLE,
                key: printable(key),
                source,
            })?
        }
        Ordering::Greater => return Err(damaged("a newer version of Muster wrote it").into()),
    };
    Ok(Versioned {
        record,
        revision: row.revision,
    })
}

/// Declares the records of the store in one list, and the list of their tables, which must be complete.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use muster::fleet::name::Name;
/// #[derive(Serialize, Deserialize)]
/// pub struct Shelf { books: u32 }
///
/// muster::records! {
///     /// Every table of this example.
///     pub const TABLES;
///     Shelf: Name => "shelves_v1", version 1;
/// }
/// assert_eq!(TABLES, ["shelves_v1"]);
/// ```
///
/// `version 2, migrate function;` names a `fn(u8, serde_json::Value) -> Result<Shelf, MigrateError>` for older rows.
#[macro_export]
macro_rules! records {
    (
        $(#[$doc:meta])* $visibility:vis const $tables:ident;
        $($record:ty: $key:ty => $table:literal, version $version:literal $(, migrate $migrate:path)?;)+
    ) => {
        $(#[$doc])*
        $visibility const $tables: &[&str] = &[$($table),+];
        $(
            impl $crate::store::Record for $record {
                type Key = $key;
                const TABLE: &'static str = $table;
                const VERSION: u8 = $version;
                $(
                    fn migrate(
                        version: u8,
                        json: serde_json::Value,
                    ) -> Result<Self, $crate::store::MigrateError> {
                        $migrate(version, json)
                    }
                )?
            }
        )+
    };
}
