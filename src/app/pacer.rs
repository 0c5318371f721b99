//! Spreads requests for full state, which cost agents and server the most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::fleet::time::Timestamp;

/// Hands out times, at a bounded rate: now while few ask, later and later when many do at once.
#[derive(Debug)]
pub(super) struct Pacer {
    next: AtomicU64,
    interval: Duration,
}

impl Pacer {
    /// A pacer that hands out so many times a second.
    pub(super) fn per_second(rate: u32) -> Self {
        Self {
            next: AtomicU64::new(0),
            interval: Duration::from_secs(1) / rate.max(1),
        }
    }

    /// The time that would be handed out.
    pub(super) fn next(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp(self.next.load(Ordering::Relaxed)))
    }

    /// Takes a time, which others then don't get.
    pub(super) fn take(&self, now: Timestamp) {
        let after = |taken: u64| Timestamp(taken).max(now).plus(self.interval).0;
        let _ = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(after(taken)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_asked_at_once_and_a_crowd_one_after_the_other() {
        let pacer = Pacer::per_second(10);
        let now = Timestamp::from_seconds(100);
        assert_eq!(pacer.next(now), now);
        pacer.take(now);
        pacer.take(now);
        assert_eq!(pacer.next(now), now.plus(Duration::from_millis(200)));
        let later = Timestamp::from_seconds(200);
        assert_eq!(pacer.next(later), later, "what is past is not made up for");
    }
}
