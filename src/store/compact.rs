//! Giving back what a file takes and no longer needs: everything is copied into a new file, which then takes its name.
//!
//! A kill leaves the file as it was with a part of a copy beside it, or the new file: its name changes in one step, after
//! all of it is on the disk and was compared.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};
use schemars::JsonSchema;
use serde::Serialize;

use super::Store;
use super::database::{self, Shared, definition};
use super::error::{ReadError, Unavailable};
use super::read::guarded;
use super::writer::Job;

/// What compacting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Compacted {
    /// The size of the file before, in bytes.
    pub before_bytes: u64,
    /// And after.
    pub after_bytes: u64,
    /// The rows that were copied.
    pub rows: u64,
}

/// Why nothing was compacted. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// There is no file.
    #[error("the store is in memory")]
    InMemory,
    /// The copy doesn't fit beside the file.
    #[error("the copy takes up to {needed_bytes} bytes, and {free_bytes} are left on the disk")]
    NoRoom {
        /// What the copy may take, in bytes.
        needed_bytes: u64,
        /// What is left, in bytes.
        free_bytes: u64,
    },
    /// The copy can't be written.
    #[error("can't write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The copy is not what it was made of.
    #[error("the table {0} was not copied as it is")]
    Differs(String),
    /// What is to be copied can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store can't do it at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

const COPY: &str = "store.redb.compacting";

/// Removes what a kill left of a copy.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(COPY)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Store {
    /// Copies everything into a new file, compares the two, and uses the new one from then on. Nothing is committed
    /// meanwhile; reading goes on. Blocks the thread.
    ///
    /// # Errors
    /// What is in the way; the file is as it was.
    pub fn compact(&self) -> Result<Compacted, CompactError> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.writer.send(Job::Compact(reply))?;
        answer.recv().map_err(|_| self.writer.gone())?
    }

    /// Has the writer look after the ballast, and after storage that failed. For a background loop.
    pub fn tend(&self) {
        // A writer that is gone tends to nothing.
        drop(self.writer.send(Job::Tend));
    }
}

/// Makes the copy, gives it the file's name and opens it.
pub(super) fn compact(shared: &Shared) -> Result<Compacted, CompactError> {
    let path = shared.file().ok_or(CompactError::InMemory)?.to_owned();
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let copy = folder.join(COPY);
    let before_bytes = shared.file_bytes();
    if let Some(free_bytes) = shared
        .quarters
        .as_ref()
        .and_then(|quarters| quarters.room().free_bytes)
        && free_bytes < before_bytes
    {
        return Err(CompactError::NoRoom {
            needed_bytes: before_bytes,
            free_bytes,
        });
    }
    let failed = |source| CompactError::File {
        path: copy.clone(),
        source,
    };
    clear(folder).map_err(failed)?;
    let made = make(shared, &copy);
    let rows = match made {
        Ok(rows) => rows,
        Err(error) => {
            clear(folder).map_err(failed)?;
            return Err(error);
        }
    };
    shared.reopen_after(|| {
        fs::rename(&copy, &path)?;
        File::open(folder)?.sync_all()
    })?;
    Ok(Compacted {
        before_bytes,
        after_bytes: shared.file_bytes(),
        rows,
    })
}

/// A file at `path` with all tables and rows, compared with where they come from.
fn make(shared: &Shared, path: &Path) -> Result<u64, CompactError> {
    let failed = |source| CompactError::File {
        path: path.to_owned(),
        source,
    };
    create(path).map_err(failed)?;
    let copy = Builder::new()
        .set_cache_size(16 << 20)
        .create(path)
        .map_err(Unavailable::storage)?;
    let rows = shared.with(|from| guarded(|| copy_rows(from, &copy)))?;
    if let Some(table) = shared.with(|from| guarded(|| difference(from, &copy)))? {
        return Err(CompactError::Differs(table));
    }
    drop(copy);
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    Ok(rows)
}

fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn copy_rows(from: &Database, to: &Database) -> Result<u64, ReadError> {
    let reading = from.begin_read().map_err(Unavailable::storage)?;
    let mut writing = to.begin_write().map_err(Unavailable::storage)?;
    writing.set_quick_repair(true);
    let mut rows = 0;
    for handle in reading.list_tables()? {
        let Some(table) = database::table(&reading, handle.name())? else {
            continue;
        };
        let mut copy = writing.open_table(definition(handle.name()))?;
        for row in table.range::<&[u8]>(..)? {
            let (key, value) = row?;
            copy.insert(key.value(), value.value())?;
            rows += 1;
        }
    }
    writing.commit().map_err(Unavailable::storage)?;
    Ok(rows)
}

/// The first table that is not the same in both.
fn difference(from: &Database, copy: &Database) -> Result<Option<String>, ReadError> {
    let (from, copy) = (
        from.begin_read().map_err(Unavailable::storage)?,
        copy.begin_read().map_err(Unavailable::storage)?,
    );
    for handle in from.list_tables()? {
        let name = handle.name();
        let (Some(one), Some(other)) = (database::table(&from, name)?, database::table(&copy, name)?) else {
            return Ok(Some(name.to_owned()));
        };
        if one.len()? != other.len()? {
            return Ok(Some(name.to_owned()));
        }
        for (one, other) in one.range::<&[u8]>(..)?.zip(other.range::<&[u8]>(..)?) {
            let (one, other) = (one?, other?);
            if one.0.value() != other.0.value() || one.1.value() != other.1.value() {
                return Ok(Some(name.to_owned()));
            }
        }
    }
    Ok(None)
}
