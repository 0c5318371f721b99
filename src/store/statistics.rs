//! What the store tells about itself.

use std::time::Duration;

use redb::{ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};

use super::Store;
use super::database;
use super::error::{ReadError, Unavailable};
use super::room::{Quarters, Room, Shortage};

/// The upper bounds of the commit latency's buckets, in seconds; a last bucket has none.
pub const LATENCY_BOUNDS_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Counts since the store was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The size of the database file, in bytes; 0 in memory.
    pub file_bytes: u64,
    /// The space that is left on its disk, in bytes; `None` in memory.
    pub free_bytes: Option<u64>,
    /// With less than this left, nothing but what is vital is written, in bytes.
    pub low_water_bytes: u64,
    /// Whether nothing but what is vital is written.
    pub short: bool,
    /// Rows that could not be read, and are still as they were.
    pub unreadable: u64,
    /// The tables as they were when [`Store::tables`] was last asked for.
    pub tables: Vec<TableSize>,
    /// The pages in memory, in bytes.
    pub cache_bytes: u64,
    /// Grouped commits.
    pub commits: u64,
    /// Batches in them.
    pub batches: u64,
    /// Batches that were refused by their expectations.
    pub refused: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Grouped commits that the storage failed.
    pub failed: u64,
    /// Times that the database was reopened after a failure.
    pub reopened: u64,
    /// How long grouped commits took, in all.
    pub commit_time: Duration,
    /// Grouped commits by how long they took: one count per bound of [`LATENCY_BOUNDS_SECONDS`], each without those of
    /// the bounds before it, and the rest.
    pub commit_buckets: [u64; LATENCY_BOUNDS_SECONDS.len() + 1],
}

/// The size of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Keys and values, in bytes.
    pub bytes: u64,
}

/// Statistics while they are counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    statistics: Statistics,
    pub(super) failed: u64,
    pub(super) reopened: u64,
    pub(super) tables: Vec<TableSize>,
}

impl Tally {
    pub(super) fn committed(&mut self, batches: usize, refused: usize, rows: u64, took: Duration) {
        let counts = &mut self.statistics;
        counts.batches += batches as u64;
        counts.refused += refused as u64;
        if rows == 0 {
            return;
        }
        counts.commits += 1;
        counts.rows += rows;
        counts.commit_time += took;
        let bucket = LATENCY_BOUNDS_SECONDS
            .iter()
            .position(|bound| took.as_secs_f64() <= *bound);
        let bucket = bucket.unwrap_or(LATENCY_BOUNDS_SECONDS.len());
        if let Some(count) = counts.commit_buckets.get_mut(bucket) {
            *count += 1;
        }
    }
}

impl Store {
    /// Counts for the metrics page. Cheap.
    pub fn statistics(&self) -> Statistics {
        let cache = self
            .shared
            .with(|database| Ok::<_, Unavailable>(database.cache_stats().used_bytes()));
        let (room, unreadable) = (self.room(), self.unreadable().len());
        let tally = self.shared.tally();
        Statistics {
            file_bytes: self.shared.file_bytes(),
            short: room.shortage().is_some(),
            free_bytes: room.free_bytes,
            low_water_bytes: room.low_water_bytes,
            unreadable: unreadable as u64,
            tables: tally.tables.clone(),
            cache_bytes: cache.map_or(0, |bytes| bytes as u64),
            failed: tally.failed,
            reopened: tally.reopened,
            ..tally.statistics.clone()
        }
    }

    /// The size of every table that the file has, in the order of their names. Reads the whole file.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn tables(&self) -> Result<Vec<TableSize>, ReadError> {
        let sizes = self.read(|transaction| {
            let mut sizes = Vec::new();
            for handle in transaction.list_tables()? {
                if let Some(table) = database::table(transaction, handle.name())? {
                    let table_statistics = table.stats()?;
                    sizes.push(TableSize {
                        table: handle.name().to_owned(),
                        rows: table.len()?,
                        bytes: table_statistics.stored_bytes(),
                    });
                }
            }
            sizes.sort_by(|a, b| a.table.cmp(&b.table));
            Ok(sizes)
        })?;
        self.shared.tally().tables.clone_from(&sizes);
        Ok(sizes)
    }

    /// The room that it has.
    pub fn room(&self) -> Room {
        let quarters = self.shared.quarters.as_ref();
        quarters.map_or_else(Room::default, Quarters::room)
    }

    /// Why nothing but what is vital is written; `None` while everything is.
    pub fn shortage(&self) -> Option<Shortage> {
        self.shared.shortage()
    }
}
