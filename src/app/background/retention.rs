//! Keeps what grows within bounds: timelines, and contents that nobody refers to.

use std::collections::{BTreeMap, HashSet};

use crate::app::App;
use crate::app::records::TimelineEntry;
use crate::fleet::ids::AgentId;
use crate::store::Batch;

/// Timeline entries kept per agent.
const ENTRIES_KEPT: usize = 500;

impl App {
    /// Deletes the oldest entries of long timelines and the entries of agents that are gone, and rollouts of long ago.
    pub(in crate::app) async fn retire(&self) {
        if let Err(error) = self.forget_rollouts().await {
            tracing::error!(error = %error, "old rollouts could not be deleted");
        }
        let rows = match self.store.scan::<TimelineEntry>() {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(error = %error, "timelines could not be read");
                return;
            }
        };
        let known: HashSet<AgentId> = self.live.ids(|_| true);
        let mut numbers: BTreeMap<AgentId, Vec<u64>> = BTreeMap::new();
        for ((agent, number), _) in rows {
            numbers.entry(agent).or_default().push(number);
        }
        let mut batch = Batch::new();
        for (agent, numbers) in numbers {
            let kept = if known.contains(&agent) { ENTRIES_KEPT } else { 0 };
            let excess = numbers.len().saturating_sub(kept);
            for number in numbers.iter().take(excess) {
                batch.delete::<TimelineEntry>(&(agent, *number));
            }
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(error = %error, "old timeline entries could not be deleted");
        }
    }
}
