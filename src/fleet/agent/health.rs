//! The one status that people see: a condition, its reason in words, and since when.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::presence::Presence;
use super::{Agent, Judgement, Standing, Verdict};
use crate::fleet::capabilities::Capabilities;
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
    /// All of them, worst first.
    pub const ALL: [Self; 5] = [
        Self::Down,
        Self::Degraded,
        Self::Unknown,
        Self::InProgress,
        Self::Healthy,
    ];

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

/// The status of `agent`, whose configuration stands as `config` says.
#[must_use]
pub fn status(agent: &Agent, presence: Presence, config: &Judgement<'_>, now: Timestamp) -> Status {
    match agent.registration.standing {
        Standing::Revoked { at } => return say(Condition::Down, "Its credential was revoked", at),
        Standing::Archived { at, .. } => return say(Condition::Unknown, "Archived", at),
        Standing::Conflict { .. } => {
            let reason = "Looks like another agent: acknowledged and given nothing";
            return say(Condition::Degraded, reason, agent.registration.origin.at);
        }
        Standing::Pending => {
            let reason = "Waits to be approved: acknowledged and given nothing";
            return say(Condition::Unknown, reason, agent.registration.origin.at);
        }
        Standing::Active => {}
    }
    match presence {
        Presence::NeverSeen => {
            let enrolled = agent.registration.origin.at;
            return say(Condition::Unknown, "Enrolled, not heard of yet", enrolled);
        }
        Presence::Awaited { since } => {
            return say(Condition::Unknown, "Not heard of since the server started", since);
        }
        Presence::Offline { since } if agent.changes_over(now) => {
            let reason = "Reconnects with the credential that it was offered";
            return say(Condition::InProgress, reason, since);
        }
        Presence::Offline { since } => return say(Condition::Down, "Not connected", since),
        Presence::Online { .. } => {}
    }
    match agent.recovers(now) {
        Some((since, false)) => {
            let reason = "Is being given its present credential again";
            return say(Condition::InProgress, reason, since);
        }
        Some((since, true)) => {
            let reason =
                "Came back with a replaced credential and doesn't take the present one: given nothing else";
            return say(Condition::Degraded, reason, since);
        }
        None => {}
    }
    if let Some(status) = config_status(agent, config, now) {
        return status;
    }
    let reported = &agent.reported;
    match reported.healthy {
        Some(false) => say(
            Condition::Degraded,
            unhealthy_reason(agent),
            reported.healthy_since,
        ),
        Some(true) => say(Condition::Healthy, "Reports healthy", reported.healthy_since),
        None => say(
            Condition::Unknown,
            "Connected; reports no health",
            presence.since(),
        ),
    }
}

fn say(condition: Condition, reason: impl Into<String>, since: Timestamp) -> Status {
    Status {
        condition,
        reason: reason.into(),
        since,
    }
}

/// What its configuration has to say about its status before its health, if anything.
fn config_status(agent: &Agent, config: &Judgement<'_>, now: Timestamp) -> Option<Status> {
    match config.verdict {
        Verdict::Held => {
            let hold = config.hold.filter(|hold| hold.is_trouble())?;
            let reason = format!("Held: {}", hold.words());
            Some(say(Condition::Degraded, reason, config.since))
        }
        Verdict::Failed => {
            let reason = refused("Refused the configuration", config.error);
            Some(say(Condition::Degraded, reason, config.since))
        }
        Verdict::SelfReverted => {
            let what = "Refused the configuration and went back to another";
            Some(say(
                Condition::Degraded,
                refused(what, config.error),
                config.since,
            ))
        }
        Verdict::Applying => {
            let overdue = now.since(config.since) > APPLYING_OVERDUE;
            let (condition, reason) = match (overdue, config.heard) {
                (true, true) => (Condition::Degraded, "Still applying the configuration"),
                (true, false) => (Condition::Degraded, "Does not answer the offered configuration"),
                (false, true) => (Condition::InProgress, "Applying the configuration"),
                (false, false) => (Condition::InProgress, "Was offered the configuration"),
            };
            let reports = Capabilities::REPORTS_REMOTE_CONFIG;
            let answers = agent.reported.capabilities.has(reports);
            answers.then(|| say(condition, reason, config.since))
        }
        Verdict::Drifted
        | Verdict::NotCapable
        | Verdict::Unknown
        | Verdict::Pending
        | Verdict::Unverified
        | Verdict::InSync
        | Verdict::ObserveOnly => None,
    }
}

fn refused(what: &str, error: &str) -> String {
    if error.is_empty() {
        format!("{what} without a reason")
    } else {
        format!("{what}: {}", first_line(error))
    }
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
    /// Whether something is wrong, and not just as an operator decided.
    #[must_use]
    pub fn is_trouble(self) -> bool {
        match self {
            Self::StoreWentBack | Self::Unreadable | Self::NotRendered | Self::NothingToGoBackTo => true,
            Self::Operator | Self::Group | Self::NothingLeft | Self::OwnWord => false,
        }
    }

    /// One or two words for it, as filters use it.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::StoreWentBack => "went back",
            Self::Operator => "operator",
            Self::Group => "group",
            Self::NothingLeft => "nothing left",
            Self::Unreadable => "unreadable",
            Self::NothingToGoBackTo => "nothing before",
            Self::NotRendered => "not rendered",
            Self::OwnWord => "own word",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::StoreWentBack => "the agent knows a newer state than this server's store",
            Self::Operator => "an operator said so",
            Self::Group => "an operator said so of its group",
            Self::NothingLeft => "its group has no configuration any more; what runs stays",
            Self::Unreadable => "the configuration can't be read from the store",
            Self::NothingToGoBackTo => "a rollout failed, and there is nothing to bring it back to",
            Self::NotRendered => "the configuration is not rendered for it",
            Self::OwnWord => "it is in its group by its own word, and the group sends secrets",
        }
    }
}
