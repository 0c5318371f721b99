//! Laws of the checks on configurations.

use std::fmt::Write as _;

use muster::fleet::config::lint::{Judged, lint};
use muster::fleet::config::yaml::{Limits, Node, Value, parse};
use muster::fleet::config::{ConfigMap, Diff, Drift, Position, Problem, drift};
use proptest::prelude::*;

const GOOD: &str = "\
# comment
x: &x {a: 1, b: [1, 2.5, ~, true]}
receivers:
  otlp: {protocols: {grpc: {endpoint: '0.0.0.0:4317'}}}
exporters:
  otlp:
    <<: *x
    text: |
      two
      lines
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp]}
";

/// The places of a text: problems and nodes must stand inside.
fn is_inside(text: &str, at: Position) -> bool {
    let lines = text.split('\n').count();
    at.line >= 1 && at.column >= 1 && at.line as usize <= lines + 1
}

fn places(node: &Node, into: &mut Vec<Position>) {
    into.push(node.at);
    for item in node.items().unwrap_or_default() {
        places(item, into);
    }
    for entry in node.entries().unwrap_or_default() {
        into.push(entry.at);
        places(&entry.value, into);
    }
}

fn value() -> impl Strategy<Value = Value> {
    let at = Position::START;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| Value::Int(n.into())),
        "\\PC{0,8}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5);
        let map = prop::collection::btree_map("[a-z<]{0,3}", inner, 0..5);
        prop_oneof![
            list.prop_map(move |items| Value::List(
                items.into_iter().map(|value| Node::new(at, value)).collect()
            )),
            map.prop_map(move |entries| {
                let entry = |(key, value)| muster::fleet::config::yaml::Entry {
                    at,
                    key,
                    value: Node::new(at, value),
                };
                Value::Map(entries.into_iter().map(entry).collect())
            }),
        ]
    })
}

/// JSON is YAML: a value written as JSON has to come back.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => i64::try_from(*value).unwrap().into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|e| (e.key.clone(), json(&e.value.value)))
            .collect(),
    }
}

/// What is found in a text as a layer and as a whole. They differ in what is missing alone: what a layer lacks stands as an
/// error of a whole at the same place.
fn both(text: &str) -> Vec<Problem> {
    let layer = lint(text.as_bytes(), &Limits::default(), Judged::Layer);
    let whole = lint(text.as_bytes(), &Limits::default(), Judged::Whole);
    let at = |problems: &[Problem], of: fn(&Problem) -> bool| -> Vec<Position> {
        problems
            .iter()
            .filter(|problem| of(problem))
            .map(|problem| problem.at)
            .collect()
    };
    let stops = |problem: &Problem| problem.is_error() || problem.is_incomplete();
    assert_eq!(at(&layer, stops), at(&whole, Problem::is_error), "{text}");
    assert_eq!(at(&whole, Problem::is_incomplete), []);
    let errors = layer.iter().filter(|problem| problem.is_error());
    assert!(errors.clone().all(|error| whole.contains(error)), "{text}");
    [layer, whole].concat()
}

proptest! {
    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for problem in lint(&bytes, &Limits::default(), Judged::Layer) {
            prop_assert!(is_inside(&String::from_utf8_lossy(&bytes), problem.at), "{}", problem);
        }
    }

    #[test]
    fn any_signs_of_yaml_are_checked_without_a_panic(text in "[-ab:?&*!|>'\"{}\\[\\],#%@` \n\t<]{0,80}") {
        for problem in both(&text) {
            prop_assert!(is_inside(&text, problem.at), "{}", problem);
        }
    }

    #[test]
    fn a_configuration_with_anything_in_it_is_checked_without_a_panic(
        at in 0..GOOD.len(), length in 0_usize..30, put in "[-ab:?&*!|>'\"{}\\[\\],# \n\t<$]{0,6}",
    ) {
        let end = (at + length).min(GOOD.len());
        let mut text = GOOD.to_owned();
        text.replace_range(at..end, &put);
        for problem in both(&text) {
            prop_assert!(is_inside(&text, problem.at), "{}", problem);
            prop_assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
        }
        if let Ok(root) = parse(text.as_bytes(), &Limits::default()) {
            let mut all = Vec::new();
            places(&root, &mut all);
            prop_assert!(all.into_iter().all(|at| is_inside(&text, at)));
        }
    }

    #[test]
    fn what_is_written_as_json_reads_back_the_same(value in value()) {
        let written = json(&value);
        let read = parse(written.to_string().as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(json(&read.value), written);
    }

    #[test]
    fn a_document_within_its_limits_is_read_and_one_beyond_is_not(keys in 1_usize..60, limit in 1_usize..120) {
        let mut text = String::new();
        for key in 0..keys {
            writeln!(text, "k{key}: 1").unwrap();
        }
        let limits = Limits { nodes: limit, ..Limits::default() };
        prop_assert_eq!(parse(text.as_bytes(), &limits).is_ok(), 2 * keys < limit);
    }

    #[test]
    fn a_configuration_never_drifts_from_itself_however_it_is_written(value in value()) {
        let text = json(&value).to_string();
        let offered = ConfigMap::document(&text);
        prop_assert_eq!(drift(&offered, &offered, &Limits::default()), Drift::InSync);
        let spaced = ConfigMap::document(&serde_json::to_string_pretty(&json(&value)).unwrap());
        prop_assert_eq!(drift(&offered, &spaced, &Limits::default()), Drift::InSync);
    }

    #[test]
    fn what_can_not_be_read_is_never_in_sync(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let offered = ConfigMap::document(GOOD);
        let mut effective = ConfigMap::document("");
        effective.files.get_mut("").unwrap().body = bytes.clone();
        let found = drift(&offered, &effective, &Limits::default());
        prop_assert_ne!(&found, &Drift::InSync);
        if parse(&bytes, &Limits::default()).is_err() {
            prop_assert!(matches!(found, Drift::CannotVerify { .. }), "{:?}", found);
        }
    }

    #[test]
    fn a_diff_tells_all_of_both_texts(old in "([ab ]{0,3}\n){0,12}", new in "([ab ]{0,3}\n){0,12}") {
        let diff = Diff::between(&ConfigMap::document(&old), &ConfigMap::document(&new));
        let (olds, news): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
        let (mut added, mut removed) = (0, 0);
        for line in diff.files.iter().flat_map(|file| &file.hunks).flat_map(|hunk| &hunk.lines) {
            prop_assert!(line.before.is_none_or(|n| olds[n as usize - 1] == line.text));
            prop_assert!(line.after.is_none_or(|n| news[n as usize - 1] == line.text));
            prop_assert_eq!(line.spans().map(|(span, _)| span).collect::<String>(), line.text.clone());
            added += u32::from(line.before.is_none());
            removed += u32::from(line.after.is_none());
        }
        let told: Vec<_> = diff.files.iter().map(|file| (file.added, file.removed)).collect();
        prop_assert_eq!(told.is_empty(), old == new);
        prop_assert!(told.is_empty() || told == [(added, removed)]);
        prop_assert_eq!(olds.len() + added as usize, news.len() + removed as usize);
    }
}
