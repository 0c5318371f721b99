//! Agents that wait for an operator: the list, and the page on which one is decided about.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    Column, Fact, Row, Status, Table, ago, badge, facts, labels, post_button, table, visible, visible_text,
};
use crate::admin_plane::pages::scene::{Errors, Scene};
use crate::app::enrolment::{Lookalike, Waiting};
use crate::auth::permission::Permission;

/// Where one agent is decided about.
#[must_use]
pub fn href(waiting: &Waiting) -> String {
    format!("/enrolment/waiting/{}", waiting.agent.id)
}

pub(super) fn list(waiting: &[Waiting], scene: &Scene<'_>) -> Markup {
    let row = |view: &Waiting| Row {
        key: view.agent.id.to_string(),
        name: view.agent.title.clone(),
        cells: vec![
            state(view),
            html! {
                div.name {
                    a href=(href(view)) { (visible(&view.agent.title)) }
                    @if !view.address.is_empty() { span.sub { "from " (visible(&view.address)) } }
                }
            },
            html! { @match view.looks_like.first() { Some(other) => (alike(other)), None => "no agent that is known" } },
            ago(view.since, scene.now),
        ],
    };
    let rows: Vec<_> = waiting.iter().map(row).collect();
    html! {
        p.soft { "These agents are answered and given nothing until somebody decides about them." }
        (table(&Table {
            id: "waiting",
            caption: "Agents that wait for a decision, the latest first",
            columns: &[
                Column::of("Why"),
                Column::of("Agent"),
                Column::of("Looks like"),
                Column::of("Since").numbers().wide(),
            ],
            rows: &rows,
            picks: false,
            noun: ("agent", "agents"),
            pager: None,
        }))
    }
}

fn state(view: &Waiting) -> Markup {
    if view.conflict {
        badge(Status::Degraded, Some("Conflict"))
    } else {
        badge(Status::Unknown, Some("To approve"))
    }
}

fn alike(other: &Lookalike) -> Markup {
    html! {
        a href={ "/agents/" (other.agent.id) } { (visible(&other.agent.title)) }
        " by its " (other.by.word())
    }
}

/// The page on which an agent that waits is decided about.
#[must_use]
pub fn decide(view: &Waiting, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let title = visible_text(&view.agent.title);
    html! {
        (page_head(&html! { (title) ": serve it?" }, Some(&state(view)), None))
        (errors.summary())
        (facts(&[
            Fact::text("Host", Some(&view.host)),
            Fact::text("Machine", Some(&view.host_id)),
            Fact::text("System", Some(&view.system)),
            Fact::text("Address", Some(&view.address)),
            Fact::text("Its token is for", Some(&view.token)),
            Fact::new("Would be in", html! { a href={ "/groups/" (view.group) } { (view.group) } }),
            Fact::new("Labels", labels(view.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())))),
            Fact::new("Waits since", html! { (ago(view.since, scene.now)) @if view.online { ", and is connected" } }),
        ]))
        p.soft { "Host, machine and system are its own words. " a href={ "/agents/" (view.agent.id) } { "All that it reports" } }
        @for other in &view.looks_like { (section(&format!("Is it {}?", visible_text(&other.agent.title)), None, &merging(view, other, scene))) }
        (section(if view.looks_like.is_empty() { "Decide" } else { "Or is it a new one?" }, None, &as_new(view, scene)))
    }
}

fn merging(view: &Waiting, other: &Lookalike, scene: &Scene<'_>) -> Markup {
    let name = visible_text(&other.agent.title);
    html! {
        p {
            "It has the same " (other.by.word()) " as " a href={ "/agents/" (other.agent.id) } { (visible(&other.agent.title)) }
            " in " a href={ "/groups/" (other.group) } { (other.group) } ", which "
            @if other.online { "is connected, since " (ago(other.since, scene.now)) ": then these are most likely two hosts." }
            @else if other.since > crate::fleet::time::Timestamp::EPOCH { "is silent, since " (ago(other.since, scene.now)) "." }
            @else { "was never heard of." }
        }
        @if !other.can_merge {
            p.soft { "They can't be merged: one of them has a credential that speaks for other agents too." }
        } @else if scene.may(Permission::RevokeAgents) {
            p.soft { (name) " stays, with its labels, group and story, and takes over the new credential. The credentials that it has are revoked for good." }
            (post_button(
                &format!("Merge into {name}, and revoke its old credentials"),
                &format!("{}/merge", href(view)),
                &[("into", &other.agent.id.to_string())],
                scene.form_token,
            ))
        } @else {
            p.soft { "Merging them takes the role admin." }
        }
    }
}

fn as_new(view: &Waiting, scene: &Scene<'_>) -> Markup {
    if !scene.may(Permission::Publish) {
        return html! { p.soft { "Deciding takes the role deployer." } };
    }
    html! {
        p.soft { "Served, it is sent what is published to its group. Make sure that it is the host that you think it is." }
        div.buttons {
            (post_button("Serve it as a new agent", &format!("{}/approve", href(view)), &[], scene.form_token))
            (post_button(
                if view.own_credential { "Refuse it, and revoke its credential" } else { "Refuse it, and archive its record" },
                &format!("{}/refuse", href(view)),
                &[],
                scene.form_token,
            ))
        }
    }
}
