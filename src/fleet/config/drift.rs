//! Whether an agent runs what it was offered, judged by the configuration that it reports.
//!
//! This only informs: the hash that an agent acknowledges decides about delivery. A report is merged with local sources
//! and with what supervisors add, so equality is looked for after leaving out what is known to be added. A collector
//! reports its components with all their settings, defaults included: a setting that nobody offered is taken for one. A
//! few settings it never reports: of these nothing can be said, and the acknowledged hash has to do.

mod injected;
mod scalar;
mod shown;
mod unreported;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diff::Change;
use super::secrecy::is_mark;
use super::yaml::{self, Entry, Limits, Node};
use super::{ConfigFile, ConfigMap};
pub(super) use injected::is_added_extension;
pub(super) use injected::is_opamp;
use scalar::same;
pub use shown::Shown;
use unreported::is_never_reported;
pub(super) use unreported::never_reported;

/// The parts of a collector's document that name components.
const SECTIONS: [&str; 5] = ["receivers", "processors", "exporters", "connectors", "extensions"];
/// More differences than these tell nobody more.
const MOST: usize = 100;

/// How an effective configuration compares with what was offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Drift {
    /// It is what was offered.
    InSync,
    /// It differs.
    Differs {
        /// Where and how, at most 100, in the order of their places.
        differences: Vec<Difference>,
    },
    /// It can't be told; never the same as in sync.
    CannotVerify {
        /// Why.
        reason: String,
    },
}

/// How an effective configuration compares with what was offered, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is what was offered.
    Same,
    /// It differs.
    Differs,
    /// It can't be told.
    Unclear,
}

/// One place at which an effective configuration differs from what was offered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Where, such as `receivers.otlp.protocols`; empty for the whole document.
    pub path: String,
    /// What happened there, from what was offered to what runs.
    pub change: Change,
    /// What was offered there; `None` when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Shown>,
    /// What runs there; `None` when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Shown>,
}

impl Drift {
    /// In one word.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        match self {
            Self::InSync => Comparison::Same,
            Self::Differs { .. } => Comparison::Differs,
            Self::CannotVerify { .. } => Comparison::Unclear,
        }
    }
}

/// Compares what an agent reports with what it was offered.
#[must_use]
pub fn drift(offered: &ConfigMap, effective: &ConfigMap, limits: &Limits) -> Drift {
    if effective.is_empty() {
        return cannot("the agent reported a configuration without entries");
    }
    let mut found = Vec::new();
    for (name, ours) in &offered.files {
        // An agent with one document may call it what it likes.
        let only =
            (offered.files.len() == 1 && effective.files.len() == 1).then(|| effective.files.values().next());
        let Some(theirs) = effective.files.get(name).or(only.flatten()) else {
            found.push(of_file(name, Change::Removed));
            continue;
        };
        if let Err(reason) = compare_files(name, ours, theirs, limits, &mut found) {
            return cannot(&reason);
        }
    }
    if found.is_empty() {
        return Drift::InSync;
    }
    found.sort();
    found.dedup();
    found.truncate(MOST);
    Drift::Differs { differences: found }
}

fn cannot(reason: &str) -> Drift {
    Drift::CannotVerify {
        reason: reason.to_owned(),
    }
}

/// A whole entry that differs and can't be looked into.
fn of_file(name: &str, change: Change) -> Difference {
    Difference {
        path: name.to_owned(),
        change,
        offered: None,
        runs: None,
    }
}

fn compare_files(
    name: &str,
    ours: &ConfigFile,
    theirs: &ConfigFile,
    limits: &Limits,
    found: &mut Vec<Difference>,
) -> Result<(), String> {
    if ours.body == theirs.body {
        return Ok(());
    }
    let tree = |file: &ConfigFile, whose: &str| {
        yaml::parse(&file.body, limits).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            format!("{whose} can't be read: {first}")
        })
    };
    let ours = match tree(ours, "what was offered") {
        Ok(ours) => ours,
        // Entries of other agents need not be YAML: they differ, and that is all that can be said.
        Err(_) if !name.is_empty() => {
            found.push(of_file(name, Change::Changed));
            return Ok(());
        }
        Err(reason) => return Err(reason),
    };
    let theirs = tree(theirs, "what the agent reported")?;
    compare(&mut Path { names: vec![name] }, &ours, &theirs, found);
    Ok(())
}

