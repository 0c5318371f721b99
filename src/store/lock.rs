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
    /// Takes the folder, or names who has it. Locks on a file system of the network can't be relied on.
    pub(super) fn take(folder: &Path, network: bool) -> Result<Self, OpenError> {
        let path = folder.join("muster.lock");
        if let (false, Some(kind)) = (network, network_kind(folder)) {
            let folder = folder.to_owned();
            return Err(OpenError::NetworkFolder { folder, kind });
        }
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
    )?;
    // A process number says little without the run of the system that it belongs to.
    if let Some(boot) = boot_id() {
        writeln!(file, "boot {boot}")?;
    }
    file.sync_data()
}

/// The run of the operating system; `None` where it doesn't say.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_id.then(|| id.to_owned())
}

/// What a folder lies on, when that is a file system of the network.
pub(super) fn network_kind(folder: &Path) -> Option<&'static str> {
    const KINDS: [(u32, &str); 9] = [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x517b, "SMB"),
        (0x00c3_6400, "Ceph"),
        (0x0102_1997, "9P"),
        (0x5346_414f, "AFS"),
        (0x7375_7245, "Coda"),
        (0x0bd0_0bd0, "Lustre"),
    ];
    let found = rustix::fs::statfs(folder).ok()?.f_type;
    // Only the low 32 bits say what it is, whatever the width and sign of the field.
    let low = found
        .to_le_bytes()
        .first_chunk()
        .map(|low| u32::from_le_bytes(*low))?;
    KINDS.iter().find(|(kind, _)| *kind == low).map(|(_, name)| *name)
}

/// Who signed the lock file.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // The holder may not have signed yet.
    let read = file.take(256).read_to_string(&mut text);
    let mut lines = text.lines();
    let who = lines.next().unwrap_or_default().trim();
    if read.is_err() || who.is_empty() {
        return "another process".to_owned();
    }
    match lines.next().and_then(|line| line.strip_prefix("boot ")) {
        Some(boot) if boot_id().is_some_and(|own| own != boot) => {
            format!("{who}, which was started before this machine was, or on another one")
        }
        Some(_) | None => who.to_owned(),
    }
}
