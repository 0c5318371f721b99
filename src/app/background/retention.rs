//! Keeps what grows within bounds: timelines, rollouts, and what nothing refers to any more.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::app::App;
use crate::app::error::Error;
use crate::app::intentions::{Intentions, Spent};
use crate::app::records::{ComponentSet, TimelineEntry};
use crate::fleet::agent::{Agent, Delivery, Reported};
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::store::{Batch, CollectError, ReadError, Store};

/// Timeline entries kept per agent.
const ENTRIES_KEPT: usize = 500;
/// Timeline entries looked at together.
const ENTRIES_A_PAGE: usize = 1_000;

impl App {
    /// Deletes rollouts of long ago, what nothing refers to any more, the oldest entries of long timelines, and the entries
    /// of agents that are gone.
    pub(in crate::app) async fn retire(&self) {
        if let Err(error) = self.forget_rollouts().await {
            tracing::error!(error = %error, "old rollouts could not be deleted");
        }
        match self.clean_up().await {
            Ok(spent) if spent == Spent::default() => {}
            Ok(spent) => {
                let Spent {
                    targets,
                    renderings,
                    sealed,
                    bodies,
                    bytes,
                } = spent;
                tracing::info!(
                    targets,
                    renderings,
                    sealed,
                    bodies,
                    bytes,
                    "what nothing refers to any more was deleted"
                );
            }
            Err(error) => {
                tracing::error!(error = %error, "what nothing refers to any more could not be deleted");
            }
        }
        if let Err(error) = self.shorten_timelines().await {
            tracing::error!(error = %error, "old timeline entries could not be deleted");
        }
    }

    /// Deletes what nothing refers to any more: targets and renderings that were replaced long ago, and contents. What
    /// refers to a content is read from the store; when any of it can't be read, nothing is deleted.
    ///
    /// # Errors
    /// When the store fails; what was deleted until then was not referred to.
    pub async fn clean_up(&self) -> Result<Spent, Error> {
        let spent = self.intentions.forget_spent(&self.everybody()).await?;
        let kept = self.blocking_references().await?;
        let sealed = self.intentions.forget_sealed(&kept).await?;
        // A flush puts contents first and then what refers to them: none is in the middle of that.
        let flushing = self.flushing.lock().await;
        let (store, reported) = (self.store.clone(), reported(&self.everybody()));
        let collecting = tokio::task::spawn_blocking(move || {
            store.collect_bodies(|| {
                let mut kept = references(&store)?;
                kept.extend(reported);
                Ok(kept)
            })
        });
        let collected = collecting.await.map_err(Error::internal)?.map_err(failed)?;
        drop(flushing);
        Ok(Spent {
            sealed,
            bodies: collected.bodies,
            bytes: collected.bytes,
            ..spent
        })
    }

    /// Every agent, also those that are no longer served.
    fn everybody(&self) -> Vec<Arc<Agent>> {
        let snapshots = self.live.snapshot().into_iter();
        snapshots.map(|snapshot| snapshot.agent).collect()
    }

    async fn blocking_references(&self) -> Result<BTreeSet<Digest>, Error> {
        let store = self.store.clone();
        let reading = tokio::task::spawn_blocking(move || references(&store));
        let mut kept = reading.await.map_err(Error::internal)??;
        kept.extend(reported(&self.everybody()));
        Ok(kept)
    }

    /// Walks all timelines from their newest entries to their oldest, a page at a time.
    async fn shorten_timelines(&self) -> Result<(), Error> {
        let known: HashSet<AgentId> = self.live.ids(|_| true);
        let mut before: Option<(AgentId, u64)> = None;
        let mut kept = 0;
        loop {
            let to = before.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = self
                .store
                .range::<TimelineEntry>(Bound::Unbounded, to, ENTRIES_A_PAGE, true)?;
            let mut batch = Batch::new();
            batch.vital();
            for ((agent, number), _) in &rows {
                if before.is_none_or(|(last, _)| last != *agent) {
                    kept = 0;
                }
                before = Some((*agent, *number));
                if kept < ENTRIES_KEPT && known.contains(agent) {
                    kept += 1;
                } else {
                    batch.delete::<TimelineEntry>(&(*agent, *number));
                }
            }
            self.store.commit(batch).await?;
            if rows.len() < ENTRIES_A_PAGE {
                return Ok(());
            }
        }
    }
}

/// All contents that a record refers to. What agents have is looked at before rollouts, which go back to it.
fn references(store: &Store) -> Result<BTreeSet<Digest>, ReadError> {
    let mut found = BTreeSet::new();
    store.visit(|_, delivery: Delivery| found.extend(delivery.contents()))?;
    store.visit(|_, reported: Reported| found.extend(reported.contents()))?;
    store.visit(|_, set: ComponentSet| {
        found.insert(set.digest);
    })?;
    found.extend(Intentions::referenced(store)?);
    Ok(found)
}

/// The contents that agents said or were told of, as memory has them.
fn reported(fleet: &[Arc<Agent>]) -> BTreeSet<Digest> {
    let of = |agent: &Arc<Agent>| {
        let contents = agent.reported.contents().chain(agent.delivery.contents());
        contents.collect::<Vec<_>>()
    };
    fleet.iter().flat_map(of).collect()
}

fn failed(error: CollectError) -> Error {
    match error {
        CollectError::Read(error) => error.into(),
        CollectError::Commit(error) => error.into(),
    }
}
