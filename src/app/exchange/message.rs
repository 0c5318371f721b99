//! What comes in and what goes back, as far as the exchange looks at it.

use tokio::sync::OwnedMutexGuard;

use crate::fleet::agent::report::Report;
use crate::fleet::agent::{RefusalKind, Refused, Reply};
use crate::fleet::ids::{AgentId, InstanceUid};

/// One message, as far as it had to be decoded.
#[derive(Debug)]
pub enum Message {
    /// Nothing but uid, number and capabilities.
    Heartbeat(Heartbeat),
    /// Anything else.
    Report(Box<Report>),
}

/// A message of nothing but uid, number and capabilities.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// The uid that is presented.
    pub uid: InstanceUid,
    /// The message's number.
    pub sequence: u64,
    /// The digest of its bytes.
    pub fingerprint: u64,
    /// Its capabilities, 0 = not sent.
    pub capabilities: u64,
}

impl Message {
    /// The uid that is presented.
    #[must_use]
    pub fn uid(&self) -> InstanceUid {
        match self {
            Self::Heartbeat(heartbeat) => heartbeat.uid,
            Self::Report(report) => report.uid,
        }
    }

    pub(super) fn into_report(self) -> Report {
        match self {
            Self::Report(report) => *report,
            Self::Heartbeat(beat) => Report {
                uid: beat.uid,
                sequence: beat.sequence,
                fingerprint: beat.fingerprint,
                capabilities: (beat.capabilities != 0)
                    .then_some(crate::fleet::capabilities::Capabilities(beat.capabilities)),
                parts: crate::fleet::agent::report::Parts::default(),
                disconnect: false,
                requests_uid: false,
            },
        }
    }
}

/// What goes back, and the agent's turn, to be held until the bytes are handed to the socket.
#[derive(Debug)]
pub struct Spoken {
    /// The agent that it is for; `None` when the message reached none.
    pub agent: Option<AgentId>,
    /// The uid to echo, or for a push the uid to address.
    pub uid: InstanceUid,
    /// The reply.
    pub reply: Reply,
    /// Whether there is more to say afterwards: look again.
    pub again: bool,
    /// Serialises exchanges of one agent.
    pub turn: Option<OwnedMutexGuard<()>>,
}

impl Spoken {
    /// A refusal of a message that reached no agent.
    #[must_use]
    pub fn refused(uid: InstanceUid, kind: RefusalKind, message: impl Into<String>) -> Self {
        let refused = Refused {
            kind,
            message: message.into(),
            retry_after: None,
        };
        Self {
            uid,
            reply: Reply::Error(refused),
            again: false,
            agent: None,
            turn: None,
        }
    }
}
