//! Storage that fails, lies, or loses power.

use std::io;
use std::sync::{Arc, Mutex};

use super::*;

/// What a disk does with the next write, resize or sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// Counts down, then one operation fails as on a full disk.
    FailsOnce(u64),
    /// Counts down, then the power is off.
    LosesPower(u64),
    Off,
    Panics,
}

#[derive(Clone, Debug)]
enum Operation {
    Resize(u64),
    Write(u64, Vec<u8>),
}

#[derive(Debug)]
struct Platter {
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// What reads see.
    current: Vec<u8>,
    /// What came since the last sync.
    pending: Vec<Operation>,
    mood: Mood,
    /// Whether a sync only says that it did.
    lies: bool,
}

/// A disk in memory that several openings share.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

fn apply(image: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Resize(length) => image.resize(usize::try_from(*length).unwrap(), 0),
        Operation::Write(offset, data) => {
            let from = usize::try_from(*offset).unwrap();
            let to = from + data.len();
            image.resize(image.len().max(to), 0);
            image[from..to].copy_from_slice(data);
        }
    }
}

impl Disk {
    pub(super) fn new(image: Vec<u8>) -> Self {
        let platter = Platter {
            durable: image.clone(),
            current: image,
            pending: Vec::new(),
            mood: Mood::Good,
            lies: false,
        };
        Self(Arc::new(Mutex::new(platter)))
    }

    pub(super) fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    pub(super) fn mood(&self) -> Mood {
        self.0.lock().unwrap().mood
    }

    pub(super) fn store(&self) -> Result<Store, OpenError> {
        let disk = self.clone();
        Store::on_backend(move || Ok(disk.clone()), &Settings::default(), Timestamp(1))
    }

    fn change(&self, operation: Option<Operation>) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        match &mut platter.mood {
            Mood::Good => {}
            Mood::FailsOnce(0) => {
                platter.mood = Mood::Good;
                return Err(io::ErrorKind::StorageFull.into());
            }
            Mood::LosesPower(0) | Mood::Off => {
                platter.mood = Mood::Off;
                return Err(io::ErrorKind::NotConnected.into());
            }
            Mood::FailsOnce(left) | Mood::LosesPower(left) => *left -= 1,
            Mood::Panics => {
                // Once, or the unwinding would panic again.
                platter.mood = Mood::Good;
                drop(platter);
                panic!("asked to");
            }
        }
        match operation {
            Some(operation) => {
                apply(&mut platter.current, &operation);
                platter.pending.push(operation);
            }
            None if platter.lies => {}
            None => {
                let Platter { durable, pending, .. } = &mut *platter;
                pending.drain(..).for_each(|operation| apply(durable, &operation));
            }
        }
        Ok(())
    }

    /// What a power cut leaves: everything until the last sync, and of the rest some sectors of some writes.
    pub(super) fn after_power_cut(&self, chance: &mut fastrand::Rng) -> Vec<u8> {
        let platter = self.0.lock().unwrap();
        let mut image = platter.durable.clone();
        for operation in &platter.pending {
            match operation {
                Operation::Resize(_) if chance.bool() => apply(&mut image, operation),
                Operation::Resize(_) => {}
                Operation::Write(offset, data) => {
                    for (sector, bytes) in (*offset..).step_by(512).zip(data.chunks(512)) {
                        if chance.bool() {
                            apply(&mut image, &Operation::Write(sector, bytes.to_vec()));
                        }
                    }
                }
            }
        }
        image
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().current.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.0.lock().unwrap();
        if platter.mood == Mood::Off {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let from = usize::try_from(offset).unwrap();
        let bytes = platter
            .current
            .get(from..from + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Some(Operation::Resize(length)))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.change(None)
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Some(Operation::Write(offset, data.to_vec())))
    }
}

/// Writes the same number to two tables, big enough that the file grows now and then.
pub(super) fn pair(number: u32) -> Batch {
    let mut batch = shelf(&format!("n{number}"), number);
    batch.put(
        &(AgentId([1; 16]), u64::from(number)),
        &Event {
            what: "x".repeat(9_000),
        },
    );
    batch.audit(entry("pair"));
    batch
}

/// Whether `store` has the batches that were acknowledged, each whole, and others whole or not at all.
fn check(store: &Store, acknowledged: &[u32]) -> Result<(), String> {
    let batches = check_rows(store, acknowledged)?;
    match store.verify_audit().unwrap() {
        AuditVerdict::Intact { records, .. } if records == batches => Ok(()),
        verdict @ (AuditVerdict::Intact { .. } | AuditVerdict::Broken { .. }) => Err(format!("{verdict:?}")),
    }
}

/// The same of the records alone. How many batches there are.
pub(super) fn check_rows(store: &Store, acknowledged: &[u32]) -> Result<u64, String> {
    let mut shelves: Vec<u64> = store
        .scan::<Shelf>()
        .unwrap()
        .iter()
        .map(|(_, shelf)| u64::from(shelf.record.books))
        .collect();
    shelves.sort_unstable();
    let events: Vec<u64> = store
        .scan::<Event>()
        .unwrap()
        .iter()
        .map(|((_, number), _)| *number)
        .collect();
    if shelves != events {
        return Err(format!("half a batch: {shelves:?} and {events:?}"));
    }
    if let Some(lost) = acknowledged
        .iter()
        .find(|number| !events.contains(&u64::from(**number)))
    {
        return Err(format!("lost {lost}"));
    }
    Ok(events.len() as u64)
}

