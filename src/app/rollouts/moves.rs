//! Moves: agents that came into a group with something already are brought to what the group has by a rollout of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Wanted;
use crate::app::App;
use crate::app::changes::Topic;
use crate::app::claims::NamedAgent;
use crate::app::error::Error;
use crate::app::groups;
use crate::app::intentions::{GroupHead, Index, Intentions};
use crate::app::live::Snapshot;
use crate::app::rendering::missing;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{Agent, Registration};
use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{
    Blocked, Ended, Kind, Member, PendingMove, Rollout, State, Strategy, View, are_together, has,
};
use crate::fleet::suspension::SuspensionKind;
use crate::fleet::target::{self, in_words};
use crate::fleet::time::Timestamp;
use crate::store::Batch;

/// The agents of a group that have something else than the group has, since they came into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupMoves {
    /// How those that wait will be brought to what the group has, as it looks now: in one line.
    pub plan: String,
    /// Agents that wait for a rollout, by what people call them.
    pub pending: Vec<PendingMoveView>,
    /// Agents that a rollout was to move and didn't, by what people call them.
    pub left_behind: Vec<LeftBehindView>,
}

/// An agent that waits for a rollout of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingMoveView {
    /// The agent.
    #[serde(flatten)]
    pub agent: NamedAgent,
    /// The group that it came from.
    pub from: Name,
    /// Since when it waits.
    pub since: Timestamp,
    /// What it waits for, in words.
    pub waits: String,
}

/// An agent that a rollout was to move and didn't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftBehindView {
    /// The agent.
    #[serde(flatten)]
    pub agent: NamedAgent,
    /// The rollout. Retrying it lets the agent move again.
    pub rollout: RolloutId,
    /// What became of the move, in words.
    pub why: String,
}

/// The movers into a group.
#[derive(Default)]
struct Movers {
    /// They need no rollout: they are gone, or have what the group has.
    settled: Vec<AgentId>,
    /// A rollout would take them in.
    ready: Vec<target::Member>,
    /// At least one of those could be given the content now.
    able: bool,
}

impl App {
    /// Begins a rollout for the agents that came into a group with something already, where one is due.
    pub(super) async fn start_moves(&self) {
        let index = self.intentions.index();
        let groups: BTreeSet<Name> = index
            .pending_moves()
            .map(|(_, pending)| pending.group.clone())
            .collect();
        for group in groups {
            if let Err(error) = self.start_move(&group).await {
                tracing::error!(group = %group, error = %error, "agents could not begin to move; it is tried again");
            }
        }
    }

    async fn start_move(&self, group: &Name) -> Result<(), Error> {
        let now = self.clock.now();
        let index = self.intentions.index();
        let Some((_, target)) = due(&index, group, now) else {
            return Ok(());
        };
        let agents: Vec<Arc<Agent>> = index
            .moves_into(group)
            .filter_map(|(agent, _)| Some(self.live.get(agent)?.agent))
            // One for which a variable stands for nothing would be looked at in vain again and again.
            .filter(|agent| missing(&index, target, agent).is_empty())
            .collect();
        if !agents.is_empty() {
            self.intentions.render_late(&agents).await?;
        }
        let found = self.movers(&self.intentions.index(), group, target);
        if found.settled.is_empty() && !found.able {
            return Ok(());
        }
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let Some((head, target)) = due(&index, group, now) else {
            return Ok(());
        };
        let movers = self.movers(&index, group, target);
        let mut batch = Batch::new();
        for agent in &movers.settled {
            batch.delete::<PendingMove>(agent);
            index.put_move(*agent, None);
        }
        let rollout = movers
            .able
            .then(|| self.begin_move(&mut index, &mut batch, &head, target, &movers));
        if rollout.is_none() && movers.settled.is_empty() {
            return Ok(());
        }
        writing.commit(batch).await?;
        let topics = [Topic::Groups, Topic::Group(group.clone()), Topic::Rollouts];
        writing.install(index, topics, true);
        if let Some(rollout) = rollout {
            tracing::info!(rollout = %rollout.id, group = %rollout.group, "agents began to move into a group");
        }
        Ok(())
    }

