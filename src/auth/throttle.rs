//! How often something may be tried: pure counting, with the time as an argument.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::fleet::time::Timestamp;

/// Counts attempts by key: so many at once, then one in every interval. Counting comes before the work that it protects,
/// so that attempts in parallel don't slip through.
///
/// Bounded: of more than [`Throttle::KEYS`] keys the one that is nearest to a fresh start is forgotten.
#[derive(Clone, Debug)]
pub struct Throttle<K> {
    burst: u32,
    interval: Duration,
    /// When all that was used will have been given back. Absent: nothing is used.
    recovered_at: BTreeMap<K, Timestamp>,
}

/// Too many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub struct Throttled {
    /// After this time one more is allowed; at least a second.
    pub retry_after: Duration,
}

impl<K: Ord + Clone> Throttle<K> {
    /// The most keys that are counted.
    pub const KEYS: usize = 4096;

    /// Allows `burst` attempts at once, and one more in every `interval`.
    #[must_use]
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst,
            interval,
            recovered_at: BTreeMap::new(),
        }
    }

    /// Counts one attempt of `key`. A refused attempt isn't counted: who waits gets on.
    ///
    /// # Errors
    /// [`Throttled`] when there were too many.
    pub fn attempt(&mut self, key: &K, now: Timestamp) -> Result<(), Throttled> {
        // A clock that was set back must not lock anybody out for longer than a full recovery takes.
        let longest = now.plus(self.interval * self.burst);
        let used_until = self
            .recovered_at
            .get(key)
            .copied()
            .unwrap_or(now)
            .clamp(now, longest);
        let recovered_at = used_until.plus(self.interval);
        if recovered_at > longest {
            self.recovered_at.insert(key.clone(), used_until);
            let retry_after = recovered_at.since(longest).max(Duration::from_secs(1));
            return Err(Throttled { retry_after });
        }
        if !self.recovered_at.contains_key(key) && self.recovered_at.len() >= Self::KEYS {
            self.make_room(now);
        }
        self.recovered_at.insert(key.clone(), recovered_at);
        Ok(())
    }

    /// Until when attempts of `key` are refused; `None` when one is allowed at `now`.
    #[must_use]
    pub fn refused_until(&self, key: &K, now: Timestamp) -> Option<Timestamp> {
        let longest = now.plus(self.interval * self.burst);
        let used_until = (*self.recovered_at.get(key)?).clamp(now, longest);
        let recovered_at = used_until.plus(self.interval);
        (recovered_at > longest).then(|| now.plus(recovered_at.since(longest)))
    }

    /// Gives back what `key` used: after a success.
    pub fn forgive(&mut self, key: &K) {
        self.recovered_at.remove(key);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.recovered_at.retain(|_, recovered_at| *recovered_at > now);
        if self.recovered_at.len() >= Self::KEYS {
            let nearest = self
                .recovered_at
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(key, _)| key.clone());
            if let Some(key) = nearest {
                self.recovered_at.remove(&key);
            }
        }
    }
}

/// The network that an address counts as: an IPv4 address itself, of IPv6 the /64, which is what one host usually has.
#[must_use]
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    #[test]
    fn a_burst_is_allowed_and_then_one_in_every_interval() {
        let mut throttle = Throttle::new(3, MINUTE);
        for _ in 0..3 {
            assert_eq!(throttle.attempt(&"a", START), Ok(()));
        }
        assert_eq!(
            throttle.attempt(&"a", START),
            Err(Throttled { retry_after: MINUTE })
        );
        assert_eq!(throttle.attempt(&"b", START), Ok(()), "others aren't affected");
        let later = START.plus(MINUTE);
        assert_eq!(throttle.attempt(&"a", later), Ok(()));
        assert!(throttle.attempt(&"a", later).is_err());
    }

    #[test]
    fn waiting_as_long_as_told_is_enough_however_often_one_asked() {
        let mut throttle = Throttle::new(2, MINUTE);
        let mut now = START;
        for _ in 0..20 {
            if let Err(Throttled { retry_after }) = throttle.attempt(&(), now) {
                assert_eq!(
                    throttle.attempt(&(), now),
                    Err(Throttled { retry_after }),
                    "asking costs nothing"
                );
                now = now.plus(retry_after);
                assert_eq!(throttle.attempt(&(), now), Ok(()));
            }
        }
        assert!(now > START);
    }

    #[test]
    fn a_success_forgives_what_came_before() {
        let mut throttle = Throttle::new(1, MINUTE);
        throttle.attempt(&1, START).unwrap();
        assert!(throttle.attempt(&1, START).is_err());
        throttle.forgive(&1);
        assert_eq!(throttle.attempt(&1, START), Ok(()));
    }

    #[test]
    fn a_clock_set_back_by_a_year_locks_nobody_out() {
        let mut throttle = Throttle::new(2, MINUTE);
        throttle
            .attempt(&(), START.plus(Duration::from_hours(24 * 365)))
            .unwrap();
        let retry_after = throttle.attempt(&(), START).unwrap_err().retry_after;
        assert!(retry_after <= MINUTE, "{retry_after:?}");
        assert_eq!(throttle.attempt(&(), START.plus(MINUTE * 2)), Ok(()));
    }

    #[test]
    fn many_keys_take_bounded_memory_and_the_most_locked_ones_stay() {
        let mut throttle = Throttle::new(3, MINUTE);
        let target = u32::MAX;
        while throttle.attempt(&target, START).is_ok() {}
        for key in 0..5_000 {
            throttle.attempt(&key, START).unwrap();
        }
        assert!(throttle.recovered_at.len() <= Throttle::<u32>::KEYS);
        assert!(
            throttle.attempt(&target, START).is_err(),
            "flooding with others is no way around"
        );
    }

    #[test]
    fn an_ipv6_host_has_one_origin() {
        let one = origin("2001:db8::1".parse().unwrap());
        assert_eq!(one, origin("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(one, origin("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(
            origin("::ffff:10.0.0.1".parse().unwrap()),
            "10.0.0.1".parse::<IpAddr>().unwrap()
        );
        assert_ne!(
            origin("10.0.0.1".parse().unwrap()),
            origin("10.0.0.2".parse().unwrap())
        );
    }
}
