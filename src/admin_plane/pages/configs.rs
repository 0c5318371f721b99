//! Configs: documents with revisions. Saving reaches nobody; publishing does.

mod change;
mod edit;
pub(in crate::admin_plane) mod handle;
mod one;
mod posted;

pub use edit::{ConfigForm, FileForm, Meanwhile, delete, edit, new};
pub use one::{config, difference, revision};

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{Column, Empty, Row, Status, Table, ago, badge, button_link, empty, live, table, visible};
use super::scene::{Scene, bytes, encoded, quiet};
use crate::app::intentions::ConfigSummary;
use crate::auth::permission::Permission;
use crate::fleet::config::{Kind, Problem, Severity};
use crate::fleet::name::Name;
use crate::fleet::target::LayerRef;

/// The list.
#[must_use]
pub fn configs(configs: &[ConfigSummary], scene: &Scene<'_>) -> Markup {
    let action = Some(html! {
        (button_link("Secrets", "/secrets", false))
        @if scene.may(Permission::EditConfigs) { (button_link("New config", "/configs/-/new", true)) }
    });
    let state = html! { (configs.len()) };
    html! {
        (page_head(&html! { "Configs" }, (!configs.is_empty()).then_some(&state), action.as_ref()))
        (live("configs", &["configs", "groups"], "/configs", &list(configs, scene)))
    }
}

fn list(configs: &[ConfigSummary], scene: &Scene<'_>) -> Markup {
    if configs.is_empty() {
        return empty(&Empty {
            title: "No configs yet",
            words: html! { "A config is what agents are sent: a collector's YAML, or files for other agents. Every save makes a numbered revision that stays. A host that joins with a running collector brings its own." },
            fill: scene
                .may(Permission::EditConfigs)
                .then(|| button_link("New config", "/configs/-/new", true)),
        });
    }
    let row = |summary: &ConfigSummary| {
        let config = &summary.config;
        let sub = (!config.description.is_empty())
            .then(|| visible(config.description.lines().next().unwrap_or_default()));
        let newest = summary.newest.as_ref();
        Row {
            key: config.name.to_string(),
            name: config.name.to_string(),
            cells: vec![
                Row::name_cell(
                    &visible(config.name.as_str()),
                    &format!("/configs/{}", config.name),
                    sub.as_ref(),
                ),
                html! { (kind_words(config.kind)) },
                html! { (config.latest) },
                html! {
                    (ago(config.updated_at, scene.now))
                    @if let Some(newest) = newest { " " span.quiet { "by " (visible(&newest.author)) } }
                },
                used_by(&summary.groups),
                html! { @if let Some(newest) = newest { (bytes(newest.size_bytes)) } },
            ],
        }
    };
    let rows: Vec<_> = configs.iter().map(row).collect();
    table(&Table {
        id: "config-list",
        caption: "Configs by name",
        columns: &[
            Column::of("Config"),
            Column::of("Kind").wide(),
            Column::of("Revision").numbers(),
            Column::of("Saved"),
            Column::of("Groups"),
            Column::of("Size").numbers().wide(),
        ],
        rows: &rows,
        picks: false,
        noun: ("config", "configs"),
        pager: None,
    })
}

/// The groups that use a config, as links.
pub(super) fn used_by(groups: &[Name]) -> Markup {
    if groups.is_empty() {
        return quiet(&html! { "no group" });
    }
    html! { @for (at, group) in groups.iter().enumerate() { @if at > 0 { ", " } a href={ "/groups/" (group) } { (group) } } }
}

const fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Collector => "collector",
        Kind::Files => "files",
    }
}

/// What a check found, each with its line; a link to the line where `at` is the page that numbers them.
#[must_use]
pub fn problems(problems: &[Problem], at: Option<&str>) -> Markup {
    problems_of_layers(problems, at, &[])
}

/// As [`problems`]; of those in layers, the link leads to the revision.
#[must_use]
pub fn problems_of_layers(problems: &[Problem], at: Option<&str>, layers: &[LayerRef]) -> Markup {
    let page = |problem: &Problem| match &problem.file {
        None => at.map(str::to_owned),
        Some(file) => {
            let layer = layers.iter().find(|layer| layer.to_string() == *file)?;
            let config = encoded(layer.config.as_str());
            Some(format!("/configs/{config}/revisions/{}", layer.revision))
        }
    };
    let place = |problem: &Problem| {
        let file = problem.file.as_deref().filter(|file| !file.is_empty());
        html! { @if let Some(file) = file { (visible(file)) ", line " } @else { "Line " } (problem.at.line) }
    };
    html! {
        ul.problems {
            @for problem in problems {
                li {
                    @match problem.severity {
                        Severity::Error => (badge(Status::Down, Some("Error"))),
                        Severity::Incomplete => (badge(Status::InProgress, Some("Incomplete"))),
                        Severity::Warning => (badge(Status::Degraded, Some("Warning"))),
                    }
                    span.sentence { (visible(&super::scene::sentence(&problem.message))) }
                    span.when {
                        @match page(problem) {
                            Some(page) => a href={ (page) "#L" (problem.at.line) } { (place(problem)) },
                            None => (place(problem)),
                        }
                    }
                }
            }
        }
    }
}
