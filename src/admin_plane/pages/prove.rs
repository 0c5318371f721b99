//! What is asked before a dangerous act of somebody who gave their password a while ago.

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{Field, Input, button, field, form_token};
use super::scene::{Errors, Scene};

/// The field that carries the password.
pub const FIELD: &str = "proof";

/// The page: it posts again what was posted to `action`, with the password.
#[must_use]
pub fn prove(action: &str, posted: &[(String, String)], errors: &Errors, scene: &Scene<'_>) -> Markup {
    html! {
        (page_head(&html! { "Give your password once more" }, None, None))
        (errors.summary())
        form.form method="post" action=(action) {
            (form_token(scene.form_token))
            @for (name, value) in posted { input type="hidden" name=(name) value=(value); }
            p { "What you asked for takes a password that was given in the last 10 minutes, so that nobody does it at a screen that was left open. Nothing has been done yet." }
            (field(&Field {
                name: FIELD,
                label: "Your password",
                error: errors.field(FIELD),
                input: Input::Password,
                focus: errors.is_empty(),
                ..Field::default()
            }))
            div.buttons { (button("Go on", true)) a.button href="/" { "Cancel" } }
        }
    }
}
