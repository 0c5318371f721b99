//! Rollouts: where each is, why it waits, and what can be done about it.

mod act;
mod decide;
pub(in crate::admin_plane) mod handle;
mod one;

pub use act::act;
pub use decide::decide;
pub use one::rollout;

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{
    Column, Empty, Pager, ProgressPart, Row, Status, Table, ago, badge, button_link, count, empty, live,
    progress, status_line, table, visible,
};
use super::scene::{Scene, encoded};
use crate::app::rollouts::RolloutSummary;
use crate::auth::permission::Permission;
use crate::fleet::ids::RolloutId;
use crate::fleet::rollout::{Counts, Ended, Kind, State};

/// The most rollouts that are listed.
const MOST_LISTED: usize = 100;

/// The list, newest first: those before `before`, or from the newest on.
#[must_use]
pub fn rollouts(all: &[RolloutSummary], before: Option<RolloutId>, scene: &Scene<'_>) -> Markup {
    let open = all.iter().filter(|summary| !summary.rollout.is_ended()).count();
    let state = html! { (all.len()) ", " (open) " under way" };
    let action = scene
        .may(Permission::Publish)
        .then(|| button_link("Publish", "/publish", true));
    html! {
        (page_head(&html! { "Rollouts" }, (!all.is_empty()).then_some(&state), action.as_ref()))
        (live("rollouts", &["rollouts"], &href(before), &list(all, before, scene)))
    }
}

fn href(before: Option<RolloutId>) -> String {
    match before {
        Some(before) => format!("/rollouts?before={before}"),
        None => "/rollouts".to_owned(),
    }
}

fn list(all: &[RolloutSummary], before: Option<RolloutId>, scene: &Scene<'_>) -> Markup {
    if all.is_empty() {
        return empty(&Empty {
            title: "No rollouts yet",
            words: html! { "Publishing to a group begins a rollout: a first agent takes the new content and has to stay well with it before others follow." },
            fill: scene
                .may(Permission::Publish)
                .then(|| button_link("Publish", "/publish", true)),
        });
    }
    let row = |summary: &RolloutSummary| {
        let rollout = &summary.rollout;
        let href = format!("/rollouts/{}", rollout.id);
        let sub = match rollout.kind {
            Kind::Publish => html! { "to " (visible(rollout.group.as_str())) },
            Kind::Move => html! { "for agents that came into " (visible(rollout.group.as_str())) },
        };
        Row {
            key: rollout.id.to_string(),
            name: format!("rollout {}", rollout.id),
            cells: vec![
                Row::name_cell(
                    &html! { (rollout.id) " " (visible(&summary.brings)) },
                    &href,
                    Some(&sub),
                ),
                state_badge(&rollout.state, &summary.total),
                agents(&summary.total),
                visible(&summary.waits),
                visible(&rollout.started_by),
                ago(rollout.created_at, scene.now),
            ],
        }
    };
    let mut older = all
        .iter()
        .filter(|summary| before.is_none_or(|before| summary.rollout.id < before));
    let listed: Vec<&RolloutSummary> = older.by_ref().take(MOST_LISTED).collect();
    let next = listed.last().map(|last| href(Some(last.rollout.id)));
    let next = next.filter(|_| older.next().is_some());
    let rows: Vec<_> = listed.into_iter().map(row).collect();
    table(&Table {
        id: "rollout-list",
        caption: "Rollouts, newest first",
        columns: &[
            Column::of("Rollout"),
            Column::of("State"),
            Column::of("Agents"),
            Column::of("What it waits for").wide(),
            Column::of("By").wide(),
            Column::of("Begun").numbers().wide(),
        ],
        rows: &rows,
        picks: false,
        noun: ("rollout", "rollouts"),
        pager: Some(Pager {
            first: before.map(|_| "/rollouts"),
            next: next.as_deref(),
            total: Some(all.len() as u64),
        }),
    })
}

fn agents(total: &Counts) -> Markup {
    html! {
        (total.proven + total.lost) " of " (count(u64::from(total.members), "agent", "agents"))
        @if total.failed > 0 { " " (badge(Status::Down, Some(&format!("{} failed", total.failed)))) }
    }
}

/// The state in shape and word.
pub(super) fn state_badge(state: &State, total: &Counts) -> Markup {
    badge(status_of(state, total), Some(&capital(state.short())))
}

fn status_of(state: &State, total: &Counts) -> Status {
    match state {
        State::Queued | State::AwaitingApproval => Status::Unknown,
        State::Running { .. } => Status::InProgress,
        State::Paused { .. } => Status::Degraded,
        State::RollingBack { .. } => Status::Down,
        State::Ended { how } => match how {
            Ended::Succeeded if total.failed > 0 => Status::Degraded,
            Ended::Succeeded => Status::Healthy,
            Ended::RolledBack => Status::Down,
            Ended::Aborted | Ended::Superseded | Ended::Rejected | Ended::Withdrawn | Ended::Expired => {
                Status::Unknown
            }
        },
    }
}

/// The line on top: its state and why it waits.
pub(super) fn state_line(summary: &RolloutSummary, scene: &Scene<'_>) -> Markup {
    let rollout = &summary.rollout;
    let since = rollout.history.last().map_or(rollout.created_at, |last| last.at);
    let words = capital(rollout.state.short());
    let why = html! { (visible(summary.waits.trim_end_matches('.'))) };
    status_line(
        status_of(&rollout.state, &summary.total),
        Some(&words),
        &why,
        &ago(since, scene.now),
    )
}

/// One bar with the counts of a stage, or of all.
pub(super) fn bar(label: &str, counts: &Counts) -> Markup {
    let part = |status, word, number: u32| ProgressPart {
        status,
        word,
        count: u64::from(number),
    };
    progress(
        label,
        &[
            part(Status::Healthy, "ok", counts.proven),
            part(Status::Degraded, "ok and silent now", counts.lost),
            part(Status::InProgress, "proving it", counts.unproven),
            part(Status::Down, "failed", counts.failed),
            part(Status::Unknown, "brought back", counts.rolled_back),
            part(Status::Unknown, "waiting", counts.waiting),
            part(Status::Unknown, "blocked", counts.blocked),
            part(Status::Unknown, "left", counts.left),
        ],
        None,
    )
}

/// The rollout of a group, on the group's page.
pub(super) fn of_group(summary: &RolloutSummary, scene: &Scene<'_>) -> Markup {
    let href = format!("/rollouts/{}", encoded(&summary.rollout.id.to_string()));
    html! {
        section.section {
            div.section-head { h2 { a href=(href) { "Rollout " (summary.rollout.id) } } }
            (state_line(summary, scene))
            @if !summary.rollout.is_ended() { (bar("Agents of the rollout", &summary.total)) }
        }
    }
}

fn capital(word: &str) -> String {
    super::scene::sentence(word)
}
