//! Bringing an older file to the present schema: a copy of it first, then all steps in one transaction.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase as _, WriteTransaction};

use super::database::Medium;
use super::error::{OpenError, Unavailable};
use super::lock::FolderLock;
use super::read::guarded;
use super::{Settings, Store, notes};
use crate::fleet::time::Timestamp;

/// One change of the schema. Steps are only ever added, at the end.
struct Step {
    /// The schema that it leads to.
    to: u32,
    /// What it does, for people.
    what: &'static str,
    run: fn(&WriteTransaction) -> Result<(), redb::Error>,
}

const STEPS: &[Step] = &[Step {
    to: 2,
    what: "keep the schema number a second time, sealed, so that a flipped bit in it is noticed",
    run: notes::seal_schema,
}];

/// The schema that this program writes. Counted up whenever an older program must not open the file.
pub(super) const SCHEMA: u32 = 2;

const CHECKING: &str = "store.redb.checking";

/// Removes what a kill left of a copy that was looked at.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(CHECKING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The schema of a file that nobody has open. One that a kill left behind is repaired for that. `None` when nothing was
/// founded in it.
fn look(path: &Path) -> Result<Option<u32>, OpenError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        return Ok(None);
    }
    let reading = || Builder::new().set_cache_size(1 << 20).open_read_only(path);
    let database = if let Ok(database) = reading() {
        database
    } else {
        // What is wrong with it is said by whoever opens it to use it.
        guarded(|| {
            let repaired = Builder::new().create(path).map_err(Unavailable::storage)?;
            drop(repaired);
            Ok(())
        })
        .map_err(super::database::note)?;
        reading()?
    };
    let transaction = database.begin_read().map_err(OpenError::database)?;
    notes::schema(&transaction)
}

/// Where the file of an older schema is kept when it is migrated.
fn kept(folder: &Path, schema: u32) -> PathBuf {
    folder.join(format!("store.schema-{schema}.redb"))
}

/// Keeps a file of an older schema as it is, before anything of it changes. A kill leaves the whole copy or none under its
/// name.
pub(super) fn keep_older(folder: &Path, path: &Path) -> Result<(), OpenError> {
    let Some(found) = look(path)?.filter(|found| *found < SCHEMA) else {
        return Ok(());
    };
    let kept = kept(folder, found);
    let new = kept.with_extension("redb.new");
    let failed = |source| OpenError::File {
        path: new.clone(),
        source,
    };
    copy(path, &new).map_err(failed)?;
    if look(&new)? != Some(found) {
        return Err(failed(io::Error::other("the copy is not what it was made of")));
    }
    fs::rename(&new, &kept)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(failed)?;
    tracing::info!(schema = found, to = SCHEMA, file = %kept.display(), "the store is migrated; as it was it is kept");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Takes all steps that are missing, together.
pub(super) fn migrate(database: &Database, found: u32) -> Result<(), OpenError> {
    let write = || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        for step in STEPS.iter().filter(|step| step.to > found) {
            (step.run)(&transaction)?;
        }
        notes::write_schema(&transaction)?;
        Ok(transaction.commit()?)
    };
    write().map_err(OpenError::database)
}

/// A store's copy, brought to the present schema: what an upgrade would come to. The copy goes with it.
#[derive(Debug)]
pub struct Rehearsal {
    /// The schema of the store.
    pub schema: u32,
    /// The schema that this program writes.
    pub known: u32,
    /// What a start would do, in words; nothing when the schema is the present one.
    pub steps: Vec<&'static str>,
    /// The size of the file, in bytes: what a start with steps to take needs beside it.
    pub store_bytes: u64,
    store: Option<Store>,
    copy: PathBuf,
    _lock: FolderLock,
}

impl Rehearsal {
    /// The store that the copy became.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
        // The next start removes it, too.
        drop(fs::remove_file(&self.copy));
    }
}

impl Store {
    /// Does with a copy of the store in `folder` what a start would do with the store. No server may have the folder.
    /// Nothing in it is changed but that the copy lies there meanwhile.
    ///
    /// # Errors
    /// As [`Store::open`], and when there is no room for the copy.
    pub fn rehearse(folder: &Path, settings: &Settings, now: Timestamp) -> Result<Rehearsal, OpenError> {
        let path = folder.join("store.redb");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::File { path, source }
        };
        let store_bytes = fs::metadata(&path).map_err(failed(&path))?.len();
        let lock = FolderLock::take(folder, settings.network_folder)?;
        let beside = folder.join(CHECKING);
        copy(&path, &beside).map_err(failed(&beside))?;
        let mut rehearsal = Rehearsal {
            schema: SCHEMA,
            known: SCHEMA,
            steps: Vec::new(),
            store_bytes,
            store: None,
            copy: beside.clone(),
            _lock: lock,
        };
        let found = look(&beside)?.unwrap_or(SCHEMA);
        rehearsal.schema = found;
        let missing = STEPS.iter().filter(|step| step.to > found);
        rehearsal.steps = missing.map(|step| step.what).collect();
        rehearsal.store = Some(Self::start(Medium::copy(&beside, settings), settings, None, now)?);
        Ok(rehearsal)
    }
}
