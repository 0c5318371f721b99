//! A disk that can be told to fail, and to be well again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use muster::fleet::agent::{Origin, Registration};
use muster::fleet::ids::{AgentId, CredentialId};
use muster::store::{Batch, Settings, Store};

use super::{Plan, World};

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    fails: Arc<AtomicBool>,
}

impl Disk {
    /// Whether writes fail from now on.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
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
        let backend = disk.clone();
        let open = move || Ok(backend.clone());
        let store = Store::on_backend(open, &Settings::default(), clock.now()).unwrap();
        (disk, Self::on(store, clock, plan, None))
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
