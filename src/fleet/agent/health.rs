//! The one status that people see: a condition, its reason in words, and since when.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::presence::Presence;
use super::report::RemoteConfigOutcome;
use super::{Agent, Standing};
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// The conditions of an agent, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Not reachable, or not let in.
    Down,
    /// Reachable, and something is wrong.
    Degraded,
    /// Reachable, and it doesn't say how it is; or never heard of.
    Unknown,
    /// Taking a configuration.
    InProgress,
    /// Well.
    Healthy,
}

impl Condition {
    /// The word for it, as lists and filters use it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::InProgress => "applying",
            Self::Healthy => "healthy",
        }
    }
}

/// A condition with its reason and its age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The condition.
    pub condition: Condition,
    /// Why, as one sentence without an end mark.
    pub reason: String,
    /// Since when; the epoch when that isn't known.
    pub since: Timestamp,
}

/// How long an agent may be applying before that is worth a look.
pub const APPLYING_OVERDUE: Duration = Duration::from_mins(5);

/// The status of `agent`, for which `wanted` is the content that it should run.
#[must_use]
pub fn status(agent: &Agent, presence: Presence, wanted: Option<Digest>, now: Timestamp) -> Status {
    let say = |condition, reason: String, since| Status {
        condition,
        reason,
        since,
    };
    match agent.registration.standing {
        Standing::Revoked { at } => return say(Condition::Down, "Its credential was revoked".into(), at),
        Standing::Archived { at } => return say(Condition::Unknown, "Archived".into(), at),
        Standing::Conflict { .. } => {
            let reason = "Uses the credential of another agent: acknowledged and given nothing".into();
            return say(Condition::Degraded, reason, agent.registration.origin.at);
        }
        Standing::Active => {}
    }
    match presence {
        Presence::NeverSeen => {
            return say(
                Condition::Unknown,
                "Enrolled, not heard of yet".into(),
                agent.registration.origin.at,
            );
        }
        Presence::Awaited { since } => {
            return say(
                Condition::Unknown,
                "Not heard of since the server started".into(),
                since,
            );
        }
        Presence::Offline { since } if agent.changes_over(now) => {
            let reason = "Reconnects with the credential that it was offered".into();
            return say(Condition::InProgress, reason, since);
        }
        Presence::Offline { since } => return say(Condition::Down, "Not connected".into(), since),
        Presence::Online { .. } => {}
    }
    match agent.recovers(now) {
        Some((since, false)) => {
            let reason = "Is being given its present credential again".into();
            return say(Condition::InProgress, reason, since);
        }
        Some((since, true)) => {
            let reason =
                "Came back with a replaced credential and doesn't take the present one: given nothing else";
            return say(Condition::Degraded, reason.into(), since);
        }
        None => {}
    }
    if let Some(status) = config_status(agent, wanted, now) {
        return status;
    }
    let reported = &agent.reported;
    match reported.healthy {
        Some(true) => say(
            Condition::Healthy,
            "Reports healthy".into(),
            reported.healthy_since,
        ),
        Some(false) => say(
            Condition::Degraded,
            unhealthy_reason(agent),
            reported.healthy_since,
        ),
        None => say(
            Condition::Unknown,
            "Connected; reports no health".into(),
            presence.since(),
        ),
    }
}

/// What its configuration has to say about its status, if anything.
fn config_status(agent: &Agent, wanted: Option<Digest>, now: Timestamp) -> Option<Status> {
    let delivery = &agent.delivery;
    if let Some(hold) = delivery.hold {
        let reason = format!("Held: {}", hold.words());
        return Some(Status {
            condition: Condition::Degraded,
            reason,
            since: Timestamp::EPOCH,
        });
    }
    let wanted = wanted?;
    if let Some(failure) = delivery.failure_of(wanted) {
        let reason = if failure.error.is_empty() {
            "Refused the configuration without a reason".into()
        } else {
            format!("Refused the configuration: {}", first_line(&failure.error))
        };
        return Some(Status {
            condition: Condition::Degraded,
            reason,
            since: failure.at,
        });
    }
    let said = delivery
        .acknowledged
        .as_ref()
        .filter(|said| said.digest == Some(wanted));
    let applying = match said {
        Some(said) if said.outcome == RemoteConfigOutcome::Applying => Some(said.at),
        Some(_) => None,
        None => delivery
            .offered
            .filter(|offered| offered.digest == wanted)
            .map(|offered| offered.at),
    }?;
    let reports = agent
        .reported
        .capabilities
        .has(crate::fleet::capabilities::Capabilities::REPORTS_REMOTE_CONFIG);
    if !reports {
        return None;
    }
    let overdue = now.since(applying) > APPLYING_OVERDUE;
    let (condition, reason) = match (overdue, said.is_some()) {
        (true, true) => (Condition::Degraded, "Still applying the configuration"),
        (true, false) => (Condition::Degraded, "Does not answer the offered configuration"),
        (false, true) => (Condition::InProgress, "Applying the configuration"),
        (false, false) => (Condition::InProgress, "Was offered the configuration"),
    };
    Some(Status {
        condition,
        reason: reason.into(),
        since: applying,
    })
}

/// What an unhealthy agent says is wrong, in one line.
pub(in crate::fleet) fn unhealthy_reason(agent: &Agent) -> String {
    let health = agent
        .reported
        .health
        .as_ref()
        .map(super::super::packed::Packed::unpack)
        .unwrap_or_default();
    let own = first_line(&health.last_error);
    if !own.is_empty() {
        return own;
    }
    let failing = health.components.iter().find(|(_, component)| !component.healthy);
    match failing {
        Some((name, component)) if !component.last_error.is_empty() => {
            format!("{name}: {}", first_line(&component.last_error))
        }
        Some((name, _)) => format!("{name} is unhealthy"),
        None if !health.status.is_empty() => format!("Reports unhealthy ({})", first_line(&health.status)),
        None => "Reports unhealthy".into(),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim()
        .chars()
        .take(300)
        .collect()
}

impl super::HoldReason {
    /// One or two words for it, as filters use it.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::StoreWentBack => "went back",
            Self::Operator => "operator",
            Self::NothingLeft => "nothing left",
            Self::Unreadable => "unreadable",
            Self::NothingToGoBackTo => "nothing before",
            Self::NotRendered => "not rendered",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::StoreWentBack => "the agent knows a newer state than this server's store",
            Self::Operator => "an operator said so",
            Self::NothingLeft => "its group has no configuration any more; what runs stays",
            Self::Unreadable => "the configuration can't be read from the store",
            Self::NothingToGoBackTo => "a rollout failed, and there is nothing to bring it back to",
            Self::NotRendered => "the configuration is not rendered for it",
        }
    }
}
