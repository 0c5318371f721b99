//! One process per data folder.
//!
//! The database's own lock follows the inode of its file, which a restore replaces. This file is never replaced or
//! removed, so its lock holds for the folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

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
        match patiently(&file) {
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

/// Takes the lock, waiting a moment for whoever is about to let go of it: a server that just ended, or a child of ours
/// between its fork and its exec, which until then shares every lock of its parent.
fn patiently(file: &File) -> Result<(), rustix::io::Errno> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(25);
    for _ in 1..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => pause(PAUSE),
            decided => return decided,
        }
    }
    flock(file, FlockOperation::NonBlockingLockExclusive)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a lock of files has nothing to wait on, and no runtime is needed to open"
)]
fn pause(length: Duration) {
    std::thread::sleep(length);
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
