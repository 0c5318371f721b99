//! What is asked before something is done to an account that is hard to take back.

use maud::{Markup, html};

use super::href;
use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{Confirm, confirm, count, visible};
use crate::admin_plane::pages::scene::Scene;
use crate::auth::account::AccountView;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Setting a new password.
    Password,
    /// Letting nobody sign in with it.
    Disable,
    /// Deleting it.
    Delete,
}

impl Asked {
    /// The last part of its address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Disable => "disable",
            Self::Delete => "delete",
        }
    }
}

/// The page that asks. `signed_in` is in how many browsers it is signed in, `tokens` how many API tokens it has.
#[must_use]
pub fn ask(
    account: &AccountView,
    (signed_in, tokens): (usize, usize),
    asked: Asked,
    error: Option<&str>,
    scene: &Scene<'_>,
) -> Markup {
    let name = account.name.as_str();
    let sessions = count(signed_in as u64, "session in a browser", "sessions in browsers");
    let tokens = count(tokens as u64, "API token", "API tokens");
    let (question, consequences, button) = match asked {
        Asked::Password => (
            format!("Set a new password for {name}?"),
            html! { p { "A password is made and shown to you once. " (sessions) " will end; " (tokens) " stay. Until its owner has chosen another, the account only looks." } },
            format!("Set a new password for {name}"),
        ),
        Asked::Disable => (
            format!("Disable {name}?"),
            html! { p { (sessions) " will end, and " (tokens) " will stand for nobody until it is enabled again. Nobody can sign in with it." } },
            format!("Disable {name}"),
        ),
        Asked::Delete => (
            format!("Delete {name}?"),
            html! { p { (sessions) " will end, and " (tokens) " are gone for good. What it did stays in the audit log." } },
            format!("Delete {name}"),
        ),
    };
    html! {
        (page_head(&visible(name), None, None))
        (confirm(&Confirm {
            question: &question,
            consequences,
            typed: (asked == Asked::Delete).then_some(name),
            error,
            button: &button,
            destructive: asked != Asked::Password,
            action: &format!("{}/{}", href(name), asked.word()),
            fields: &[],
            cancel: &href(name),
            form_token: scene.form_token,
        }))
    }
}
