//! Driving rollouts: look, plan, commit, and only then let agents hear of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::{numbered, object};
use crate::app::App;
use crate::app::changes::Topic;
use crate::app::clock::{Clock, Stopwatch};
use crate::app::error::Error;
use crate::app::intentions::{GroupHead, Index, RolloutHead, Writing};
use crate::auth::actor::Actor;
use crate::fleet::agent::{Delivery, Failure};
use crate::fleet::group::Group;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{Ended, FailureReason, Member, Phase, Rollout, State, Step, View, plan};
use crate::fleet::target;
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// How long reports gather before they are looked at together, at least and at most.
const GATHERING: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A difference between the clock and the time that passed that is a jump.
const JUMP: Duration = Duration::from_secs(20);

/// Notices when the clock jumps: nobody was silent in the time that never was.
#[derive(Debug, Default)]
pub(in crate::app) struct Pace(Mutex<Beat>);

#[derive(Debug, Default)]
struct Beat {
    last: Option<(Timestamp, Stopwatch)>,
    jumped_at: Timestamp,
}

impl Pace {
    /// The time before which nobody can be said to have been silent, after a jump of the clock.
    fn jumped_at(&self, clock: &Clock) -> Timestamp {
        let now = clock.now();
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, watch)) = beat.last {
            let ahead = now.since(then.plus(watch.elapsed())) > JUMP;
            let behind = then.plus(watch.elapsed()).since(now) > JUMP;
            if clock.is_system() && (ahead || behind) {
                beat.jumped_at = now;
            }
        }
        beat.last = Some((now, Stopwatch::start()));
        beat.jumped_at.min(now)
    }
}

/// What a plan changes of the agents' own records, held so that nothing is said to them meanwhile.
#[derive(Default)]
struct Touched {
    turns: Vec<OwnedMutexGuard<()>>,
    deliveries: BTreeMap<AgentId, Delivery>,
}

impl App {
    /// Begins the moves that are due, and takes every rollout that isn't over as far as it can go now.
    pub(in crate::app) async fn advance_rollouts(&self) {
        let watch = Stopwatch::start();
        self.start_moves().await;
        let floor = self.pace.jumped_at(&self.clock).max(self.started);
        let index = self.intentions.index();
        let open: Vec<RolloutId> = index
            .rollouts()
            .filter(|head| !head.rollout.is_ended())
            .map(|head| head.id())
            .collect();
        for id in &open {
            if let Err(error) = self.advance(*id, floor).await {
                tracing::error!(rollout = %id, error = %error, "a rollout could not go on; it is tried again");
            }
        }
        if !open.is_empty() {
            tokio::time::sleep(gathering(watch.elapsed())).await;
        }
    }

    async fn advance(&self, id: RolloutId, floor: Timestamp) -> Result<(), Error> {
        let index = self.intentions.index();
        let head = numbered(&index, id)?;
        if head.rollout.state == State::Queued {
            return self.begin_queued(id).await;
        }
        if head.rollout.state == State::AwaitingApproval {
            return self.review_proposal(id).await;
        }
        // Its agents are sent nothing: were they counted as blocked, stages would pass with nobody in them.
        if index.is_held(&head.rollout.group) {
            return Ok(());
        }
        let now = self.clock.now();
        let views = self.rollout_views(head, floor);
        let rendered = rendered_since(&index, head);
        if rendered.is_empty()
            && plan(&head.rollout, &head.members, |agent| views.get(&agent), now).is_empty()
        {
            return Ok(());
        }
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let mut head = RolloutHead::clone(numbered(&index, id)?);
        if index.is_held(&head.rollout.group) {
            return Ok(());
        }
        let rendered = rendered_since(&index, &head);
        for (agent, digest) in &rendered {
            if let Some(member) = head.members.get_mut(agent) {
                member.target = Some(*digest);
            }
        }
        index.load_offers(&self.store, self.intentions.keys(), rendered.values().copied());
        let now = self.clock.now();
        let views = self.rollout_views(&head, floor);
        let steps = plan(&head.rollout, &head.members, |agent| views.get(&agent), now);
        let Some(touched) = self.touch(&head, &steps, now).await else {
            // Somebody was told just now what was to be taken back: look again.
            self.rollouts.activate();
            return Ok(());
        };
        let mut next = head.clone();
        for step in &steps {
            next.rollout.apply(&mut next.members, step, now);
        }
        let mut batch = Batch::new();
        let changed: BTreeSet<AgentId> = steps
            .iter()
            .filter_map(Step::agent)
            .chain(rendered.into_keys())
            .collect();
        for agent in &changed {
            if let Some(member) = next.members.get(agent) {
                batch.put(&(id, *agent), member);
            }
        }
        for (agent, delivery) in &touched.deliveries {
            batch.put(agent, delivery);
        }
        if next.rollout != head.rollout {
            batch.put(&id, &next.rollout);
            settle_group(&mut index, &mut batch, &next.rollout, now);
        }
        steps
            .iter()
            .filter_map(|step| told(&next.rollout, step, now))
            .for_each(|entry| {
                batch.audit(entry);
            });
        let group = next.rollout.group.clone();
        index.put_rollout(next);
        batch.vital();
        writing.commit(batch).await?;
        let topics = [
            Topic::Rollout(id),
            Topic::Rollouts,
            Topic::Group(group),
            Topic::Groups,
        ];
        writing.install(index, topics, false);
        for (agent, delivery) in touched.deliveries {
            self.live.with(agent, |entry| {
                Arc::make_mut(&mut entry.agent).delivery = delivery;
            });
        }
        drop(touched.turns);
        if steps.iter().any(|step| matches!(step, Step::End { .. })) {
            // Agents that were to move meanwhile do so now.
            self.settle_members(id).await;
        }
        for step in &steps {
            log(id, step);
        }
        for agent in changed {
            self.nudge(agent);
            self.announce_agent(agent);
        }
        Ok(())
    }

