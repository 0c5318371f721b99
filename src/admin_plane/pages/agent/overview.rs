//! The first tab of an agent: who it is, where it belongs, and what can be done with it.

use maud::{Markup, html};

use super::super::layout::section;
use super::super::parts::{
    Fact, ago, button_link, copy_inline, facts, health_tree, labels, post_button, visible,
};
use super::super::scene::Scene;
use super::super::terms::told;
use super::{health, path};
use crate::app::agents::AgentDetail;
use crate::auth::permission::Permission;
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{Standing, Transport};
use crate::fleet::attributes::{Attribute, Value};
use crate::fleet::group::Because;
use crate::fleet::name::Name;

/// So many further facts are shown; the others are counted.
const FACTS_SHOWN: usize = 60;
/// So much of a value is shown.
const VALUE_CHARACTERS: usize = 400;

/// The tab.
#[must_use]
pub fn overview(detail: &AgentDetail, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    let health_link = html! { a href={ (path) "/health" } { "Open" } };
    html! {
        div.columns {
            (section("Agent", None, &about(detail, scene)))
            (section("Health", Some(&health_link), &html! {
                @if let Some(reported) = &detail.health { (health_tree("health", &health::nodes(reported, health::root_name(detail)), scene.now)) }
                @else { p.soft { "Not reported." } }
            }))
        }
        (section("Belongs to", None, &membership(detail, scene)))
        @if detail.description.is_some() { (section("All that it reports of itself", None, &reported(detail))) }
        @let can = acts(detail, scene);
        @if let Some(can) = can { (section("What can be done", None, &can)) }
    }
}

fn about(detail: &AgentDetail, scene: &Scene<'_>) -> Markup {
    let summary = &detail.summary;
    let now = scene.now;
    let fact = |key: &str| {
        detail
            .description
            .as_ref()
            .and_then(|described| described.fact(key))
    };
    let os = fact("os.description").or_else(|| Some(summary.os_type.clone()));
    let program = format!("{} {}", summary.service_name, summary.service_version);
    let connected = match summary.presence {
        Presence::Online { transport, since } => {
            let by = match transport {
                Transport::WebSocket => "over a WebSocket",
                Transport::Http => "by polling",
            };
            Some(html! { (by) ", since " (ago(since, now)) })
        }
        Presence::Awaited { since } => Some(html! { "not yet: the server started " (ago(since, now)) }),
        Presence::Offline { since } => Some(html! { "no, since " (ago(since, now)) }),
        Presence::NeverSeen => None,
    };
    facts(&[
        Fact::text("Host", Some(&summary.host_name)),
        Fact::text("Program", Some(program.trim())),
        Fact::text("Operating system", os.as_deref()),
        Fact::text("Architecture", fact("host.arch").as_deref()),
        Fact {
            term: "Connected",
            value: connected,
        },
        Fact {
            term: "Process started",
            value: detail.started_at.map(|at| ago(at, now)),
        },
        Fact {
            term: "Labels",
            value: (!summary.labels.is_empty()).then(|| {
                labels(
                    summary
                        .labels
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_str())),
                )
            }),
        },
        Fact {
            term: "Instance uid",
            value: summary
                .instance_uid
                .map(|uid| copy_inline(&uid.to_string(), "the instance uid")),
        },
        Fact::new(
            "Enrolled",
            html! {
                (ago(detail.registration.origin.at, now)) " "
                a href={ (path(detail)) "/identity" } { "how" }
            },
        ),
    ])
}

