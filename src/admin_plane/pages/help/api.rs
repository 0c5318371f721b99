//! The API, route by route.

use maud::{Markup, html};

use super::part;
use crate::admin_plane::Site;
use crate::admin_plane::pages::layout::section;
use crate::admin_plane::pages::parts::{Column, Row, Table, code_block, table};
use crate::admin_plane::routes::{Face, Need, described};
use crate::auth::permission::Role;

pub(super) fn page(site: &Site) -> Markup {
    let host = site.names.first().map_or("localhost", String::as_str);
    let example = format!(
        "curl --cacert ca.pem -H \"Authorization: Bearer $MUSTER_TOKEN\" https://{host}:{}/api/v1/agents",
        site.admin_port
    );
    html! {
        (part("Signing in", &html! {
            p { "Scripts send an API token, which is made under " a href="/account" { "Account" } " and does at most what its role allows:" }
            (code_block(&example, "the request"))
            p { "Pages, command line and API do the same things by the same rules. The whole API, with every field, is described by its " a href="/api/v1/openapi.json" { "OpenAPI document" } "." }
        }))
        (part("Manners", &html! {
            ul {
                li { "Failures are " code { "application/problem+json" } " with a title, a sentence, and the fields that are wrong. The " code { "X-Request-Id" } " of an answer finds it in the log." }
                li { "What has revisions takes " code { "If-Match" } " with the " code { "ETag" } " that was read, and is refused with 412 when somebody else changed it since." }
                li { "What makes something takes an " code { "Idempotency-Key" } ": the same request with the same key makes it once." }
                li { "Unknown fields are refused by name. Too many requests are 429, with " code { "Retry-After" } "." }
            }
        }))
        (section("Routes", None, &routes()))
    }
}

fn routes() -> Markup {
    let rows: Vec<Row> = described()
        .into_iter()
        .filter(|row| row.face == Face::Api && !row.summary.is_empty())
        .map(|row| Row {
            key: format!("{} {}", row.method, row.path),
            name: format!("{} {}", row.method, row.path),
            cells: vec![
                html! { code { (row.method) " " (row.path) } },
                html! { (row.summary) },
                html! { (need(row.need)) },
            ],
        })
        .collect();

    table(&Table {
        id: "routes",
        caption: "Routes of the API",
        columns: &[
            Column::of("Route"),
            Column::of("What it does"),
            Column::of("Who may"),
        ],
        rows: &rows,
        picks: false,
        noun: ("route", "routes"),
        pager: None,
    })
}

fn need(need: Need) -> String {
    match need {
        Need::Nothing => "anybody".to_owned(),
        Need::SignedIn => "whoever is signed in".to_owned(),
        Need::LocalSocket => "the operator of the host".to_owned(),
        Need::Permission(permission) => match permission.least_role() {
            Role::Viewer => "whoever is signed in".to_owned(),
            Role::Admin => "admin".to_owned(),
            role @ (Role::Operator | Role::Deployer) => format!("{} and above", role.word()),
        },
    }
}