    /// What is seen of the members of a rollout. Nobody was silent before `floor`.
    pub(super) fn rollout_views(&self, head: &RolloutHead, floor: Timestamp) -> BTreeMap<AgentId, View> {
        let view = |(agent, member)| {
            let agent: &AgentId = agent;
            let seen = self.live.get(*agent)?;
            let there = (seen.presence.is_online(), seen.polls);
            let since = (seen.pulse.last_seen, floor);
            Some((
                *agent,
                View::of(&seen.agent, member, &head.rollout.group, there, since),
            ))
        };
        head.members.iter().filter_map(view).collect()
    }

    /// Takes the turns of agents whose records the steps change or depend on, and makes the changes. `None` when an agent
    /// was told meanwhile what it was to be told no more.
    async fn touch(&self, head: &RolloutHead, steps: &[Step], now: Timestamp) -> Option<Touched> {
        let mut touched = Touched::default();
        // Nobody may save or publish meanwhile: those that take nothing are let go together.
        for agent in steps.iter().filter_map(Step::agent) {
            if self.live.with(agent, |entry| entry.is_between_exchanges()) == Some(false) {
                self.hurry(agent, None);
            }
        }
        for step in steps {
            let (agent, why) = match step {
                Step::Fail { agent, why } if !matches!(why, FailureReason::Refused { .. }) => {
                    (*agent, Some(why))
                }
                Step::Recall { agent } => (*agent, None),
                Step::Fail { .. }
                | Step::Release { .. }
                | Step::Watch { .. }
                | Step::Prove { .. }
                | Step::Leave { .. }
                | Step::RollBack { .. }
                | Step::Restore { .. }
                | Step::Pass { .. }
                | Step::Pause { .. }
                | Step::TurnBack { .. }
                | Step::End { .. } => continue,
            };
            let Some(turn) = self.turn_of(agent, None).await else {
                continue;
            };
            touched.turns.push(turn);
            let Some(snapshot) = self.live.get(agent) else {
                continue;
            };
            let Some(target) = head.members.get(&agent).and_then(|member| member.target) else {
                continue;
            };
            let mut delivery = snapshot.agent.delivery.clone();
            let Some(why) = why else {
                if delivery.offered.is_some_and(|offered| offered.digest == target) {
                    return None;
                }
                continue;
            };
            // What failed here without a word of the agent is not offered to it again by itself either.
            delivery.remember_failure(Failure {
                digest: target,
                error: why.words(),
                at: now,
            });
            touched.deliveries.insert(agent, delivery);
        }
        Some(touched)
    }

