//! How many agents of each stage are how far.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::Judged;
use super::member::Phase;
use super::view::View;
use super::{Members, Rollout};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

/// The agents of one stage by how far they are. Each is in one of the counts after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// All of them.
    pub members: u32,
    /// They stayed well with the new content.
    pub proven: u32,
    /// They did, and are silent now.
    pub lost: u32,
    /// They have it or are getting it.
    pub unproven: u32,
    /// They failed with it and were brought back, or are left as they are.
    pub failed: u32,
    /// They were brought back since others failed.
    pub rolled_back: u32,
    /// They could have it and wait for their turn.
    pub waiting: u32,
    /// They can't have it now.
    pub blocked: u32,
    /// They are no longer in the group.
    pub left: u32,
}

/// The counts of every stage.
#[must_use]
pub fn counts<'v>(
    rollout: &Rollout,
    members: &Members,
    view: impl Fn(AgentId) -> Option<&'v View>,
    now: Timestamp,
) -> Vec<Counts> {
    let mut stages = vec![Counts::default(); rollout.strategy.stages.len()];
    for (agent, member) in members {
        let Some(stage) = stages.get_mut(member.stage) else {
            continue;
        };
        let seen = view(*agent);
        stage.members += 1;
        let count = match &member.phase {
            _ if member.failure().is_some() => &mut stage.failed,
            Phase::Waiting => match seen {
                Some(view) if !view.belongs => &mut stage.left,
                Some(view) if rollout.caught_up(view) => &mut stage.proven,
                Some(view) if view.blocked.is_none() => &mut stage.waiting,
                Some(_) | None => &mut stage.blocked,
            },
            Phase::Released { .. } => &mut stage.unproven,
            Phase::Proven { .. } => {
                let lost = seen.is_some_and(|view| Judged::new(rollout, member, view, now).is_dark());
                if lost { &mut stage.lost } else { &mut stage.proven }
            }
            Phase::Failed { .. } => &mut stage.failed,
            Phase::RolledBack { .. } => &mut stage.rolled_back,
            Phase::Left { .. } => &mut stage.left,
        };
        *count += 1;
    }
    stages
}

impl Counts {
    /// All stages together.
    #[must_use]
    pub fn sum(stages: &[Self]) -> Self {
        stages.iter().fold(Self::default(), |sum, one| Self {
            members: sum.members + one.members,
            proven: sum.proven + one.proven,
            lost: sum.lost + one.lost,
            unproven: sum.unproven + one.unproven,
            failed: sum.failed + one.failed,
            rolled_back: sum.rolled_back + one.rolled_back,
            waiting: sum.waiting + one.waiting,
            blocked: sum.blocked + one.blocked,
            left: sum.left + one.left,
        })
    }
}
