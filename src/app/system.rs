//! The server itself: what it is, and what it counts.

use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::time::Timestamp;

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
    /// The space left on the store's disk, in bytes; `None` when that isn't known.
    pub free_bytes: Option<u64>,
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

impl App {
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
            free_bytes: statistics.free_bytes,
            tables,
        })
    }
}
