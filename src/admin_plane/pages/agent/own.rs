//! A configuration of its own for one agent: which, what changes, and on which terms.

use maud::{Markup, html};

use super::super::configs::problems;
use super::super::differences::differences;
use super::super::layout::{page_head, section};
use super::super::parts::{
    Choice, DiffView, Field, button, check, field, form_token, select_field, visible, visible_text,
};
use super::super::scene::{Errors, Scene};
use super::super::terms::TermsForm;
use super::path;
use crate::app::agents::AgentDetail;
use crate::app::own_targets::OwnPreview;
use crate::fleet::name::Name;

/// What was typed about it, and what is wrong with that.
#[derive(Debug)]
pub struct OwnForm<'a> {
    /// On which terms.
    pub terms: &'a TermsForm,
    /// Whether an empty configuration is meant.
    pub allow_blank: bool,
    /// What is wrong.
    pub errors: &'a Errors,
}

/// The page that asks which config.
#[must_use]
pub fn which(detail: &AgentDetail, configs: &[Name], errors: &Errors) -> Markup {
    let path = path(detail);
    let choices: Vec<Choice<'_>> = std::iter::once(("", "Choose a config"))
        .chain(configs.iter().map(|name| (name.as_str(), name.as_str())))
        .map(|(value, label)| Choice {
            value,
            label,
            help: "",
        })
        .collect();
    html! {
        (head(detail))
        (errors.summary())
        p { "It goes before what its group publishes, and other agents are not touched. You see what changes before anything is sent." }
        @if configs.is_empty() {
            p { "There is no config yet. " a href="/configs/-/new" { "Make one" } ", then come back." }
        } @else {
            form.form method="get" action={ (path) "/publish" } novalidate {
                (select_field(&Field {
                    name: "config",
                    label: "Config",
                    help: "Its newest revision, unless you say another.",
                    error: errors.field("config"),
                    ..Field::default()
                }, &choices))
                (field(&Field {
                    name: "revision",
                    label: "Revision",
                    help: "Its number. Empty: the newest.",
                    error: errors.field("revision"),
                    optional: true,
                    ..Field::default()
                }))
                div.buttons { (button("Show what changes", true)) a.button href=(path) { "Cancel" } }
            }
        }
    }
}

/// The page that shows what changes and asks.
#[must_use]
pub fn ask(detail: &AgentDetail, preview: &OwnPreview, form: &OwnForm<'_>, scene: &Scene<'_>) -> Markup {
    let (path, layer) = (path(detail), &preview.layer);
    let new = format!("revision {} of {}", layer.revision, layer.config);
    let wants_blank = form.allow_blank || form.errors.field("allow_blank").is_some();
    html! {
        (head(detail))
        (form.errors.summary())
        @if !preview.missing.is_empty() {
            p.error role="alert" {
                "It has no " @for (at, variable) in preview.missing.iter().enumerate() {
                    @if at > 0 { ", " } code { (visible(&variable.to_string())) }
                } ", which the config uses. Nothing can be published to it until it has."
            }
        }
        @if !preview.warnings.is_empty() { (section(if preview.is_stopped() { "What stops it" } else { "Worth a look" }, None, &problems(&preview.warnings, None))) }
        (section("What changes", None, &differences("what is wanted of it now", &new, &preview.diff, DiffView::Unified, None)))
        form.form method="post" action={ (path) "/publish" } novalidate {
            (form_token(scene.form_token))
            input type="hidden" name="config" value=(layer.config);
            input type="hidden" name="revision" value=(layer.revision);
            (form.terms.fields("When somebody gives it back to its group", form.errors))
            @if wants_blank {
                @if let Some(error) = form.errors.field("allow_blank") { p.error #allow_blank { (error) } }
                (check("allow_blank", "An empty configuration is meant", "The agent stops collecting.", form.allow_blank))
            }
            @if preview.is_stopped() {
                p.error { "It can't be sent: the errors above stop it. One agent is given one whole configuration; a layer that others complete goes to a group." }
            }
            div.buttons {
                @if !preview.is_stopped() { (button(&format!("Publish {new} to {}", visible_text(&detail.summary.name)), true)) }
                a.button href={ (path) "/publish" } { "Another config" }
                a.button href=(path) { "Cancel" }
            }
        }
    }
}

fn head(detail: &AgentDetail) -> Markup {
    page_head(
        &html! { "A configuration of its own for " (visible(&detail.summary.name)) },
        None,
        None,
    )
}
