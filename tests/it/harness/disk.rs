//! A disk that can be told to fail, to be slow, and to be well again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use muster::fleet::agent::{Origin, Registration};
use muster::fleet::ids::{AgentId, CredentialId};
use muster::fleet::time::Timestamp;
use muster::store::{Batch, Settings, Store};

use super::{Plan, World};

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    fails: Arc<AtomicBool>,
    slow: Arc<(Mutex<Slow>, Condvar)>,
}

/// How a disk that is held up stands.
#[derive(Debug, Default)]
struct Slow {
    held: bool,
    waits: bool,
    fails_once: bool,
}

impl Disk {
    /// Holds up every commit from now on.
    pub(crate) fn hold(&self) {
        self.slow.0.lock().unwrap().held = true;
    }

    /// Whether a commit is held up.
    pub(crate) fn waits(&self) -> bool {
        self.slow.0.lock().unwrap().waits
    }

    /// Lets commits go on.
    pub(crate) fn go_on(&self) {
        self.slow.0.lock().unwrap().held = false;
        self.slow.1.notify_all();
    }

    /// Fails the commit that is held up, and lets those behind it go on.
    pub(crate) fn fail_held(&self) {
        self.slow.0.lock().unwrap().fails_once = true;
        self.go_on();
    }

    fn sync_when_let(&self) -> io::Result<()> {
        let (slow, let_go) = (&self.slow.0, &self.slow.1);
        let mut slow = slow.lock().unwrap();
        while slow.held {
            slow.waits = true;
            slow = let_go.wait(slow).unwrap();
        }
        slow.waits = false;
        if std::mem::take(&mut slow.fails_once) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Whether writes fail from now on.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The store on it.
    pub(super) fn open(&self, now: Timestamp) -> Store {
        let backend = self.clone();
        Store::on_backend(move || Ok(backend.clone()), &Settings::default(), now).unwrap()
    }

    fn writable(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.bytes.lock().unwrap()[from..from + out.len()]);
        Ok(())
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.writable()?;
        self.bytes
            .lock()
            .unwrap()
            .resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.sync_when_let()?;
        self.writable()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writable()?;
        let from = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

impl World {
    /// A server on a disk that can fail. Nothing is written but what a message leads to.
    pub(crate) fn on_failing_disk() -> (Disk, Self) {
        let disk = Disk::default();
        let plan = Plan {
            loops: false,
            ..Plan::default()
        };
        let clock = super::clock_of(&plan);
        let mut world = Self::on(disk.open(clock.now()), clock, plan, None);
        world.disk = Some(disk.clone());
        (disk, world)
    }

    /// Waits until the store takes writes again.
    pub(crate) async fn recovered(&self) {
        let probe = Registration::new(AgentId([0xee; 16]), CredentialId([0xee; 16]), Origin::default());
        let deadline = tokio::time::Instant::now() + super::SOON;
        loop {
            let mut batch = Batch::new();
            batch.put(&probe.id, &probe);
            if self.store.commit(batch).await.is_ok() {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "the store stays broken");
            tokio::task::yield_now().await;
        }
    }
}
