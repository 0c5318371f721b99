//! From an agent's bytes to a message of the use cases, or to the refusal that it gets.

use std::time::Duration;

use http::StatusCode;
use http_body::Body as _;

use super::AgentPlane;
use crate::app::exchange::{Heartbeat, Message};
use crate::app::identities::Speaker;
use crate::fleet::agent::{RefusalKind, Refused, Reply};
use crate::http::{Problem, Request, Share};
use crate::opamp::{self, Echo, Refusal};

/// A message that was refused before it reached an agent.
#[derive(Debug)]
pub(super) struct TurnedAway {
    /// The uid to answer to.
    pub(super) echo: Echo,
    /// The answer.
    pub(super) reply: Reply,
    /// Whether the bytes could not be read at all.
    pub(super) unreadable: bool,
    /// Whether it came too often.
    pub(super) too_often: bool,
    /// Whether it doesn't fit beside the other messages in flight.
    pub(super) no_room: bool,
}

/// A message that can be given to the use cases.
#[derive(Debug)]
pub(super) struct Heard {
    /// The uid to answer to.
    pub(super) echo: Echo,
    /// The message.
    pub(super) message: Message,
    /// What it takes of the budget, for as long as it is there.
    pub(super) share: Share,
}

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        Self {
            reply: Reply::Error(Refused::from(&refusal)),
            unreadable: refusal.is_unreadable(),
            echo: refusal.echo,
            too_often: false,
            no_room: false,
        }
    }
}

impl AgentPlane {
    /// Room for the body of a request, as large as it says that it is, or may be.
    pub(super) fn room_for(&self, request: &Request) -> Result<Share, Problem> {
        let limit = self.settings.message.bytes;
        let announced = request.body().size_hint().upper();
        let bytes = announced.map_or(limit, |bytes| usize::try_from(bytes).unwrap_or(limit));
        self.budget.share(bytes.min(limit)).ok_or_else(|| self.no_room())
    }

    /// What a request gets while too many messages are in flight.
    pub(super) fn no_room(&self) -> Problem {
        self.app
            .metrics
            .refused
            .inc(crate::observability::metrics::RefusalReason::InFlight);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "in_flight", NO_ROOM).retry_after(spread_wait())
    }

    /// Reads one message. A heartbeat is taken from the scan, without decoding.
    pub(super) fn read(&self, speaker: &Speaker, bytes: &[u8]) -> Result<Heard, TurnedAway> {
        let refuse = |refusal: Refusal| {
            tracing::debug!(credential_id = %speaker.credential.id, reason = %refusal, "a message was refused");
            TurnedAway::from(refusal)
        };
        let scanned = opamp::scan(bytes, &self.settings.message);
        let uid = scanned.as_ref().ok().and_then(|scan| scan.uid().ok());
        if !self
            .throttle
            .takes(&speaker.credential, uid, self.app.clock().now())
        {
            self.app
                .metrics
                .refused
                .inc(crate::observability::metrics::RefusalReason::Throttled);
            let echo = scanned.map_or_else(|refusal| refusal.echo, |scan| scan.echo);
            return Err(too_often(echo));
        }
        let scan = scanned.map_err(refuse)?;
        let uid = scan.uid().map_err(refuse)?;
        let heartbeat = scan.is_heartbeat && scan.flags == 0;
        let Some(share) = self.budget.share(if heartbeat { 0 } else { scan.memory() }) else {
            return Err(no_room(scan.echo));
        };
        let message = if heartbeat {
            Message::Heartbeat(Heartbeat {
                uid,
                sequence: scan.sequence,
                fingerprint: opamp::fingerprint(bytes),
                capabilities: scan.capabilities,
            })
        } else {
            Message::Report(Box::new(scan.decode().map_err(refuse)?))
        };
        Ok(Heard {
            echo: scan.echo,
            message,
            share,
        })
    }
}

/// The wait is at least 30 s, and different each time, so that a fleet doesn't come back as one wave (S-306).
pub(super) fn spread_wait() -> Duration {
    Duration::from_secs(fastrand::u64(30..60))
}

/// What agents are told while too many messages are in flight.
const NO_ROOM: &str = "the server is reading too many large messages at once; send this one again later";

fn too_often(echo: Echo) -> TurnedAway {
    TurnedAway {
        too_often: true,
        ..later(echo, "too many messages; send less often")
    }
}

fn no_room(echo: Echo) -> TurnedAway {
    TurnedAway {
        no_room: true,
        ..later(echo, NO_ROOM)
    }
}

fn later(echo: Echo, message: &str) -> TurnedAway {
    let refused = Refused {
        kind: RefusalKind::Unavailable,
        message: message.to_owned(),
        retry_after: Some(spread_wait()),
    };
    TurnedAway {
        echo,
        reply: Reply::Error(refused),
        unreadable: false,
        too_often: false,
        no_room: false,
    }
}
