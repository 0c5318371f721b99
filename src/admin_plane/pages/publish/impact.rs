//! What publishing would do, and to whom.

use maud::{Markup, html};

use super::in_short;
use crate::admin_plane::pages::configs;
use crate::admin_plane::pages::differences::differences;
use crate::admin_plane::pages::layers::{overlaps, publish_to, rendered_at, variable_names};
use crate::admin_plane::pages::layout::section;
use crate::admin_plane::pages::parts::{
    Column, DiffView, Pager, Row, Status, Table, ago, badge, count, table, tally, visible,
};
use crate::admin_plane::pages::scene::{Scene, agents_href};
use crate::app::intentions::Preview;
use crate::fleet::target::{AffectedAgent, Blocker, Effect};

/// The most agents that are listed.
const MOST_LISTED: usize = 200;

/// What publishing would do to whom.
pub(super) fn impact(preview: &Preview, view: DiffView, scene: &Scene<'_>) -> Markup {
    let impact = &preview.impact;
    let group = format!("group = {}", preview.group);
    let href = agents_href(&group);
    let because = |test: fn(&Blocker) -> bool| {
        let found = impact.agents.iter().filter(|agent| match &agent.effect {
            Effect::Blocked { because } => test(because),
            Effect::Changes | Effect::OwnTarget | Effect::RunsIt => false,
        });
        u32::try_from(found.count()).unwrap_or(u32::MAX)
    };
    let refuse = because(|blocker| matches!(blocker, Blocker::MissingComponents { .. }));
    let later = because(|blocker| *blocker == Blocker::Offline);
    let all: [(Status, &str, u32); 6] = [
        (Status::InProgress, "will change", impact.will_change),
        (Status::Healthy, "run it already", impact.runs_it),
        (Status::Down, "will refuse it", refuse),
        (
            Status::Down,
            "blocked",
            impact.blocked.saturating_sub(refuse + later),
        ),
        (Status::Unknown, "will get it later", later),
        (
            Status::Unknown,
            "with a configuration of their own",
            impact.own_target,
        ),
    ];
    let told: Vec<_> = all
        .into_iter()
        .filter(|(_, _, number)| *number > 0)
        .map(|(status, word, number)| (status, word, u64::from(number), href.as_str()))
        .collect();
    html! {
        @if preview.already_published && impact.will_change == 0 {
            p.status-line { (badge(Status::Healthy, Some("Published"))) " " span.reason { "Just this is published to the group already; publishing it again changes nothing." } }
        }
        (tally(&told))
        (lacking(preview))
        (found(preview))
        (section("What agents are sent", Some(&html! { a href=(rendered_at(preview.group.as_str(), &preview.layers, None)) { "The whole, with the layer of each line" } }), &html! {
            @if preview.contents > 1 {
                p { (count(u64::from(preview.contents), "content", "different contents")) ", by " (variable_names(&preview.variables)) ". This is what changes for the first agent below." }
            }
            (differences(
            &before(preview),
            &what(preview),
            &preview.diff,
            view,
            Some(&switch(preview, view)),
            ))
        }))
        (overlaps(&preview.layers, &preview.overlaps))
        (section("Agents", None, &agents(preview, scene)))
    }
}

/// What agents aren't built with, and how many of them.
fn lacking(preview: &Preview) -> Markup {
    html! {
        @for (component, agents) in preview.impact.lacking() {
            p.status-line {
                (badge(Status::Down, Some("Lacking"))) " "
                span.reason { (agents) " of " (count(u64::from(preview.impact.members), "agent", "agents")) @if agents == 1 { " isn't" } @else { " aren't" } " built with " (visible(component)) }
            }
        }
    }
}

fn before(preview: &Preview) -> String {
    match preview.published.as_ref().map(|target| &target.content) {
        None | Some(None) => "nothing".to_owned(),
        Some(Some(content)) => in_short(&content.layers),
    }
}

pub(super) fn what(preview: &Preview) -> String {
    in_short(&preview.layers)
}

fn switch(preview: &Preview, view: DiffView) -> String {
    let here = publish_to(preview.group.as_str(), &preview.layers);
    match view {
        DiffView::Unified => format!("{here}&view=split"),
        DiffView::Split => here,
    }
}

