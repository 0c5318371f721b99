//! One config, one revision of it, and the difference between two.

use maud::{Markup, html};

use super::{kind_words, problems, used_by};
use crate::admin_plane::pages::differences::differences;
use crate::admin_plane::pages::layers::publish_revision;
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    Choice, Column, DiffView, Fact, Field, Row, Status, Table, absolute, ago, badge, button, button_link,
    count, facts, numbered_code, select_field, table, visible,
};
use crate::admin_plane::pages::scene::{Scene, bytes, quiet};
use crate::app::intentions::{ConfigDetail, ConfigSummary, RevisionContent};
use crate::auth::permission::Permission;
use crate::fleet::config::{Content, Diff, Revision};

/// The page of a config: what its newest revision says, where it is used, and the revisions before.
#[must_use]
pub fn config(detail: &ConfigDetail, scene: &Scene<'_>) -> Markup {
    let (summary, config) = (&detail.summary, &detail.summary.config);
    let href = format!("/configs/{}", config.name);
    let actions = html! {
        @if scene.may(Permission::EditConfigs) {
            (button_link("Delete", &format!("{href}/delete"), false))
            (button_link("Edit", &format!("{href}/edit"), !scene.may(Permission::Publish)))
        }
        @if scene.may(Permission::Publish) { (publish(summary)) }
    };
    let checked = format!("{href}/revisions/{}", config.latest);
    html! {
        (page_head(&visible(config.name.as_str()), Some(&html! { (kind_words(config.kind)) ", revision " (config.latest) }), Some(&actions)))
        @if !config.description.is_empty() { p.soft { (visible(&config.description)) } }
        div.columns {
            (section("Newest revision", None, &newest(summary, scene)))
            (section("Where it is used", None, &used(summary, scene)))
        }
        (section(&format!("Revision {}", config.latest), Some(&html! { a href={ (checked) "/download" } { "Download" } }), &html! {
            @if detail.problems.is_empty() { @if matches!(detail.content, Content::Yaml(_)) { p { (badge(Status::Healthy, Some("No problems found"))) } } }
            @else { (problems(&detail.problems, Some(&checked))) }
            (content(&detail.content))
        }))
        (section("Revisions", None, &html! { (compare(detail)) (revisions(detail, scene)) }))
    }
}

fn publish(summary: &ConfigSummary) -> Markup {
    let config = summary.config.name.as_str();
    match summary.groups.as_slice() {
        [only] => button_link(
            &format!("Publish to {only}"),
            &publish_revision(Some(only.as_str()), config, summary.config.latest),
            true,
        ),
        _ => button_link(
            "Publish",
            &publish_revision(None, config, summary.config.latest),
            true,
        ),
    }
}

fn newest(summary: &ConfigSummary, scene: &Scene<'_>) -> Markup {
    let Some(newest) = &summary.newest else {
        return html! { p.soft { "It can't be read from the store; the log says why." } };
    };
    facts(&[
        Fact::new("Saved", ago(newest.at, scene.now)),
        Fact::text("By", Some(&newest.author)),
        Fact::text("Why", Some(&newest.message)),
        Fact::new("Size", html! { (bytes(newest.size_bytes)) }),
        Fact::new("Digest", html! { code { (newest.digest.short()) } }),
    ])
}

fn used(summary: &ConfigSummary, scene: &Scene<'_>) -> Markup {
    let config = &summary.config;
    if summary.groups.is_empty() {
        return html! {
            p.soft { "No group has it, so it reaches nobody." }
        };
    }
    html! {
        p { (used_by(&summary.groups)) }
        @if summary.groups.len() > 1 && scene.may(Permission::Publish) {
            p { "Publish revision " (config.latest) " to " @for (at, group) in summary.groups.iter().enumerate() {
                @if at > 0 { ", " } a href=(publish_revision(Some(group.as_str()), config.name.as_str(), config.latest)) { (group) }
            } }
        }
    }
}

/// A content to be read: numbered lines, file by file.
pub(super) fn content(content: &Content) -> Markup {
    match content {
        Content::Yaml(yaml) => numbered_code(yaml),
        Content::Files(files) => html! {
            @if files.is_empty() { p.soft { "No files." } }
            @for (name, file) in files {
                details open[files.len() == 1] {
                    summary {
                        code { (visible(name)) } " " span.quiet {
                            (bytes(file.body.len() as u64))
                            @if !file.content_type.is_empty() { ", " (visible(&file.content_type)) }
                        }
                    }
                    @match std::str::from_utf8(&file.body) {
                        // Line anchors belong to the only document; here they would not be unique.
                        Ok(text) => pre.code tabindex="0" { code { (visible(text)) } },
                        Err(_) => p.soft { "It is no text." },
                    }
                }
            }
        },
    }
}

