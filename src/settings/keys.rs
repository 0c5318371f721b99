//! The table of all settings.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::units::{ByteSize, parse_duration, show_duration};
use super::{Settings, TlsFiles};
use crate::observability::logs::{self, LogFormat};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its dotted name in the file.
    pub(super) name: &'static str,
    /// What is allowed, as the end of a sentence.
    pub(super) allowed: &'static str,
    /// Whether it takes a list.
    pub(super) list: bool,
    /// Takes the values (one, unless it is a list) over; `None` when they are not allowed.
    pub(super) set: fn(&mut Draft, &[String]) -> Option<()>,
    /// Its value as [`Key::set`] would read it.
    pub(super) show: fn(&Settings) -> Vec<String>,
}

/// Settings while they are read: the parts of a pair may come from different places.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) settings: Settings,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
}

pub(super) const TLS_CERT: &str = "admin_plane.tls_cert";
pub(super) const TLS_KEY: &str = "admin_plane.tls_key";
pub(super) const AGENT_LISTEN: &str = "agent_plane.listen";
pub(super) const ADMIN_LISTEN: &str = "admin_plane.listen";
pub(super) const DATA: &str = "data";

const LISTEN: &str = "an address and a port, as in \"[::]:4320\" or \"127.0.0.1:4320\"";
const PEM: &str = "the path of a PEM file, or nothing";
const COUNT: &str = "a whole number from 1 to 1000000";

