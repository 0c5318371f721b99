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
    /// It was known before the server started, and has not spoken since; it is too early to call it gone.
    Awaited {
        /// When the server started.
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
            Self::Online { since, .. } | Self::Awaited { since } | Self::Offline { since } => since,
        }
    }

    /// Whether it may be there: it is, or it was known before a start and had no time to come back yet.
    #[must_use]
    pub fn may_be_there(self) -> bool {
        matches!(self, Self::Online { .. } | Self::Awaited { .. })
    }

    /// How an agent that last spoke at `last_seen` begins when the server starts at `started`. Nobody is called offline
    /// then: those who poll could not be heard before.
    #[must_use]
    pub fn at_start(last_seen: Timestamp, started: Timestamp) -> Self {
        if last_seen == Timestamp::EPOCH {
            Self::NeverSeen
        } else {
            Self::Awaited { since: started }
        }
    }

    /// What `silence` since `last_seen` makes of it, when that is something else: an agent that polls is gone, and so is
    /// one that did not come back after a start. On a WebSocket the socket decides.
    #[must_use]
    pub fn after_silence(self, last_seen: Timestamp, silence: Duration, now: Timestamp) -> Option<Self> {
        let heard = match self {
            Self::Online {
                transport: Transport::Http,
                ..
            } => last_seen,
            Self::Awaited { since } => since,
            Self::NeverSeen
            | Self::Offline { .. }
            | Self::Online {
                transport: Transport::WebSocket,
                ..
            } => return None,
        };
        (now.since(heard) > silence).then_some(Self::Offline { since: last_seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_mins(2);

    #[test]
    fn after_a_start_nobody_is_called_offline_before_one_threshold_has_passed() {
        let last_seen = Timestamp::from_seconds(10);
        let awaited = Presence::at_start(last_seen, Timestamp::from_seconds(1000));
        let after = |second| awaited.after_silence(last_seen, SILENCE, Timestamp::from_seconds(second));
        assert!(awaited.may_be_there() && !awaited.is_online());
        assert_eq!(after(1120), None);
        assert_eq!(after(1121), Some(Presence::Offline { since: last_seen }));
    }

    #[test]
    fn silence_ends_polling_and_no_websocket() {
        let (since, now) = (Timestamp::from_seconds(1000), Timestamp::from_seconds(5000));
        let online = |transport| Presence::Online { transport, since };
        let gone = Some(Presence::Offline { since });
        assert_eq!(online(Transport::Http).after_silence(since, SILENCE, now), gone);
        assert_eq!(online(Transport::Http).after_silence(now, SILENCE, now), None);
        assert_eq!(
            online(Transport::WebSocket).after_silence(since, SILENCE, now),
            None
        );
    }

    #[test]
    fn whoever_never_spoke_is_not_awaited() {
        let presence = Presence::at_start(Timestamp::EPOCH, Timestamp::from_seconds(1000));
        assert_eq!(presence, Presence::NeverSeen);
    }
}
