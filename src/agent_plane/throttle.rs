//! How often one agent may speak: a bucket for each, refilled evenly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::fleet::ids::{CredentialId, InstanceUid};
use crate::fleet::time::Timestamp;

/// Buckets by speaker. Each is one point in time: when it will be full again.
#[derive(Debug)]
pub(super) struct Throttle {
    interval: Duration,
    full_at: Mutex<HashMap<(CredentialId, InstanceUid), Timestamp>>,
}

/// How much a bucket holds.
const BURST: Duration = Duration::from_mins(1);
/// Buckets kept before full ones are thrown away.
const KEPT: usize = 65_536;

impl Throttle {
    /// Buckets of a minute's messages.
    pub(super) fn per_minute(messages: u32) -> Self {
        Self {
            interval: BURST / messages.max(1),
            full_at: Mutex::default(),
        }
    }

    /// Takes one message of a speaker. `false` when it spoke too often.
    pub(super) fn takes(&self, credential: CredentialId, uid: InstanceUid, now: Timestamp) -> bool {
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEPT {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let bucket = buckets.entry((credential, uid)).or_insert(now);
        let full_at = (*bucket).max(now).plus(self.interval);
        // A bucket that would be full only after more than a burst from now is empty. One filled far in the future was
        // filled before the clock jumped back.
        let taken = full_at.since(now) <= BURST;
        if taken || full_at.since(now) > BURST * 2 {
            *bucket = full_at.min(now.plus(BURST));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_a_flood_does_not_and_neighbours_are_unchanged() {
        let throttle = Throttle::per_minute(60);
        let (credential, uid, neighbour) =
            (CredentialId([1; 16]), InstanceUid([1; 16]), InstanceUid([2; 16]));
        let now = Timestamp::from_seconds(1_000);
        let taken = (0..1_000)
            .filter(|_| throttle.takes(credential, uid, now))
            .count();
        assert_eq!(taken, 60);
        assert!(throttle.takes(credential, neighbour, now));
        let later = now.plus(Duration::from_secs(10));
        assert_eq!(
            (0..1_000)
                .filter(|_| throttle.takes(credential, uid, later))
                .count(),
            10
        );
    }

    #[test]
    fn a_clock_that_jumps_back_silences_nobody() {
        let throttle = Throttle::per_minute(60);
        let (credential, uid) = (CredentialId([1; 16]), InstanceUid([1; 16]));
        assert!(throttle.takes(credential, uid, Timestamp::from_seconds(10_000)));
        let before = Timestamp::from_seconds(100);
        let _ = throttle.takes(credential, uid, before);
        assert!(throttle.takes(credential, uid, before.plus(Duration::from_secs(5))));
    }
}
