//! What can go wrong, per operation.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::Expectation;
use super::record::MigrateError;
use super::room::Shortage;

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("the data folder {} is in use by {holder}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process, as its lock file names it: `pid 12 on host`.
        holder: String,
    },
    /// The folder lies on a file system of the network.
    #[error(
        "the data folder {} lies on {kind}, where nothing keeps two servers apart and a lost connection loses writes; move it to a local disk, or set disk.network_folder = true", folder.display()
    )]
    NetworkFolder {
        /// The folder.
        folder: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// A newer version of Muster wrote it. Nothing was changed.
    #[error(
        "the store has schema {found}, which needs a newer version of Muster; this one knows schema {known}"
    )]
    Newer {
        /// The schema of the store.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// A file can't be used.
    #[error("can't use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The database can't be opened.
    #[error("can't open the database")]
    Database(#[source] Box<redb::Error>),
    /// The database can't be opened, or panicked over what lies in its file.
    #[error("can't open the database")]
    Storage(#[source] Arc<redb::Error>),
    /// The store's own notes are damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The system gave no randomness for the epoch.
    #[error("the system gives no randomness")]
    Randomness,
    /// The writer thread can't be started.
    #[error("can't start the store's writer")]
    Thread(#[source] io::Error),
}

impl OpenError {
    pub(super) fn database(error: impl Into<redb::Error>) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// A row that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row {key} of {table} can't be trusted: {why}")]
pub struct Damaged {
    /// The table.
    pub table: &'static str,
    /// The key, for people.
    pub key: String,
    /// What is wrong.
    pub why: &'static str,
}

/// Why the store can't serve at the moment.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// There is no room. Writes resume by themselves once there is.
    #[error("{0}")]
    Full(Shortage),
    /// The storage failed. It is reopened by itself.
    #[error("the storage failed")]
    Storage(#[source] Arc<redb::Error>),
    /// [`Store::close`](super::Store::close) was called.
    #[error("the store is closed")]
    Closed,
    /// The writer thread is gone; the process should exit.
    #[error("the store's writer is gone")]
    WriterGone,
}

impl Unavailable {
    pub(super) fn storage(error: impl Into<redb::Error>) -> Self {
        let error = error.into();
        if let redb::Error::Io(io) = &error
            && matches!(
                io.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        {
            return Self::Full(Shortage::Disk);
        }
        Self::Storage(Arc::new(error))
    }
}

/// Why a batch was not committed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// An expectation of the batch doesn't hold. Nothing of it was written.
    #[error("{table} {key}: expected {expected}, found {}", found_text(*found))]
    Precondition {
        /// The table.
        table: &'static str,
        /// The key, for people.
        key: String,
        /// What the batch expected.
        expected: Expectation,
        /// The revision that is there; `None` when there is none.
        found: Option<u64>,
    },
    /// A record can't be written as JSON.
    #[error("a record of {table} can't be encoded: {why}")]
    Encode {
        /// The table.
        table: &'static str,
        /// The encoder's reason.
        why: String,
    },
    /// A row that the batch relies on is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Nothing can be written at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

fn found_text(found: Option<u64>) -> String {
    found.map_or_else(|| "none".to_owned(), |revision| format!("revision {revision}"))
}

/// Why something can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A row is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A row of an older version can't be migrated.
    #[error("the row {key} of {table} can't be read")]
    Migrate {
        /// The table.
        table: &'static str,
        /// The key, for people.
        key: String,
        /// The reason.
        source: MigrateError,
    },
    /// Nothing can be read at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
