//! Connection offers to one agent: what was offered, what became of it, and when to offer again.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::{ConnectionStatus, RemoteConfigOutcome};
use super::{Agent, Contact, Failure, Happening, Observed, Subject};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::connection_offer::ConnectionOffer;
use crate::fleet::hash::Digest;
use crate::fleet::ids::CredentialId;
use crate::fleet::time::Timestamp;

/// What must never be forgotten about connection offers to one agent. Committed before anything that depends on it is
/// sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionDelivery {
    /// The last offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<ConnectionOffered>,
    /// The last statement of the agent about an offer of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<ConnectionAcknowledgement>,
    /// The last offer that a connection showed to be in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<ConnectionAccepted>,
    /// Since when the agent is back with a credential that was replaced, and is given nothing but the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovering_since: Option<Timestamp>,
    /// Offers that failed here, oldest first: never made again by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// An offer that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionOffered {
    /// Its hash.
    pub hash: Digest,
    /// The credential in it.
    pub credential: CredentialId,
    /// The heartbeat interval in it, in seconds.
    pub heartbeat_seconds: u64,
    /// When it was last made.
    pub at: Timestamp,
    /// How often it was made since a connection last showed that it is in use.
    pub times: u32,
}

/// What an agent said about an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionAcknowledgement {
    /// The offer.
    pub hash: Digest,
    /// What became of it.
    pub outcome: RemoteConfigOutcome,
    /// When this was first said.
    pub at: Timestamp,
}

/// An offer that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionAccepted {
    /// The credential that the connection showed.
    pub credential: CredentialId,
    /// The heartbeat interval that came with it, in seconds.
    pub heartbeat_seconds: u64,
    /// Since when.
    pub at: Timestamp,
}

/// What a link was opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Using {
    /// The credential.
    pub credential: CredentialId,
    /// Whether that one is only good for coming back: nothing but the offer of the present one goes over the link.
    pub recovery: bool,
    /// Host and port under which the agent found us; `None` when it didn't say.
    pub authority: Option<Arc<str>>,
}

/// So often an offer is made without being used, before it takes [`PATIENCE`] from one to the next: an agent that
/// reconnects at every offer and keeps its old settings would never stop.
const EAGER_OFFERS: u32 = 3;
/// How long an offer that is never used rests.
const PATIENCE: Duration = Duration::from_mins(10);
/// For how long after an offer a goodbye is part of taking it (S-217).
const CHANGING_OVER: Duration = Duration::from_mins(2);
/// How many intervals an agent may be silent over HTTP.
const INTERVALS_OF_SILENCE: u32 = 4;

impl ConnectionDelivery {
    /// The failure of the offer `hash` here, if it failed.
    #[must_use]
    pub fn failure_of(&self, hash: Digest) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.digest == hash)
    }

    fn remember_failure(&mut self, failure: Failure) {
        const REMEMBERED: usize = 8;
        self.failures.retain(|known| known.digest != failure.digest);
        self.failures.push(failure);
        let excess = self.failures.len().saturating_sub(REMEMBERED);
        self.failures.drain(..excess);
    }

    /// Whether the last offer waits for its first use.
    fn is_pending(&self) -> Option<&ConnectionOffered> {
        self.offered.as_ref().filter(|offered| offered.times > 0)
    }
}

impl Agent {
    /// Whether the agent is most likely closing its connection to open one as it was offered (S-217).
    #[must_use]
    pub fn changes_over(&self, now: Timestamp) -> bool {
        let connection = self.delivery.connection.as_ref();
        let pending = connection.and_then(|connection| connection.is_pending());
        pending.is_some_and(|offered| now.since(offered.at) < CHANGING_OVER)
    }

    /// Since when the agent is back with a credential that was replaced, and whether it has had the time to take the
    /// present one; `None` when it isn't.
    #[must_use]
    pub fn recovers(&self, now: Timestamp) -> Option<(Timestamp, bool)> {
        let since = self.delivery.connection.as_ref()?.recovering_since?;
        Some((since, now.since(since) > CHANGING_OVER))
    }

    /// How long the agent may be silent over HTTP: several of the intervals that it took from us, and never less than
    /// `usual` (S-115). `using` is what its link shows; `None` before it spoke, when it is taken to go on as before.
    #[must_use]
    pub fn silence_borne(&self, using: Option<&Using>, usual: Duration) -> Duration {
        let connection = self.delivery.connection.as_ref();
        let accepted = connection.and_then(|connection| connection.accepted);
        let in_use =
            accepted.filter(|accepted| using.is_none_or(|using| using.credential == accepted.credential));
        in_use.map_or(usual, |accepted| {
            let interval = Duration::from_secs(accepted.heartbeat_seconds);
            usual.max(interval.saturating_mul(INTERVALS_OF_SILENCE))
        })
    }
}

