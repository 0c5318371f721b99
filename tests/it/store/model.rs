//! The store against a model: whatever is committed, refused or reopened, both say the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u32),
    Delete(u8),
    Freeze(u8),
    Audit,
}

#[derive(Clone, Debug)]
enum Act {
    /// Expectations as key and revision (0: absent), then steps.
    Commit(Vec<(u8, u64)>, Vec<Step>),
    Reopen,
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8, any::<u32>()).prop_map(|(key, books)| Step::Put(key, books)),
        2 => (0..6u8).prop_map(Step::Delete),
        1 => (0..4u8).prop_map(Step::Freeze),
        1 => Just(Step::Audit),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let expected = proptest::collection::vec((0..6u8, 0..3u64), 0..2);
    prop_oneof![
        8 => (expected, proptest::collection::vec(step(), 0..5)).prop_map(|(a, b)| Act::Commit(a, b)),
        1 => Just(Act::Reopen),
        1 => Just(Act::Collect),
    ]
}

#[derive(Default)]
struct Model {
    shelves: BTreeMap<Name, (u32, u64)>,
    generations: BTreeMap<u8, u64>,
    bodies: Vec<u8>,
    audit: u64,
}

fn key(number: u8) -> Name {
    name(&format!("k{number}"))
}

fn content(number: u8) -> String {
    format!("content {number}")
}

impl Model {
    fn commit(&mut self, expected: &[(u8, u64)], steps: &[Step]) -> bool {
        let revision = |at: u8| self.shelves.get(&key(at)).map_or(0, |(_, revision)| *revision);
        if expected.iter().any(|(at, expected)| revision(*at) != *expected) {
            return false;
        }
        for step in steps {
            match step {
                Step::Put(at, books) => {
                    let kept = self.shelves.entry(key(*at)).or_default();
                    *kept = (*books, kept.1 + 1);
                }
                Step::Delete(at) => drop(self.shelves.remove(&key(*at))),
                Step::Freeze(number) => {
                    let next = self.generations.len() as u64 + 1;
                    self.generations.entry(*number).or_insert(next);
                    if !self.bodies.contains(number) {
                        self.bodies.push(*number);
                    }
                }
                Step::Audit => self.audit += 1,
            }
        }
        true
    }

    fn assert_same(&self, store: &Store) {
        let shelves = store.scan::<Shelf>().unwrap();
        let shelves: BTreeMap<_, _> = shelves
            .into_iter()
            .map(|(key, shelf)| (key, (shelf.record.books, shelf.revision)))
            .collect();
        assert_eq!(shelves, self.shelves);
        assert_eq!(store.generation(), self.generations.len() as u64);
        for number in 0..4 {
            let digest = Digest::of(content(number).as_bytes());
            let generation = store.stamp(&digest).unwrap().map(|stamp| stamp.generation);
            assert_eq!(generation, self.generations.get(&number).copied());
            assert_eq!(
                store.body(&digest).unwrap().is_some(),
                self.bodies.contains(&number)
            );
        }
        let verdict = store.verify_audit().unwrap();
        assert!(
            matches!(verdict, AuditVerdict::Intact { records, .. } if records == self.audit),
            "{verdict:?}"
        );
    }
}

fn batch_of(expected: &[(u8, u64)], steps: &[Step]) -> Batch {
    let mut batch = Batch::new();
    for (at, revision) in expected {
        match revision {
            0 => batch.expect_absent::<Shelf>(&key(*at)),
            revision => batch.expect_revision::<Shelf>(&key(*at), *revision),
        };
    }
    for step in steps {
        match step {
            Step::Put(at, books) => drop(batch.put(&key(*at), &Shelf { books: *books })),
            Step::Delete(at) => drop(batch.delete::<Shelf>(&key(*at))),
            Step::Freeze(number) => drop(batch.freeze(content(*number))),
            Step::Audit => drop(batch.audit(entry("step"))),
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_does_what_the_model_does(acts in proptest::collection::vec(act(), 1..20)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut model = Model::default();
        for act in acts {
            match act {
                Act::Commit(expected, steps) => {
                    let committed = store.commit_blocking(batch_of(&expected, &steps)).is_ok();
                    prop_assert_eq!(committed, model.commit(&expected, &steps));
                }
                Act::Reopen => {
                    store.close();
                    store = open(folder.path());
                }
                Act::Collect => {
                    let collected = store.collect_bodies(|| Ok([Digest::of(content(0).as_bytes())].into()));
                    let kept = u64::from(model.bodies.contains(&0));
                    prop_assert_eq!(collected.unwrap().bodies, model.bodies.len() as u64 - kept);
                    model.bodies.retain(|number| *number == 0);
                }
            }
            model.assert_same(&store);
        }
    }
}
