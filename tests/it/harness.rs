//! A server in this process, with agents and an operator: what integration tests are told with.
//!
//! The real use cases on the real store behind the real agent plane, on a port of 127.0.0.1. The clock stands still
//! until a test moves it.

mod agent;
mod disk;
mod line;
mod operator;
mod poll;
mod process;

pub(crate) use agent::{ALL, Agent, OBSERVED, bearer_of, caps, fresh_uid, text};
pub(crate) use disk::Disk;
pub(crate) use line::{Line, Raw};
pub(crate) use operator::{admin, collector};
pub(crate) use poll::{Answer, Request};
pub(crate) use process::Program;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use muster::agent_plane::{self, AgentPlane};
use muster::app::clock::Clock;
use muster::app::tasks::Tasks;
use muster::app::vault::{Keys, SealKey};
use muster::app::{self, App};
use muster::fleet::hash::HashKey;
use muster::fleet::time::Timestamp;
use muster::http::{Limits, Listener, Peer, Request as HttpRequest, Security, Serving, drain, serve};
use muster::observability::metrics::Metrics;
use muster::opamp;
use muster::store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// How the server proves its hashes.
pub(crate) const KEY: [u8; 32] = [7; 32];

/// What a test wants to be otherwise.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) plane: agent_plane::Settings,
    pub(crate) app: app::Settings,
    pub(crate) limits: Limits,
    /// Whether the background loops run: without them nothing is written late.
    pub(crate) loops: bool,
    /// Whether time passes by itself.
    pub(crate) ticking: bool,
    /// The key in the data folder.
    pub(crate) key: [u8; 32],
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            plane: agent_plane::Settings {
                message: opamp::Limits::default(),
                messages_per_minute: 60_000,
                messages_in_flight: 256 << 20,
                ping: Duration::from_mins(1),
                write_deadline: Duration::from_secs(5),
                first_message_deadline: Duration::from_mins(1),
                body_deadline: Duration::from_secs(5),
                ca_pem: String::new(),
            },
            app: app::Settings {
                connection: offering(),
                ..app::Settings::default()
            },
            limits: Limits::default(),
            loops: true,
            ticking: false,
            key: KEY,
        }
    }
}

/// A server that runs.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    plan: Plan,
    tasks: Tasks,
    folder: Option<tempfile::TempDir>,
    disk: Option<Disk>,
}

impl World {
    /// A server on a store in memory.
    pub(crate) fn start() -> Self {
        Self::with(Plan::default())
    }

    /// A server that is otherwise.
    pub(crate) fn with(plan: Plan) -> Self {
        Self::on(Store::in_memory().unwrap(), clock_of(&plan), plan, None)
    }

    /// A server on a disk.
    pub(crate) fn on_disk(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock_of(&plan);
        let store = Store::open(folder.path(), &muster::store::Settings::default(), clock.now()).unwrap();
        Self::on(store, clock, plan, Some(folder))
    }

    /// A server on a store that somebody made.
    pub(crate) fn on(store: Store, clock: Clock, plan: Plan, folder: Option<tempfile::TempDir>) -> Self {
        let tasks = Tasks::new();
        let (settings, metrics) = (plan.app.clone(), Arc::new(Metrics::new()));
        let app = App::load(
            store.clone(),
            clock.clone(),
            Keys {
                hash: HashKey(plan.key),
                seal: SealKey([9; 32]),
            },
            settings,
            metrics,
            &tasks,
        )
        .unwrap();
        if plan.loops {
            app.start(&tasks);
        }
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let plane = AgentPlane::new(
            Arc::clone(&app),
            plan.plane.clone(),
            tracker.clone(),
            stop.clone(),
        )
        .unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 1024).unwrap();
        let address = listener.address().unwrap();
        tracker.spawn(serve(Serving {
            listener,
            security: Security::Plain,
            limits: plan.limits.clone(),
            service: move |request: HttpRequest, peer: Peer| Arc::clone(&plane).serve(request, peer),
            shutdown: stop.clone(),
            tracker: tracker.clone(),
            counters: Arc::default(),
        }));
        Self {
            app,
            clock,
            address,
            store,
            tracker,
            stop,
            plan,
            tasks,
            folder,
            disk: None,
        }
    }

    /// Stops and starts again after everything was written.
    pub(crate) async fn restart(self) -> Self {
        self.app.close_all_links();
        self.app.flush_all().await;
        self.again().await
    }

    /// Stops and starts again with another key in the data folder.
    pub(crate) async fn restart_with_key(mut self, key: [u8; 32]) -> Self {
        self.plan.key = key;
        self.restart().await
    }

    /// Stops after everything was written; what lay on the disk.
    pub(crate) async fn down(self) -> tempfile::TempDir {
        self.app.close_all_links();
        self.app.flush_all().await;
        self.stop.cancel();
        assert!(drain(&self.tracker, SOON).await, "a connection did not end");
        self.tasks.shutdown(SOON).await.unwrap();
        let (app, store, folder) = (self.app, self.store, self.folder);
        drop(app);
        tokio::task::spawn_blocking(move || store.close()).await.unwrap();
        folder.expect("it is on a disk")
    }

    /// Starts again after a kill: what wasn't in the store is lost.
    pub(crate) async fn kill(self) -> Self {
        self.again().await
    }

    async fn again(self) -> Self {
        let Self {
            app,
            clock,
            store,
            tracker,
            stop,
            plan,
            tasks,
            folder,
            disk,
            ..
        } = self;
        stop.cancel();
        assert!(drain(&tracker, SOON).await, "a connection did not end");
        tasks.shutdown(SOON).await.unwrap();
        drop(app);
        tokio::task::spawn_blocking(move || store.close()).await.unwrap();
        let store = match (&folder, &disk) {
            (Some(folder), _) => {
                Store::open(folder.path(), &muster::store::Settings::default(), clock.now()).unwrap()
            }
            (None, Some(disk)) => disk.open(clock.now()),
            (None, None) => panic!("only what is on a disk survives"),
        };
        let world = Self::on(store, clock, plan, folder);
        Self { disk, ..world }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Waits until something holds, for it is done in the background.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waited = tokio::time::timeout(SOON, async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "never: {what}");
    }
}

/// What agents are told about their connections here: they find the server as `muster`.
fn offering() -> app::offers::Settings {
    let mut names = muster::pki::Names::default();
    names.add("muster").unwrap();
    app::offers::Settings {
        ca_pem: "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n".into(),
        names,
        ..app::offers::Settings::default()
    }
}

/// Begins something that a test goes on with later: it runs as far as it can at once.
pub(crate) async fn begun<T>(
    mut future: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    let done = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
    assert!(!done, "it was over at once");
    future
}

pub(crate) fn clock_of(plan: &Plan) -> Clock {
    if plan.ticking {
        Clock::system()
    } else {
        Clock::manual(Timestamp::from_seconds(1_800_000_000))
    }
}
