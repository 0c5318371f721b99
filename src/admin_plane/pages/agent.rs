//! One agent: one line of status on top, then tabs.

pub mod acts;
pub mod components;
pub mod configuration;
pub mod edit;
pub(in crate::admin_plane) mod handle;
pub mod health;
pub mod identity;
pub mod messages;
pub mod overview;
pub mod own;
pub mod timeline;

use maud::{Markup, html};

use super::agents::{age, standing};
use super::layout::page_head;
use super::parts::{
    Banner, BannerKind, Tab, ago, banner, button_link, live, post_button, status_line, tabs, visible,
    visible_text,
};
use super::scene::Scene;
use crate::app::agents::AgentDetail;
use crate::auth::permission::Permission;
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{Completeness, HoldReason, Standing, Transport, Verdict};
use crate::fleet::suspension::{Suspension, SuspensionKind};
use crate::fleet::time::Timestamp;

/// The tabs of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentTab {
    /// Facts, labels, group.
    Overview,
    /// Wanted, said, run.
    Configuration,
    /// The health tree.
    Health,
    /// What it is built from.
    Components,
    /// What happened.
    Timeline,
    /// How it got in and stays in.
    Identity,
    /// What is said beside OpAMP.
    Messages,
}

impl AgentTab {
    const ALL: [Self; 7] = [
        Self::Overview,
        Self::Configuration,
        Self::Health,
        Self::Components,
        Self::Timeline,
        Self::Identity,
        Self::Messages,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Configuration => "Configuration",
            Self::Health => "Health",
            Self::Components => "Components",
            Self::Timeline => "Timeline",
            Self::Identity => "Identity",
            Self::Messages => "Messages",
        }
    }

    /// The last part of its path; empty for the first.
    #[must_use]
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Configuration => "/configuration",
            Self::Health => "/health",
            Self::Components => "/components",
            Self::Timeline => "/timeline",
            Self::Identity => "/identity",
            Self::Messages => "/messages",
        }
    }
}

/// A page of an agent: its head, its tabs, and what one of them shows. `url` is the page's own, with its query.
#[must_use]
pub fn frame(detail: &AgentDetail, tab: AgentTab, url: &str, inner: &Markup, scene: &Scene<'_>) -> Markup {
    let topic = topic(detail);
    let topics = [topic.as_str()];
    html! {
        (page_head(&visible(&detail.summary.name), None, Some(&actions(detail, scene))))
        (live("state", &topics, url, &html! {
            (status(detail, scene.now))
            (notices(detail, scene))
        }))
        (tab_row(detail, tab))
        (live("agent", &topics, url, inner))
    }
}

/// The topic that tells changes of an agent.
#[must_use]
pub fn topic(detail: &AgentDetail) -> String {
    crate::app::changes::Topic::Agent(detail.summary.id).name()
}

/// The path of an agent's page.
#[must_use]
pub fn path(detail: &AgentDetail) -> String {
    format!("/agents/{}", detail.summary.id)
}

/// The one line that says how it is, why, and since when.
#[must_use]
pub fn status(detail: &AgentDetail, now: Timestamp) -> Markup {
    let summary = &detail.summary;
    let (shape, word) = standing(summary);
    let why = html! {
        (visible(&summary.status.reason))
        @if summary.config.state.is_refusal() || summary.config.state == Verdict::Drifted { " " a href={ (path(detail)) "/configuration" } { "See the configuration" } }
    };
    let age = html! {
        (age(summary.status.since, now))
        @match (summary.presence, summary.last_seen) {
            (Presence::Awaited { .. } | Presence::Offline { .. }, Some(at)) => { ", last heard " (ago(at, now)) }
            (Presence::Online { transport: Transport::Http, .. }, Some(at)) => { ", polled " (ago(at, now)) }
            _ => {}
        }
    };
    status_line(shape, Some(word), &why, &age)
}

fn actions(detail: &AgentDetail, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    let served = detail.registration.standing == Standing::Active;
    html! {
        @if scene.may(Permission::OperateAgents) {
            (button_link("Edit name and labels", &format!("{path}/edit"), false))
            @if served && detail.accepts_restart { (button_link("Restart this agent", &format!("{path}/act/restart"), false)) }
        }
    }
}

fn tab_row(detail: &AgentDetail, current: AgentTab) -> Markup {
    let path = path(detail);
    let hrefs: Vec<String> = AgentTab::ALL
        .iter()
        .map(|tab| format!("{path}{}", tab.segment()))
        .collect();
    let row: Vec<Tab<'_>> = AgentTab::ALL
        .iter()
        .zip(&hrefs)
        .map(|(tab, href)| Tab {
            words: tab.words(),
            href,
            count: None,
            current: *tab == current,
        })
        .collect();
    tabs(&visible_text(&detail.summary.name), &row)
}

