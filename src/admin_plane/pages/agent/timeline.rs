//! What happened to an agent.

use maud::{Markup, html};

use super::super::parts::{Empty, Event, Status, absolute, empty, timeline as event_list, visible};
use super::super::scene::Scene;
use crate::admin_plane::pages::layers::layer_links;
use crate::app::agents::TimelineView;
use crate::fleet::agent::{Happening, Transport};
use crate::fleet::hash::Digest;
use crate::fleet::suspension::Terms;
use crate::fleet::target::LayerRef;

/// The tab. `layers` tells what a digest was made of.
#[must_use]
pub fn timeline(view: &TimelineView, layers: impl Fn(Digest) -> Vec<LayerRef>, scene: &Scene<'_>) -> Markup {
    if view.entries.is_empty() {
        return empty(&Empty {
            title: "Nothing happened yet",
            words: html! { "Connections, configurations, restarts and changes of health appear here." },
            fill: None,
        });
    }
    let events: Vec<Event> = view
        .entries
        .iter()
        .map(|entry| {
            let (status, what, detail) = told(&entry.happening, &layers);
            Event {
                at: entry.at,
                status,
                what,
                detail,
            }
        })
        .collect();
    event_list(&events, scene.now)
}

/// Why, and until when.
fn on(terms: &Terms) -> Option<Markup> {
    let until = terms.until.map(|until| format!("until {}", absolute(until)));
    let reason = Some(terms.reason.clone()).filter(|reason| !reason.is_empty());
    let words: Vec<String> = reason.into_iter().chain(until).collect();
    (!words.is_empty()).then(|| visible(&words.join("; ")))
}

fn told(happening: &Happening, layers: impl Fn(Digest) -> Vec<LayerRef>) -> (Status, Markup, Option<Markup>) {
    let which = |digest: &Digest| {
        let links = layer_links(&layers(*digest));
        links.unwrap_or_else(|| html! { "a configuration" })
    };
    let plain = |status, words: &str| (status, html! { (words) }, None);
    let reason = |text: &str| (!text.is_empty()).then(|| visible(text));
    match happening {
        Happening::Enrolled => plain(Status::Healthy, "Was enrolled"),
        Happening::Approved { by } => (Status::Healthy, html! { "Was approved by " (visible(by)) }, None),
        Happening::Merged { by, from } => (
            Status::Healthy,
            html! { "Was enrolled again, as " (visible(by)) " found: the record that came of it is " a href={ "/agents/" (from) } { "archived" } },
            None,
        ),
        Happening::FirstContact => plain(Status::Healthy, "Spoke for the first time"),
        Happening::Connected {
            transport: Transport::WebSocket,
        } => plain(Status::Healthy, "Connected over a WebSocket"),
        Happening::Connected {
            transport: Transport::Http,
        } => plain(Status::Healthy, "Connected by polling"),
        Happening::Disconnected { reason: why } => (Status::Down, html! { "Went offline" }, reason(why)),
        Happening::Healthy => plain(Status::Healthy, "Became healthy"),
        Happening::Unhealthy { error } => (Status::Degraded, html! { "Became unhealthy" }, reason(error)),
        Happening::Restarted => plain(Status::InProgress, "Its process started anew"),
        Happening::ConfigOffered { digest } => {
            (Status::InProgress, html! { "Was offered " (which(digest)) }, None)
        }
        Happening::ConfigApplying { digest } => {
            (Status::InProgress, html! { "Is applying " (which(digest)) }, None)
        }
        Happening::ConfigApplied { digest } => (Status::Healthy, html! { "Applied " (which(digest)) }, None),
        Happening::ConfigFailed { digest, error } => {
            (Status::Down, html! { "Refused " (which(digest)) }, reason(error))
        }
        Happening::EffectiveConfigChanged { .. } => plain(Status::Unknown, "What it really runs changed"),
        Happening::ReportLost => plain(Status::Unknown, "A report was lost; its full state was asked for"),
        Happening::RestartSent => plain(Status::InProgress, "Was told to restart"),
        Happening::MessageSent { capability, message } => (
            Status::InProgress,
            html! { "Was sent the custom message " code { (visible(message)) } },
            Some(visible(capability)),
        ),
        Happening::UidAssigned => plain(Status::Unknown, "Was given another uid"),
        Happening::ConnectionOffered => plain(Status::InProgress, "Was offered a new credential"),
        Happening::ConnectionAccepted => plain(Status::Healthy, "Uses its new credential"),
        Happening::ConnectionFailed { error } => (
            Status::Down,
            html! { "Could not use its new credential" },
            reason(error),
        ),
        Happening::CameToRecover => plain(
            Status::InProgress,
            "Came back with a credential that was replaced, to be given the present one",
        ),
        Happening::GroupChanged { group } => (
            Status::Unknown,
            html! { "Moved to " a href={ "/groups/" (group) } { (group) } },
            None,
        ),
        Happening::Drifted => plain(Status::Degraded, "Runs something else than what is wanted"),
        Happening::Held { terms } => (
            Status::Unknown,
            html! { "Was held by " (visible(&terms.by)) },
            on(terms),
        ),
        Happening::Detached { terms } => (
            Status::Unknown,
            html! { "Was detached from its group by " (visible(&terms.by)) },
            on(terms),
        ),
        Happening::Released { by } => (
            Status::InProgress,
            html! { "Was given back by " (visible(by)) ": what is wanted reaches it again" },
            None,
        ),
        Happening::Pinned { group, terms } => (
            Status::Unknown,
            html! { "Was pinned to " a href={ "/groups/" (group) } { (group) } " by " (visible(&terms.by)) },
            on(terms),
        ),
        Happening::EndedByItself { what } => (
            Status::InProgress,
            html! { "Its " (what.word()) " ended by itself" },
            None,
        ),
        Happening::ReapplyOrdered { by } => (
            Status::InProgress,
            html! { (visible(by)) " had what is wanted offered once more" },
            None,
        ),
        Happening::HeldBackInTime => plain(
            Status::Degraded,
            "Was held: it knows a newer state than the store",
        ),
    }
}
