//! What the next flush will write: contents that agents reported, and entries of their timelines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::fleet::agent::Happening;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

use super::records::TimelineEntry;

/// Not yet written, readable meanwhile.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Waiting>);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Contents by digest.
    pub(super) bodies: BTreeMap<Digest, Vec<u8>>,
    /// Timeline entries under agent and number, newest last.
    pub(super) timeline: BTreeMap<(AgentId, u64), TimelineEntry>,
    bytes: usize,
}

impl Pending {
    /// More waiting content than this is worth a flush ahead of time.
    pub(super) const FULL_BYTES: usize = 16 << 20;

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a content. How many bytes wait.
    pub(super) fn body(&self, bytes: Vec<u8>) -> usize {
        let mut waiting = self.lock();
        waiting.bytes += bytes.len();
        waiting.bodies.insert(Digest::of(&bytes), bytes);
        waiting.bytes
    }

    /// Keeps an entry of an agent's timeline. Entries of one agent at the same time keep their order.
    pub(super) fn happen(&self, agent: AgentId, happening: Happening, now: Timestamp) {
        let mut waiting = self.lock();
        let mut number = now.0;
        while waiting.timeline.contains_key(&(agent, number)) {
            number += 1;
        }
        waiting
            .timeline
            .insert((agent, number), TimelineEntry { at: now, happening });
    }

    /// A content that waits.
    pub(super) fn find_body(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.lock().bodies.get(digest).cloned()
    }

    /// An agent's waiting entries, oldest first.
    pub(super) fn timeline(&self, agent: AgentId) -> Vec<TimelineEntry> {
        self.lock()
            .timeline
            .range((agent, 0)..=(agent, u64::MAX))
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Takes everything.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, unwritten: Waiting) {
        let mut waiting = self.lock();
        waiting.bytes += unwritten.bytes;
        waiting.bodies.extend(unwritten.bodies);
        waiting.timeline.extend(unwritten.timeline);
    }
}
