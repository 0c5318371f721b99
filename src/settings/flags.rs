//! The flags that override settings.

use std::path::PathBuf;

use clap::Args;

/// Flags of the verbs that use the server's settings. Their values are read like those of the file, so that every
/// mistake is named in the same way.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub struct SettingsFlags {
    /// Read settings from this file [default: muster.toml in the data folder, if there is one]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Keep everything that lasts in this folder [default: ./muster-data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<String>,
    /// What people call this installation [default: Muster]
    #[arg(long, value_name = "TEXT")]
    pub site_name: Option<String>,
    /// A further host name or address by which the server is reached; may be repeated
    #[arg(long = "name", value_name = "HOST")]
    pub names: Vec<String>,
    /// Where agents connect [default: `[::]:4320`]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub agent_listen: Option<String>,
    /// Where people and scripts connect [default: `[::]:4321`]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<String>,
    /// Show this certificate chain (PEM) to browsers instead of our own
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// The private key (PEM) of --tls-cert
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// How much to log: error, warn, info, debug, trace, also per module [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How to log: auto, text, json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Any other setting by its name in the file, as in limits.connections=5000; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// One value that a flag gives.
#[derive(Debug)]
pub(super) struct FlagEntry {
    pub(super) flag: &'static str,
    /// The setting's name.
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

impl SettingsFlags {
    pub(super) fn entries(&self) -> Vec<FlagEntry> {
        // Without `..`: a new flag doesn't compile until it is read here.
        let Self {
            settings: _,
            data,
            site_name,
            names,
            agent_listen,
            admin_listen,
            tls_cert,
            tls_key,
            log_level,
            log_format,
            set,
        } = self;
        let single = [
            ("--data", "data", data),
            ("--site-name", "site_name", site_name),
            ("--agent-listen", "agent_plane.listen", agent_listen),
            ("--admin-listen", "admin_plane.listen", admin_listen),
            ("--tls-cert", "admin_plane.tls_cert", tls_cert),
            ("--tls-key", "admin_plane.tls_key", tls_key),
            ("--log-level", "log.level", log_level),
            ("--log-format", "log.format", log_format),
        ];
        let mut entries: Vec<FlagEntry> = set
            .iter()
            .map(|text| {
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                FlagEntry {
                    flag: "--set",
                    name: name.trim().to_owned(),
                    values: vec![value.trim().to_owned()],
                }
            })
            .collect();
        entries.extend(single.into_iter().filter_map(|(flag, name, value)| {
            Some(FlagEntry {
                flag,
                name: name.to_owned(),
                values: vec![value.clone()?],
            })
        }));
        if !names.is_empty() {
            entries.push(FlagEntry {
                flag: "--name",
                name: "names".to_owned(),
                values: names.clone(),
            });
        }
        entries
    }
}
