//! Flipped bits: noticed, or without effect; never taken for what was written.

use std::collections::BTreeMap;
use std::io::Write as _;

use muster::store::Place;

use super::*;

/// Everything that a store says, in one text per subject.
type Said = BTreeMap<String, String>;

fn furnished(folder: &Path) -> Store {
    let store = open(folder);
    for number in 0..60 {
        let mut batch = shelf(&format!("n{number}"), number);
        batch.put(
            &(AgentId([(number % 5) as u8; 16]), u64::from(number)),
            &Event {
                what: format!("{number} ").repeat(40),
            },
        );
        batch.freeze(format!("content {number} ").repeat(10)).to_string();
        batch.audit(entry(&format!("act {number}")));
        store.commit_blocking(batch).unwrap();
    }
    store
}

/// What a store says when everything is asked for; an error where any of it can't be trusted.
fn said(store: &Store) -> Result<Said, String> {
    let failed = |error: ReadError| error.to_string();
    let mut said = Said::new();
    for (key, row) in store.scan::<Shelf>().map_err(failed)? {
        // Also by its key, as most reading is done.
        let found = store.get::<Shelf>(&key).map_err(failed)?;
        if found.as_ref() != Some(&row) {
            return Err(format!("{key} is not found"));
        }
        said.insert(format!("shelf {key}"), format!("{row:?}"));
    }
    for (key, row) in store.scan::<Event>().map_err(failed)? {
        said.insert(format!("event {key:?}"), format!("{row:?}"));
    }
    for number in 0..60 {
        let content = format!("content {number} ").repeat(10);
        let digest = Digest::of(content.as_bytes());
        said.insert(
            format!("body {number}"),
            format!("{:?}", store.body(&digest).map_err(failed)?),
        );
        said.insert(
            format!("stamp {number}"),
            format!("{:?}", store.stamp(&digest).map_err(failed)?),
        );
    }
    said.insert(
        "audit".into(),
        format!("{:?}", store.audit(None, 1_000).map_err(failed)?),
    );
    said.insert(
        "verdict".into(),
        format!("{:?}", store.verify_audit().map_err(failed)?),
    );
    said.insert("epoch".into(), store.epoch().to_string());
    said.insert("generation".into(), store.generation().to_string());
    Ok(said)
}

/// Whether a whole walk finds anything.
fn scrubbed(store: &Store) -> Result<usize, String> {
    let mut place = Some(Place::default());
    let mut found = 0;
    while let Some(at) = place {
        let looked = store.scrub(&at, 10_000).map_err(|error| error.to_string())?;
        found += looked.unreadable.len();
        place = looked.next;
    }
    Ok(found)
}

#[test]
fn a_walk_over_an_intact_store_finds_nothing_and_sees_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = furnished(folder.path());
    assert_eq!(scrubbed(&store), Ok(0));
    let rows: u64 = store.tables().unwrap().iter().map(|table| table.rows).sum();
    let looked = store.scrub(&Place::default(), u64::MAX).unwrap();
    assert_eq!((looked.rows, looked.next), (rows, None));
    assert!(store.unreadable().is_empty());
}

#[test]
fn no_flipped_bit_is_taken_for_what_was_written() {
    let flips: usize = kill::variable("MUSTER_FLIPS").map_or(60, |flips| flips.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = furnished(folder.path());
    let truth = said(&store).unwrap();
    store.close();
    let image = std::fs::read(folder.path().join("store.redb")).unwrap();
    // Most of the file is empty; what is flipped there says little.
    let used: Vec<usize> = image
        .chunks(4096)
        .enumerate()
        .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
        .map(|(page, _)| page * 4096)
        .collect();
    let mut chance = fastrand::Rng::with_seed(11);
    let (mut refused, mut noticed, mut harmless) = (0, 0, 0);
    for flip in 0..flips {
        let mut bent = image.clone();
        let at = used[chance.usize(0..used.len())] + chance.usize(0..4096);
        bent[at] ^= 1 << chance.u8(0..8);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("store.redb"), &bent).unwrap();
        let looked = std::panic::catch_unwind(|| {
            let store = Store::open(folder.path(), &Settings::default(), Timestamp(1))
                .map_err(|error| error.to_string())?;
            let found = scrubbed(&store)?;
            // The walk comes first: whoever looks at System hears of it before anybody relies on what is read.
            Ok::<_, String>((found, said(&store)))
        });
        match looked {
            Err(_) | Ok(Err(_)) => refused += 1,
            Ok(Ok((1.., _) | (_, Err(_)))) => noticed += 1,
            Ok(Ok((0, Ok(said)))) => {
                let broken = said
                    .get("verdict")
                    .is_some_and(|verdict| !verdict.starts_with("Intact"));
                if broken {
                    noticed += 1;
                } else {
                    assert!(
                        said == truth,
                        "flip {flip} at byte {at} was taken for what was written"
                    );
                    harmless += 1;
                }
            }
        }
    }
    let told = format!("{flips} flips: {refused} refused, {noticed} noticed, {harmless} without effect\n");
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    assert!(noticed + refused > flips / 10, "hardly anything was hit");
}
