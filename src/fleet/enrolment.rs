//! Enrolment tokens: what lets agents in, and how often.

mod likeness;

pub use likeness::{Likeness, Traits};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::hash::Digest;
use crate::fleet::ids::EnrolmentTokenId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// A token that enrols agents and does nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnrolmentToken {
    /// Its identity.
    pub id: EnrolmentTokenId,
    /// The digest of the secret, which was shown once.
    pub secret_digest: Digest,
    /// What it is for, in its maker's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What it makes.
    pub grants: Grants,
    /// How often it may be used in all.
    pub uses_allowed: u32,
    /// How often it was used.
    #[serde(default)]
    pub uses: u32,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// The labels that its agents get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The group that its agents get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Networks that it may be used from, as CIDR; empty means any. Agents of a gateway or pool have to come from there,
    /// too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Whether an operator has to approve each of its agents before that is given anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was withdrawn; `None` while it wasn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
}

/// What an enrolment makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "scope")]
pub enum Grants {
    /// A record and a credential for one agent.
    One,
    /// A credential for a gateway or pool of at most so many agents.
    Many {
        /// The most agents.
        maximum: u32,
    },
}

/// A range of addresses, written as CIDR such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Network {
    address: std::net::IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network; write an address or a range such as 10.0.0.0/8")]
pub struct ParseNetworkError(String);

impl std::str::FromStr for Network {
    type Err = ParseNetworkError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseNetworkError(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: std::net::IpAddr = address.trim().parse().map_err(|_| refuse())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), |p| p.trim().parse().map_err(|_| refuse()))?;
        if prefix > width {
            Err(refuse())
        } else {
            Ok(Self { address, prefix })
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Whether somebody at `address` may come in, where only `networks` may; none of them means that all may.
    #[must_use]
    pub fn admit(networks: &[Self], address: Option<std::net::IpAddr>) -> bool {
        let inside = |address| networks.iter().any(|network| network.contains(address));
        networks.is_empty() || address.is_some_and(inside)
    }

    /// Whether `address` lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        fn bits(address: std::net::IpAddr) -> (bool, u128) {
            match address.to_canonical() {
                std::net::IpAddr::V4(v4) => (true, u128::from(u32::from(v4)) << 96),
                std::net::IpAddr::V6(v6) => (false, u128::from(v6)),
            }
        }
        let (own_v4, own) = bits(self.address);
        let (v4, other) = bits(address);
        let mask = if self.prefix == 0 {
            0
        } else {
            u128::MAX << (128 - u32::from(self.prefix))
        };
        own_v4 == v4 && own & mask == other & mask
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'_, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a token lets nobody in. To those outside all of these look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Withdrawn by an operator.
    #[error("the enrolment token was withdrawn")]
    Withdrawn,
    /// Its time is over.
    #[error("the enrolment token has expired")]
    Expired,
    /// It was used as often as it may be.
    #[error("the enrolment token is used up")]
    UsedUp,
    /// It may not be used from there.
    #[error("the enrolment token may not be used from this address")]
    Network,
}

impl EnrolmentToken {
    /// The token as it may be shown: nothing of its secret.
    #[must_use]
    pub fn without_secret(self) -> Self {
        Self {
            secret_digest: Digest([0; 32]),
            ..self
        }
    }

    /// Whether the token lets somebody in from `address` at `now`.
    ///
    /// # Errors
    /// The [`TokenRefusal`] that applies.
    pub fn accepts(&self, address: Option<std::net::IpAddr>, now: Timestamp) -> Result<(), TokenRefusal> {
        if self.withdrawn_at.is_some() {
            return Err(TokenRefusal::Withdrawn);
        }
        if now >= self.expires_at {
            return Err(TokenRefusal::Expired);
        }
        if self.uses >= self.uses_allowed {
            return Err(TokenRefusal::UsedUp);
        }
        if !Network::admit(&self.networks, address) {
            return Err(TokenRefusal::Network);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.255.1".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.0.1".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!(!network.contains("a01::1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains("1.2.3.4".parse().unwrap())
        );
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert_eq!(
            "2001:db8::1".parse::<Network>().unwrap().to_string(),
            "2001:db8::1/128"
        );
    }
}
