//! The forms about an agent: its name and labels, the group that it is pinned to, and keeping what it runs.

use maud::{Markup, html};

use super::super::layout::page_head;
use super::super::parts::{Choice, Field, Input, button, field, form_token, select_field, visible};
use super::super::scene::{Errors, Scene};
use super::super::terms::TermsForm;
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
    /// The name and the labels that stood there when the form was opened.
    pub opened: (&'a str, &'a str),
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
            input type="hidden" name="opened" value="1";
            input type="hidden" name="opened_name" value=(form.opened.0);
            input type="hidden" name="opened_labels" value=(form.opened.1);
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

/// What was chosen about the group of an agent, and what is wrong with it.
#[derive(Debug)]
pub struct PinForm<'a> {
    /// The group; empty while none is chosen.
    pub chosen: &'a str,
    /// On which terms.
    pub terms: &'a TermsForm,
    /// What is wrong.
    pub errors: &'a Errors,
}

/// The form that pins an agent to a group.
#[must_use]
pub fn group(detail: &AgentDetail, groups: &[Name], form: &PinForm<'_>, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    html! {
        (page_head(&html! { "Pin " (visible(&detail.summary.name)) " to a group" }, None, None))
        (form.errors.summary())
        @if groups.is_empty() {
            p { "There is no group yet. " a href="/groups/-/new" { "Make one" } ", then come back." }
        } @else {
            form.form method="post" action={ (path) "/group" } novalidate {
                (form_token(scene.form_token))
                (select_field(&Field {
                    name: "group",
                    label: "Group",
                    value: form.chosen,
                    help: "It stays in this group whatever selectors say. What it has it keeps until a rollout of the group brings it what is published there: a moment later, when nothing is in the way.",
                    error: form.errors.field("group"),
                    ..Field::default()
                }, &named("Choose a group", groups)))
                (form.terms.fields("When somebody lets selectors decide again", form.errors))
                div.buttons { (button("Pin this agent", true)) a.button href=(path) { "Cancel" } }
            }
        }
    }
}

/// Names to choose from, and first what stands for none.
fn named<'a>(none: &'a str, names: &'a [Name]) -> Vec<Choice<'a>> {
    let choice = |value, label| Choice {
        value,
        label,
        help: "",
    };
    let names = names.iter().map(|name| choice(name.as_str(), name.as_str()));
    std::iter::once(choice("", none)).chain(names).collect()
}

/// What was typed about keeping what an agent runs, and what is wrong with it.
#[derive(Debug)]
pub struct AdoptForm<'a> {
    /// The name of a new config.
    pub name: &'a str,
    /// The config of which it becomes a revision; empty for a new one.
    pub config: &'a str,
    /// What is wrong.
    pub errors: &'a Errors,
}

/// The form that asks as what to keep what an agent runs.
#[must_use]
pub fn adopt(detail: &AgentDetail, configs: &[Name], form: &AdoptForm<'_>, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    html! {
        (page_head(&html! { "Keep what " (visible(&detail.summary.name)) " runs" }, None, None))
        (form.errors.summary())
        form.form method="post" action={ (path) "/adopt" } novalidate {
            (form_token(scene.form_token))
            p { "What it runs is saved as it reports it. What a supervisor adds is left out, and where the report hides a secret a variable stands, to be filled in before it can be published. Nothing is sent to anybody." }
            (select_field(&Field {
                name: "config",
                label: "As a revision of",
                value: form.config,
                error: form.errors.field("config").or_else(|| form.errors.field("content")),
                ..Field::default()
            }, &named("A new config", configs)))
            (field(&Field {
                name: "name",
                label: "Name of the new config",
                value: form.name,
                help: "Empty: the agent's own name.",
                error: form.errors.field("name"),
                input: Input::Code,
                optional: true,
                ..Field::default()
            }))
            div.buttons { (button("Keep it", true)) a.button href={ (path) "/configuration?view=runs" } { "Cancel" } }
        }
    }
}
