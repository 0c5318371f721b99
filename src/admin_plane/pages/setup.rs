//! Claiming the server: the first account, for whoever has the setup token.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::parts::{
    Empty, Fact, Field, Input, button, code_block, copy_inline, empty, facts, field, form_token,
};
use super::scene::Errors;

/// What was typed, to be kept on an error. Passwords are not.
#[derive(Clone, Debug, Default)]
pub struct SetupForm {
    /// The setup token, also from the URL.
    pub token: String,
    /// The name of the account.
    pub name: String,
}

/// The form that claims the server. `fingerprint` is that of the server's authority, to compare with the terminal.
#[must_use]
pub fn claim(form: &SetupForm, errors: &Errors, fingerprint: &str, token: &str) -> Markup {
    let from_link = !form.token.is_empty() && errors.field("token").is_none();
    html! {
        h1 { "Claim this server" }
        p.soft { "You make the first account. It may do everything, and nobody can claim the server after you." }
        (errors.summary())
        (facts(&[Fact::new("CA fingerprint", html! {
            (copy_inline(fingerprint, "the fingerprint of the authority"))
            p.help { "Compare it with the one in the terminal. If they differ, you are not talking to your server: stop here." }
        })]))
        form.form method="post" action="/setup" {
            (form_token(token))
            @if from_link {
                input type="hidden" name="token" value=(form.token);
            } @else {
                (field(&Field {
                    name: "token",
                    label: "Setup token",
                    value: &form.token,
                    help: "It was printed when the server first started. On its host, muster setup-token prints a new one.",
                    error: errors.field("token"),
                    input: Input::Code,
                    ..Field::default()
                }))
            }
            (field(&Field {
                name: "name",
                label: "Account name",
                value: &form.name,
                help: "Small letters, digits, hyphens and dots. You sign in with it, and the audit log shows it.",
                error: errors.field("name"),
                input: Input::Username,
                focus: errors.is_empty() && from_link,
                ..Field::default()
            }))
            (field(&Field {
                name: "password",
                label: "Password",
                help: "At least 12 characters. A few words that you choose by chance are good.",
                error: errors.field("password"),
                input: Input::NewPassword,
                ..Field::default()
            }))
            (field(&Field {
                name: "again",
                label: "The password again",
                error: errors.field("again"),
                input: Input::NewPassword,
                ..Field::default()
            }))
            div.buttons { (button("Claim this server", true)) }
        }
    }
}

/// What stands here while no setup token works.
#[must_use]
pub fn closed() -> Markup {
    html! {
        h1 { "Claim this server" }
        (empty(&Empty {
            title: "No setup token works now",
            words: html! { "A setup token is valid for an hour and survives five wrong tries. To make a new one, run this on the server's host:" },
            fill: Some(code_block("muster setup-token", "the command")),
        }))
    }
}

/// What stands here once somebody has an account.
#[must_use]
pub fn claimed() -> Markup {
    html! {
        h1 { "This server is claimed" }
        p.soft { "Somebody has made its first account. If that wasn't you or somebody whom you know, take the server off the network and look at its audit log." }
        p { a href="/login" { "Sign in" } }
    }
}
