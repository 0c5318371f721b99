//! What an agent last said about itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::Health;
use crate::fleet::attributes::Description;
use crate::fleet::capabilities::Capabilities;
use crate::fleet::hash::Digest;
use crate::fleet::packed::Packed;
use crate::fleet::time::Timestamp;

/// The last word of an agent on each subject. Lossy: a kill may lose the newest, and the sequence shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reported {
    /// The number of the message that this state covers; `None` before the first. Never newer than the state.
    pub sequence: Option<u64>,
    /// When the agent had last spoken as this was written.
    pub heard_at: Timestamp,
    /// What it says it can do.
    pub capabilities: Capabilities,
    /// Who and where it is; `None` = not reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Packed<Description>>,
    /// `host.name` from the description, empty when not reported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_name: String,
    /// `service.name` from the description, empty when not reported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// `service.version` from the description, empty when not reported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_version: String,
    /// `os.type` from the description, empty when not reported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_type: String,
    /// The health tree; `None` = not reported, which is unknown and not unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Packed<Health>>,
    /// Whether the agent as a whole is healthy; `None` = not reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Since when `healthy` is as it is.
    pub healthy_since: Timestamp,
    /// The configuration in use; `None` = not reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_config: Option<EffectiveRef>,
    /// The components that it is built from; `None` = not reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<ComponentsRef>,
    /// The custom capabilities that it lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_capabilities: Vec<String>,
    /// When the running process started, as its health says; a change is a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it first spoke.
    pub first_seen: Timestamp,
    /// Whether what we hold is all that it has to say.
    pub completeness: Completeness,
}

impl Reported {
    /// The contents in the store that it refers to.
    pub fn contents(&self) -> impl Iterator<Item = Digest> {
        let runs = self.effective_config.map(|runs| runs.digest);
        let components = self.components.as_ref().and_then(|set| set.known);
        runs.into_iter().chain(components)
    }
}

/// A reported configuration: the body lies in the store, shared by agents that run the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveRef {
    /// The digest of its content.
    pub digest: Digest,
    /// When it was first reported so.
    pub at: Timestamp,
    /// Its size in bytes.
    pub size: u64,
}

/// A reported set of components: the set lies in the store, shared by agents that report the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentsRef {
    /// The agent's own digest of the set, in hexadecimal digits.
    pub hash: String,
    /// The digest under which we hold the set; `None` while only the agent's hash is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Digest>,
}

/// How far reported state can be trusted to be whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// Something was lost or never sent: the agent is to be asked for its full state.
    #[default]
    Unknown,
    /// Nothing is missing that the agent says it reports.
    Complete,
    /// It was asked, and this is all that comes.
    Incomplete,
}
