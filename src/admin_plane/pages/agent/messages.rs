//! What an agent and this server say to each other beside OpAMP: custom capabilities and their messages.

use maud::{Markup, html};

use super::super::layout::section;
use super::super::parts::{
    Choice, Column, Empty, Field, Input, Row, Table, ago, button, count, empty, field, form_token,
    select_field, table, visible,
};
use super::super::scene::{Errors, Scene};
use super::path;
use crate::app::agents::AgentDetail;
use crate::app::messages::{AgentMessages, Received, Waits};
use crate::auth::permission::Permission;

/// A message as it was typed.
#[derive(Clone, Debug, Default)]
pub struct MessageForm {
    /// The capability.
    pub capability: String,
    /// The type.
    pub kind: String,
    /// The content, as text.
    pub text: String,
}

/// So much of a content is shown.
const SHOWN: usize = 2_000;

/// The tab.
#[must_use]
pub fn messages(
    detail: &AgentDetail,
    view: &AgentMessages,
    form: &MessageForm,
    errors: &Errors,
    scene: &Scene<'_>,
) -> Markup {
    html! {
        (errors.summary())
        p.soft { "Custom messages are passed on and not understood: what is in them is agreed between the agent and whoever works with it." }
        p { "The agent announces " (names(&view.theirs)) ". This server announces " (names(&view.ours)) "." }
        @if view.ours.is_empty() {
            p.soft { "Nothing is sent or kept until the setting " code { "agent_plane.custom_capabilities" } " names a capability." }
        }
        @if !view.shared.is_empty() && scene.may(Permission::Publish) {
            (section("Send a message", None, &send(detail, view, form, errors, scene)))
        }
        @if !view.queued.is_empty() { (section("Waiting for the agent", None, &queued(&view.queued, scene))) }
        (section("From the agent", None, &received(&view.received, scene)))
    }
}

fn names(list: &[String]) -> Markup {
    html! {
        @if list.is_empty() { "nothing" }
        @for (at, name) in list.iter().take(50).enumerate() { @if at > 0 { ", " } code { (visible(name)) } }
    }
}

fn send(
    detail: &AgentDetail,
    view: &AgentMessages,
    form: &MessageForm,
    errors: &Errors,
    scene: &Scene<'_>,
) -> Markup {
    let choices: Vec<Choice<'_>> = view
        .shared
        .iter()
        .map(|name| Choice {
            value: name,
            label: name,
            help: "",
        })
        .collect();
    html! {
        form.form method="post" action={ (path(detail)) "/messages" } {
            (form_token(scene.form_token))
            (select_field(&Field {
                name: "capability",
                label: "Capability",
                value: &form.capability,
                error: errors.field("capability"),
                ..Field::default()
            }, &choices))
            (field(&Field {
                name: "type",
                label: "Type",
                value: &form.kind,
                help: "As the capability names its messages.",
                error: errors.field("type"),
                ..Field::default()
            }))
            (field(&Field {
                name: "text",
                label: "Content",
                value: &form.text,
                help: "At most 16 KiB of text. Other bytes are sent by the API or the command line.",
                error: errors.field("message"),
                input: Input::Lines(4),
                optional: true,
                ..Field::default()
            }))
            div.buttons { (button("Send it to this agent, once", true)) }
        }
    }
}

fn queued(waiting: &[Waits], scene: &Scene<'_>) -> Markup {
    let rows: Vec<Row> = waiting
        .iter()
        .enumerate()
        .map(|(at, message)| Row {
            key: at.to_string(),
            name: message.kind.clone(),
            cells: vec![
                html! { code { (visible(&message.kind)) } span.sub { (visible(&message.capability)) } },
                html! { (count(message.size_bytes as u64, "byte", "bytes")) },
                html! { (visible(&message.by)) },
                ago(message.at, scene.now),
            ],
        })
        .collect();
    table(&Table {
        id: "queued",
        caption: "Messages that wait for the agent: each goes once, within an hour or not at all",
        columns: &[
            Column::of("Type"),
            Column::of("Size").numbers(),
            Column::of("By").wide(),
            Column::of("Since").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("message", "messages"),
        pager: None,
    })
}

fn received(messages: &[Received], scene: &Scene<'_>) -> Markup {
    if messages.is_empty() {
        return empty(&Empty {
            title: "No messages",
            words: html! { "The last 50 messages of capabilities that both announce are kept here." },
            fill: None,
        });
    }
    let rows: Vec<Row> = messages
        .iter()
        .map(|received| {
            let message = &received.message;
            Row {
                key: received.number.to_string(),
                name: message.kind.clone(),
                cells: vec![
                    html! { code { (visible(&message.kind)) } span.sub { (visible(&message.capability)) } },
                    content(&message.data),
                    ago(received.at, scene.now),
                ],
            }
        })
        .collect();
    table(&Table {
        id: "received",
        caption: "Messages from the agent, the newest first",
        columns: &[
            Column::of("Type"),
            Column::of("Content"),
            Column::of("Came").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("message", "messages"),
        pager: None,
    })
}

fn content(data: &[u8]) -> Markup {
    match std::str::from_utf8(data) {
        Ok("") => html! { span.quiet { "empty" } },
        Ok(text) => {
            let cut: String = text.chars().take(SHOWN).collect();
            html! { code.break { (visible(&cut)) @if cut.len() < text.len() { "…" } } }
        }
        Err(_) => html! { span.quiet { (count(data.len() as u64, "byte", "bytes")) " that are no text" } },
    }
}
