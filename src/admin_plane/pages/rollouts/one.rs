//! One rollout: stages, gates, agents and history.

use maud::{Markup, html};

use super::{bar, state_line};
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    Column, Fact, Pager, Row, Status, Table, ago, badge, button_link, count, facts, live, table, visible,
};
use crate::admin_plane::pages::scene::Scene;
use crate::app::rollouts::{MemberView, RolloutDetail, RolloutSummary, Verdict};
use crate::auth::permission::Permission;
use crate::fleet::rollout::{Act, GateSummary, Kind, OnFailure, Outcome, Stage, Transition};
use crate::fleet::time::Timestamp;

/// The most agents that are listed.
const MOST_LISTED: usize = 200;

/// The page.
#[must_use]
pub fn rollout(detail: &RolloutDetail, scene: &Scene<'_>) -> Markup {
    let summary = &detail.summary;
    let rollout = &summary.rollout;
    let href = format!("/rollouts/{}", rollout.id);
    let topic = format!("rollout-{}", rollout.id);
    let state = html! { (visible(&summary.brings)) " to " a href={ "/groups/" (rollout.group) } { (visible(rollout.group.as_str())) } };
    html! {
        (page_head(&html! { "Rollout " (rollout.id) }, Some(&state), None))
        (live("rollout", &[&topic, "agents"], &href, &html! {
            (state_line(summary, scene))
            (acts(summary, scene))
            @if let Some(view) = &detail.proposal { (super::decide::proposal(detail, view, scene)) }
            (section("Stages", None, &stages(summary)))
            @if !detail.gates.is_empty() { (section("Gates", None, &gates(&detail.gates))) }
            @if detail.proposal.is_none() { (section("Agents", None, &agents(&detail.agents, scene))) }
            div.columns {
                (section("What it does", None, &what(summary, scene)))
                (section("What happened", None, &history(&rollout.history, scene)))
            }
        }))
    }
}

/// A link for each act that can be done now.
fn acts(summary: &RolloutSummary, scene: &Scene<'_>) -> Markup {
    let words = |act: &str| match act {
        "pause" => "Pause".to_owned(),
        "resume" => "Resume".to_owned(),
        "promote" => "Pass this stage now".to_owned(),
        "roll_back" => {
            let agents = summary.total.unproven + summary.total.proven + summary.total.lost;
            format!("Bring back {}", count(u64::from(agents), "agent", "agents"))
        }
        "abort" => "Abort".to_owned(),
        _ if summary.left_behind > 0 => format!(
            "Move {} again",
            count(u64::from(summary.left_behind), "agent", "agents")
        ),
        _ => format!(
            "Retry {}",
            count(u64::from(summary.total.failed), "agent", "agents")
        ),
    };
    html! {
        @if scene.may(Permission::Publish) && !summary.acts.is_empty() {
            div.buttons {
                @for act in &summary.acts {
                    (button_link(&words(act), &format!("/rollouts/{}/acts/{act}", summary.rollout.id), false))
                }
            }
        }
    }
}

fn stages(summary: &RolloutSummary) -> Markup {
    let running = summary.rollout.stage();
    html! {
        @for (number, stage) in summary.stages.iter().enumerate() {
            h3 {
                (number + 1) ". " (reach(&stage.size)) " "
                @if running == Some(number) { (badge(Status::InProgress, Some("Now"))) }
                @if stage.soak_seconds > 0 { " " span.quiet { "each stays well for " (time(stage.soak_seconds)) } }
            }
            @if stage.counts.members == 0 { p.soft { "No further agent." } }
            @else { (bar(&format!("Stage {}", number + 1), &stage.counts)) }
        }
    }
}

