//! The audit log: what people did, newest first.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{
    Column, Empty, FilterBar, Pager, Row, Status, Table, ago, button_link, empty, filter_bar, status_line,
    table, visible, visible_text,
};
use super::scene::{Scene, encoded, quiet};
use crate::app::audit::{AuditFault, AuditRecord, AuditVerdict};

/// What the page shows.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// The words that are looked for in actor, act, object and detail; empty for all.
    pub query: String,
    /// The number below which this part begins; `None` for the newest.
    pub before: Option<u64>,
    /// The number below which the next part begins; `None` at the end.
    pub next: Option<u64>,
    /// What verifying the whole log found, when that was asked for.
    pub verdict: Option<AuditVerdict>,
}

/// Whether a record has all words of the query in actor, act, object or detail.
#[must_use]
pub fn matches(record: &AuditRecord, query: &str) -> bool {
    let entry = &record.entry;
    let address = entry.address.as_deref().unwrap_or_default();
    let texts = [&entry.actor, &entry.action, &entry.object, &entry.detail].map(|text| text.to_lowercase());
    query
        .split_whitespace()
        .map(str::to_lowercase)
        .all(|word| address.contains(&word) || texts.iter().any(|text| text.contains(&word)))
}

/// The page.
#[must_use]
pub fn audit(view: &AuditPage, scene: &Scene<'_>) -> Markup {
    let verify = if view.verdict.is_some() {
        "Verify again"
    } else {
        "Verify the log"
    };
    let actions = button_link(verify, &href(&view.query, None, true), false);
    html! {
        (page_head(&html! { "Audit" }, None, Some(&actions)))
        @if let Some(verdict) = &view.verdict { (verdict_line(verdict)) }
        (filter_bar(&FilterBar {
            action: "/audit",
            query: &view.query,
            example: "mara group/edge publish",
            error: None,
            chips: &[],
            live: None,
            keep: &[],
        }))
        @if view.records.is_empty() { (nothing(view)) } @else { (records(view, scene)) }
    }
}

fn nothing(view: &AuditPage) -> Markup {
    if view.query.is_empty() {
        return empty(&Empty {
            title: "Nothing was done yet",
            words: html! { "Whatever changes something is told here: who, what, when and from where." },
            fill: None,
        });
    }
    empty(&Empty {
        title: "No such records in this part",
        words: html! { "None of the records that were looked through has all these words." },
        fill: Some(html! {
            @if let Some(next) = view.next { (button_link("Look further back", &href(&view.query, Some(next), false), false)) }
            (button_link("All records", "/audit", false))
        }),
    })
}

fn href(query: &str, before: Option<u64>, verify: bool) -> String {
    let mut parts = Vec::new();
    if !query.is_empty() {
        parts.push(format!("q={}", encoded(query)));
    }
    parts.extend(before.map(|before| format!("before={before}")));
    if verify {
        parts.push("verify=1".to_owned());
    }
    if parts.is_empty() {
        "/audit".to_owned()
    } else {
        format!("/audit?{}", parts.join("&"))
    }
}

fn verdict_line(verdict: &AuditVerdict) -> Markup {
    match verdict {
        AuditVerdict::Intact { records, last } => status_line(
            Status::Healthy,
            Some("Intact"),
            &html! { "All " (records) " records are there and as they were written" },
            &html! { "last hash " code { (last.short()) } },
        ),
        AuditVerdict::Broken { number, fault } => {
            let what = match fault {
                AuditFault::Altered => "was altered or can't be read",
                AuditFault::Missing => "is missing",
                AuditFault::Unlinked => "doesn't follow the record before it",
                AuditFault::Unexpected => "is not one that this server wrote",
            };
            status_line(
                Status::Down,
                Some("Broken"),
                &html! { "Record " (number) " " (what) ". Somebody changed the store by other means than this server: compare with a backup" },
                &html! {},
            )
        }
    }
}

fn records(view: &AuditPage, scene: &Scene<'_>) -> Markup {
    let row = |record: &AuditRecord| {
        let entry = &record.entry;
        Row {
            key: record.number.to_string(),
            name: visible_text(&entry.action),
            cells: vec![
                ago(entry.at, scene.now),
                html! {
                    div.name {
                        (object(&entry.actor))
                        @if let Some(address) = &entry.address { span.sub.nowrap { (visible(address)) } }
                    }
                },
                html! { div.name { code { (visible(&entry.action)) } @if entry.action.ends_with(".refused") { span.sub { "refused" } } } },
                object(&entry.object),
                html! { span.reason { (visible(&entry.detail)) } @if let Some(hashes) = changed(record) { " " (quiet(&hashes)) } },
                html! { (record.number) },
            ],
        }
    };
    let rows: Vec<_> = view.records.iter().map(row).collect();
    let next = view.next.map(|next| href(&view.query, Some(next), false));
    let first = view.before.map(|_| href(&view.query, None, false));
    table(&Table {
        id: "records",
        caption: "Records of the audit log, newest first",
        columns: &[
            Column::of("When"),
            Column::of("Who"),
            Column::of("Did"),
            Column::of("To"),
            Column::of("Detail").wide(),
            Column::of("No.").numbers().wide(),
        ],
        rows: &rows,
        picks: false,
        noun: ("record", "records"),
        pager: Some(Pager {
            first: first.as_deref(),
            next: next.as_deref(),
            total: None,
        }),
    })
}

/// What was done to, or by what, as a link where there is a page of it.
fn object(object: &str) -> Markup {
    let Some((kind, name)) = object.split_once('/') else {
        return visible(object);
    };
    let href = match kind {
        "group" => format!("/groups/{}", encoded(name)),
        "config" => format!("/configs/{}", encoded(name)),
        "agent" => format!("/agents/{}", encoded(name)),
        "enrolment-token" | "credential" => "/enrolment".to_owned(),
        _ => return visible(object),
    };
    // Ids are told apart by their ends, as they begin with a time.
    let is_id = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = if is_id {
        format!("…{}", name.chars().skip(24).collect::<String>())
    } else {
        name.to_owned()
    };
    html! { (kind) " " a href=(href) title=[is_id.then_some(name)] { (visible(&shown)) } }
}

fn changed(record: &AuditRecord) -> Option<Markup> {
    match (record.entry.before, record.entry.after) {
        (None, None) => None,
        (Some(before), Some(after)) => {
            Some(html! { code { (before.short()) } " → " code { (after.short()) } })
        }
        (None, Some(after)) => Some(html! { "→ " code { (after.short()) } }),
        (Some(before), None) => Some(html! { code { (before.short()) } " →" }),
    }
}
