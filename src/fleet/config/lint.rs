//! Whether a document is a configuration that a collector would take, as far as that can be told from here.
//!
//! It knows the frame (sections, pipelines, references) and not the settings of single components: those are theirs,
//! and change with every version.
//!
//! A text is judged as one of two things ([`Judged`]). A whole configuration has to have all that a collector needs. A layer
//! may lack what others bring: that is told as [`Severity::Incomplete`](super::Severity::Incomplete), where it is an error of
//! a whole. All else (what can't be read, unknown sections, wrong types) is the same error in both.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::available::Available;
use super::available::Has;
use super::merge::misplaced_tags;
use super::problem::{Position, Problem};
use super::variables::variables;
use super::yaml::{self, Entry, Limits, Node, Value};

/// What a text is looked at as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// One of the layers of a configuration: it may lack what others bring.
    #[default]
    Layer,
    /// All that agents are sent.
    Whole,
}

/// The sections that define components, each with the word for one of them.
const SECTIONS: [(&str, &str); 5] = [
    ("receivers", "receiver"),
    ("processors", "processor"),
    ("exporters", "exporter"),
    ("connectors", "connector"),
    ("extensions", "extension"),
];
const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "profiles"];

/// The problems of a collector's configuration, in the order of the text. No error among them: a layer may be saved, and a
/// whole be published.
#[must_use]
pub fn lint(text: &[u8], limits: &Limits, judged: Judged) -> Vec<Problem> {
    lint_for(text, limits, &Available::default(), judged)
}

/// As [`lint`], for agents that report which components they have.
#[must_use]
pub fn lint_for(text: &[u8], limits: &Limits, available: &Available, judged: Judged) -> Vec<Problem> {
    let root = match yaml::parse(text, limits) {
        Ok(root) => root,
        Err(problems) => return problems,
    };
    let mut lint = Lint {
        judged,
        available,
        defined: BTreeMap::new(),
        removed: BTreeSet::new(),
        open: BTreeSet::new(),
        used: BTreeSet::new(),
        feeds: BTreeMap::new(),
        problems: Vec::new(),
    };
    lint.document(&root);
    lint.problems.extend(misplaced_tags(&root));
    lint.problems.extend(variables(&root).err().unwrap_or_default());
    lint.problems.sort();
    lint.problems
}

/// How it is told that agents have no component, around its name.
const NO: &str = "there is no ";
const REPORTED: &str = " in what these agents report";

/// The component that agents would need, in words such as "`kafka` exporter", when a problem is that they have none.
#[must_use]
pub fn absent_component(problem: &Problem) -> Option<&str> {
    let (what, _) = problem.message.strip_prefix(NO)?.split_once(REPORTED)?;
    Some(what)
}

/// A component by its section and id.
type Id<'a> = (&'static str, &'a str);

/// How pipelines use a connector: where it takes data from, and where it hands it on.
#[derive(Default)]
struct Feeds {
    exporter_at: Option<Position>,
    receiver_at: Option<Position>,
}

struct Lint<'a> {
    judged: Judged,
    available: &'a Available,
    defined: BTreeMap<Id<'a>, Position>,
    /// What is taken away from the layers below.
    removed: BTreeSet<Id<'a>>,
    /// Sections whose content only the collector can resolve.
    open: BTreeSet<&'static str>,
    used: BTreeSet<Id<'a>>,
    feeds: BTreeMap<&'a str, Feeds>,
    problems: Vec<Problem>,
}

impl<'a> Lint<'a> {
    fn document(&mut self, root: &'a Node) {
        if root.is_null() {
            return self.lacks(
                root.at,
                "the document is empty; to have agents run nothing, hold the group instead",
                "this says nothing: another layer of the group must bring the configuration",
            );
        }
        let Some(entries) = self.entries(root, "a configuration") else {
            return;
        };
        for entry in entries {
            let section = SECTIONS.into_iter().find(|(section, _)| *section == entry.key);
            match section {
                Some((section, one)) => self.section(section, one, entry),
                None if entry.key == "service" => {}
                None => {
                    let message = format!(
                        "collectors know no section {:?}; they know receivers, processors, exporters, connectors, \
                         extensions and service",
                        entry.key
                    );
                    self.error(entry.at, message);
                }
            }
        }
        match root.entry("service") {
            Some(service) => self.service(service),
            None => self.lacks(
                root.at,
                "there is no `service`; it says which pipelines run",
                "there is no `service`: another layer of the group must bring it, with the pipelines that run",
            ),
        }
        self.connectors();
        self.unused(root);
    }

