//! What happens next: a total, deterministic function of a rollout, its members, what is seen of them, and the time.
//!
//! Planning what was just planned and applied, with nothing else seen, gives nothing: whoever is interrupted plans again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gate::{Judged, Verdict};
use super::member::{Member, Phase, Restored, Watch, count, failures};
use super::state::{Ended, Pause, State};
use super::strategy::OnFailure;
use super::view::{Blocked, FailureReason, Progress, View};
use super::{Members, Rollout};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

/// How long an agent that refused a content may take to go back by itself.
const BY_ITSELF: Duration = Duration::from_secs(10);
/// Who does what no operator said.
const ITSELF: &str = "muster";

/// One thing that happens. A plan is applied as a whole and in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An agent may have the new content.
    Release {
        /// The agent.
        agent: AgentId,
        /// How it is as it is released.
        watch: Watch,
    },
    /// Something was noticed about an agent.
    Watch {
        /// The agent.
        agent: AgentId,
        /// All that was noticed.
        watch: Watch,
    },
    /// An agent proved the new content.
    Prove {
        /// The agent.
        agent: AgentId,
    },
    /// An agent failed with it.
    Fail {
        /// The agent.
        agent: AgentId,
        /// Why.
        why: FailureReason,
    },
    /// An agent that could not be told after all waits again.
    Recall {
        /// The agent.
        agent: AgentId,
    },
    /// An agent is no longer in the group, or no longer served.
    Leave {
        /// The agent.
        agent: AgentId,
    },
    /// An agent is brought back.
    RollBack {
        /// The agent.
        agent: AgentId,
    },
    /// What became of that.
    Restore {
        /// The agent.
        agent: AgentId,
        /// How it is.
        restored: Restored,
    },
    /// The next stage begins.
    Pass {
        /// The stage that begins.
        stage: usize,
    },
    /// Nobody is released any more.
    Pause {
        /// Why.
        why: Pause,
    },
    /// Everybody is brought back.
    TurnBack {
        /// Why.
        why: Pause,
    },
    /// It is over.
    End {
        /// How.
        how: Ended,
    },
}

/// What happens next. `view` tells what is seen of an agent, `None` when there is no such agent (any more).
#[must_use]
pub fn plan<'v>(
    rollout: &Rollout,
    members: &Members,
    view: impl Fn(AgentId) -> Option<&'v View>,
    now: Timestamp,
) -> Vec<Step> {
    let mut draft = Draft {
        rollout: rollout.clone(),
        members,
        changed: BTreeMap::new(),
        view,
        now,
        steps: Vec::new(),
    };
    // Each round goes as far as it can see; what it did may let the next go on. It ends, since phases only go forward.
    loop {
        let before = draft.steps.len();
        draft.round();
        if draft.steps.len() == before {
            return draft.steps;
        }
    }
}

impl Rollout {
    /// Takes on one step of a plan.
    pub fn apply(&mut self, members: &mut Members, step: &Step, now: Timestamp) {
        if let Some(agent) = step.agent()
            && let Some(member) = members.get_mut(&agent)
        {
            member.apply(step, now);
        }
        let state = match step {
            Step::Pass { stage } => State::Running { stage: *stage },
            Step::Pause { why } => State::Paused {
                stage: self.stage().unwrap_or_default(),
                why: why.clone(),
            },
            Step::TurnBack { why } => State::RollingBack { why: why.clone() },
            Step::End { how } => State::Ended { how: *how },
            Step::Release { .. }
            | Step::Watch { .. }
            | Step::Prove { .. }
            | Step::Fail { .. }
            | Step::Recall { .. }
            | Step::Leave { .. }
            | Step::RollBack { .. }
            | Step::Restore { .. } => return,
        };
        self.stage_since = now;
        self.enter(state, ITSELF, String::new(), now);
    }
}

impl Step {
    /// The agent that it is about, if it is about one.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        match self {
            Self::Release { agent, .. }
            | Self::Watch { agent, .. }
            | Self::Prove { agent }
            | Self::Fail { agent, .. }
            | Self::Recall { agent }
            | Self::Leave { agent }
            | Self::RollBack { agent }
            | Self::Restore { agent, .. } => Some(*agent),
            Self::Pass { .. } | Self::Pause { .. } | Self::TurnBack { .. } | Self::End { .. } => None,
        }
    }
}

