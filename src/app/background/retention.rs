//! Keeps what grows within bounds: timelines and rollouts. Contents that agents reported stay: nothing counts yet who
//! still refers to them.

use std::collections::HashSet;
use std::ops::Bound;

use crate::app::App;
use crate::app::error::Error;
use crate::app::records::TimelineEntry;
use crate::fleet::ids::AgentId;
use crate::store::Batch;

/// Timeline entries kept per agent.
const ENTRIES_KEPT: usize = 500;
/// Timeline entries looked at together.
const ENTRIES_A_PAGE: usize = 1_000;

impl App {
    /// Deletes the oldest entries of long timelines and the entries of agents that are gone, and rollouts of long ago.
    pub(in crate::app) async fn retire(&self) {
        if let Err(error) = self.forget_rollouts().await {
            tracing::error!(error = %error, "old rollouts could not be deleted");
        }
        if let Err(error) = self.shorten_timelines().await {
            tracing::error!(error = %error, "old timeline entries could not be deleted");
        }
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
