//! The composition root: builds everything from settings, binds, runs and drains.

mod data_folder;
pub mod doctor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin_plane::pages::help::{Manual, SettingHelp};
use crate::admin_plane::{self, AdminPlane, Site};
use crate::agent_plane::{self, AgentPlane};
use crate::app::accounts::SetupStatus;
use crate::app::certificates::GivenCertificate;
use crate::app::clock::Clock;
use crate::app::tasks::{Activation, Failure, FailureReason, Tasks};
use crate::app::vault::Keys;
use crate::app::{self, App};
use crate::auth::actor::Actor;
use crate::cli;
use crate::http::{Counters, Limits, Listener, Peer, Request, Response, Security, Serving, drain, serve};
use crate::observability::metrics::Metrics;
use crate::opamp;
use crate::pki::{Authority, Names, ServerCertificate, server_config};
use crate::settings::{self, Settings};
use crate::store::Store;

/// How long a stop may take.
const STOPPING: Duration = Duration::from_secs(9);
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Files that are kept for the store, logs and the admin plane when the agent plane is full.
const FILES_RESERVED: u64 = 512;

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The use cases.
    pub app: Arc<App>,
    /// The certificate authority.
    pub authority: Arc<Authority>,
    /// Where agents connect.
    pub agent_address: SocketAddr,
    /// Where people connect.
    pub admin_address: SocketAddr,
    host: String,
    store: Store,
    tasks: Tasks,
    agents: TaskTracker,
    people: TaskTracker,
    agents_stop: CancellationToken,
    people_stop: CancellationToken,
    ready: Arc<AtomicBool>,
}

/// The way to the first account.
#[derive(Debug)]
pub enum SetupLink {
    /// Somebody has it already.
    Claimed,
    /// This link, shown now and never again.
    Fresh(String),
    /// A link that was shown at an earlier start still works.
    Outstanding,
}

impl Server {
    /// The link with which the first account is set up, made at the first start.
    ///
    /// # Errors
    /// When the token can't be stored.
    pub async fn setup_link(&self) -> anyhow::Result<SetupLink> {
        Ok(match self.app.accounts.setup_status() {
            SetupStatus::Claimed => SetupLink::Claimed,
            SetupStatus::Open { .. } => SetupLink::Outstanding,
            SetupStatus::Closed => {
                let token = self.app.accounts.issue_setup_token(&Actor::muster()).await?;
                SetupLink::Fresh(format!("{}/setup?token={}", self.admin_url(), token.expose()))
            }
        })
    }

