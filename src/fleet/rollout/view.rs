//! What a rollout sees of an agent: facts, gathered where agents are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::member::Member;
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::agent::{Agent, Delivery, HoldReason};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::hash::Digest;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// What a rollout sees of one of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Whether it is still a served agent of the group.
    pub belongs: bool,
    /// Why it couldn't take the new content now.
    pub blocked: Option<Blocked>,
    /// Whether it is connected, or polls.
    pub online: bool,
    /// Whether it polls.
    pub polls: bool,
    /// Whether it sends heartbeats: only then does silence on an open connection say something.
    pub heartbeats: bool,
    /// When it last spoke.
    pub heard_at: Timestamp,
    /// Since when it can be called silent: its last word, but nothing before a start or a jump of the clock.
    pub silent_since: Timestamp,
    /// Whether it is healthy; `None` = it doesn't say.
    pub healthy: Option<bool>,
    /// Since when that is so.
    pub healthy_since: Timestamp,
    /// What it says is wrong.
    pub trouble: String,
    /// When its process started, as it says.
    pub started_at: Option<Timestamp>,
    /// How far it is with what it comes to.
    pub target: Progress,
    /// How far it is with what it would go back to.
    pub base: Progress,
}

/// How far an agent is with one content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// It was told nothing of it, or something else since.
    #[default]
    Untold,
    /// It was offered it.
    Offered {
        /// When.
        at: Timestamp,
    },
    /// It is taking it.
    Applying {
        /// Since when.
        at: Timestamp,
    },
    /// It has it, as it says.
    Applied {
        /// Since when.
        at: Timestamp,
    },
    /// It was offered it, and named something else since.
    Replaced {
        /// When.
        at: Timestamp,
    },
    /// It refused it.
    Failed {
        /// Its reason.
        error: String,
    },
}

/// Why an agent can't take a content now. It neither fails nor holds up a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// It isn't connected.
    Offline,
    /// It takes no remote configuration.
    NotCapable,
    /// Nothing may be sent to it.
    Held,
    /// It has a target of its own, which goes first.
    OwnTarget,
    /// It failed with this content before: an operator must say that it is tried again.
    FailedBefore,
    /// The content couldn't be made for it.
    NotRendered,
}

/// Why an agent failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum FailureReason {
    /// It said so.
    Refused {
        /// Its words.
        error: String,
    },
    /// It had the new content and says now that it runs another.
    Reverted,
    /// It is unhealthy and wasn't.
    Unhealthy {
        /// Its words.
        error: String,
    },
    /// Its process keeps starting anew.
    Restarts {
        /// How often it did.
        count: u32,
    },
    /// Its health keeps turning.
    Flapping {
        /// How often it did.
        count: u32,
    },
    /// It was given the new content and fell silent.
    Dark,
}

impl View {
    /// What is seen of an agent as a member of a rollout of configurations to `group`. `heard_at` is its last word, and
    /// nobody was silent before `floor`.
    #[must_use]
    pub fn of(
        agent: &Agent,
        member: &Member,
        group: &Name,
        (online, polls): (bool, bool),
        (heard_at, floor): (Timestamp, Timestamp),
    ) -> Self {
        let can = |bit| agent.reported.capabilities.has(bit);
        let reports = can(Capabilities::REPORTS_REMOTE_CONFIG);
        let progress = |digest: Option<Digest>| {
            digest.map_or(Progress::Untold, |digest| {
                Progress::of(&agent.delivery, digest, reports)
            })
        };
        let target = progress(member.target);
        let blocked = if !online {
            Some(Blocked::Offline)
        } else if agent.registration.own_target.is_some() {
            Some(Blocked::OwnTarget)
        } else if !can(Capabilities::ACCEPTS_REMOTE_CONFIG) {
            Some(Blocked::NotCapable)
        } else if agent
            .delivery
            .hold
            .is_some_and(|hold| hold != HoldReason::NothingLeft)
            || agent.registration.suspension.is_some()
        {
            Some(Blocked::Held)
        } else if member.target.is_none() {
            Some(Blocked::NotRendered)
        } else if matches!(target, Progress::Failed { .. }) {
            Some(Blocked::FailedBefore)
        } else {
            None
        };
        let reported = &agent.reported;
        Self {
            belongs: agent.registration.is_served() && agent.registration.group == *group,
            blocked,
            online,
            polls,
            heartbeats: polls || can(Capabilities::REPORTS_HEARTBEAT),
            heard_at,
            silent_since: heard_at.max(floor),
            healthy: reported.healthy,
            healthy_since: reported.healthy_since,
            trouble: if reported.healthy == Some(false) {
                crate::fleet::agent::health::unhealthy_reason(agent)
            } else {
                String::new()
            },
            started_at: reported.started_at,
            base: progress(member.base),
            target,
        }
    }

