//! The embedded store: records, content bodies and the audit chain in one redb file.
//!
//! A [`Batch`] is the only way to change anything: it is atomic, carries preconditions and its own audit entries, and
//! [`Store::commit`] returns once it is durable. One writer thread groups what waits into one commit. Reads are typed,
//! synchronous and see the last commit. What belongs here is how things are kept; which records exist is said where they
//! are used, with [`records!`](crate::records).
//!
//! No clock: times arrive as arguments, and durations for the statistics come from [`Settings::elapsed`].

mod apply;
mod audit;
mod batch;
mod bodies;
mod compact;
mod damage;
mod database;
mod error;
mod key;
mod lock;
mod migrate;
mod notes;
mod read;
mod record;
mod room;
mod row;
mod scrub;
mod statistics;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use audit::{AuditEntry, AuditFault, AuditRecord, AuditVerdict};
pub use batch::{Batch, Committed, Expectation};
pub use bodies::{CollectError, Collected};
pub use compact::{CompactError, Compacted};
pub use damage::Unreadable;
pub use database::OWN_TABLES;
pub use error::{CommitError, Damaged, OpenError, ReadError, Unavailable};
pub use key::Key;
pub use migrate::Rehearsal;
pub use read::Survey;
pub use record::{MigrateError, Record, Versioned};
pub use room::{Room, Shortage};
pub use scrub::{Looked, Place};
pub use statistics::{LATENCY_BOUNDS_SECONDS, Statistics, TableSize};

use database::{Medium, Shared};
use lock::FolderLock;
use writer::{Job, State, Writer};

use crate::fleet::time::Timestamp;

/// How the store behaves. The defaults suit a small machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Memory for the database's pages, in bytes.
    pub cache_bytes: usize,
    /// Rows after which a grouped commit takes no further batch.
    pub group_rows: usize,
    /// Content bytes after which a grouped commit takes no further batch.
    pub group_bytes: usize,
    /// Space on the disk that is left alone, in bytes: below it commits are refused with [`Unavailable::Full`], unless they
    /// are [vital](Batch::vital), before the disk is really full and reading suffers.
    pub low_water_bytes: u64,
    /// How much may lie in the data folder before the same happens, in bytes; `None` = as much as the disk takes.
    pub quota_bytes: Option<u64>,
    /// Whether the folder may lie on a file system of the network, whose locks are nothing to rely on.
    pub network_folder: bool,
    /// A monotonic reading since any fixed point, for the commit latencies in [`Statistics`]. The default stands still.
    pub elapsed: fn() -> Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 16 * 1024 * 1024,
            group_rows: 1_000,
            group_bytes: 16 * 1024 * 1024,
            low_water_bytes: 16 * 1024 * 1024,
            quota_bytes: None,
            network_folder: false,
            elapsed: || Duration::ZERO,
        }
    }
}

/// The store. Clones are the same store.
///
/// When the last clone goes, the writer finishes what was handed to it; [`Store::close`] does the same and waits.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `folder`, or founds one there: `store.redb`, guarded by `muster.lock`. `now` is kept as the
    /// time of founding.
    ///
    /// # Errors
    /// [`OpenError::InUse`] names the process that has the folder; [`OpenError::Newer`] leaves a newer store untouched.
    pub fn open(folder: &Path, settings: &Settings, now: Timestamp) -> Result<Self, OpenError> {
        let lock = FolderLock::take(folder, settings.network_folder)?;
        Self::start(Medium::file(folder, settings)?, settings, Some(lock), now)
    }

    /// A store in memory, which goes with its last clone.
    ///
    /// # Errors
    /// When its writer thread can't be started.
    pub fn in_memory() -> Result<Self, OpenError> {
        let settings = Settings::default();
        Self::start(Medium::memory(&settings), &settings, None, Timestamp::EPOCH)
    }

    /// A store on storage that the caller makes, asked again whenever the database is reopened: for storage that fails
    /// on purpose, or that replays what a disk holds after a crash.
    ///
    /// # Errors
    /// As [`Store::open`], without the lock.
    pub fn on_backend<B: redb::StorageBackend>(
        backend: impl Fn() -> std::io::Result<B> + Send + Sync + 'static,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        Self::start(Medium::backend(backend, settings), settings, None, now)
    }

    fn start(
        medium: Medium,
        settings: &Settings,
        lock: Option<FolderLock>,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let (shared, counters) = Shared::open(medium, now)?;
        let shared = Arc::new(shared);
        let writer = Writer::start(Arc::clone(&shared), settings.clone(), counters, lock)?;
        Ok(Self {
            shared,
            writer: Arc::new(writer),
        })
    }

    /// Makes `batch` durable: all of it, or nothing. An empty batch succeeds at once.
    ///
    /// A future that is dropped while it waits doesn't take the batch back.
    ///
    /// # Errors
    /// [`CommitError::Precondition`] when an expectation fails, [`CommitError::Unavailable`] when the storage does; after
    /// the latter the batch may or may not be found later, never half of it.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.writer.send(Job::Commit(batch, reply.into()))?;
        answer.await.map_err(|_| self.writer.gone())?
    }

    /// [`Store::commit`] for callers without a runtime. Blocks the thread.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking(&self, batch: Batch) -> Result<Committed, CommitError> {
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.writer.send(Job::Commit(batch, reply.into()))?;
        answer.recv().map_err(|_| self.writer.gone())?
    }

    /// The life of this store: random at its founding. Part of every `config_hash`.
    pub fn epoch(&self) -> u64 {
        self.shared.founding.epoch
    }

    /// When this store was founded.
    pub fn founded_at(&self) -> Timestamp {
        self.shared.founding.at
    }

    /// The last generation that a frozen body was given; 0 when there is none.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Resolves when the writer thread died by a fault of ours: nothing can be committed any more and the process should
    /// exit. Never resolves otherwise, also not after [`Store::close`].
    pub async fn failed(&self) {
        let mut state = self.shared.state.subscribe();
        if state.wait_for(|state| *state == State::Failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Finishes what was handed over, closes the database and releases the folder. Blocks the thread meanwhile. Other
    /// clones get [`Unavailable::Closed`] from then on.
    pub fn close(self) {
        self.writer.close();
    }
}
