//! What operators decided about deliveries before anything else: on which terms something stays as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::agent::{HoldReason, Intent, Offer, Registration};
use crate::fleet::group::Group;
use crate::fleet::time::Timestamp;

/// Why something was decided, by whom, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// Why, in the words of who decided; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself; `None` = when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Deliveries that don't take place, on these terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suspension {
    /// How.
    pub kind: SuspensionKind,
    /// On which terms.
    #[serde(flatten)]
    pub terms: Terms,
}

/// How deliveries are suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionKind {
    /// What is wanted waits: nothing is offered, and what runs stays.
    Held,
    /// Nothing is wanted: observe only.
    Detached,
}

/// Something that an operator had decided and that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// A hold.
    Hold,
    /// A detachment.
    Detachment,
    /// A pin to a group.
    Pin,
    /// A configuration of its own.
    OwnConfig,
}

impl Ended {
    /// The word for it in the audit log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Detachment => "detachment",
            Self::Pin => "pin",
            Self::OwnConfig => "own configuration",
        }
    }
}

impl Terms {
    /// Whether their end has come.
    #[must_use]
    pub fn are_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Suspension {
    /// What is then wanted of an agent.
    #[must_use]
    pub fn intent(&self) -> Intent<Offer> {
        match self.kind {
            SuspensionKind::Held => Intent::Hold(HoldReason::Operator),
            SuspensionKind::Detached => Intent::Unmanaged,
        }
    }
}

fn over(terms: Option<&Terms>, now: Timestamp) -> bool {
    terms.is_some_and(|terms| terms.are_over(now))
}

impl Registration {
    /// Whether an operator holds it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_suspended(SuspensionKind::Held)
    }

    /// Whether an operator detached it from its group.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.is_suspended(SuspensionKind::Detached)
    }

    fn is_suspended(&self, kind: SuspensionKind) -> bool {
        self.suspension
            .as_ref()
            .is_some_and(|suspension| suspension.kind == kind)
    }

    /// Ends what has come to its end, and tells what that was.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Ended> {
        let mut ended = Vec::new();
        if let Some(suspension) = self.suspension.take_if(|found| found.terms.are_over(now)) {
            ended.push(match suspension.kind {
                SuspensionKind::Held => Ended::Hold,
                SuspensionKind::Detached => Ended::Detachment,
            });
        }
        if over(self.pin_terms.as_ref(), now) {
            self.pin_terms = None;
            ended.extend(self.pin.take().map(|_| Ended::Pin));
        }
        if over(self.own_terms.as_ref(), now) {
            self.own_terms = None;
            ended.extend(self.own_target.take().map(|_| Ended::OwnConfig));
        }
        ended
    }

    /// Whether something of it has come to its end. Allocates nothing.
    #[must_use]
    pub fn is_expiring(&self, now: Timestamp) -> bool {
        let suspension = self.suspension.as_ref().map(|suspension| &suspension.terms);
        over(suspension, now) || over(self.pin_terms.as_ref(), now) || over(self.own_terms.as_ref(), now)
    }
}

impl Group {
    /// Ends its hold when that has come to its end. Whether it did.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        self.hold.take_if(|terms| terms.are_over(now)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::agent::Origin;
    use crate::fleet::ids::{AgentId, CredentialId, TargetId};
    use crate::fleet::name::Name;

    fn until(seconds: u64) -> Terms {
        Terms {
            until: Some(Timestamp::from_seconds(seconds)),
            ..Terms::default()
        }
    }

    #[test]
    fn each_ends_at_its_own_time_and_takes_what_it_gave_with_it() {
        let mut agent = Registration::new(AgentId([1; 16]), CredentialId([1; 16]), Origin::default());
        agent.suspension = Some(Suspension {
            kind: SuspensionKind::Held,
            terms: until(10),
        });
        agent.pin = Some(Name::slug("edge"));
        agent.pin_terms = Some(until(20));
        agent.own_target = Some(TargetId([1; 16]));
        let mut at = |seconds| {
            let now = Timestamp::from_seconds(seconds);
            let expiring = agent.is_expiring(now);
            let ended = agent.expire(now);
            assert_eq!(expiring, !ended.is_empty());
            ended
        };
        assert_eq!(at(9), []);
        assert_eq!(at(10), [Ended::Hold]);
        assert_eq!(at(25), [Ended::Pin]);
        assert_eq!(at(u64::MAX / 1_000_000_000), [], "it has no terms, so no end");
        assert!(agent.own_target.is_some() && agent.pin.is_none() && agent.pin_terms.is_none());
    }

    #[test]
    fn held_waits_and_detached_wants_nothing() {
        let of = |kind| Suspension {
            kind,
            terms: Terms::default(),
        };
        assert_eq!(
            of(SuspensionKind::Held).intent(),
            Intent::Hold(HoldReason::Operator)
        );
        assert_eq!(of(SuspensionKind::Detached).intent(), Intent::Unmanaged);
    }
}
