//! Whether an agent runs what it was offered, judged by the configuration that it reports.
//!
//! This only informs: the hash that an agent acknowledges decides about delivery. A report is merged with local sources
//! and with what supervisors add, so equality is looked for after leaving out what is known to be added.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::yaml::{self, Entry, Limits, Node, Value};
use super::{ConfigFile, ConfigMap};

/// More differences than these tell nobody more.
const MOST_PATHS: usize = 100;
/// What collectors show in the place of a secret.
const REDACTED: &str = "[REDACTED]";
/// Extensions that supervisors add to what a collector runs.
const ADDED_EXTENSIONS: [&str; 2] = ["opamp", "health_check"];

/// How an effective configuration compares with what was offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Drift {
    /// It is what was offered.
    InSync,
    /// It differs.
    Differs {
        /// Where, such as `receivers.otlp.protocols`; at most 100, and never a value.
        paths: Vec<String>,
    },
    /// It can't be told; never the same as in sync.
    CannotVerify {
        /// Why.
        reason: String,
    },
}

/// Compares what an agent reports with what it was offered.
#[must_use]
pub fn drift(offered: &ConfigMap, effective: &ConfigMap, limits: &Limits) -> Drift {
    if effective.is_empty() {
        return cannot("the agent reported a configuration without entries");
    }
    let mut paths = Vec::new();
    for (name, ours) in &offered.files {
        // An agent with one document may call it what it likes.
        let only =
            (offered.files.len() == 1 && effective.files.len() == 1).then(|| effective.files.values().next());
        let Some(theirs) = effective.files.get(name).or(only.flatten()) else {
            paths.push(name.clone());
            continue;
        };
        if let Err(reason) = compare_files(name, ours, theirs, limits, &mut paths) {
            return cannot(&reason);
        }
    }
    if paths.is_empty() {
        return Drift::InSync;
    }
    paths.sort();
    paths.dedup();
    paths.truncate(MOST_PATHS);
    Drift::Differs { paths }
}

fn cannot(reason: &str) -> Drift {
    Drift::CannotVerify {
        reason: reason.to_owned(),
    }
}

fn compare_files(
    name: &str,
    ours: &ConfigFile,
    theirs: &ConfigFile,
    limits: &Limits,
    paths: &mut Vec<String>,
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
            paths.push(name.to_owned());
            return Ok(());
        }
        Err(reason) => return Err(reason),
    };
    let theirs = tree(theirs, "what the agent reported")?;
    compare(&mut Path { names: vec![name] }, &ours, &theirs, paths);
    Ok(())
}

/// Where a comparison is, from the outside to the inside.
struct Path<'a> {
    names: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// Whether it is this place of a collector's document, which has the empty name.
    fn is(&self, place: &[&str]) -> bool {
        matches!(self.names.split_first(), Some((&"", names)) if names == place)
    }

    fn is_inside(&self, place: &[&str]) -> bool {
        matches!(self.names.split_first(), Some((&"", names)) if names.starts_with(place))
    }

    fn note(&self, paths: &mut Vec<String>) {
        if paths.len() < MOST_PATHS {
            let names = self.names.iter().copied().filter(|name| !name.is_empty());
            paths.push(names.collect::<Vec<_>>().join(".").replace(".[]", "[]"));
        }
    }

    fn within(&mut self, name: &'a str, inside: impl FnOnce(&mut Self)) {
        self.names.push(name);
        inside(self);
        self.names.pop();
    }

    /// Whether a supervisor adds an entry here that nobody offered.
    fn may_be_added(&self, key: &str) -> bool {
        (self.is(&["extensions"]) && is_added_extension(key))
            || self.is_inside(&["service", "telemetry"])
            || (self.is(&["service"]) && key == "telemetry")
            // Lists and sections that hold nothing else are looked at inside.
            || (self.is(&[]) && key == "extensions")
            || (self.is(&["service"]) && key == "extensions")
    }
}

fn is_added_extension(id: &str) -> bool {
    ADDED_EXTENSIONS.contains(&id.split('/').next().unwrap_or_default())
}