    /// A section that defines components.
    fn section(&mut self, section: &'static str, one: &str, entry: &'a Entry) {
        if is_open(&entry.value) {
            self.open.insert(section);
        }
        let Some(components) = self.entries(&entry.value, &format!("`{section}`")) else {
            return;
        };
        for component in components {
            let Some(kind) = component_type(&component.key) else {
                let message = format!(
                    "{:?} names no {one}; it is a type such as `otlp`, or a type and a name such as `otlp/edge`",
                    component.key
                );
                self.error(component.at, message);
                continue;
            };
            if component.value.removes() {
                self.removed.insert((section, component.key.as_str()));
                continue;
            }
            self.defined
                .insert((section, component.key.as_str()), component.at);
            match self.available.has(section, kind) {
                Has::No => self.error(component.at, format!("{NO}`{kind}` {one}{REPORTED}")),
                Has::ByItsFormerName(former) => {
                    let known = format!("which know it by its former name `{former}`");
                    self.error(component.at, format!("{NO}`{kind}` {one}{REPORTED}, {known}"));
                }
                Has::Yes | Has::Unknown => {}
            }
        }
    }

    fn service(&mut self, service: &'a Entry) {
        let Some(entries) = self.entries(&service.value, "`service`") else {
            return;
        };
        for entry in entries {
            match entry.key.as_str() {
                "pipelines" | "telemetry" => {}
                "extensions" => self.references(&entry.value, &["extensions"], "extension"),
                other => {
                    let message =
                        format!("`service` knows no {other:?}; it knows pipelines, extensions and telemetry");
                    self.error(entry.at, message);
                }
            }
        }
        let Some(pipelines) = service.value.entry("pipelines") else {
            if !is_open(&service.value) {
                self.lacks(
                    service.at,
                    "`service` has no pipelines, so that nothing would run",
                    "`service` has no pipelines: another layer of the group must bring them",
                );
            }
            return;
        };
        let Some(each) = self.entries(&pipelines.value, "`pipelines`") else {
            return;
        };
        if each.is_empty() {
            self.lacks(
                pipelines.at,
                "there is no pipeline, so that nothing would run",
                "there is no pipeline: another layer of the group must bring those that run",
            );
        }
        for pipeline in each {
            self.pipeline(pipeline);
        }
    }

    fn pipeline(&mut self, pipeline: &'a Entry) {
        let signal = pipeline.key.split('/').next().unwrap_or_default();
        if !SIGNALS.contains(&signal) || pipeline.key.ends_with('/') {
            let message = format!(
                "{:?} names no pipeline; it is traces, metrics, logs or profiles, or one of them with a name such as \
                 `logs/edge`",
                pipeline.key
            );
            self.error(pipeline.at, message);
        }
        if pipeline.value.removes() {
            return;
        }
        let Some(parts) = self.entries(&pipeline.value, "a pipeline") else {
            return;
        };
        for part in parts {
            match part.key.as_str() {
                "receivers" => self.references(&part.value, &["receivers", "connectors"], "receiver"),
                "processors" => self.references(&part.value, &["processors"], "processor"),
                "exporters" => self.references(&part.value, &["exporters", "connectors"], "exporter"),
                other => {
                    let message = format!(
                        "a pipeline knows no {other:?}; it knows receivers, processors and exporters"
                    );
                    self.error(part.at, message);
                }
            }
        }
        for (part, one) in [("receivers", "receiver"), ("exporters", "exporter")] {
            let value = pipeline.value.entry(part).map(|entry| &entry.value);
            let some = value.is_some_and(|v| v.items().is_some_and(|items| !items.is_empty()) || is_open(v));
            if !some && !is_open(&pipeline.value) {
                let none = format!("the pipeline {:?} has no {one}", pipeline.key);
                let elsewhere = format!("{none}: another layer of the group must bring it");
                self.lacks(pipeline.at, none, elsewhere);
            }
        }
    }

