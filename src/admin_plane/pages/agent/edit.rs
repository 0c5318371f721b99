//! The forms about an agent: its name and labels, and the group that it is pinned to.

use maud::{Markup, html};

use super::super::layout::page_head;
use super::super::parts::{Choice, Field, Input, button, field, form_token, select_field, visible};
use super::super::scene::{Errors, Scene};
use super::path;
use crate::app::agents::AgentDetail;
use crate::fleet::name::Name;

/// What was typed about name and labels, and what is wrong with it.
#[derive(Debug)]
pub struct EditForm<'a> {
    /// The name; empty gives it back its own.
    pub name: &'a str,
    /// The labels, one a line.
    pub labels: &'a str,
    /// What is wrong.
    pub errors: &'a Errors,
}

/// The form for name and labels.
#[must_use]
pub fn edit(detail: &AgentDetail, form: &EditForm<'_>, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    html! {
        (page_head(&html! { "Edit " (visible(&detail.summary.name)) }, None, None))
        (form.errors.summary())
        form.form method="post" action={ (path) "/edit" } novalidate {
            (form_token(scene.form_token))
            (field(&Field {
                name: "name",
                label: "Name",
                value: form.name,
                help: "What people call it. Empty: the name of its host.",
                error: form.errors.field("name"),
                optional: true,
                ..Field::default()
            }))
            (field(&Field {
                name: "labels",
                label: "Labels",
                value: form.labels,
                help: "One a line: region = eu. Groups claim agents by their labels, so a change here may move it, and it is then sent what its new group publishes.",
                error: form.errors.field("labels"),
                input: Input::Lines(6),
                optional: true,
                ..Field::default()
            }))
            div.buttons { (button("Save name and labels", true)) a.button href=(path) { "Cancel" } }
        }
    }
}

/// The form that pins an agent to a group.
#[must_use]
pub fn group(
    detail: &AgentDetail,
    groups: &[Name],
    chosen: &str,
    errors: &Errors,
    scene: &Scene<'_>,
) -> Markup {
    let path = path(detail);
    let choices: Vec<Choice<'_>> = std::iter::once(Choice {
        value: "",
        label: "Choose a group",
        help: "",
    })
    .chain(groups.iter().map(|name| Choice {
        value: name.as_str(),
        label: name.as_str(),
        help: "",
    }))
    .collect();
    html! {
        (page_head(&html! { "Pin " (visible(&detail.summary.name)) " to a group" }, None, None))
        (errors.summary())
        @if groups.is_empty() {
            p { "There is no group yet. " a href="/groups/-/new" { "Make one" } ", then come back." }
        } @else {
            form.form method="post" action={ (path) "/group" } novalidate {
                (form_token(scene.form_token))
                (select_field(&Field {
                    name: "group",
                    label: "Group",
                    value: chosen,
                    help: "It stays in this group whatever selectors say, and is sent what is published to it.",
                    error: errors.field("group"),
                    ..Field::default()
                }, &choices))
                div.buttons { (button("Pin this agent", true)) a.button href=(path) { "Cancel" } }
            }
        }
    }
}