fn decision(detail: &AgentDetail) -> Markup {
    let href = format!("/enrolment/waiting/{}", detail.summary.id);
    html! { div.buttons { (button_link("Decide about this agent", &href, false)) } }
}

/// What is to be decided about the agent before anything else.
fn notices(detail: &AgentDetail, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    let act =
        |words: &str, act: &str| post_button(words, &format!("{path}/act/{act}"), &[], scene.form_token);
    let note = |kind, words: Markup| {
        banner(&Banner {
            kind,
            words,
            link: None,
        })
    };
    html! {
        @match detail.registration.standing {
            Standing::Conflict { with } => {
                (note(BannerKind::Warning, html! {
                    "It came with the credential, uid or host name of " a href={ "/agents/" (with) } { "another agent" }
                    ". It is answered and given nothing until somebody decides."
                }))
                (decision(detail))
            }
            Standing::Pending => {
                (note(BannerKind::Note, html! { "It waits to be approved: it is answered and given nothing until somebody decides." }))
                (decision(detail))
            }
            Standing::Archived { .. } => {
                (note(BannerKind::Note, html! { "It is archived: not listed, and given nothing." }))
                @if scene.may(Permission::Publish) { div.buttons { (act("Bring this agent back", "restore")) } }
            }
            Standing::Revoked { .. } => (note(BannerKind::Note, html! { "Its credential was revoked. To serve this host again, enrol it again." })),
            Standing::Active => {}
        }
        @if let Some(suspension) = &detail.registration.suspension {
            (note(BannerKind::Note, suspended(suspension, scene.now)))
            @if scene.may(Permission::Publish) {
                div.buttons {
                    @match suspension.kind {
                        SuspensionKind::Held => (act("Release this agent", "release")),
                        SuspensionKind::Detached => (act("Attach this agent", "attach")),
                    }
                }
            }
        }
        @if let Some(hold) = detail.delivery.hold {
            (note(BannerKind::Warning, hold_words(hold)))
            @if scene.may(Permission::Publish) { div.buttons { (act("Release this agent", "release")) } }
        } @else if detail.summary.config.hold == Some(HoldReason::Group) {
            (note(BannerKind::Note, html! { (hold_words(HoldReason::Group)) " " a href={ "/groups/" (detail.summary.group) } { (detail.summary.group) } }))
        }
        @if let Some(again) = &detail.delivery.again {
            (note(BannerKind::Note, html! { "What is wanted was ordered to be offered once more " (ago(again.at, scene.now)) "; it is sent as soon as the agent can be reached." }))
        }
        @if let Some(order) = &detail.delivery.restart {
            (note(BannerKind::Note, html! { "A restart was ordered by " (visible(&order.by)) " " (ago(order.at, scene.now)) " and is sent as soon as the agent can be reached." }))
        }
        @if detail.completeness == Completeness::Incomplete {
            (note(BannerKind::Note, html! { "It was asked for its full state and didn't send all of it; what it left out is shown as not reported." }))
        } @else if detail.asking {
            (note(BannerKind::Note, html! { "A report was lost; it is being asked for its full state. What is shown may be old." }))
        }
    }
}

/// What an operator decided about deliveries to it.
fn suspended(suspension: &Suspension, now: Timestamp) -> Markup {
    html! {
        @match suspension.kind {
            SuspensionKind::Held => "Held ",
            SuspensionKind::Detached => "Detached from its group ",
        }
        (super::terms::told(&suspension.terms, now))
        @match suspension.kind {
            SuspensionKind::Held => " Nothing is sent to it, and what it runs keeps running.",
            SuspensionKind::Detached => " It is only observed, and what it runs keeps running.",
        }
    }
}

/// Why nothing is sent to an agent, and what to do.
#[must_use]
pub fn hold_words(reason: HoldReason) -> Markup {
    let words = match reason {
        HoldReason::StoreWentBack => {
            "The agent knows a newer state than this server's store: the store went back in time, after a restore or an old snapshot. Nothing is sent until you have looked and release it."
        }
        HoldReason::Operator => "Nothing is sent to it until it is released. What it runs keeps running.",
        HoldReason::Group => {
            "What its group publishes is held: nothing is sent until the group is released. What it runs keeps running."
        }
        HoldReason::NothingLeft => "Its group has no configuration any more. What it runs keeps running.",
        HoldReason::Unreadable => {
            "What it should run can't be read from the store. Publish to its group again; what it runs keeps running."
        }
        HoldReason::NothingToGoBackTo => {
            "A rollout to its group failed, and the agent never applied anything of this server that it could be brought back to. What it runs keeps running."
        }
        HoldReason::OwnWord => {
            "It is in its group by its own word, and what the group publishes holds secrets: somebody has to put it there. What it runs keeps running."
        }
        HoldReason::NotRendered => {
            "What its group has was published before it came, and could not be rendered for it: a label, a fact or a secret that it uses is missing. What it runs keeps running."
        }
    };
    html! { (words) }
}