/// Which group it is in, why, and what its facts propose.
fn membership(detail: &AgentDetail, scene: &Scene<'_>) -> Markup {
    let registration = &detail.registration;
    let (id, group) = (&detail.summary.id, &registration.group);
    let unassigned = *group == Name::unassigned();
    let may = scene.may(Permission::Publish);
    html! {
        p {
            @if unassigned { "No group claims it: it is observed, and sent nothing." }
            @else { a href={ "/groups/" (group) } { (group) } ", " (because(&registration.because)) "." }
            @if registration.own_target.is_some() { " It has a configuration of its own, which goes before its group's." }
        }
        @if let Some(moving) = &detail.pending_move {
            p { "It came from " (visible(moving.from.as_str())) " " (ago(moving.since, scene.now)) " and keeps what it has until a rollout of the group takes it: " (visible(&moving.waits)) "." }
        }
        @if let Some(left) = &detail.left_behind {
            p { "It has something else than its group: " (visible(&left.why)) " (" a href={ "/rollouts/" (left.rollout) } { "rollout " (left.rollout) } ")." }
        }
        @if let Some(terms) = &registration.pin_terms { p.soft { "Pinned " (told(terms, scene.now)) } }
        @if let Some(terms) = &registration.own_terms { p.soft { "Its own configuration was published " (told(terms, scene.now)) } }
        @if let Some(proposed) = &registration.proposed_group {
            p { "What it reports of itself would put it into " a href={ "/groups/" (proposed) } { (proposed) } ". That takes effect when somebody confirms it, since reports are claims." }
            @if may {
                div.buttons { (post_button(&format!("Put it into {proposed}"), &format!("/agents/{id}/act/confirm-group"), &[("group", proposed.as_str())], scene.form_token)) }
            }
        }
        @if may {
            div.buttons {
                (button_link("Pin to a group", &format!("/agents/{id}/group"), false))
                (button_link("Publish to this agent alone", &format!("/agents/{id}/publish"), false))
                @if registration.pin.is_some() { (post_button("Let selectors decide again", &format!("/agents/{id}/act/unpin"), &[], scene.form_token)) }
            }
        }
    }
}

fn because(why: &Because) -> Markup {
    html! {
        @match why {
            Because::Pin => "pinned by hand",
            Because::Token => "by the token that enrolled it",
            Because::Label(selector) => { "by its labels: " code { (visible(selector)) } }
            Because::Fact(selector) => { "by what it reports: " code { (visible(selector)) } }
            Because::Nothing => "claimed by none",
        }
    }
}

fn reported(detail: &AgentDetail) -> Markup {
    let all: Vec<&Attribute> = detail
        .description
        .iter()
        .flat_map(|described| described.identifying.iter().chain(&described.non_identifying))
        .collect();
    let rows: Vec<Fact<'_>> = all
        .iter()
        .take(FACTS_SHOWN)
        .map(|attribute| Fact::new(&attribute.key, value(&attribute.value)))
        .collect();
    let more = all.len().saturating_sub(FACTS_SHOWN);
    html! {
        @if rows.is_empty() { p.soft { "Nothing." } } @else { (facts(&rows)) }
        @if more > 0 { p.quiet { "and " (more) " more" } }
    }
}

fn value(value: &Value) -> Markup {
    let text = match value {
        Value::Null => return html! { span.quiet { "no value" } },
        Value::Bytes(bytes) => return html! { span.quiet { (bytes.len()) " bytes" } },
        Value::Array(items) => {
            let plain: Vec<String> = items.iter().take(20).filter_map(Value::text).collect();
            if items.is_empty() || plain.len() < items.len().min(20) {
                return html! { span.quiet { "a list of " (items.len()) } };
            }
            let mut text = plain.join(", ");
            if items.len() > 20 {
                text.push_str(", …");
            }
            text
        }
        Value::Object(items) => return html! { span.quiet { "an object of " (items.len()) " values" } },
        plain @ (Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_)) => {
            plain.text().unwrap_or_default()
        }
    };
    let cut: String = text.chars().take(VALUE_CHARACTERS).collect();
    html! {
        @if text.is_empty() { span.quiet { "empty" } }
        @else { span.break { (visible(&cut)) @if cut.len() < text.len() { "…" } } }
    }
}

/// The acts that are not about one tab; `None` when there are none for whoever looks.
fn acts(detail: &AgentDetail, scene: &Scene<'_>) -> Option<Markup> {
    let path = path(detail);
    let (active, revoked) = match detail.registration.standing {
        Standing::Active => (true, false),
        Standing::Pending | Standing::Conflict { .. } => (false, false),
        Standing::Revoked { .. } => (false, true),
        Standing::Archived { .. } => return None,
    };
    if !scene.may(Permission::OperateAgents) {
        return None;
    }
    let entry = |words: &str, act: &str, what: &str| {
        html! { li { (button_link(words, &format!("{path}/act/{act}"), false)) span.help { (what) } } }
    };
    Some(html! {
        ul.acts {
            @if active && detail.delivery.hold.is_none() && detail.registration.suspension.is_none() {
                (entry("Hold this agent", "hold", "Nothing is sent to it until it is released, or for a time."))
                (entry("Detach this agent", "detach", "It is only observed: what its group publishes doesn't reach it."))
            }
            (entry("Archive this agent", "archive", "For hosts that are gone: not listed any more, given nothing."))
            @if !revoked && scene.may(Permission::RevokeAgents) { (entry("Revoke its credential", "revoke", "For hosts that are lost or taken over: never let in again.")) }
        }
    })
}
