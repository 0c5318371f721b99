//! Letting agents in: enrolment tokens, what they were exchanged for, and agents that wait for a decision.

mod credentials;
pub(in crate::admin_plane) mod handle;
mod tokens;

pub use credentials::{revoke, words_to_revoke};
pub use tokens::{TokenForm, made, new, withdraw};

use maud::{Markup, html};

use super::layout::{page_head, section};
use super::parts::{button_link, live};
use super::scene::Scene;
use crate::app::claims::{ConflictView, CredentialView};
use crate::fleet::enrolment::EnrolmentToken;

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct EnrolmentPage {
    /// All tokens, newest first.
    pub tokens: Vec<EnrolmentToken>,
    /// All credentials, newest first.
    pub credentials: Vec<CredentialView>,
    /// Agents in conflict with another.
    pub conflicts: Vec<ConflictView>,
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
            @if !view.conflicts.is_empty() {
                (section("In conflict", None, &credentials::conflicts(&view.conflicts, scene)))
            }
            (section("Tokens", None, &tokens::list(&view.tokens, scene)))
            (section("Credentials", None, &credentials::list(&view.credentials, view.from, scene)))
        }))
    }
}
