//! The server itself: what it is, and what it counts.

use std::sync::{MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::error::Error;
use super::{App, audit};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::time::Timestamp;
use crate::store::{Batch, CompactError, Place};
pub use crate::store::{Compacted, Room, Shortage, Unreadable};

/// The server as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerState {
    /// The version of the program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// When its store was made.
    pub founded: Timestamp,
    /// Open connections of agents.
    pub connections: u64,
    /// The size of the store's file, in bytes; 0 in memory.
    pub store_bytes: u64,
    /// The room that it has.
    pub room: Room,
    /// Why nothing but what is vital is written; `None` while everything is.
    pub read_only: Option<String>,
    /// How far verifying its records has come.
    pub scrub: ScrubState,
    /// The records that can't be read. They are left as they are.
    pub unreadable: Vec<Unreadable>,
    /// Tasks that died and are started again.
    pub mending: Vec<MendingTask>,
    /// The tables of the store, the largest first.
    pub tables: Vec<TableState>,
}

/// The size of one table of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableState {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Keys and values, in bytes.
    pub bytes: u64,
}

/// The last pass over all records, or the one under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScrubState {
    /// When it began; `None` before the first.
    pub began: Option<Timestamp>,
    /// When it ended; `None` while it is under way.
    pub ended: Option<Timestamp>,
    /// The records that were verified.
    pub rows: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// Those that are not what was written.
    pub unreadable: u64,
}

/// A pass and where it goes on; nowhere between passes.
#[derive(Debug, Default)]
pub(super) struct Scrub {
    pub(super) state: ScrubState,
    pub(super) place: Option<Place>,
}

/// A task that died and is started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MendingTask {
    /// Its name.
    pub task: String,
    /// How often it died since it last succeeded.
    pub times: u32,
    /// What it said at last.
    pub message: String,
}

impl App {
    pub(super) fn scrub(&self) -> MutexGuard<'_, Scrub> {
        // Nothing panics while holding it; if it did, the counts would still be counts.
        self.scrub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing but what is vital is written, for whoever asks; `None` while everything is.
    #[must_use]
    pub fn read_only(&self) -> Option<Shortage> {
        self.store.shortage()
    }

    /// Copies the store into a new file that takes no more than it needs. Changes wait meanwhile.
    ///
    /// # Errors
    /// When the actor may not, or there is no room for the copy.
    pub async fn compact(&self, actor: &Actor) -> Result<Compacted, Error> {
        self.audit
            .permit(actor, Permission::ManageSystem, "store.compact")?;
        let mut batch = Batch::new();
        batch
            .vital()
            .audit(audit::entry(actor, self.clock.now(), "store.compact", "store"));
        self.store.commit(batch).await?;
        let store = self.store.clone();
        let compacting = tokio::task::spawn_blocking(move || store.compact());
        let compacted = compacting
            .await
            .map_err(Error::internal)?
            .map_err(|error| match error {
                CompactError::InMemory | CompactError::NoRoom { .. } => Error::Conflict(error.to_string()),
                CompactError::Unavailable(error) => error.into(),
                CompactError::Read(error) => error.into(),
                CompactError::File { .. } | CompactError::Differs(_) => Error::internal(error),
            })?;
        let Compacted {
            before_bytes,
            after_bytes,
            rows,
        } = compacted;
        tracing::info!(before_bytes, after_bytes, rows, "the store was compacted");
        Ok(compacted)
    }

    fn mending(&self) -> Vec<MendingTask> {
        let mending = self.tasks.mending().into_iter();
        mending
            .map(|(task, found)| MendingTask {
                task: task.to_owned(),
                times: found.times,
                message: found.message,
            })
            .collect()
    }

    /// Since when this process runs.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started
    }

    /// Our own metrics, as OpenMetrics text.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn metrics_page(&self, actor: &Actor) -> Result<String, Error> {
        actor.may(Permission::ViewFleet)?;
        Ok(self.metrics.render(self.store.statistics()))
    }

    /// The server as it stands. Reads the whole store.
    ///
    /// # Errors
    /// When the actor may not, or the store can't be read.
    pub async fn server_state(&self, actor: &Actor) -> Result<ServerState, Error> {
        actor.may(Permission::ManageSystem)?;
        let store = self.store.clone();
        let sizes = tokio::task::spawn_blocking(move || store.tables());
        let sizes = sizes.await.map_err(Error::internal)??;
        let mut tables: Vec<_> = sizes
            .into_iter()
            .map(|size| TableState {
                name: size.table,
                rows: size.rows,
                bytes: size.bytes,
            })
            .collect();
        tables.sort_by(|a, b| (b.bytes, &a.name).cmp(&(a.bytes, &b.name)));
        let statistics = self.store.statistics();
        Ok(ServerState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            founded: self.store.founded_at(),
            connections: self.open_links() as u64,
            store_bytes: statistics.file_bytes,
            room: self.store.room(),
            read_only: self.store.shortage().map(|short| short.to_string()),
            scrub: self.scrub().state.clone(),
            unreadable: self.store.unreadable(),
            mending: self.mending(),
            tables,
        })
    }
}