    /// A list of component ids, each of which has to be defined in one of `sections`.
    fn references(&mut self, list: &'a Node, sections: &[&'static str], one: &str) {
        if list.is_null() || is_open(list) {
            return;
        }
        let Some(items) = list.items() else {
            return self.error(list.at, format!("a list of {one}s belongs here, such as [a, b]"));
        };
        let mut seen = BTreeSet::new();
        for item in items {
            let Some(id) = item.text() else {
                self.error(item.at, format!("the name of a {one} belongs here"));
                continue;
            };
            if is_open(item) {
                continue;
            }
            if !seen.insert(id) {
                self.duplicate(item.at, id, one);
            }
            let found = sections
                .iter()
                .find(|section| self.defined.contains_key(&(**section, id)));
            let Some(section) = found else {
                if sections
                    .iter()
                    .any(|section| self.removed.contains(&(*section, id)))
                {
                    let message =
                        format!("the {one} {id:?} is removed in this very text, and can't be used here");
                    self.error(item.at, message);
                    continue;
                }
                let somewhere_else = sections.iter().any(|section| self.open.contains(section));
                if !somewhere_else {
                    let places = sections.join("` or `");
                    self.lacks(
                        item.at,
                        format!("the {one} {id:?} is not defined under `{places}`"),
                        format!(
                            "the {one} {id:?} is not defined here: another layer of the group must define it under \
                             `{places}`"
                        ),
                    );
                }
                continue;
            };
            self.used.insert((*section, id));
            if *section == "connectors" {
                let feeds = self.feeds.entry(id).or_default();
                let side = if one == "exporter" {
                    &mut feeds.exporter_at
                } else {
                    &mut feeds.receiver_at
                };
                side.get_or_insert(item.at);
            }
        }
    }

    fn duplicate(&mut self, at: Position, id: &str, one: &str) {
        let message = format!("the {one} {id:?} stands here a second time");
        // Collectors refuse a repeated processor, and ignore other repetitions.
        if one == "processor" {
            self.error(at, message);
        } else {
            self.problems.push(Problem::warning(at, message));
        }
    }

    /// A connector that only one side knows leads nowhere: collectors refuse it.
    fn connectors(&mut self) {
        for (id, feeds) in std::mem::take(&mut self.feeds) {
            match (feeds.exporter_at, feeds.receiver_at) {
                (Some(at), None) => {
                    self.lacks(
                        at,
                        format!("no pipeline has the connector {id:?} as a receiver, so that data ends here"),
                        format!(
                            "no pipeline here has the connector {id:?} as a receiver: one of another layer of the group \
                             must"
                        ),
                    );
                }
                (None, Some(at)) => {
                    self.lacks(
                        at,
                        format!("no pipeline has the connector {id:?} as an exporter, so that no data comes"),
                        format!(
                            "no pipeline here has the connector {id:?} as an exporter: one of another layer of the \
                             group must"
                        ),
                    );
                }
                _ => {}
            }
        }
    }

    /// What is defined for nothing. A layer that has no place to name components leaves that to others.
    fn unused(&mut self, root: &Node) {
        let service = root.entry("service").map(|service| &service.value);
        let names = |part: &str| {
            let part = service.and_then(|service| service.entry(part));
            part.is_some_and(|part| !part.value.is_null())
        };
        let (pipelines, extensions) = (names("pipelines"), names("extensions"));
        for ((section, id), at) in &self.defined {
            let could = if *section == "extensions" {
                extensions
            } else {
                pipelines
            };
            if self.judged == Judged::Layer && !could {
                continue;
            }
            if !self.used.contains(&(*section, *id)) {
                let one = SECTIONS
                    .into_iter()
                    .find(|(s, _)| s == section)
                    .map_or("component", |(_, one)| one);
                let place = if one == "extension" {
                    "`service.extensions`"
                } else {
                    "a pipeline"
                };
                let message = format!("the {one} {id:?} is defined, but not used in {place}");
                self.problems.push(Problem::warning(*at, message));
            }
        }
    }

    /// The entries of a map; none, after saying so, when it is something else.
    fn entries(&mut self, node: &'a Node, what: &str) -> Option<&'a [Entry]> {
        if node.is_null() || is_open(node) {
            return Some(&[]);
        }
        let entries = node.entries();
        if entries.is_none() {
            self.error(
                node.at,
                format!("{what} is a map of `key: value`, and this is not"),
            );
        }
        entries
    }

    fn error(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem::error(at, message));
    }

    /// Something that a configuration has to have is not here: an error of a whole one, and what a layer leaves to others.
    fn lacks(&mut self, at: Position, whole: impl Into<String>, layer: impl Into<String>) {
        self.problems.push(match self.judged {
            Judged::Whole => Problem::error(at, whole),
            Judged::Layer => Problem::incomplete(at, layer),
        });
    }
}

/// The type in a component's id.
fn component_type(id: &str) -> Option<&str> {
    let (kind, name) = id
        .split_once('/')
        .map_or((id, None), |(kind, name)| (kind, Some(name)));
    let begins = kind.starts_with(|c: char| c.is_ascii_alphabetic());
    let fits = kind.len() <= 63 && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (begins && fits && name != Some("")).then_some(kind)
}

/// Whether only the collector knows what will stand here: `${env:X}`, `${file:…}`.
fn is_open(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.contains("${"))
}

#[cfg(test)]
mod tests;
