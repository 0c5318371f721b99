//! How an agent got in and stays in.

use maud::{Markup, html};

use super::super::layout::section;
use super::super::parts::{
    Column, Fact, Row, Status, Table, ago, badge, button_link, copy_inline, count, facts, table, visible,
};
use super::super::scene::Scene;
use super::path;
use crate::app::agents::{AgentDetail, AgentIdentity, Rotation};
use crate::auth::permission::Permission;
use crate::fleet::agent::Standing;
use crate::fleet::identity::{Credential, CredentialState, Purpose, Scope};
use crate::fleet::time::Timestamp;

/// The tab.
#[must_use]
pub fn identity(detail: &AgentDetail, view: &AgentIdentity, scene: &Scene<'_>) -> Markup {
    html! {
        (section("Record", None, &record(detail)))
        (section("How it came here", None, &origin(detail, view, scene)))
        (section("Credentials", None, &credentials(detail, view, scene)))
        (section("What it says it can do", None, &capabilities(detail)))
    }
}

fn record(detail: &AgentDetail) -> Markup {
    let registration = &detail.registration;
    let replaced = &registration.replaced_uids;
    html! {
        (facts(&[
            Fact::new("Agent id", copy_inline(&registration.id.to_string(), "the agent id")),
            Fact {
                term: "Instance uid",
                value: Some(registration.uid.map_or_else(
                    || html! { span.quiet { "none before it first speaks" } },
                    |uid| copy_inline(&uid.to_string(), "the instance uid"),
                )),
            },
            Fact {
                term: "Uids before",
                value: (!replaced.is_empty()).then(|| html! { @for uid in replaced { div { code { (uid) } } } }),
            },
            Fact {
                term: "Last message",
                value: detail.sequence.map(|number| html! { "number " (number) }),
            },
        ]))
        p.quiet { "The agent id stays; the uid is what the agent calls itself, and may change." }
    }
}

fn origin(detail: &AgentDetail, view: &AgentIdentity, scene: &Scene<'_>) -> Markup {
    let origin = &detail.registration.origin;
    let token = view.token.as_ref().map(|token| {
        let note = if token.note.is_empty() { "a token without a note" } else { token.note.as_str() };
        html! {
            @if scene.may(Permission::EnrolAgents) { a href="/enrolment" { (visible(note)) } } @else { (visible(note)) }
            ", made by " (visible(&token.created_by)) " " (ago(token.created_at, scene.now))
        }
    });
    facts(&[
        Fact::new("Enrolled", ago(origin.at, scene.now)),
        Fact::text("From", Some(&origin.address)),
        Fact::text("Host name then", Some(&origin.host)),
        Fact {
            term: "With",
            value: token.or_else(|| {
                origin
                    .token
                    .map(|_| html! { span.quiet { "a token that is gone" } })
            }),
        },
    ])
}

fn credentials(detail: &AgentDetail, view: &AgentIdentity, scene: &Scene<'_>) -> Markup {
    let Some(main) = view.credentials.first() else {
        return html! { p.soft { "The credential can't be found any more; enrol the host again." } };
    };
    let standing = detail.registration.standing;
    let may = scene.may(Permission::RevokeAgents);
    let revocable = matches!(
        standing,
        Standing::Active | Standing::Pending | Standing::Conflict { .. }
    );
    let act = |act: &str| format!("{}/act/{act}", path(detail));
    html! {
        p { (rotation(&view.rotation, scene)) }
        (facts(&[Fact::new("Speaks for", scope(main, view.shared_by))]))
        (list(view, scene))
        p.quiet { "No secret is kept here: the first lies on the host alone, and one that is offered is derived from this server's key each time. A stock Supervisor reads the one of its file at every start and keeps a newer one in memory only, so the one of the file stays good for coming back until it is revoked." }
        @if may && standing == Standing::Active {
            @match &view.cannot_rotate {
                None => { div.buttons { (button_link("Give it a new credential", &act("rotate"), false)) span.help { "It reconnects within seconds; its collector goes on." } } }
                Some(why) => p.quiet { "It can't be given a new credential by an offer: " (visible(why)) "." }
            }
        }
        @if may && revocable { div.buttons { (button_link("Revoke its credentials", &act("revoke"), false)) } }
    }
}