    /// Where people go.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("https://{}:{}", self.host, self.admin_address.port())
    }

    /// Where agents connect.
    #[must_use]
    pub fn agent_url(&self) -> String {
        format!("wss://{}:{}/v1/opamp", self.host, self.agent_address.port())
    }

    /// Builds everything and starts to listen. Call it inside a runtime.
    ///
    /// # Errors
    /// When the data folder can't be used, or an address can't be bound.
    pub fn start(settings: &Settings, clock: &Clock) -> anyhow::Result<Self> {
        data_folder::prepare(&settings.data)?;
        let now = clock.now();
        let store = Store::open(&settings.data, &store_settings(settings), now)?;
        let keys = Keys {
            hash: data_folder::hash_key(&settings.data)?,
            seal: data_folder::seal_key(&settings.data)?,
        };
        let authority = Arc::new(Authority::load_or_create(
            &settings.data,
            &settings.site_name,
            now,
        )?);
        let certificate = own_certificate(settings, &authority, clock)?;
        let given = given_certificate(settings, clock)?;
        let metrics = Arc::new(Metrics::new());
        let app_settings = app::Settings {
            http_silence: settings.presence.http_silence,
            validation: validation(settings),
            connection: app::offers::Settings {
                ca_pem: authority.ca_pem().to_owned(),
                names: own_names(settings)?,
                heartbeat: settings.presence.heartbeat,
            },
            custom_capabilities: settings.agent_plane.custom_capabilities.clone().into(),
            message_bytes: settings.limits.message_size.bytes(),
            ..app::Settings::default()
        };
        let tasks = Tasks::new();
        let app = App::load(store.clone(), clock.clone(), keys, app_settings, metrics, &tasks)?;
        app.start(&tasks);
        keep_memory_to_ourselves();
        let files = raise_file_limit();
        let (agent_listener, admin_listener) = (
            bind(settings.agent_plane.listen, "agents (agent_plane.listen)")?,
            bind(settings.admin_plane.listen, "people (admin_plane.listen)")?,
        );
        let address = |listener: &Listener| listener.address().context("a listener has no address");
        let (agent_address, admin_address) = (address(&agent_listener)?, address(&admin_listener)?);
        let server = Self {
            authority: Arc::clone(&authority),
            agent_address,
            admin_address,
            host: host_names(settings)?
                .into_iter()
                .next()
                .unwrap_or_else(|| "localhost".to_owned()),
            store,
            tasks,
            agents: TaskTracker::new(),
            people: TaskTracker::new(),
            agents_stop: CancellationToken::new(),
            people_stop: CancellationToken::new(),
            ready: Arc::new(AtomicBool::new(false)),
            app,
        };
        server.serve_agents(settings, agent_listener, &certificate, files)?;
        let ends = Arc::new(AtomicU64::new(certificate.expires().0));
        server.serve_people(settings, admin_listener, (&certificate, given), &ends, clock)?;
        server.keep_certificate(certificate, ends, clock);
        server.ready.store(true, Ordering::Release);
        Ok(server)
    }

    fn serve_agents(
        &self,
        settings: &Settings,
        listener: Listener,
        certificate: &ServerCertificate,
        files: u64,
    ) -> anyhow::Result<()> {
        let message = opamp::Limits {
            bytes: settings.limits.message_size.bytes(),
            ..opamp::Limits::default()
        };
        let plane_settings = agent_plane::Settings {
            message,
            messages_per_minute: settings.limits.messages_per_minute,
            messages_in_flight: settings.limits.messages_in_flight.bytes(),
            ping: Duration::from_secs(45),
            write_deadline: Duration::from_secs(20),
            first_message_deadline: Duration::from_mins(1),
            body_deadline: Duration::from_secs(30),
            ca_pem: self.authority.ca_pem().to_owned(),
        };
        let plane = AgentPlane::new(
            Arc::clone(&self.app),
            plane_settings,
            self.agents.clone(),
            self.agents_stop.clone(),
        )?;
        let wanted = settings.limits.connections;
        let room = usize::try_from(files.saturating_sub(FILES_RESERVED)).unwrap_or(wanted);
        if room < wanted {
            tracing::info!(
                connections = room,
                "the system allows fewer open files than limits.connections needs"
            );
        }
        let limits = Limits {
            connections: wanted.min(room),
            per_address: settings.limits.connections_per_address,
            ..Limits::default()
        };
        let tls = server_config(certificate.resolver(), &[b"http/1.1"], 0)?;
        let serving = Serving {
            listener,
            security: Security::Tls(Arc::new(ArcSwap::new(tls))),
            limits,
            service: move |request: Request, peer: Peer| {
                let plane = Arc::clone(&plane);
                async move { plane.serve(request, peer).await }
            },
            shutdown: self.agents_stop.clone(),
            tracker: self.agents.clone(),
            counters: Arc::new(Counters::default()),
        };
        let stopping = self.tasks.stopping();
        self.tasks.spawn_critical("agent plane", async move {
            serve(serving).await;
            stopping.cancelled().await;
        });
        Ok(())
    }

    fn serve_people(
        &self,
        settings: &Settings,
        listener: Listener,
        (own, given): (&ServerCertificate, Option<ServerCertificate>),
        ends: &Arc<AtomicU64>,
        clock: &Clock,
    ) -> anyhow::Result<()> {
        let site = Site {
            name: settings.site_name.clone(),
            ca_pem: self.authority.ca_pem().to_owned(),
            ca_fingerprint: self.authority.fingerprint(),
            ca_expires: self.authority.expires(),
            certificate_ends: Arc::clone(ends),
            names: host_names(settings)?,
            wildcards: wildcards(settings),
            agent_port: self.agent_address.port(),
            admin_port: self.admin_address.port(),
            message_limit_bytes: settings.limits.message_size.bytes(),
            data_folder: settings.data.clone(),
            manual: Arc::new(manual()),
        };
        let plane = AdminPlane::new(admin_plane::Parts {
            app: Arc::clone(&self.app),
            site,
            tracker: self.people.clone(),
            stop: self.people_stop.clone(),
            ready: Arc::clone(&self.ready),
        })?;
        let resolver = match given {
            None => own.resolver(),
            Some(given) => {
                let resolver = given.resolver();
                note_given(&self.app, &given);
                self.follow_files(given, clock);
                resolver
            }
        };
        let tls = server_config(resolver, &[b"h2", b"http/1.1"], 2)?;
        let local = settings.socket();
        let local_listener = Listener::bind_local(&local)
            .with_context(|| format!("can't listen on the local socket {}", local.display()))?;
        let listeners = [
            (
                "admin plane",
                listener,
                Security::Tls(Arc::new(ArcSwap::new(tls))),
            ),
            ("local socket", local_listener, Security::Plain),
        ];
        for (name, listener, security) in listeners {
            let plane = Arc::clone(&plane);
            let serving = Serving {
                listener,
                security,
                limits: Limits {
                    connections: 1_000,
                    per_address: 200,
                    ..Limits::default()
                },
                service: move |request: Request, peer: Peer| -> _ {
                    let plane = Arc::clone(&plane);
                    async move { answer(plane, request, peer).await }
                },
                shutdown: self.people_stop.clone(),
                tracker: self.people.clone(),
                counters: Arc::new(Counters::default()),
            };
            let stopping = self.tasks.stopping();
            self.tasks.spawn_critical(name, async move {
                serve(serving).await;
                stopping.cancelled().await;
            });
        }
        Ok(())
    }

    /// Renews the server's own certificate before it ends.
    fn keep_certificate(&self, certificate: ServerCertificate, ends: Arc<AtomicU64>, clock: &Clock) {
        let (certificate, clock) = (Arc::new(certificate), clock.clone());
        self.tasks.spawn_loop(
            "certificate",
            Activation::new(),
            Duration::from_hours(1),
            move || {
                let (certificate, ends, clock) = (Arc::clone(&certificate), Arc::clone(&ends), clock.clone());
                async move {
                    match certificate.renew_if_due(clock.now()) {
                        Ok(true) => {
                            ends.store(certificate.expires().0, Ordering::Relaxed);
                            tracing::info!("renewed the server's certificate");
                        }
                        Ok(false) => {}
                        Err(error) => {
                            tracing::error!(error = %error, "the server's certificate can't be renewed");
                        }
                    }
                }
            },
        );
    }

    /// Takes up a given certificate's files when they change.
    fn follow_files(&self, certificate: ServerCertificate, clock: &Clock) {
        let (certificate, clock) = (Arc::new(certificate), clock.clone());
        let app = Arc::clone(&self.app);
        self.tasks.spawn_loop("certificate files", Activation::new(), Duration::from_secs(10), move || {
            let (certificate, clock, app) = (Arc::clone(&certificate), clock.clone(), Arc::clone(&app));
            async move {
                match certificate.reload_if_changed(clock.now()) {
                    Ok(true) => {
                        note_given(&app, &certificate);
                        tracing::info!("took up the changed certificate of the admin plane");
                    }
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!(error = %error, "the changed certificate can't be used; the one before stays");
                    }
                }
            }
        });
    }

    /// Runs until a signal asks it to stop, or something without which it can't go on failed.
    ///
    /// # Errors
    /// What failed.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let failure = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            failure = self.tasks.failed() => Some(anyhow::Error::new(failure)),
            () = self.store.failed() => Some(anyhow::Error::new(writer_died())),
        };
        let stopped = self.stop().await;
        match failure {
            Some(failure) => Err(failure),
            None => stopped,
        }
    }

    /// Stops: not ready, connections closed spread out, everything written.
    ///
    /// # Errors
    /// When something did not stop in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.ready.store(false, Ordering::Release);
        self.agents_stop.cancel();
        let agents_closed = drain(&self.agents, STOPPING / 2).await;
        self.people_stop.cancel();
        let people_closed = drain(&self.people, STOPPING / 4).await;
        self.app.flush_all().await;
        let stopped = self.tasks.shutdown(STOPPING / 4).await;
        // The loops may have changed something in their last run.
        self.app.flush_all().await;
        let Self { app, store, .. } = self;
        drop(app);
        store.close();
        if !agents_closed || !people_closed {
            tracing::warn!("some connections were still open at the end of the stop");
        }
        if let Err(unstopped) = stopped {
            anyhow::bail!("these tasks did not stop in time: {unstopped:?}");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// The writer's thread is a critical task, too.
fn writer_died() -> Failure {
    Failure {
        task: "store-writer",
        reason: FailureReason::Panicked("the log has its last words".to_owned()),
    }
}

/// How the store is to behave.
#[must_use]
pub fn store_settings(settings: &Settings) -> crate::store::Settings {
    crate::store::Settings {
        low_water_bytes: settings.disk.low_water.0,
        quota_bytes: settings.disk.quota.map(|quota| quota.0),
        network_folder: settings.disk.network_folder,
        ..crate::store::Settings::default()
    }
}

fn validation(settings: &Settings) -> Option<app::validation::Settings> {
    let timeout = settings.validation.timeout;
    let collector = settings.validation.collector.clone()?;
    Some(app::validation::Settings { collector, timeout })
}

async fn answer(plane: Arc<AdminPlane>, request: Request, peer: Peer) -> Response {
    plane.serve(request, peer).await
}

fn own_certificate(
    settings: &Settings,
    authority: &Arc<Authority>,
    clock: &Clock,
) -> anyhow::Result<ServerCertificate> {
    let names = own_names(settings)?;
    Ok(ServerCertificate::issued(
        Arc::clone(authority),
        &settings.data,
        names,
        clock.now(),
    )?)
}

/// This host's names and addresses and those that the settings add.
fn own_names(settings: &Settings) -> anyhow::Result<Names> {
    let mut names = Names::of_this_host();
    for name in &settings.names {
        names.add(name)?;
    }
    Ok(names)
}

/// What the program says of its verbs and settings, for the pages of help.
#[must_use]
pub fn manual() -> Manual {
    let setting = |setting: settings::Described| SettingHelp {
        name: setting.name,
        variable: setting.variable,
        allowed: setting.allowed,
        default: setting.default,
    };
    Manual {
        verbs: cli::verbs(),
        settings: settings::described().into_iter().map(setting).collect(),
        settings_file: settings::TEMPLATE,
    }
}

/// The certificate that was given for the admin plane, if one was.
fn given_certificate(settings: &Settings, clock: &Clock) -> anyhow::Result<Option<ServerCertificate>> {
    let Some(files) = &settings.admin_plane.tls else {
        return Ok(None);
    };
    let given = ServerCertificate::from_files(&files.certificate, &files.key, clock.now())?;
    Ok(Some(given))
}

/// Tells the use cases what a given certificate says.
fn note_given(app: &App, given: &ServerCertificate) {
    app.note_given_certificate(GivenCertificate {
        names: given.names(),
        expires: given.expires(),
    });
}

/// The names that stand for others: answered to, and no good for links.
fn wildcards(settings: &Settings) -> Vec<String> {
    let wild = settings.names.iter().filter(|name| name.starts_with("*."));
    wild.cloned().collect()
}

/// The names under which people may call the admin plane, without wildcards.
fn host_names(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let own = own_names(settings)?;
    let addresses = own.addresses().iter().map(ToString::to_string);
    // Links use the first: what the operator calls it, else the host's name.
    let (local, named): (Vec<String>, Vec<String>) =
        own.dns().iter().cloned().partition(|name| name == "localhost");
    let mut all: Vec<String> = settings
        .names
        .iter()
        .filter(|name| !name.starts_with("*."))
        .cloned()
        .collect();
    all.extend(
        named
            .into_iter()
            .chain(local)
            .chain(addresses)
            .filter(|name| !name.starts_with("*.") && !settings.names.contains(name)),
    );
    Ok(all)
}

/// Listens on an address; `[::]` falls back to IPv4 on a machine without IPv6.
fn bind(address: SocketAddr, whom: &str) -> anyhow::Result<Listener> {
    let bound = Listener::bind(address, BACKLOG).or_else(|error| {
        let unspecified_v6 = address.is_ipv6() && address.ip().is_unspecified();
        let no_ipv6 = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
        if unspecified_v6 && no_ipv6 {
            Listener::bind(SocketAddr::from(([0, 0, 0, 0], address.port())), BACKLOG)
        } else {
            Err(error)
        }
    });
    bound.with_context(|| format!("can't listen on {address} for {whom}; is another server running?"))
}

/// Leaves no image of our memory behind, in which keys would stand: no core dump, and none for other processes of our user.
fn keep_memory_to_ourselves() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if setrlimit(Resource::Core, none).is_err()
        || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err()
    {
        tracing::warn!("the system doesn't let core dumps be turned off: one would hold keys");
    }
}

/// Asks the system for as many open files as it grants. How many that are.
fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    limit.unwrap_or(u64::MAX)
}
