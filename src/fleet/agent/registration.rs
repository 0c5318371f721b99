//! Who an agent is, and what operators decided about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::ids::{AgentId, CredentialId, EnrolmentTokenId, InstanceUid, TargetId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// The durable record of an agent's identity and of the intent about it. Written by operators and by enrolment only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Registration {
    /// The record's identity.
    pub id: AgentId,
    /// The uid that the agent uses now; `None` until it first speaks.
    pub uid: Option<InstanceUid>,
    /// Uids that we replaced by another and that the agent may come back with (S-090), oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced_uids: Vec<InstanceUid>,
    /// The credential that speaks for it.
    pub credential: CredentialId,
    /// Whether it is served, and how.
    pub standing: Standing,
    /// The name that an operator gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels of operators and of the enrolment token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The group that an operator pinned it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Name>,
    /// The group that its enrolment token named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_group: Option<Name>,
    /// The group that it is in.
    pub group: Name,
    /// The group that its facts propose, when they don't take effect by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_group: Option<Name>,
    /// A target of its own, which goes before its group's: what it ran before it joined, or what an operator pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_target: Option<TargetId>,
    /// How it came here.
    pub origin: Origin,
    /// When the uid was last replaced by another, newest last; at most the last hour's (re-keying is limited).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rekeyed_at: Vec<Timestamp>,
}

/// How an agent came to be known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// When its record was made.
    pub at: Timestamp,
    /// The host name that was given at enrolment; empty when none was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The address it enrolled or first spoke from; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The enrolment token that let it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<EnrolmentTokenId>,
}

/// Whether an agent is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Standing {
    /// Served.
    #[default]
    Active,
    /// A second agent that uses another one's credential: acknowledged and given nothing.
    Conflict {
        /// The agent whose credential it uses.
        with: AgentId,
    },
    /// Put away by an operator: kept, hidden from lists, given nothing.
    Archived {
        /// Since when.
        at: Timestamp,
    },
    /// Its credential was revoked: not let in.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
}

impl Registration {
    /// A new record for an agent in no group.
    #[must_use]
    pub fn new(id: AgentId, credential: CredentialId, origin: Origin) -> Self {
        Self {
            id,
            uid: None,
            replaced_uids: Vec::new(),
            credential,
            standing: Standing::Active,
            name: None,
            labels: BTreeMap::new(),
            pin: None,
            token_group: None,
            group: Name::unassigned(),
            proposed_group: None,
            own_target: None,
            origin,
            rekeyed_at: Vec::new(),
        }
    }

    /// Whether configurations and commands may go to it.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.standing == Standing::Active
    }

    /// Makes `uid` the agent's uid and remembers the present one, which it may come back with.
    pub fn replace_uid(&mut self, uid: InstanceUid) {
        const REMEMBERED: usize = 8;
        if let Some(old) = self.uid.replace(uid)
            && old != uid
            && !self.replaced_uids.contains(&old)
        {
            self.replaced_uids.push(old);
        }
        self.replaced_uids.retain(|old| *old != uid);
        let excess = self.replaced_uids.len().saturating_sub(REMEMBERED);
        self.replaced_uids.drain(..excess);
    }
}
