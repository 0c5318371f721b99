//! Where a rollout is, and what operators may do about it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::member::{Member, Phase, failures};
use super::{Kind, Members, Rollout};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// It begins when the one before it has ended.
    Queued,
    /// It begins when a second person agrees.
    AwaitingApproval,
    /// Agents are being released.
    Running {
        /// Its stage, from 0.
        stage: usize,
    },
    /// Nobody is released until somebody says so.
    Paused {
        /// Its stage, from 0.
        stage: usize,
        /// Why.
        why: Pause,
    },
    /// Agents are brought back.
    RollingBack {
        /// Why.
        why: Pause,
    },
    /// Nothing happens any more.
    Ended {
        /// How it ended.
        how: Ended,
    },
}

/// Why a rollout stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum Pause {
    /// An operator said so.
    Operator,
    /// More agents failed than tolerated.
    Failures {
        /// So many failed.
        failed: u32,
        /// So many were tolerated.
        tolerated: u32,
    },
    /// More agents that had proved the content fell silent than may be at risk.
    Lost {
        /// So many are silent.
        lost: u32,
    },
    /// Failures, though tolerated, leave nobody who may be at risk.
    BudgetSpent,
    /// Agents took longer than their stage allows.
    Expired {
        /// So many.
        agents: u32,
    },
    /// Nobody of the stage proved the content.
    Unproven,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The group has the new content.
    Succeeded,
    /// Its agents were brought back.
    RolledBack,
    /// An operator ended it; everybody keeps what they have.
    Aborted,
    /// A later one took its place; everybody keeps what they have.
    Superseded,
    /// Somebody who was to approve it didn't want it; it never began.
    Rejected,
    /// Its author took it back; it never began.
    Withdrawn,
    /// Nobody approved it in time; it never began.
    Expired,
}

/// Something that happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Who: an operator, or `muster` itself.
    pub by: String,
    /// Where the rollout was afterwards.
    #[serde(flatten)]
    pub state: State,
    /// What was said about it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What an operator may do about a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "act", deny_unknown_fields)]
pub enum Act {
    /// Release nobody more for now.
    Pause,
    /// Go on, with the failures so far accepted.
    Resume,
    /// Pass the present stage without waiting for its gates.
    Promote,
    /// End it; everybody keeps what they have.
    Abort,
    /// Bring everybody back to what they had.
    RollBack,
    /// Offer the content once more to agents that failed with it. When a rollout has ended and left agents with something
    /// else than their group has: let them move there.
    Retry {
        /// Which; none means all that failed, or were left behind.
        #[serde(default)]
        agents: BTreeSet<AgentId>,
    },
}

/// Why an act can't be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// Not in this state.
    #[error("a rollout that {state} can't be {act}")]
    State {
        /// What the rollout is doing, in words.
        state: String,
        /// The act, in words.
        act: &'static str,
    },
    /// Nobody failed.
    #[error("none of these agents failed in this rollout")]
    NobodyFailed,
    /// It left nobody behind.
    #[error("none of these agents was left behind by this rollout")]
    NobodyLeft,
}

impl Act {
    /// The word for it, in the audit log and the API.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::RollBack => "roll_back",
            Self::Retry { .. } => "retry",
        }
    }

    fn participle(&self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Promote => "promoted",
            Self::Abort => "aborted",
            Self::RollBack => "rolled back",
            Self::Retry { .. } => "retried",
        }
    }

    /// Whether it may be done while the rollout is like this.
    #[must_use]
    pub fn is_possible(&self, rollout: &Rollout) -> bool {
        match (self, &rollout.state) {
            (Self::Retry { .. }, _) if rollout.left_behind_can_move() => true,
            (Self::Pause, State::Running { .. })
            | (Self::Resume, State::Paused { .. })
            | (Self::Promote | Self::RollBack, State::Running { .. } | State::Paused { .. })
            | (
                Self::Abort,
                State::Queued | State::Running { .. } | State::Paused { .. } | State::RollingBack { .. },
            )
            | (
                Self::Retry { .. },
                State::Running { .. }
                | State::Paused { .. }
                | State::Ended {
                    how: Ended::Succeeded,
                },
            ) => true,
            (
                Self::Pause
                | Self::Resume
                | Self::Promote
                | Self::Abort
                | Self::RollBack
                | Self::Retry { .. },
                _,
            ) => false,
        }
    }
}

impl Rollout {
    /// Whether it is over and may have left agents with something else than their group has, which can move there: a move,
    /// also one that succeeded, since it may tolerate failures; or a publication that was rolled back or aborted, since
    /// agents that had just come into the group have what they had before.
    #[must_use]
    pub fn left_behind_can_move(&self) -> bool {
        let State::Ended { how } = self.state else {
            return false;
        };
        let may = match self.kind {
            Kind::Move => true,
            Kind::Publish => matches!(how, Ended::RolledBack | Ended::Aborted),
        };
        may && self.governs
    }

    /// Whether a member can be offered the content once more, as part of this rollout. When a move is over that is said
    /// only of those that it left as they are: who was brought back moves again, in another.
    #[must_use]
    pub fn can_try_again(&self, member: &Member) -> bool {
        let goes_on = matches!(
            self.state,
            State::Running { .. }
                | State::Paused { .. }
                | State::Ended {
                    how: Ended::Succeeded
                }
        );
        let here = !self.left_behind_can_move() || matches!(member.phase, Phase::Failed { .. });
        goes_on && here && member.failure().is_some()
    }

