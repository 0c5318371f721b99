//! The health of an agent and its components, as a tree that unfolds.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::icon::{Icon, icon};
use super::status::{Status, badge};
use super::text::visible;
use super::time::ago;
use crate::fleet::time::Timestamp;

/// How deep the tree is shown; deeper parts are counted in one line.
const DEEPEST: usize = 12;

/// One component and those below it.
#[derive(Clone, Debug)]
pub struct HealthNode {
    /// Its name as the agent reported it: `pipeline:traces`, `otlp/in`.
    pub name: String,
    /// How it is doing.
    pub status: Status,
    /// The word beside the shape, where the agent's own is more exact ("recoverable error").
    pub word: Option<String>,
    /// What the agent said about it.
    pub message: Option<String>,
    /// When that state was reported to have begun.
    pub at: Option<Timestamp>,
    /// What it is made of.
    pub children: Vec<Self>,
}

/// A health tree. Branches that hold a problem are open, the others closed. `id` is unique in the page and keeps what
/// the reader opened through live updates.
#[must_use]
pub fn health_tree(id: &str, nodes: &[HealthNode], now: Timestamp) -> Markup {
    html! { ul.tree #(id) { @for node in nodes { (branch(id, node, now, 1)) } } }
}

fn branch(path: &str, node: &HealthNode, now: Timestamp, depth: usize) -> Markup {
    let id = format!("{path}.{}", key(&node.name));
    html! {
        li {
            @if node.children.is_empty() {
                div.leaf { (line(node, now)) }
            } @else if depth >= DEEPEST {
                div.leaf { (line(node, now)) span.quiet { "with deeper parts that are not shown" } }
            } @else {
                details #(id) open[depth == 1 || troubled(node, depth)] {
                    summary { (icon(Icon::Chevron)) (line(node, now)) }
                    ul { @for child in &node.children { (branch(&id, child, now, depth + 1)) } }
                }
            }
        }
    }
}

fn line(node: &HealthNode, now: Timestamp) -> Markup {
    html! {
        span.part { (visible(&node.name)) }
        (badge(node.status, node.word.as_deref()))
        @if let Some(message) = &node.message { span.reason { (visible(message)) } }
        @if let Some(at) = node.at { span.when { (ago(at, now)) } }
    }
}

/// Whether something below this node deserves a look.
fn troubled(node: &HealthNode, depth: usize) -> bool {
    depth < DEEPEST
        && node.children.iter().any(|child| {
            matches!(child.status, Status::Down | Status::Degraded) || troubled(child, depth + 1)
        })
}

/// A name as part of an id: letters and digits stay, the rest is spelled by code point.
fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for character in name.chars().take(80) {
        if character.is_ascii_alphanumeric() {
            key.push(character);
        } else {
            let _ = write!(key, "-{:x}-", u32::from(character));
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, status: Status, children: Vec<HealthNode>) -> HealthNode {
        HealthNode {
            name: name.to_owned(),
            status,
            word: None,
            message: None,
            at: None,
            children,
        }
    }

    #[test]
    fn branches_with_a_problem_are_open_and_others_closed() {
        let tree = node(
            "agent",
            Status::Degraded,
            vec![
                node(
                    "pipeline:logs",
                    Status::Healthy,
                    vec![node("otlp", Status::Healthy, vec![])],
                ),
                node(
                    "pipeline:traces",
                    Status::Degraded,
                    vec![node("otlp", Status::Down, vec![])],
                ),
            ],
        );
        let html = health_tree("health", &[tree], Timestamp::EPOCH).into_string();
        assert!(
            html.contains("<details id=\"health.agent.pipeline-3a-logs\"><summary>"),
            "{html}"
        );
        assert!(
            html.contains("<details id=\"health.agent.pipeline-3a-traces\" open><summary>"),
            "{html}"
        );
    }

    #[test]
    fn a_very_deep_report_is_cut_and_says_so() {
        let mut tree = node("leaf", Status::Down, vec![]);
        for _ in 0..500 {
            tree = node("n", Status::Healthy, vec![tree]);
        }
        let html = health_tree("h", &[tree], Timestamp::EPOCH).into_string();
        assert_eq!(html.matches("<details").count(), DEEPEST - 1);
        assert!(html.contains("deeper parts that are not shown"));
    }
}
