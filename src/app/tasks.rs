//! Named, supervised tasks: the only place that spawns.
//!
//! Kinds: [`Tasks::spawn`] for work that may die alone (a connection), [`Tasks::spawn_critical`] for work without
//! which the server must not go on (a listener), and [`Tasks::spawn_loop`] for background work that compares what is with
//! what should be; [`Tasks::spawn_mending`] is the same for work that may fail for a while. All of them are told to stop by one token, and [`Tasks::shutdown`] names those that did not.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// The running tasks of a server. Clones are handles to the same set.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many tasks run under each name: a name costs nothing per task.
    running: Mutex<BTreeMap<&'static str, usize>>,
    ended: Notify,
    stop: CancellationToken,
    failure: watch::Sender<Option<Failure>>,
    /// What failed at last and was started again, until it succeeds.
    mending: Mutex<BTreeMap<&'static str, Mending>>,
}

/// How a task that died and is started again stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mending {
    /// How often it died since it last succeeded.
    pub times: u32,
    /// What it said at last.
    pub message: String,
}

/// Why the server cannot go on: a critical task ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task {task:?} {reason}")]
pub struct Failure {
    /// The name of the task.
    pub task: &'static str,
    /// How it ended.
    pub reason: FailureReason,
}

/// How a critical task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// It panicked, with this message.
    Panicked(String),
    /// It returned although nobody had asked it to stop.
    Ended,
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Ended => f.write_str("ended by itself"),
        }
    }
}

/// Tasks of one name that were still running when the time to stop was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstopped {
    /// The name of the tasks.
    pub task: &'static str,
    /// How many of that name were left.
    pub count: usize,
}

/// Wakes a background loop. Activations coalesce: any number of them before the loop wakes is one run.
#[derive(Clone, Debug, Default)]
pub struct Activation(Arc<Notify>);

impl Activation {
    /// An activation that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a run soon. Never blocks; one made during a run leads to one more run.
    pub fn activate(&self) {
        self.0.notify_one();
    }

    /// Completes when a run was asked for since it last completed.
    pub async fn activated(&self) {
        self.0.notified().await;
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No task yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            running: Mutex::default(),
            ended: Notify::new(),
            stop: CancellationToken::new(),
            failure: watch::Sender::new(None),
            mending: Mutex::default(),
        }))
    }

    /// Runs `work` as a task that may die alone: a panic is logged under its name and nothing else stops.
    /// The work is expected to watch [`Tasks::stopping`].
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Running::enter(self, name);
        self.start(async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                tracing::error!(
                    task = running.name,
                    message_of_panic = message(&*panic),
                    "a task panicked"
                );
            }
            drop(running);
        });
    }

    /// Runs `work` as a task that the server cannot do without: when it panics, or ends before it was asked to stop,
    /// [`Tasks::failed`] completes.
    pub fn spawn_critical<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Running::enter(self, name);
        self.start(async move {
            let shared = &running.shared;
            match AssertUnwindSafe(work).catch_unwind().await {
                Err(panic) => shared.fail(running.name, FailureReason::Panicked(message(&*panic).to_owned())),
                Ok(()) if !shared.stop.is_cancelled() => shared.fail(running.name, FailureReason::Ended),
                Ok(()) => {}
            }
            drop(running);
        });
    }

    /// Runs `work` whenever it was activated, and at the latest every `period`, until the server stops; a run that has
    /// begun is finished. The work takes no input and is idempotent: it compares and may run twice. Critical.
    pub fn spawn_loop<W, F>(&self, name: &'static str, activation: Activation, period: Duration, mut work: W)
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let stop = self.stopping();
        self.spawn_critical(name, async move {
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = activation.activated() => {}
                    () = tokio::time::sleep(period) => {}
                }
                work().await;
            }
        });
    }

    /// The same for work without which the server does well for a while: a run that panics is tried again, at first after a
    /// second and then less and less often, and is told of by [`Tasks::mending`] until one succeeds.
    pub fn spawn_mending<W, F>(&self, name: &'static str, period: Duration, mut work: W)
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        const LONGEST: Duration = Duration::from_mins(5);
        let (stop, shared) = (self.stopping(), Arc::clone(&self.0));
        self.spawn_critical(name, async move {
            let mut wait = period;
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(wait) => {}
                }
                let Err(panic) = AssertUnwindSafe(async { work().await }).catch_unwind().await else {
                    shared.mending().remove(name);
                    wait = period;
                    continue;
                };
                let times = shared.mends(name, message(&*panic));
                let doubled = period
                    .min(Duration::from_secs(1))
                    .saturating_mul(1 << times.saturating_sub(1).min(16));
                wait = doubled.min(LONGEST);
            }
        });
    }

    /// The tasks that died, are started again, and have not succeeded since.
    #[must_use]
    pub fn mending(&self) -> BTreeMap<&'static str, Mending> {
        self.0.mending().clone()
    }

    /// Cancelled once the server is asked to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Completes when a critical task has died, naming it; never otherwise.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.0.failure.subscribe();
        // The sender lives in `self`, so waiting ends only with a failure.
        match failure.wait_for(Option::is_some).await.map(|found| found.clone()) {
            Ok(Some(failure)) => failure,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// How many tasks run now, by name.
    #[must_use]
    pub fn running(&self) -> BTreeMap<&'static str, usize> {
        self.0.running().clone()
    }

    /// Tells all tasks to stop and waits until they have, at most for `deadline`.
    ///
    /// # Errors
    /// The tasks that were still running then; the runtime drops them.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Vec<Unstopped>> {
        self.0.stop.cancel();
        let all_ended = async {
            loop {
                let ended = self.0.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if self.0.running().is_empty() {
                    return;
                }
                ended.await;
            }
        };
        match tokio::time::timeout(deadline, all_ended).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self
                .running()
                .into_iter()
                .map(|(task, count)| Unstopped { task, count })
                .collect()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this module is where tasks are spawned")]
    #[expect(clippy::unused_self, reason = "a task is always one of a set")]
    fn start<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(task);
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        // Nothing panics while holding it, so a poisoned lock still holds true counts.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mending(&self) -> MutexGuard<'_, BTreeMap<&'static str, Mending>> {
        self.mending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a task died and is started again. How often it did so.
    fn mends(&self, task: &'static str, message: &str) -> u32 {
        tracing::error!(
            task,
            message_of_panic = message,
            "a task died and is started again"
        );
        let mut mending = self.mending();
        let times = mending.get(task).map_or(0, |known| known.times).saturating_add(1);
        let message = message.to_owned();
        mending.insert(task, Mending { times, message });
        times
    }

    /// Keeps the first failure: what follows is usually its consequence.
    fn fail(&self, task: &'static str, reason: FailureReason) {
        let failure = Failure { task, reason };
        tracing::error!(task, reason = %failure.reason, "a critical task died");
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
    }
}

