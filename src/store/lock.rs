//! One process per data folder.
//!
//! The database's own lock follows the inode of its file, which a restore replaces. This file is never replaced or
//! removed, so its lock holds for the folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::error::OpenError;

/// Held as long as the folder is ours; the system releases it with the process.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("muster.lock");
        let failed = |source| OpenError::File {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse {
                    folder: folder.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        sign(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    let system = rustix::system::uname();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(
        file,
        "pid {} on {}",
        std::process::id(),
        system.nodename().to_string_lossy()
    )
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // The holder may not have signed yet.
    let read = file.take(256).read_to_string(&mut text);
    let text = text.trim();
    if read.is_err() || text.is_empty() {
        "another process".to_owned()
    } else {
        text.to_owned()
    }
}
