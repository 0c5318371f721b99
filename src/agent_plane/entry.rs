//! From an agent's bytes to a message of the use cases, or to the refusal that it gets.

use std::time::Duration;

use super::AgentPlane;
use crate::app::exchange::{Heartbeat, Message};
use crate::app::identities::Speaker;
use crate::fleet::agent::{RefusalKind, Refused, Reply};
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
}

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        Self {
            reply: Reply::Error(Refused::from(&refusal)),
            unreadable: refusal.is_unreadable(),
            echo: refusal.echo,
            too_often: false,
        }
    }
}

impl AgentPlane {
    /// Reads one message. A heartbeat is taken from the scan, without decoding.
    pub(super) fn read(&self, speaker: &Speaker, bytes: &[u8]) -> Result<(Echo, Message), TurnedAway> {
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
        Ok((scan.echo, message))
    }
}

/// The wait is at least 30 s, and different each time, so that a fleet doesn't come back as one wave (S-306).
pub(super) fn spread_wait() -> Duration {
    Duration::from_secs(fastrand::u64(30..60))
}

fn too_often(echo: Echo) -> TurnedAway {
    let message = "too many messages; send less often".to_owned();
    let refused = Refused {
        kind: RefusalKind::Unavailable,
        message,
        retry_after: Some(spread_wait()),
    };
    TurnedAway {
        echo,
        reply: Reply::Error(refused),
        unreadable: false,
        too_often: true,
    }
}
