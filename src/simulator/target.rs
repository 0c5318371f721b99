//! Where simulated agents connect to, and from which addresses.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// A server's agent plane.
#[derive(Clone)]
pub struct Target {
    /// Host and port as in the URL.
    pub authority: String,
    /// The address that connections go to.
    pub address: SocketAddr,
    pub(super) name: ServerName<'static>,
    pub(super) tls: Arc<ClientConfig>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({} at {})", self.authority, self.address)
    }
}

/// Why a text leads to no server.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not of the form `https://host:port`.
    #[error("{0:?} is not the address of an agent plane, such as https://muster.example.com:4320")]
    Form(String),
    /// The host's name leads nowhere.
    #[error("cannot find the host of {0:?}")]
    Unknown(String, #[source] io::Error),
}

impl Target {
    /// Finds the server that `url` names: `https://` or `wss://`, a host, and a port (4320 when there is none).
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn find(url: &str, tls: Arc<ClientConfig>) -> Result<Self, TargetError> {
        let form = || TargetError::Form(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| form())?;
        let is_plane = matches!(uri.path(), "" | "/" | "/v1/opamp") && uri.query().is_none();
        let (Some("https" | "wss"), Some(host), true) = (uri.scheme_str(), uri.host(), is_plane) else {
            return Err(form());
        };
        let port = uri.port_u16().unwrap_or(4320);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| form())?;
        let unknown = |error| TargetError::Unknown(url.to_owned(), error);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((bare, port))
            .await
            .map_err(unknown)?
            .collect();
        // Source addresses are IPv4 addresses, so that is preferred.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let address = *address.ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))?;
        Ok(Self {
            authority: format!("{host}:{port}"),
            address,
            name,
            tls,
        })
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

/// The addresses that agents connect from, each in turn; without any the system chooses. One address has some 28,000
/// ports, so many agents on one machine need several. Written as `127.0.0.1-127.0.0.8`, or one by one with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<Ipv4Addr>);

/// A text that is no list of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 address, nor a range of at most 256 such as 127.0.0.1-127.0.0.8")]
pub struct SourcesError(String);

impl FromStr for Sources {
    type Err = SourcesError;

    fn from_str(text: &str) -> Result<Self, SourcesError> {
        let mut addresses = Vec::new();
        for part in text.split(',').map(str::trim) {
            let wrong = || SourcesError(part.to_owned());
            let parse = |text: &str| {
                text.trim()
                    .parse::<Ipv4Addr>()
                    .map(u32::from)
                    .map_err(|_| wrong())
            };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (parse(first)?, parse(last)?);
            if first > last || last - first > 255 {
                return Err(wrong());
            }
            addresses.extend((first..=last).map(Ipv4Addr::from));
        }
        Ok(Self(addresses))
    }
}

impl Sources {
    /// The address for the agent with this number.
    pub(super) fn pick(&self, number: u32) -> Option<Ipv4Addr> {
        let turn = (number as usize).checked_rem(self.0.len())?;
        self.0.get(turn).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_take_the_addresses_of_a_range_in_turn() {
        let sources: Sources = "127.0.0.1-127.0.0.3, 127.0.1.1".parse().unwrap();
        let picked: Vec<String> = (2..6)
            .filter_map(|n| Some(sources.pick(n)?.to_string()))
            .collect();
        assert_eq!(picked, ["127.0.0.3", "127.0.1.1", "127.0.0.1", "127.0.0.2"]);
        assert_eq!(Sources::default().pick(7), None);
        for wrong in ["", "::1", "127.0.0.9-127.0.0.1", "10.0.0.0-10.0.1.0"] {
            assert!(wrong.parse::<Sources>().is_err(), "{wrong}");
        }
    }
}