/// What a check finds in what agents would be sent, by its lines.
fn found(preview: &Preview) -> Markup {
    let whole = rendered_at(preview.group.as_str(), &preview.layers, None);
    let title = if preview.is_stopped() {
        "What stops it"
    } else {
        "Worth a look"
    };
    html! {
        @if !preview.warnings.is_empty() {
            (section(title, None, &configs::problems_of_layers(&preview.warnings, Some(&whole), &preview.layers)))
        }
    }
}

fn agents(preview: &Preview, scene: &Scene<'_>) -> Markup {
    let agents = &preview.impact.agents;
    if agents.is_empty() {
        return html! { p.soft { "No agent is in this group. The publication waits for the first." } };
    }
    let row = |agent: &AffectedAgent| Row {
        key: agent.id.to_string(),
        name: agent.title.clone(),
        cells: vec![
            effect(&agent.effect),
            Row::name_cell(&visible(&agent.title), &format!("/agents/{}", agent.id), None),
            html! {
                (why(&agent.effect, scene))
                @if preview.contents > 1 { " " a href=(rendered_at(preview.group.as_str(), &preview.layers, Some(agent.id))) { "What it is sent" } }
            },
        ],
    };
    let rows: Vec<_> = agents.iter().take(MOST_LISTED).map(row).collect();
    html! {
        (table(&Table {
            id: "affected",
            caption: "Agents of the group, those that need a look first",
            columns: &[
                Column { words: "Effect", ..Column::default() },
                Column { words: "Agent", ..Column::default() },
                Column { words: "Why", ..Column::default() },
            ],
            rows: &rows,
            picks: false,
            noun: ("agent", "agents"),
            pager: Some(Pager { total: u64::try_from(agents.len()).ok(), ..Pager::default() }),
        }))
    }
}

fn effect(effect: &Effect) -> Markup {
    match effect {
        Effect::Blocked {
            because: Blocker::Offline,
        } => badge(Status::Unknown, Some("Later")),
        Effect::Blocked {
            because: Blocker::MissingComponents { .. },
        } => badge(Status::Down, Some("Will refuse")),
        Effect::Blocked { .. } => badge(Status::Down, Some("Blocked")),
        Effect::Changes => badge(Status::InProgress, Some("Changes")),
        Effect::OwnTarget => badge(Status::Unknown, Some("Keeps its own")),
        Effect::RunsIt => badge(Status::Healthy, Some("Runs it")),
    }
}

fn why(effect: &Effect, scene: &Scene<'_>) -> Markup {
    let blocker = match effect {
        Effect::Changes | Effect::RunsIt => return html! {},
        Effect::OwnTarget => return html! { "A configuration of its own goes first" },
        Effect::Blocked { because } => because,
    };
    match blocker {
        Blocker::Offline => html! { "Not connected; it is sent when it comes back" },
        Blocker::NotCapable => html! { "It takes no configuration from a server" },
        Blocker::NotServed => html! { "It is archived, revoked or in conflict with another agent" },
        Blocker::FailedBefore { error, at } => html! {
            "Refused just this " (ago(*at, scene.now)) ": " span.reason { (visible(error)) }
            " " span.quiet { "It is sent again only by Retry on its page" }
        },
        Blocker::MissingComponents { components } => html! {
            "It isn't built with " @for (at, component) in components.iter().enumerate() {
                @if at > 0 { ", " } (visible(component))
            } ", so it will refuse it. It is sent all the same"
        },
        Blocker::Detached => html! { "An operator detached it from its group; it is only observed" },
        Blocker::Unresolved { variables } => html! {
            "It has no " @for (at, variable) in variables.iter().enumerate() {
                @if at > 0 { ", " } code { (visible(&variable.to_string())) }
            } ". Nothing can be published until it has"
        },
        Blocker::Held { hold } => html! { (held(*hold)) },
    }
}

fn held(hold: crate::fleet::agent::HoldReason) -> &'static str {
    use crate::fleet::agent::HoldReason;
    match hold {
        HoldReason::Operator => "An operator holds it",
        HoldReason::Group => "An operator holds its group",
        HoldReason::NothingLeft => "Its configuration was withdrawn",
        HoldReason::StoreWentBack => "This server's store went back in time; release the agent on its page",
        HoldReason::Unreadable => "Its configuration can't be read from the store",
        HoldReason::NotRendered => "Its configuration is not rendered yet",
        HoldReason::OwnWord => "It is in the group by its own word; put it there before it is sent secrets",
        HoldReason::NothingToGoBackTo => "A rollout failed, and there is nothing to bring it back to",
    }
}
