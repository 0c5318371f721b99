//! What is asked before something is done to one agent.

use maud::{Markup, html};

use super::super::agents::bulk::others_behind;
use super::super::layout::page_head;
use super::super::parts::{Confirm, button_link, confirm, count, visible, visible_text};
use super::super::scene::{Errors, Scene};
use super::super::terms::TermsForm;
use super::path;
use crate::app::agents::{AgentAct, AgentDetail};
use crate::app::terms::OnTerms;
use crate::fleet::name::Name;

/// What is typed before the credentials of an agent are revoked, which reaches so many others.
#[must_use]
pub fn revoke_words(besides: u64) -> String {
    if besides == 0 {
        return "revoke".to_owned();
    }
    format!("revoke {}", count(besides + 1, "agent", "agents"))
}

/// An act on one agent that needs no further input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Restart it.
    Restart,
    /// Send nothing.
    Hold,
    /// Send again.
    Release,
    /// Offer again what it refused.
    Retry,
    /// Offer again what it took.
    Reapply,
    /// Only observe it.
    Detach,
    /// Give it back to its group.
    Attach,
    /// Put it into the group that its facts propose.
    ConfirmGroup,
    /// Let selectors decide.
    Unpin,
    /// Give up its own configuration.
    Unpublish,
    /// Put it away.
    Archive,
    /// Bring it back.
    Restore,
    /// Give it a new credential.
    Rotate,
    /// Revoke its credentials.
    Revoke,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Restart,
        Self::Hold,
        Self::Release,
        Self::Retry,
        Self::Reapply,
        Self::Detach,
        Self::Attach,
        Self::ConfirmGroup,
        Self::Unpin,
        Self::Unpublish,
        Self::Archive,
        Self::Restore,
        Self::Rotate,
        Self::Revoke,
    ];

    /// Its name in the path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Reapply => "reapply",
            Self::Detach => "detach",
            Self::Attach => "attach",
            Self::ConfirmGroup => "confirm-group",
            Self::Unpin => "unpin",
            Self::Unpublish => "unpublish",
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::Rotate => "rotate",
            Self::Revoke => "revoke",
        }
    }

    /// The act that a path names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }

    /// What the use case is asked, on these terms and about this group where it takes any.
    #[must_use]
    pub fn asked(self, terms: OnTerms, group: Name) -> AgentAct {
        let OnTerms { reason, until } = terms;
        match self {
            Self::Restart => AgentAct::Restart,
            Self::Hold => AgentAct::Hold { reason, until },
            Self::Detach => AgentAct::Detach { reason, until },
            Self::Attach => AgentAct::Attach,
            Self::Reapply => AgentAct::Reapply,
            Self::Release => AgentAct::Release,
            Self::Retry => AgentAct::Retry,
            Self::ConfirmGroup => AgentAct::ConfirmGroup { group },
            Self::Unpin => AgentAct::Unpin,
            Self::Unpublish => AgentAct::Unpublish,
            Self::Archive => AgentAct::Archive,
            Self::Restore => AgentAct::Restore,
            Self::Rotate => AgentAct::Rotate,
            Self::Revoke => AgentAct::Revoke,
        }
    }

    /// The button, about "this agent".
    const fn button(self) -> &'static str {
        match self {
            Self::Restart => "Restart this agent",
            Self::Hold => "Hold this agent",
            Self::Release => "Release this agent",
            Self::Retry => "Offer it once more",
            Self::Reapply => "Re-apply what is wanted",
            Self::Detach => "Detach this agent",
            Self::Attach => "Attach this agent",
            Self::ConfirmGroup => "Put it into this group",
            Self::Unpin => "Let selectors decide again",
            Self::Unpublish => "Give up its own configuration",
            Self::Archive => "Archive this agent",
            Self::Restore => "Bring this agent back",
            Self::Rotate => "Give it a new credential",
            Self::Revoke => "Revoke its credentials",
        }
    }

    /// What will happen.
    const fn consequence(self) -> &'static str {
        match self {
            Self::Restart => {
                "It stops and starts its collector once; its telemetry pauses for some seconds. If it isn't connected, it restarts when it comes back."
            }
            Self::Hold => "Nothing is sent to it until it is released. What it runs keeps running.",
            Self::Release | Self::Attach => "It is sent what is wanted of it, from now on.",
            Self::Retry => {
                "It is offered once more what it refused. If it refuses again, what it runs keeps running."
            }
            Self::Reapply => {
                "It is offered once more what is wanted of it, although it says that it has that. If it runs something else, it replaces that; most agents restart their collector."
            }
            Self::Detach => {
                "It stays in its group and is only observed: nothing is sent to it until it is attached again. What it runs keeps running."
            }
            Self::ConfirmGroup => "It is sent what is published to the group.",
            Self::Unpin => {
                "Its labels and facts decide where it belongs, and it is sent what is published there."
            }
            Self::Unpublish => {
                "From now on it is sent what is published to its group. If that is nothing, what it runs keeps running."
            }
            Self::Archive => {
                "It disappears from lists and is sent nothing. What it runs keeps running, and it can be brought back."
            }
            Self::Restore => "It is listed again, and sent what is wanted of it.",
            Self::Rotate => {
                "It is offered a new credential over its connection and reconnects with it, within seconds if it is connected. Its collector goes on. Until the new one is used both are accepted; afterwards the present one is good for coming back only: a Supervisor reads it from its file at every start, and is then given the new one again. To be rid of a credential that leaked, revoke it and enrol the host again."
            }
            Self::Revoke => {
                "Its connection closes within two seconds, and it can't come back until its host is enrolled again. What it runs keeps running. If the credential is shared, all agents that use it are cut off."
            }
        }
    }

    /// What was done, as the sentence of the next page.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Restart => "A restart was ordered.",
            Self::Hold => "The agent is held.",
            Self::Release => "The agent was released.",
            Self::Retry => "It is offered once more what it refused.",
            Self::Reapply => "It is offered once more what is wanted of it.",
            Self::Detach => "The agent is detached from its group.",
            Self::Attach => "The agent is attached to its group.",
            Self::ConfirmGroup => "The agent was put into the group.",
            Self::Unpin => "Selectors decide again where the agent belongs.",
            Self::Unpublish => "The agent gave up its own configuration.",
            Self::Archive => "The agent was archived.",
            Self::Restore => "The agent was brought back.",
            Self::Rotate => "A new credential was made. It is offered as soon as the agent can be reached.",
            Self::Revoke => "The credentials were revoked.",
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The act.
    pub act: Act,
    /// How many others it reaches: they share the agent's credential.
    pub besides: u64,
    /// The terms, as they were typed.
    pub terms: &'a TermsForm,
    /// Why it could not be done a moment ago.
    pub errors: &'a Errors,
}

