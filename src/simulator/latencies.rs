//! Latencies of many measurements in a fixed amount of memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Buckets per doubling: a quantile is at most 3 % above the truth.
const FINE: usize = 32;
const FINE_BITS: u32 = FINE.trailing_zeros();
/// Up to 2^40 microseconds, which is days.
const BUCKETS: usize = FINE * 37;

/// What was measured, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many measurements.
    pub count: u64,
    /// Half were faster; 0 without any.
    pub p50_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// A histogram whose buckets grow with the value; safe to write from many tasks.
#[derive(Debug)]
pub(super) struct Latencies {
    buckets: Vec<AtomicU64>,
    max: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            max: AtomicU64::new(0),
        }
    }
}

impl Latencies {
    pub(super) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.max.fetch_max(micros, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn reset(&self) {
        self.max.store(0, Ordering::Relaxed);
        self.buckets
            .iter()
            .for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }

    pub(super) fn summary(&self) -> Latency {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let max = self.max.load(Ordering::Relaxed);
        let count: u64 = counts.iter().sum();
        let quantile = |hundredths: u64| {
            let rank = (count * hundredths).div_ceil(100).max(1);
            let mut seen = 0;
            let at = counts.iter().position(|bucket| {
                seen += bucket;
                seen >= rank
            });
            millis(at.map_or(0, upper).min(max))
        };
        Latency {
            count,
            p50_ms: quantile(50),
            p99_ms: quantile(99),
            max_ms: millis(max),
        }
    }
}

/// Microseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people: 52 bits are plenty"
)]
pub(super) fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn bucket(micros: u64) -> usize {
    let octave = micros.max(1).ilog2().saturating_sub(FINE_BITS);
    let within = usize::try_from(micros >> octave).unwrap_or(usize::MAX);
    (octave as usize * FINE).saturating_add(within).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let octave = (bucket / FINE).saturating_sub(1);
    let within = bucket - octave * FINE;
    ((within as u64 + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values_and_is_narrow() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) + 77_777, 3_600_000_000]) {
            let upper = upper(bucket(micros));
            assert!(
                micros <= upper && upper <= micros + micros / 32 + 1,
                "{micros} in {upper}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_measured() {
        let latencies = Latencies::default();
        assert_eq!(latencies.summary(), Latency::default());
        (1..=1000).for_each(|millis| latencies.add(Duration::from_millis(millis)));
        let summary = latencies.summary();
        assert_eq!((summary.count, summary.max_ms), (1000, 1000.0));
        assert!((500.0..516.0).contains(&summary.p50_ms), "{summary:?}");
        assert!((990.0..=1000.0).contains(&summary.p99_ms), "{summary:?}");
        latencies.reset();
        assert_eq!(latencies.summary().count, 0);
    }
}
