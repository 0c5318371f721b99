//! The list of duties in `tests/conformance.md`, kept true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use muster::opamp::ServerCapabilities;

/// How many duties there are.
const DUTIES: usize = 215;

/// One line of the list.
#[derive(Debug)]
struct Row {
    id: String,
    /// What shows it, or why nothing does.
    tests: String,
}

fn rows(list: &str) -> Vec<Row> {
    let cells = |line: &str| {
        line.split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let lines = list.lines().filter(|line| line.starts_with("| S-")).map(cells);
    lines
        .map(|cells| {
            assert_eq!(cells.len(), 6, "{cells:?}");
            Row {
                id: cells[1].clone(),
                tests: cells[4].clone(),
            }
        })
        .collect()
}

/// The names in back quotes.
fn named(tests: &str) -> BTreeSet<String> {
    tests.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All functions under `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::trim_start);
            let after = |line: &str| {
                let line = line.strip_prefix("async ").unwrap_or(line);
                let name = line.strip_prefix("fn ")?.split(['(', '<']).next()?;
                Some(name.to_owned())
            };
            found.extend(lines.filter_map(after));
        }
    }
}

fn list() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance.md");
    fs::read_to_string(path).unwrap()
}

/// The names of all tests, and of the functions beside them.
pub(crate) fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["tests/it", "src"] {
        functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    found
}

#[test]
fn the_list_of_duties_names_every_duty_once() {
    let rows = rows(&list());
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((rows.len(), ids.len()), (DUTIES, DUTIES));
}

#[test]
fn the_list_of_duties_names_the_tests_that_there_are() {
    let tests = tests();
    let mut of_duty: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for test in &tests {
        let number = test.strip_prefix("s_").and_then(|rest| rest.get(..3));
        if let Some(number) = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            of_duty
                .entry(format!("S-{number}"))
                .or_default()
                .insert(test.clone());
        }
    }
    let list = list();
    let mut shown = 0;
    for row in rows(&list) {
        let named = named(&row.tests);
        let own = of_duty.remove(&row.id).unwrap_or_default();
        let missing: Vec<_> = own.difference(&named).collect();
        assert!(missing.is_empty(), "{} lacks {missing:?}", row.id);
        let gone: Vec<_> = named.difference(&tests).collect();
        assert!(gone.is_empty(), "{} names {gone:?}, which are no tests", row.id);
        let reason = ["not yet: ", "out of scope: "]
            .iter()
            .any(|word| row.tests.starts_with(word));
        assert!(named.is_empty() == reason, "{}: {}", row.id, row.tests);
        let says_off = row.tests.contains("connection settings are not offered");
        let is_off =
            ServerCapabilities::SERVED.bits() & ServerCapabilities::OFFERS_CONNECTION_SETTINGS.bits() == 0;
        assert!(is_off || !says_off, "{}: they are offered", row.id);
        shown += usize::from(!named.is_empty());
    }
    assert!(of_duty.is_empty(), "no such duties: {of_duty:?}");
    let sum = format!(
        "{shown} of {DUTIES} duties are shown by tests; {} are not.",
        DUTIES - shown
    );
    assert!(list.contains(&sum), "the list should say: {sum}");
}

#[test]
fn the_list_of_traps_names_tests_that_there_are() {
    let (list, tests) = (list(), tests());
    let traps: Vec<&str> = list.lines().filter(|line| line.starts_with("| T-")).collect();
    assert_eq!(traps.len(), 25);
    for trap in traps {
        let named = named(trap);
        assert!(named.is_subset(&tests), "{trap}");
        assert!(!named.is_empty() || trap.contains("| out of scope: "), "{trap}");
    }
}
