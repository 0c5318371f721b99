//! What happens to an agent, as its timeline tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contact::Transport;
use crate::fleet::hash::Digest;
use crate::fleet::suspension::{Ended, Terms};

/// Something that happened to an agent: an entry of its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Happening {
    /// It was enrolled.
    Enrolled,
    /// An operator approved it, after it had waited for that.
    Approved {
        /// Who.
        by: String,
    },
    /// An operator found that it had been enrolled again, and gave it the credential of the record that came of that.
    Merged {
        /// Who.
        by: String,
        /// That record.
        from: crate::fleet::ids::AgentId,
    },
    /// It spoke for the first time.
    FirstContact,
    /// It came online.
    Connected {
        /// How.
        transport: Transport,
    },
    /// It went offline.
    Disconnected {
        /// Why, in words.
        reason: String,
    },
    /// It became healthy.
    Healthy,
    /// It became unhealthy.
    Unhealthy {
        /// What it says is wrong.
        error: String,
    },
    /// Its process started anew.
    Restarted,
    /// A configuration was offered to it.
    ConfigOffered {
        /// The content.
        digest: Digest,
    },
    /// It is applying a configuration.
    ConfigApplying {
        /// The content.
        digest: Digest,
    },
    /// It runs a configuration.
    ConfigApplied {
        /// The content.
        digest: Digest,
    },
    /// It refused a configuration.
    ConfigFailed {
        /// The content.
        digest: Digest,
        /// Its reason.
        error: String,
    },
    /// The configuration that it really runs changed.
    EffectiveConfigChanged {
        /// The content.
        digest: Digest,
    },
    /// A report was lost, and its full state was asked for.
    ReportLost,
    /// It was told to restart.
    RestartSent,
    /// A custom message was sent to it.
    MessageSent {
        /// The capability.
        capability: String,
        /// The type of message.
        #[serde(rename = "type")]
        message: String,
    },
    /// It was given another uid.
    UidAssigned,
    /// It moved to another group.
    GroupChanged {
        /// The group that it is in now.
        group: crate::fleet::name::Name,
    },
    /// It was found to run something else than what is wanted of it.
    Drifted,
    /// An operator held it: nothing is offered.
    Held {
        /// On which terms.
        terms: Terms,
    },
    /// An operator detached it from its group: it is only observed.
    Detached {
        /// On which terms.
        terms: Terms,
    },
    /// A hold or a detachment was ended by somebody.
    Released {
        /// Who.
        by: String,
    },
    /// An operator pinned it to a group.
    Pinned {
        /// The group.
        group: crate::fleet::name::Name,
        /// On which terms.
        terms: Terms,
    },
    /// Something that an operator had decided came to its end.
    EndedByItself {
        /// What.
        what: Ended,
    },
    /// An operator had what is wanted offered once more.
    ReapplyOrdered {
        /// Who.
        by: String,
    },
    /// It was found to know offers that the store has forgotten, and is held.
    HeldBackInTime,
    /// A new credential was offered to it.
    ConnectionOffered,
    /// It uses the credential that it was offered, for the first time.
    ConnectionAccepted,
    /// It could not use the credential that it was offered.
    ConnectionFailed {
        /// Its reason.
        error: String,
    },
    /// It came back with a credential that was replaced.
    CameToRecover,
}
