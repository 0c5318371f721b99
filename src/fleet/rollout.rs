//! Rollouts: how one group goes from what it has to what was published, in stages that each prove themselves first.
//!
//! A rollout is durable data, and [`plan`] a pure function over it: who may go next, who proved the new content, who
//! failed with it, and what follows. The plan's steps are applied ([`Rollout::apply`]) and committed before anything of
//! them reaches an agent, so a restart in the middle continues as if nothing had happened.
//!
//! The rules know nothing of configurations: a member has a digest that it should come to and one that it should go back
//! to, and a [`View`] says how far it is with each. Packages and connection settings roll out by the same rules.

mod approval;
mod counts;
mod gate;
mod member;
mod moving;
mod plan;
mod reason;
mod stage;
mod state;
mod strategy;
mod view;

pub use approval::{Approval, ApprovalError, Given, binding};
pub use counts::{Counts, counts};
pub use gate::{Check, Gate, GateSummary, Outcome, checks, summary};
pub use member::{Member, Phase, Restored, Wants, Watch};
pub use moving::{PendingMove, are_together, has};
pub use plan::{Step, at_risk_now, plan};
pub use reason::waits;
pub use stage::{Candidate, assign};
pub use state::{Act, ActError, Ended, Pause, State, Transition};
pub use strategy::{
    Budget, LONGEST_SECONDS, MOST_STAGES, OnFailure, ParseStrategyError, Size, Stage, Strategy,
    StrategyError, Time,
};
pub use view::{Blocked, FailureReason, Progress, View};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// One rollout. Its members are records of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// Its number.
    pub id: RolloutId,
    /// The group that it changes.
    pub group: Name,
    /// What it is for.
    pub kind: Kind,
    /// What its members come to.
    pub target: TargetId,
    /// The group's target before; `None` when nothing was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TargetId>,
    /// How it goes about it.
    pub strategy: Strategy,
    /// Where it is.
    #[serde(flatten)]
    pub state: State,
    /// How many agents it was begun with.
    pub members: u32,
    /// Who started it.
    pub started_by: String,
    /// When it was published.
    pub created_at: Timestamp,
    /// When its present stage began or was resumed; the stage's deadline runs from here.
    pub stage_since: Timestamp,
    /// Stages before this one are passed without their gates, by an operator's word.
    #[serde(default)]
    pub promoted: usize,
    /// Failures that an operator has seen and went on with.
    #[serde(default)]
    pub accepted_failures: u32,
    /// What it needed, or needs, before it begins; `None` for one to a group that isn't protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Whether it still says what its members should have. Not after its group's configuration was taken away.
    pub governs: bool,
    /// What happened to it, oldest first.
    #[serde(default)]
    pub history: Vec<Transition>,
}

/// What a rollout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something was published to the group.
    Publish,
    /// Agents that came into the group come to what it has.
    Move,
}

/// The members of a rollout.
pub type Members = BTreeMap<AgentId, Member>;

impl Rollout {
    /// The stage that is in progress, if one is.
    #[must_use]
    pub fn stage(&self) -> Option<usize> {
        match self.state {
            State::Running { stage } | State::Paused { stage, .. } => Some(stage),
            State::Queued | State::AwaitingApproval | State::RollingBack { .. } | State::Ended { .. } => None,
        }
    }

    /// Whether nothing happens any more by itself.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Whether an agent that still waits has the new content all the same: it came back, or was tried again, after everybody
    /// else had it.
    #[must_use]
    pub fn caught_up(&self, view: &View) -> bool {
        let succeeded = State::Ended {
            how: Ended::Succeeded,
        };
        self.state == succeeded && matches!(view.target, Progress::Applied { .. })
    }

    /// Whether its group has its target already: it reaches everybody at once, and nobody is left to hold back.
    #[must_use]
    pub fn is_at_once(&self) -> bool {
        self.strategy.is_all_at_once()
    }

    /// Whether agents that come into its group wait for its end: it holds agents back, or hasn't begun. One that reached
    /// everybody has nothing left to hold back.
    #[must_use]
    pub fn keeps_movers(&self) -> bool {
        match self.state {
            State::Queued | State::AwaitingApproval => true,
            State::Running { .. } | State::Paused { .. } | State::RollingBack { .. } => !self.is_at_once(),
            State::Ended { .. } => false,
        }
    }

    /// How many agents may be failed or unproven at once.
    #[must_use]
    pub fn at_risk(&self) -> u32 {
        self.strategy.at_risk.of(self.members).max(1)
    }

    /// How many may fail before it stops.
    #[must_use]
    pub fn tolerated(&self) -> u32 {
        self.strategy.tolerated_failures.of(self.members)
    }
}
