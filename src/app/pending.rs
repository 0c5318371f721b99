//! What the next flush will write: contents that agents reported, and entries of their timelines.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fleet::agent::Happening;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

use super::records::TimelineEntry;

/// Not yet written, readable meanwhile.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Unwritten>);

#[derive(Debug, Default)]
struct Unwritten {
    waiting: Waiting,
    /// Taken by a flush that isn't at its end: not in the store yet, or just so.
    taken: Vec<Arc<Waiting>>,
}

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
    /// With this much waiting content no more is taken: the store takes none.
    const MOST_BYTES: usize = 64 << 20;
    /// With so many waiting entries no more are taken.
    const MOST_ENTRIES: usize = 100_000;

    fn lock(&self) -> std::sync::MutexGuard<'_, Unwritten> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a content. How many bytes wait.
    pub(super) fn body(&self, bytes: Vec<u8>) -> usize {
        let digest = Digest::of(&bytes);
        let waiting = &mut self.lock().waiting;
        let size = bytes.len();
        if waiting.bodies.insert(digest, bytes).is_none() {
            waiting.bytes += size;
        }
        waiting.bytes
    }

    /// Whether no more content is taken.
    pub(super) fn is_full(&self) -> bool {
        self.lock().parts().map(|part| part.bytes).sum::<usize>() >= Self::MOST_BYTES
    }

    /// Keeps an entry of an agent's timeline. Entries of one agent at the same time keep their order. While the store
    /// takes nothing and too many wait, it is left out: what an agent says is known all the same.
    pub(super) fn happen(&self, agent: AgentId, happening: Happening, now: Timestamp) {
        let mut unwritten = self.lock();
        if unwritten.parts().map(|part| part.timeline.len()).sum::<usize>() >= Self::MOST_ENTRIES {
            return;
        }
        let mut number = now.0;
        while unwritten
            .parts()
            .any(|part| part.timeline.contains_key(&(agent, number)))
        {
            number += 1;
        }
        unwritten
            .waiting
            .timeline
            .insert((agent, number), TimelineEntry { at: now, happening });
    }

    /// A content that waits.
    pub(super) fn find_body(&self, digest: &Digest) -> Option<Vec<u8>> {
        let unwritten = self.lock();
        let found = unwritten.parts().find_map(|part| part.bodies.get(digest));
        found.cloned()
    }

    /// An agent's entries that may not be in the store yet, by their numbers.
    pub(super) fn timeline(&self, agent: AgentId) -> BTreeMap<u64, TimelineEntry> {
        let unwritten = self.lock();
        let of_agent = |part: &Waiting| {
            let entries = part.timeline.range((agent, 0)..=(agent, u64::MAX));
            let entries = entries.map(|((_, number), entry)| (*number, entry.clone()));
            entries.collect::<Vec<_>>()
        };
        unwritten.parts().flat_map(of_agent).collect()
    }

    /// Takes everything that waits; it stays readable until it is [`Pending::written`] or [`Pending::put_back`].
    pub(super) fn take(&self) -> Arc<Waiting> {
        let mut unwritten = self.lock();
        let taken = Arc::new(std::mem::take(&mut unwritten.waiting));
        unwritten.taken.push(Arc::clone(&taken));
        taken
    }

    /// Forgets what is in the store now.
    pub(super) fn written(&self, taken: &Arc<Waiting>) {
        self.lock().taken.retain(|part| !Arc::ptr_eq(part, taken));
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, taken: &Arc<Waiting>) {
        let mut unwritten = self.lock();
        unwritten.taken.retain(|part| !Arc::ptr_eq(part, taken));
        let waiting = &mut unwritten.waiting;
        waiting.bodies.extend(taken.bodies.clone());
        waiting.bytes = waiting.bodies.values().map(Vec::len).sum();
        waiting.timeline.extend(taken.timeline.clone());
    }
}

impl Unwritten {
    fn parts(&self) -> impl Iterator<Item = &Waiting> {
        std::iter::once(&self.waiting).chain(self.taken.iter().map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_flush_took_is_readable_until_it_is_in_the_store() {
        let (pending, agent, now) = (Pending::default(), AgentId([1; 16]), Timestamp::from_seconds(1));
        pending.body(b"body".to_vec());
        pending.happen(agent, Happening::Healthy, now);
        let digest = Digest::of(b"body");
        let taken = pending.take();
        pending.happen(agent, Happening::Restarted, now);
        assert!(pending.find_body(&digest).is_some());
        assert_eq!(
            pending.timeline(agent).len(),
            2,
            "of the same time, under a number each"
        );
        pending.put_back(&taken);
        let taken = pending.take();
        assert_eq!((taken.timeline.len(), pending.timeline(agent).len()), (2, 2));
        assert!(!pending.is_full());
        pending.written(&taken);
        assert_eq!(
            (pending.find_body(&digest), pending.timeline(agent).len()),
            (None, 0)
        );
    }

    #[test]
    fn while_the_store_takes_nothing_what_waits_has_an_end() {
        let (pending, agent) = (Pending::default(), AgentId([1; 16]));
        let mut number = 0_usize;
        while !pending.is_full() {
            number += 1;
            let mut body = vec![0; 1 << 20];
            body[..8].copy_from_slice(&number.to_be_bytes());
            pending.body(body);
            let taken = pending.take();
            pending.put_back(&taken);
        }
        assert_eq!(number, Pending::MOST_BYTES >> 20);
        for number in 0..=Pending::MOST_ENTRIES as u64 {
            pending.happen(agent, Happening::Healthy, Timestamp(number));
        }
        assert_eq!(pending.timeline(agent).len(), Pending::MOST_ENTRIES);
        pending.written(&pending.take());
        assert!(!pending.is_full());
    }
}