/// What is written again and again, by its name.
type Scenario = (&'static str, fn(u32) -> Batch);

/// A batch that also freezes a content.
fn freezing(number: u32) -> Batch {
    let mut batch = pair(number);
    batch.freeze(format!("content {number}").repeat(700)).to_string();
    batch
}

/// A batch that also makes many rows and removes those of the one before.
fn churning(number: u32) -> Batch {
    let mut batch = pair(number);
    for row in 0..40 {
        batch.delete::<Shelf>(&name(&format!("x{}-{row}", number.saturating_sub(1))));
    }
    for row in 0..40 {
        batch.put(&name(&format!("y{row}")), &Shelf { books: 0 });
        batch.delete::<Shelf>(&name(&format!("y{row}")));
    }
    batch
}

#[test]
fn a_full_disk_refuses_and_resumes_without_a_restart_whichever_write_fails() {
    let scenarios: [Scenario; 3] = [("pairs", pair), ("contents", freezing), ("churn", churning)];
    for (scenario, batch) in scenarios {
        let mut failures = 0;
        for at in 0.. {
            let told = format!("{scenario}, write {at}");
            let disk = Disk::new(Vec::new());
            let store = disk.store().unwrap();
            disk.set(Mood::FailsOnce(at));
            let mut acknowledged = Vec::new();
            for number in 0..6 {
                match store.commit_blocking(batch(number)) {
                    Ok(_) => acknowledged.push(number),
                    Err(CommitError::Unavailable(Unavailable::Full(_))) => failures += 1,
                    Err(error) => panic!("{told}: {error:?}"),
                }
            }
            assert!(acknowledged.len() >= 5, "{told}: one failure costs one batch");
            check(&store, &acknowledged).unwrap_or_else(|error| panic!("{told}: {error}"));
            let spent = disk.mood() == Mood::Good;
            disk.set(Mood::Good);
            store.close();
            check(&disk.store().unwrap(), &acknowledged).unwrap_or_else(|error| panic!("{told}: {error}"));
            if !spent {
                break;
            }
        }
        assert!(failures > 20, "{scenario}: only {failures} writes failed");
    }
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let images = kill::variable("MUSTER_POWER_CUTS").map_or(60, |images| images.parse().unwrap());
    for seed in 0..images {
        if let Err(error) = power_cut(seed, false) {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_caught_by_this_very_test() {
    // The database may also panic over what such a disk leaves: caught, too.
    let caught =
        |seed| !std::panic::catch_unwind(|| power_cut(seed, true)).is_ok_and(|result| result.is_ok());
    assert!((0..40).any(caught));
}

fn power_cut(seed: u64, lies: bool) -> Result<(), String> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let disk = Disk::new(Vec::new());
    let store = disk.store().unwrap();
    disk.0.lock().unwrap().lies = lies;
    disk.set(Mood::LosesPower(chance.u64(0..150)));
    let acknowledged: Vec<u32> = (0..12)
        .take_while(|number| store.commit_blocking(freezing(*number)).is_ok())
        .collect();
    disk.set(Mood::Off);
    store.close();
    let image = disk.after_power_cut(&mut chance);
    // Again, while the first start repairs.
    let disk = Disk::new(image);
    disk.set(Mood::LosesPower(chance.u64(0..20)));
    drop(disk.store());
    disk.set(Mood::Off);
    let store = Disk::new(disk.after_power_cut(&mut chance))
        .store()
        .map_err(|error| format!("{error:?}"))?;
    check(&store, &acknowledged)
}

#[test]
fn a_reader_that_meets_a_failed_storage_has_it_reopened() {
    let disk = Disk::new(Vec::new());
    let store = disk.store().unwrap();
    store.commit_blocking(pair(1)).unwrap();
    disk.set(Mood::Off);
    assert!(matches!(
        store.commit_blocking(pair(2)),
        Err(CommitError::Unavailable(Unavailable::Storage(_)))
    ));
    assert!(matches!(
        store.scan::<Shelf>(),
        Err(ReadError::Unavailable(Unavailable::Storage(_)))
    ));
    disk.set(Mood::Good);
    // The first read that fails asks for the reopening; it happens on the writer's thread.
    while store.scan::<Shelf>().is_err() {
        std::thread::yield_now();
    }
    check(&store, &[1]).unwrap();
    store.commit_blocking(pair(3)).unwrap();
    assert!(store.statistics().reopened >= 2);
}

#[tokio::test]
async fn a_dead_writer_is_told_and_fails_every_commit() {
    let disk = Disk::new(Vec::new());
    let store = disk.store().unwrap();
    store.commit(pair(1)).await.unwrap();
    disk.set(Mood::Panics);
    let lost = store.commit(pair(2)).await.unwrap_err();
    assert!(
        matches!(lost, CommitError::Unavailable(Unavailable::WriterGone)),
        "{lost}"
    );
    store.failed().await;
    assert!(matches!(
        store.scan::<Shelf>(),
        Err(ReadError::Unavailable(Unavailable::WriterGone))
    ));
    let refused = store.commit(pair(3)).await.unwrap_err();
    assert!(
        matches!(refused, CommitError::Unavailable(Unavailable::WriterGone)),
        "{refused}"
    );
}
