//! The gates that an agent passes before it counts as proof.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::member::{Member, Phase};
use super::view::{FailureReason, Progress, View};
use super::{Members, Rollout};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

/// How often a process may start anew while it proves itself: once to take the content, and some.
const MOST_RESTARTS: u32 = 3;
/// How often health may turn: taking a content turns it twice.
const MOST_TURNS: u32 = 6;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// It says that it has the content.
    Applied,
    /// It is no worse than it was.
    Health,
    /// It is heard of.
    Heartbeats,
    /// It doesn't keep starting anew.
    Restarts,
    /// It stayed so long enough.
    Soak,
    /// It handles as much as it did.
    Throughput,
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Good.
    Passed,
    /// Not yet.
    Waiting,
    /// Bad, for this reason.
    Failed {
        /// The reason.
        why: FailureReason,
    },
    /// There is nothing to judge by.
    Skipped,
}

/// One gate with what it looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The gate.
    pub gate: Gate,
    /// What it says.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What is there, in words.
    pub value: String,
    /// What is asked for, in words.
    pub threshold: String,
}

/// One gate over all agents that were given the new content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateSummary {
    /// The gate.
    pub gate: Gate,
    /// Agents that pass it.
    pub passed: u32,
    /// Agents that don't yet.
    pub waiting: u32,
    /// Agents that failed at it.
    pub failed: u32,
    /// Whether it has nothing to judge by.
    pub skipped: bool,
    /// The value that is farthest from what is asked for, in words; empty without agents.
    pub worst: String,
    /// What is asked for, in words.
    pub threshold: String,
}

/// What one agent comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proven,
    Waiting,
    Failed(FailureReason),
}

/// How a member is judged.
pub(super) struct Judged<'a> {
    rollout: &'a Rollout,
    member: &'a Member,
    view: &'a View,
    now: Timestamp,
}

