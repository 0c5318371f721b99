//! The data folder: made on the first start, readable by its owner alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use crate::app::vault::SealKey;
use crate::fleet::hash::HashKey;

pub(super) const HASH_KEY: &str = "hash.key";
pub(super) const SEAL_KEY: &str = "seal.key";

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
    let lost = "agents are then offered their configuration once more, and another credential where they come back with a \
                replaced one";
    key(folder, HASH_KEY, lost).map(HashKey)
}

/// The key that seals secrets. Outside the store, so that a copy of the store doesn't tell them.
pub(super) fn seal_key(folder: &Path) -> anyhow::Result<SealKey> {
    let lost = "secrets are then lost, and have to be set again";
    key(folder, SEAL_KEY, lost).map(SealKey)
}

/// A key in a file of its own, made where it is missing. `lost` says what deleting it does.
fn key(folder: &Path, name: &str, lost: &str) -> anyhow::Result<[u8; 32]> {
    let path = folder.join(name);
    let what = || format!("can't use {}", path.display());
    if path.exists() {
        let bytes = fs::read(&path).with_context(what)?;
        return bytes.as_slice().try_into().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged: it should have 32 bytes and has {}. Put it back from a backup, or delete it: {lost}",
                path.display(),
                bytes.len()
            )
        });
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("the system gives no randomness")?;
    let new = folder.join(format!("{name}.new"));
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
    Ok(key)
}