fn compare<'a>(path: &mut Path<'a>, ours: &'a Node, theirs: &'a Node, paths: &mut Vec<String>) {
    if is_open(ours) || theirs.text() == Some(REDACTED) {
        return;
    }
    if path.is(&["service", "extensions"]) {
        return compare_extensions(path, ours, theirs, paths);
    }
    match (entries(ours), entries(theirs)) {
        (Some(ours), Some(theirs)) => return compare_maps(path, ours, theirs, paths),
        (Some(_), None) | (None, Some(_)) => return path.note(paths),
        (None, None) => {}
    }
    match (ours.items(), theirs.items()) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            for (ours, theirs) in a.iter().zip(b) {
                path.within("[]", |path| compare(path, ours, theirs, paths));
            }
        }
        (None, None) if same(&ours.value, &theirs.value) => {}
        _ => path.note(paths),
    }
}

fn compare_maps<'a>(path: &mut Path<'a>, ours: &'a [Entry], theirs: &'a [Entry], paths: &mut Vec<String>) {
    let find = |entries: &'a [Entry], key: &str| entries.iter().find(|entry| entry.key == key);
    for entry in ours {
        path.within(&entry.key, |path| match find(theirs, &entry.key) {
            Some(other) => compare(path, &entry.value, &other.value, paths),
            // `batch:` and no text at all mean the same to nobody: the component is gone.
            None => path.note(paths),
        });
    }
    for entry in theirs.iter().filter(|entry| find(ours, &entry.key).is_none()) {
        let only_added = path.may_be_added(&entry.key);
        path.within(&entry.key, |path| {
            if !only_added {
                return path.note(paths);
            }
            if path.is(&["extensions"]) {
                let others = entries(&entry.value).unwrap_or_default().iter();
                for other in others.filter(|extension| !is_added_extension(&extension.key)) {
                    path.within(&other.key, |path| path.note(paths));
                }
            } else if path.is(&["service", "extensions"]) && !only_added_extensions(&entry.value) {
                path.note(paths);
            }
        });
    }
}

/// The extensions that run: in any order, those that supervisors add left out.
fn compare_extensions(path: &Path<'_>, ours: &Node, theirs: &Node, paths: &mut Vec<String>) {
    let ids = |node: &Node| -> BTreeSet<String> {
        let items = node.items().unwrap_or_default().iter();
        items.filter_map(Node::text).map(ToOwned::to_owned).collect()
    };
    let (ours, theirs) = (ids(ours), ids(theirs));
    let gone = !ours.is_subset(&theirs);
    let new = theirs.difference(&ours).any(|id| !is_added_extension(id));
    if gone || new {
        path.note(paths);
    }
}

fn only_added_extensions(list: &Node) -> bool {
    let mut items = list.items().unwrap_or_default().iter();
    items.all(|item| item.text().is_some_and(is_added_extension))
}

/// The entries of a map. Nothing at all counts as a map without entries: collectors write either for the other.
fn entries(node: &Node) -> Option<&[Entry]> {
    if node.is_null() { Some(&[]) } else { node.entries() }
}

/// Whether the collector puts something else here that we can't know.
fn is_open(node: &Node) -> bool {
    node.text().is_some_and(|text| text.contains("${"))
}

/// Whether two scalars mean the same, however they were written: `1`, `1.0` and `"1"`.
fn same(ours: &Value, theirs: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    };
    ours == theirs || (is_scalar(ours) && is_scalar(theirs) && text(ours) == text(theirs))
}

