//! Steering rollouts: what operators do about them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{numbered, object};
use crate::app::App;
use crate::app::changes::Topic;
use crate::app::configs::short;
use crate::app::error::Error;
use crate::app::intentions::{Index, RolloutHead};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::Delivery;
use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::rollout::{Act, ActError, PendingMove, State, Wants};
use crate::fleet::time::Timestamp;
use crate::store::Batch;

/// What is to be done about a rollout, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Steer {
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
}

impl App {
    /// Does something about a rollout.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it can't be done in the rollout's state.
    pub async fn steer_rollout(&self, actor: &Actor, id: RolloutId, steer: &Steer) -> Result<State, Error> {
        actor.may(Permission::Publish)?;
        short("reason", &steer.reason)?;
        let now = self.clock.now();
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let mut head = RolloutHead::clone(numbered(&index, id)?);
        let before = head.rollout.state.clone();
        let left = match &steer.act {
            Act::Retry { agents } => self.of_those_left(&index, &head, agents),
            Act::Pause | Act::Resume | Act::Promote | Act::Abort | Act::RollBack => Vec::new(),
        };
        let moves_again = !left.is_empty();
        let retried = if moves_again {
            head.rollout
                .move_again(left.len(), &actor.name, &steer.reason, now);
            left
        } else {
            let refused = |error: ActError| Error::Conflict(error.to_string());
            head.rollout
                .act(&mut head.members, &steer.act, &actor.name, &steer.reason, now)
                .map_err(refused)?
        };
        let mut batch = Batch::new();
        batch.vital().put(&id, &head.rollout);
        if moves_again {
            move_again(&mut index, &mut batch, &head, &retried, now);
        }
        let mut turns = Vec::new();
        let mut forgiven: Vec<(AgentId, Delivery)> = Vec::new();
        for agent in &retried {
            let Some(member) = head.members.get(agent) else {
                continue;
            };
            if !moves_again {
                batch.put(&(id, *agent), member);
            }
            let Some(turn) = self.turn_of(*agent, None).await else {
                continue;
            };
            turns.push(turn);
            let Some(snapshot) = self.live.get(*agent) else {
                continue;
            };
            let mut delivery = snapshot.agent.delivery.clone();
            if member.target.is_some_and(|target| delivery.forgive(target)) {
                batch.put(agent, &delivery);
                forgiven.push((*agent, delivery));
            }
        }
        let action = format!("rollout.{}", steer.act.word());
        let mut told = format!("group {}, was {}", head.rollout.group, before.short());
        if !retried.is_empty() {
            let _ = write!(told, ", {} agents", retried.len());
        }
        if !steer.reason.is_empty() {
            told.push_str(": ");
            told.push_str(&steer.reason);
        }
        batch.audit(self.intentions.audited(actor, &action, object(id), told));
        let state = head.rollout.state.clone();
        let group = head.rollout.group.clone();
        index.put_rollout(head);
        writing.commit(batch).await?;
        writing.install(
            index,
            [Topic::Rollout(id), Topic::Rollouts, Topic::Group(group)],
            false,
        );
        for (agent, delivery) in forgiven {
            self.live.with(agent, |entry| {
                Arc::make_mut(&mut entry.agent).delivery = delivery;
                entry.contact.offered = None;
            });
        }
        drop(turns);
        tracing::info!(rollout = %id, act = steer.act.word(), actor = actor.name, "a rollout was steered");
        for agent in retried {
            self.nudge(agent);
        }
        self.rollouts.activate();
        self.settle_members(id).await;
        Ok(state)
    }

    /// The agents that a rollout, which is over, left behind, of those that are meant.
    fn of_those_left(&self, index: &Index, head: &RolloutHead, meant: &BTreeSet<AgentId>) -> Vec<AgentId> {
        if !head.rollout.left_behind_can_move() {
            return Vec::new();
        }
        let group = &head.rollout.group;
        let is_left = |agent: &AgentId| {
            let known = self.live.get(*agent);
            let here = known.is_some_and(|seen| seen.agent.registration.group == *group);
            let behind = index.left_behind(group, *agent);
            here && behind.is_some_and(|behind| behind.id() == head.id())
        };
        let agents = head.members.keys().copied();
        agents
            .filter(|agent| meant.is_empty() || meant.contains(agent))
            .filter(is_left)
            .collect()
    }
}

/// Has agents that a rollout left behind wait for another. They keep what they have.
fn move_again(index: &mut Index, batch: &mut Batch, head: &RolloutHead, agents: &[AgentId], now: Timestamp) {
    for agent in agents {
        let Some(member) = head.members.get(agent) else {
            continue;
        };
        let keeps = match member.wants(&head.rollout) {
            Wants::Before(digest) | Wants::Base(digest) | Wants::Target(digest) => digest,
            Wants::Group => None,
        };
        let group = &head.rollout.group;
        let pending = PendingMove {
            group: group.clone(),
            from: group.clone(),
            keeps,
            since: now,
        };
        batch.put(agent, &pending);
        index.put_move(*agent, Some(pending));
    }
}