/// One running task; counts itself out when dropped, also when the runtime drops the task.
struct Running {
    name: &'static str,
    shared: Arc<Shared>,
}

impl Running {
    fn enter(tasks: &Tasks, name: &'static str) -> Self {
        let shared = Arc::clone(&tasks.0);
        *shared.running().entry(name).or_default() += 1;
        Self { name, shared }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        if let Some(count) = running.get_mut(self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(self.name);
            }
        }
        let none_left = running.is_empty();
        drop(running);
        if none_left {
            self.shared.ended.notify_waiters();
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "a panic without a message",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn a_loop_runs_when_activated_and_activations_coalesce() {
        let tasks = Tasks::new();
        let activation = Activation::new();
        let (runs, mut seen) = mpsc::unbounded_channel();
        activation.activate();
        activation.activate();
        activation.activate();
        tasks.spawn_loop("count", activation.clone(), LONG, move || {
            let runs = runs.clone();
            async move { runs.send(()).unwrap() }
        });
        seen.recv().await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(50), seen.recv())
                .await
                .is_err(),
            "three activations before the loop woke are one run"
        );
        activation.activate();
        seen.recv().await.unwrap();
        tasks.shutdown(LONG).await.unwrap();
    }

    #[tokio::test]
    async fn a_loop_runs_every_period_without_activation() {
        let tasks = Tasks::new();
        let (runs, mut seen) = mpsc::unbounded_channel();
        tasks.spawn_loop("tick", Activation::new(), Duration::from_millis(1), move || {
            let runs = runs.clone();
            async move { runs.send(()).unwrap() }
        });
        for _ in 0..3 {
            seen.recv().await.unwrap();
        }
        tasks.shutdown(LONG).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_a_critical_task_names_the_task() {
        let tasks = Tasks::new();
        let activation = Activation::new();
        activation.activate();
        tasks.spawn_loop("reconcile", activation, LONG, || async {
            panic!("the plan is wrong")
        });
        let failure = tasks.failed().await;
        assert_eq!(
            failure.to_string(),
            "the task \"reconcile\" panicked: the plan is wrong"
        );
    }

    #[tokio::test]
    async fn a_critical_task_that_ends_by_itself_is_a_failure_and_one_that_was_stopped_is_not() {
        let tasks = Tasks::new();
        tasks.spawn_critical("listener", async {});
        assert_eq!(tasks.failed().await.reason, FailureReason::Ended);

        let tasks = Tasks::new();
        let stop = tasks.stopping();
        tasks.spawn_critical("listener", async move { stop.cancelled().await });
        tasks.shutdown(LONG).await.unwrap();
        assert!(tasks.failed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_task_that_is_started_again_is_told_of_until_it_succeeds() {
        let tasks = Tasks::new();
        let (runs, mut seen) = mpsc::unbounded_channel();
        let mut left = 3;
        tasks.spawn_mending("scrub", Duration::from_millis(40), move || {
            left -= 1;
            let (fails, runs) = (left > 0, runs.clone());
            async move {
                runs.send(()).unwrap();
                assert!(!fails, "not now");
            }
        });
        for died in 1..3 {
            seen.recv().await.unwrap();
            tokio::task::yield_now().await;
            let mending = tasks.mending();
            assert_eq!(mending.get("scrub").map(|found| found.times), Some(died));
            assert_eq!(mending["scrub"].message, "not now");
        }
        seen.recv().await.unwrap();
        tokio::task::yield_now().await;
        assert!(tasks.mending().is_empty());
        assert!(tasks.failed().now_or_never().is_none());
        tasks.shutdown(LONG).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_a_connection_stops_nothing_else() {
        let tasks = Tasks::new();
        let survivors = Arc::new(AtomicUsize::new(0));
        tasks.spawn("connection", async { panic!("one bad peer") });
        let (stop, count) = (tasks.stopping(), Arc::clone(&survivors));
        tasks.spawn("connection", async move {
            stop.cancelled().await;
            count.fetch_add(1, Ordering::SeqCst);
        });
        tasks.shutdown(LONG).await.unwrap();
        assert_eq!(survivors.load(Ordering::SeqCst), 1);
        assert!(tasks.failed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn shutdown_names_the_tasks_that_did_not_stop() {
        let tasks = Tasks::new();
        tasks.spawn("stuck", std::future::pending());
        tasks.spawn("stuck", std::future::pending());
        let stop = tasks.stopping();
        tasks.spawn("tidy", async move { stop.cancelled().await });
        assert_eq!(
            tasks.shutdown(Duration::from_millis(20)).await,
            Err(vec![Unstopped {
                task: "stuck",
                count: 2
            }])
        );
    }
}
