//! How much room there is, what is kept back of it, and who may use that.
//!
//! Below the low-water mark, or above the quota, ordinary batches are refused while those that are [vital](super::Batch::vital)
//! go on. A ballast file takes room as long as there is enough, and is given up when even the vital ones run short.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

/// The room that a store has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Room {
    /// The space left on the disk, in bytes; `None` in memory, or when the system doesn't say.
    pub free_bytes: Option<u64>,
    /// With less than this left, nothing but what is vital is written, in bytes.
    pub low_water_bytes: u64,
    /// What lies in the data folder, in bytes; `None` in memory.
    pub used_bytes: Option<u64>,
    /// How much may lie in the data folder, in bytes; `None` = as much as the disk takes.
    pub quota_bytes: Option<u64>,
    /// Room that is kept back in a file for when there is none, in bytes.
    pub ballast_bytes: u64,
}

/// Why nothing but what is vital is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "shortage")]
pub enum Shortage {
    /// Too little is left on the disk.
    #[error("{} are left on its disk, and {} have to stay free", size(*free_bytes), size(*low_water_bytes))]
    LowWater {
        /// What is left, in bytes.
        free_bytes: u64,
        /// What has to stay free, in bytes.
        low_water_bytes: u64,
    },
    /// The data folder holds more than it may.
    #[error("the data folder holds {}, and may hold {}", size(*used_bytes), size(*quota_bytes))]
    Quota {
        /// What it holds, in bytes.
        used_bytes: u64,
        /// What it may hold, in bytes.
        quota_bytes: u64,
    },
    /// The disk itself refused a write.
    #[error("the disk is full")]
    Disk,
}

impl Room {
    /// The room that a data folder has.
    #[must_use]
    pub fn of(folder: &Path, low_water_bytes: u64, quota_bytes: Option<u64>) -> Self {
        Quarters::new(folder, low_water_bytes, quota_bytes).room()
    }

    /// What is short; `None` while there is room.
    #[must_use]
    pub fn shortage(&self) -> Option<Shortage> {
        if let Some(free_bytes) = self.free_bytes
            && free_bytes < self.low_water_bytes
        {
            let low_water_bytes = self.low_water_bytes;
            return Some(Shortage::LowWater {
                free_bytes,
                low_water_bytes,
            });
        }
        match (self.used_bytes, self.quota_bytes) {
            (Some(used_bytes), Some(quota_bytes)) if used_bytes > quota_bytes => Some(Shortage::Quota {
                used_bytes,
                quota_bytes,
            }),
            _ => None,
        }
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit);
            return if whole < 10 && tenth > 0 {
                format!("{whole}.{tenth} {name}")
            } else {
                format!("{whole} {name}")
            };
        }
    }
    format!("{bytes} B")
}

/// The folder of a store and what it may take.
#[derive(Debug)]
pub(super) struct Quarters {
    folder: PathBuf,
    low_water: u64,
    quota: Option<u64>,
}

const BALLAST: &str = "ballast";
/// The part of the low-water mark that the ballast has, and below which it is given up.
const BALLAST_PART: u64 = 8;

impl Quarters {
    pub(super) fn new(folder: &Path, low_water: u64, quota: Option<u64>) -> Self {
        Self {
            folder: folder.to_owned(),
            low_water,
            quota,
        }
    }

    pub(super) fn room(&self) -> Room {
        let ballast = fs::metadata(self.ballast()).map_or(0, |metadata| metadata.len());
        Room {
            free_bytes: self.free(),
            low_water_bytes: self.low_water,
            used_bytes: used(&self.folder).ok(),
            quota_bytes: self.quota,
            ballast_bytes: ballast,
        }
    }

    /// What is short now. Without a quota this asks the system one question.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        let used_bytes = self.quota.and_then(|_| used(&self.folder).ok());
        Room {
            free_bytes: self.free(),
            low_water_bytes: self.low_water,
            used_bytes,
            quota_bytes: self.quota,
            ballast_bytes: 0,
        }
        .shortage()
    }

    /// Lays the ballast where there is plenty of room, and gives it up where there is hardly any.
    pub(super) fn tend(&self) -> io::Result<()> {
        let weight = self.low_water / BALLAST_PART;
        let Some(free) = self.free() else { return Ok(()) };
        let path = self.ballast();
        let laid = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if free < weight && laid > 0 {
            tracing::warn!(
                bytes = laid,
                "gave up the ballast, so that what is vital can still be written"
            );
            return fs::remove_file(&path);
        }
        let fits = self
            .quota
            .is_none_or(|quota| used(&self.folder).is_ok_and(|used| used + weight < quota));
        if laid < weight && fits && free >= self.low_water + 2 * weight {
            return lay(&path, weight);
        }
        Ok(())
    }

    fn free(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join(BALLAST)
    }
}

/// A file that takes so much of the disk.
fn lay(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let kept = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    // Not every file system knows how to set room aside.
    let laid = kept.or_else(|_| fill(&mut file, bytes));
    if laid.is_err() {
        fs::remove_file(path)?;
    }
    laid
}

fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let block = [0; 8 * 1024];
    let mut left = bytes;
    while left > 0 {
        let next = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        file.write_all(block.get(..next).unwrap_or(&block))?;
        left -= next as u64;
    }
    file.sync_all()
}

/// What the files of a folder and of those in it take on the disk, in bytes.
fn used(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            bytes += used(&entry.path())?;
        } else {
            // What a file with holes takes, not what it seems to have.
            bytes += metadata.blocks() * 512;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_short_before_the_quota_is() {
        let room = Room {
            free_bytes: Some(99),
            low_water_bytes: 100,
            used_bytes: Some(11),
            quota_bytes: Some(10),
            ballast_bytes: 0,
        };
        let disk = Shortage::LowWater {
            free_bytes: 99,
            low_water_bytes: 100,
        };
        assert_eq!(room.shortage(), Some(disk));
        let enough = Room {
            free_bytes: Some(100),
            ..room
        };
        let quota = Shortage::Quota {
            used_bytes: 11,
            quota_bytes: 10,
        };
        assert_eq!(enough.shortage(), Some(quota));
        let unlimited = Room {
            quota_bytes: None,
            ..enough
        };
        assert_eq!(unlimited.shortage(), None);
        assert_eq!(Room::default().shortage(), None);
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        let said: Vec<_> = [0, 1023, 1024, 1536, 20 << 20, (2 << 30) + (1 << 29)]
            .into_iter()
            .map(size)
            .collect();
        assert_eq!(said, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "20 MiB", "2.5 GiB"]);
    }

    #[test]
    fn the_ballast_is_laid_with_room_and_given_up_without() {
        let folder = tempfile::tempdir().unwrap();
        let plenty = Quarters::new(folder.path(), 64 * 1024, None);
        plenty.tend().unwrap();
        assert_eq!(plenty.room().ballast_bytes, 8 * 1024);
        assert!(plenty.room().used_bytes.unwrap() >= 8 * 1024);
        // More than any disk has.
        let short = Quarters::new(folder.path(), u64::MAX / 2, None);
        short.tend().unwrap();
        assert_eq!(short.room().ballast_bytes, 0);
        assert!(matches!(short.shortage(), Some(Shortage::LowWater { .. })));
        let none = Quarters::new(folder.path(), 0, Some(0));
        fs::write(folder.path().join("x"), [1; 10]).unwrap();
        assert!(matches!(none.shortage(), Some(Shortage::Quota { .. })));
    }
}