fn compare(detail: &ConfigDetail) -> Markup {
    if detail.revisions.len() < 2 {
        return html! {};
    }
    let numbers: Vec<_> = detail
        .revisions
        .iter()
        .map(|revision| revision.number.to_string())
        .collect();
    let options: Vec<_> = numbers
        .iter()
        .map(|number| Choice {
            value: number,
            label: number,
            help: "",
        })
        .collect();
    let (newest, before) = (numbers.first(), numbers.get(1));
    html! {
        form.inline-form method="get" action={ "/configs/" (detail.summary.config.name) "/diff" } {
            (select_field(&Field { name: "from", label: "From", value: before.map_or("", String::as_str), ..Field::default() }, &options))
            (select_field(&Field { name: "to", label: "To", value: newest.map_or("", String::as_str), ..Field::default() }, &options))
            (button("Compare", false))
        }
    }
}

fn revisions(detail: &ConfigDetail, scene: &Scene<'_>) -> Markup {
    let name = detail.summary.config.name.as_str();
    let row = |revision: &Revision| Row {
        key: revision.number.to_string(),
        name: format!("revision {}", revision.number),
        cells: vec![
            html! { a href={ "/configs/" (name) "/revisions/" (revision.number) } { (revision.number) } },
            visible(&revision.message),
            visible(&revision.author),
            ago(revision.at, scene.now),
            html! { (bytes(revision.size_bytes)) },
            html! {
                @if revision.number > 1 { a href={ "/configs/" (name) "/diff?from=" (revision.number - 1) "&to=" (revision.number) } { "Changes" } }
            },
        ],
    };
    let rows: Vec<_> = detail.revisions.iter().map(row).collect();
    table(&Table {
        id: "revisions",
        caption: "Revisions, newest first",
        columns: &[
            Column::of("Revision"),
            Column::of("Why"),
            Column::of("By").wide(),
            Column::of("Saved").numbers(),
            Column::of("Size").numbers().wide(),
            Column::of("").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("revision", "revisions"),
        pager: None,
    })
}

/// The page of one revision. `latest` is the number of the newest.
#[must_use]
pub fn revision(view: &RevisionContent, latest: u64, scene: &Scene<'_>) -> Markup {
    let revision = &view.revision;
    let (name, number) = (revision.config.as_str(), revision.number);
    let href = format!("/configs/{name}/revisions/{number}");
    let actions = html! {
        (button_link("Download", &format!("{href}/download"), false))
        @if number != latest { (button_link(&format!("Compare with {latest}"), &format!("/configs/{name}/diff?from={number}&to={latest}"), false)) }
        @if scene.may(Permission::Publish) { (button_link(&format!("Publish revision {number}"), &publish_revision(None, name, number), true)) }
    };
    let state = html! { @if number == latest { "the newest" } @else { "the newest is " (latest) } };
    html! {
        (page_head(&html! { (visible(name)) " revision " (number) }, Some(&state), Some(&actions)))
        (facts(&[
            Fact::new("Saved", html! { (ago(revision.at, scene.now)) " " (quiet(&html! { (absolute(revision.at)) })) }),
            Fact::text("By", Some(&revision.author)),
            Fact::text("Why", Some(&revision.message)),
            Fact::new("Size", html! { (bytes(revision.size_bytes)) }),
            Fact::new("Digest", html! { code { (revision.digest) } }),
        ]))
        (section("Content", None, &content(&view.content)))
    }
}

/// The page that compares two revisions.
#[must_use]
pub fn difference(name: &str, from: u64, to: u64, diff: &Diff, view: DiffView, scene: &Scene<'_>) -> Markup {
    let here = format!("/configs/{name}/diff?from={from}&to={to}");
    let switch = match view {
        DiffView::Unified => format!("{here}&view=split"),
        DiffView::Split => here,
    };
    let actions = html! {
        (button_link("The other way round", &format!("/configs/{name}/diff?from={to}&to={from}"), false))
        @if scene.may(Permission::Publish) { (button_link(&format!("Publish revision {to}"), &publish_revision(None, name, to), true)) }
    };
    let changed = count(diff.files.len() as u64, "file differs", "files differ");
    let state = html! { @if diff.files.len() > 1 { (changed) } @else if diff.is_empty() { "equal" } };
    html! {
        (page_head(&html! { (visible(name)) " from " (from) " to " (to) }, Some(&state), Some(&actions)))
        (differences(&format!("revision {from}"), &format!("revision {to}"), diff, view, Some(&switch)))
    }
}
