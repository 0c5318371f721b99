//! The one thread that writes.
//!
//! It takes whatever waits (what arrived while the previous commit ran) as one group, up to a bound, and commits it once.
//! So a lone batch never waits for company, and under load a commit is shared.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::Database;

use super::Settings;
use super::apply::Group;
use super::batch::{Batch, Committed};
use super::bodies::Collected;
use super::compact::{self, CompactError, Compacted};
use super::database::Shared;
use super::error::{CommitError, OpenError, Unavailable};
use super::key::printable;
use super::lock::FolderLock;
use super::notes::Counters;
use crate::fleet::hash::Digest;

/// How the writer fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Closed,
    Failed,
}

/// What the writer is asked for.
pub(super) enum Job {
    Commit(Batch, Reply),
    /// Begin to remember which contents are put.
    Watch(mpsc::SyncSender<()>),
    /// Remove contents, but none that was put since `Watch`. The last of them ends it.
    Remove {
        digests: Vec<Digest>,
        last: bool,
        reply: mpsc::SyncSender<Result<Collected, CommitError>>,
    },
    /// A reader met a failed storage.
    Reopen,
    /// Look after the room that there is.
    Tend,
    /// Copy everything into a new file and use that.
    Compact(mpsc::SyncSender<Result<Compacted, CompactError>>),
    Close,
}

type Answer = Result<Committed, CommitError>;

/// Where the answer goes. Nobody may be waiting any more.
pub(super) enum Reply {
    Task(tokio::sync::oneshot::Sender<Answer>),
    Thread(mpsc::SyncSender<Answer>),
}

impl From<tokio::sync::oneshot::Sender<Answer>> for Reply {
    fn from(sender: tokio::sync::oneshot::Sender<Answer>) -> Self {
        Self::Task(sender)
    }
}
impl From<mpsc::SyncSender<Answer>> for Reply {
    fn from(sender: mpsc::SyncSender<Answer>) -> Self {
        Self::Thread(sender)
    }
}

impl Reply {
    fn send(self, answer: Answer) {
        match self {
            Self::Task(sender) => drop(sender.send(answer)),
            Self::Thread(sender) => drop(sender.send(answer)),
        }
    }
}

/// The way to the writer thread. Dropping it closes the store.
pub(super) struct Writer {
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn start(
        shared: Arc<Shared>,
        settings: Settings,
        counters: Counters,
        lock: Option<FolderLock>,
    ) -> Result<Self, OpenError> {
        let (jobs, waiting) = mpsc::channel();
        let work = Work {
            shared: Arc::clone(&shared),
            settings,
            counters,
            touched: None,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work.run(&waiting))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            jobs,
            thread: Mutex::new(Some(thread)),
            shared,
        })
    }

    pub(super) fn send(&self, job: Job) -> Result<(), Unavailable> {
        self.jobs.send(job).map_err(|_| self.gone())
    }

    /// Why the writer doesn't answer.
    pub(super) fn gone(&self) -> Unavailable {
        if *self.shared.state.borrow() == State::Closed {
            Unavailable::Closed
        } else {
            Unavailable::WriterGone
        }
    }

    pub(super) fn close(&self) {
        // An error means that it has ended already.
        drop(self.jobs.send(Job::Close));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic of the thread was told through `State::Failed`.
        drop(thread.map(JoinHandle::join));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Work {
    shared: Arc<Shared>,
    settings: Settings,
    counters: Counters,
    /// Contents that were put while somebody looks for those that nothing refers to.
    touched: Option<BTreeSet<Digest>>,
    _lock: Option<FolderLock>,
}

/// Tells that the thread ended, however it did.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if *self.0.state.borrow() == State::Running {
            self.0.abandon();
            self.0.state.send_replace(State::Failed);
        }
    }
}

impl Work {
    fn run(mut self, waiting: &Receiver<Job>) {
        let _ending = Ending(Arc::clone(&self.shared));
        let mut left = None;
        while let Some(job) = left.take().or_else(|| waiting.recv().ok()) {
            match job {
                Job::Commit(batch, reply) => {
                    let group;
                    (group, left) = self.collect(batch, reply, waiting);
                    self.commit(group);
                }
                Job::Watch(reply) => {
                    self.touched.get_or_insert_default();
                    // Nobody waiting is fine, here and below.
                    let _ = reply.send(());
                }
                Job::Remove { digests, last, reply } => {
                    let _ = reply.send(self.remove(&digests, last));
                }
                Job::Reopen => self.reopen_if_suspect(),
                Job::Tend => {
                    self.reopen_if_suspect();
                    self.shared.watch_room();
                }
                Job::Compact(reply) => {
                    let _ = reply.send(self.compact());
                }
                Job::Close => break,
            }
        }
        self.shared.state.send_replace(State::Closed);
        self.shared.close();
    }