impl Member {
    fn apply(&mut self, step: &Step, now: Timestamp) {
        self.phase = match step {
            Step::Release { watch, .. } => {
                self.watch = watch.clone();
                Phase::Released { at: now }
            }
            Step::Watch { watch, .. } => {
                self.watch = watch.clone();
                return;
            }
            Step::Prove { .. } => Phase::Proven { at: now },
            Step::Fail { why, .. } => Phase::Failed {
                at: now,
                why: why.clone(),
            },
            Step::Recall { .. } => Phase::Waiting,
            Step::Leave { .. } => Phase::Left {
                at: now,
                released: !matches!(self.phase, Phase::Waiting),
            },
            Step::RollBack { .. } => Phase::RolledBack {
                at: now,
                why: self.failure().cloned(),
                restored: Restored::Pending,
            },
            Step::Restore { restored, .. } => match &self.phase {
                Phase::RolledBack { at, why, .. } => Phase::RolledBack {
                    at: *at,
                    why: why.clone(),
                    restored: restored.clone(),
                },
                other @ (Phase::Waiting
                | Phase::Released { .. }
                | Phase::Proven { .. }
                | Phase::Failed { .. }
                | Phase::Left { .. }) => other.clone(),
            },
            Step::Pass { .. } | Step::Pause { .. } | Step::TurnBack { .. } | Step::End { .. } => return,
        };
    }
}

/// A plan in the making: the rollout and its members as the steps so far leave them.
struct Draft<'a, F> {
    rollout: Rollout,
    members: &'a Members,
    changed: Members,
    view: F,
    now: Timestamp,
    steps: Vec<Step>,
}

/// What a round counts before it decides.
#[derive(Default)]
struct Tally {
    failed: u32,
    unproven: u32,
    lost: u32,
}

/// How the present stage stands.
#[derive(Default)]
struct Standing {
    /// Agents of it that were released and haven't proved themselves.
    unproven: u32,
    /// Agents of it that wait and could be released.
    able: u32,
    /// Agents of it that wait and can't be.
    blocked: u32,
    /// Agents of it, but for those that left.
    present: u32,
    /// Agents of it and of the stages before that proved the content.
    proven: u32,
}

