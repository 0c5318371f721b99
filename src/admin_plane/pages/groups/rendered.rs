//! What a group's layers come to for one of its agents: the document, with the layer of each line.

use maud::{Markup, html};

use crate::admin_plane::pages::configs::problems_of_layers;
use crate::admin_plane::pages::differences::differences;
use crate::admin_plane::pages::layers::{overlaps, publish_to, variable_names};
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    Choice, DiffView, Field, Status, badge, button, button_link, select_field, visible,
};
use crate::admin_plane::pages::scene::{Scene, encoded};
use crate::app::rendered::{RenderedLine, RenderedView};
use crate::auth::permission::Permission;
use crate::fleet::config::Problem;
use crate::fleet::target::in_words;

/// The page.
#[must_use]
pub fn rendered(view: &RenderedView, scene: &Scene<'_>) -> Markup {
    let group = view.group.as_str();
    let title = html! {
        @match &view.agent {
            Some(agent) => { "What " (visible(&agent.title)) " is sent" },
            None => { "What " (visible(group)) " is sent" },
        }
    };
    let action = scene
        .may(Permission::Publish)
        .then(|| button_link("Publish", &publish_to(group, &view.layers), true));
    let found = if view.problems.iter().any(Problem::is_error) {
        "What stops it from being published"
    } else {
        "Worth a look"
    };
    html! {
        (page_head(&title, Some(&html! { (in_words(&view.layers)) }), action.as_ref()))
        (choice(view))
        @if !view.missing.is_empty() {
            p.status-line {
                (badge(Status::Down, Some("Not resolved"))) " "
                span.reason { "The agent has no " (variable_names(&view.missing)) ". Nothing can be published until it has." }
            }
        }
        @if !view.problems.is_empty() { (section(found, None, &problems_of_layers(&view.problems, Some(""), &view.layers))) }
        (section("What would change", None, &differences("what is published", &in_words(&view.layers), &view.diff, DiffView::Unified, None)))
        (overlaps(&view.layers, &view.overlaps))
        (section("The whole", None, &document(view)))
    }
}

/// The agents to choose from, where they get different contents.
fn choice(view: &RenderedView) -> Markup {
    if view.choices.len() < 2 || view.variables.is_empty() {
        return html! {};
    }
    let ids: Vec<_> = view.choices.iter().map(|agent| agent.id.to_string()).collect();
    let options: Vec<_> = view
        .choices
        .iter()
        .zip(&ids)
        .map(|(agent, id)| Choice {
            value: id,
            label: &agent.title,
            help: "",
        })
        .collect();
    let chosen = view
        .agent
        .as_ref()
        .map(|agent| agent.id.to_string())
        .unwrap_or_default();
    html! {
        form.form method="get" action={ "/groups/" (encoded(view.group.as_str())) "/rendered" } {
            input type="hidden" name="layers" value=(in_words(&view.layers));
            (select_field(&Field { name: "agent", label: "For the agent", value: &chosen, ..Field::default() }, &options))
            div.buttons { (button("Show", false)) }
        }
    }
}

fn document(view: &RenderedView) -> Markup {
    if !view.files.is_empty() {
        return html! { ul { @for file in &view.files { li { code { (visible(file)) } } } } };
    }
    if view.lines.is_empty() {
        return html! { p.soft { "Nothing: the layers are empty." } };
    }
    html! {
        div.table-box {
            table.provenance {
                caption.hush { "The document, with the layer of each line" }
                thead { tr { th scope="col" { "Line" } th scope="col" { "Layer" } th scope="col" { "Text" } } }
                tbody {
                    @for (at, line) in view.lines.iter().enumerate() {
                        @let again = at.checked_sub(1).and_then(|before| view.lines.get(before)).is_some_and(|before| before.layer == line.layer);
                        (row(view, at + 1, line, again))
                    }
                }
            }
        }
    }
}

fn row(view: &RenderedView, number: usize, line: &RenderedLine, again: bool) -> Markup {
    let layer = view.layers.get(usize::from(line.layer));
    html! {
        tr id={ "L" (number) } {
            td.number { (number) }
            td {
                @if let Some(layer) = layer {
                    a.layer.again[again] href={ "/configs/" (encoded(layer.config.as_str())) "/revisions/" (layer.revision) "#L" (line.line) }
                        title={ (layer) " line " (line.line) } { (layer) }
                }
            }
            td { code { (visible(&line.text)) } }
        }
    }
}