/// Where a comparison is, from the outside to the inside.
struct Path<'a> {
    names: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// The place within a collector's document, which has the empty name; `None` in other entries.
    fn place(&self) -> Option<&[&'a str]> {
        match self.names.split_first() {
            Some((&"", names)) => Some(names),
            _ => None,
        }
    }

    fn is(&self, place: &[&str]) -> bool {
        self.place() == Some(place)
    }

    fn is_inside(&self, place: &[&str]) -> bool {
        self.place().is_some_and(|names| names.starts_with(place))
    }

    /// Whether the entries here are components or pipelines: these are there even with nothing in them.
    fn is_of_names(&self) -> bool {
        match self.place() {
            Some([section]) => SECTIONS.contains(section),
            place => place == Some(&["service", "pipelines"]),
        }
    }

    /// Whether it is among the settings of a component.
    fn is_in_component(&self) -> bool {
        matches!(self.place(), Some([section, _, ..]) if SECTIONS.contains(section))
    }

    /// Whether collectors leave this setting out of their reports.
    fn is_never_reported(&self) -> bool {
        matches!(self.place(), Some([section, id, key]) if is_never_reported(section, id, key))
    }

    /// A list of names in which the order says nothing.
    fn is_set(&self) -> bool {
        matches!(
            self.place(),
            Some(["service", "pipelines", _, "receivers" | "exporters"] | ["service", "extensions"])
        )
    }

    fn note(&self, ours: Option<&Node>, theirs: Option<&Node>, found: &mut Vec<Difference>) {
        let change = match (ours, theirs) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (Some(_), Some(_)) => Change::Changed,
        };
        if found.len() < MOST {
            let names = self.names.iter().copied().filter(|name| !name.is_empty());
            found.push(Difference {
                path: names.collect::<Vec<_>>().join(".").replace(".[]", "[]"),
                change,
                offered: ours.map(|node| Shown::of(&self.names, node)),
                runs: theirs.map(|node| Shown::of(&self.names, node)),
            });
        }
    }

    fn within(&mut self, name: &'a str, inside: impl FnOnce(&mut Self)) {
        self.names.push(name);
        inside(self);
        self.names.pop();
    }

    /// Whether a supervisor adds an entry here that nobody offered.
    fn may_be_added(&self, key: &str) -> bool {
        self.is_in_component()
            || (self.is(&["extensions"]) && is_added_extension(key))
            || self.is_inside(&["service", "telemetry"])
            || (self.is(&["service"]) && key == "telemetry")
            // Lists and sections that hold nothing else are looked at inside.
            || (self.is(&[]) && key == "extensions")
            || (self.is(&["service"]) && key == "extensions")
    }
}

fn compare<'a>(path: &mut Path<'a>, ours: &'a Node, theirs: &'a Node, found: &mut Vec<Difference>) {
    // What is left empty below a component is filled in by it.
    let filled_in = ours.is_null() && path.is_in_component() && path.names.len() > 3;
    if is_open(ours) || theirs.text().is_some_and(is_mark) || filled_in {
        return;
    }
    if path.is_set() && ours.items().is_some() && theirs.items().is_some() {
        return compare_sets(path, ours, theirs, found);
    }
    match (entries(ours), entries(theirs)) {
        (Some(a), Some(b)) => return compare_maps(path, a, b, found),
        (Some(_), None) | (None, Some(_)) => return path.note(Some(ours), Some(theirs), found),
        (None, None) => {}
    }
    match (ours.items(), theirs.items()) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            for (ours, theirs) in a.iter().zip(b) {
                path.within("[]", |path| compare(path, ours, theirs, found));
            }
        }
        // Supervisors add readers and processors of their own to the collector's telemetry.
        (Some(a), Some(b)) if path.is_inside(&["service", "telemetry"]) && are_among(a, b) => {}
        (None, None) if same(&ours.value, &theirs.value) => {}
        _ => path.note(Some(ours), Some(theirs), found),
    }
}