impl<'v, F: Fn(AgentId) -> Option<&'v View>> Draft<'_, F> {
    fn step(&mut self, step: Step) {
        if let Some(agent) = step.agent()
            && let Some(member) = self.changed.get(&agent).or_else(|| self.members.get(&agent))
        {
            let mut member = member.clone();
            member.apply(&step, self.now);
            self.changed.insert(agent, member);
        } else {
            let mut nobody = Members::new();
            self.rollout.apply(&mut nobody, &step, self.now);
        }
        self.steps.push(step);
    }

    /// Every member as it is now.
    fn each(&self) -> impl Iterator<Item = (AgentId, &Member)> {
        self.members
            .iter()
            .map(|(agent, member)| (*agent, self.changed.get(agent).unwrap_or(member)))
    }

    fn seen(&self, agent: AgentId) -> Option<&'v View> {
        (self.view)(agent)
    }

    fn round(&mut self) {
        match self.rollout.state {
            State::Running { .. } | State::Paused { .. } => {
                self.judge();
                self.restore();
                self.stop_or_go_on();
            }
            State::RollingBack { .. } => {
                self.judge();
                self.turn_back();
                self.restore();
                self.end_turning_back();
            }
            State::Queued | State::AwaitingApproval | State::Ended { .. } => {}
        }
    }

    /// Looks at everybody who was released.
    fn judge(&mut self) {
        let steps: Vec<Step> = self
            .each()
            .flat_map(|(agent, member)| self.judged(agent, member))
            .collect();
        for step in steps {
            self.step(step);
        }
    }

    fn judged(&self, agent: AgentId, member: &Member) -> Vec<Step> {
        let proven = match member.phase {
            Phase::Released { .. } => false,
            Phase::Proven { .. } => true,
            Phase::Waiting | Phase::Failed { .. } | Phase::RolledBack { .. } | Phase::Left { .. } => {
                return Vec::new();
            }
        };
        let Some(view) = self.seen(agent).filter(|view| view.belongs) else {
            return vec![Step::Leave { agent }];
        };
        let mut steps = Vec::new();
        let mut member = member.clone();
        let watch = member.watch.follow(view, self.now);
        if watch != member.watch {
            member.watch = watch.clone();
            steps.push(Step::Watch { agent, watch });
        }
        let judged = Judged::new(&self.rollout, &member, view, self.now);
        match judged.verdict() {
            Verdict::Failed(why) => steps.push(Step::Fail { agent, why }),
            Verdict::Proven if !proven => steps.push(Step::Prove { agent }),
            // It was released and gone before it could be told: it keeps nobody else from their turn.
            Verdict::Waiting
                if !proven && !view.target.is_told() && view.blocked.is_some() && judged.is_silent() =>
            {
                steps.push(Step::Recall { agent });
            }
            Verdict::Proven | Verdict::Waiting => {}
        }
        steps
    }

    /// Brings back who failed, when that is what is wanted, and sees what became of it.
    fn restore(&mut self) {
        let heals = self.heals();
        let steps: Vec<Step> = self
            .each()
            .filter_map(|(agent, member)| match &member.phase {
                Phase::Failed { at, why } if heals && member.base.is_some() => {
                    self.is_ripe(agent, why, *at).then_some(Step::RollBack { agent })
                }
                Phase::RolledBack {
                    at,
                    restored: Restored::Pending,
                    ..
                } => self
                    .restored(agent, member, *at)
                    .map(|restored| Step::Restore { agent, restored }),
                Phase::Waiting
                | Phase::Released { .. }
                | Phase::Proven { .. }
                | Phase::Failed { .. }
                | Phase::RolledBack { .. }
                | Phase::Left { .. } => None,
            })
            .collect();
        for step in steps {
            self.step(step);
        }
    }

    /// Whether agents that failed are brought back while the others go on.
    fn heals(&self) -> bool {
        self.rollout.strategy.on_failure == OnFailure::RollBack
    }

    /// Whether somebody who failed is yet to be brought back, or on the way.
    fn is_healing(&self) -> bool {
        self.heals() && self.each().any(|(_, member)| member.is_to_be_restored())
    }

    /// Whether an agent that failed is to be brought back now. One that refused the content may go back by itself, as
    /// supervisors do: it is not told what it is about to do.
    fn is_ripe(&self, agent: AgentId, why: &FailureReason, since: Timestamp) -> bool {
        let went_back = || {
            let view = self.seen(agent);
            view.is_none_or(|view| matches!(view.base, Progress::Applied { .. }))
        };
        !matches!(why, FailureReason::Refused { .. }) || self.now.since(since) >= BY_ITSELF || went_back()
    }

    fn restored(&self, agent: AgentId, member: &Member, since: Timestamp) -> Option<Restored> {
        let Some(view) = self.seen(agent).filter(|view| view.belongs) else {
            return Some(Restored::Gone);
        };
        if member.base.is_none() {
            return Some(Restored::NothingToGoBackTo);
        }
        match &view.base {
            Progress::Applied { .. } => Some(Restored::Confirmed { at: self.now }),
            Progress::Failed { error } => Some(Restored::FailedToo { error: error.clone() }),
            Progress::Untold
            | Progress::Offered { .. }
            | Progress::Applying { .. }
            | Progress::Replaced { .. } => {
                let longest = self.rollout.strategy.silence(member.watch.polls);
                (self.now.since(since) > longest).then_some(Restored::Silent)
            }
        }
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (agent, member) in self.each() {
            tally.failed += u32::from(member.failure().is_some());
            tally.unproven += u32::from(member.is_unproven());
            let lost = matches!(member.phase, Phase::Proven { .. })
                && self
                    .seen(agent)
                    .is_some_and(|view| Judged::new(&self.rollout, member, view, self.now).is_dark());
            tally.lost += u32::from(lost);
        }
        tally
    }

    fn stop_or_go_on(&mut self) {
        let tally = self.tally();
        let (tolerated, at_risk) = (self.rollout.tolerated(), self.rollout.at_risk());
        let fresh = tally.failed.saturating_sub(self.rollout.accepted_failures);
        let stop = if fresh > tolerated {
            Some(Pause::Failures {
                failed: tally.failed,
                tolerated,
            })
        } else if tally.lost > at_risk {
            Some(Pause::Lost { lost: tally.lost })
        } else {
            None
        };
        if let Some(why) = stop {
            return self.stop(why);
        }
        let State::Running { stage } = self.rollout.state else {
            return;
        };
        if let Some(agents) = self.overdue() {
            return self.step(Step::Pause {
                why: Pause::Expired { agents },
            });
        }
        if self.pass(stage) {
            return;
        }
        self.release(stage, at_risk.saturating_sub(fresh + tally.unproven));
        let stuck = fresh >= at_risk && tally.unproven == 0 && self.standing(stage).able > 0;
        if stuck {
            self.step(Step::Pause {
                why: Pause::BudgetSpent,
            });
        }
    }

    /// Stops the rollout, as its strategy says. A pause that stands already stays.
    fn stop(&mut self, why: Pause) {
        match (self.rollout.strategy.on_failure, &self.rollout.state) {
            (OnFailure::RollBack, _) => self.step(Step::TurnBack { why }),
            (OnFailure::Pause, State::Running { .. }) => self.step(Step::Pause { why }),
            (OnFailure::Pause, _) => {}
        }
    }

    /// How many agents take longer than their stage allows; `None` when none does.
    fn overdue(&self) -> Option<u32> {
        let late = |member: &Member| {
            let Phase::Released { at } = member.phase else {
                return false;
            };
            let stage = self.rollout.strategy.stages.get(member.stage);
            let deadline = stage.map(super::strategy::Stage::deadline).unwrap_or_default();
            self.now.since(at.max(self.rollout.stage_since)) > deadline
        };
        let late = self.each().filter(|(_, member)| late(member)).count();
        (late > 0).then(|| u32::try_from(late).unwrap_or(u32::MAX))
    }

    fn standing(&self, stage: usize) -> Standing {
        let mut standing = Standing::default();
        for (agent, member) in self.each().filter(|(_, member)| member.stage <= stage) {
            standing.proven += u32::from(matches!(member.phase, Phase::Proven { .. }));
            if member.stage < stage {
                continue;
            }
            let seen = self.seen(agent).filter(|view| view.belongs);
            standing.present += 1;
            match member.phase {
                Phase::Released { .. } => standing.unproven += 1,
                Phase::Waiting if seen.is_some_and(|view| self.is_awaited(member, view)) => {
                    standing.able += 1;
                }
                Phase::Waiting if seen.is_some() => standing.blocked += 1,
                Phase::Waiting | Phase::Left { .. } => standing.present -= 1,
                Phase::Proven { .. } | Phase::Failed { .. } | Phase::RolledBack { .. } => {}
            }
        }
        standing
    }

    /// Whether an agent that waits can be released, or is gone for so short a time that it is waited for: after a start of
    /// ours, or a break of the network, nobody is connected, and that settles no stage.
    fn is_awaited(&self, member: &Member, view: &View) -> bool {
        match view.blocked {
            None => true,
            Some(Blocked::Offline) => !Judged::new(&self.rollout, member, view, self.now).is_silent(),
            Some(_) => false,
        }
    }

    /// Passes the stage if everything is as it must be. Whether anything was decided.
    fn pass(&mut self, stage: usize) -> bool {
        let standing = self.standing(stage);
        let promoted = stage < self.rollout.promoted;
        let settled = standing.unproven == 0 && standing.able == 0;
        if !promoted && !settled {
            return false;
        }
        if !promoted && standing.present > 0 && standing.proven == 0 {
            return self.nobody_proved_it(stage, &standing);
        }
        if stage + 1 < self.rollout.strategy.stages.len() {
            self.step(Step::Pass { stage: stage + 1 });
        } else if self.is_healing() {
            return false;
        } else {
            self.step(Step::End {
                how: Ended::Succeeded,
            });
        }
        true
    }

    /// The stage is settled, and that says nothing about the content.
    fn nobody_proved_it(&mut self, stage: usize, standing: &Standing) -> bool {
        if standing.blocked > 0 {
            let deadline = self.rollout.strategy.stages.get(stage);
            let deadline = deadline.map(super::strategy::Stage::deadline).unwrap_or_default();
            // Everybody at once waits for whoever comes, as long as it takes.
            let expired = self.now.since(self.rollout.stage_since) > deadline && !self.rollout.is_at_once();
            if expired {
                self.step(Step::Pause {
                    why: Pause::Expired { agents: 0 },
                });
            }
            return expired;
        }
        let others = self
            .each()
            .any(|(_, member)| matches!(member.phase, Phase::Waiting | Phase::Released { .. }));
        let why = Pause::Unproven;
        match self.rollout.strategy.on_failure {
            OnFailure::RollBack if !others => self.step(Step::TurnBack { why }),
            OnFailure::RollBack | OnFailure::Pause => self.step(Step::Pause { why }),
        }
        true
    }

    /// Releases as many as may be, of the present stage and of those before it.
    fn release(&mut self, stage: usize, free: u32) {
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        let mut able: Vec<(usize, AgentId, &View)> = self
            .each()
            .filter(|(_, member)| member.stage <= stage && member.phase == Phase::Waiting)
            .filter_map(|(agent, member)| Some((member.stage, agent, self.seen(agent)?)))
            .filter(|(_, _, view)| view.belongs && view.blocked.is_none())
            .collect();
        able.sort_unstable_by_key(|(stage, agent, _)| (*stage, *agent));
        able.truncate(free);
        let steps: Vec<Step> = able
            .into_iter()
            .map(|(_, agent, view)| Step::Release {
                agent,
                watch: Watch::begin(view),
            })
            .collect();
        for step in steps {
            self.step(step);
        }
    }

    /// Brings everybody back, those in trouble first, and so many at a time.
    fn turn_back(&mut self) {
        let restoring = |member: &Member| {
            matches!(
                member.phase,
                Phase::RolledBack {
                    restored: Restored::Pending,
                    ..
                }
            )
        };
        let at_once = self
            .rollout
            .at_risk()
            .max(self.rollout.members.div_ceil(10))
            .max(1);
        let busy = self.each().filter(|(_, member)| restoring(member)).count();
        let free = usize::try_from(at_once)
            .unwrap_or(usize::MAX)
            .saturating_sub(busy);
        let mut left: Vec<(u8, AgentId)> = self
            .each()
            .filter_map(|(agent, member)| match &member.phase {
                Phase::Failed { at, why } => self.is_ripe(agent, why, *at).then_some((0, agent)),
                Phase::Released { .. } => Some((1, agent)),
                Phase::Proven { .. } => Some((2, agent)),
                Phase::Waiting | Phase::RolledBack { .. } | Phase::Left { .. } => None,
            })
            .collect();
        left.sort_unstable();
        left.truncate(free);
        for (_, agent) in left {
            self.step(Step::RollBack { agent });
        }
    }

    fn end_turning_back(&mut self) {
        let busy = self.each().any(|(_, member)| match &member.phase {
            Phase::RolledBack { restored, .. } => *restored == Restored::Pending,
            Phase::Released { .. } | Phase::Proven { .. } | Phase::Failed { .. } => true,
            Phase::Waiting | Phase::Left { .. } => false,
        });
        if !busy {
            self.step(Step::End {
                how: Ended::RolledBack,
            });
        }
    }
}

/// How many agents are at risk now: failed and not accepted, or given the new content and unproven.
#[must_use]
pub fn at_risk_now(rollout: &Rollout, members: &Members) -> u32 {
    let fresh = failures(members).saturating_sub(rollout.accepted_failures);
    fresh + count(members, Member::is_unproven)
}
