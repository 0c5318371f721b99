//! The store's promises: batches are atomic, what was acknowledged survives, what changed unasked is noticed.

use std::ops::Bound;
use std::path::Path;

use muster::fleet::hash::{ConfigHash, Digest};
use muster::fleet::ids::AgentId;
use muster::fleet::name::Name;
use muster::fleet::time::Timestamp;
use muster::store::{
    AuditEntry, AuditFault, AuditVerdict, Batch, CommitError, Expectation, MigrateError, OWN_TABLES,
    OpenError, ReadError, Settings, Store, Unavailable,
};
use serde::{Deserialize, Serialize};

mod failing;
mod flips;
mod kill;
mod model;
mod room;
mod versions;

/// A record with nothing special.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shelf {
    books: u32,
}

/// The same table as [`Shelf`], one version later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bookcase {
    volumes: u32,
}

/// A record under two keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Event {
    what: String,
}

muster::records! {
    /// The tables of these tests.
    const TABLES;
    Shelf: Name => "shelves_v1", version 1;
    Event: (AgentId, u64) => "events_v1", version 1;
}
muster::records! {
    const LATER_TABLES;
    Bookcase: Name => "shelves_v1", version 2, migrate bookcase_of;
}

fn bookcase_of(version: u8, json: serde_json::Value) -> Result<Bookcase, MigrateError> {
    match version {
        1 => Ok(Bookcase {
            volumes: serde_json::from_value::<Shelf>(json)?.books,
        }),
        other => Err(MigrateError::Unknown(other)),
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn open(folder: &Path) -> Store {
    Store::open(folder, &Settings::default(), Timestamp(1)).unwrap()
}

fn shelf(key: &str, books: u32) -> Batch {
    let mut batch = Batch::new();
    batch.put(&name(key), &Shelf { books });
    batch
}

fn books(store: &Store, key: &str) -> Option<(u32, u64)> {
    let found = store.get::<Shelf>(&name(key)).unwrap();
    found.map(|found| (found.record.books, found.revision))
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp(5),
        actor: "ann".to_owned(),
        action: action.to_owned(),
        ..AuditEntry::default()
    }
}

/// Changes a row behind the store's back.
fn tamper(folder: &Path, table: &str, key: &[u8], change: impl FnOnce(&mut Option<Vec<u8>>)) {
    let database = redb::Database::open(folder.join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let definition: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new(table);
        let mut table = transaction.open_table(definition).unwrap();
        let mut value = redb::ReadableTable::get(&table, key)
            .unwrap()
            .map(|value| value.value().to_vec());
        change(&mut value);
        match value {
            Some(value) => drop(table.insert(key, value.as_slice()).unwrap()),
            None => drop(table.remove(key).unwrap()),
        }
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_batch_whose_expectation_fails_writes_nothing() {
    let store = Store::in_memory().unwrap();
    store.commit(shelf("a", 1)).await.unwrap();
    let mut batch = shelf("b", 2);
    batch
        .put(&name("a"), &Shelf { books: 9 })
        .expect_revision::<Shelf>(&name("a"), 7)
        .audit(entry("x"));
    batch.freeze("text");
    let error = store.commit(batch).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "shelves_v1 a: expected revision 7, found revision 1"
    );
    assert!(matches!(
        error,
        CommitError::Precondition {
            expected: Expectation::Revision(7),
            found: Some(1),
            ..
        }
    ));
    assert_eq!(books(&store, "a"), Some((1, 1)));
    assert_eq!(books(&store, "b"), None);
    assert_eq!(store.audit(None, 10).unwrap(), []);
    assert_eq!(store.generation(), 0);
    assert_eq!(store.body(&Digest::of(b"text")).unwrap(), None);
}

#[test]
fn each_expectation_holds_exactly_when_it_says() {
    let store = Store::in_memory().unwrap();
    store.commit_blocking(shelf("there", 1)).unwrap();
    store.commit_blocking(shelf("there", 2)).unwrap();
    let holds = |expect: fn(&mut Batch, &Name), key: &str| {
        let mut batch = shelf("scratch", 1);
        expect(&mut batch, &name(key));
        store.commit_blocking(batch).is_ok()
    };
    let absent = |batch: &mut Batch, key: &Name| {
        batch.expect_absent::<Shelf>(key);
    };
    let present = |batch: &mut Batch, key: &Name| {
        batch.expect_present::<Shelf>(key);
    };
    let second = |batch: &mut Batch, key: &Name| {
        batch.expect_revision::<Shelf>(key, 2);
    };
    let third = |batch: &mut Batch, key: &Name| {
        batch.expect_revision::<Shelf>(key, 3);
    };
    assert!(!holds(absent, "there") && holds(absent, "gone"));
    assert!(holds(present, "there") && !holds(present, "gone"));
    assert!(holds(second, "there") && !holds(second, "gone"));
    assert!(!holds(third, "there"));
}

#[test]
fn an_expectation_without_a_change_is_still_checked() {
    let store = Store::in_memory().unwrap();
    let mut batch = Batch::new();
    batch.expect_present::<Shelf>(&name("a"));
    assert!(!batch.is_empty());
    assert!(store.commit_blocking(batch).is_err());
    assert!(store.commit_blocking(Batch::new()).is_ok());
}

#[test]
fn a_revision_counts_the_puts_of_its_key() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.commit_blocking(shelf("a", 1)).unwrap().revisions, [1]);
    let mut batch = shelf("a", 2);
    batch
        .put(&name("b"), &Shelf { books: 5 })
        .put(&name("a"), &Shelf { books: 3 });
    assert_eq!(store.commit_blocking(batch).unwrap().revisions, [2, 1, 3]);
    assert_eq!(books(&store, "a"), Some((3, 3)));
    let mut batch = Batch::new();
    batch.delete::<Shelf>(&name("a"));
    store.commit_blocking(batch).unwrap();
    assert_eq!(books(&store, "a"), None);
}

