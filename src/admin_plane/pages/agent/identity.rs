//! How an agent got in and stays in.

use maud::{Markup, html};

use super::super::layout::section;
use super::super::parts::{Fact, ago, button_link, copy_inline, count, facts, visible};
use super::super::scene::Scene;
use super::path;
use crate::app::agents::{AgentDetail, AgentIdentity};
use crate::auth::permission::Permission;
use crate::fleet::agent::Standing;
use crate::fleet::identity::{Credential, CredentialState, Scope};

/// The tab.
#[must_use]
pub fn identity(detail: &AgentDetail, view: &AgentIdentity, scene: &Scene<'_>) -> Markup {
    html! {
        (section("Record", None, &record(detail)))
        (section("How it came here", None, &origin(detail, view, scene)))
        (section("Credential", None, &credential(detail, view, scene)))
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

fn credential(detail: &AgentDetail, view: &AgentIdentity, scene: &Scene<'_>) -> Markup {
    let Some(credential) = &view.credential else {
        return html! { p.soft { "The credential can't be found any more; enrol the host again." } };
    };
    let may = scene.may(Permission::RevokeAgents);
    let revocable = matches!(
        detail.registration.standing,
        Standing::Active | Standing::Conflict { .. }
    );
    html! {
        (facts(&[
            Fact::new("State", state(credential, scene)),
            Fact::new("Speaks for", scope(credential, view.shared_by)),
            Fact::new("Made", ago(credential.created_at, scene.now)),
            Fact {
                term: "First used",
                value: Some(credential.first_used_at.map_or_else(
                    || html! { span.quiet { "not yet" } },
                    |at| ago(at, scene.now),
                )),
            },
            Fact::new("Credential id", copy_inline(&credential.id.to_string(), "the credential id")),
        ]))
        p.quiet { "The secret itself lies on the host alone. A stock Supervisor reads it from its file at every start, so it stays valid until it is revoked." }
        @if may && revocable { div.buttons { (button_link("Revoke its credential", &format!("{}/act/revoke", path(detail)), false)) } }
    }
}

fn state(credential: &Credential, scene: &Scene<'_>) -> Markup {
    html! {
        @match credential.state {
            CredentialState::Active => "accepted",
            CredentialState::Revoked { at } => { "revoked " (ago(at, scene.now)) }
            CredentialState::Quarantined { at } => { "in quarantine since " (ago(at, scene.now)) ": it kept presenting uids of other agents" }
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
