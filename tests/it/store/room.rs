//! Little room: what is still written, what is given back, and how a file is made smaller.

use std::time::Duration;

use super::*;

/// Settings under which there never is enough room.
fn short() -> Settings {
    Settings {
        low_water_bytes: u64::MAX / 2,
        ..Settings::default()
    }
}

/// What lies in a folder beside the store's own.
fn fill(folder: &Path, bytes: usize) {
    std::fs::write(folder.join("filler"), vec![1; bytes]).unwrap();
}

#[test]
fn what_is_vital_is_written_while_room_is_short() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close();
    let store = Store::open(folder.path(), &short(), Timestamp(2)).unwrap();
    let refused = store.commit_blocking(shelf("a", 1)).unwrap_err();
    assert!(
        refused.to_string().contains("have to stay free"),
        "says what is short: {refused}"
    );
    let mut verdict = shelf("b", 2);
    verdict.vital().audit(entry("verdict"));
    store.commit_blocking(verdict).unwrap();
    assert_eq!(books(&store, "a"), None);
    assert_eq!(books(&store, "b"), Some((2, 1)));
    assert!(store.statistics().short);
    assert_eq!(store.statistics().reopened, 0);
}

#[test]
fn a_quota_refuses_and_lets_go_on_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        low_water_bytes: 0,
        quota_bytes: Some(8 << 20),
        ..Settings::default()
    };
    let store = Store::open(folder.path(), &settings, Timestamp(1)).unwrap();
    store.commit_blocking(shelf("a", 1)).unwrap();
    fill(folder.path(), 9 << 20);
    let refused = store.commit_blocking(shelf("a", 2)).unwrap_err();
    assert!(
        refused.to_string().contains("may hold 8 MiB"),
        "names the limit: {refused}"
    );
    std::fs::remove_file(folder.path().join("filler")).unwrap();
    store.commit_blocking(shelf("a", 3)).unwrap();
    assert_eq!(books(&store, "a"), Some((3, 2)));
}

#[test]
fn the_ballast_is_laid_by_the_first_commit_with_plenty_of_room() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        low_water_bytes: 1 << 20,
        ..Settings::default()
    };
    let store = Store::open(folder.path(), &settings, Timestamp(1)).unwrap();
    store.commit_blocking(shelf("a", 1)).unwrap();
    assert_eq!(store.room().ballast_bytes, 1 << 17);
    store.close();
    let store = Store::open(folder.path(), &short(), Timestamp(2)).unwrap();
    let mut last = shelf("b", 1);
    last.vital();
    store.commit_blocking(last).unwrap();
    assert_eq!(store.room().ballast_bytes, 0, "given up for what is vital");
}

/// Many rows, most of them deleted again.
fn wasteful(store: &Store) {
    for round in 0..40 {
        let mut batch = Batch::new();
        for number in 0..50 {
            batch.put(
                &(AgentId([1; 16]), round * 50 + number),
                &Event {
                    what: "x".repeat(4_000),
                },
            );
        }
        store.commit_blocking(batch).unwrap();
    }
    let mut batch = shelf("kept", 7);
    batch.freeze("content").to_string();
    batch.audit(entry("waste"));
    for number in 10..2_000 {
        batch.delete::<Event>(&(AgentId([1; 16]), number));
    }
    store.commit_blocking(batch).unwrap();
}

#[test]
fn compacting_gives_back_room_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    wasteful(&store);
    let reader = store.clone();
    let before = (store.scan::<Event>().unwrap(), store.tables().unwrap());
    let compacted = store.compact().unwrap();
    assert!(
        compacted.after_bytes * 2 < compacted.before_bytes,
        "{compacted:?}"
    );
    let rows: Vec<_> = store
        .tables()
        .unwrap()
        .into_iter()
        .map(|table| (table.table, table.rows))
        .collect();
    let known: Vec<_> = before
        .1
        .into_iter()
        .map(|table| (table.table, table.rows))
        .collect();
    assert_eq!(rows, known);
    assert!(reader.scan::<Event>().unwrap() == before.0);
    assert_eq!(books(&store, "kept"), Some((7, 1)));
    // It is the one that is written from now on.
    store.commit_blocking(shelf("kept", 8)).unwrap();
    store.close();
    let store = open(folder.path());
    assert_eq!(books(&store, "kept"), Some((8, 2)));
    assert!(matches!(
        store.verify_audit().unwrap(),
        AuditVerdict::Intact { records: 1, .. }
    ));
    assert_eq!(store.generation(), 1);
    // The lock is the folder's, whichever file the store is in.
    store.compact().unwrap();
    assert!(matches!(
        Store::open(folder.path(), &Settings::default(), Timestamp(2)),
        Err(OpenError::InUse { .. })
    ));
}