    /// Lets a queued rollout begin when the one before it is over.
    async fn begin_queued(&self, id: RolloutId) -> Result<(), Error> {
        if has_to_wait(&self.intentions.index(), id) {
            return Ok(());
        }
        self.intentions.render_late(&self.fleet()).await?;
        let fleet = self.target_members();
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let head = RolloutHead::clone(numbered(&index, id)?);
        let Some(group) = index.group(&head.rollout.group).cloned() else {
            return Ok(());
        };
        if has_to_wait(&index, id) || head.rollout.state != State::Queued {
            return Ok(());
        }
        let mut batch = Batch::new();
        if let Some(binds) = self.is_void(&index, &head.rollout) {
            return self.ask_again(writing, index, head, binds).await;
        }
        let over: Vec<RolloutHead> = before(&index, id).map(|head| RolloutHead::clone(head)).collect();
        self.intentions
            .supersede(&mut index, &mut batch, over, &Actor::muster().name);
        let mut changed = group.group.clone();
        let here = |member: &&target::Member| {
            let registration = &member.agent.registration;
            registration.group == changed.name && registration.is_served()
        };
        let fleet: Vec<&target::Member> = fleet.iter().filter(here).collect();
        let by = Actor::muster().name;
        let rollout =
            self.intentions
                .begin_rollout(&mut index, &mut batch, &mut changed, head.rollout, &by, &fleet);
        put_group(&mut index, &mut batch, &group, changed, self.clock.now());
        batch.vital();
        writing.commit(batch).await?;
        let topics = [Topic::Rollout(id), Topic::Rollouts, Topic::Group(rollout.group)];
        writing.install(index, topics, true);
        Ok(())
    }

    /// Has a rollout that waited be approved again: it isn't any more what was approved.
    async fn ask_again(
        &self,
        mut writing: Writing<'_>,
        mut index: Index,
        mut head: RolloutHead,
        binds: Digest,
    ) -> Result<(), Error> {
        let (id, now, muster) = (head.rollout.id, self.clock.now(), Actor::muster());
        head.rollout.rebind(binds, &muster.name, now);
        let mut batch = Batch::new();
        batch.put(&id, &head.rollout);
        let (group, told) = (
            head.rollout.group.clone(),
            format!("group {}", head.rollout.group),
        );
        batch.audit(AuditEntry {
            after: Some(binds),
            ..self
                .intentions
                .audited(&muster, "rollout.void_approvals", object(id), told)
        });
        index.put_rollout(head);
        writing.commit(batch).await?;
        writing.install(
            index,
            [Topic::Rollout(id), Topic::Rollouts, Topic::Group(group)],
            false,
        );
        Ok(())
    }

    /// Deletes the oldest rollouts of each group that are over and say nothing to any agent any more.
    pub(in crate::app) async fn forget_rollouts(&self) -> Result<(), Error> {
        const KEPT: usize = 50;
        let mut kept: BTreeMap<Name, usize> = BTreeMap::new();
        let index = self.intentions.index();
        let old: Vec<Arc<RolloutHead>> = index
            .rollouts()
            .rev()
            .filter(|head| {
                let count = kept.entry(head.rollout.group.clone()).or_default();
                *count += 1;
                *count > KEPT && head.rollout.is_ended() && !index.governs(head.id())
            })
            .map(Arc::clone)
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let mut batch = Batch::new();
        for head in &old {
            batch.delete::<Rollout>(&head.id());
            for agent in head.members.keys() {
                batch.delete::<Member>(&(head.id(), *agent));
            }
            index.remove_rollout(head.id());
        }
        batch.vital();
        writing.commit(batch).await?;
        writing.install(index, [Topic::Rollouts], false);
        Ok(())
    }

    /// Every agent, as members of a rollout are chosen from.
    pub(super) fn target_members(&self) -> Vec<target::Member> {
        let snapshots = self.live.snapshot().into_iter();
        snapshots
            .map(|snapshot| target::Member {
                online: snapshot.presence.is_online(),
                agent: snapshot.agent,
                lacks: Vec::new(),
            })
            .collect()
    }
}

/// How long reports gather after a look that took so long. Every agent of a rollout that speaks has them looked at, so a
/// look at very many leaves most of the time to others.
fn gathering(took: Duration) -> Duration {
    let (least, most) = GATHERING;
    (took * 4).clamp(least, most)
}

/// The rollouts to the group of a queued one that began and aren't over.
fn before(index: &Index, id: RolloutId) -> impl Iterator<Item = &Arc<RolloutHead>> {
    let group = index.rollout(id).map(|queued| &queued.rollout.group);
    index.rollouts().filter(move |other| {
        let other = &other.rollout;
        let begun = !matches!(other.state, State::Queued | State::AwaitingApproval);
        begun && !other.is_ended() && other.id != id && Some(&other.group) == group
    })
}

