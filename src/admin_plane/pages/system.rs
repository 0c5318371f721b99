//! The server itself: who it is, how long its certificates hold, how large its store is.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::layout::{page_head, section};
use super::parts::{
    Column, Fact, Row, Status, Table, absolute, ago, badge, copy_inline, count, duration_words, facts,
    post_button, since, table, visible,
};
use super::scene::{Scene, bytes, quiet};
use crate::app::certificates::WORTH_A_LOOK;
use crate::app::system::{ServerState, TableState};
use crate::fleet::time::Timestamp;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct SystemPage {
    /// The server as it stands.
    pub state: ServerState,
    /// The name of the installation.
    pub site: String,
    /// Where its data lies.
    pub data_folder: String,
    /// The names and addresses that it answers to.
    pub names: Vec<String>,
    /// The port of agents.
    pub agent_port: u16,
    /// The fingerprint of its authority.
    pub ca_fingerprint: String,
    /// When the authority's certificate ends.
    pub ca_expires: Timestamp,
    /// When the server's own certificate ends.
    pub certificate_expires: Timestamp,
    /// When the certificate that was given for the admin plane ends; `None` = it shows the server's own.
    pub given_expires: Option<Timestamp>,
}

/// The page.
#[must_use]
pub fn system(view: &SystemPage, scene: &Scene<'_>) -> Markup {
    html! {
        (page_head(&html! { "System" }, Some(&html! { "up " (since(view.state.started, scene.now)) }), None))
        div.columns {
            (section("Server", None, &facts(&[
                Fact::text("Site", Some(&view.site)),
                Fact::text("Version", Some(&view.state.version)),
                Fact::new("Started", ago(view.state.started, scene.now)),
                Fact::new("First started", ago(view.state.founded, scene.now)),
                Fact::new("Data folder", html! { code { (visible(&view.data_folder)) } }),
                Fact::new("Answers to", html! { @for (at, name) in view.names.iter().enumerate() { @if at > 0 { ", " } (visible(name)) } }),
                Fact::new("Agents connect to", html! { "port " (view.agent_port) ", " (count(view.state.connections, "connection", "connections")) " open" }),
            ])))
            (section("Trust", Some(&html! { a href="/ca.pem" { "Download ca.pem" } }), &html! {
                (facts(&trust(view, scene)))
                p.soft { "The server renews its own certificate by itself. Agents trust the authority that has this fingerprint." }
                @if view.given_expires.is_some() {
                    p.soft { "These pages show the certificate that was given as files. Whoever gave it renews it there; the server takes it up by itself." }
                }
            }))
        }
        div id="store" { (section("Store", None, &store(view, scene))) }
        @if !view.state.unreadable.is_empty() { div id="unreadable" { (section("Records that can't be read", None, &unreadable(view))) } }
        (section("For monitoring and scripts", None, &html! {
            (facts(&[
                Fact::new("Metrics", html! { a href="/metrics" { "/metrics" } ", for Prometheus, with an API token" }),
                Fact::new("Probes", html! { a href="/healthz" { "/healthz" } " and " a href="/readyz" { "/readyz" } }),
                Fact::new("API", html! { a href="/api/v1/openapi.json" { "OpenAPI document" } }),
                Fact::new("API tokens", html! { "are made under " a href="/account" { "Account" } }),
            ]))
        }))
    }
}

fn trust<'a>(view: &'a SystemPage, scene: &Scene<'_>) -> Vec<Fact<'a>> {
    let fingerprint = copy_inline(&view.ca_fingerprint, "the fingerprint of the authority");
    let mut rows = vec![
        Fact::new("CA fingerprint", fingerprint),
        Fact::new("CA certificate", ends(view.ca_expires, scene.now)),
        Fact::new("Server certificate", ends(view.certificate_expires, scene.now)),
    ];
    if let Some(given) = view.given_expires {
        rows.push(Fact::new("Certificate of these pages", ends(given, scene.now)));
    }
    rows
}

fn ends(at: Timestamp, now: Timestamp) -> Markup {
    let left = at.since(now);
    html! {
        @if at <= now { (badge(Status::Down, Some("Ended"))) " " (ago(at, now)) }
        @else if left < WORTH_A_LOOK { (badge(Status::Degraded, Some("Ends soon"))) " in " (duration_words(left)) }
        @else { "valid for " (duration_words(left)) }
        " " (quiet(&html! { (absolute(at)) }))
    }
}

