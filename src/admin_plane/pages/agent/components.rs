//! What an agent is built from.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::layout::section;
use super::super::parts::{Empty, count, empty, visible};
use crate::app::agents::ComponentsView;
use crate::fleet::agent::report::Component;

/// So many components of a kind are shown.
const SHOWN: usize = 500;

/// The tab; `None` when the agent reports no components.
#[must_use]
pub fn components(view: Option<&ComponentsView>) -> Markup {
    let Some(view) = view else {
        return empty(&Empty {
            title: "Components are not reported",
            words: html! { "So a configuration that uses one which this agent lacks is noticed only when it refuses it. The Supervisor reports them with " code { "reports_available_components: true" } "." },
            fill: None,
        });
    };
    match &view.components {
        None => empty(&Empty {
            title: "Only the digest of its components is known",
            words: html! { "The agent is asked for the whole list with its next message." },
            fill: None,
        }),
        Some(kinds) => html! {
            @for (kind, component) in kinds {
                (section(&kind_words(kind), None, &one_kind(component)))
            }
            p.quiet { "Their digest, as the agent states it: " code.break { (visible(&view.hash)) } }
        },
    }
}

fn kind_words(kind: &str) -> String {
    let mut letters = super::super::parts::visible_text(kind)
        .chars()
        .collect::<Vec<_>>()
        .into_iter();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "Unnamed".to_owned(),
    }
}

fn one_kind(kind: &Component) -> Markup {
    let parts: &BTreeMap<String, Component> = &kind.components;
    let more = parts.len().saturating_sub(SHOWN);
    html! {
        p.quiet { (count(parts.len() as u64, "component", "components")) }
        ul.words {
            @for (name, part) in parts.iter().take(SHOWN) {
                li { code { (visible(name)) } @if let Some(about) = about(part) { " " span.quiet { (visible(&about)) } } }
            }
            @if more > 0 { li.quiet { "and " (more) " more" } }
        }
    }
}

/// The version of a component, or the code that it comes from.
fn about(part: &Component) -> Option<String> {
    let stated = |wanted: &str| {
        let mut metadata = part.metadata.iter();
        let found = metadata.find(|attribute| attribute.key == wanted)?;
        found.value.text()
    };
    let from = stated("code.namespace").map(|module| {
        let mut words = module.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next_back());
        version.unwrap_or(name).chars().take(80).collect::<String>()
    });
    stated("version").or(from)
}
