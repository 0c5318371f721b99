//! What pages, API and command line show of rollouts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approve::ProposalView;
use super::moves::unresolved;
use super::numbered;
use crate::app::App;
use crate::app::error::Error;
use crate::app::intentions::{Index, RolloutHead};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::ids::{AgentId, RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{
    Act, Blocked, Check, Counts, FailureReason, GateSummary, Member, Phase, Restored, Rollout, View, checks,
    counts, summary, waits,
};
use crate::fleet::target::in_words;
use crate::fleet::time::Timestamp;

/// A rollout in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutSummary {
    /// The rollout.
    #[serde(flatten)]
    pub rollout: Rollout,
    /// What it brings, such as `base@3 + edge@7`.
    pub brings: String,
    /// What the group had before; empty when nothing was published.
    pub instead_of: String,
    /// Its strategy in one line.
    pub plan: String,
    /// Its stages.
    pub stages: Vec<StageView>,
    /// All stages together.
    pub total: Counts,
    /// What it does and what it waits for, in one sentence.
    pub waits: String,
    /// What may be done about it now.
    pub acts: Vec<String>,
    /// Agents that it left with something else than their group has, since they came into it with that. Retrying lets them
    /// move.
    pub left_behind: u32,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageView {
    /// How far it goes.
    pub size: String,
    /// How long its agents must stay well, in seconds.
    pub soak_seconds: u64,
    /// Its agents by how far they are.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A rollout with everything about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutDetail {
    /// The rollout.
    #[serde(flatten)]
    pub summary: RolloutSummary,
    /// What it would do, while it waits for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalView>,
    /// The gates over all agents that were given the new content.
    pub gates: Vec<GateSummary>,
    /// Its members, worst first.
    pub agents: Vec<MemberView>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// The agent.
    pub id: AgentId,
    /// What people call it; its id when its record is gone.
    pub title: String,
    /// Its stage, from 0.
    pub stage: usize,
    /// What it comes to.
    pub verdict: Verdict,
    /// Why, in words; empty when the verdict says it all.
    pub reason: String,
    /// Since when; the epoch when that isn't known.
    pub since: Timestamp,
    /// Its gates, while it is looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Check>,
}

/// What a member comes to, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It failed.
    Failed,
    /// It was given the new content and fell silent.
    Dark,
    /// It is being brought back, or can't be.
    RollingBack,
    /// It has the new content, or gets it, and hasn't proved it.
    Proving,
    /// It can't have the new content now.
    Blocked,
    /// Its turn has not come.
    Waiting,
    /// It is no longer in the group.
    Left,
    /// It has what it had.
    RolledBack,
    /// It proved the new content.
    Ok,
}