/// Whether a queued rollout has to wait. One that reached everybody has nothing left to hold back.
fn has_to_wait(index: &Index, id: RolloutId) -> bool {
    before(index, id).any(|other| !other.rollout.is_at_once())
}

/// What members that wait come to, which couldn't be made for them when the rollout began and can now.
fn rendered_since(index: &Index, head: &RolloutHead) -> BTreeMap<AgentId, Digest> {
    let Some(target) = index.target_head(head.rollout.target) else {
        return BTreeMap::new();
    };
    let lacks = |member: &Member| member.target.is_none() && member.phase == Phase::Waiting;
    head.members
        .iter()
        .filter(|(_, member)| lacks(member))
        .filter_map(|(agent, _)| Some((*agent, target.digest_for(*agent)?)))
        .collect()
}

/// Moves the group's target when its rollout is over: to the new one, or back.
fn settle_group(index: &mut Index, batch: &mut Batch, rollout: &Rollout, now: Timestamp) {
    let State::Ended { how } = rollout.state else {
        return;
    };
    let Some(head) = index.group(&rollout.group).cloned() else {
        return;
    };
    let target = match how {
        Ended::Succeeded => Some(rollout.target),
        // It had moved when everybody was reached at once.
        Ended::RolledBack => rollout.from,
        Ended::Aborted | Ended::Superseded | Ended::Rejected | Ended::Withdrawn | Ended::Expired => {
            head.group.target
        }
    };
    if target == head.group.target || head.group.rollout != Some(rollout.id) {
        return;
    }
    let changed = Group {
        target,
        ..head.group.clone()
    };
    put_group(index, batch, &head, changed, now);
}

fn put_group(index: &mut Index, batch: &mut Batch, head: &GroupHead, mut group: Group, now: Timestamp) {
    group.updated_at = now;
    batch.expect_revision::<Group>(&group.name, head.revision);
    batch.put(&group.name, &group);
    index.put_group(GroupHead {
        group,
        revision: head.revision + 1,
    });
}

/// What the audit log says of a step that nobody ordered.
fn told(rollout: &Rollout, step: &Step, now: Timestamp) -> Option<AuditEntry> {
    let (action, detail) = match step {
        Step::Pause { why } => ("rollout.pause", why.words()),
        Step::TurnBack { why } => ("rollout.roll_back", why.words()),
        Step::End { how } => ("rollout.end", State::Ended { how: *how }.short().to_owned()),
        Step::Pass { stage } => ("rollout.stage", format!("stage {} begins", stage + 1)),
        Step::Release { .. }
        | Step::Watch { .. }
        | Step::Prove { .. }
        | Step::Fail { .. }
        | Step::Recall { .. }
        | Step::Leave { .. }
        | Step::RollBack { .. }
        | Step::Restore { .. } => return None,
    };
    Some(AuditEntry {
        at: now,
        actor: Actor::muster().name,
        action: action.to_owned(),
        object: object(rollout.id),
        detail,
        ..AuditEntry::default()
    })
}

fn log(id: RolloutId, step: &Step) {
    match step {
        Step::Pass { stage } => {
            tracing::info!(rollout = %id, stage = stage + 1, "a rollout's next stage began");
        }
        Step::Pause { why } => tracing::warn!(rollout = %id, reason = why.words(), "a rollout paused"),
        Step::TurnBack { why } => {
            tracing::warn!(rollout = %id, reason = why.words(), "a rollout turned back");
        }
        Step::End { how } => {
            let state = State::Ended { how: *how }.short();
            tracing::info!(rollout = %id, state, "a rollout ended");
        }
        Step::Fail { agent, why } => {
            tracing::debug!(rollout = %id, agent_id = %agent, reason = why.words(), "an agent failed in a rollout");
        }
        Step::Release { .. }
        | Step::Watch { .. }
        | Step::Prove { .. }
        | Step::Recall { .. }
        | Step::Leave { .. }
        | Step::RollBack { .. }
        | Step::Restore { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_very_many_agents_leaves_most_of_the_time_to_others() {
        let after = |took| gathering(Duration::from_millis(took)).as_millis();
        assert_eq!((after(0), after(10), after(100)), (50, 50, 400));
        assert_eq!(after(10_000), 1_000, "and still comes to an end");
    }
}
