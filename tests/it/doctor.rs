//! `muster doctor` and `muster upgrade`: what they say of a data folder, and that they change nothing.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use muster::app::clock::Clock;
use muster::server::Server;
use muster::settings::{ByteSize, Settings};
use serde_json::Value;

/// The folder of a server that ran and was stopped.
async fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings {
        data: folder.path().join("data"),
        ..Settings::default()
    };
    settings.agent_plane.listen = "127.0.0.1:0".parse().unwrap();
    settings.admin_plane.listen = "127.0.0.1:0".parse().unwrap();
    settings.disk.low_water = ByteSize::mib(1);
    let server = Server::start(&settings, &Clock::system()).unwrap();
    server.stop().await.unwrap();
    folder
}

fn muster(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command
        .args(arguments)
        .args(["--data", "data", "--json", "--set", "disk.low_water = 1 MiB"])
        .current_dir(folder)
        .env_clear();
    command.output().unwrap()
}

/// Whether all is well, and what isn't: subject and what was found.
fn examined(folder: &Path) -> (bool, Vec<(String, String)>) {
    let output = muster(folder, &["doctor"]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let findings = findings.as_array().unwrap().iter();
    let bad = findings
        .filter(|finding| finding["level"] != "well")
        .map(|finding| {
            let of = |name: &str| finding[name].as_str().unwrap().to_owned();
            (of("subject"), of("found"))
        });
    (output.status.success(), bad.collect())
}

fn has(found: &[(String, String)], subject: &str, words: &str) -> bool {
    found
        .iter()
        .any(|(about, said)| about == subject && said.contains(words))
}

#[tokio::test]
async fn a_folder_as_it_should_be_is_well_and_unchanged() {
    let folder = folder().await;
    let data = folder.path().join("data");
    let before = std::fs::read(data.join("store.redb")).unwrap();
    let names = || {
        let entries = std::fs::read_dir(&data).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let there = names();
    assert_eq!(examined(folder.path()), (true, vec![]));
    assert!(std::fs::read(data.join("store.redb")).unwrap() == before);
    assert_eq!(names(), there);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let folder = folder().await;
    let data = folder.path().join("data");
    std::fs::set_permissions(data.join("seal.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(data.join("hash.key"), [1; 31]).unwrap();
    std::fs::remove_file(data.join("ca.key")).unwrap();
    let (well, found) = examined(folder.path());
    assert!(!well);
    assert!(has(&found, "permissions", "seal.key"), "{found:?}");
    assert!(has(&found, "keys", "hash.key has 31 bytes"), "{found:?}");
    assert!(has(&found, "authority", "missing"), "{found:?}");

    // A row that is none of ours.
    {
        let database = redb::Database::open(data.join("store.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let definition: redb::TableDefinition<'_, &[u8], &[u8]> =
                redb::TableDefinition::new("shelves_v1");
            let mut table = transaction.open_table(definition).unwrap();
            table
                .insert(b"a".as_slice(), b"nothing of ours".as_slice())
                .unwrap();
        }
        transaction.commit().unwrap();
    }
    let (_, found) = examined(folder.path());
    assert!(has(&found, "records", "shelves_v1 a: "), "{found:?}");
}

#[tokio::test]
async fn a_folder_in_use_is_said_to_be_and_by_whom() {
    let folder = folder().await;
    let data = folder.path().join("data");
    let store = muster::store::Store::open(&data, &muster::store::Settings::default(), Clock::system().now());
    let (well, found) = examined(folder.path());
    assert!(well, "that is no fault");
    assert!(
        has(&found, "lock", &format!("pid {}", std::process::id())),
        "{found:?}"
    );
    let refused = muster(folder.path(), &["upgrade", "--check"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    store.unwrap().close();
}

#[tokio::test]
async fn an_upgrade_is_tried_on_a_copy() {
    let folder = folder().await;
    let tried = muster(folder.path(), &["upgrade", "--check"]);
    let tried: Value = serde_json::from_slice(&tried.stdout).unwrap_or_else(|_| panic!("{tried:?}"));
    assert_eq!(tried["steps"], serde_json::json!([]), "{tried}");
    assert_eq!(tried["unreadable"], 0);

    let packed = include_bytes!("../corpus/store_schema_1.redb.gz");
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut image)
        .unwrap();
    std::fs::write(folder.path().join("data/store.redb"), &image).unwrap();
    let tried = muster(folder.path(), &["upgrade", "--check"]);
    let tried: Value = serde_json::from_slice(&tried.stdout).unwrap_or_else(|_| panic!("{tried:?}"));
    assert_eq!(
        (&tried["schema"], &tried["new_schema"]),
        (&1.into(), &2.into()),
        "{tried}"
    );
    assert_eq!(tried["needed_bytes"], image.len());
    assert_eq!(
        tried["unreadable"], 0,
        "every record of the older release can be read"
    );
    assert!(std::fs::read(folder.path().join("data/store.redb")).unwrap() == image);
}
