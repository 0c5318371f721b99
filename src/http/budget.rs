//! How many bytes may be in flight at once, over all connections: each limit holds for one message, and there are many.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// Bytes that are there for all to take and to give back.
pub struct Budget {
    limit: usize,
    taken: AtomicUsize,
    shown: Gauge,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {} bytes)", self.taken(), self.limit)
    }
}

impl Budget {
    /// What costs no more than this isn't counted: it is bounded by the number of connections.
    pub const FREE: usize = 4 << 10;

    /// A budget of `limit` bytes; `shown` says how much of it is taken.
    #[must_use]
    pub fn new(limit: usize, shown: Gauge) -> Arc<Self> {
        let taken = AtomicUsize::new(0);
        Arc::new(Self { limit, taken, shown })
    }

    /// How much is taken, in bytes.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes so many bytes, until the share is dropped. `None`: there are not so many left.
    #[must_use]
    pub fn share(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut share = Share {
            budget: Arc::clone(self),
            bytes: 0,
        };
        share.grow(bytes).then_some(share)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok();
        if taken {
            self.shown.inc_by(signed(bytes));
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.shown.dec_by(signed(bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes that were taken; dropping gives them back.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more, until it is `bytes` in all. `false`: there is not so much left, and it stays as it is.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        if bytes <= Budget::FREE.max(self.bytes) {
            return true;
        }
        let fits = self.budget.take(bytes - self.bytes);
        if fits {
            self.bytes = bytes;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let shown = Gauge::default();
        let budget = Budget::new(100_000, shown.clone());
        let small = budget.share(Budget::FREE).unwrap();
        assert_eq!(budget.taken(), 0, "small ones are free");
        let mut first = budget.share(60_000).unwrap();
        assert!(budget.share(60_000).is_none());
        assert_eq!((budget.taken(), shown.get()), (60_000, 60_000));
        assert!(first.grow(100_000) && first.grow(10));
        assert!(!first.grow(100_001), "it keeps what it has");
        assert_eq!(budget.taken(), 100_000);
        assert!(budget.share(usize::MAX).is_none());
        drop((first, small));
        assert_eq!((budget.taken(), shown.get()), (0, 0));
    }

    #[test]
    fn many_at_once_never_take_more_than_there_is() {
        let budget = Budget::new(50_000, Gauge::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let share = budget.share(20_000);
                        assert!(budget.taken() <= 50_000);
                        drop(share);
                    }
                });
            }
        });
        assert_eq!(budget.taken(), 0);
    }
}
