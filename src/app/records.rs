//! What the store keeps: every record with its key and table, in one list.

use serde::{Deserialize, Serialize};

use super::messages::Received;
use crate::fleet::agent::{Delivery, Happening, Registration, Reported};
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::identity::Credential;
use crate::fleet::ids::{AgentId, CredentialId, EnrolmentTokenId};
use crate::fleet::time::Timestamp;

/// One entry of an agent's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TimelineEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

/// The pulses of many agents in one row, since they change all the time and are worth little each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pulses {
    /// One entry per agent.
    pub agents: Vec<PulseRow>,
}

/// The pulse of one agent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PulseRow {
    /// The agent.
    pub id: AgentId,
    /// The number of its last message.
    pub sequence: Option<u64>,
    /// When it last spoke.
    pub last_seen: Timestamp,
}

/// The set of components behind an agent's own hash of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComponentSet {
    /// The digest under which the set is kept.
    pub digest: crate::fleet::hash::Digest,
}

crate::records! {
    /// Every table of the agents' side.
    pub const TABLES;
    Registration: AgentId => "agents_v1", version 1;
    Reported: AgentId => "reports_v1", version 1;
    Delivery: AgentId => "deliveries_v1", version 1;
    Pulses: u64 => "pulses_v1", version 1;
    Received: (AgentId, u64) => "custom_messages_v1", version 1;
    TimelineEntry: (AgentId, u64) => "timeline_v1", version 1;
    ComponentSet: (String, String) => "components_v1", version 1;
    Credential: CredentialId => "credentials_v1", version 1;
    EnrolmentToken: EnrolmentTokenId => "enrolment_tokens_v1", version 1;
}
