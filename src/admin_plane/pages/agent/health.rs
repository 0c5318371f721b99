//! The health of an agent and its components.

use maud::{Markup, html};

use super::super::parts::{Empty, HealthNode, Status, empty, health_tree};
use super::super::scene::Scene;
use crate::app::agents::AgentDetail;
use crate::fleet::agent::report::Health;

/// Deeper parts are left out: nobody reads them, and every level costs stack.
const DEEPEST: usize = 24;

/// The tab.
#[must_use]
pub fn health(detail: &AgentDetail, scene: &Scene<'_>) -> Markup {
    match &detail.health {
        Some(reported) => html! { (health_tree("health", &nodes(reported, root_name(detail)), scene.now)) },
        None => empty(&Empty {
            title: "Health is not reported",
            words: html! { "The agent is connected or not, and that is all that is known. A Collector reports its health through the OpAMP extension or the Supervisor." },
            fill: None,
        }),
    }
}

/// What the whole is called.
#[must_use]
pub fn root_name(detail: &AgentDetail) -> &str {
    let service = detail.summary.service_name.as_str();
    if service.is_empty() { "agent" } else { service }
}

/// The tree under a name.
#[must_use]
pub fn nodes(reported: &Health, name: &str) -> Vec<HealthNode> {
    vec![node(name, reported, 0)]
}

fn node(name: &str, health: &Health, depth: usize) -> HealthNode {
    let children = if depth < DEEPEST {
        Some(&health.components)
    } else {
        None
    };
    let (status, word) = standing(health);
    HealthNode {
        name: name.to_owned(),
        status,
        word: word.map(str::to_owned),
        message: said(health),
        at: health.status_at,
        children: children
            .into_iter()
            .flatten()
            .map(|(name, part)| node(name, part, depth + 1))
            .collect(),
    }
}

/// The states that Collectors name, in words; others by whether they are healthy.
fn standing(health: &Health) -> (Status, Option<&'static str>) {
    match (health.healthy, health.status.as_str()) {
        (_, "StatusStarting") => (Status::InProgress, Some("Starting")),
        (_, "StatusStopping") => (Status::InProgress, Some("Stopping")),
        (_, "StatusStopped") => (Status::Unknown, Some("Stopped")),
        (_, "StatusRecoverableError") => (Status::Degraded, Some("Recovering")),
        (_, "StatusPermanentError") => (Status::Down, Some("Failed for good")),
        (_, "StatusFatalError") => (Status::Down, Some("Failed")),
        (true, _) => (Status::Healthy, None),
        (false, _) => (Status::Down, Some("Unhealthy")),
    }
}

/// What it says: its error, and its own word for its state unless a Collector's usual one.
fn said(health: &Health) -> Option<String> {
    let usual = health.status.is_empty() || health.status.starts_with("Status");
    match (usual, health.last_error.is_empty()) {
        (true, true) => None,
        (true, false) => Some(health.last_error.clone()),
        (false, true) => Some(health.status.clone()),
        (false, false) => Some(format!("{}: {}", health.status, health.last_error)),
    }
}
