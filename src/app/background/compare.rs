//! Compares what agents run with what is wanted of them: only pairs of contents that were not compared before.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::App;
use crate::app::intentions::Pair;
use crate::fleet::agent::{Agent, Happening, Intent, Verdict};
use crate::fleet::config::yaml::Limits;
use crate::fleet::config::{Comparison, ConfigMap, drift};
use crate::fleet::hash::Digest;

/// So many pairs are compared before others get their turn.
const PAIRS_A_BATCH: usize = 64;

impl App {
    /// Compares what was not compared, forgets what nobody has, and notes who drifted.
    pub(in crate::app) async fn compare(self: &Arc<Self>) {
        let needed: HashMap<Pair, Arc<ConfigMap>> = self
            .live
            .collect(|entry| self.pair(&entry.agent))
            .into_iter()
            .collect();
        let comparisons = &self.intentions.comparisons;
        comparisons.retain(|pair| needed.contains_key(pair));
        let mut missing: Vec<_> = needed
            .into_iter()
            .filter(|((wanted, runs), _)| comparisons.of(*wanted, *runs).is_none())
            .collect();
        let any = !missing.is_empty();
        while !missing.is_empty() {
            let batch = missing.split_off(missing.len().saturating_sub(PAIRS_A_BATCH));
            let app = Arc::clone(self);
            let work = tokio::task::spawn_blocking(move || {
                for ((wanted, runs), offered) in batch {
                    app.compare_contents(wanted, runs, &offered);
                }
            });
            if let Err(error) = work.await {
                tracing::error!(error = %error, "what agents run could not be compared with what is wanted");
            }
        }
        self.note_drift();
        if any && self.changes.is_heard() {
            self.changes.announce(crate::app::changes::Topic::Agents);
        }
    }

    /// Compares for one agent now, unless that was done.
    pub(in crate::app) fn compare_one(&self, agent: &Agent) {
        if let Some(((wanted, runs), offered)) = self.pair(agent)
            && self.intentions.comparisons.of(wanted, runs).is_none()
        {
            self.compare_contents(wanted, runs, &offered);
        }
    }

    /// What is wanted of an agent and what it runs, where both are known.
    fn pair(&self, agent: &Agent) -> Option<(Pair, Arc<ConfigMap>)> {
        let runs = agent.reported.effective_config?.digest;
        match self.desired(&agent.registration).config {
            Intent::Want(offer) => Some(((offer.stamp.digest, runs), Arc::clone(&offer.content))),
            Intent::Unmanaged | Intent::Hold(_) => None,
        }
    }

    fn compare_contents(&self, wanted: Digest, runs: Digest, offered: &ConfigMap) {
        // What agents report is kept with marks in the place of secrets, so what was offered has to have them too.
        let offered = self.intentions.masked(offered.clone());
        let found = match self.content(&runs) {
            Ok(Some(bytes)) => match ConfigMap::from_canonical(&bytes) {
                Ok(effective) => {
                    // What was kept by an older version has fewer marks.
                    let effective = self.intentions.masked(effective);
                    drift(&offered, &effective, &Limits::default()).comparison()
                }
                Err(_) => Comparison::Unclear,
            },
            // It is tried again: the storage may have failed for a moment.
            Ok(None) | Err(_) => return,
        };
        self.intentions.comparisons.learn((wanted, runs), found);
    }

    /// Writes into timelines who drifted since this was last looked at. What drifted before the server started stands there
    /// already.
    fn note_drift(&self) {
        let now = self.clock.now();
        let drifted = self.live.collect(|entry| {
            let judged = self.intentions.judge(&entry.agent);
            let (drifted, since) = (judged.verdict == Verdict::Drifted, judged.since);
            let new = drifted && !entry.drifted && since >= self.started;
            entry.drifted = drifted;
            new.then(|| entry.agent.id())
        });
        for id in drifted {
            self.happen(id, Happening::Drifted, now);
            self.announce_agent(id);
        }
    }
}
