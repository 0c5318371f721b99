//! Letting agents in: enrolment tokens, what they were exchanged for, and agents that wait for a decision.

mod credentials;
pub(in crate::admin_plane) mod handle;
mod tokens;
mod waiting;

pub use credentials::{revoke, words_to_revoke};
pub use tokens::{TokenForm, made, new, withdraw};
pub use waiting::{decide, href as waiting_href};

use maud::{Markup, html};

use super::layout::{page_head, section};
use super::parts::{button_link, live};
use super::scene::Scene;
use crate::app::claims::CredentialView;
use crate::app::enrolment::Waiting;
use crate::fleet::enrolment::EnrolmentToken;

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct EnrolmentPage {
    /// All tokens, newest first.
    pub tokens: Vec<EnrolmentToken>,
    /// All credentials, newest first.
    pub credentials: Vec<CredentialView>,
    /// Agents that wait for a decision.
    pub waiting: Vec<Waiting>,
    /// How many credentials stand before those that are listed.
    pub from: usize,
}

/// The page.
#[must_use]
pub fn enrolment(view: &EnrolmentPage, scene: &Scene<'_>) -> Markup {
    let actions = html! {
        (button_link("New enrolment token", "/enrolment/new", false))
        (button_link("Add agents", "/agents/add", true))
    };
    html! {
        (page_head(&html! { "Enrolment" }, None, Some(&actions)))
        (live("enrolment", &["enrolment", "agents"], &credentials::href(view.from), &html! {
            @if !view.waiting.is_empty() {
                (section("Waiting for a decision", None, &waiting::list(&view.waiting, scene)))
            }
            (section("Tokens", None, &tokens::list(&view.tokens, scene)))
            (section("Credentials", None, &credentials::list(&view.credentials, view.from, scene)))
        }))
    }
}