#[test]
fn what_a_kill_left_of_a_copy_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit_blocking(shelf("a", 1)).unwrap();
    store.close();
    let copy = folder.path().join("store.redb.compacting");
    std::fs::write(&copy, b"half a copy").unwrap();
    let store = open(folder.path());
    assert!(!copy.exists());
    assert_eq!(books(&store, "a"), Some((1, 1)));
    assert!(store.compact().unwrap().rows > 0);
    assert!(!copy.exists());
}

#[test]
fn a_store_in_memory_is_not_compacted() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.compact().unwrap_err().to_string(), "the store is in memory");
    assert_eq!(store.room(), muster::store::Room::default());
}

#[test]
fn a_lock_names_another_run_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let lock = folder.path().join("muster.lock");
    let signed = std::fs::read_to_string(&lock).unwrap();
    assert!(
        signed.lines().nth(1).is_none_or(|line| line.starts_with("boot ")),
        "{signed}"
    );
    std::fs::write(
        &lock,
        "pid 12 on elsewhere\nboot 00000000-0000-0000-0000-000000000000\n",
    )
    .unwrap();
    let error = Store::open(folder.path(), &Settings::default(), Timestamp(2)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("pid 12 on elsewhere, which was started before this machine was"),
        "{error}"
    );
    drop(first);
}

/// As root alone: a disk of 8 MiB that other things fill, at whatever moment.
#[test]
fn a_small_disk_that_fills_at_any_moment_loses_nothing_acknowledged() {
    let Some(rounds) = kill::variable("MUSTER_SMALL_DISKS") else {
        return;
    };
    for seed in 0..rounds.parse().unwrap() {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mount = Mount::small();
        let settings = Settings {
            low_water_bytes: chance.choice([0, 1 << 20]).unwrap(),
            ..Settings::default()
        };
        let store = Store::open(&mount.folder, &settings, Timestamp(1)).unwrap();
        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        let full_at = chance.u32(0..60);
        for number in 0..200 {
            if number == full_at {
                let _ = std::fs::write(mount.folder.join("filler"), vec![1; 8 << 20]);
            }
            match store.commit_blocking(failing::pair(number)) {
                Ok(_) => acknowledged.push(number),
                Err(CommitError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("seed {seed}: {error:?}"),
            }
        }
        assert!(refused > 0, "seed {seed}: never full");
        std::fs::remove_file(mount.folder.join("filler")).unwrap();
        let mut batch = Batch::new();
        for number in &acknowledged[..acknowledged.len() / 2] {
            batch.delete::<Event>(&(AgentId([1; 16]), u64::from(*number)));
            batch.delete::<Shelf>(&name(&format!("n{number}")));
        }
        acknowledged.drain(..acknowledged.len() / 2);
        batch.vital();
        store
            .commit_blocking(batch)
            .unwrap_or_else(|error| panic!("seed {seed}: no way back: {error:?}"));
        failing::check_rows(&store, &acknowledged).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        store.close();
        let store = Store::open(&mount.folder, &settings, Timestamp(1)).unwrap();
        failing::check_rows(&store, &acknowledged).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// A file system of 8 MiB in memory.
struct Mount {
    folder: std::path::PathBuf,
    _below: tempfile::TempDir,
}

impl Mount {
    fn small() -> Self {
        let below = tempfile::tempdir().unwrap();
        let folder = below.path().join("disk");
        std::fs::create_dir(&folder).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&folder)
            .status();
        assert!(mounted.unwrap().success(), "it takes root to mount");
        Self {
            folder,
            _below: below,
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The store in it may close a moment later than it is dropped.
        for _ in 0..50 {
            let unmounted = std::process::Command::new("umount").arg(&self.folder).status();
            if unmounted.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}
