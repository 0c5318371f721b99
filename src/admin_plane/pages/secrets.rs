//! Secrets: which there are, and setting them. A value goes in and is never shown.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::configs::used_by;
use super::layout::page_head;
use super::parts::{
    Column, Confirm, Empty, Field, Input, Row, Status, Table, ago, badge, button, button_link, confirm,
    empty, field, form_token, table, visible,
};
use super::scene::{Errors, Scene, encoded, quiet};
use crate::app::secrets::SecretView;
use crate::auth::permission::Permission;

/// What was typed into the form that sets a secret. The value isn't kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretForm {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether there is one of that name.
    pub known: bool,
}

/// The list.
#[must_use]
pub fn secrets(secrets: &[SecretView], scene: &Scene<'_>) -> Markup {
    let may = scene.may(Permission::ManageSecrets);
    let action = may.then(|| button_link("Set a secret", "/secrets/-/set", true));
    html! {
        (page_head(&html! { "Secrets" }, (!secrets.is_empty()).then(|| html! { (secrets.len()) }).as_ref(), action.as_ref()))
        p.soft { "A layer names one as " code { "${muster:secret.NAME}" } ". Its value is sealed in the store, goes into what agents are sent, and is shown nowhere." }
        @if secrets.is_empty() {
            (empty(&Empty {
                title: "No secrets yet",
                words: html! { "Put the tokens and keys that configurations need here, instead of into their text." },
                fill: may.then(|| button_link("Set a secret", "/secrets/-/set", true)),
            }))
        } @else { (list(secrets, may, scene)) }
    }
}

fn list(secrets: &[SecretView], may: bool, scene: &Scene<'_>) -> Markup {
    let row = |secret: &SecretView| {
        let name = secret.name.as_str();
        let sub = (!secret.description.is_empty()).then(|| visible(&secret.description));
        let set = format!("/secrets/-/set?name={}", encoded(name));
        Row {
            key: name.to_owned(),
            name: name.to_owned(),
            cells: vec![
                if may {
                    Row::name_cell(&visible(name), &set, sub.as_ref())
                } else {
                    html! { (visible(name)) }
                },
                html! {
                    @if secret.unreadable { (badge(Status::Down, Some("Can't be opened"))) " " (quiet(&html! { "the key in the data folder is another; set it again" })) }
                    @else { (ago(secret.updated_at, scene.now)) " " span.quiet { "by " (visible(&secret.updated_by)) } }
                },
                html! { (secret.version) },
                html! { @if secret.groups.is_empty() { (quiet(&html! { "nothing published" })) } @else { (used_by(&secret.groups)) } },
                html! { @if may { a href={ "/secrets/" (encoded(name)) "/delete" } { "Delete" } } },
            ],
        }
    };
    let rows: Vec<_> = secrets.iter().map(row).collect();
    let column = |words, wide_only, number| Column {
        words,
        number,
        wide_only,
        ..Column::default()
    };
    table(&Table {
        id: "secret-list",
        caption: "Secrets by name",
        columns: &[
            column("Secret", false, false),
            column("Set", false, false),
            column("Times", true, true),
            column("Used by", true, false),
            column("", false, true),
        ],
        rows: &rows,
        picks: false,
        noun: ("secret", "secrets"),
        pager: None,
    })
}

/// The form that sets a secret.
#[must_use]
pub fn set(form: &SecretForm, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let title = html! { @if form.known { "Set " (visible(&form.name)) } @else { "New secret" } };
    let help = if form.known {
        "It takes the place of the present value. Leave it empty to change only the description."
    } else {
        "At least 4 characters. It may have several lines, like a key."
    };
    html! {
        (page_head(&title, None, None))
        (errors.summary())
        form.form method="post" action="/secrets/-/set" {
            (form_token(scene.form_token))
            @if form.known {
                input type="hidden" name="name" value=(form.name);
                input type="hidden" name="known" value="true";
            } @else {
                (field(&Field {
                    name: "name",
                    label: "Name",
                    value: &form.name,
                    help: "Small letters, digits, hyphens, dots and underscores.",
                    error: errors.field("name"),
                    focus: errors.is_empty(),
                    ..Field::default()
                }))
            }
            (field(&Field {
                name: "value",
                label: "Value",
                help,
                error: errors.field("value"),
                input: Input::Lines(3),
                optional: form.known,
                ..Field::default()
            }))
            (field(&Field {
                name: "description",
                label: "Description",
                value: &form.description,
                error: errors.field("description"),
                optional: true,
                ..Field::default()
            }))
            div.buttons { (button("Set secret", true)) a.button href="/secrets" { "Cancel" } }
            p.soft { "Nothing is sent. Groups that use it are marked, and publishing to them delivers it." }
        }
    }
}

/// What is asked before a secret is deleted.
#[must_use]
pub fn delete(secret: &SecretView, error: Option<&str>, scene: &Scene<'_>) -> Markup {
    let name = secret.name.as_str();
    html! {
        (page_head(&html! { "Delete " (visible(name)) }, None, None))
        (confirm(&Confirm {
            question: &format!("Delete the secret {name}?"),
            consequences: html! {
                @if secret.groups.is_empty() { p { "Nothing that is published uses it. Its value is gone for good." } }
                @else { p { "These groups use it, so it can't be deleted yet: " (used_by(&secret.groups)) } }
            },
            typed: None,
            error,
            button: &format!("Delete {name}"),
            destructive: true,
            action: &format!("/secrets/{name}/delete"),
            fields: &[],
            cancel: "/secrets",
            form_token: scene.form_token,
        }))
    }
}
