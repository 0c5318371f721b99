//! Layers and revisions as links, and where layers contradict each other.

use maud::{Markup, html};

use super::layout::section;
use super::parts::{Column, Row, Table, table, visible};
use super::scene::encoded;
use crate::fleet::config::Variable;
use crate::fleet::config::merge::{Overlap, Said};
use crate::fleet::ids::AgentId;
use crate::fleet::target::LayerRef;

/// "revision 3 of base", as links to both.
#[must_use]
pub fn layer_link(layer: &LayerRef) -> Markup {
    let href = format!("/configs/{}", encoded(layer.config.as_str()));
    html! {
        a href={ (href) "/revisions/" (layer.revision) } { "revision " (layer.revision) }
        " of " a href=(href) { (visible(layer.config.as_str())) }
    }
}

/// One layer in words, several as `base@3 + edge@7`, each a link; `None` for none.
#[must_use]
pub fn layer_links(layers: &[LayerRef]) -> Option<Markup> {
    match layers {
        [] => None,
        [only] => Some(layer_link(only)),
        several => Some(html! {
            @for (at, layer) in several.iter().enumerate() {
                @if at > 0 { " + " }
                a href={ "/configs/" (encoded(layer.config.as_str())) "/revisions/" (layer.revision) } { (layer) }
            }
        }),
    }
}

/// Where publishing a revision of one config is looked at first, the other layers of the group staying as they are;
/// without a group it is asked for there.
#[must_use]
pub fn publish_revision(group: Option<&str>, config: &str, revision: u64) -> String {
    let group = group
        .map(|group| format!("group={}&", encoded(group)))
        .unwrap_or_default();
    format!("/publish?{group}config={}&revision={revision}", encoded(config))
}

/// Where publishing layers is looked at first.
#[must_use]
pub fn publish_to(group: &str, layers: &[LayerRef]) -> String {
    let layers: Vec<_> = layers.iter().map(ToString::to_string).collect();
    format!(
        "/publish?group={}&layers={}",
        encoded(group),
        encoded(&layers.join(","))
    )
}

/// Where it can be looked at what layers come to for an agent.
#[must_use]
pub fn rendered_at(group: &str, layers: &[LayerRef], agent: Option<AgentId>) -> String {
    let layers: Vec<_> = layers.iter().map(ToString::to_string).collect();
    let agent = agent.map(|agent| format!("&agent={agent}")).unwrap_or_default();
    format!(
        "/groups/{}/rendered?layers={}{agent}",
        encoded(group),
        encoded(&layers.join(","))
    )
}

/// Variables in a line.
#[must_use]
pub fn variable_names(variables: &[Variable]) -> Markup {
    html! {
        @for (at, variable) in variables.iter().enumerate() {
            @if at > 0 { ", " }
            code { (visible(&variable.to_string())) }
        }
    }
}

/// Where layers contradict each other; nothing when they don't.
#[must_use]
pub fn overlaps(layers: &[LayerRef], overlaps: &[Overlap]) -> Markup {
    let place = |said: &Said| {
        html! {
            @if let Some(layer) = layers.get(usize::from(said.layer)) {
                a href={ "/configs/" (encoded(layer.config.as_str())) "/revisions/" (layer.revision) "#L" (said.at.line) } { (layer) " line " (said.at.line) }
            } @else { "another layer" }
        }
    };
    let row = |overlap: &Overlap| Row {
        key: overlap.path.clone(),
        name: overlap.path.clone(),
        cells: vec![
            html! { code { (visible(&overlap.path)) } },
            html! {
                @if overlap.kept.removes() { "removed" } @else { code.break { (visible(&overlap.kept.value)) } }
                " " span.quiet { (place(&overlap.kept)) }
            },
            html! { @for said in &overlap.lost { div { @if said.removes() { "removed" } @else { code.break { (visible(&said.value)) } } " " span.quiet { (place(said)) } } } },
        ],
    };
    if overlaps.is_empty() {
        return html! {};
    }
    let rows: Vec<_> = overlaps.iter().map(row).collect();
    let columns = ["Place", "In force", "Instead of"].map(Column::of);
    section(
        "Where layers contradict each other",
        None,
        &table(&Table {
            id: "overlaps",
            caption: "What one layer sets over another's, or removes",
            columns: &columns,
            rows: &rows,
            picks: false,
            noun: ("place", "places"),
            pager: None,
        }),
    )
}