impl App {
    /// All rollouts, newest first; those of one group when one is named.
    ///
    /// # Errors
    /// When the actor may not look at the fleet.
    pub fn list_rollouts(&self, actor: &Actor, group: Option<&Name>) -> Result<Vec<RolloutSummary>, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.intentions.index();
        let heads = index.rollouts().rev();
        let wanted = heads.filter(|head| group.is_none_or(|group| head.rollout.group == *group));
        Ok(wanted
            .map(|head| self.summed_up(&index, head, &self.rollout_views(head, self.started)))
            .collect())
    }

    /// One rollout with everything about it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn rollout(&self, actor: &Actor, id: RolloutId) -> Result<RolloutDetail, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.intentions.index();
        let head = numbered(&index, id)?;
        let views = self.rollout_views(head, self.started);
        let now = self.clock.now();
        let seen: Vec<(AgentId, View)> = views.iter().map(|(id, view)| (*id, view.clone())).collect();
        let mut agents: Vec<MemberView> = head
            .members
            .iter()
            .map(|(agent, member)| self.member_view(&index, head, (*agent, member), views.get(agent), now))
            .collect();
        agents
            .sort_by(|a, b| (a.verdict, a.stage, &a.title, a.id).cmp(&(b.verdict, b.stage, &b.title, b.id)));
        let open = !head.rollout.is_ended();
        Ok(RolloutDetail {
            summary: self.summed_up(&index, head, &views),
            proposal: self.proposal_view(actor, &index, &head.rollout)?,
            gates: if open {
                summary(&head.rollout, &head.members, &seen, now)
            } else {
                Vec::new()
            },
            agents,
        })
    }

    fn summed_up(
        &self,
        index: &Index,
        head: &RolloutHead,
        views: &BTreeMap<AgentId, View>,
    ) -> RolloutSummary {
        let rollout = &head.rollout;
        let now = self.clock.now();
        let counted = counts(rollout, &head.members, |agent| views.get(&agent), now);
        let content = |id: TargetId| {
            let target = index.target(id)?;
            Some(
                target
                    .content
                    .as_ref()
                    .map_or("nothing".to_owned(), |content| in_words(&content.layers)),
            )
        };
        let stages = rollout.strategy.stages.iter().zip(&counted);
        let acts = [
            Act::Pause,
            Act::Resume,
            Act::Promote,
            Act::RollBack,
            Act::Abort,
            Act::Retry {
                agents: std::collections::BTreeSet::new(),
            },
        ];
        let total = Counts::sum(&counted);
        let left_behind = self.left_by(index, head);
        let possible = acts.iter().filter(|act| match act {
            Act::Retry { .. } => {
                left_behind > 0 || head.members.values().any(|member| rollout.can_try_again(member))
            }
            Act::Pause | Act::Resume | Act::Promote | Act::Abort | Act::RollBack => act.is_possible(rollout),
        });
        RolloutSummary {
            brings: content(rollout.target).unwrap_or_default(),
            instead_of: rollout.from.and_then(content).unwrap_or_default(),
            plan: rollout.strategy.to_string(),
            waits: waits(rollout, &head.members, &counted),
            acts: possible.map(|act| act.word().to_owned()).collect(),
            stages: stages
                .map(|(stage, counts)| StageView {
                    size: stage.size.to_string(),
                    soak_seconds: stage.soak_seconds,
                    counts: *counts,
                })
                .collect(),
            total,
            left_behind,
            rollout: rollout.clone(),
        }
    }

    /// How many agents it left behind.
    fn left_by(&self, index: &Index, head: &RolloutHead) -> u32 {
        if !head.rollout.is_ended() {
            return 0;
        }
        let group = &head.rollout.group;
        let left = head.members.keys().filter(|agent| {
            let seen = self.live.get(**agent);
            let here = seen.is_some_and(|seen| seen.agent.registration.group == *group);
            let behind = index.left_behind(group, **agent);
            here && behind.is_some_and(|behind| behind.id() == head.id())
        });
        u32::try_from(left.count()).unwrap_or(u32::MAX)
    }

    fn member_view(
        &self,
        index: &Index,
        head: &RolloutHead,
        (agent, member): (AgentId, &Member),
        view: Option<&View>,
        now: Timestamp,
    ) -> MemberView {
        let seen = self.live.get(agent);
        let title = seen.as_ref().map(|seen| seen.agent.title());
        let (verdict, mut reason, since) = judged(&head.rollout, member, view);
        let lacks = verdict == Verdict::Blocked
            && view.is_some_and(|view| view.blocked == Some(Blocked::NotRendered));
        if let (true, Some(seen)) = (lacks, &seen) {
            reason = unresolved(index, head.rollout.target, &seen.agent);
        }
        let looked_at = matches!(member.phase, Phase::Released { .. } | Phase::Proven { .. });
        let gates = view.filter(|_| looked_at && !head.rollout.is_ended());
        MemberView {
            id: agent,
            title: title.unwrap_or_else(|| agent.to_string()),
            stage: member.stage,
            verdict,
            reason,
            since,
            gates: gates.map_or_else(Vec::new, |view| checks(&head.rollout, member, view, now)),
        }
    }
}

fn judged(rollout: &Rollout, member: &Member, view: Option<&View>) -> (Verdict, String, Timestamp) {
    let failed = |why: &FailureReason| match why {
        FailureReason::Dark => Verdict::Dark,
        FailureReason::Refused { .. }
        | FailureReason::Reverted
        | FailureReason::Unhealthy { .. }
        | FailureReason::Restarts { .. }
        | FailureReason::Flapping { .. } => Verdict::Failed,
    };
    match &member.phase {
        Phase::Waiting => match view {
            Some(view) if !view.belongs => (Verdict::Left, String::new(), Timestamp::EPOCH),
            Some(view) if rollout.caught_up(view) => (Verdict::Ok, String::new(), Timestamp::EPOCH),
            Some(view) => match view.blocked {
                None => (Verdict::Waiting, String::new(), Timestamp::EPOCH),
                Some(blocked) => (Verdict::Blocked, blocked.words().to_owned(), Timestamp::EPOCH),
            },
            None => (
                Verdict::Blocked,
                Blocked::Offline.words().to_owned(),
                Timestamp::EPOCH,
            ),
        },
        Phase::Released { at } => (Verdict::Proving, String::new(), *at),
        Phase::Proven { at } => (Verdict::Ok, String::new(), *at),
        Phase::Failed { at, why } => (failed(why), format!("{}; left as it is", why.words()), *at),
        Phase::RolledBack { at, why, restored } => {
            let how = match restored {
                Restored::Pending => "being brought back".to_owned(),
                Restored::Confirmed { .. } => "brought back".to_owned(),
                Restored::FailedToo { error } => format!("refused what it had too: {error}"),
                Restored::Silent => "is brought back when it answers".to_owned(),
                Restored::NothingToGoBackTo => "there is nothing to bring it back to".to_owned(),
                Restored::Gone => "no longer in the group".to_owned(),
            };
            match (why, restored) {
                (Some(why), _) => (failed(why), format!("{}; {how}", why.words()), *at),
                (None, Restored::Confirmed { .. }) => (Verdict::RolledBack, how, *at),
                (None, _) => (Verdict::RollingBack, how, *at),
            }
        }
        Phase::Left { at, .. } => (Verdict::Left, String::new(), *at),
    }
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Dark => "dark",
            Self::RollingBack => "rolling back",
            Self::Proving => "proving",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
            Self::Left => "left",
            Self::RolledBack => "rolled back",
            Self::Ok => "ok",
        }
    }
}
