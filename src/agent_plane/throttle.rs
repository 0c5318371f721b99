//! How often one agent may speak, and all agents of one credential together: a bucket for each, refilled evenly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::fleet::identity::{Credential, Scope};
use crate::fleet::ids::{CredentialId, InstanceUid};
use crate::fleet::time::Timestamp;

/// Buckets by speaker. Each is one point in time: when it will be full again.
#[derive(Debug)]
pub(super) struct Throttle {
    interval: Duration,
    /// A credential's own bucket is the one without a uid.
    full_at: Mutex<HashMap<(CredentialId, Option<InstanceUid>), Timestamp>>,
}

/// How much a bucket holds.
const BURST: Duration = Duration::from_mins(1);
/// For how many agents a credential of one may speak: for its own, and for a few that were made from it.
const AGENTS_OF_ONE: u32 = 4;
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

    /// Takes one message. `false` when its speaker spoke too often: the agent, or all those of its credential, which may
    /// speak as often as its agents. A message whose uid can't be told counts for the credential alone.
    pub(super) fn takes(&self, credential: &Credential, uid: Option<InstanceUid>, now: Timestamp) -> bool {
        let agents = match credential.scope {
            Scope::One { .. } => AGENTS_OF_ONE,
            Scope::Many { maximum, .. } => maximum.max(AGENTS_OF_ONE),
        };
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEPT {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let all = buckets.entry((credential.id, None)).or_insert(now);
        if !Self::take(all, self.interval / agents, now) {
            return false;
        }
        uid.is_none()
            || Self::take(
                buckets.entry((credential.id, uid)).or_insert(now),
                self.interval,
                now,
            )
    }

    fn take(bucket: &mut Timestamp, interval: Duration, now: Timestamp) -> bool {
        // One filled far in the future was filled before the clock jumped back.
        if bucket.since(now) > BURST * 2 {
            *bucket = now;
        }
        // A bucket that would be full only after more than a burst from now is empty.
        let full_at = (*bucket).max(now).plus(interval);
        let taken = full_at.since(now) <= BURST;
        if taken {
            *bucket = full_at;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::identity::{CredentialState, Purpose};
    use crate::fleet::ids::AgentId;

    fn credential(id: u8, scope: Scope) -> Credential {
        Credential {
            id: CredentialId([id; 16]),
            secret_digest: None,
            scope,
            state: CredentialState::Active,
            purpose: Purpose::Main,
            line: None,
            salt: None,
            created_at: Timestamp::EPOCH,
            first_used_at: None,
            token: None,
        }
    }

    fn one() -> Credential {
        credential(
            1,
            Scope::One {
                agent: AgentId([1; 16]),
            },
        )
    }

    fn uid(number: u32) -> InstanceUid {
        let mut uid = [1; 16];
        uid[..4].copy_from_slice(&number.to_be_bytes());
        InstanceUid(uid)
    }

    #[test]
    fn a_burst_passes_a_flood_does_not_and_neighbours_are_unchanged() {
        let (throttle, credential) = (Throttle::per_minute(60), one());
        let now = Timestamp::from_seconds(1_000);
        let taken = |now| {
            (0..100)
                .filter(|_| throttle.takes(&credential, Some(uid(1)), now))
                .count()
        };
        assert_eq!(taken(now), 60);
        assert!(throttle.takes(&credential, Some(uid(2)), now));
        assert_eq!(taken(now.plus(Duration::from_secs(10))), 10);
    }

    #[test]
    fn a_flood_under_ever_other_uids_or_none_is_one_flood() {
        let throttle = Throttle::per_minute(60);
        let now = Timestamp::from_seconds(1_000);
        let pool = |maximum| Scope::Many {
            maximum,
            labels: std::collections::BTreeMap::new(),
            group: None,
            name: String::new(),
            networks: Vec::new(),
            by_hand: false,
        };
        for (credential, most) in [
            (one(), 240),
            (credential(2, pool(1)), 240),
            (credential(3, pool(10)), 600),
        ] {
            let taken = (0..2_000).filter(|number| {
                let uid = (number % 2 == 0).then(|| uid(*number));
                throttle.takes(&credential, uid, now)
            });
            assert_eq!(taken.count(), most);
        }
        assert!(throttle.takes(&credential(4, pool(1)), Some(uid(1)), now));
    }

    #[test]
    fn a_clock_that_jumps_back_silences_nobody() {
        let (throttle, credential) = (Throttle::per_minute(60), one());
        assert!(throttle.takes(&credential, Some(uid(1)), Timestamp::from_seconds(10_000)));
        let before = Timestamp::from_seconds(100);
        let taken = (0..100).filter(|_| throttle.takes(&credential, Some(uid(1)), before));
        assert_eq!(taken.count(), 60);
    }
}
