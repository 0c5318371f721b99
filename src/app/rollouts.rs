//! Rollouts: starting, driving and steering them. What they do is decided by [`crate::fleet::rollout`].

mod approve;
mod drive;
mod moves;
mod start;
mod steer;
mod views;

pub use approve::{Decide, Decision, ProposalView};
pub(super) use approve::{Proposed, told as told_of_proposal};
pub(super) use drive::Pace;
pub use moves::{GroupMoves, LeftBehindView, PendingMoveView};
pub(super) use start::Wanted;
pub use steer::Steer;
pub use views::{MemberView, RolloutDetail, RolloutSummary, StageView, Verdict};

use super::App;
use super::error::Error;
use super::intentions::{Index, RolloutHead};
use crate::fleet::ids::{AgentId, RolloutId};

impl App {
    /// Has the rollouts looked at when one of them waits for this agent.
    pub(super) fn wake_rollouts(&self, agent: AgentId) {
        if self.intentions.index().rolling(agent).is_some() {
            self.rollouts.activate();
        }
    }

    /// Moves the members of a rollout that were to change groups in its middle, now that it is over.
    async fn settle_members(&self, id: RolloutId) {
        let index = self.intentions.index();
        let Some(head) = index.rollout(id).filter(|head| head.rollout.is_ended()) else {
            return;
        };
        for agent in head.members.keys() {
            if let Err(error) = self.settle(*agent).await {
                tracing::error!(agent_id = %agent, error = %error, "an agent's membership could not be settled");
            }
        }
    }

    /// Whether the agent is in the middle of a rollout that holds some of its members back.
    pub(super) fn is_rolling(&self, agent: AgentId) -> bool {
        let index = self.intentions.index();
        index
            .rolling(agent)
            .is_some_and(|head| !head.rollout.is_at_once())
    }
}

/// A rollout by its number.
fn numbered(index: &Index, id: RolloutId) -> Result<&std::sync::Arc<RolloutHead>, Error> {
    index.rollout(id).ok_or_else(|| Error::not_found("rollout", &id))
}

/// The rollout as the audit log names it.
fn object(id: RolloutId) -> String {
    format!("rollout/{id}")
}
