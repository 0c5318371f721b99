//! Credentials of agents.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{
    Column, Confirm, Empty, Pager, Row, Status, Table, ago, badge, confirm, count, empty, post_button, table,
    visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, quiet};
use crate::app::claims::{CredentialView, NamedAgent};
use crate::auth::permission::Permission;
use crate::fleet::identity::{Credential, CredentialState, Purpose, Scope};
use crate::fleet::time::Timestamp;

/// The most credentials that are listed.
const MOST_LISTED: usize = 200;
/// The most agents of a credential that are named.
const MOST_NAMED: usize = 3;

/// The page with the credentials after the first `from`.
pub(super) fn href(from: usize) -> String {
    if from == 0 {
        return "/enrolment".to_owned();
    }
    format!("/enrolment?from={from}")
}

pub(super) fn list(credentials: &[CredentialView], from: usize, scene: &Scene<'_>) -> Markup {
    if credentials.is_empty() {
        return empty(&Empty {
            title: "No credentials",
            words: html! { "Every agent that joins gets a credential of its own. You revoke it here or on the agent's page." },
            fill: None,
        });
    }
    let row = |view: &CredentialView| {
        let credential = &view.credential;
        Row {
            key: credential.id.to_string(),
            name: title(view),
            cells: vec![
                state(credential, scene.now),
                html! { div.name { (behind(view)) } },
                scope(&credential.scope),
                ago(credential.created_at, scene.now),
                html! { @match credential.first_used_at { Some(at) => (ago(at, scene.now)), None => "never" } },
                acts(view, scene),
            ],
        }
    };
    // What waits for a decision first, then what speaks for many; those of single agents are on their pages too.
    let mut listed: Vec<_> = credentials.iter().collect();
    listed.sort_by_key(|view| rank(&view.credential));
    let rows: Vec<_> = listed.into_iter().skip(from).take(MOST_LISTED).map(row).collect();
    let next = from.saturating_add(MOST_LISTED);
    let next = (next < credentials.len()).then(|| href(next));
    table(&Table {
        id: "credentials",
        caption: "Credentials: quarantined ones first, then those of gateways and pools, then the newest",
        columns: &[
            Column::of("State"),
            Column::of("Agents"),
            Column::of("Scope").wide(),
            Column::of("Made").numbers().wide(),
            Column::of("First used").numbers().wide(),
            Column::of("").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("credential", "credentials"),
        pager: Some(Pager {
            first: (from > 0).then_some("/enrolment"),
            next: next.as_deref(),
            total: u64::try_from(credentials.len()).ok(),
        }),
    })
}

fn rank(credential: &Credential) -> u8 {
    match (credential.state, &credential.scope) {
        (CredentialState::Quarantined { .. }, _) => 0,
        (CredentialState::Active, Scope::Many { .. }) => 1,
        (CredentialState::Active, Scope::One { .. }) => 2,
        (CredentialState::Revoked { .. }, _) => 3,
    }
}

fn state(credential: &Credential, now: Timestamp) -> Markup {
    match credential.state {
        CredentialState::Active if credential.is_lapsed(now) => badge(Status::Unknown, Some("Lapsed")),
        CredentialState::Active => match credential.purpose {
            Purpose::Main => badge(Status::Healthy, Some("Accepted")),
            Purpose::Candidate { .. } => badge(Status::InProgress, Some("Candidate")),
            Purpose::Recovery { .. } => badge(Status::Unknown, Some("Recovery")),
        },
        CredentialState::Revoked { at } => {
            html! { (badge(Status::Unknown, Some("Revoked"))) " " (quiet(&ago(at, now))) }
        }
        CredentialState::Quarantined { at } => {
            html! { (badge(Status::Down, Some("Quarantined"))) " " (quiet(&ago(at, now))) }
        }
    }
}

fn behind(view: &CredentialView) -> Markup {
    let rest = view.agents.len().saturating_sub(MOST_NAMED);
    html! {
        @if let Scope::Many { name, .. } = &view.credential.scope { @if !name.is_empty() { strong { (visible(name)) } " " } }
        @if view.agents.is_empty() { (quiet(&html! { "no agent yet" })) }
        @for (at, NamedAgent { id, title }) in view.agents.iter().take(MOST_NAMED).enumerate() {
            @if at > 0 { ", " } a href={ "/agents/" (id) } { (visible(title)) }
        }
        @if rest > 0 { " and " (count(rest as u64, "other", "others")) }
        @if matches!(view.credential.state, CredentialState::Quarantined { .. }) {
            span.sub { "It kept presenting the uids of other agents. Release it once you know why: a cloned image, or somebody who tries." }
        }
    }
}

fn scope(scope: &Scope) -> Markup {
    match scope {
        Scope::One { .. } => html! { "one agent" },
        Scope::Many {
            maximum,
            group,
            networks,
            by_hand,
            ..
        } => html! {
            "at most " (count(u64::from(*maximum), "agent", "agents"))
            @if let Some(group) = group { " in " a href={ "/groups/" (group) } { (group) } }
            @if !networks.is_empty() { " from " @for (at, network) in networks.iter().enumerate() { @if at > 0 { ", " } (network.to_string()) } }
            @if *by_hand { ", each to be approved" }
        },
    }
}

fn acts(view: &CredentialView, scene: &Scene<'_>) -> Markup {
    let id = view.credential.id;
    if !scene.may(Permission::RevokeAgents) {
        return html! {};
    }
    html! {
        div.buttons {
            @if matches!(view.credential.state, CredentialState::Quarantined { .. }) {
                (post_button("Release", &format!("/enrolment/credentials/{id}/release"), &[], scene.form_token))
            }
            @if !matches!(view.credential.state, CredentialState::Revoked { .. }) {
                a href={ "/enrolment/credentials/" (id) "/revoke" } { "Revoke" }
            }
        }
    }
}

fn title(view: &CredentialView) -> String {
    match (&view.credential.scope, view.agents.as_slice()) {
        (Scope::Many { name, .. }, _) if !name.is_empty() => name.clone(),
        (_, [only]) => only.title.clone(),
        (_, agents) => count(agents.len() as u64, "agent", "agents"),
    }
}

/// The words that have to be typed to revoke a credential; none for that of one agent.
#[must_use]
pub fn words_to_revoke(view: &CredentialView) -> Option<String> {
    let many = matches!(view.credential.scope, Scope::Many { .. });
    many.then(|| format!("revoke {}", count(view.agents.len() as u64, "agent", "agents")))
}

/// What is asked before a credential is revoked.
#[must_use]
pub fn revoke(view: &CredentialView, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let agents = count(view.agents.len() as u64, "agent", "agents");
    let words = words_to_revoke(view);
    html! {
        (page_head(&html! { "Revoke a credential" }, None, None))
        (confirm(&Confirm {
            question: &format!("Revoke the credential of {}?", crate::admin_plane::pages::parts::visible_text(&title(view))),
            consequences: html! {
                @match view.credential.purpose {
                    Purpose::Main => p { "It speaks for " (agents) ". Their connections close within two seconds, and they can't come back until they enrol again. Older and newer credentials of the same agent go with it." },
                    Purpose::Candidate { .. } => p { "It was made to replace another one and wasn't used yet; only it goes. If its agent was offered it already and is about to use it, that agent stays out until it falls back to the one that it had." },
                    Purpose::Recovery { .. } => p { "It was replaced and is good for coming back only; only it goes. An agent that reads it from a file, as a Supervisor does, can't come back after its next restart." },
                }
                p { "The collectors go on with the configuration that they have. This can't be taken back." }
                @if view.agents.len() > 1 {
                    ul { @for NamedAgent { id, title } in view.agents.iter().take(20) { li { a href={ "/agents/" (id) } { (visible(title)) } } } }
                }
            },
            typed: words.as_deref(),
            error: errors.field("confirm"),
            button: &format!("Revoke the credential of {agents}"),
            destructive: true,
            action: &format!("/enrolment/credentials/{}/revoke", view.credential.id),
            fields: &[],
            cancel: "/enrolment",
            form_token: scene.form_token,
        }))
    }
}
