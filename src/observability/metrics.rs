//! Our own metrics: one struct of typed counters that is passed to whoever counts, and its text for the metrics page.
//!
//! Nothing here carries an agent, a user or an address: every label has a fixed set of values, all of them shown from the
//! start as 0.

use std::fmt;
use std::sync::atomic::AtomicU64;

use http::StatusCode;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::fleet::agent::{Staleness, Transport};
use crate::store::Statistics;

mod label;
mod process;
mod store;

pub use label::{Label, MessageKind, Plane, RefusalReason};

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// What this process counts. Shared by an `Arc`; counting is one atomic operation.
pub struct Metrics {
    registry: Registry,
    /// Agents that are connected (WebSocket) or poll (HTTP).
    pub agents_connected: Gauges<Transport>,
    /// Messages that agents sent.
    pub messages_received: Counters<MessageKind>,
    /// Configurations that were offered; repeating one counts again.
    pub offers_sent: Counter,
    /// Times that an agent was asked for its full state.
    pub full_state_requests: Counters<Staleness>,
    /// Open connections.
    pub connections: Gauges<Plane>,
    /// Connections and requests of agents that were turned away.
    pub refused: Counters<RefusalReason>,
    /// What messages of agents that are being received or read take, in bytes; small ones don't count.
    pub messages_in_flight: Gauge,
    http_requests: Family<Labels<2>, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All counts at 0.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("muster");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs here", build);
        let http_requests = Family::<Labels<2>, Counter>::default();
        registry.register(
            "http_requests",
            "HTTP requests that were answered",
            http_requests.clone(),
        );
        let offers_sent = Counter::default();
        registry.register(
            "offers_sent",
            "Configurations that were offered to agents",
            offers_sent.clone(),
        );
        let messages_in_flight = Gauge::default();
        registry.register_with_unit(
            "messages_in_flight",
            "What messages of agents that are being received or read take",
            Unit::Bytes,
            messages_in_flight.clone(),
        );
        Self {
            agents_connected: Gauges::new(
                &mut registry,
                "agents_connected",
                "Agents that are connected or poll",
            ),
            messages_received: Counters::new(&mut registry, "messages_received", "Messages that agents sent"),
            full_state_requests: Counters::new(
                &mut registry,
                "full_state_requests",
                "Times that an agent was asked for its full state",
            ),
            connections: Gauges::new(&mut registry, "connections", "Open connections"),
            refused: Counters::new(
                &mut registry,
                "refused",
                "Connections and requests of agents turned away",
            ),
            offers_sent,
            messages_in_flight,
            http_requests,
            registry,
        }
    }

    /// Counts an answered HTTP request. Upgrades count when they are answered, with 101.
    pub fn http_request(&self, plane: Plane, status: StatusCode) {
        let labels = [(Plane::NAME, plane.text()), ("status", class(status))];
        self.http_requests.get_or_create(&labels).inc();
    }

    /// The metrics page: OpenMetrics text, with what the store and the operating system say now.
    #[must_use]
    pub fn render(&self, store: Statistics) -> String {
        let mut now = Registry::default();
        now.register_collector(Box::new(store::StoreCollector(store)));
        process::register(&mut now);
        let mut page = String::new();
        // Writing into a String cannot fail.
        let _ = text::encode_registry(&mut page, &self.registry);
        let _ = text::encode_registry(&mut page, &now);
        let _ = text::encode_eof(&mut page);
        page
    }
}

/// One counter for each value of a label.
#[derive(Debug)]
pub struct Counters<L>(Vec<(L, Counter<u64, AtomicU64>)>);

impl<L: Label> Counters<L> {
    fn new(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::<Labels<1>, Counter>::default();
        registry.register(name, help, family.clone());
        let one = |label: L| (label, family.get_or_create_owned(&[(L::NAME, label.text())]));
        Self(L::ALL.iter().copied().map(one).collect())
    }

