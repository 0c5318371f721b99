//! People's accounts: who there is, what each may do, and what an admin does about one.

mod act;
pub(in crate::admin_plane) mod handle;
mod one;

pub use act::{Asked, ask};
pub use one::{UserPage, user};

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{
    Choice, Column, Field, Row, Status, Table, ago, badge, button, button_link, code_block, field,
    form_token, select_field, table, visible,
};
use super::scene::{Errors, Scene, encoded};
use crate::auth::account::AccountView;
use crate::auth::permission::Role;

/// A new account as it is typed.
#[derive(Clone, Debug)]
pub struct NewUserForm {
    /// What its owner signs in with.
    pub name: String,
    /// The word of its role.
    pub role: String,
}

impl Default for NewUserForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            role: Role::Viewer.word().to_owned(),
        }
    }
}

/// The list.
#[must_use]
pub fn users(all: &[AccountView], scene: &Scene<'_>) -> Markup {
    let admins = all.iter().filter(|account| account.role == Role::Admin).count();
    let state = html! { (all.len()) ", " (admins) @if admins == 1 { " admin" } @else { " admins" } };
    let action = button_link("Make an account", "/users/-/new", true);
    let row = |account: &AccountView| {
        let name = account.name.as_str();
        Row {
            key: name.to_owned(),
            name: name.to_owned(),
            cells: vec![
                Row::name_cell(&visible(name), &href(name), None),
                html! { (account.role.word()) },
                standing(account),
                ago(account.password_changed_at, scene.now),
                ago(account.created_at, scene.now),
            ],
        }
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    html! {
        (page_head(&html! { "Users" }, Some(&state), Some(&action)))
        (table(&Table {
            id: "user-list",
            caption: "Accounts by name",
            columns: &[
                Column::of("Name"),
                Column::of("Role"),
                Column::of("State"),
                Column::of("Password changed").numbers().wide(),
                Column::of("Made").numbers().wide(),
            ],
            rows: &rows,
            picks: false,
            noun: ("account", "accounts"),
            pager: None,
        }))
        @if all.len() == 1 {
            p.soft { "With a second account that publishes, what goes to a protected group can be approved by somebody else than its author." }
        }
    }
}

/// Where an account is.
#[must_use]
pub fn href(name: &str) -> String {
    format!("/users/{}", encoded(name))
}

/// The state of an account in shape and word.
pub(super) fn standing(account: &AccountView) -> Markup {
    match (account.disabled_at, account.locked_until, account.provisional) {
        (Some(_), _, _) => badge(Status::Down, Some("Disabled")),
        (None, Some(_), _) => badge(Status::Degraded, Some("Locked for now")),
        (None, None, true) => badge(Status::Unknown, Some("Has yet to choose a password")),
        (None, None, false) => badge(Status::Healthy, Some("Can sign in")),
    }
}

/// What a role is for.
#[must_use]
pub fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "looks",
        Role::Operator => "looks and edits; what is edited reaches no host",
        Role::Deployer => "looks, edits, publishes and approves",
        Role::Admin => "does everything",
    }
}

/// The choice of a role.
pub(super) fn role_field(value: &str, help: &str, errors: &Errors) -> Markup {
    let labels: Vec<(Role, String)> = Role::ALL
        .into_iter()
        .map(|role| (role, format!("{}: {}", role.word(), may(role))))
        .collect();
    let roles: Vec<_> = labels
        .iter()
        .map(|(role, label)| Choice {
            value: role.word(),
            label,
            help: "",
        })
        .collect();
    select_field(
        &Field {
            name: "role",
            label: "Role",
            value,
            help,
            error: errors.field("role"),
            ..Field::default()
        },
        &roles,
    )
}

/// The form of a new account.
#[must_use]
pub fn new(form: &NewUserForm, errors: &Errors, scene: &Scene<'_>) -> Markup {
    html! {
        (page_head(&html! { "New account" }, None, None))
        (errors.summary())
        form.form method="post" action="/users/-/new" {
            (form_token(scene.form_token))
            (field(&Field {
                name: "name",
                label: "Name",
                value: &form.name,
                help: "What its owner signs in with, and what the audit log says. Small letters, digits, hyphens and dots.",
                error: errors.field("name"),
                focus: errors.is_empty(),
                ..Field::default()
            }))
            (role_field(&form.role, "It can be changed at any time.", errors))
            div.buttons { (button("Make the account", true)) a.button href="/users" { "Cancel" } }
            p.soft { "A first password is made and shown once. Until its owner has chosen another, the account only looks." }
        }
    }
}

/// The page that shows a password that was just made, this once.
#[must_use]
pub fn made(account: &AccountView, password: &str, is_new: bool) -> Markup {
    let name = account.name.as_str();
    html! {
        (page_head(&visible(name), Some(&html! { (account.role.word()) }), None))
        section.section {
            div.section-head { h2 { @if is_new { "The account is made" } @else { "The password is set" } } }
            p { "Hand this password to its owner by a way that you trust: it is not shown again. Until they have chosen another, under “Account and password”, they only look." }
            (code_block(password, "the password"))
        }
        div.buttons { (button_link("To the account", &href(name), false)) (button_link("All users", "/users", false)) }
    }
}