    fn begin_move(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        head: &GroupHead,
        target: TargetId,
        movers: &Movers,
    ) -> Rollout {
        let came = came_from(index, &movers.ready);
        let content = index.target(target).and_then(|target| target.content.as_ref());
        let brings = content
            .map(|content| in_words(&content.layers))
            .unwrap_or_default();
        let muster = Actor::muster();
        let wanted = Wanted {
            kind: Kind::Move,
            target,
            strategy: None,
            queued: false,
        };
        let mut group = head.group.clone();
        let intentions = &self.intentions;
        let rollout = intentions.start_rollout(index, batch, &mut group, wanted, &muster, &movers.ready);
        let told = format!(
            "{brings} for {} agents that came from {came}, in rollout {}: {}",
            rollout.members, rollout.id, rollout.strategy
        );
        let object = groups::object(&group.name);
        batch.audit(intentions.audited(&muster, "group.move", object, told));
        rollout
    }

    fn movers(&self, index: &Index, group: &Name, target: TargetId) -> Movers {
        let mut movers = Movers::default();
        for (id, _) in index.moves_into(group) {
            let Some(snapshot) = self.live.get(id) else {
                movers.settled.push(id);
                continue;
            };
            let agent = &snapshot.agent;
            // Its record is just being written.
            if agent.registration.group != *group {
                continue;
            }
            let comes_to = index.target_head(target).and_then(|head| head.digest_for(id));
            if comes_to.is_some() && comes_to == has(&agent.delivery) {
                movers.settled.push(id);
            } else if keeps_still(agent).is_none() {
                movers.able |= blocked(index, &snapshot, group, target).is_none();
                movers.ready.push(target::Member {
                    online: snapshot.presence.is_online(),
                    agent: snapshot.agent,
                    lacks: Vec::new(),
                });
            }
        }
        movers
    }

    /// The agents of a group that have something else than the group has, since they came into it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn group_moves(&self, actor: &Actor, name: &str) -> Result<GroupMoves, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.intentions.index();
        let group = &groups::named(&index, name)?.group;
        let mut moves = GroupMoves::default();
        let mut ready = 0;
        for snapshot in self.live.snapshot() {
            let agent = &snapshot.agent;
            if agent.registration.group != group.name || !agent.registration.is_served() {
                continue;
            }
            if let Some(pending) = index.pending_move(agent.id()) {
                ready += usize::from(keeps_still(agent).is_none());
                moves.pending.push(pending_view(&index, &snapshot, pending));
            }
            moves.left_behind.extend(left_behind_view(&index, agent));
        }
        let strategy = group.strategy.clone();
        let strategy = strategy.unwrap_or_else(|| Strategy::default_for(ready));
        moves.plan = strategy.to_string();
        moves.pending.sort_by(|a, b| a.agent.cmp(&b.agent));
        moves.left_behind.sort_by(|a, b| a.agent.cmp(&b.agent));
        Ok(moves)
    }

    /// The move of an agent, if it has yet to be made.
    pub(in crate::app) fn move_of(&self, snapshot: &Snapshot) -> Option<PendingMoveView> {
        let index = self.intentions.index();
        let pending = index.pending_move(snapshot.agent.id())?;
        Some(pending_view(&index, snapshot, pending))
    }

    /// The move of an agent that came to nothing, if one did.
    pub(in crate::app) fn left_behind(&self, agent: &Agent) -> Option<LeftBehindView> {
        left_behind_view(&self.intentions.index(), agent)
    }
}

impl Intentions {
    /// What an agent that waits to move would be brought to; `None` when it doesn't wait, or that isn't known.
    pub(in crate::app) fn comes_to(&self, registration: &Registration) -> Option<crate::fleet::hash::Digest> {
        let index = self.index();
        let pending = index.pending_move(registration.id)?;
        index
            .target_head(content_of(&index, &pending.group)?)?
            .digest_for(registration.id)
    }
}

fn pending_view(index: &Index, snapshot: &Snapshot, pending: &PendingMove) -> PendingMoveView {
    PendingMoveView {
        agent: named(&snapshot.agent),
        from: pending.from.clone(),
        since: pending.since,
        waits: waits(index, snapshot, &pending.group),
    }
}

/// What a mover waits for.
fn waits(index: &Index, snapshot: &Snapshot, group: &Name) -> String {
    if let Some(why) = keeps_still(&snapshot.agent) {
        return why.to_owned();
    }
    if index.is_held(group) {
        return "its group is held".to_owned();
    }
    if let Some(id) = index.keeps_movers(group) {
        return format!("rollout {id} of its group is not over");
    }
    let Some(target) = content_of(index, group) else {
        return "nothing is published to its group".to_owned();
    };
    match blocked(index, snapshot, group, target) {
        None => "a rollout takes it in a moment".to_owned(),
        // It is rendered when a rollout takes it in.
        Some(Blocked::NotRendered) if missing(index, target, &snapshot.agent).is_empty() => {
            "a rollout takes it in a moment".to_owned()
        }
        Some(Blocked::NotRendered) => unresolved(index, target, &snapshot.agent),
        Some(why) => why.words().to_owned(),
    }
}