/// All settings, in the order of the template.
pub(super) const KEYS: [Key; 23] = [
    Key {
        name: DATA,
        allowed: "the path of a folder",
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.data = PathBuf::from(filled(values)?);
            Some(())
        },
        show: |settings| vec![settings.data.display().to_string()],
    },
    Key {
        name: "site_name",
        allowed: "1 to 64 characters",
        list: false,
        set: |draft, values| {
            let name = filled(values)?.trim();
            let fits = (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control);
            fits.then(|| name.clone_into(&mut draft.settings.site_name))
        },
        show: |settings| vec![settings.site_name.clone()],
    },
    Key {
        name: "names",
        allowed: "host names (\"muster.example.com\", \"*.example.com\") and addresses, without scheme or port",
        list: true,
        set: |draft, values| {
            values
                .iter()
                .all(|name| is_host(name))
                .then(|| draft.settings.names = values.to_vec())
        },
        show: |settings| settings.names.clone(),
    },
    Key {
        name: "worker_threads",
        allowed: "\"auto\" (one per processor) or a whole number from 1 to 256",
        list: false,
        set: |draft, values| {
            draft.settings.worker_threads = match filled(values)? {
                "auto" => None,
                number => Some(number.parse::<NonZeroUsize>().ok().filter(|n| n.get() <= 256)?),
            };
            Some(())
        },
        show: |settings| {
            vec![
                settings
                    .worker_threads
                    .map_or_else(|| "auto".to_owned(), |number| number.to_string()),
            ]
        },
    },
    Key {
        name: "disk.low_water",
        allowed: "a size from 1 MiB to 1024 GiB",
        list: false,
        set: |draft, values| {
            let size = parse::<ByteSize>(values)?;
            let fits = (ByteSize::mib(1)..=ByteSize::mib(1 << 20)).contains(&size);
            fits.then(|| draft.settings.disk.low_water = size)
        },
        show: |settings| vec![settings.disk.low_water.to_string()],
    },
    Key {
        name: "disk.quota",
        allowed: "a size of at least 8 MiB, or nothing",
        list: false,
        set: |draft, values| {
            let quota = match filled(values) {
                None => None,
                Some(_) => Some(parse::<ByteSize>(values).filter(|size| *size >= ByteSize::mib(8))?),
            };
            let _: () = draft.settings.disk.quota = quota;
            Some(())
        },
        show: |settings| {
            vec![
                settings
                    .disk
                    .quota
                    .map_or_else(String::new, |quota| quota.to_string()),
            ]
        },
    },
    Key {
        name: "disk.network_folder",
        allowed: "true or false",
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.disk.network_folder = parse(values)?;
            Some(())
        },
        show: |settings| vec![settings.disk.network_folder.to_string()],
    },
    Key {
        name: AGENT_LISTEN,
        allowed: LISTEN,
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.agent_plane.listen = parse(values)?;
            Some(())
        },
        show: |settings| vec![settings.agent_plane.listen.to_string()],
    },
    Key {
        name: "agent_plane.custom_capabilities",
        allowed: "at most 32 names of custom capabilities, such as \"com.example.inventory/v1\"",
        list: true,
        set: |draft, values| {
            let named = |name: &String| crate::fleet::custom::is_capability(name);
            let fits = values.len() <= crate::fleet::custom::MOST_CAPABILITIES && values.iter().all(named);
            fits.then(|| draft.settings.agent_plane.custom_capabilities = values.to_vec())
        },
        show: |settings| settings.agent_plane.custom_capabilities.clone(),
    },
    Key {
        name: ADMIN_LISTEN,
        allowed: LISTEN,
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.admin_plane.listen = parse::<SocketAddr>(values)?;
            Some(())
        },
        show: |settings| vec![settings.admin_plane.listen.to_string()],
    },
    Key {
        name: TLS_CERT,
        allowed: PEM,
        list: false,
        set: |draft, values| {
            let _: () = draft.tls_cert = filled(values).map(PathBuf::from);
            Some(())
        },
        show: |settings| show_path(settings.admin_plane.tls.as_ref().map(|tls| &tls.certificate)),
    },
    Key {
        name: TLS_KEY,
        allowed: PEM,
        list: false,
        set: |draft, values| {
            let _: () = draft.tls_key = filled(values).map(PathBuf::from);
            Some(())
        },
        show: |settings| show_path(settings.admin_plane.tls.as_ref().map(|tls| &tls.key)),
    },
    Key {
        name: "limits.message_size",
        allowed: "a size from 64 KiB to 16 MiB",
        list: false,
        set: |draft, values| {
            let size = parse::<ByteSize>(values)?;
            let fits = (ByteSize::kib(64)..=ByteSize::mib(16)).contains(&size);
            fits.then(|| draft.settings.limits.message_size = size)
        },
        show: |settings| vec![settings.limits.message_size.to_string()],
    },
    Key {
        name: "limits.connections",
        allowed: COUNT,
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.limits.connections = count(values)?;
            Some(())
        },
        show: |settings| vec![settings.limits.connections.to_string()],
    },
    Key {
        name: "limits.connections_per_address",
        allowed: COUNT,
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.limits.connections_per_address = count(values)?;
            Some(())
        },
        show: |settings| vec![settings.limits.connections_per_address.to_string()],
    },
    Key {
        name: "limits.messages_per_minute",
        allowed: COUNT,
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.limits.messages_per_minute = u32::try_from(count(values)?).ok()?;
            Some(())
        },
        show: |settings| vec![settings.limits.messages_per_minute.to_string()],
    },
    Key {
        name: "limits.messages_in_flight",
        allowed: "a size from 64 MiB to 16384 MiB",
        list: false,
        set: |draft, values| {
            let size = parse::<ByteSize>(values)?;
            let fits = (ByteSize::mib(64)..=ByteSize::mib(16_384)).contains(&size);
            fits.then(|| draft.settings.limits.messages_in_flight = size)
        },
        show: |settings| vec![settings.limits.messages_in_flight.to_string()],
    },
    Key {
        name: "presence.http_silence",
        allowed: "a time with its unit from \"30s\" to \"24h\"",
        list: false,
        set: |draft, values| {
            let silence = parse_duration(filled(values)?).ok()?;
            let fits = (Duration::from_secs(30)..=Duration::from_hours(24)).contains(&silence);
            fits.then(|| draft.settings.presence.http_silence = silence)
        },
        show: |settings| vec![show_duration(settings.presence.http_silence)],
    },
    Key {
        name: "presence.heartbeat",
        allowed: "a time with its unit from \"5s\" to \"1h\", in whole seconds",
        list: false,
        set: |draft, values| {
            let heartbeat = parse_duration(filled(values)?).ok()?;
            let fits = (Duration::from_secs(5)..=Duration::from_hours(1)).contains(&heartbeat);
            (fits && heartbeat.subsec_nanos() == 0).then(|| draft.settings.presence.heartbeat = heartbeat)
        },
        show: |settings| vec![show_duration(settings.presence.heartbeat)],
    },
    Key {
        name: "validation.collector",
        allowed: "the absolute path of a program, or nothing",
        list: false,
        set: |draft, values| {
            let path = filled(values).map(PathBuf::from);
            let fits = path.as_ref().is_none_or(|path| path.is_absolute());
            fits.then(|| draft.settings.validation.collector = path)
        },
        show: |settings| show_path(settings.validation.collector.as_ref()),
    },
    Key {
        name: "validation.timeout",
        allowed: "a time with its unit from \"1s\" to \"45s\"",
        list: false,
        set: |draft, values| {
            let timeout = parse_duration(filled(values)?).ok()?;
            let fits = (Duration::from_secs(1)..=Duration::from_secs(45)).contains(&timeout);
            fits.then(|| draft.settings.validation.timeout = timeout)
        },
        show: |settings| vec![show_duration(settings.validation.timeout)],
    },
    Key {
        name: "log.level",
        allowed: "error, warn, info, debug or trace, also per module as in \"info,muster::agent_plane=debug\"",
        list: false,
        set: |draft, values| {
            let level = filled(values)?;
            logs::is_level(level).then(|| level.clone_into(&mut draft.settings.log.level))
        },
        show: |settings| vec![settings.log.level.clone()],
    },
    Key {
        name: "log.format",
        allowed: "auto (text on a terminal, JSON otherwise), text or json",
        list: false,
        set: |draft, values| {
            let _: () = draft.settings.log.format = parse::<LogFormat>(values)?;
            Some(())
        },
        show: |settings| vec![settings.log.format.to_string()],
    },
];

impl Draft {
    /// Joins what comes in pairs.
    pub(super) fn finish(self) -> Result<Settings, &'static str> {
        let Self {
            mut settings,
            tls_cert,
            tls_key,
        } = self;
        settings.admin_plane.tls = match (tls_cert, tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(TLS_CERT),
            (None, Some(_)) => return Err(TLS_KEY),
        };
        Ok(settings)
    }
}

/// The one value, unless it is empty.
fn filled(values: &[String]) -> Option<&str> {
    values
        .first()
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

fn parse<T: FromStr>(values: &[String]) -> Option<T> {
    filled(values)?.parse().ok()
}

fn count(values: &[String]) -> Option<usize> {
    parse(values).filter(|count| (1..=1_000_000).contains(count))
}

fn show_path(path: Option<&PathBuf>) -> Vec<String> {
    vec![path.map_or_else(String::new, |path| path.display().to_string())]
}

/// Whether a certificate may carry `name`: an address, or a DNS name whose first label may be `*`.
fn is_host(name: &str) -> bool {
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // A name whose last label is a number would be an address that isn't one, such as 10.0.0.256.
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric_end = last.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && !numeric_end && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}
