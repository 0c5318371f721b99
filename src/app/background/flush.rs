//! Writes what agents reported: late, together, and never for a heartbeat.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::app::App;
use crate::app::records::{PulseRow, Pulses};
use crate::fleet::agent::Reported;
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;
use crate::store::Batch;

/// Agents in one batch.
const AGENTS_A_BATCH: usize = 500;
/// Pulses written in a second, on average.
const PULSES_A_SECOND: usize = 1_000;
/// Pulses in one row.
const PULSES_A_ROW: usize = 256;

impl App {
    /// Writes contents, timelines and the reported state of agents that changed. One whose exchange isn't over waits: its
    /// number would be stored ahead of its verdict.
    pub(in crate::app) async fn flush_reported(&self) {
        let _flushing = self.flushing.lock().await;
        // All of this can wait in memory; the store says in the log that it takes nothing.
        if self.store.shortage().is_some() {
            return;
        }
        let changed: Vec<(AgentId, Reported)> = self.live.collect(|entry| {
            if !entry.dirty.reported || !entry.is_between_exchanges() {
                return None;
            }
            entry.dirty.reported = false;
            let reported = &mut Arc::make_mut(&mut entry.agent).reported;
            reported.sequence = entry.pulse.sequence;
            reported.heard_at = entry.pulse.last_seen;
            Some((entry.agent.id(), entry.agent.reported.clone()))
        });
        let sets = self.components.take_unwritten();
        // After what refers to them, so that nothing is written without its content.
        let waiting = self.pending.take();
        if waiting.bodies.is_empty() && waiting.timeline.is_empty() && changed.is_empty() && sets.is_empty() {
            self.pending.written(&waiting);
            return;
        }
        let mut batch = Batch::new();
        for bytes in waiting.bodies.values() {
            batch.put_body(bytes.clone());
        }
        for (key, entry) in &waiting.timeline {
            batch.put(key, entry);
        }
        for (key, set) in &sets {
            batch.put(key, set);
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(error = %error, "what agents reported could not be stored; it is tried again");
            self.pending.put_back(&waiting);
            self.components.put_back(sets);
            self.mark_dirty(changed.iter().map(|(id, _)| *id));
            return;
        }
        self.pending.written(&waiting);
        for chunk in changed.chunks(AGENTS_A_BATCH) {
            let mut batch = Batch::new();
            for (id, reported) in chunk {
                batch.put(id, reported);
            }
            if let Err(error) = self.store.commit(batch).await {
                tracing::error!(error = %error, "what agents reported could not be stored; it is tried again");
                self.mark_dirty(chunk.iter().map(|(id, _)| *id));
            }
        }
    }

    fn mark_dirty(&self, ids: impl Iterator<Item = AgentId>) {
        for id in ids {
            self.live.with(id, |entry| entry.dirty.reported = true);
        }
    }

    /// [`App::flush_pulses`], as often as the size of the fleet allows: every agent whose number is behind after a kill is
    /// asked for its full state, and what is written here costs a fleet of any size the same.
    pub(in crate::app) async fn flush_pulses_if_due(&self) {
        let now = self.clock.now();
        let apart =
            Duration::from_secs(1) * u32::try_from(self.live.len() / PULSES_A_SECOND).unwrap_or(u32::MAX);
        let last = Timestamp(self.pulses_at.load(Ordering::Relaxed));
        if now.since(last) >= apart {
            self.pulses_at.store(now.0, Ordering::Relaxed);
            self.flush_pulses().await;
        }
    }

    /// Writes numbers and last-seen times of all agents, packed. Left out is who would be asked for nothing after a kill
    /// although what its number covers is lost: whose report or verdict isn't in the store yet.
    pub(in crate::app) async fn flush_pulses(&self) {
        let _flushing = self.flushing.lock().await;
        if self.store.shortage().is_some() {
            return;
        }
        let mut dirty = false;
        let rows = self.live.collect(|entry| {
            if !entry.is_between_exchanges() {
                return None;
            }
            dirty |= std::mem::take(&mut entry.dirty.pulse);
            let clean = !entry.dirty.reported && entry.pulse.sequence.is_some();
            clean.then(|| PulseRow {
                id: entry.agent.id(),
                sequence: entry.pulse.sequence,
                last_seen: entry.pulse.last_seen,
            })
        });
        if !dirty {
            return;
        }
        let mut batch = Batch::new();
        let chunks = rows.chunks(PULSES_A_ROW);
        let count = chunks.len() as u64;
        for (number, chunk) in (0..).zip(chunks) {
            batch.put(
                &number,
                &Pulses {
                    agents: chunk.to_vec(),
                },
            );
        }
        let written = self.pulse_rows.swap(count, Ordering::Relaxed);
        for number in count..written {
            batch.delete::<Pulses>(&number);
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(error = %error, "the agents' numbers could not be stored; it is tried again");
            self.live.collect(|entry| {
                entry.dirty.pulse = true;
                None::<()>
            });
        }
    }
}
