//! One agent: what it reports, what we know of it, and what it should hear.
//!
//! An agent's state is three records that never mix: the [`Registration`] is intent and identity, [`Reported`] is what
//! the agent says (lossy, heals itself, flushed late), and [`Delivery`] holds verdicts (durable before they act).
//! [`Pulse`] is what changes with every heartbeat, and [`Contact`] is what one link has been told.

mod connection;
mod contact;
mod delivery;
mod happening;
pub mod health;
mod observe;
pub mod presence;
mod registration;
mod reply;
pub mod report;
mod reported;
pub mod verdict;

pub use connection::{
    ConnectionAccepted, ConnectionAcknowledgement, ConnectionDelivery, ConnectionOffered, Using,
};
pub use contact::{Asking, Contact, Said, Transport};
pub use delivery::{Acknowledgement, Delivery, Failure, HoldReason, Offered, RestartOrder};
pub use happening::Happening;
pub use observe::{Observed, Seen, Staleness};
pub use registration::{Origin, Registration, Standing};
pub use reply::{Command, Desired, Intent, Offer, RefusalKind, Refused, Reply, Update};
pub use reported::{Completeness, ComponentsRef, EffectiveRef, Reported};
pub use verdict::{Judgement, Verdict};

use serde::{Deserialize, Serialize};

use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

/// One agent as memory holds it. Cloned when a part changes, shared by readers.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Identity and what operators decided.
    pub registration: Registration,
    /// What it last reported.
    pub reported: Reported,
    /// What was offered and what became of it.
    pub delivery: Delivery,
}

/// What every message changes, kept beside the agent so that a heartbeat clones nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// The number of the last processed message; `None` before the first.
    pub sequence: Option<u64>,
    /// The fingerprint of that message.
    pub fingerprint: u64,
    /// The number before the last gap: a second sequence that continues it is a clone's.
    pub abandoned: Option<u64>,
    /// When the agent last spoke.
    pub last_seen: Timestamp,
}

/// One agent with everything that an exchange changes, borrowed under one lock.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The agent, replaced when a part of it changes.
    pub agent: &'a mut std::sync::Arc<Agent>,
    /// What every message changes.
    pub pulse: &'a mut Pulse,
    /// What this link has been told.
    pub contact: &'a mut Contact,
}

impl Agent {
    /// An agent that was registered and has reported nothing.
    #[must_use]
    pub fn new(registration: Registration) -> Self {
        Self {
            registration,
            reported: Reported::default(),
            delivery: Delivery::default(),
        }
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.registration.id
    }

    /// What people call it: the name given by an operator, else its host's, else its service's, else its origin's, else
    /// the beginning of its id. Never empty.
    #[must_use]
    pub fn title(&self) -> String {
        let given = self.registration.name.clone();
        let reported = [&self.reported.host_name, &self.reported.service_name];
        given
            .or_else(|| reported.into_iter().find(|name| !name.is_empty()).cloned())
            .or_else(|| Some(self.registration.origin.host.clone()).filter(|host| !host.is_empty()))
            .unwrap_or_else(|| {
                format!(
                    "agent {}",
                    self.id().to_string().chars().take(8).collect::<String>()
                )
            })
    }
}
