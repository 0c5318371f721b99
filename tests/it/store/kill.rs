//! SIGKILL at any time: what was acknowledged is there, and nothing is there by half.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const CHILD: &str = "MUSTER_TEST_KILL_FOLDER";
const WRITERS: u64 = 6;

#[expect(
    clippy::disallowed_methods,
    reason = "how many kills a run makes is asked of the environment"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What batch `number` writes, in three tables, a body and the audit log.
fn numbered(number: u64) -> Batch {
    let mut batch = Batch::new();
    for agent in [1, 2] {
        batch.put(
            &(AgentId([agent; 16]), number),
            &Event {
                what: "x".repeat((number % 700) as usize),
            },
        );
    }
    batch.put(&name("last"), &Shelf { books: 0 });
    batch.freeze(format!("content {number}")).to_string();
    batch.audit(AuditEntry {
        object: number.to_string(),
        ..entry("number")
    });
    batch
}

fn numbers(store: &Store, agent: u8) -> Vec<u64> {
    let rows = store
        .under::<_, _, Event>(&AgentId([agent; 16]), usize::MAX, false)
        .unwrap();
    rows.into_iter().map(|((_, number), _)| number).collect()
}

/// Commits numbered batches from several tasks and tells each acknowledgement, until it is killed.
fn child(folder: &Path) {
    let store = open(folder);
    let next = AtomicU64::new(numbers(&store, 1).last().map_or(1, |last| last + 1));
    // A kill may come in the middle of a compaction, too.
    let compacting = store.clone();
    std::thread::spawn(move || {
        while compacting.compact().is_ok() {
            std::thread::yield_now();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|_| async {
            // Ends by itself if nobody kills it.
            while next.load(Ordering::Relaxed) < 100_000 {
                let number = next.fetch_add(1, Ordering::Relaxed);
                store.commit(numbered(number)).await.unwrap();
                let line = format!("ack {number}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
        futures_util::future::join_all(writers).await;
    });
}

/// Starts a child on `folder`, kills it after `patience` acknowledgements, and returns all that came out of it.
fn acknowledged_until_killed(folder: &Path, patience: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::kill::nothing_acknowledged_is_lost_to_a_kill",
            "--nocapture",
        ])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        // A line without its end was cut by the kill.
        if let Some(number) = line.strip_prefix("ack ").and_then(|line| line.strip_suffix('\n')) {
            acknowledged.push(number.parse().unwrap());
            if acknowledged.len() == patience {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(
        acknowledged.len() >= patience,
        "the child ended before it was killed"
    );
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    if let Some(folder) = variable(CHILD) {
        return child(Path::new(&folder));
    }
    let kills = variable("MUSTER_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..kills {
        let patience = fastrand::usize(1..250);
        acknowledged.extend(acknowledged_until_killed(folder.path(), patience));

        let store = open(folder.path());
        let found = numbers(&store, 1);
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|number| found.binary_search(number).is_err())
            .collect();
        assert!(lost.is_empty(), "lost {lost:?} of {}", acknowledged.len());
        assert_eq!(found, numbers(&store, 2), "half a batch");
        let whole = found.len() as u64;
        assert_eq!(books(&store, "last"), Some((0, whole)), "half a batch");
        assert_eq!(store.generation(), whole, "half a batch");
        for number in &found {
            let digest = Digest::of(format!("content {number}").as_bytes());
            assert!(store.body(&digest).unwrap().is_some() && store.stamp(&digest).unwrap().is_some());
        }
        let verdict = store.verify_audit().unwrap();
        assert!(
            matches!(verdict, AuditVerdict::Intact { records, .. } if records == whole),
            "{verdict:?}"
        );
        store.close();
    }
}