#[test]
fn of_many_that_expect_the_same_revision_one_wins_and_the_rest_share_its_commits() {
    let store = Store::in_memory().unwrap();
    store.commit_blocking(shelf("counter", 0)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answers = runtime.block_on(async {
        let commits = (0..200u32).map(|number| {
            let mut batch = shelf("counter", number);
            batch
                .expect_revision::<Shelf>(&name("counter"), 1)
                .audit(entry("race"));
            store.commit(batch)
        });
        futures_util::future::join_all(commits).await
    });
    let winners: Vec<usize> = (0..200).filter(|at| answers[*at].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    let winner = u32::try_from(winners[0]).unwrap();
    assert_eq!(books(&store, "counter"), Some((winner, 2)));
    assert_eq!(
        store.audit(None, 10).unwrap().len(),
        1,
        "only the winner's act is told"
    );
    let counts = store.statistics();
    assert_eq!((counts.batches, counts.refused), (201, 199));
}

#[test]
fn batches_that_wait_are_committed_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answers = runtime.block_on(async {
        let commits = (0..500u32).map(|number| store.commit(shelf(&format!("s{number}"), number)));
        futures_util::future::join_all(commits).await
    });
    assert!(answers.iter().all(Result::is_ok));
    let counts = store.statistics();
    assert_eq!((counts.batches, counts.rows), (500, 500));
    assert!(counts.commits < 100, "{} commits", counts.commits);
    assert_eq!(counts.commit_buckets.iter().sum::<u64>(), counts.commits);
    assert!(counts.file_bytes > 0);
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let epoch = store.epoch();
    let mut batch = shelf("a", 4);
    let digest = batch.freeze("receivers: {}");
    batch.audit(entry("config.publish"));
    let committed = store.commit_blocking(batch).unwrap();
    store.close();

    let store = Store::open(folder.path(), &Settings::default(), Timestamp(99)).unwrap();
    assert_eq!(books(&store, "a"), Some((4, 1)));
    assert_eq!(store.body(&digest).unwrap().unwrap(), b"receivers: {}");
    assert_eq!(store.audit(None, 5).unwrap()[0].number, committed.audit[0]);
    assert_eq!(
        (store.epoch(), store.generation(), store.founded_at()),
        (epoch, 1, Timestamp(1))
    );
}

#[test]
fn equal_content_keeps_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut batch = Batch::new();
    let (one, _, again) = (batch.freeze("one"), batch.freeze("two"), batch.freeze("one"));
    let loose = batch.put_body("three");
    assert_eq!(one, again);
    let stamps = store.commit_blocking(batch).unwrap().stamps;
    let generations: Vec<u64> = stamps.iter().map(|stamp| stamp.generation).collect();
    assert_eq!(generations, [1, 2, 1]);
    assert_eq!(
        stamps[0],
        ConfigHash {
            digest: one,
            epoch: store.epoch(),
            generation: 1
        }
    );
    assert_eq!(store.stamp(&loose).unwrap(), None);
    store.close();

    let store = open(folder.path());
    let mut batch = Batch::new();
    batch.freeze("three");
    batch.freeze("one");
    let again = store.commit_blocking(batch).unwrap().stamps;
    assert_eq!(again[0].generation, 3);
    assert_eq!(again[1], stamps[0]);
    assert_eq!(store.stamp(&one).unwrap(), Some(stamps[0]));
    assert_eq!(store.generation(), 3);
}

