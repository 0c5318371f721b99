//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The mode of a private key's file.
pub(super) const PRIVATE: u32 = 0o600;
/// The mode of a certificate's file.
pub(super) const PUBLIC: u32 = 0o644;

/// Puts `content` into `folder/name`, so that a crash leaves either the old file or the new one, never a part.
pub(super) fn write(folder: &Path, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.{:016x}", fastrand::u64(..)));
    let written = write_new(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, folder.join(name)))
        .and_then(|()| sync_folder(folder));
    if written.is_err() {
        // The reason matters more than a leftover, which nothing ever reads.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Makes renames inside `folder` survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The text of a file, or `None` when there is no such file.
pub(super) fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", b"one", PUBLIC).unwrap();
        write(folder.path(), "a", b"two", PRIVATE).unwrap();
        let path = folder.path().join("a");
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        assert!(write(folder.path(), "a", b"one", PUBLIC).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(read_if_there(&folder.path().join("b")).unwrap(), None);
    }
}
