//! Verdicts: what was offered to an agent and what became of it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::ConnectionDelivery;
use super::report::RemoteConfigOutcome;
use crate::fleet::custom::Queued;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// What must never be forgotten about deliveries to one agent. Committed before anything that depends on it is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Delivery {
    /// The last offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<Offered>,
    /// The last statement of the agent about a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// The digest that it last reported as applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<Offered>,
    /// Contents that failed here, oldest first: never offered again by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// Why nothing is offered, when nothing may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldReason>,
    /// A restart that was asked for and not yet sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartOrder>,
    /// The settings of its own connection; most agents are never offered any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Box<ConnectionDelivery>>,
    /// The content that is to be offered once more although the agent has it, since when: an operator's re-apply. Taken out
    /// before it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Offered>,
    /// Custom messages that wait for it, in their order. Each is taken out before it is sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outbox: Vec<Queued>,
}

/// A content, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offered {
    /// The digest of the content.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
}

/// What an agent said about the configuration it last received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledgement {
    /// The content that it named; `None` when it named none, or one that is not ours.
    pub digest: Option<Digest>,
    /// What became of it.
    pub outcome: RemoteConfigOutcome,
    /// The reason of a failure, in the agent's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// When this was first said.
    pub at: Timestamp,
}

/// A content that an agent refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The content.
    pub digest: Digest,
    /// The reason in the agent's words.
    pub error: String,
    /// When.
    pub at: Timestamp,
}

/// Why an agent is offered nothing although something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The agent knows a newer generation of our offers than the store: the store went back in time.
    StoreWentBack,
    /// An operator said so.
    Operator,
    /// An operator said so of its group.
    Group,
    /// Its group has no configuration any more; what runs stays.
    NothingLeft,
    /// The offer can't be read from the store.
    Unreadable,
    /// A rollout failed, and there is nothing of ours that the agent could be brought back to.
    NothingToGoBackTo,
    /// It joined after what its group has was rendered, and is not rendered yet, or can't be: a variable is missing.
    NotRendered,
    /// It is in its group by its own word, and the group sends secrets.
    OwnWord,
}

/// A restart that an operator asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartOrder {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

impl RestartOrder {
    /// How long an order waits for its agent. Whoever comes back later has been restarted since, or would be surprised.
    pub const VALID: Duration = Duration::from_mins(10);
}

impl Delivery {
    /// The failure of `digest` here, if it failed.
    #[must_use]
    pub fn failure_of(&self, digest: Digest) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.digest == digest)
    }

    /// Remembers that `digest` failed; the oldest of too many failures is forgotten.
    pub fn remember_failure(&mut self, failure: Failure) {
        const REMEMBERED: usize = 32;
        self.failures.retain(|known| known.digest != failure.digest);
        self.failures.push(failure);
        let excess = self.failures.len().saturating_sub(REMEMBERED);
        self.failures.drain(..excess);
    }

    /// Forgets that `digest` failed, so that it is offered once more: an operator's retry. Whether it had failed.
    pub fn forgive(&mut self, digest: Digest) -> bool {
        let before = self.failures.len();
        self.failures.retain(|known| known.digest != digest);
        let forgiven = self.failures.len() < before;
        if forgiven
            && self
                .acknowledged
                .as_ref()
                .is_some_and(|said| said.digest == Some(digest))
        {
            self.acknowledged = None;
        }
        forgiven
    }

    /// The contents that the agent may have, or may be brought back to.
    pub fn contents(&self) -> impl Iterator<Item = Digest> {
        let Self {
            offered,
            acknowledged,
            applied,
            again,
            failures: _,
            hold: _,
            restart: _,
            connection: _,
            outbox: _,
        } = self;
        let said = acknowledged.as_ref().and_then(|said| said.digest);
        let offered = [*offered, *applied, *again].into_iter().flatten();
        offered.map(|offered| offered.digest).chain(said)
    }

    /// Whether something is to be said that no comparison of intent and reports tells: a restart, an offer once more, or a
    /// custom message.
    #[must_use]
    pub fn has_orders(&self) -> bool {
        self.restart.is_some() || self.again.is_some() || !self.outbox.is_empty()
    }

    /// Whether `digest` is to be offered once more.
    #[must_use]
    pub fn is_again(&self, digest: Digest) -> bool {
        self.again.is_some_and(|again| again.digest == digest)
    }

    /// Whether the agent said that it has `digest`, whatever became of it.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.acknowledged
            .as_ref()
            .is_some_and(|said| said.digest == Some(digest))
    }

    /// Whether the agent has `digest` and was offered nothing else since: something else it may take without a word.
    #[must_use]
    pub fn settled_on(&self, digest: Digest) -> bool {
        let since = self.acknowledged.as_ref().map(|said| said.at);
        let offered_since = self
            .offered
            .is_some_and(|offered| offered.digest != digest && since.is_none_or(|since| offered.at >= since));
        self.has(digest) && !offered_since
    }

    /// Whether the agent runs `digest`, as it says.
    #[must_use]
    pub fn runs(&self, digest: Digest) -> bool {
        let applied = RemoteConfigOutcome::Applied;
        self.acknowledged
            .as_ref()
            .is_some_and(|said| said.digest == Some(digest) && said.outcome == applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_offered_since_an_acknowledgement_unsettles_it() {
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let offered = |digest, seconds| {
            Some(Offered {
                digest,
                at: Timestamp::from_seconds(seconds),
            })
        };
        let mut delivery = Delivery {
            acknowledged: Some(Acknowledgement {
                digest: Some(a),
                outcome: RemoteConfigOutcome::Applied,
                error: String::new(),
                at: Timestamp::from_seconds(10),
            }),
            ..Delivery::default()
        };
        assert!(delivery.settled_on(a) && !delivery.settled_on(b));
        delivery.offered = offered(a, 9);
        assert!(delivery.settled_on(a));
        delivery.offered = offered(b, 5);
        assert!(delivery.settled_on(a), "it rolled back by itself");
        delivery.offered = offered(b, 11);
        assert!(!delivery.settled_on(a), "it may run the other by now");
    }
}