#[test]
fn commits_are_refused_before_the_disk_is_full_and_reading_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit_blocking(shelf("a", 1)).unwrap();
    let free = store.statistics().free_bytes.unwrap();
    store.close();
    let settings = Settings {
        low_water_bytes: free * 2,
        ..Settings::default()
    };
    let store = Store::open(folder.path(), &settings, Timestamp(2)).unwrap();
    let refused = store.commit_blocking(shelf("a", 2)).unwrap_err();
    assert!(
        matches!(refused, CommitError::Unavailable(Unavailable::Full(_))),
        "{refused}"
    );
    assert_eq!(books(&store, "a"), Some((1, 1)));
    assert_eq!(store.statistics().reopened, 0);
}

#[test]
fn ranges_follow_the_order_of_the_keys() {
    let store = Store::in_memory().unwrap();
    let (one, two) = (AgentId([1; 16]), AgentId([255; 16]));
    let mut batch = Batch::new();
    for number in [300u64, 2, 1, 256] {
        for agent in [two, one] {
            batch.put(
                &(agent, number),
                &Event {
                    what: format!("{number}"),
                },
            );
        }
    }
    store.commit_blocking(batch).unwrap();
    let numbers = |found: Vec<((AgentId, u64), _)>| found.iter().map(|(key, _)| key.1).collect::<Vec<_>>();
    assert_eq!(
        numbers(store.scan::<Event>().unwrap()),
        [1, 2, 256, 300, 1, 2, 256, 300]
    );
    assert_eq!(
        numbers(store.under::<_, _, Event>(&two, 3, true).unwrap()),
        [300, 256, 2]
    );
    assert_eq!(
        numbers(store.under::<_, _, Event>(&one, 9, false).unwrap()),
        [1, 2, 256, 300]
    );
    let range = |from: Bound<(AgentId, u64)>, to: Bound<(AgentId, u64)>, limit, reverse| {
        numbers(
            store
                .range::<Event>(from.as_ref(), to.as_ref(), limit, reverse)
                .unwrap(),
        )
    };
    assert_eq!(
        range(Bound::Excluded((one, 2)), Bound::Included((two, 1)), 9, false),
        [256, 300, 1]
    );
    assert_eq!(range(Bound::Unbounded, Bound::Excluded((one, 256)), 1, true), [2]);
    assert!(range(Bound::Included((two, 1)), Bound::Included((one, 1)), 9, false).is_empty());
    assert!(range(Bound::Excluded((one, 1)), Bound::Excluded((one, 1)), 9, false).is_empty());
    assert!(range(Bound::Unbounded, Bound::Unbounded, 0, false).is_empty());
}

#[test]
fn a_second_opener_is_refused_by_the_name_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = Store::open(folder.path(), &Settings::default(), Timestamp(2)).unwrap_err();
    let OpenError::InUse { holder, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        holder.starts_with(&format!("pid {} on ", std::process::id())),
        "{holder}"
    );
    // A file that replaces the database, as a restore does, doesn't open a second door.
    std::fs::rename(folder.path().join("store.redb"), folder.path().join("old.redb")).unwrap();
    assert!(matches!(
        Store::open(folder.path(), &Settings::default(), Timestamp(2)),
        Err(OpenError::InUse { .. })
    ));
    std::fs::rename(folder.path().join("old.redb"), folder.path().join("store.redb")).unwrap();
    let clone = first.clone();
    first.close();
    open(folder.path());
    let closed = clone.commit_blocking(shelf("a", 1)).unwrap_err();
    assert!(
        matches!(closed, CommitError::Unavailable(Unavailable::Closed)),
        "{closed}"
    );
    assert!(matches!(
        clone.scan::<Shelf>(),
        Err(ReadError::Unavailable(Unavailable::Closed))
    ));
}

