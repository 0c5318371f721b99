//! Custom messages: what an agent and whoever works with it tell each other beside OpAMP, passed on and not understood.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::time::Timestamp;

/// The largest content of a message, in bytes, in both directions.
pub const LARGEST: usize = 16 * 1024;
/// The most messages that wait for one agent.
pub const MOST_QUEUED: usize = 8;
/// The most messages of one agent that are kept; an older one makes way.
pub const MOST_KEPT: u64 = 50;
/// How many messages of one agent are taken in a minute.
pub const TAKEN_PER_MINUTE: u32 = 60;
/// How long a message waits for its agent.
pub const VALID: Duration = Duration::from_hours(1);
/// The longest name of a capability, and of a type.
const LONGEST_NAME: usize = 128;
/// The most capabilities that a server announces.
pub const MOST_CAPABILITIES: usize = 32;

/// A message of a custom capability. What is in it is the capability's business.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomMessage {
    /// The capability, such as `com.example.inventory/v1`. Names are compared as they are spelt.
    pub capability: String,
    /// The type of message within the capability.
    #[serde(rename = "type")]
    pub kind: String,
    /// The content: as text where it is text, otherwise Base64 after `base64:`.
    #[serde(with = "crate::fleet::config::text_or_base64")]
    #[schemars(with = "String")]
    pub data: Vec<u8>,
}

impl fmt::Debug for CustomMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.capability, self.kind, self.data.len())
    }
}

/// A message that waits for its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queued {
    /// The message.
    pub message: CustomMessage,
    /// Since when.
    pub at: Timestamp,
    /// Who sends it.
    pub by: String,
}

impl Queued {
    /// Whether nobody waits for it any more.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.at) > VALID
    }
}

/// Why a message can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomError {
    /// No name of a capability.
    #[error("{0:?} is no custom capability; one is named like com.example.inventory/v1")]
    Capability(String),
    /// No type.
    #[error("a type is 1 to {LONGEST_NAME} characters without control characters")]
    Kind,
    /// Too large.
    #[error("a message has at most {LARGEST} bytes; this one has {0}")]
    Size(usize),
}

/// Whether a text is the name of a capability: a domain from its end, and perhaps a version behind a slash.
#[must_use]
pub fn is_capability(name: &str) -> bool {
    let (domain, version) = name.split_once('/').map_or((name, None), |(d, v)| (d, Some(v)));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let parts = domain.split('.');
    let well = |part: &str| !part.is_empty() && part.chars().all(fits);
    name.len() <= LONGEST_NAME
        && parts.clone().count() >= 2
        && parts.clone().all(well)
        && version.is_none_or(|version| {
            let fits = |c: char| fits(c) || matches!(c, '.' | '/');
            !version.is_empty() && version.chars().all(fits)
        })
}

impl CustomMessage {
    /// Whether a message may be like this.
    ///
    /// # Errors
    /// [`CustomError`] says what must change.
    pub fn check(&self) -> Result<(), CustomError> {
        if !is_capability(&self.capability) {
            return Err(CustomError::Capability(self.capability.clone()));
        }
        let kind = self.kind.chars();
        if self.kind.is_empty() || self.kind.len() > LONGEST_NAME || kind.clone().any(char::is_control) {
            return Err(CustomError::Kind);
        }
        if self.data.len() > LARGEST {
            return Err(CustomError::Size(self.data.len()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_a_domain_from_its_end_and_perhaps_a_version() {
        for name in ["com.example", "com.example.a-b/v1", "org.x_y.z/v2.1", "a.b/c/d"] {
            assert!(is_capability(name), "{name}");
        }
        let long = format!("com.{}", "a".repeat(200));
        for name in [
            "",
            "com",
            "com..x",
            ".com.x",
            "com.x/",
            "com.x y",
            "com.\u{fc}.x",
            "com.x/\n",
            &long,
        ] {
            assert!(!is_capability(name), "{name}");
        }
    }

    #[test]
    fn a_message_has_a_type_and_is_not_too_large_and_is_never_printed() {
        let message = |kind: &str, size: usize| CustomMessage {
            capability: "com.example.x/v1".into(),
            kind: kind.into(),
            data: vec![b'x'; size],
        };
        assert_eq!(message("a", LARGEST).check(), Ok(()));
        assert_eq!(
            message("a", LARGEST + 1).check(),
            Err(CustomError::Size(LARGEST + 1))
        );
        assert_eq!(message("", 1).check(), Err(CustomError::Kind));
        assert_eq!(message("a\nb", 1).check(), Err(CustomError::Kind));
        assert_eq!(format!("{:?}", message("a", 3)), "com.example.x/v1 a (3 bytes)");
        let text = serde_json::to_string(&message("a", 3)).unwrap();
        assert_eq!(
            text,
            r#"{"capability":"com.example.x/v1","type":"a","data":"xxx"}"#
        );
    }
}
