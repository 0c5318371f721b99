//! The store's own statistics as metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::BYTES;
use crate::store::{LATENCY_BOUNDS_SECONDS, Statistics};

#[derive(Debug)]
pub(super) struct StoreCollector(pub(super) Statistics);

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Without `..`: a new statistic doesn't compile until it is shown here.
        let Statistics {
            file_bytes,
            free_bytes,
            low_water_bytes,
            short,
            unreadable,
            tables,
            cache_bytes,
            commits,
            batches,
            refused,
            rows,
            failed,
            reopened,
            commit_time,
            commit_buckets,
        } = &self.0;
        let counters = [
            ("commits", "Grouped commits", commits),
            ("batches", "Batches in grouped commits", batches),
            (
                "batches_refused",
                "Batches that came too late for the state they expected",
                refused,
            ),
            ("rows", "Rows written", rows),
            (
                "commits_failed",
                "Grouped commits that the storage failed",
                failed,
            ),
            (
                "reopened",
                "Times that the database was reopened after a failure",
                reopened,
            ),
        ];
        for (name, help, count) in counters {
            let counter = ConstCounter::new(*count);
            counter.encode(encoder.encode_descriptor(&full(name), help, None, counter.metric_type())?)?;
        }
        let sizes = [
            ("file", "The size of the database file", Some(file_bytes)),
            ("free", "The space that is left on its disk", free_bytes.as_ref()),
            (
                "low_water",
                "With less space left than this, only what is vital is written",
                Some(low_water_bytes),
            ),
            ("cache", "Pages in memory", Some(cache_bytes)),
        ];
        for (name, help, bytes) in sizes {
            let Some(bytes) = bytes else { continue };
            let gauge = ConstGauge::new(*bytes);
            gauge.encode(encoder.encode_descriptor(
                &full(name),
                help,
                Some(&BYTES),
                gauge.metric_type(),
            )?)?;
        }
        let counts = [
            (
                "read_only",
                "1 while only what is vital is written, for want of room",
                u64::from(*short),
            ),
            ("unreadable", "Records that can't be read", *unreadable),
        ];
        for (name, help, count) in counts {
            let gauge = ConstGauge::new(count);
            gauge.encode(encoder.encode_descriptor(&full(name), help, None, gauge.metric_type())?)?;
        }
        let name = full("table");
        let mut sizes = encoder.encode_descriptor(
            &name,
            "Keys and values of a table, as of the last look",
            Some(&BYTES),
            MetricType::Gauge,
        )?;
        for table in tables {
            let gauge = ConstGauge::new(table.bytes);
            gauge.encode(sizes.encode_family(&[("table", table.table.as_str())])?)?;
        }
        let bounds = LATENCY_BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(commit_buckets.iter().copied()).collect();
        let help = "How long grouped commits took";
        encoder
            .encode_descriptor(
                &full("commit_duration"),
                help,
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(commit_time.as_secs_f64(), *commits, &buckets, None)
    }
}

fn full(name: &str) -> String {
    format!("muster_store_{name}")
}