fn reach(size: &str) -> Markup {
    html! {
        @if size == "all" { "All agents" }
        @else if size == "1" { "1 agent" }
        @else if size.ends_with('%') { "Up to " (size) " of the agents" }
        @else if size.chars().all(|letter| letter.is_ascii_digit()) { "Up to " (size) " agents" }
        @else { code { (visible(size)) } }
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn gates(gates: &[GateSummary]) -> Markup {
    let row = |gate: &GateSummary| {
        let (status, word) = if gate.skipped {
            (Status::Unknown, "Skipped".to_owned())
        } else if gate.failed > 0 {
            (Status::Down, format!("{} failed", gate.failed))
        } else if gate.waiting > 0 {
            (Status::InProgress, format!("{} not yet", gate.waiting))
        } else {
            (Status::Healthy, "Passed".to_owned())
        };
        Row {
            key: gate.gate.word().to_owned(),
            name: gate.gate.word().to_owned(),
            cells: vec![
                html! { (crate::admin_plane::pages::scene::sentence(gate.gate.word())) },
                badge(status, Some(&word)),
                html! { (gate.worst) },
                html! { (gate.threshold) },
            ],
        }
    };
    let rows: Vec<_> = gates.iter().map(row).collect();
    table(&Table {
        id: "gates",
        caption: "Gates over the agents that have the new content",
        columns: &[
            Column::of("Gate"),
            Column::of("All together"),
            Column::of("Worst agent"),
            Column::of("Asked for").wide(),
        ],
        rows: &rows,
        picks: false,
        noun: ("gate", "gates"),
        pager: None,
    })
}

fn verdict(verdict: Verdict) -> Markup {
    let status = match verdict {
        Verdict::Failed | Verdict::Dark => Status::Down,
        Verdict::RollingBack => Status::Degraded,
        Verdict::Proving => Status::InProgress,
        Verdict::Blocked | Verdict::Waiting | Verdict::Left | Verdict::RolledBack => Status::Unknown,
        Verdict::Ok => Status::Healthy,
    };
    badge(
        status,
        Some(&crate::admin_plane::pages::scene::sentence(verdict.word())),
    )
}

/// Why an agent is where it is: its reason, or the gates that it hasn't passed.
fn why(agent: &MemberView) -> Markup {
    let open = agent
        .gates
        .iter()
        .filter(|check| matches!(check.outcome, Outcome::Waiting | Outcome::Failed { .. }));
    html! {
        @if !agent.reason.is_empty() { span.reason { (visible(&agent.reason)) } }
        @else if agent.verdict == Verdict::Proving {
            @for (at, check) in open.enumerate() {
                @if at > 0 { "; " }
                (check.gate.word()) ": " (visible(&check.value)) ", " (check.threshold)
            }
        }
    }
}

fn agents(agents: &[MemberView], scene: &Scene<'_>) -> Markup {
    if agents.is_empty() {
        return html! { p.soft { "No agent is in it." } };
    }
    let row = |agent: &MemberView| Row {
        key: agent.id.to_string(),
        name: agent.title.clone(),
        cells: vec![
            verdict(agent.verdict),
            Row::name_cell(&visible(&agent.title), &format!("/agents/{}", agent.id), None),
            why(agent),
            html! { (agent.stage + 1) },
            html! { @if agent.since != Timestamp::EPOCH { (ago(agent.since, scene.now)) } },
        ],
    };
    let rows: Vec<_> = agents.iter().take(MOST_LISTED).map(row).collect();
    table(&Table {
        id: "members",
        caption: "Agents of the rollout, worst first",
        columns: &[
            Column::of("Verdict"),
            Column::of("Agent"),
            Column::of("Why"),
            Column::of("Stage").numbers().wide(),
            Column::of("Since").numbers().wide(),
        ],
        rows: &rows,
        picks: false,
        noun: ("agent", "agents"),
        pager: Some(Pager {
            total: u64::try_from(agents.len()).ok(),
            ..Pager::default()
        }),
    })
}

fn what(summary: &RolloutSummary, scene: &Scene<'_>) -> Markup {
    let rollout = &summary.rollout;
    let strategy = &rollout.strategy;
    let deadline = strategy
        .stages
        .iter()
        .map(|stage: &Stage| stage.deadline_seconds)
        .max();
    facts(&[
        Fact::new("Brings", html! { (visible(&summary.brings)) }),
        Fact {
            term: "For",
            value: (rollout.kind == Kind::Move)
                .then(|| html! { "agents that came into the group and had something else" }),
        },
        Fact {
            term: "Instead of",
            value: (!summary.instead_of.is_empty()).then(|| visible(&summary.instead_of)),
        },
        Fact::new("Strategy", html! { (visible(&summary.plan)) }),
        Fact::new(
            "At risk",
            html! { "at most " (count(u64::from(rollout.at_risk()), "agent", "agents")) " at once" },
        ),
        Fact::new(
            "Tolerated",
            html! { (count(u64::from(rollout.tolerated()), "failure", "failures")) },
        ),
        Fact::new(
            "On failure",
            html! {
                @match strategy.on_failure {
                    OnFailure::RollBack => "every agent is brought back to what it had",
                    OnFailure::Pause => "it pauses, and brings nobody back",
                }
            },
        ),
        Fact {
            term: "Deadline",
            value: deadline
                .map(|seconds| html! { "pauses when an agent takes longer than " (time(seconds)) }),
        },
        Fact::text("Started by", Some(&rollout.started_by)),
        Fact::new("Begun", ago(rollout.created_at, scene.now)),
    ])
}

fn history(history: &[Transition], scene: &Scene<'_>) -> Markup {
    html! {
        ul.plain {
            @for step in history.iter().rev() {
                li {
                    (crate::admin_plane::pages::scene::sentence(&told(step)))
                    " " span.quiet { "by " (visible(&step.by)) ", " (ago(step.at, scene.now)) }
                    @if !step.note.is_empty() { br; span.soft { (visible(&step.note)) } }
                }
            }
        }
    }
}

fn told(step: &Transition) -> String {
    use crate::fleet::rollout::State;
    match &step.state {
        State::Paused { stage, why } => format!("paused in stage {}: {}", stage + 1, why.words()),
        State::RollingBack { why } => format!("began to bring agents back: {}", why.words()),
        State::Running { stage } => format!("stage {} began or went on", stage + 1),
        State::Queued | State::AwaitingApproval | State::Ended { .. } => step.state.short().to_owned(),
    }
}

/// The act with that word.
pub(super) fn act_of(word: &str) -> Option<Act> {
    Some(match word {
        "pause" => Act::Pause,
        "resume" => Act::Resume,
        "promote" => Act::Promote,
        "roll_back" => Act::RollBack,
        "abort" => Act::Abort,
        "retry" => Act::Retry {
            agents: std::collections::BTreeSet::new(),
        },
        _ => return None,
    })
}