/// Where the exchange of its credential stands, as a sentence.
fn rotation(rotation: &Rotation, scene: &Scene<'_>) -> Markup {
    let now = scene.now;
    html! {
        @match rotation {
            Rotation::Never => "It uses the credential that it was enrolled with.",
            Rotation::Waiting { since } => { (badge(Status::InProgress, Some("Waiting"))) " A new credential was made " (ago(*since, now)) " and is offered as soon as the agent can be reached." }
            Rotation::Offered { at, times } => {
                (badge(Status::InProgress, Some("Offered"))) " It was offered a new credential " (ago(*at, now))
                @if *times > 1 { " (" (count(u64::from(*times), "time", "times")) " in all)" }
                " and hasn't used it yet. Both are accepted."
            }
            Rotation::Refused { error, at } => {
                (badge(Status::Down, Some("Refused"))) " It could not use the credential that it was offered, " (ago(*at, now))
                @if !error.is_empty() { ": " (visible(error)) }
                ". It goes on with the one that it had; nothing is offered again until you give it another."
            }
            Rotation::Lapsed { at } => { (badge(Status::Degraded, Some("Lapsed"))) " The credential that it was offered was never used and lapsed " (ago(*at, now)) ". It goes on with the one that it had." }
            Rotation::Recovering => { (badge(Status::InProgress, Some("Coming back"))) " It came back with a credential that was replaced. It is answered, offered the present one, and given nothing else until it uses that." }
            Rotation::Done { at } => { "It uses the credential that it was offered, since " (ago(*at, now)) "." }
        }
    }
}

/// So many credentials are listed; those of long ago are in the audit log.
const MOST_LISTED: usize = 10;

fn list(view: &AgentIdentity, scene: &Scene<'_>) -> Markup {
    let moment = |at: Option<Timestamp>, otherwise: &str| {
        at.map_or_else(|| html! { span.quiet { (otherwise) } }, |at| ago(at, scene.now))
    };
    let rows: Vec<Row> = view
        .credentials
        .iter()
        .take(MOST_LISTED)
        .map(|credential| Row {
            key: credential.id.to_string(),
            name: credential.id.to_string(),
            cells: vec![
                state(credential, view.in_use == Some(credential.id), scene.now),
                copy_inline(&credential.id.to_string(), "the credential id"),
                ago(credential.created_at, scene.now),
                moment(credential.first_used_at, "not yet"),
                moment(credential.purpose.lapses_at(), "never"),
            ],
        })
        .collect();
    let column = |words, number| Column {
        words,
        number,
        ..Column::default()
    };
    table(&Table {
        id: "credentials",
        caption: "Credentials of this agent, the main one first",
        columns: &[
            column("State", false),
            column("Credential id", false),
            column("Made", true),
            column("First used", true),
            column("Lapses", true),
        ],
        rows: &rows,
        picks: false,
        noun: ("credential", "credentials"),
        pager: None,
    })
}

fn state(credential: &Credential, in_use: bool, now: Timestamp) -> Markup {
    let (status, words, sub) = match (credential.state, credential.purpose) {
        (CredentialState::Revoked { at }, _) => (Status::Unknown, "Revoked", Some(ago(at, now))),
        (CredentialState::Quarantined { .. }, _) => (
            Status::Down,
            "Quarantined",
            Some(html! { "it kept presenting uids of other agents" }),
        ),
        _ if credential.is_lapsed(now) => (Status::Unknown, "Lapsed", None),
        (CredentialState::Active, Purpose::Main) => (Status::Healthy, "Main", None),
        (CredentialState::Active, Purpose::Candidate { .. }) => (
            Status::InProgress,
            "Candidate",
            Some(html! { "accepted, not used yet" }),
        ),
        (CredentialState::Active, Purpose::Recovery { .. }) => (
            Status::Unknown,
            "Recovery",
            Some(html! { "good for coming back only" }),
        ),
    };
    html! {
        div.name {
            (badge(status, Some(words)))
            @if in_use { " in use" }
            @if let Some(sub) = sub { span.sub { (sub) } }
        }
    }
}

fn scope(credential: &Credential, shared_by: usize) -> Markup {
    html! {
        @match &credential.scope {
            Scope::One { .. } => "this agent only",
            Scope::Many { maximum, name, .. } => {
                (count(shared_by as u64, "agent", "agents")) " of at most " (maximum)
                @if !name.is_empty() { ", as " (visible(name)) }
            }
        }
    }
}

fn capabilities(detail: &AgentDetail) -> Markup {
    html! {
        @if detail.capabilities.is_empty() { p.soft { "Not reported." } }
        @else { ul.words { @for words in &detail.capabilities { li { (words) } } } }
        @if !detail.custom_capabilities.is_empty() {
            p { "Of its own: " @for (at, name) in detail.custom_capabilities.iter().take(50).enumerate() { @if at > 0 { ", " } code { (visible(name)) } } }
        }
    }
}