/// The page that asks.
#[must_use]
pub fn ask(detail: &AgentDetail, asked: &Asked<'_>, scene: &Scene<'_>) -> Markup {
    let Asked {
        act,
        besides,
        terms,
        errors,
    } = *asked;
    let path = path(detail);
    let name = visible_text(&detail.summary.name);
    let others = others_behind(besides, "them");
    let question = format!("{}: {name}{others}?", act.button());
    let typed = (act == Act::Revoke).then(|| revoke_words(besides));
    let button = format!("{}{others}", act.button());
    // What is confirmed is what was shown, whatever the agent says by then.
    let proposed = detail.registration.proposed_group.as_ref();
    let proposed = proposed.filter(|_| act == Act::ConfirmGroup).map(Name::as_str);
    let fields: Vec<(&str, &str)> = proposed.map(|group| ("group", group)).into_iter().collect();
    html! {
        (page_head(&visible(&detail.summary.name), None, None))
        (errors.summary())
        (confirm(&Confirm {
            question: &question,
            consequences: html! {
                @if let Some(group) = proposed { p { "Its facts propose " (group) "." } }
                p { (act.consequence()) }
                @match act {
                    Act::Hold => (terms.fields("When somebody releases it", errors)),
                    Act::Detach => (terms.fields("When somebody attaches it", errors)),
                    _ => {}
                }
            },
            typed: typed.as_deref(),
            error: errors.field("confirm"),
            button: &button,
            destructive: act == Act::Revoke,
            action: &format!("{path}/act/{}", act.name()),
            fields: &fields,
            cancel: &path,
            form_token: scene.form_token,
        }))
    }
}

/// What is shown when something could not be done that wasn't asked about.
#[must_use]
pub fn could_not(detail: &AgentDetail, why: &str) -> Markup {
    html! {
        (page_head(&visible(&detail.summary.name), None, None))
        p.error role="alert" { (visible(why)) }
        div.buttons { (button_link("Back to the agent", &path(detail), true)) }
    }
}
