//! Signing in.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::parts::{Field, Input, button, field, form_token};
use super::scene::Errors;

/// What was typed, to be kept on an error, and where to go after.
#[derive(Clone, Debug, Default)]
pub struct LoginForm {
    /// The name.
    pub name: String,
    /// The page of ours that was asked for; empty for the overview.
    pub next: String,
}

/// The form. What is wrong is never tied to one field: that would say whether the account exists.
#[must_use]
pub fn sign_in(form: &LoginForm, errors: &Errors, token: &str) -> Markup {
    let known = !form.name.is_empty();
    html! {
        h1 { "Sign in" }
        (errors.summary())
        form.form method="post" action="/login" {
            (form_token(token))
            @if !form.next.is_empty() { input type="hidden" name="next" value=(form.next); }
            (field(&Field {
                name: "name",
                label: "Name",
                value: &form.name,
                input: Input::Username,
                focus: !known,
                ..Field::default()
            }))
            (field(&Field { name: "password", label: "Password", input: Input::Password, focus: known, ..Field::default() }))
            div.buttons { (button("Sign in", true)) }
        }
    }
}

/// A path of ours to go to after signing in; anything that could lead elsewhere is the overview.
#[must_use]
pub fn safe_next(next: &str) -> &str {
    let leads_elsewhere = !next.starts_with('/')
        || next.starts_with("//")
        || next.contains('\\')
        || next.chars().any(char::is_control)
        || next.starts_with("/login")
        || next.starts_with("/logout");
    if leads_elsewhere { "/" } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_pages_of_ours_only() {
        assert_eq!(safe_next("/agents?q=a"), "/agents?q=a");
        for elsewhere in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\nb",
            "/login?next=/",
            "javascript:x",
        ] {
            assert_eq!(safe_next(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
