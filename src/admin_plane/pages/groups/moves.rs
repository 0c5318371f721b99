//! Agents of a group that have something else than it has, since they came into it.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::section;
use crate::admin_plane::pages::parts::{
    Column, Row, Status, Table, ago, badge, button_link, count, table, visible,
};
use crate::admin_plane::pages::scene::Scene;
use crate::app::rollouts::{GroupMoves, LeftBehindView, PendingMoveView};
use crate::auth::permission::Permission;
use crate::fleet::ids::RolloutId;

/// The most agents that are listed.
const MOST_LISTED: usize = 100;

/// Those that wait, and those that were left behind.
pub(super) fn moves(moves: &GroupMoves, scene: &Scene<'_>) -> Markup {
    html! {
        @if !moves.pending.is_empty() { (section("Moving", None, &pending(moves, scene))) }
        @if !moves.left_behind.is_empty() { (section("Left behind", None, &left_behind(&moves.left_behind, scene))) }
    }
}

fn pending(moves: &GroupMoves, scene: &Scene<'_>) -> Markup {
    let row = |waiting: &PendingMoveView| {
        let id = waiting.agent.id.to_string();
        Row {
            name: waiting.agent.title.clone(),
            cells: vec![
                Row::name_cell(&visible(&waiting.agent.title), &format!("/agents/{id}"), None),
                html! { (waiting.from) },
                visible(&waiting.waits),
                ago(waiting.since, scene.now),
            ],
            key: id,
        }
    };
    let all = moves.pending.len();
    let rows: Vec<_> = moves.pending.iter().take(MOST_LISTED).map(row).collect();
    html! {
        p.soft {
            (count(all as u64, "agent came", "agents came"))
            " into this group with something already. What they run stays until a rollout brings them what the group has: "
            (visible(&moves.plan)) "."
        }
        (table(&Table {
            id: "moving",
            caption: "Agents that wait to move",
            columns: &[
                Column { words: "Agent", ..Column::default() },
                Column { words: "Came from", wide_only: true, ..Column::default() },
                Column { words: "What it waits for", ..Column::default() },
                Column { words: "Since", number: true, wide_only: true, ..Column::default() },
            ],
            rows: &rows,
            picks: false,
            noun: ("agent", "agents"),
            pager: None,
        }))
        @if all > MOST_LISTED { p.soft { "and " (all - MOST_LISTED) " more" } }
    }
}

fn left_behind(left: &[LeftBehindView], scene: &Scene<'_>) -> Markup {
    // Newest first: each can be retried by itself.
    let mut rollouts: Vec<RolloutId> = left.iter().map(|left| left.rollout).collect();
    rollouts.sort_unstable();
    rollouts.dedup();
    html! {
        @for id in rollouts.iter().rev() {
            @let of_it: Vec<_> = left.iter().filter(|left| left.rollout == *id).collect();
            (of_rollout(*id, &of_it, scene))
        }
    }
}

fn of_rollout(id: RolloutId, left: &[&LeftBehindView], scene: &Scene<'_>) -> Markup {
    let first = left.first().map(|left| left.why.as_str()).unwrap_or_default();
    let agents = count(left.len() as u64, "agent", "agents");
    let runs = if left.len() == 1 { "runs" } else { "run" };
    html! {
        p.status-line {
            (badge(Status::Degraded, Some("Left behind"))) " "
            span.reason {
                (agents) " of this group " (runs) " something else: " (visible(first)) " (" a href={ "/rollouts/" (id) } { "rollout " (id) } ")"
            }
        }
        ul.plain {
            @for left in left.iter().take(MOST_LISTED) {
                li { a href={ "/agents/" (left.agent.id) } { (visible(&left.agent.title)) } @if left.why != first { ": " (visible(&left.why)) } }
            }
        }
        @if left.len() > MOST_LISTED { p.soft { "and " (left.len() - MOST_LISTED) " more" } }
        @if scene.may(Permission::Publish) {
            div.buttons { (button_link(&format!("Move {agents} again"), &format!("/rollouts/{id}/acts/retry"), false)) }
        }
    }
}
