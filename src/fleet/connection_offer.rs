//! Connection offers: what an agent's own OpAMP connection is to be like.
//!
//! An offer is always whole. Clients read what is missing as "use none": one drops its headers, turns the verification of
//! certificates off, or never sends a heartbeat again (S-211).

use std::fmt;
use std::time::Duration;

use crate::fleet::agent::Transport;
use crate::fleet::hash::Digest;
use crate::fleet::ids::CredentialId;

/// The settings of an agent's OpAMP connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Where to connect: a `wss` or `https` URL, never empty (S-210).
    pub endpoint: String,
    /// The headers of every request, in their order. None but these are used.
    pub headers: Vec<Header>,
    /// The authorities that the server's certificate is verified with, PEM, never empty.
    pub ca_pem: String,
    /// How often to send a heartbeat, and to poll over HTTP. Never 0, which stops heartbeats for good (T-08).
    pub heartbeat_seconds: u64,
}

/// A header of every request. Its value is mostly a secret, and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// Connection settings ready to be offered to one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOffer {
    /// The credential in the headers: a connection that uses it shows that the settings are in use.
    pub credential: CredentialId,
    /// The settings.
    pub settings: ConnectionSettings,
    /// The hash on the wire, over everything that is offered (S-201).
    pub hash: Digest,
}

impl ConnectionOffer {
    /// The offer of `settings`, which show `credential`.
    #[must_use]
    pub fn new(credential: CredentialId, settings: ConnectionSettings) -> Self {
        let hash = settings.digest();
        Self {
            credential,
            settings,
            hash,
        }
    }
}

impl ConnectionSettings {
    /// Settings with which an agent goes on to reach `authority` (host and port) as it does now, with a bearer token.
    #[must_use]
    pub fn with_token(
        authority: &str,
        transport: Transport,
        token: &str,
        ca_pem: &str,
        heartbeat: Duration,
    ) -> Self {
        let scheme = match transport {
            Transport::WebSocket => "wss",
            Transport::Http => "https",
        };
        Self {
            endpoint: format!("{scheme}://{authority}/v1/opamp"),
            headers: vec![Header {
                name: "Authorization".into(),
                value: format!("Bearer {token}"),
            }],
            ca_pem: ca_pem.to_owned(),
            heartbeat_seconds: heartbeat.as_secs().max(1),
        }
    }

    /// A digest of every setting, the same on every machine and for ever.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self {
            endpoint,
            headers,
            ca_pem,
            heartbeat_seconds,
        } = self;
        let mut bytes = b"connection settings, first form".to_vec();
        // Each text behind its length, so that nothing can be moved from one to the next.
        let mut text = |text: &str| {
            bytes.extend((text.len() as u64).to_be_bytes());
            bytes.extend(text.as_bytes());
        };
        text(endpoint);
        text(ca_pem);
        text(&heartbeat_seconds.to_string());
        for Header { name, value } in headers {
            text(name);
            text(value);
        }
        Digest::of(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ConnectionSettings {
        ConnectionSettings::with_token(
            "muster.example:4320",
            Transport::WebSocket,
            "mst_agent_x",
            "-----BEGIN CERTIFICATE-----",
            Duration::from_secs(30),
        )
    }

    #[test]
    fn an_offer_is_whole_and_its_token_is_not_printed() {
        let settings = settings();
        assert_eq!(settings.endpoint, "wss://muster.example:4320/v1/opamp");
        assert_eq!(settings.headers[0].value, "Bearer mst_agent_x");
        assert!(!settings.ca_pem.is_empty() && settings.heartbeat_seconds == 30);
        let printed = format!("{settings:?}");
        assert!(
            printed.contains("Authorization: ***") && !printed.contains("mst_agent_x"),
            "{printed}"
        );
    }

    #[test]
    fn the_hash_covers_every_setting() {
        let base = settings();
        let changed = [
            ConnectionSettings {
                endpoint: "wss://b:1/v1/opamp".into(),
                ..base.clone()
            },
            ConnectionSettings {
                headers: Vec::new(),
                ..base.clone()
            },
            ConnectionSettings {
                ca_pem: "other".into(),
                ..base.clone()
            },
            ConnectionSettings {
                heartbeat_seconds: 31,
                ..base.clone()
            },
        ];
        for other in changed {
            assert_ne!(other.digest(), base.digest());
        }
        assert_eq!(settings().digest(), base.digest());
    }

    #[test]
    fn a_heartbeat_is_never_switched_off() {
        let zero = ConnectionSettings::with_token("a:1", Transport::Http, "t", "c", Duration::ZERO);
        assert_eq!(
            (zero.heartbeat_seconds, zero.endpoint.as_str()),
            (1, "https://a:1/v1/opamp")
        );
    }
}