/// Records that are not what was written, and what to do.
fn unreadable(view: &SystemPage) -> Markup {
    let found = &view.state.unreadable;
    let rows: Vec<_> = found
        .iter()
        .map(|row| Row {
            key: format!("{} {}", row.table, row.key),
            name: row.key.clone(),
            cells: vec![
                html! { code { (visible(&row.table)) } },
                html! { code { (visible(&row.key)) } },
                html! { (visible(&row.why)) },
            ],
        })
        .collect();
    html! {
        p { "Nothing is done to them: they are left out, and what depends on them is held. Restore a backup, or make what they were again; " code { "muster doctor" } " looks at the whole folder while the server is stopped." }
        (table(&Table {
            id: "unreadable-records",
            caption: "Records that can't be read",
            columns: &[
                Column { words: "Table", ..Column::default() },
                Column { words: "Key", ..Column::default() },
                Column { words: "What is wrong", ..Column::default() },
            ],
            rows: &rows,
            picks: false,
            noun: ("record", "records"),
            pager: None,
        }))
    }
}

/// What the disk and the data folder hold, and when the records were verified.
fn room<'a>(view: &SystemPage, scene: &Scene<'_>) -> Vec<Fact<'a>> {
    let (room, scrub) = (&view.state.room, &view.state.scrub);
    let mut rows = Vec::new();
    if let Some(short) = &view.state.read_only {
        rows.push(Fact::new(
            "Changes",
            html! { (badge(Status::Down, Some("Read-only"))) " " (visible(short)) },
        ));
    }
    if let Some(free) = room.free_bytes {
        rows.push(Fact::new("Disk", html! { (bytes(free)) " are left; with less than " (bytes(room.low_water_bytes)) " nothing but what is vital is written" }));
    }
    if let Some(used) = room.used_bytes {
        rows.push(Fact::new("Data folder", html! {
            "takes " (bytes(used))
            @if let Some(quota) = room.quota_bytes { " of " (bytes(quota)) } @else { ", without a limit of its own" }
            @if room.ballast_bytes > 0 { "; " (bytes(room.ballast_bytes)) " of it are kept back for when there is no room" }
        }));
    }
    if let Some(began) = scrub.began {
        rows.push(Fact::new("Records verified", html! {
            @if let Some(ended) = scrub.ended { (grouped(scrub.rows)) " of them, " (ago(ended, scene.now)) }
            @else { "under way since " (ago(began, scene.now)) ", " (grouped(scrub.rows)) " so far" }
            @if scrub.unreadable > 0 { "; " (badge(Status::Down, Some("Damaged"))) " " (grouped(scrub.unreadable)) }
        }));
    }
    for task in &view.state.mending {
        let words = format!(
            "{} (died {})",
            task.message,
            count(u64::from(task.times), "time", "times")
        );
        rows.push(Fact::new(
            "Started again",
            html! { (task.task) ": " (visible(&words)) },
        ));
    }
    rows
}

fn store(view: &SystemPage, scene: &Scene<'_>) -> Markup {
    let rows: Vec<_> = view
        .state
        .tables
        .iter()
        .map(
            |TableState {
                 name,
                 rows,
                 bytes: size,
             }| Row {
                key: name.clone(),
                name: name.clone(),
                cells: vec![
                    html! { code { (visible(name)) } },
                    html! { (grouped(*rows)) },
                    html! { (bytes(*size)) },
                ],
            },
        )
        .collect();
    html! {
        p {
            @if view.state.store_bytes == 0 { "The store is in memory." } @else { "The file has " (bytes(view.state.store_bytes)) "." }
        }
        (facts(&room(view, scene)))
        (table(&Table {
            id: "tables",
            caption: "Tables of the store, the largest first",
            columns: &[
                Column { words: "Table", ..Column::default() },
                Column { words: "Rows", number: true, ..Column::default() },
                Column { words: "Size", number: true, ..Column::default() },
            ],
            rows: &rows,
            picks: false,
            noun: ("table", "tables"),
            pager: None,
        }))
        @if view.state.store_bytes > 0 {
            p.soft { "Compacting copies everything into a new file, compares the two and takes the new one. It needs as much room again while it runs; changes wait, agents stay connected." }
            (post_button("Compact the store: changes wait meanwhile", "/system/compact", &[], scene.form_token))
        }
    }
}

fn grouped(number: u64) -> String {
    let words = count(number, "", "");
    words.trim().to_owned()
}
