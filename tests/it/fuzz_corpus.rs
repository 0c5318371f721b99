//! What the fuzzer of `tests/fuzz` found worth keeping, read again by the same functions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

fn replay(target: &str, read: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        assert!(result.is_ok(), "{}", path.display());
        replayed += 1;
    }
    assert!(replayed > 5, "{target}: {replayed}");
}

#[test]
fn frames_are_read_without_harm() {
    replay("frame", targets::frame);
}

#[test]
fn packed_bodies_are_read_without_harm() {
    replay("body", targets::body);
}

#[test]
fn messages_are_read_without_harm_and_mean_what_they_say() {
    replay("message", targets::message);
}

#[test]
fn selectors_are_read_without_harm_and_can_be_said_again() {
    replay("selector", targets::selector);
}

#[test]
fn configurations_are_read_without_harm_and_can_be_written_again() {
    replay("yaml", targets::yaml);
}

#[test]
fn tokens_and_cookies_are_read_without_harm() {
    replay("secrets", targets::secrets);
}

#[test]
fn settings_files_are_read_without_harm() {
    replay("settings", targets::settings);
}

#[test]
fn bodies_of_requests_are_read_without_harm() {
    replay("requests", targets::requests);
}

#[test]
fn every_target_is_a_program_and_has_a_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let names = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("fuzz_targets"), names("corpus"));
    let tests = include_str!("fuzz_corpus.rs").matches("replay(\"").count();
    assert_eq!(tests, names("corpus").len(), "each is replayed");
}