    /// Notes that agents, which it left behind, are to move again.
    pub fn move_again(&mut self, agents: usize, by: &str, reason: &str, now: Timestamp) {
        let note = note(&format!("{agents} agents are to move again"), reason);
        self.enter(self.state.clone(), by, note, now);
    }

    /// Does what an operator says, and tells which agents are to be tried again.
    ///
    /// # Errors
    /// [`ActError`] when it can't be done now.
    pub fn act(
        &mut self,
        members: &mut Members,
        act: &Act,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Vec<AgentId>, ActError> {
        if !act.is_possible(self) {
            return Err(ActError::State {
                state: self.state.words(),
                act: act.participle(),
            });
        }
        let stage = self.stage().unwrap_or_default();
        let mut retried = Vec::new();
        let next = match act {
            Act::Pause => State::Paused {
                stage,
                why: Pause::Operator,
            },
            Act::Resume => {
                self.accepted_failures = failures(members);
                State::Running { stage }
            }
            Act::Promote => {
                self.promoted = self.promoted.max(stage + 1);
                self.accepted_failures = failures(members);
                State::Running { stage }
            }
            Act::Abort => State::Ended { how: Ended::Aborted },
            Act::RollBack => State::RollingBack { why: Pause::Operator },
            Act::Retry { agents } => {
                for (agent, member) in members.iter_mut() {
                    let meant = agents.is_empty() || agents.contains(agent);
                    if meant && self.can_try_again(member) {
                        member.phase = Phase::Waiting;
                        retried.push(*agent);
                    }
                }
                if retried.is_empty() {
                    return Err(if self.left_behind_can_move() {
                        ActError::NobodyLeft
                    } else {
                        ActError::NobodyFailed
                    });
                }
                self.accepted_failures = self.accepted_failures.min(failures(members));
                self.state.clone()
            }
        };
        let note = match act {
            Act::Pause | Act::Resume | Act::Abort | Act::RollBack => reason.to_owned(),
            Act::Promote => note(&format!("stage {} passed without its gates", stage + 1), reason),
            Act::Retry { .. } => note(&format!("{} agents are tried again", retried.len()), reason),
        };
        if self.state != next {
            self.stage_since = now;
        }
        self.enter(next, by, note, now);
        Ok(retried)
    }

    /// Goes to a state and writes that into the history.
    pub fn enter(&mut self, state: State, by: &str, note: String, now: Timestamp) {
        const KEPT: usize = 200;
        self.state = state.clone();
        self.history.push(Transition {
            at: now,
            by: by.to_owned(),
            state,
            note,
        });
        let excess = self.history.len().saturating_sub(KEPT);
        self.history.drain(..excess);
    }
}

fn note(what: &str, reason: &str) -> String {
    if reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {reason}")
    }
}

impl State {
    /// What the rollout is doing, as in "a rollout that …".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Queued => "is queued".to_owned(),
            Self::AwaitingApproval => "awaits approval".to_owned(),
            Self::Running { stage } => format!("runs stage {}", stage + 1),
            Self::Paused { stage, .. } => format!("is paused in stage {}", stage + 1),
            Self::RollingBack { .. } => "is rolling back".to_owned(),
            Self::Ended { how } => match how {
                Ended::Succeeded => "has succeeded".to_owned(),
                Ended::RolledBack => "was rolled back".to_owned(),
                Ended::Aborted => "was aborted".to_owned(),
                Ended::Superseded => "was superseded".to_owned(),
                Ended::Rejected => "was rejected".to_owned(),
                Ended::Withdrawn => "was withdrawn".to_owned(),
                Ended::Expired => "was not approved in time".to_owned(),
            },
        }
    }

    /// One or two words for it.
    #[must_use]
    pub fn short(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::AwaitingApproval => "awaiting approval",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::RollingBack { .. } => "rolling back",
            Self::Ended { how } => match how {
                Ended::Succeeded => "succeeded",
                Ended::RolledBack => "rolled back",
                Ended::Aborted => "aborted",
                Ended::Superseded => "superseded",
                Ended::Rejected => "rejected",
                Ended::Withdrawn => "withdrawn",
                Ended::Expired => "expired",
            },
        }
    }
}

impl Pause {
    /// The reason in words, without an end mark.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Operator => "an operator said so".to_owned(),
            Self::Failures { failed, tolerated } => {
                let agents = if *failed == 1 {
                    "1 agent".to_owned()
                } else {
                    format!("{failed} agents")
                };
                format!("{agents} failed, and {tolerated} are tolerated")
            }
            Self::Lost { lost } => {
                format!("{lost} agents that had proved the new content fell silent")
            }
            Self::BudgetSpent => "so many agents failed that no other may be put at risk".to_owned(),
            Self::Expired { agents: 0 } => "nobody of the stage could be reached in time".to_owned(),
            Self::Expired { agents } => format!("{agents} agents took longer than the stage allows"),
            Self::Unproven => "no agent of the stage proved the new content".to_owned(),
        }
    }
}
