//! Older and newer files: an older one is kept and migrated in one step, a newer one is refused before any write.

use std::io::Read as _;

use super::failing::{Disk, Mood};
use super::*;

/// The store that the last program of schema 1 left, with a group, a config, a secret and a token.
fn schema_1() -> Vec<u8> {
    let packed = include_bytes!("../../corpus/store_schema_1.redb.gz");
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut image)
        .unwrap();
    image
}

fn placed(image: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.redb"), image).unwrap();
    folder
}

/// What the fixture holds.
fn check(store: &Store) {
    let rows: std::collections::BTreeMap<String, u64> = store
        .tables()
        .unwrap()
        .into_iter()
        .map(|table| (table.table, table.rows))
        .collect();
    for (table, count) in [
        ("groups_v1", 1),
        ("configs_v1", 1),
        ("revisions_v1", 1),
        ("secrets_v1", 1),
    ] {
        assert_eq!(rows.get(table), Some(&count), "{table}: {rows:?}");
    }
    assert!(matches!(
        store.verify_audit().unwrap(),
        AuditVerdict::Intact { records: 4.., .. }
    ));
    let looked = store.scrub(&muster::store::Place::default(), u64::MAX).unwrap();
    assert!(looked.unreadable.is_empty(), "{looked:?}");
}

#[test]
fn a_store_of_an_older_release_is_kept_and_migrated() {
    let folder = placed(&schema_1());
    let store = open(folder.path());
    check(&store);
    store.commit_blocking(shelf("a", 1)).unwrap();
    store.close();
    let kept = std::fs::read(folder.path().join("store.schema-1.redb")).unwrap();
    assert!(kept == schema_1(), "it is kept as it was");
    // The second start has nothing to migrate.
    std::fs::remove_file(folder.path().join("store.schema-1.redb")).unwrap();
    let store = open(folder.path());
    check(&store);
    assert_eq!(books(&store, "a"), Some((1, 1)));
    assert!(!folder.path().join("store.schema-1.redb").exists());
}

#[test]
fn a_kill_at_any_write_of_a_migration_leaves_the_older_store_or_the_newer() {
    let mut done = 0;
    for at in 0.. {
        let disk = Disk::new(schema_1());
        disk.set(Mood::LosesPower(at));
        let migrated = disk.store().is_ok();
        let spent = disk.mood() == Mood::Off;
        for seed in 0..4 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let image = disk.after_power_cut(&mut chance);
            let store = Disk::new(image)
                .store()
                .unwrap_or_else(|error| panic!("write {at}: {error:?}"));
            check(&store);
        }
        done += 1;
        if migrated && !spent {
            break;
        }
    }
    assert!(done > 3, "the migration has {done} writes");
}

#[test]
fn a_kill_while_the_older_store_is_copied_leaves_no_half_of_it() {
    let folder = placed(&schema_1());
    std::fs::write(folder.path().join("store.schema-1.redb.new"), b"half a copy").unwrap();
    let store = open(folder.path());
    check(&store);
    store.close();
    assert!(!folder.path().join("store.schema-1.redb.new").exists());
    let kept = std::fs::read(folder.path().join("store.schema-1.redb")).unwrap();
    assert!(kept == schema_1());
}

#[test]
fn a_rehearsal_says_what_an_upgrade_would_do_and_changes_nothing() {
    let folder = placed(&schema_1());
    let rehearsal = Store::rehearse(folder.path(), &Settings::default(), Timestamp(2)).unwrap();
    assert_eq!(
        (rehearsal.schema, rehearsal.known, rehearsal.steps.len()),
        (1, 2, 1)
    );
    assert_eq!(rehearsal.store_bytes, schema_1().len() as u64);
    check(rehearsal.store().unwrap());
    // Nobody else has the folder meanwhile.
    assert!(matches!(
        Store::open(folder.path(), &Settings::default(), Timestamp(2)),
        Err(OpenError::InUse { .. })
    ));
    drop(rehearsal);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "muster.lock")
        .collect();
    assert_eq!(left, ["store.redb"]);
    assert!(std::fs::read(folder.path().join("store.redb")).unwrap() == schema_1());
    open(folder.path()).close();
    let rehearsal = Store::rehearse(folder.path(), &Settings::default(), Timestamp(2)).unwrap();
    assert_eq!((rehearsal.schema, rehearsal.steps.len()), (2, 0));
}

#[test]
fn a_flipped_bit_in_the_schema_number_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close();
    tamper(folder.path(), "meta_v1", b"schema", |schema| {
        *schema = Some(vec![0, 0, 0, 0]);
    });
    let error = Store::open(folder.path(), &Settings::default(), Timestamp(2)).unwrap_err();
    assert!(error.to_string().contains("sealed copy"), "{error}");
}
