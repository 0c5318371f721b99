//! Why a message was refused, in words for whoever wrote the agent, and whom to tell.

use std::fmt;

use super::varint::Broken;
use crate::fleet::agent::{RefusalKind, Refused};

/// A message that can't be taken, with the uid to answer to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Refusal {
    /// The uid to put into the answer: what the agent sent, where it could be read (S-082).
    pub echo: Echo,
    /// What is wrong.
    pub cause: Cause,
}

impl Refusal {
    /// Whether the bytes were no message that we read at all. Over HTTP such a body gets status 400, while a message that
    /// was read and is wrong gets 200 and the error inside (S-301).
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        !matches!(self.cause, Cause::Uid(_))
    }
}

impl From<&Refusal> for Refused {
    /// The `BAD_REQUEST` that tells the agent.
    fn from(refusal: &Refusal) -> Self {
        Self {
            kind: RefusalKind::BadRequest,
            message: refusal.to_string(),
            retry_after: None,
        }
    }
}

/// What is wrong with a message. The text goes to the agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A WebSocket message with a header that nobody defined.
    #[error("the WebSocket message begins with header {0}; only 0 is defined")]
    Header(u64),
    /// The message has too many bytes.
    #[error("the message has {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// Messages inside messages beyond the limit.
    #[error("the message is nested too deeply; at most {limit} levels are taken")]
    TooDeep {
        /// What it may have.
        limit: usize,
    },
    /// Too many parts.
    #[error("the message has too many parts; at most {limit} are taken")]
    TooMany {
        /// What it may have.
        limit: usize,
    },
    /// One text is too long.
    #[error("a text in the message has {bytes} bytes; at most {limit} are taken")]
    TextTooLong {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// The bytes are no Protobuf message of this schema.
    #[error("not an AgentToServer message: {0}")]
    Broken(#[from] Broken),
    /// The decoder refused what the scan let pass: a text that is not UTF-8.
    #[error(transparent)]
    Undecodable(#[from] prost::DecodeError),
    /// The message doesn't say who it is from.
    #[error("instance_uid {0}")]
    Uid(#[from] UidFault),
}

/// What is wrong with an `instance_uid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UidFault {
    /// There is none.
    #[error("is missing; 16 bytes are needed")]
    Absent,
    /// Nothing but zeros.
    #[error("is all zero; a uid of your own is needed")]
    Zero,
    /// Another length, in bytes.
    #[error("has {0} bytes; 16 are needed")]
    Length(usize),
    /// The 26 characters that agents sent before OpAMP 0.10.
    #[error("is a text of 26 characters, as before OpAMP 0.10; 16 bytes are needed: please update the agent")]
    Ulid,
}

/// A uid to hand back exactly as it came: up to 32 bytes, so also the texts of old agents. Longer ones are not worth
/// repeating and echo as nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Echo {
    bytes: [u8; 32],
    length: usize,
}

impl Echo {
    /// Keeps `uid` for an answer.
    #[must_use]
    pub fn of(uid: &[u8]) -> Self {
        let mut echo = Self::default();
        if let Some(room) = echo.bytes.get_mut(..uid.len()) {
            room.copy_from_slice(uid);
            echo.length = uid.len();
        }
        echo
    }

    /// The bytes to answer to; empty when there is nothing to repeat.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echo({})", self.as_bytes().escape_ascii())
    }
}
