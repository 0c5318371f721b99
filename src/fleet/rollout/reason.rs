//! Why a rollout waits, in one sentence.

use super::counts::Counts;
use super::plan::at_risk_now;
use super::state::{Ended, State};
use super::strategy::OnFailure;
use super::{Members, Rollout};

/// What the rollout is doing and what it waits for, in one sentence with its end mark. `stages` are its counts.
#[must_use]
pub fn waits(rollout: &Rollout, members: &Members, stages: &[Counts]) -> String {
    let all = Counts::sum(stages);
    match &rollout.state {
        State::Queued => "It begins when the rollout before it has ended.".to_owned(),
        State::AwaitingApproval => match rollout.approval.as_ref().map_or(1, super::Approval::missing) {
            0 | 1 => "It begins when somebody other than its author approves it.".to_owned(),
            more => format!("It begins when {more} people other than its author approve it."),
        },
        State::Running { stage } => running(rollout, members, stages, *stage),
        State::Paused { stage, why } => {
            format!("Paused in stage {}: {}.", stage + 1, why.words())
        }
        State::RollingBack { why } => {
            let left = all.unproven + all.proven + all.lost;
            let agents = agents(left);
            format!("Bringing everybody back, for {}; {agents} to go.", why.words())
        }
        State::Ended { how } => match how {
            Ended::Succeeded => {
                let rest = all.waiting + all.blocked;
                let failed = match all.failed {
                    0 => String::new(),
                    failed => format!(" {} failed and keep what they had.", agents(failed)),
                };
                match rest {
                    0 => format!("Every agent that could has the new content.{failed}"),
                    rest => format!("{} have it when they can.{failed}", agents(rest)),
                }
            }
            Ended::RolledBack => {
                let turned = rollout.history.iter().rev().find_map(|step| match &step.state {
                    State::RollingBack { why } => Some(why.words()),
                    State::Queued
                    | State::AwaitingApproval
                    | State::Running { .. }
                    | State::Paused { .. }
                    | State::Ended { .. } => None,
                });
                let why = turned.map(|why| format!(": {why}")).unwrap_or_default();
                format!("Every agent was brought back to what it had{why}.")
            }
            Ended::Aborted => "Aborted: every agent keeps what it has now.".to_owned(),
            Ended::Superseded => "A later rollout took its place.".to_owned(),
            Ended::Rejected => "It was rejected; nothing was sent.".to_owned(),
            Ended::Withdrawn => "It was taken back; nothing was sent.".to_owned(),
            Ended::Expired => "Nobody approved it in time; nothing was sent.".to_owned(),
        },
    }
}

fn running(rollout: &Rollout, members: &Members, stages: &[Counts], stage: usize) -> String {
    let here = stages.get(stage).copied().unwrap_or_default();
    let all = Counts::sum(stages);
    let number = format!("Stage {} of {}", stage + 1, rollout.strategy.stages.len());
    if all.unproven > 0 {
        let proving = agents(all.unproven);
        let verb = if all.unproven == 1 { "proves" } else { "prove" };
        let at_most = rollout.at_risk();
        let next = if here.waiting > 0 && at_risk_now(rollout, members) >= at_most {
            format!(
                "; {} wait, since at most {at_most} may be at risk at once",
                agents(here.waiting)
            )
        } else if here.waiting > 0 {
            format!("; {} follow", agents(here.waiting))
        } else {
            String::new()
        };
        return format!("{number}: {proving} {verb} the new content{next}.");
    }
    if here.blocked > 0 {
        return format!(
            "{number}: nobody can be reached; {} can't take it now.",
            agents(here.blocked)
        );
    }
    let healing = members.values().filter(|member| member.is_to_be_restored());
    let healing = u32::try_from(healing.count()).unwrap_or(u32::MAX);
    if healing > 0 && here.waiting == 0 && rollout.strategy.on_failure == OnFailure::RollBack {
        let verb = if healing == 1 { "is" } else { "are" };
        return format!("{number}: {} that failed {verb} brought back.", agents(healing));
    }
    format!("{number} begins.")
}

fn agents(count: u32) -> String {
    if count == 1 {
        "1 agent".to_owned()
    } else {
        format!("{count} agents")
    }
}
