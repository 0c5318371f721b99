//! The program as people start it.

use std::path::Path;
use std::process::{Command, Output};

fn muster(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn check_shows_what_holds_and_where_it_came_from_and_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let done = muster(folder.path(), &["check", "--site-name", "Lab"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let out = text(&done.stdout);
    assert!(out.contains("site_name\tLab\t--site-name\n"), "{out}");
    assert!(out.contains("limits.message_size\t1 MiB\tdefault\n"), "{out}");
    assert!(!folder.path().join("muster-data").exists());
}

#[test]
fn wrong_settings_end_with_2_and_name_the_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("site.toml"), "\nsite_nam = 'x'\n").unwrap();
    let failed = muster(folder.path(), &["check", "--settings", "site.toml"]);
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
    assert_eq!(
        text(&failed.stderr),
        "error: site.toml:2: \"site_nam\" is not a setting; did you mean \"site_name\"?\n"
    );
    assert_eq!(muster(folder.path(), &["chekc"]).status.code(), Some(2));
}

#[test]
fn the_template_is_a_settings_file_that_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let template = muster(folder.path(), &["check", "--template"]).stdout;
    std::fs::write(folder.path().join("site.toml"), template).unwrap();
    let done = muster(folder.path(), &["check", "--settings", "site.toml", "--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&done.stdout).unwrap();
    assert!(
        rows.len() > 10
            && rows
                .iter()
                .all(|row| row["from"].as_str().unwrap().starts_with("site.toml:"))
    );
}

#[test]
fn an_online_verb_without_a_server_ends_with_3_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let failed = muster(folder.path(), &["setup-token"]);
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
    let said = text(&failed.stderr);
    assert!(
        said.contains("no server is running on ./muster-data/muster.sock"),
        "{said}"
    );
}

#[test]
fn completions_manual_and_version_are_printed_by_the_program_itself() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let done = muster(folder.path(), arguments);
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        text(&done.stdout).to_owned()
    };
    assert!(run(&["completions", "bash"]).contains("setup-token"));
    assert!(run(&["man"]).starts_with(".ie"));
    assert!(run(&["version"]).starts_with(concat!("muster ", env!("CARGO_PKG_VERSION"))));
    run(&["man", "--folder", "pages"]);
    assert!(folder.path().join("pages/muster-check.1").exists());
}
