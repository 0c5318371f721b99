//! What one link has been told.

use std::time::Duration;

use super::connection::Using;
use super::reply::Update;
use crate::fleet::hash::Digest;
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;

/// How messages travel on a link.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A WebSocket: pushes are possible.
    WebSocket,
    /// HTTP polling: everything waits for the next request.
    Http,
}

/// The memory of one link about one agent: a WebSocket connection, or for HTTP the run of polls since the last restart
/// or silence. Forgotten with the link, never stored.
#[derive(Clone, Debug)]
pub struct Contact {
    /// How messages travel.
    pub transport: Transport,
    /// Whether our capabilities were stated (S-101).
    pub capabilities_stated: bool,
    /// Whether our custom capabilities were announced (S-270).
    pub custom_announced: bool,
    /// Where asking for the full state stands.
    pub asking: Asking,
    /// How often the component list was asked for (S-284).
    pub components_asked: u8,
    /// The content that was offered here and not yet answered, and how often.
    pub offered: Option<(Digest, u8)>,
    /// Whether the last report carried a status that names something else than what is wanted now.
    pub status_reported: bool,
    /// What the last answer said, for a repeated request whose answer was lost (S-062).
    pub said: Said,
    /// A uid that this link's speaker is to take.
    pub new_uid: Option<InstanceUid>,
    /// How often a second sequence continued here.
    pub interleaved: u8,
    /// What it was opened with; `None` before the first message.
    pub using: Option<Using>,
    /// The connection settings that were offered here, and how often.
    pub connection_offered: Option<(Digest, u8)>,
    /// Whether the last report showed that the offered connection settings are not there: the agent names others, or
    /// started anew.
    pub connection_again: bool,
}

/// What an answer carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The flag that asks for the full state.
    pub full_state: bool,
    /// The flag that asks for components.
    pub components: bool,
    /// An offer.
    pub offer: bool,
    /// A connection offer.
    pub connection: bool,
}

/// Asking an agent for its full state: in the answer, again after 30 s and 90 s, then no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    /// Nothing is missing.
    #[default]
    No,
    /// To be asked at this time, having been asked so often.
    Due {
        /// When. After a kill these are spread out.
        at: Timestamp,
        /// How often it was asked before.
        asked: u8,
    },
}

impl Asking {
    /// Asks that are made before what we have is taken as all that comes.
    pub const LIMIT: u8 = 3;

    /// What follows when it was asked at `now`.
    #[must_use]
    pub fn after_asking(self, now: Timestamp, transport: Transport) -> Self {
        match (self, transport) {
            (Self::No, _) => Self::No,
            (Self::Due { asked, .. }, Transport::Http) => Self::Due {
                at: now,
                asked: asked + 1,
            },
            (Self::Due { asked: 0, .. }, Transport::WebSocket) => Self::Due {
                at: now.plus(Duration::from_secs(30)),
                asked: 1,
            },
            (Self::Due { asked, .. }, Transport::WebSocket) => Self::Due {
                at: now.plus(Duration::from_mins(1)),
                asked: asked + 1,
            },
        }
    }

    /// When something is to be done about it.
    #[must_use]
    pub fn due(self) -> Option<Timestamp> {
        match self {
            Self::No => None,
            Self::Due { at, .. } => Some(at),
        }
    }
}

impl Contact {
    /// How often one content is offered on one link when statuses keep naming another.
    pub const OFFERS_PER_LINK: u8 = 3;
    /// How often components are asked for on one link.
    pub const COMPONENT_ASKS: u8 = 2;

    /// A link on which nothing was said.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            capabilities_stated: false,
            custom_announced: false,
            asking: Asking::No,
            components_asked: 0,
            offered: None,
            status_reported: false,
            said: Said::default(),
            new_uid: None,
            interleaved: 0,
            using: None,
            connection_offered: None,
            connection_again: false,
        }
    }

    /// Notes what an answer said.
    pub(super) fn note(&mut self, update: &Update) {
        self.said = Said {
            full_state: update.full_state,
            components: update.available_components,
            offer: update.remote_config.is_some(),
            connection: update.connection.is_some(),
        };
    }
}