impl<'a> Judged<'a> {
    pub(super) fn new(rollout: &'a Rollout, member: &'a Member, view: &'a View, now: Timestamp) -> Self {
        Self {
            rollout,
            member,
            view,
            now,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let gates = [
            self.applied(),
            self.health(),
            self.restarts(),
            self.heartbeats(),
            self.soak(),
        ];
        let mut proven = true;
        for outcome in gates {
            match outcome {
                Outcome::Failed { why } => return Verdict::Failed(why),
                Outcome::Waiting => proven = false,
                Outcome::Passed | Outcome::Skipped => {}
            }
        }
        if proven { Verdict::Proven } else { Verdict::Waiting }
    }

    fn applied(&self) -> Outcome {
        match &self.view.target {
            Progress::Applied { .. } => Outcome::Passed,
            Progress::Failed { error } => failed(FailureReason::Refused { error: error.clone() }),
            // An agent that lost its memory names nothing, is offered it once more and takes it.
            Progress::Replaced { at } if self.member.watch.took => {
                if self.now.since(*at) > self.rollout.strategy.grace() {
                    failed(FailureReason::Reverted)
                } else {
                    Outcome::Waiting
                }
            }
            Progress::Untold
            | Progress::Offered { .. }
            | Progress::Applying { .. }
            | Progress::Replaced { .. } => Outcome::Waiting,
        }
    }

    fn health(&self) -> Outcome {
        let told = match self.view.target {
            Progress::Untold => return Outcome::Waiting,
            Progress::Failed { .. } => return Outcome::Skipped,
            Progress::Offered { at }
            | Progress::Applying { at }
            | Progress::Applied { at }
            | Progress::Replaced { at } => at,
        };
        match self.view.healthy {
            None => Outcome::Skipped,
            Some(true) => Outcome::Passed,
            // It is no worse than it was.
            Some(false) if self.member.watch.healthy_before == Some(false) => Outcome::Skipped,
            Some(false) => {
                let since = self.view.healthy_since.max(told);
                if self.now.since(since) > self.rollout.strategy.grace() {
                    let error = self.view.trouble.clone();
                    failed(FailureReason::Unhealthy { error })
                } else {
                    Outcome::Waiting
                }
            }
        }
    }

    fn restarts(&self) -> Outcome {
        let watch = &self.member.watch;
        if watch.restarts > MOST_RESTARTS {
            failed(FailureReason::Restarts {
                count: watch.restarts,
            })
        } else if watch.turns > MOST_TURNS && watch.healthy_before != Some(false) {
            failed(FailureReason::Flapping { count: watch.turns })
        } else {
            Outcome::Passed
        }
    }

    fn heartbeats(&self) -> Outcome {
        if !self.is_dark() {
            return Outcome::Passed;
        }
        // Hosts are switched off: one that had proved itself is missed, not failed, until there are many.
        match self.member.phase {
            Phase::Proven { .. } => Outcome::Waiting,
            Phase::Waiting
            | Phase::Released { .. }
            | Phase::Failed { .. }
            | Phase::RolledBack { .. }
            | Phase::Left { .. } => failed(FailureReason::Dark),
        }
    }

    /// Whether it was told and has been silent for longer than it may.
    pub(super) fn is_dark(&self) -> bool {
        self.view.target.is_told() && self.is_silent()
    }

    /// Whether it has been silent for longer than it may.
    pub(super) fn is_silent(&self) -> bool {
        self.silence() > self.longest_silence()
    }

    fn silence(&self) -> Duration {
        self.now.since(self.view.silent_since(self.now))
    }

    fn longest_silence(&self) -> Duration {
        self.rollout
            .strategy
            .silence(self.member.watch.polls || self.view.polls)
    }

    fn soak(&self) -> Outcome {
        let Some(since) = self.soaks_since() else {
            return Outcome::Waiting;
        };
        // A word from after the end of the soak: what an agent was before says nothing about it then.
        if self.view.alive_until(self.now) >= since.plus(self.soak_time()) {
            Outcome::Passed
        } else {
            Outcome::Waiting
        }
    }

    /// Since when it has been well with the content, without a break.
    fn soaks_since(&self) -> Option<Timestamp> {
        let Progress::Applied { at } = self.view.target else {
            return None;
        };
        let well = match (self.view.healthy, self.member.watch.healthy_before) {
            (Some(true), _) => self.view.healthy_since,
            (Some(false), Some(false)) | (None, _) => Timestamp::EPOCH,
            (Some(false), _) => return None,
        };
        Some(at.max(well).max(self.member.watch.restarted_at))
    }

    fn soak_time(&self) -> Duration {
        if self.member.stage < self.rollout.promoted {
            return Duration::ZERO;
        }
        let stage = self.rollout.strategy.stages.get(self.member.stage);
        stage.map_or(Duration::ZERO, super::strategy::Stage::soak)
    }
}

fn failed(why: FailureReason) -> Outcome {
    Outcome::Failed { why }
}

/// Every gate of one member, with value and threshold.
#[must_use]
pub fn checks(rollout: &Rollout, member: &Member, view: &View, now: Timestamp) -> Vec<Check> {
    let judged = Judged::new(rollout, member, view, now);
    let watch = &member.watch;
    let applied = match &view.target {
        Progress::Untold => "not offered yet".to_owned(),
        Progress::Offered { .. } => "offered".to_owned(),
        Progress::Applying { .. } => "applying".to_owned(),
        Progress::Applied { .. } => "applied".to_owned(),
        Progress::Replaced { .. } => "names something else".to_owned(),
        Progress::Failed { .. } => "failed".to_owned(),
    };
    let health = match view.healthy {
        None => "not reported",
        Some(true) => "healthy",
        Some(false) if watch.healthy_before == Some(false) => "unhealthy, as before",
        Some(false) => "unhealthy",
    };
    let soaked = judged
        .soaks_since()
        .map(|since| judged.view.alive_until(now).since(since));
    let check = |gate, outcome, value: String, threshold: String| Check {
        gate,
        outcome,
        value,
        threshold,
    };
    vec![
        check(Gate::Applied, judged.applied(), applied, "applied".to_owned()),
        check(
            Gate::Health,
            judged.health(),
            health.to_owned(),
            "no worse than before".to_owned(),
        ),
        check(
            Gate::Heartbeats,
            judged.heartbeats(),
            format!("silent for {}", seconds(judged.silence())),
            format!("at most {}", seconds(judged.longest_silence())),
        ),
        check(
            Gate::Restarts,
            judged.restarts(),
            format!("{} restarts, health turned {} times", watch.restarts, watch.turns),
            format!("at most {MOST_RESTARTS} and {MOST_TURNS}"),
        ),
        check(
            Gate::Soak,
            judged.soak(),
            soaked.map_or_else(
                || "not begun".to_owned(),
                |soaked| format!("well for {}", seconds(soaked)),
            ),
            format!("at least {}", seconds(judged.soak_time())),
        ),
        check(
            Gate::Throughput,
            Outcome::Skipped,
            "not measured yet".to_owned(),
            "no less than before".to_owned(),
        ),
    ]
}

/// Every gate over the agents that were given the new content. `views` are of members; others are left out.
#[must_use]
pub fn summary(
    rollout: &Rollout,
    members: &Members,
    views: &[(AgentId, View)],
    now: Timestamp,
) -> Vec<GateSummary> {
    let mut found: Vec<GateSummary> = Vec::new();
    for (agent, view) in views {
        let Some(member) = members.get(agent) else {
            continue;
        };
        if !matches!(member.phase, Phase::Released { .. } | Phase::Proven { .. }) {
            continue;
        }
        for (at, check) in checks(rollout, member, view, now).into_iter().enumerate() {
            if found.len() == at {
                found.push(GateSummary {
                    gate: check.gate,
                    passed: 0,
                    waiting: 0,
                    failed: 0,
                    skipped: true,
                    worst: check.value.clone(),
                    threshold: check.threshold.clone(),
                });
            }
            let Some(gate) = found.get_mut(at) else { continue };
            gate.skipped &= check.outcome == Outcome::Skipped;
            let worse = match check.outcome {
                Outcome::Passed => {
                    gate.passed += 1;
                    false
                }
                Outcome::Waiting => {
                    gate.waiting += 1;
                    gate.failed == 0
                }
                Outcome::Failed { .. } => {
                    gate.failed += 1;
                    true
                }
                Outcome::Skipped => false,
            };
            if worse {
                gate.worst = check.value;
                gate.threshold = check.threshold;
            }
        }
    }
    found
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 120 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

impl Gate {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Health => "health",
            Self::Heartbeats => "heartbeats",
            Self::Restarts => "restarts",
            Self::Soak => "soak",
            Self::Throughput => "throughput",
        }
    }
}
