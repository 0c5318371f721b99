//! One message of an agent, freed from its wire.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::attributes::{Attribute, Description};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::ConfigMap;
use crate::fleet::custom::CustomMessage;
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;

/// One `AgentToServer`. Every part that is `None` was absent and means: unchanged (S-054).
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The uid that the agent presents.
    pub uid: InstanceUid,
    /// The message's number.
    pub sequence: u64,
    /// A digest of the message's bytes, to tell a repetition from a second message with the same number (S-063).
    pub fingerprint: u64,
    /// The capabilities; `None` when the field was 0, which means "not sent" (S-106).
    pub capabilities: Option<Capabilities>,
    /// The parts with content.
    pub parts: Parts,
    /// The agent says goodbye.
    pub disconnect: bool,
    /// The agent calls its uid temporary and asks for another.
    pub requests_uid: bool,
}

/// The parts of a report that replace what was known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Who and where the agent is.
    pub description: Option<Description>,
    /// The health tree.
    pub health: Option<Health>,
    /// The configuration in use. A present message without a map is no statement and therefore `None` (S-151).
    pub effective_config: Option<ConfigMap>,
    /// What became of the last offered configuration.
    pub remote_config_status: Option<RemoteConfigStatus>,
    /// What became of the last offered connection settings.
    pub connection_status: Option<ConnectionStatus>,
    /// The components that the agent is built from.
    pub available_components: Option<AvailableComponents>,
    /// The custom capabilities that it lists; an empty list is "none".
    pub custom_capabilities: Option<Vec<String>>,
    /// A message of one of them.
    pub custom_message: Option<CustomMessage>,
}

/// A component's health with its children: OpAMP's `ComponentHealth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Up and well.
    pub healthy: bool,
    /// When it started; `None` when it is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// What is wrong, in the agent's words; empty when nothing was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    /// The agent's own name for its state; opaque.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// When that state was observed; `None` when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Timestamp>,
    /// Further context, opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// The components inside, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Self>,
}

/// What became of an offered configuration: OpAMP's `RemoteConfigStatus`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteConfigStatus {
    /// The `config_hash` that the agent last received, as bytes; empty when it received none.
    pub hash: Vec<u8>,
    /// The outcome.
    pub outcome: RemoteConfigOutcome,
    /// The reason of a failure, in the agent's words.
    pub error: String,
}

/// What became of offered connection settings: OpAMP's `ConnectionSettingsStatus`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// The hash of the offer that the agent last received, as bytes; empty when it received none.
    pub hash: Vec<u8>,
    /// The outcome.
    pub outcome: RemoteConfigOutcome,
    /// The reason of a failure, in the agent's words.
    pub error: String,
}

/// The outcomes of what was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemoteConfigOutcome {
    /// No statement, or one that we don't know.
    #[default]
    Unset,
    /// In use.
    Applied,
    /// In progress.
    Applying,
    /// Refused or failed.
    Failed,
}

/// The components that an agent is built from: OpAMP's `AvailableComponents`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AvailableComponents {
    /// The agent's digest of the set, opaque.
    pub hash: Vec<u8>,
    /// The set; empty until the agent was asked for it.
    pub components: BTreeMap<String, Component>,
}

/// A kind of component, such as `receivers`, or one component, such as `otlp`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Attribute>,
    /// The components inside, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Self>,
}

impl Report {
    /// Whether the message says nothing but who it is from: a legal poll, and no gap (S-064).
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.sequence == 0
            && self.capabilities.is_none()
            && !self.disconnect
            && !self.requests_uid
            && self.parts == Parts::default()
    }
}