    /// Counts one more.
    pub fn inc(&self, label: L) {
        if let Some((_, counter)) = self.0.iter().find(|(own, _)| *own == label) {
            counter.inc();
        }
    }

    /// The count so far.
    #[must_use]
    pub fn count(&self, label: L) -> u64 {
        self.0
            .iter()
            .find(|(own, _)| *own == label)
            .map_or(0, |(_, counter)| counter.get())
    }
}

/// One number that goes up and down for each value of a label.
#[derive(Debug)]
pub struct Gauges<L>(Vec<(L, Gauge)>);

impl<L: Label> Gauges<L> {
    fn new(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::<Labels<1>, Gauge>::default();
        registry.register(name, help, family.clone());
        let one = |label: L| (label, family.get_or_create_owned(&[(L::NAME, label.text())]));
        Self(L::ALL.iter().copied().map(one).collect())
    }

    /// Adds `change`, which may be negative.
    pub fn add(&self, label: L, change: i64) {
        if let Some((_, gauge)) = self.0.iter().find(|(own, _)| *own == label) {
            gauge.inc_by(change);
        }
    }

    /// Replaces the number.
    pub fn set(&self, label: L, value: usize) {
        if let Some((_, gauge)) = self.0.iter().find(|(own, _)| *own == label) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// The number now.
    #[must_use]
    pub fn value(&self, label: L) -> i64 {
        self.0
            .iter()
            .find(|(own, _)| *own == label)
            .map_or(0, |(_, gauge)| gauge.get())
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// The unit of names that end in `_bytes`.
const BYTES: Unit = Unit::Bytes;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The lines of the page that say how much.
    fn numbers(page: &str) -> Vec<&str> {
        page.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn every_number_is_shown_from_the_start() {
        let page = Metrics::new().render(Statistics::default());
        let mut names: Vec<&str> = numbers(&page)
            .into_iter()
            .filter(|line| !line.starts_with("process_") && !line.starts_with("muster_build"))
            .collect();
        assert!(
            names
                .iter()
                .all(|line| line.ends_with(" 0") || line.ends_with(" 0.0")),
            "{page}"
        );
        names.sort_unstable();
        insta::assert_snapshot!(names.join("\n"));
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.messages_received.inc(MessageKind::Heartbeat);
        metrics.messages_received.inc(MessageKind::Heartbeat);
        metrics.connections.add(Plane::Agent, 3);
        metrics.connections.add(Plane::Agent, -1);
        metrics.http_request(Plane::Admin, StatusCode::NOT_FOUND);
        metrics.agents_connected.set(Transport::Http, 9);
        let store = Statistics {
            commits: 3,
            rows: 70,
            commit_time: Duration::from_millis(12),
            commit_buckets: [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            ..Statistics::default()
        };
        let page = metrics.render(store);
        for line in [
            "muster_messages_received_total{kind=\"heartbeat\"} 2",
            "muster_connections{plane=\"agent\"} 2",
            "muster_http_requests_total{plane=\"admin\",status=\"4xx\"} 1",
            "muster_agents_connected{transport=\"http\"} 9",
            "muster_store_rows_total 70",
            "muster_store_commit_duration_seconds_bucket{le=\"0.002\"} 1",
            "muster_store_commit_duration_seconds_bucket{le=\"0.005\"} 3",
            "muster_store_commit_duration_seconds_bucket{le=\"+Inf\"} 3",
            "muster_store_commit_duration_seconds_sum 0.012",
        ] {
            assert!(numbers(&page).contains(&line), "{line}\n{page}");
        }
        assert_eq!(metrics.messages_received.count(MessageKind::Heartbeat), 2);
        assert_eq!(metrics.connections.value(Plane::Agent), 2);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_knows_its_memory_and_files() {
        let page = Metrics::new().render(Statistics::default());
        let number = |name: &str| {
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert!(number("process_resident_memory_bytes") > 1 << 20);
        assert!(number("process_open_fds") > 2);
    }
}
