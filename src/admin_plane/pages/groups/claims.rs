//! Who else claims a group's agents, and which agents propose themselves.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::section;
use crate::admin_plane::pages::parts::{Column, Row, Table, count, post_button, table, visible};
use crate::admin_plane::pages::scene::Scene;
use crate::app::claims::{GroupClaims, ProposedAgent};
use crate::auth::permission::Permission;

pub(super) fn proposals(name: &str, claims: &GroupClaims, scene: &Scene<'_>) -> Markup {
    if claims.proposed.is_empty() {
        return html! {};
    }
    let row = |proposed: &ProposedAgent| {
        let id = proposed.agent.to_string();
        Row {
            key: id.clone(),
            name: proposed.title.clone(),
            cells: vec![
                Row::name_cell(&visible(&proposed.title), &format!("/agents/{id}"), None),
                html! { (proposed.present) },
                html! {
                    @if scene.may(Permission::Publish) {
                        (post_button("Put into this group", &format!("/groups/{name}/confirm"), &[("agent", &id)], scene.form_token))
                    }
                },
            ],
        }
    };
    let rows: Vec<_> = claims.proposed.iter().map(row).collect();
    section(
        "Proposed",
        None,
        &html! {
            p.soft { "What these agents say of themselves fits a selector of this group. That alone doesn't put them here: somebody who knows them does." }
            (table(&Table {
                id: "proposed",
                caption: "Agents that propose themselves",
                columns: &[
                    Column { words: "Agent", ..Column::default() },
                    Column { words: "Now in", ..Column::default() },
                    Column { words: "", number: true, ..Column::default() },
                ],
                rows: &rows,
                picks: false,
                noun: ("agent", "agents"),
                pager: None,
            }))
        },
    )
}

pub(super) fn ties(claims: &GroupClaims) -> Markup {
    html! {
        @if !claims.ties.is_empty() {
            (section("Ties", None, &html! {
                p.soft { "These groups claim agents of this one with the same priority, so the name alone decides. Give one of them another priority." }
                ul { @for (other, agents) in &claims.ties {
                    li { a href={ "/groups/" (other) } { (other) } ": " (count(u64::from(*agents), "agent", "agents")) }
                } }
            }))
        }
    }
}