fn is_scalar(value: &Value) -> bool {
    matches!(
        value,
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &str = "\
receivers: {otlp: {protocols: {grpc: {endpoint: '${env:IP}:4317'}}}}
processors: {batch: }
exporters: {debug: {verbosity: basic, token: secret, ratio: 1}}
extensions: {zpages: {}}
service:
  extensions: [zpages]
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}
";

    const EFFECTIVE: &str = "\
exporters: {debug: {token: '[REDACTED]', verbosity: basic, ratio: 1.0}}
extensions:
  health_check: {endpoint: 'localhost:1'}
  opamp: {instance_uid: x}
  zpages:
processors: {batch: {}}
receivers: {otlp: {protocols: {grpc: {endpoint: '10.0.0.1:4317'}}}}
service:
  extensions: [health_check, opamp, zpages]
  pipelines: {traces: {exporters: [debug], processors: [batch], receivers: [otlp]}}
  telemetry: {resource: {service.name: x}}
";

    fn compared(offered: &str, effective: &str) -> Drift {
        let (offered, effective) = (ConfigMap::document(offered), ConfigMap::document(effective));
        drift(&offered, &effective, &Limits::default())
    }

    /// The paths that differ after `from` was replaced by `to` in what the agent reports.
    fn paths(from: &str, to: &str) -> Vec<String> {
        assert!(EFFECTIVE.contains(from), "{from}");
        match compared(OFFERED, &EFFECTIVE.replacen(from, to, 1)) {
            Drift::InSync => Vec::new(),
            Drift::Differs { paths } => paths,
            Drift::CannotVerify { reason } => panic!("{reason}"),
        }
    }

    #[test]
    fn what_supervisors_add_and_how_collectors_write_is_no_drift() {
        assert_eq!(compared(OFFERED, EFFECTIVE), Drift::InSync);
        let without = "receivers: {nop: }\nservice: {pipelines: {}}\n";
        let added =
            "receivers: {nop: }\nextensions: {opamp: {}}\nservice: {extensions: [opamp], pipelines: {}}\n";
        assert_eq!(compared(without, added), Drift::InSync);
    }

    #[test]
    fn a_real_difference_is_told_by_its_path() {
        assert_eq!(
            paths("verbosity: basic", "verbosity: normal"),
            ["exporters.debug.verbosity"]
        );
        assert_eq!(
            paths("processors: {batch: {}}", "processors: {}"),
            ["processors.batch"]
        );
        assert_eq!(paths("zpages:\n", "zpages:\n  pprof:\n"), ["extensions.pprof"]);
        assert_eq!(
            paths("[health_check, opamp, zpages]", "[opamp]"),
            ["service.extensions"]
        );
        assert_eq!(
            paths("[health_check, opamp, zpages]", "[zpages, pprof]"),
            ["service.extensions"]
        );
        assert_eq!(
            paths("[debug]", "[debug, otlp]"),
            ["service.pipelines.traces.exporters"]
        );
        assert_eq!(
            paths("[debug]", "[otlp]"),
            ["service.pipelines.traces.exporters[]"]
        );
        assert_eq!(paths("batch: {}", "batch: [a]"), ["processors.batch"]);
    }

    #[test]
    fn what_nobody_offered_is_drift_unless_a_supervisor_adds_it() {
        let without = "receivers: {nop: }\nservice: {pipelines: {}}\n";
        let added =
            "receivers: {nop: }\nextensions: {pprof: {}}\nservice: {extensions: [pprof], pipelines: {}}\n";
        let expected = ["extensions.pprof", "service.extensions"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(compared(without, added), Drift::Differs { paths: expected });
    }

    #[test]
    fn what_can_not_be_read_is_never_in_sync() {
        for effective in ["a: [", "a: 1\na: 1\n", "\0"] {
            let found = compared(OFFERED, effective);
            assert!(
                matches!(found, Drift::CannotVerify { .. }),
                "{effective:?}: {found:?}"
            );
        }
        let nothing = drift(
            &ConfigMap::document(OFFERED),
            &ConfigMap::default(),
            &Limits::default(),
        );
        assert!(matches!(nothing, Drift::CannotVerify { .. }));
        assert!(matches!(compared(OFFERED, ""), Drift::Differs { .. }));
    }

    #[test]
    fn named_entries_are_compared_by_name() {
        let map = |entries: &[(&str, &str)]| {
            let file = |body: &str| ConfigFile {
                body: body.into(),
                ..ConfigFile::default()
            };
            let files = entries
                .iter()
                .map(|(name, body)| ((*name).to_owned(), file(body)));
            ConfigMap {
                files: files.collect(),
            }
        };
        let offered = map(&[("a", "x = 1"), ("b", "y: 1")]);
        let limits = Limits::default();
        assert_eq!(
            drift(
                &offered,
                &map(&[("a", "x = 1"), ("b", "y:  1"), ("c", "")]),
                &limits
            ),
            Drift::InSync
        );
        let found = drift(&offered, &map(&[("a", "x = 2"), ("c", "")]), &limits);
        assert_eq!(
            found,
            Drift::Differs {
                paths: vec!["a".into(), "b".into()]
            }
        );
    }
}
