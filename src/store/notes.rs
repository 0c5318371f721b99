//! What the store notes about itself: its schema, its founding and its counters.

use std::path::Path;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase as _, TableError, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::audit::ORIGIN;
use super::database::{META, OWN_TABLES, definition, table};
use super::error::{Damaged, OpenError, ReadError};
use super::migrate::SCHEMA;
use super::row::Row;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// Four bytes, big endian, never in any other shape: every program ever must be able to read it.
const SCHEMA_KEY: &[u8] = b"schema";
/// The same number in a sealed row; since schema 2.
const SCHEMA_COPY_KEY: &[u8] = b"schema_copy";
const FOUNDING_KEY: &[u8] = b"founding";
const COUNTERS_KEY: &[u8] = b"counters";

/// How the store began.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Founding {
    pub(super) epoch: u64,
    pub(super) at: Timestamp,
}

/// What the writer counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// The last generation that was assigned.
    pub(super) generation: u64,
    /// The number of the last audit record.
    pub(super) audit: u64,
    /// Its hash.
    pub(super) audit_hash: Digest,
}

/// Opening for writing already writes, so a newer schema is looked for without it. A file that a kill left behind can't be
/// read like that; its schema is checked after the repair.
pub(super) fn refuse_newer(path: &Path) -> Result<(), OpenError> {
    let Ok(database) = Builder::new().set_cache_size(1 << 20).open_read_only(path) else {
        return Ok(());
    };
    let transaction = database.begin_read().map_err(OpenError::database)?;
    schema(&transaction).map(|_| ())
}

/// The schema of the file; `None` when no store was founded in it.
pub(super) fn schema(transaction: &ReadTransaction) -> Result<Option<u32>, OpenError> {
    let table = match transaction.open_table(definition(META)) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(OpenError::database(error)),
    };
    let Some(bytes) = table.get(SCHEMA_KEY).map_err(OpenError::database)? else {
        return Ok(None);
    };
    let why = "it is not a schema number";
    let damaged = Damaged {
        table: META,
        key: "schema".to_owned(),
        why,
    };
    let found = u32::from_be_bytes(bytes.value().try_into().map_err(|_| damaged)?);
    drop(bytes);
    if found > SCHEMA {
        return Err(OpenError::Newer { found, known: SCHEMA });
    }
    drop(table);
    let copy: Option<u32> = read_note_if_any(transaction, SCHEMA_COPY_KEY).map_err(super::database::note)?;
    let sealed_since = 2;
    if copy.map_or(found >= sealed_since, |copy| copy != found) {
        return Err(Damaged {
            table: META,
            key: "schema".to_owned(),
            why: "it is not the number in its sealed copy",
        }
        .into());
    }
    Ok(Some(found))
}

/// Whether a row has no seal, so that every program ever can read it.
pub(super) fn is_bare(table: &str, key: &[u8]) -> bool {
    table == META && key == SCHEMA_KEY
}

/// How the store began, once it has.
pub(super) fn founding(transaction: &ReadTransaction) -> Result<Founding, ReadError> {
    read_note(transaction, FOUNDING_KEY)
}

/// What the writer counted until the last commit.
pub(super) fn counters(transaction: &ReadTransaction) -> Result<Counters, ReadError> {
    read_note(transaction, COUNTERS_KEY)
}

pub(super) fn found(database: &Database, now: Timestamp) -> Result<(), OpenError> {
    let epoch = getrandom::u64().map_err(|_| OpenError::Randomness)?;
    let founding = Founding { epoch, at: now };
    let counters = Counters {
        generation: 0,
        audit: 0,
        audit_hash: ORIGIN,
    };
    let write = || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        for name in OWN_TABLES {
            transaction.open_table(definition(name))?;
        }
        write_schema(&transaction)?;
        write_note(&transaction, FOUNDING_KEY, &founding)?;
        write_note(&transaction, COUNTERS_KEY, &counters)?;
        Ok(transaction.commit()?)
    };
    write().map_err(OpenError::database)
}

/// Writes the schema number of this program, bare and sealed.
pub(super) fn write_schema(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction
        .open_table(definition(META))?
        .insert(SCHEMA_KEY, SCHEMA.to_be_bytes().as_slice())?;
    seal_schema(transaction)
}

/// Writes the sealed copy of the schema number.
pub(super) fn seal_schema(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    write_note(transaction, SCHEMA_COPY_KEY, &SCHEMA)
}

pub(super) fn write_counters(transaction: &WriteTransaction, counters: &Counters) -> Result<(), redb::Error> {
    write_note(transaction, COUNTERS_KEY, counters)
}

fn read_note<T: DeserializeOwned>(transaction: &ReadTransaction, key: &[u8]) -> Result<T, ReadError> {
    let damaged = |why| Damaged {
        table: META,
        key: super::key::printable(key),
        why,
    };
    read_note_if_any(transaction, key)?.ok_or_else(|| damaged("it is missing").into())
}

fn read_note_if_any<T: DeserializeOwned>(
    transaction: &ReadTransaction,
    key: &[u8],
) -> Result<Option<T>, ReadError> {
    let bytes = match table(transaction, META)? {
        Some(table) => table.get(key)?,
        None => None,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let row = Row::from_bytes(bytes.value(), META, key)?;
    let damaged = |_| Damaged {
        table: META,
        key: super::key::printable(key),
        why: "it is not what belongs there",
    };
    Ok(Some(serde_json::from_slice(row.json).map_err(damaged)?))
}

fn write_note<T: Serialize>(transaction: &WriteTransaction, key: &[u8], note: &T) -> Result<(), redb::Error> {
    let json = serde_json::to_vec(note).map_err(|error| redb::Error::Io(error.into()))?;
    let row = Row {
        version: 1,
        revision: 0,
        json: &json,
    }
    .to_bytes(META, key);
    transaction
        .open_table(definition(META))?
        .insert(key, row.as_slice())?;
    Ok(())
}
