//! Identifiers. Each is a type of its own, so that one can't be passed for another.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not an identifier of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}: expected 32 hexadecimal digits, with or without hyphens")]
pub struct ParseIdError(&'static str);

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $word:literal, $text:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(uuid::Uuid::from_bytes_ref(&self.0).$text(), f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| ParseIdError($word))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": $word})
            }
        }
    };
}

identifier!(
    /// The identity of an agent record. Never reused, survives changes of uid, credential, name and group.
    AgentId, "agent id", as_simple
);
identifier!(
    /// The `instance_uid` that an agent presents: a claim, 16 bytes, canonical UUID text.
    InstanceUid, "instance uid", as_hyphenated
);
identifier!(
    /// A credential that an agent authenticates with. Not a secret: the secret's digest leads to it.
    CredentialId, "credential id", as_simple
);
identifier!(
    /// An enrolment token. Not a secret.
    EnrolmentTokenId, "enrolment token id", as_simple
);
identifier!(
    /// A person's or script's account.
    AccountId, "account id", as_simple
);
identifier!(
    /// A session or API token of an account. Not a secret.
    SessionId, "session id", as_simple
);
identifier!(
    /// A frozen target: what a publication made of a config's revision.
    TargetId, "target id", as_simple
);

/// A rollout: counted up, since people talk about "rollout 17".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RolloutId(pub u64);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
impl fmt::Debug for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl InstanceUid {
    /// The uid of 16 zero bytes, which nobody may use.
    pub const ZERO: Self = Self([0; 16]);

    /// The uid in `bytes`, or `None` when they are not 16 or all zero (S-080).
    #[must_use]
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        let uid = Self(bytes.try_into().ok()?);
        (uid != Self::ZERO).then_some(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_its_text() {
        let id = AgentId([7; 16]);
        assert_eq!(id.to_string(), "07070707070707070707070707070707");
        assert_eq!(id.to_string().parse(), Ok(id));
        let uid = InstanceUid([7; 16]);
        assert_eq!(uid.to_string(), "07070707-0707-0707-0707-070707070707");
        assert_eq!(uid.to_string().parse(), Ok(uid));
        assert!("07".parse::<AgentId>().is_err());
    }

    #[test]
    fn a_uid_of_another_length_or_of_zeros_is_none() {
        assert_eq!(InstanceUid::from_wire(&[1; 15]), None);
        assert_eq!(InstanceUid::from_wire(&[0; 16]), None);
        assert_eq!(InstanceUid::from_wire(&[1; 16]), Some(InstanceUid([1; 16])));
    }
}
