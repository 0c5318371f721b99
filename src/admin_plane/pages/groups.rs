//! Groups: who is in them, and what is published to them.

mod change;
mod claims;
mod edit;
pub(in crate::admin_plane) mod handle;
mod hold;
mod moves;
mod one;
mod rendered;

pub use edit::{GroupForm, delete, edit, new, withdraw};
pub use hold::hold;
pub use one::group;
pub use rendered::rendered;

use maud::{Markup, html};

use super::layers::{layer_links, publish_to};
use super::layout::page_head;
use super::parts::{
    Column, Empty, Row, Status, Table, ago, badge, button_link, count, empty, live, table, visible,
};
use super::scene::{Scene, agents_href, quiet};
use crate::app::intentions::{GroupSummary, MemberCounts};
use crate::auth::permission::Permission;
use crate::fleet::selector::Selector;

/// The filter for agents that refused what is wanted.
const REFUSED: &str = "config in (failed, self-reverted)";
/// The filter for agents that are not there yet.
const WAITING: &str = "config in (pending, applying, unknown, \"takes no configuration\", \"observe only\")";

/// The list.
#[must_use]
pub fn groups(groups: &[GroupSummary], scene: &Scene<'_>) -> Markup {
    let action = scene
        .may(Permission::EditGroups)
        .then(|| button_link("New group", "/groups/-/new", true));
    let state = html! { (groups.len()) };
    html! {
        (page_head(&html! { "Groups" }, (!groups.is_empty()).then_some(&state), action.as_ref()))
        (live("groups", &["groups", "agents"], "/groups", &list(groups, scene)))
    }
}

fn list(groups: &[GroupSummary], scene: &Scene<'_>) -> Markup {
    if groups.is_empty() {
        return empty(&Empty {
            title: "No groups yet",
            words: html! { "A group says which agents belong together, and what is published to it reaches all of them. Agents in no group are observed and sent nothing." },
            fill: scene
                .may(Permission::EditGroups)
                .then(|| button_link("New group", "/groups/-/new", true)),
        });
    }
    let row = |summary: &GroupSummary| {
        let group = &summary.group;
        let href = format!("/groups/{}", group.name);
        let sub = (!group.description.is_empty()).then(|| visible(first_line(&group.description)));
        Row {
            key: group.name.to_string(),
            name: group.name.to_string(),
            cells: vec![
                Row::name_cell(&visible(group.name.as_str()), &href, sub.as_ref()),
                html! {
                    (members(group.name.as_str(), &summary.members, summary.published.is_some()))
                    @if summary.moving > 0 { " " a href=(href) { (badge(Status::InProgress, Some(&format!("{} moving", summary.moving)))) } }
                    @if summary.left_behind > 0 { " " a href=(href) { (badge(Status::Degraded, Some(&format!("{} left behind", summary.left_behind)))) } }
                },
                published(summary, scene),
                selectors(&group.selectors),
                html! { (group.priority) },
            ],
        }
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    table(&Table {
        id: "group-list",
        caption: "Groups by name",
        columns: &[
            Column {
                words: "Group",
                ..Column::default()
            },
            Column {
                words: "Agents",
                ..Column::default()
            },
            Column {
                words: "Published",
                ..Column::default()
            },
            Column {
                words: "Takes",
                wide_only: true,
                ..Column::default()
            },
            Column {
                words: "Priority",
                number: true,
                wide_only: true,
                ..Column::default()
            },
        ],
        rows: &rows,
        picks: false,
        noun: ("group", "groups"),
        pager: None,
    })
}

/// The agents of a group, counted by how far they are, each count a link to them.
pub(super) fn members(group: &str, members: &MemberCounts, published: bool) -> Markup {
    let all = agents_href(&format!("group = {group}"));
    if members.all == 0 {
        return quiet(&html! { "no agents" });
    }
    let part = |status, number: u32, word: &str, filter: &str| {
        let href = agents_href(&format!("group = {group}, {filter}"));
        html! { @if number > 0 { " " a href=(href) { (badge(status, Some(&format!("{number} {word}")))) } } }
    };
    html! {
        a href=(all) { (count(u64::from(members.all), "agent", "agents")) }
        @if published {
            (part(Status::Down, members.failed, "refused it", REFUSED))
            (part(Status::Degraded, members.drifted, "drifted", "config = drifted"))
            (part(Status::Unknown, members.held, "held", "config = held"))
            (part(Status::InProgress, members.waiting, "not there yet", WAITING))
            @if members.own_target > 0 { " " (quiet(&html! { (members.own_target) " with their own" })) }
        }
    }
}

fn published(summary: &GroupSummary, scene: &Scene<'_>) -> Markup {
    let Some(target) = &summary.published else {
        return match summary.group.rollout {
            None => quiet(&html! { "nothing; its agents are only observed" }),
            Some(id) => {
                html! { a href={ "/rollouts/" (id) } { "rollout " (id) } " " (quiet(&html! { "hasn't reached everybody" })) }
            }
        };
    };
    let Some(content) = &target.content else {
        return html! { "withdrawn " (ago(target.published_at, scene.now)) };
    };
    html! {
        (layer_links(&content.layers).unwrap_or_default()) " " span.quiet { (ago(target.published_at, scene.now)) }
        @for newer in &summary.newer {
            " " a href=(publish_to(summary.group.name.as_str(), &content.with(newer))) { "revision " (newer.revision) @if content.layers.len() > 1 { " of " (newer.config) } " is there" }
        }
    }
}

fn selectors(selectors: &[Selector]) -> Markup {
    let Some(first) = selectors.first() else {
        return quiet(&html! { "only agents that are put into it" });
    };
    html! {
        code { (visible(&first.to_string())) }
        @if selectors.len() > 1 { " " (quiet(&html! { "or " (count(selectors.len() as u64 - 1, "other", "others")) })) }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