    /// What waits behind a batch and can share its commit, and the job that ended the search.
    fn collect(
        &self,
        batch: Batch,
        reply: Reply,
        waiting: &Receiver<Job>,
    ) -> (Vec<(Batch, Reply)>, Option<Job>) {
        let (mut rows, mut bytes) = (batch.rows(), batch.bytes());
        let mut group = vec![(batch, reply)];
        while rows < self.settings.group_rows && bytes < self.settings.group_bytes {
            match waiting.try_recv() {
                Ok(Job::Commit(batch, reply)) => {
                    rows += batch.rows();
                    bytes += batch.bytes();
                    group.push((batch, reply));
                }
                Ok(other) => return (group, Some(other)),
                Err(_) => break,
            }
        }
        (group, None)
    }

    fn compact(&mut self) -> Result<Compacted, CompactError> {
        self.reopen_if_suspect();
        // It has the same counters: nothing is written meanwhile.
        compact::compact(&self.shared).inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "the store can't be compacted"
            );
            if matches!(error, CompactError::Unavailable(_)) {
                self.shared.suspect.store(true, Ordering::Release);
                self.reopen_if_suspect();
            }
        })
    }

    fn commit(&mut self, mut group: Vec<(Batch, Reply)>) {
        if let Some(short) = self.shared.watch_room() {
            let (vital, ordinary) = group.into_iter().partition(|(batch, _)| batch.vital);
            group = vital;
            let ordinary: Vec<_> = ordinary;
            for (_, reply) in ordinary {
                reply.send(Err(Unavailable::Full(short).into()));
            }
            if group.is_empty() {
                return;
            }
        }
        let begun = (self.settings.elapsed)();
        let written = self.write(|work| {
            group
                .iter()
                .map(|(batch, _)| work.apply(batch))
                .collect::<Result<Vec<_>, redb::Error>>()
        });
        match written {
            Ok((answers, rows)) => {
                let refused = answers.iter().filter(|answer| answer.is_err()).count();
                let took = (self.settings.elapsed)().saturating_sub(begun);
                self.shared.tally().committed(group.len(), refused, rows, took);
                if let Some(touched) = &mut self.touched {
                    touched.extend(group.iter().flat_map(|(batch, _)| batch.bodies.keys()));
                }
                for ((batch, reply), answer) in group.into_iter().zip(answers) {
                    if answer.is_ok() {
                        for change in &batch.changes {
                            self.shared
                                .damage
                                .replaced(change.table, || printable(&change.key));
                        }
                    }
                    reply.send(answer);
                }
            }
            Err(unavailable) => {
                self.shared.tally().failed += 1;
                for (_, reply) in group {
                    reply.send(Err(unavailable.clone().into()));
                }
            }
        }
    }

    fn remove(&mut self, digests: &[Digest], last: bool) -> Result<Collected, CommitError> {
        // Without a watch nobody knows what was put meanwhile: somebody else's collection ended it.
        let Some(touched) = self.touched.take() else {
            return Ok(Collected::default());
        };
        let (collected, _) = self.write(|group| group.remove_bodies(digests, &touched))?;
        if !last {
            self.touched = Some(touched);
        }
        Ok(collected)
    }

    /// One durable transaction. When the storage fails, the database is reopened; until that works, everything fails.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Group<'_>) -> Result<T, redb::Error>,
    ) -> Result<(T, u64), Unavailable> {
        self.reopen_if_suspect();
        let written = self.shared.with(|database| {
            write(database, self.shared.founding.epoch, &self.counters, work)
                .map_err(|error| Failure(Unavailable::storage(error)))
        });
        match written {
            Ok((value, counters, rows)) => {
                self.shared
                    .generation
                    .store(counters.generation, Ordering::Release);
                self.counters = counters;
                Ok((value, rows))
            }
            Err(Failure(unavailable)) => {
                tracing::error!(error = &unavailable as &dyn std::error::Error, "a commit failed");
                // What failed may still have become durable, so the counters are read again.
                self.shared.suspect.store(true, Ordering::Release);
                self.reopen_if_suspect();
                Err(unavailable)
            }
        }
    }

    fn reopen_if_suspect(&mut self) {
        if !self.shared.suspect.load(Ordering::Acquire) {
            return;
        }
        match self.shared.reopen() {
            Ok(counters) => self.counters = counters,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store can't be reopened"
                );
                self.shared.suspect.store(true, Ordering::Release);
            }
        }
    }
}

struct Failure(Unavailable);

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self(unavailable)
    }
}

fn write<T>(
    database: &Database,
    epoch: u64,
    counters: &Counters,
    work: impl FnOnce(&mut Group<'_>) -> Result<T, redb::Error>,
) -> Result<(T, Counters, u64), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(redb::Durability::Immediate)?;
    // Without it, the start after a kill walks the whole file.
    transaction.set_quick_repair(true);
    let mut group = Group::new(&transaction, epoch, counters);
    let value = work(&mut group)?;
    let (counters, rows) = group.finish()?;
    if rows == 0 {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok((value, counters, rows))
}