/// Which variables keep a content from being made for an agent.
pub(super) fn unresolved(index: &Index, target: TargetId, agent: &Agent) -> String {
    let missing: Vec<String> = missing(index, target, agent)
        .iter()
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        return Blocked::NotRendered.words().to_owned();
    }
    format!("it has no {}", missing.join(", "))
}

/// The group and what it has, when movers into it are to be brought there now.
fn due(index: &Index, group: &Name, now: Timestamp) -> Option<(Arc<GroupHead>, TargetId)> {
    let head = index.group(group)?;
    let target = content_of(index, group)?;
    let may = !index.is_held(group) && index.keeps_movers(group).is_none();
    let together = may && are_together(index.moves_into(group).map(|(_, pending)| pending), now);
    together.then(|| (Arc::clone(head), target))
}

/// What a group has, when that is a content.
fn content_of(index: &Index, group: &Name) -> Option<TargetId> {
    let id = index.group(group)?.group.target?;
    index.target(id)?.content.as_ref()?;
    Some(id)
}

/// Why no rollout would take an agent in: what holds it back holds until an operator says otherwise.
fn keeps_still(agent: &Agent) -> Option<&'static str> {
    let registration = &agent.registration;
    if !registration.is_served() {
        return Some("it is not served");
    }
    if registration.own_target.is_some() {
        return Some("it has a configuration of its own");
    }
    match &registration.suspension {
        Some(suspension) if suspension.kind == SuspensionKind::Detached => Some("it is detached"),
        Some(_) => Some("it is held"),
        None if agent.delivery.hold.is_some() => Some("it is held"),
        None => None,
    }
}

/// Why an agent can't be given what a group has now.
fn blocked(index: &Index, snapshot: &Snapshot, group: &Name, target: TargetId) -> Option<Blocked> {
    let agent = &snapshot.agent;
    let comes_to = index
        .target_head(target)
        .and_then(|head| head.digest_for(agent.id()));
    let member = Member::new(0, comes_to, None, None);
    let there = (snapshot.presence.is_online(), snapshot.polls);
    let never = (Timestamp::EPOCH, Timestamp::EPOCH);
    View::of(agent, &member, group, there, never).blocked
}

/// The groups that movers came from, with how many of each.
fn came_from(index: &Index, movers: &[target::Member]) -> String {
    let mut groups: BTreeMap<&Name, u32> = BTreeMap::new();
    for mover in movers {
        if let Some(pending) = index.pending_move(mover.agent.id()) {
            *groups.entry(&pending.from).or_default() += 1;
        }
    }
    let mut told = String::new();
    for (at, (group, count)) in groups.into_iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        let _ = write!(told, "{comma}{group} ({count})");
    }
    told
}

fn left_behind_view(index: &Index, agent: &Agent) -> Option<LeftBehindView> {
    let id = agent.id();
    let head = index.left_behind(&agent.registration.group, id)?;
    let failure = head.members.get(&id).and_then(Member::failure);
    let ended = match head.rollout.state {
        State::Ended { how: Ended::Aborted } if head.rollout.kind == Kind::Publish => {
            "the rollout that took it in was aborted"
        }
        State::Ended { .. } if head.rollout.kind == Kind::Publish => {
            "the rollout that took it in was rolled back"
        }
        State::Ended {
            how: Ended::RolledBack,
        } => "its move was rolled back",
        State::Ended { how: Ended::Aborted } => "its move was aborted",
        State::Ended { .. }
        | State::Queued
        | State::AwaitingApproval
        | State::Running { .. }
        | State::Paused { .. }
        | State::RollingBack { .. } => "it was not moved",
    };
    Some(LeftBehindView {
        agent: named(agent),
        rollout: head.rollout.id,
        why: match failure {
            Some(why) => format!("it failed: {}", why.words()),
            None => ended.to_owned(),
        },
    })
}

fn named(agent: &Agent) -> NamedAgent {
    NamedAgent {
        title: agent.title(),
        id: agent.id(),
    }
}