#[test]
fn a_newer_schema_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close();
    tamper(folder.path(), "meta_v1", b"schema", |schema| {
        *schema = Some(vec![0, 0, 0, 77]);
    });
    let before = std::fs::read(folder.path().join("store.redb")).unwrap();
    let error = Store::open(folder.path(), &Settings::default(), Timestamp(2)).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 77, .. }));
    assert_eq!(
        error.to_string(),
        "the store has schema 77, which needs a newer version of Muster; this one knows schema 2"
    );
    assert!(before == std::fs::read(folder.path().join("store.redb")).unwrap());
}

#[test]
fn a_changed_row_is_noticed_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut batch = shelf("a", 1);
    batch.put(&name("b"), &Shelf { books: 2 });
    let body = batch.freeze("content");
    store.commit_blocking(batch).unwrap();
    store.close();
    let bend = |value: &mut Option<Vec<u8>>| *value.as_mut().unwrap().last_mut().unwrap() ^= 1;
    tamper(folder.path(), "shelves_v1", b"a", bend);
    tamper(folder.path(), "bodies_v1", &body.0, bend);
    tamper(folder.path(), "stamps_v1", &body.0, bend);

    let store = open(folder.path());
    let error = store.get::<Shelf>(&name("a")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the row a of shelves_v1 can't be trusted: its bytes changed since they were written"
    );
    assert!(store.scan::<Shelf>().is_err());
    let survey = store.survey::<Shelf>().unwrap();
    assert_eq!((survey.rows.len(), survey.unreadable.len()), (1, 1));
    assert!(matches!(store.body(&body), Err(ReadError::Damaged(_))));
    assert!(matches!(store.stamp(&body), Err(ReadError::Damaged(_))));
    let mut batch = Batch::new();
    batch.expect_revision::<Shelf>(&name("a"), 1);
    assert!(matches!(
        store.commit_blocking(batch),
        Err(CommitError::Damaged(_))
    ));
    // Writing it again heals it.
    let mut batch = shelf("a", 3);
    batch.put_body("content");
    store.commit_blocking(batch).unwrap();
    assert_eq!(books(&store, "a"), Some((3, 2)));
    assert_eq!(store.body(&body).unwrap().unwrap(), b"content");
}

#[test]
fn an_older_record_migrates_when_it_is_read_and_a_newer_one_is_refused() {
    assert_eq!(TABLES[0], LATER_TABLES[0]);
    let store = Store::in_memory().unwrap();
    store.commit_blocking(shelf("old", 6)).unwrap();
    assert_eq!(
        store.get::<Bookcase>(&name("old")).unwrap().unwrap().record,
        Bookcase { volumes: 6 }
    );
    let mut batch = Batch::new();
    batch.put(&name("new"), &Bookcase { volumes: 7 });
    store.commit_blocking(batch).unwrap();
    let error = store.get::<Shelf>(&name("new")).unwrap_err();
    assert!(
        error.to_string().contains("a newer version of Muster wrote it"),
        "{error}"
    );
}

#[test]
fn the_list_of_tables_is_complete() {
    let store = Store::in_memory().unwrap();
    let mut batch = shelf("a", 1);
    batch.put(
        &(AgentId([1; 16]), 1),
        &Event {
            what: "seen".to_owned(),
        },
    );
    batch.freeze("x");
    batch.audit(entry("y"));
    store.commit_blocking(batch).unwrap();
    let sizes = store.tables().unwrap();
    let mut names: Vec<&str> = sizes.iter().map(|size| size.table.as_str()).collect();
    let mut known: Vec<&str> = OWN_TABLES.iter().chain(TABLES).copied().collect();
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known);
    assert!(
        sizes.iter().all(|size| size.rows > 0 && size.bytes > 0),
        "{sizes:?}"
    );
    assert!(known.iter().all(|table| table.ends_with("_v1")));
}