    /// Until when it is known to have lived: its last word, or now while it is connected and never says that it lives.
    pub(super) fn alive_until(&self, now: Timestamp) -> Timestamp {
        if self.lives_silently() { now } else { self.heard_at }
    }

    /// Since when it is silent.
    pub(super) fn silent_since(&self, now: Timestamp) -> Timestamp {
        if self.lives_silently() {
            now
        } else {
            self.silent_since
        }
    }

    fn lives_silently(&self) -> bool {
        self.online && !self.heartbeats
    }
}

impl Progress {
    /// How far an agent is with `digest`. An agent that doesn't report what became of configurations has what it was
    /// offered.
    #[must_use]
    pub fn of(delivery: &Delivery, digest: Digest, reports: bool) -> Self {
        if let Some(failure) = delivery.failure_of(digest) {
            return Self::Failed {
                error: failure.error.clone(),
            };
        }
        let offered = delivery.offered.filter(|offered| offered.digest == digest);
        let offered = match offered {
            Some(offered) if reports => Self::Offered { at: offered.at },
            Some(offered) => Self::Applied { at: offered.at },
            None => Self::Untold,
        };
        let Some(said) = delivery.acknowledged.as_ref() else {
            return offered;
        };
        if said.digest != Some(digest) {
            if let Self::Offered { at } = offered
                && said.at > at
            {
                return Self::Replaced { at: said.at };
            }
            return offered;
        }
        // What it was offered since, it may have taken without a word.
        if !delivery.settled_on(digest) {
            return offered;
        }
        match said.outcome {
            RemoteConfigOutcome::Applied => Self::Applied { at: said.at },
            RemoteConfigOutcome::Applying => Self::Applying { at: said.at },
            RemoteConfigOutcome::Failed => Self::Failed {
                error: said.error.clone(),
            },
            RemoteConfigOutcome::Unset => offered,
        }
    }

    /// Whether the agent was told of it.
    #[must_use]
    pub fn is_told(&self) -> bool {
        *self != Self::Untold
    }
}

impl Blocked {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Offline => "not connected",
            Self::NotCapable => "takes no remote configuration",
            Self::Held => "held",
            Self::OwnTarget => "has a configuration of its own",
            Self::FailedBefore => "failed with this content before",
            Self::NotRendered => "the content couldn't be made for it",
        }
    }
}

impl FailureReason {
    /// The reason as a sentence without an end mark.
    #[must_use]
    pub fn words(&self) -> String {
        let with = |what: &str, error: &str| match error.lines().next().map(str::trim) {
            None | Some("") => what.to_owned(),
            Some(line) => format!("{what}: {line}"),
        };
        match self {
            Self::Refused { error } => with("Refused it", error),
            Self::Reverted => "Took it, and says now that it runs something else".to_owned(),
            Self::Unhealthy { error } => with("Unhealthy with it", error),
            Self::Restarts { count } => format!("Restarted {count} times with it"),
            Self::Flapping { count } => format!("Its health turned {count} times with it"),
            Self::Dark => "Fell silent after it was given it".to_owned(),
        }
    }
}
