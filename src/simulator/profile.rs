//! What simulated agents say about themselves: collectors as they are found in the field.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::behaviour::Temper;
use crate::fleet::agent::report::{AvailableComponents, Component, Health};
use crate::fleet::attributes::{Attribute, Description, Value};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::ConfigMap;
use crate::fleet::hash::Digest;
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;

/// What every simulated agent can do.
pub(super) const CAPABILITIES: Capabilities = Capabilities::REPORTS_STATUS
    .with(Capabilities::ACCEPTS_REMOTE_CONFIG)
    .with(Capabilities::REPORTS_EFFECTIVE_CONFIG)
    .with(Capabilities::ACCEPTS_RESTART_COMMAND)
    .with(Capabilities::REPORTS_HEALTH)
    .with(Capabilities::REPORTS_REMOTE_CONFIG)
    .with(Capabilities::REPORTS_HEARTBEAT)
    .with(Capabilities::REPORTS_AVAILABLE_COMPONENTS);

const ENVIRONMENTS: [&str; 3] = ["production", "staging", "testing"];
const HEALTHY: [&str; 12] = [
    "extension:health_check",
    "extension:opamp",
    "pipeline:logs/exporter:otlphttp",
    "pipeline:logs/processor:batch",
    "pipeline:logs/receiver:filelog",
    "pipeline:metrics/exporter:otlphttp",
    "pipeline:metrics/processor:batch",
    "pipeline:metrics/processor:memory_limiter",
    "pipeline:metrics/receiver:hostmetrics",
    "pipeline:traces/exporter:otlphttp",
    "pipeline:traces/processor:batch",
    "pipeline:traces/receiver:otlp",
];
const COMPONENTS: [(&str, &[&str]); 4] = [
    ("exporters", &["debug", "nop", "otlp", "otlphttp"]),
    ("extensions", &["health_check", "opamp"]),
    (
        "processors",
        &["attributes", "batch", "memory_limiter", "resource"],
    ),
    ("receivers", &["filelog", "hostmetrics", "nop", "otlp"]),
];

/// A configuration that an agent was offered, shared by all that have it.
#[derive(Debug, PartialEq, Eq)]
pub struct Running {
    /// The server's hash of it.
    pub hash: Vec<u8>,
    /// The entries.
    pub content: ConfigMap,
}

/// What the agents of one simulation have in common.
#[derive(Debug)]
pub struct Profile {
    /// The words before the number in an agent's host name.
    pub host_prefix: String,
    /// How they behave.
    pub temper: Temper,
    /// Letters added to an agent's own configuration, to reach the wanted size of a full status.
    padding: String,
    /// The configurations in use, so that each is in memory once.
    running: Mutex<BTreeMap<Vec<u8>, Weak<Running>>>,
}

impl Profile {
    /// A profile with agents named `host_prefix` and a number, whose full status takes about `status_bytes` on the wire
    /// before they get a configuration.
    #[must_use]
    pub fn new(host_prefix: &str, status_bytes: usize) -> Self {
        let bare = Self {
            host_prefix: host_prefix.to_owned(),
            temper: Temper::default(),
            padding: String::new(),
            running: Mutex::default(),
        };
        // Longer bodies have longer lengths in front: three of them, one more byte each.
        let missing = status_bytes.saturating_sub(super::agent::full_size(&bare) + 3);
        let line = "# The quick brown fox of this host jumps over its lazy pipelines.\n";
        let padding: String = line.chars().cycle().take(missing).collect();
        Self { padding, ..bare }
    }

    /// The host name of the agent with this number.
    #[must_use]
    pub fn host(&self, number: u32) -> String {
        format!("{}-{number:05}", self.host_prefix)
    }

    /// The one copy of a configuration in this process.
    pub(super) fn share(&self, content: &ConfigMap, hash: &[u8]) -> Arc<Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = running.get(hash).and_then(Weak::upgrade) {
            return known;
        }
        running.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(Running {
            hash: hash.to_vec(),
            content: content.clone(),
        });
        running.insert(hash.to_vec(), Arc::downgrade(&new));
        new
    }

    pub(super) fn description(&self, number: u32, uid: InstanceUid) -> Description {
        let environment = ENVIRONMENTS.get(number as usize % ENVIRONMENTS.len());
        Description {
            identifying: vec![
                text("service.name", "otelcol-contrib"),
                text("service.instance.id", &uid.to_string()),
                text("service.version", "0.140.0"),
            ],
            non_identifying: vec![
                text(
                    "deployment.environment.name",
                    environment.copied().unwrap_or_default(),
                ),
                text("host.arch", "amd64"),
                text("host.name", &self.host(number)),
                text("muster.simulated", "true"),
                text("os.description", "Debian GNU/Linux 13 (trixie)"),
                text("os.type", "linux"),
            ],
        }
    }

    /// The configuration that the agent runs until it gets one: its own, unlike any other.
    pub(super) fn own_config(&self, number: u32) -> ConfigMap {
        let host = self.host(number);
        let padding = &self.padding;
        ConfigMap::document(&format!(
            "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  telemetry:\n    resource:\n      host.name: {host}\n  \
             pipelines:\n    metrics:\n      receivers: [nop]\n      exporters: [nop]\n{padding}"
        ))
    }
}

pub(super) fn health(error: Option<&str>, started_at: Timestamp, now: Timestamp) -> Health {
    let part = |name: &str| {
        let health = Health {
            healthy: error.is_none(),
            started_at: None,
            status: status(error),
            status_at: Some(now),
            ..Health::default()
        };
        (name.to_owned(), health)
    };
    Health {
        healthy: error.is_none(),
        started_at: Some(started_at),
        last_error: error.unwrap_or_default().to_owned(),
        status: status(error),
        status_at: Some(now),
        attributes: Vec::new(),
        components: HEALTHY.iter().map(|name| part(name)).collect(),
    }
}

fn status(error: Option<&str>) -> String {
    if error.is_none() {
        "StatusOK"
    } else {
        "StatusPermanentError"
    }
    .to_owned()
}

/// The components: their digest, and themselves when they were asked for.
pub(super) fn components(listed: bool) -> AvailableComponents {
    let name = |name: &&str| ((*name).to_owned(), Component::default());
    let kind = |(kind, names): &(&str, &[&str])| {
        let kind_of = Component {
            metadata: Vec::new(),
            components: names.iter().map(name).collect(),
        };
        ((*kind).to_owned(), kind_of)
    };
    let words = COMPONENTS
        .iter()
        .map(|(kind, names)| format!("{kind}:{}", names.join(",")));
    let words: Vec<String> = words.collect();
    AvailableComponents {
        hash: Digest::of(words.join("\n").as_bytes()).0.to_vec(),
        components: if listed {
            COMPONENTS.iter().map(kind).collect()
        } else {
            BTreeMap::new()
        },
    }
}

fn text(key: &str, value: &str) -> Attribute {
    Attribute {
        key: key.to_owned(),
        value: Value::String(value.to_owned()),
    }
}
