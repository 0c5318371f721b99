//! The database file: opening, founding, reopening after a failure, and what readers and the writer share.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::damage::Damage;
use super::error::{OpenError, ReadError, Unavailable};
use super::migrate::{self, SCHEMA};
use super::notes::{self, Counters, Founding};
use super::room::{Quarters, Shortage};
use super::statistics::Tally;
use super::writer::State;
use super::{Settings, compact, read};
use crate::fleet::time::Timestamp;
use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, TableDefinition,
    TableError,
};

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

/// Where the database lies, and how it is opened there, again and again.
pub(super) struct Medium {
    open: Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>,
    file: Option<PathBuf>,
    quarters: Option<Quarters>,
}

impl Medium {
    pub(super) fn file(folder: &Path, settings: &Settings) -> Result<Self, OpenError> {
        let path = folder.join("store.redb");
        let cache = settings.cache_bytes;
        create(folder, &path).map_err(|source| OpenError::File {
            path: path.clone(),
            source,
        })?;
        compact::clear(folder).map_err(|source| OpenError::File {
            path: path.clone(),
            source,
        })?;
        migrate::clear(folder).map_err(|source| OpenError::File {
            path: path.clone(),
            source,
        })?;
        notes::refuse_newer(&path)?;
        migrate::keep_older(folder, &path)?;
        let file = Some(path.clone());
        let quarters = Quarters::new(folder, settings.low_water_bytes, settings.quota_bytes);
        Ok(Self {
            open: Box::new(move || Ok(Builder::new().set_cache_size(cache).create(&path)?)),
            file,
            quarters: Some(quarters),
        })
    }

    /// A file that nobody else has, without a folder to look after.
    pub(super) fn copy(path: &Path, settings: &Settings) -> Self {
        let (cache, path) = (settings.cache_bytes, path.to_owned());
        Self {
            file: Some(path.clone()),
            open: Box::new(move || Ok(Builder::new().set_cache_size(cache).create(&path)?)),
            quarters: None,
        }
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
            quarters: None,
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
    pub(super) damage: Damage,
    pub(super) quarters: Option<Quarters>,
    /// What was said to be short at last.
    short: Mutex<Option<Shortage>>,
}

impl Shared {
    pub(super) fn open(mut medium: Medium, now: Timestamp) -> Result<(Self, Counters), OpenError> {
        let opened = read::guarded(|| Ok((medium.open)().map_err(Unavailable::storage)?));
        let database = opened.map_err(note)?;
        let transaction = database.begin_read().map_err(OpenError::database)?;
        match notes::schema(&transaction)? {
            None => notes::found(&database, now)?,
            Some(found) if found < SCHEMA => migrate::migrate(&database, found)?,
            Some(_) => {}
        }
        drop(transaction);
        let transaction = database.begin_read().map_err(OpenError::database)?;
        let founding = notes::founding(&transaction).map_err(note)?;
        let counters = notes::counters(&transaction).map_err(note)?;
        drop(transaction);
        let quarters = medium.quarters.take();
        let shared = Self {
            medium,
            database: RwLock::new(Ok(database)),
            suspect: AtomicBool::new(false),
            founding,
            generation: AtomicU64::new(counters.generation),
            state: tokio::sync::watch::Sender::new(State::Running),
            tally: Mutex::new(Tally::default()),
            damage: Damage::default(),
            quarters,
            short: Mutex::default(),
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
        self.reopen_after(|| Ok(()))
    }

    /// [`Shared::reopen`], with something done to the file while nobody has it open.
    pub(super) fn reopen_after(
        &self,
        work: impl FnOnce() -> io::Result<()>,
    ) -> Result<Counters, Unavailable> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one must be gone first: it holds the lock on the file.
        *database = Err(Unavailable::Closed);
        self.suspect.store(false, Ordering::Release);
        self.tally().reopened += 1;
        let worked = work();
        let opened = (self.medium.open)()
            .map_err(Unavailable::storage)
            .and_then(|database| {
                let transaction = database.begin_read().map_err(Unavailable::storage)?;
                let counters = notes::counters(&transaction).map_err(|error| match error {
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
                worked.map_err(|error| Unavailable::storage(redb::Error::Io(error)))?;
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

    /// What is short now.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        self.quarters.as_ref().and_then(Quarters::shortage)
    }

    /// [`Shared::shortage`], said in the log when it begins and ends; and the ballast is looked after.
    pub(super) fn watch_room(&self) -> Option<Shortage> {
        let quarters = self.quarters.as_ref()?;
        if let Err(error) = quarters.tend() {
            tracing::warn!(%error, "the ballast can't be looked after");
        }
        let found = quarters.shortage();
        let mut said = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*said, &found) {
            (None, Some(short)) => {
                tracing::error!(reason = %short, "read-only: only what is vital is written until there is more room");
            }
            (Some(_), None) => tracing::info!("there is room again: everything is written"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *said = found;
        found
    }

    /// The folder and the file of the database; `None` in memory.
    pub(super) fn file(&self) -> Option<&Path> {
        self.medium.file.as_deref()
    }

    /// The size of the file; 0 in memory.
    pub(super) fn file_bytes(&self) -> u64 {
        let file = self.medium.file.as_ref();
        file.and_then(|file| file.metadata().ok())
            .map_or(0, |metadata| metadata.len())
    }
}

pub(super) fn note(error: ReadError) -> OpenError {
    match error {
        ReadError::Damaged(damaged) => OpenError::Damaged(damaged),
        ReadError::Unavailable(Unavailable::Storage(storage)) => OpenError::Storage(storage),
        error @ (ReadError::Migrate { .. } | ReadError::Unavailable(_)) => {
            OpenError::database(redb::Error::Corrupted(error.to_string()))
        }
    }
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        Self::database(error)
    }
}