impl Subject<'_> {
    /// Notes which settings the agent's link shows to be in use. Whether a verdict changed.
    pub fn arrive(&mut self, now: Timestamp) -> bool {
        let (Some(connection), Some(using)) = (&self.agent.delivery.connection, &self.contact.using) else {
            return false;
        };
        let recovering = using.recovery.then(|| connection.recovering_since.unwrap_or(now));
        let offered = connection.offered;
        let shown = offered.filter(|offered| offered.credential == using.credential);
        let accepted = shown.map(|offered| ConnectionAccepted {
            credential: offered.credential,
            heartbeat_seconds: offered.heartbeat_seconds,
            at: now,
        });
        let fresh = accepted.filter(|accepted| {
            connection.accepted.is_none_or(|known| {
                (known.credential, known.heartbeat_seconds)
                    != (accepted.credential, accepted.heartbeat_seconds)
            })
        });
        let unused = shown.filter(|offered| offered.times > 0);
        if recovering == connection.recovering_since && fresh.is_none() && unused.is_none() {
            return false;
        }
        let connection = self.connection_mut();
        connection.recovering_since = recovering;
        connection.accepted = fresh.or(connection.accepted);
        if let Some(offered) = shown {
            connection.offered = Some(ConnectionOffered { times: 0, ..offered });
            connection
                .failures
                .retain(|failure| failure.digest != offered.hash);
            // It works after all: if it is said to fail again, that is news.
            let said = connection.acknowledged.take();
            connection.acknowledged = said.filter(|said| said.outcome != RemoteConfigOutcome::Failed);
        }
        true
    }

    /// Whether this is the first message over a connection as it was just offered. A Supervisor makes a new client for it,
    /// which begins with an empty health although its collector ran on.
    pub(super) fn begins_as_offered(&self, now: Timestamp) -> bool {
        let connection = self.agent.delivery.connection.as_ref();
        let offered = connection.and_then(|connection| connection.offered);
        let using = self.contact.using.as_ref();
        let as_offered = offered.zip(using).is_some_and(|(offered, using)| {
            offered.credential == using.credential && now.since(offered.at) < CHANGING_OVER
        });
        as_offered && !self.contact.capabilities_stated
    }

    /// The connection offer that is due, if one is.
    #[must_use]
    pub fn due_connection(
        &self,
        wanted: Option<&Arc<ConnectionOffer>>,
        now: Timestamp,
    ) -> Option<Arc<ConnectionOffer>> {
        let (offer, using) = (wanted?, self.contact.using.as_ref()?);
        let capabilities = self.agent.reported.capabilities;
        let takes = capabilities.has(Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS);
        // A connection that shows the credential has the settings: a status could only say so (T-23).
        if !takes || !self.agent.registration.is_served() || using.credential == offer.credential {
            return None;
        }
        let none = ConnectionDelivery::default();
        let connection = self.agent.delivery.connection.as_deref().unwrap_or(&none);
        if connection.failure_of(offer.hash).is_some() {
            return None;
        }
        let before = connection.offered.filter(|offered| offered.hash == offer.hash);
        let Some(before) = before else {
            return Some(Arc::clone(offer));
        };
        if before.times >= EAGER_OFFERS && now.since(before.at) < PATIENCE {
            return None;
        }
        let here = self
            .contact
            .connection_offered
            .filter(|(hash, _)| *hash == offer.hash);
        let due = match here {
            Some((_, times)) => self.contact.connection_again && times < Contact::OFFERS_PER_LINK,
            // Back on what it was enrolled with: what it was offered is lost.
            None if using.recovery => true,
            None => {
                let answered = connection
                    .acknowledged
                    .as_ref()
                    .is_some_and(|said| said.hash == offer.hash);
                let reports = capabilities.has(Capabilities::REPORTS_CONNECTION_SETTINGS_STATUS);
                self.contact.connection_again || reports && !answered
            }
        };
        due.then(|| Arc::clone(offer))
    }

    /// Notes a connection offer on the link and in the record.
    pub(super) fn note_connection(&mut self, offer: &ConnectionOffer, now: Timestamp) {
        let here = self
            .contact
            .connection_offered
            .filter(|(hash, _)| *hash == offer.hash);
        let times = here.map_or(0, |(_, times)| times);
        self.contact.connection_offered = Some((offer.hash, times.saturating_add(1)));
        let connection = self.connection_mut();
        let before = connection.offered.filter(|offered| offered.hash == offer.hash);
        connection.offered = Some(ConnectionOffered {
            hash: offer.hash,
            credential: offer.credential,
            heartbeat_seconds: offer.settings.heartbeat_seconds,
            at: now,
            times: before.map_or(0, |offered| offered.times).saturating_add(1),
        });
    }

    /// Takes what the agent says about connection settings. What it says about those of others is nothing to us, but for
    /// that it doesn't have ours.
    pub(super) fn take_connection_status(
        &mut self,
        status: &ConnectionStatus,
        now: Timestamp,
        observed: &mut Observed,
    ) {
        let connection = self.agent.delivery.connection.as_ref();
        let Some(offered) = connection.and_then(|connection| connection.offered) else {
            return;
        };
        if status.hash != offered.hash.0 {
            self.contact.connection_again = true;
            return;
        }
        let known = connection.and_then(|connection| connection.acknowledged.as_ref());
        if known.is_some_and(|known| known.hash == offered.hash && known.outcome == status.outcome) {
            return;
        }
        observed.delivery_changed = true;
        let connection = self.connection_mut();
        connection.acknowledged = Some(ConnectionAcknowledgement {
            hash: offered.hash,
            outcome: status.outcome,
            at: now,
        });
        if status.outcome == RemoteConfigOutcome::Failed {
            let error: String = status.error.chars().take(2_000).collect();
            connection.remember_failure(Failure {
                digest: offered.hash,
                error: error.clone(),
                at: now,
            });
            observed.connection_failed = Some(offered.credential);
            observed.happenings.push(Happening::ConnectionFailed { error });
        }
    }

    fn connection_mut(&mut self) -> &mut ConnectionDelivery {
        Arc::make_mut(self.agent)
            .delivery
            .connection
            .get_or_insert_default()
    }
}

#[cfg(test)]
mod tests;
