//! Who may import whom. The table is the plan of the house; `src/lib.rs` tells it in words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with what it may use of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("fleet", &[]),
    ("opamp", &["fleet"]),
    ("auth", &["fleet"]),
    ("store", &["fleet", "auth"]),
    ("pki", &["fleet", "auth"]),
    ("observability", &["fleet", "store", "settings"]),
    ("app", &["fleet", "auth", "pki", "store", "observability"]),
    ("http", &["fleet", "auth"]),
    ("agent_plane", &["fleet", "opamp", "app", "http", "observability"]),
    ("admin_plane", &["fleet", "auth", "app", "http", "observability"]),
    (
        "simulator",
        &["fleet", "opamp", "auth", "app", "http", "pki", "observability"],
    ),
];

/// What no module but the named ones may mention.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("prost::", &["opamp"]),
    ("redb::", &["store"]),
    ("maud::", &["admin_plane"]),
    // Reading std's clocks is refused by a lint everywhere else; the runtime's timer may measure deadlines.
    ("SystemTime::now", &["app/clock.rs"]),
    ("tokio::spawn", &["app/tasks.rs"]),
    ("opamp::wire", &["opamp"]),
];

/// What the pure rules never mention: time, waiting, files, networks and locks come in as arguments or not at all.
const NEVER_IN_FLEET: &[&str] = &[
    "tokio",
    "hyper",
    "std::fs",
    "std::net::Tcp",
    "Mutex",
    "RwLock",
    "SystemTime",
    "Instant::",
    "getrandom",
    "fastrand",
];

fn sources() -> BTreeMap<String, String> {
    fn collect(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    collect(&root, &root, &mut found);
    found
}

/// The text without comments and without the unit tests behind it.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap();
    body.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The top-level modules of ours that a text names, also inside `use crate::{a, b}`.
fn used(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in text.split("crate::").skip(1) {
        let end = |c: char| !(c.is_alphanumeric() || c == '_');
        if let Some(group) = part.strip_prefix('{') {
            let group = group.split('}').next().unwrap();
            names.extend(
                group
                    .split(',')
                    .map(|name| name.trim().split(end).next().unwrap().to_owned()),
            );
        } else {
            names.push(part.split(end).next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn every_module_imports_only_what_it_may() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (owner, allowed) in MAY_USE {
        for (file, text) in sources.iter().filter(|(file, _)| module(file) == *owner) {
            for name in used(text) {
                let ours = sources.keys().any(|file| module(file) == name);
                if ours && name != *owner && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{file} uses {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_is_in_the_table_or_a_root() {
    const ROOTS: &[&str] = &["main", "lib", "cli", "server", "settings"];
    let known = |name: &str| ROOTS.contains(&name) || MAY_USE.iter().any(|(module, _)| *module == name);
    let unknown: Vec<String> = sources()
        .into_keys()
        .filter(|file| !known(module(file)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn what_belongs_to_one_module_stays_there() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (word, owners) in ONLY_IN {
            let owned = owners.iter().any(|owner| file.starts_with(owner));
            if !owned && text.contains(word) {
                wrong.push(format!("{file} mentions {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rules_are_pure() {
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| module(file) == "fleet") {
        for word in NEVER_IN_FLEET {
            if text.contains(word) {
                wrong.push(format!("{file} mentions {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_itself_sees_an_import() {
    assert_eq!(
        used("use crate::{app, fleet::ids};\nlet x = crate::store::Batch::new();"),
        ["app", "fleet", "store"]
    );
}
