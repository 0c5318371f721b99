//! The database file: opening, founding, reopening after a failure, and the store's own notes in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, TableDefinition,
    TableError, WriteTransaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Settings;
use super::audit::ORIGIN;
use super::error::{Damaged, OpenError, ReadError, Unavailable};
use super::row::Row;
use super::statistics::Tally;
use super::writer::State;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// The store's own notes.
pub(super) const META: &str = "meta_v1";
/// Content by digest, raw: the digest is its seal.
pub(super) const BODIES: &str = "bodies_v1";
/// Epoch and generation of frozen content.
pub(super) const STAMPS: &str = "stamps_v1";
/// The audit chain by number.
pub(super) const AUDIT: &str = "audit_v1";

/// The tables that every store has, beside those of the records.
pub const OWN_TABLES: &[&str] = &[META, BODIES, STAMPS, AUDIT];

/// Counted up whenever an older program must not open the file.
const SCHEMA: u32 = 1;
/// Four bytes, big endian, never in any other shape: every program ever must be able to read it.
const SCHEMA_KEY: &[u8] = b"schema";
const FOUNDING_KEY: &[u8] = b"founding";
const COUNTERS_KEY: &[u8] = b"counters";

pub(super) type Bytes = &'static [u8];

/// Every table is bytes to bytes, so that one list, the database's own, names all of them.
pub(super) fn definition(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

/// A table to read; `None` while nothing was ever written to it.
pub(super) fn table(
    transaction: &ReadTransaction,
    name: &str,
) -> Result<Option<ReadOnlyTable<Bytes, Bytes>>, ReadError> {
    match transaction.open_table(definition(name)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<redb::StorageError> for ReadError {
    fn from(error: redb::StorageError) -> Self {
        Unavailable::storage(error).into()
    }
}
impl From<TableError> for ReadError {
    fn from(error: TableError) -> Self {
        Unavailable::storage(error).into()
    }
}

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

/// Where the database lies, and how it is opened there, again and again.
pub(super) struct Medium {
    open: Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>,
    file: Option<PathBuf>,
}

impl Medium {
    pub(super) fn file(folder: &Path, settings: &Settings) -> Result<Self, OpenError> {
        let path = folder.join("store.redb");
        let cache = settings.cache_bytes;
        create(folder, &path).map_err(|source| OpenError::File {
            path: path.clone(),
            source,
        })?;
        refuse_newer(&path)?;
        let file = Some(path.clone());
        Ok(Self {
            open: Box::new(move || Ok(Builder::new().set_cache_size(cache).create(&path)?)),
            file,
        })
    }

    pub(super) fn memory(settings: &Settings) -> Self {
        Self::backend(|| Ok(redb::backends::InMemoryBackend::new()), settings)
    }

    pub(super) fn backend<B: redb::StorageBackend>(
        backend: impl Fn() -> io::Result<B> + Send + Sync + 'static,
        settings: &Settings,
    ) -> Self {
        let cache = settings.cache_bytes;
        let open = move || {
            Ok(Builder::new()
                .set_cache_size(cache)
                .create_with_backend(backend()?)?)
        };
        Self {
            open: Box::new(open),
            file: None,
        }
    }
}

/// Makes sure that the file exists, for its owner only, and that its name survives a power cut.
fn create(folder: &Path, path: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(file) => {
            file.sync_all()?;
            File::open(folder)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opening for writing already writes, so a newer schema is looked for without it. A file that a kill left behind can't be
/// read like that; its schema is checked after the repair.
fn refuse_newer(path: &Path) -> Result<(), OpenError> {
    let Ok(database) = Builder::new().set_cache_size(1 << 20).open_read_only(path) else {
        return Ok(());
    };
    let transaction = database.begin_read().map_err(OpenError::database)?;
    schema(&transaction).map(|_| ())
}

/// The schema of the file; `None` when no store was founded in it.
fn schema(transaction: &ReadTransaction) -> Result<Option<u32>, OpenError> {
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
    if found > SCHEMA {
        return Err(OpenError::Newer { found, known: SCHEMA });
    }
    Ok(Some(found))
}

/// What readers and the writer share.
pub(super) struct Shared {
    medium: Medium,
    database: RwLock<Result<Database, Unavailable>>,
    /// Set by a reader whose storage failed: the writer then reopens.
    pub(super) suspect: AtomicBool,
    pub(super) founding: Founding,
    pub(super) generation: AtomicU64,
    pub(super) state: tokio::sync::watch::Sender<State>,
    tally: Mutex<Tally>,
}

impl Shared {
    pub(super) fn open(medium: Medium, now: Timestamp) -> Result<(Self, Counters), OpenError> {
        let database = (medium.open)().map_err(OpenError::database)?;
        let transaction = database.begin_read().map_err(OpenError::database)?;
        if schema(&transaction)?.is_none() {
            found(&database, now)?;
        }
        drop(transaction);
        let transaction = database.begin_read().map_err(OpenError::database)?;
        let note = |error| match error {
            ReadError::Damaged(damaged) => OpenError::Damaged(damaged),
            error @ (ReadError::Migrate { .. } | ReadError::Unavailable(_)) => {
                OpenError::database(redb::Error::Corrupted(error.to_string()))
            }
        };
        let founding = read_note(&transaction, FOUNDING_KEY).map_err(note)?;
        let counters = counters(&transaction).map_err(note)?;
        drop(transaction);
        let shared = Self {
            medium,
            database: RwLock::new(Ok(database)),
            suspect: AtomicBool::new(false),
            founding,
            generation: AtomicU64::new(counters.generation),
            state: tokio::sync::watch::Sender::new(State::Running),
            tally: Mutex::new(Tally::default()),
        };
        Ok((shared, counters))
    }

    /// Runs `work` with the open database. Nobody can close it meanwhile, so `work` must be short.
    pub(super) fn with<T, E: From<Unavailable>>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match &*database {
            Ok(database) => work(database),
            Err(unavailable) => Err(unavailable.clone().into()),
        }
    }

    /// Closes the database and opens it again: after one failed write it refuses all others until then.
    pub(super) fn reopen(&self) -> Result<Counters, Unavailable> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one must be gone first: it holds the lock on the file.
        *database = Err(Unavailable::Closed);
        self.suspect.store(false, Ordering::Release);
        self.tally().reopened += 1;
        let opened = (self.medium.open)()
            .map_err(Unavailable::storage)
            .and_then(|database| {
                let transaction = database.begin_read().map_err(Unavailable::storage)?;
                let counters = counters(&transaction).map_err(|error| match error {
                    ReadError::Unavailable(unavailable) => unavailable,
                    error @ (ReadError::Damaged(_) | ReadError::Migrate { .. }) => {
                        Unavailable::storage(redb::Error::Corrupted(error.to_string()))
                    }
                })?;
                drop(transaction);
                Ok((database, counters))
            });
        match opened {
            Ok((reopened, counters)) => {
                *database = Ok(reopened);
                self.generation.store(counters.generation, Ordering::Release);
                Ok(counters)
            }
            Err(unavailable) => {
                *database = Err(unavailable.clone());
                Err(unavailable)
            }
        }
    }

    /// Closes the database for good.
    pub(super) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Err(Unavailable::Closed);
    }

    /// Gives the database up after a panic inside it. Its locks are poisoned then, and using or even dropping it would
    /// panic somewhere else, so it is left to the end of the process.
    pub(super) fn abandon(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(poisoned) = std::mem::replace(&mut *database, Err(Unavailable::WriterGone)) {
            std::mem::forget(poisoned);
        }
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The space that is left for us on the file's disk; `None` in memory, or when the system doesn't say.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.medium.file.as_ref()?).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// The size of the file; 0 in memory.
    pub(super) fn file_bytes(&self) -> u64 {
        let file = self.medium.file.as_ref();
        file.and_then(|file| file.metadata().ok())
            .map_or(0, |metadata| metadata.len())
    }
}

fn found(database: &Database, now: Timestamp) -> Result<(), OpenError> {
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
        transaction
            .open_table(definition(META))?
            .insert(SCHEMA_KEY, SCHEMA.to_be_bytes().as_slice())?;
        write_note(&transaction, FOUNDING_KEY, &founding)?;
        write_note(&transaction, COUNTERS_KEY, &counters)?;
        Ok(transaction.commit()?)
    };
    write().map_err(OpenError::database)
}

pub(super) fn counters(transaction: &ReadTransaction) -> Result<Counters, ReadError> {
    read_note(transaction, COUNTERS_KEY)
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
    let bytes = match table(transaction, META)? {
        Some(table) => table.get(key)?,
        None => None,
    };
    let bytes = bytes.ok_or_else(|| damaged("it is missing"))?;
    let row = Row::from_bytes(bytes.value(), META, key)?;
    serde_json::from_slice(row.json).map_err(|_| damaged("it is not what belongs there").into())
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

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        Self::database(error)
    }
}
