//! The data folder: made on the first start, readable by its owner alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use crate::fleet::hash::HashKey;

const HASH_KEY: &str = "hash.key";

/// Makes the folder where it is missing, and takes it from everybody else.
pub(super) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let what = || format!("can't use the data folder {}", folder.display());
    if !folder.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(what)?;
    }
    let metadata = fs::metadata(folder).with_context(what)?;
    anyhow::ensure!(
        metadata.is_dir(),
        "the data folder {} is not a folder",
        folder.display()
    );
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(what)?;
    }
    Ok(())
}

/// The key that proves our config hashes. Outside the store, so that a store that went back in time is noticed.
pub(super) fn hash_key(folder: &Path) -> anyhow::Result<HashKey> {
    let path = folder.join(HASH_KEY);
    let what = || format!("can't use {}", path.display());
    if path.exists() {
        let bytes = fs::read(&path).with_context(what)?;
        let key = bytes.as_slice().try_into().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged: it should have 32 bytes and has {}. Put it back from a backup, or delete it: agents are \
                 then offered their configuration once more",
                path.display(),
                bytes.len()
            )
        })?;
        return Ok(HashKey(key));
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("the system gives no randomness")?;
    let new = folder.join("hash.key.new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(what)?;
    file.write_all(&key)
        .and_then(|()| file.sync_all())
        .with_context(what)?;
    fs::rename(&new, &path).with_context(what)?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(what)?;
    Ok(HashKey(key))
}
