//! One agent in a rollout: where it comes from, where it goes, and how far it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Ended, State};
use super::view::{FailureReason, Progress, View};
use super::{Kind, Members, Rollout};
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// One agent in a rollout. Stage, target, before and base are frozen when the rollout starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its stage, from 0.
    pub stage: usize,
    /// What it comes to; `None` while that couldn't be made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Digest>,
    /// What was wanted of it when the rollout started, and still is while it waits; `None` when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// What it is brought back to: the last content that it applied; `None` when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// How far it is.
    pub phase: Phase,
    /// What was noticed about it since it was released.
    #[serde(default)]
    pub watch: Watch,
}

/// How far a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// It has what it had.
    Waiting,
    /// It may have the new content, and hasn't proved it.
    Released {
        /// Since when.
        at: Timestamp,
    },
    /// It stayed well with the new content.
    Proven {
        /// Since when.
        at: Timestamp,
    },
    /// It didn't, and is left as it is.
    Failed {
        /// Since when.
        at: Timestamp,
        /// Why.
        why: FailureReason,
    },
    /// It is brought back to what it had.
    RolledBack {
        /// Since when.
        at: Timestamp,
        /// Why it failed; `None` when only others did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<FailureReason>,
        /// How far that is.
        restored: Restored,
    },
    /// It is no longer in the group, or no longer served.
    Left {
        /// Since when.
        at: Timestamp,
        /// Whether it had been released.
        released: bool,
    },
}

/// How far bringing a member back is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "restored")]
pub enum Restored {
    /// Under way.
    Pending,
    /// It runs what it had.
    Confirmed {
        /// Since when.
        at: Timestamp,
    },
    /// It refused that too.
    FailedToo {
        /// Its reason.
        error: String,
    },
    /// It doesn't answer; it is offered what it had when it comes back.
    Silent,
    /// It never applied anything of ours that it could be brought back to.
    NothingToGoBackTo,
    /// It is no longer served.
    Gone,
}

/// What was noticed about a member since it was released. Times of the agent's own clock are only compared with each
/// other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Watch {
    /// How it was as it was released; `None` = it reported no health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_before: Option<bool>,
    /// When its process started, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How often its process started anew.
    pub restarts: u32,
    /// When that was last noticed.
    pub restarted_at: Timestamp,
    /// How it last was; `None` = it reported no health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// How often its health turned.
    pub turns: u32,
    /// Whether it has acknowledged the new content.
    pub took: bool,
    /// Whether it polls.
    pub polls: bool,
}

/// What a member should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// What its group has.
    Group,
    /// What was wanted of it before.
    Before(Option<Digest>),
    /// The new content.
    Target(Option<Digest>),
    /// What it applied last.
    Base(Option<Digest>),
}

impl Member {
    /// A member that has what it had.
    #[must_use]
    pub fn new(stage: usize, target: Option<Digest>, before: Option<Digest>, base: Option<Digest>) -> Self {
        Self {
            stage,
            target,
            before,
            base,
            phase: Phase::Waiting,
            watch: Watch::default(),
        }
    }

    /// Whether it failed and is yet to be brought back, or is on the way.
    pub(super) fn is_to_be_restored(&self) -> bool {
        match &self.phase {
            Phase::Failed { .. } => self.base.is_some(),
            Phase::RolledBack { restored, .. } => *restored == Restored::Pending,
            Phase::Waiting | Phase::Released { .. } | Phase::Proven { .. } | Phase::Left { .. } => false,
        }
    }

    /// What it should have while the rollout is as it is.
    #[must_use]
    pub fn wants(&self, rollout: &Rollout) -> Wants {
        if !rollout.governs || rollout.state == State::Queued || rollout.state == State::AwaitingApproval {
            return Wants::Group;
        }
        let succeeded = rollout.state
            == State::Ended {
                how: Ended::Succeeded,
            };
        match &self.phase {
            // Whoever failed keeps what it was brought back to: success of the others is no reason to try again.
            Phase::RolledBack { .. } => Wants::Base(self.base),
            Phase::Failed { .. } => Wants::Target(self.target),
            _ if succeeded => Wants::Group,
            // Nobody is held back, and the group has it already: whoever becomes able has it at once. What moves is not
            // the group, so agents that a move doesn't reach before its end stay where they are.
            Phase::Waiting if rollout.is_at_once() && !(rollout.kind == Kind::Move && rollout.is_ended()) => {
                Wants::Group
            }
            Phase::Released { .. } | Phase::Proven { .. } | Phase::Left { released: true, .. } => {
                Wants::Target(self.target)
            }
            Phase::Waiting | Phase::Left { released: false, .. } => Wants::Before(self.before),
        }
    }

    /// Whether it failed, and why.
    #[must_use]
    pub fn failure(&self) -> Option<&FailureReason> {
        match &self.phase {
            Phase::Failed { why, .. } => Some(why),
            Phase::RolledBack { why, .. } => why.as_ref(),
            Phase::Waiting | Phase::Released { .. } | Phase::Proven { .. } | Phase::Left { .. } => None,
        }
    }

    /// Whether it may have the new content and hasn't proved it.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        matches!(self.phase, Phase::Released { .. })
    }
}

impl Watch {
    /// How it begins, with what is known as the agent is released.
    pub(super) fn begin(view: &View) -> Self {
        Self {
            healthy_before: view.healthy,
            started_at: view.started_at,
            healthy: view.healthy,
            polls: view.polls,
            ..Self::default()
        }
    }

    /// With what is noticed now.
    pub(super) fn follow(&self, view: &View, now: Timestamp) -> Self {
        let mut next = self.clone();
        // What an agent reports is kept late: after a kill of ours older values come back for a moment, and are no news.
        if view.started_at > self.started_at {
            if self.started_at.is_some() {
                next.restarts += 1;
                next.restarted_at = now;
            }
            next.started_at = view.started_at;
        }
        if view.healthy.is_some() && view.healthy != self.healthy {
            next.turns += u32::from(self.healthy.is_some());
            next.healthy = view.healthy;
        }
        next.took |= matches!(view.target, Progress::Applying { .. } | Progress::Applied { .. });
        if view.online {
            next.polls = view.polls;
        }
        next
    }
}

/// Agents that failed.
pub(super) fn failures(members: &Members) -> u32 {
    count(members, |member| member.failure().is_some())
}

pub(super) fn count(members: &Members, test: impl Fn(&Member) -> bool) -> u32 {
    let found = members.values().filter(|member| test(member)).count();
    u32::try_from(found).unwrap_or(u32::MAX)
}