fn compare_maps<'a>(
    path: &mut Path<'a>,
    ours: &'a [Entry],
    theirs: &'a [Entry],
    found: &mut Vec<Difference>,
) {
    let find = |entries: &'a [Entry], key: &str| entries.iter().find(|entry| entry.key == key);
    for entry in ours {
        let other = find(theirs, &entry.key);
        // Whatever is offered for it, a supervisor connects its collector to itself.
        if other.is_some() && path.is(&["extensions"]) && is_opamp(&entry.key) {
            continue;
        }
        path.within(&entry.key, |path| match other {
            Some(other) => compare(path, &entry.value, &other.value, found),
            None if path.is_never_reported() => {}
            // `batch:` and no text at all mean the same to nobody: the component is gone.
            None => path.note(Some(&entry.value), None, found),
        });
    }
    let names = path.is_of_names();
    let new = |entry: &&Entry| find(ours, &entry.key).is_none() && (names || !is_nothing(&entry.value));
    for entry in theirs.iter().filter(new) {
        let only_added = path.may_be_added(&entry.key);
        path.within(&entry.key, |path| {
            if !only_added {
                return path.note(None, Some(&entry.value), found);
            }
            if path.is(&["extensions"]) {
                let others = entries(&entry.value).unwrap_or_default().iter();
                for other in others.filter(|extension| !is_added_extension(&extension.key)) {
                    path.within(&other.key, |path| path.note(None, Some(&other.value), found));
                }
            } else if path.is(&["service", "extensions"]) && !only_added_extensions(&entry.value) {
                path.note(None, Some(&entry.value), found);
            }
        });
    }
}

/// Names in any order; among the extensions those that supervisors add are left out.
fn compare_sets(path: &Path<'_>, ours: &Node, theirs: &Node, found: &mut Vec<Difference>) {
    let names = |node: &Node| -> BTreeSet<String> {
        let items = node.items().unwrap_or_default().iter();
        items.filter_map(Node::text).map(ToOwned::to_owned).collect()
    };
    let is_extensions = path.is(&["service", "extensions"]);
    let (a, b) = (names(ours), names(theirs));
    let gone = !a.is_subset(&b);
    let new = b
        .difference(&a)
        .any(|id| !(is_extensions && is_added_extension(id)));
    if gone || new {
        path.note(Some(ours), Some(theirs), found);
    }
}

fn only_added_extensions(list: &Node) -> bool {
    let mut items = list.items().unwrap_or_default().iter();
    items.all(|item| item.text().is_some_and(is_added_extension))
}

/// Whether each of these items is among those, in the same order.
fn are_among(ours: &[Node], theirs: &[Node]) -> bool {
    let mut theirs = theirs.iter();
    ours.iter().all(|item| {
        theirs.any(|other| {
            let mut found = Vec::new();
            compare(&mut Path { names: vec!["x"] }, item, other, &mut found);
            found.is_empty()
        })
    })
}

/// The entries of a map. Nothing at all counts as a map without entries: collectors write either for the other.
fn entries(node: &Node) -> Option<&[Entry]> {
    if node.is_null() { Some(&[]) } else { node.entries() }
}

/// Whether nothing stands there: collectors write sections and lists that hold nothing, too.
fn is_nothing(node: &Node) -> bool {
    entries(node).is_some_and(<[Entry]>::is_empty) || node.items().is_some_and(<[Node]>::is_empty)
}

/// Whether the collector puts something else here that we can't know.
fn is_open(node: &Node) -> bool {
    node.text().is_some_and(|text| text.contains("${"))
}

#[cfg(test)]
mod tests;
