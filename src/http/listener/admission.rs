//! Caps on connections: in all, and per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Limits;

/// Counts a listener's connections.
pub(super) struct Admission {
    connections: usize,
    per_address: usize,
    overflow: usize,
    tracker: TaskTracker,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    admitted: usize,
    overflowing: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place. Dropping it gives the place back.
pub(in crate::http) struct Slot {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
    overflow: bool,
    /// Keeps a drain waiting for sockets that left HTTP.
    _token: TaskTrackerToken,
}

impl Admission {
    pub(super) fn new(limits: &Limits, tracker: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            connections: limits.connections,
            per_address: limits.per_address,
            overflow: limits.overflow,
            tracker,
            counts: Mutex::default(),
        })
    }

    /// A place for a connection from `address` (`None`: local, which only counts in all), or none.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Slot> {
        let address = address.map(network);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = address.and_then(|address| counts.by_address.get(&address).copied());
        let fits = counts.admitted < self.connections && from_here.unwrap_or(0) < self.per_address;
        if fits {
            counts.admitted += 1;
            if let Some(address) = address {
                *counts.by_address.entry(address).or_default() += 1;
            }
        } else if counts.overflowing < self.overflow {
            counts.overflowing += 1;
        } else {
            return None;
        }
        drop(counts);
        Some(Slot {
            admission: Arc::clone(self),
            address,
            overflow: !fits,
            _token: self.tracker.token(),
        })
    }
}

impl Slot {
    /// Beyond the caps: good for an answer that says so.
    pub(super) fn is_overflow(&self) -> bool {
        self.overflow
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self
            .admission
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.overflow {
            counts.overflowing -= 1;
            return;
        }
        counts.admitted -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = counts.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// What one subscriber has: an IPv4 address, or an IPv6 network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_address: usize, overflow: usize) -> Arc<Admission> {
        let limits = Limits {
            connections,
            per_address,
            overflow,
            ..Limits::default()
        };
        Admission::new(&limits, TaskTracker::new())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_given_up_to_the_caps_and_comes_back() {
        let admission = admission(3, 2, 1);
        let here: Vec<Slot> = (0..2)
            .filter_map(|_| admission.admit(Some(address("10.0.0.1"))))
            .collect();
        assert!(here.iter().all(|slot| !slot.is_overflow()));
        let third = admission.admit(Some(address("10.0.0.1"))).unwrap();
        assert!(third.is_overflow());
        assert!(admission.admit(Some(address("10.0.0.1"))).is_none());
        let other = admission.admit(Some(address("10.0.0.2"))).unwrap();
        assert!(!other.is_overflow());
        drop(third);
        assert!(
            admission.admit(Some(address("10.0.0.3"))).unwrap().is_overflow(),
            "the cap in all"
        );
        drop((here, other));
        let counts = admission.counts.lock().unwrap();
        assert_eq!((counts.admitted, counts.overflowing), (0, 0));
        assert!(counts.by_address.is_empty(), "addresses are forgotten");
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let admission = admission(9, 1, 0);
        let first = admission.admit(Some(address("2001:db8::1")));
        assert!(first.is_some() && admission.admit(Some(address("2001:db8::2"))).is_none());
        assert!(admission.admit(Some(address("2001:db8:0:1::1"))).is_some());
    }

    #[test]
    fn a_drain_waits_for_places_that_are_held() {
        let admission = admission(1, 1, 0);
        let slot = admission.admit(None).unwrap();
        assert_eq!(admission.tracker.len(), 1);
        drop(slot);
        assert!(admission.tracker.is_empty());
    }
}
