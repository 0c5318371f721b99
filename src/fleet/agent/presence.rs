//! Whether an agent is there.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Transport;
use crate::fleet::time::Timestamp;

/// Whether an agent is there. On a WebSocket the socket decides; over HTTP silence does (S-112, S-116).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Presence {
    /// It never spoke.
    NeverSeen,
    /// It is there.
    Online {
        /// How it is connected.
        transport: Transport,
        /// Since when.
        since: Timestamp,
    },
    /// It is gone.
    Offline {
        /// Since when: its goodbye, the end of its connection, or its last message.
        since: Timestamp,
    },
}

impl Presence {
    /// Whether it is there.
    #[must_use]
    pub fn is_online(self) -> bool {
        matches!(self, Self::Online { .. })
    }

    /// Since when it is as it is; the epoch when it never spoke.
    #[must_use]
    pub fn since(self) -> Timestamp {
        match self {
            Self::NeverSeen => Timestamp::EPOCH,
            Self::Online { since, .. } | Self::Offline { since } => since,
        }
    }

    /// Whether a polling agent that last spoke at `last_seen` is taken as gone. After a start nobody is before one
    /// threshold has passed since `started`, for polls could not be received before.
    #[must_use]
    pub fn is_silent(last_seen: Timestamp, started: Timestamp, threshold: Duration, now: Timestamp) -> bool {
        now.since(last_seen.max(started)) > threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_start_nobody_is_called_offline_before_one_threshold_has_passed() {
        let threshold = Duration::from_mins(2);
        let start = Timestamp::from_seconds(1000);
        assert!(!Presence::is_silent(
            Timestamp::from_seconds(10),
            start,
            threshold,
            Timestamp::from_seconds(1100)
        ));
        assert!(Presence::is_silent(
            Timestamp::from_seconds(10),
            start,
            threshold,
            Timestamp::from_seconds(1121)
        ));
    }
}
