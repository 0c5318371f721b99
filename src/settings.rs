//! The server's settings: a file, then the environment, then flags, each overriding the one before.
//!
//! Every setting is one row of the table in `keys`: its name in the file, what is allowed, how it is read and shown. The
//! environment variable follows from the name (`limits.message_size` is `MUSTER_LIMITS_MESSAGE_SIZE`). All problems are
//! found and named before any port is bound. This module is the only one that reads the environment.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::observability::logs::{LogFormat, LogSettings};

mod environment;
mod file;
mod flags;
mod keys;
mod load;
mod problem;
mod units;

pub use environment::Environment;
pub use flags::SettingsFlags;
pub use load::{Described, Effective, EffectiveRow, described, load, read_text};
pub use problem::{Origin, Problem, Problems};
pub use units::{ByteSize, ByteSizeError};

/// The commented file that holds every setting with its default.
pub const TEMPLATE: &str = include_str!("../templates/settings.toml");

/// What the server is told by whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder that holds everything that lasts. Created when it doesn't exist.
    pub data: PathBuf,
    /// How people call this installation; pages show it.
    pub site_name: String,
    /// Host names and addresses, beside the machine's own, by which agents and people reach the server: they go into its
    /// certificate, and the first is the one that join instructions name.
    pub names: Vec<String>,
    /// Threads that serve connections; `None`: one per processor.
    pub worker_threads: Option<NonZeroUsize>,
    /// How much the data folder may take, and where it may lie.
    pub disk: DiskSettings,
    /// Where agents connect.
    pub agent_plane: AgentPlaneSettings,
    /// Where people and scripts connect.
    pub admin_plane: AdminPlaneSettings,
    /// What one peer, and all together, may take.
    pub limits: Limits,
    /// When an agent counts as offline.
    pub presence: PresenceSettings,
    /// Who validates configurations beside our own checks.
    pub validation: ValidationSettings,
    /// Our own log.
    pub log: LogSettings,
}

/// How much the data folder may take, and where it may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// With less than this left on the disk, nothing but what is vital is written.
    pub low_water: ByteSize,
    /// How much may lie in the data folder before the same happens; `None` = as much as the disk takes.
    pub quota: Option<ByteSize>,
    /// Whether the data folder may lie on a file system of the network.
    pub network_folder: bool,
}

/// Where agents connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlaneSettings {
    /// Address and port. `[::]` takes IPv4 too; on a machine without IPv6 the listener falls back to `0.0.0.0`.
    pub listen: SocketAddr,
    /// The custom capabilities that agents are told of: of these, messages are passed on.
    pub custom_capabilities: Vec<String>,
}

/// Where people and scripts connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPlaneSettings {
    /// Address and port. `[::]` takes IPv4 too; on a machine without IPv6 the listener falls back to `0.0.0.0`.
    pub listen: SocketAddr,
    /// A certificate chain and its key, PEM, to show to browsers instead of one by our own authority.
    pub tls: Option<TlsFiles>,
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
}

/// What one peer, and all together, may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest OpAMP message, in both directions and after decompression.
    pub message_size: ByteSize,
    /// Connections on the agent plane at once.
    pub connections: usize,
    /// Connections on the agent plane from one address at once.
    pub connections_per_address: usize,
    /// Messages that one agent may send in a minute before it is throttled.
    pub messages_per_minute: u32,
    /// What all messages that are being received and read may take together.
    pub messages_in_flight: ByteSize,
}

/// When an agent counts as offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceSettings {
    /// How long an agent that polls over HTTP may be silent. (On WebSocket the connection itself decides.)
    pub http_silence: Duration,
    /// How often agents are told to send a heartbeat, and to poll, by offers of connection settings.
    pub heartbeat: Duration,
}

/// Who validates configurations beside our own checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationSettings {
    /// A collector that is run as `COLLECTOR validate --config FILE`; `None`: nobody.
    pub collector: Option<PathBuf>,
    /// How long that may take.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./muster-data"),
            site_name: "Muster".to_owned(),
            names: Vec::new(),
            worker_threads: None,
            disk: DiskSettings {
                low_water: ByteSize::mib(128),
                quota: None,
                network_folder: false,
            },
            agent_plane: AgentPlaneSettings {
                listen: everywhere(4320),
                custom_capabilities: Vec::new(),
            },
            admin_plane: AdminPlaneSettings {
                listen: everywhere(4321),
                tls: None,
            },
            limits: Limits {
                message_size: ByteSize::mib(1),
                connections: 20_000,
                connections_per_address: 5_000,
                messages_per_minute: 300,
                messages_in_flight: ByteSize::mib(256),
            },
            presence: PresenceSettings {
                // Three polls of 30 s, and as much again as one poll for a slow network.
                http_silence: Duration::from_mins(2),
                heartbeat: Duration::from_secs(30),
            },
            validation: ValidationSettings {
                collector: None,
                timeout: Duration::from_secs(10),
            },
            log: LogSettings {
                level: "info".to_owned(),
                format: LogFormat::Auto,
            },
        }
    }
}

impl Settings {
    /// The local socket of the admin plane, for the command line on the same machine.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.data)
    }
}

/// The local socket of the server that uses the data folder `data`.
#[must_use]
pub fn socket_in(data: &Path) -> PathBuf {
    data.join("muster.sock")
}

const fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}