#[test]
fn the_audit_log_is_read_from_the_newest_back() {
    let store = Store::in_memory().unwrap();
    for action in ["a", "b", "c", "d"] {
        let mut batch = Batch::new();
        batch.audit(entry(action));
        store.commit_blocking(batch).unwrap();
    }
    let actions = |before, limit| {
        let records = store.audit(before, limit).unwrap();
        records
            .iter()
            .map(|record| record.entry.action.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(actions(None, 2), ["d", "c"]);
    assert_eq!(actions(Some(3), 9), ["b", "a"]);
    let last = store.audit(None, 1).unwrap()[0].hash;
    assert_eq!(
        store.verify_audit().unwrap(),
        AuditVerdict::Intact { records: 4, last }
    );
}

#[test]
fn tampering_with_the_audit_log_is_noticed_at_the_first_record_that_does_not_hold() {
    type Change = fn(&mut Option<Vec<u8>>);
    let cases: [(u64, Change, AuditFault); 4] = [
        (2, |row| row.as_mut().unwrap()[40] ^= 1, AuditFault::Altered),
        (2, |row| *row = None, AuditFault::Missing),
        (4, |row| *row = None, AuditFault::Missing),
        (5, |row| *row = Some(vec![0; 40]), AuditFault::Unexpected),
    ];
    for (number, change, fault) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for action in ["a", "b", "c", "d"] {
            let mut batch = Batch::new();
            batch.audit(entry(action));
            store.commit_blocking(batch).unwrap();
        }
        store.close();
        tamper(folder.path(), "audit_v1", &number.to_be_bytes(), change);
        let verdict = open(folder.path()).verify_audit().unwrap();
        assert_eq!(verdict, AuditVerdict::Broken { number, fault });
    }
}

#[test]
fn a_record_of_another_chain_does_not_fit() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut rows = Vec::new();
    for (folder, first) in folders.iter().zip(["a", "b"]) {
        let store = open(folder.path());
        for action in [first, "same"] {
            let mut batch = Batch::new();
            batch.audit(entry(action));
            store.commit_blocking(batch).unwrap();
        }
        store.close();
        tamper(folder.path(), "audit_v1", &2u64.to_be_bytes(), |row| {
            rows.push(row.clone());
        });
    }
    tamper(folders[0].path(), "audit_v1", &2u64.to_be_bytes(), |row| {
        row.clone_from(&rows[1]);
    });
    let verdict = open(folders[0].path()).verify_audit().unwrap();
    assert_eq!(
        verdict,
        AuditVerdict::Broken {
            number: 2,
            fault: AuditFault::Unlinked
        }
    );
}

#[test]
fn contents_that_nothing_refers_to_are_collected_and_those_put_meanwhile_stay() {
    let store = Store::in_memory().unwrap();
    let mut batch = Batch::new();
    let (kept, loose, revived) = (
        batch.freeze("kept"),
        batch.freeze("loose"),
        batch.put_body("revived"),
    );
    store.commit_blocking(batch).unwrap();
    let collected = store
        .collect_bodies(|| {
            let mut batch = Batch::new();
            batch.put_body("revived");
            store.commit_blocking(batch).unwrap();
            Ok([kept].into())
        })
        .unwrap();
    assert_eq!((collected.bodies, collected.bytes), (1, 5));
    assert!(store.body(&kept).unwrap().is_some() && store.body(&revived).unwrap().is_some());
    assert_eq!(store.body(&loose).unwrap(), None);
    assert_eq!(
        store.stamp(&loose).unwrap().unwrap().generation,
        2,
        "content that comes back keeps its hash"
    );
}

#[test]
fn many_contents_are_removed_in_several_commits_and_none_is_left() {
    let store = Store::in_memory().unwrap();
    let mut batch = Batch::new();
    let kept = batch.put_body("kept");
    for number in 0..2_500 {
        batch.put_body(format!("loose {number}"));
    }
    store.commit_blocking(batch).unwrap();
    let collected = store.collect_bodies(|| Ok([kept].into())).unwrap();
    assert_eq!(collected.bodies, 2_500);
    assert!(store.body(&kept).unwrap().is_some());
    let again = store.collect_bodies(|| Ok([kept].into())).unwrap();
    assert_eq!(again.bodies, 0);
}
