//! One's own account: password, sessions, API tokens.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::layout::{page_head, section};
use super::parts::{
    Choice, Column, Empty, Fact, Field, Input, Row, Table, absolute, ago, button, code_block, empty, facts,
    field, form_token, post_button, select_field, table, visible,
};
use super::scene::{Errors, Scene, quiet};
use crate::auth::account::AccountView;
use crate::auth::permission::Role;
use crate::auth::session::{SessionKind, SessionView};

/// What the page shows.
#[derive(Clone, Debug)]
pub struct AccountPage {
    /// The account.
    pub account: AccountView,
    /// Its browser sessions, the latest used first.
    pub sessions: Vec<SessionView>,
    /// Its API tokens, the latest used first.
    pub tokens: Vec<SessionView>,
    /// The secret of a token that was just made, and its name.
    pub made: Option<(String, String)>,
    /// What was typed into the form of a new token.
    pub form: TokenForm,
    /// What is wrong with either form.
    pub errors: Errors,
}

/// A new API token as it is typed.
#[derive(Clone, Debug)]
pub struct TokenForm {
    /// What to call it.
    pub name: String,
    /// The word of its role.
    pub role: String,
    /// In how many days it ends.
    pub days: String,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            role: Role::Viewer.word().to_owned(),
            days: "90".to_owned(),
        }
    }
}

/// The page.
#[must_use]
pub fn account(view: &AccountPage, scene: &Scene<'_>) -> Markup {
    html! {
        (page_head(&visible(view.account.name.as_str()), Some(&html! { "Your account" }), None))
        (view.errors.summary())
        @if let Some((name, secret)) = &view.made { (made(name, secret)) }
        (facts(&[
            Fact::new("Role", html! { (view.account.role.word()) " " (quiet(&html! { (may(view.account.role)) })) }),
            Fact::new("Made", ago(view.account.created_at, scene.now)),
            Fact::new("Password changed", ago(view.account.password_changed_at, scene.now)),
        ]))
        (section("Password", None, &password(view, scene)))
        (section("Sessions", (view.sessions.len() > 1).then(|| {
            let others = view.sessions.len() - 1;
            let words = if others == 1 { "End 1 other session".to_owned() } else { format!("End {others} other sessions") };
            post_button(&words, "/account/sessions/end-others", &[], scene.form_token)
        }).as_ref(), &sessions(view, scene)))
        (section("API tokens", None, &html! { (tokens(view, scene)) (new_token(view, scene)) }))
    }
}

fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "looks",
        Role::Operator => "looks and edits; what is edited reaches no host",
        Role::Deployer => "looks, edits and publishes",
        Role::Admin => "does everything",
    }
}

fn made(name: &str, secret: &str) -> Markup {
    html! {
        section.section {
            div.section-head { h2 { "Token " (visible(name)) " is made" } }
            p { "Copy it now: it is not shown again. Send it as " code { "Authorization: Bearer …" } "." }
            (code_block(secret, "the token"))
        }
    }
}

fn password(view: &AccountPage, scene: &Scene<'_>) -> Markup {
    html! {
        form.form method="post" action="/account/password" {
            (form_token(scene.form_token))
            (field(&Field {
                name: "present_password",
                label: "Present password",
                error: view.errors.field("present_password"),
                input: Input::Password,
                ..Field::default()
            }))
            (field(&Field {
                name: "new_password",
                label: "New password",
                help: "At least 12 characters. All your other sessions end; API tokens stay.",
                error: view.errors.field("new_password"),
                input: Input::NewPassword,
                ..Field::default()
            }))
            (field(&Field {
                name: "again",
                label: "The new password again",
                error: view.errors.field("again"),
                input: Input::NewPassword,
                ..Field::default()
            }))
            div.buttons { (button("Change password", true)) }
        }
    }
}

fn sessions(view: &AccountPage, scene: &Scene<'_>) -> Markup {
    let row = |session: &SessionView| {
        let id = session.id.to_string();
        let program = if session.user_agent.is_empty() {
            "A browser"
        } else {
            &session.user_agent
        };
        Row {
            key: id.clone(),
            name: program.to_owned(),
            cells: vec![
                html! { div.name { (visible(program)) @if session.is_current { span.sub { "This session" } } } },
                html! { @if let Some(address) = session.address { (address) } },
                ago(session.created_at, scene.now),
                ago(session.last_used_at, scene.now),
                html! {
                    @if !session.is_current {
                        (post_button("End", "/account/sessions/end", &[("session", &id)], scene.form_token))
                    }
                },
            ],
        }
    };
    let rows: Vec<_> = view.sessions.iter().map(row).collect();
    table(&Table {
        id: "sessions",
        caption: "Your sessions, the latest used first",
        columns: &[
            Column::of("Browser"),
            Column::of("Address").wide(),
            Column::of("Signed in").numbers().wide(),
            Column::of("Last used").numbers(),
            Column::of("").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("session", "sessions"),
        pager: None,
    })
}

fn tokens(view: &AccountPage, scene: &Scene<'_>) -> Markup {
    if view.tokens.is_empty() {
        return empty(&Empty {
            title: "No API tokens",
            words: html! { "Scripts and the command line on other machines sign in with an API token. Make one below." },
            fill: None,
        });
    }
    let row = |token: &SessionView| {
        let SessionKind::ApiToken { name, role } = &token.kind else {
            return None;
        };
        Some(Row {
            key: token.id.to_string(),
            name: name.to_string(),
            cells: vec![
                visible(name.as_str()),
                html! { (role.word()) },
                ago(token.created_at, scene.now),
                html! { @if token.last_used_at == token.created_at { "never" } @else { (ago(token.last_used_at, scene.now)) } },
                html! { time datetime=(token.expires_at) title=(absolute(token.expires_at)) { (ago(token.expires_at, scene.now)) } },
                post_button(
                    "Revoke",
                    "/account/tokens/revoke",
                    &[("name", name.as_str())],
                    scene.form_token,
                ),
            ],
        })
    };
    let rows: Vec<_> = view.tokens.iter().filter_map(row).collect();
    table(&Table {
        id: "tokens",
        caption: "Your API tokens, the latest used first",
        columns: &[
            Column::of("Token"),
            Column::of("Role"),
            Column::of("Made").numbers().wide(),
            Column::of("Last used").numbers().wide(),
            Column::of("Ends").numbers(),
            Column::of("").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("token", "tokens"),
        pager: None,
    })
}

fn new_token(view: &AccountPage, scene: &Scene<'_>) -> Markup {
    let all = [Role::Viewer, Role::Operator, Role::Deployer, Role::Admin];
    let roles: Vec<_> = all
        .into_iter()
        .filter(|role| *role <= scene.role)
        .map(|role| Choice {
            value: role.word(),
            label: role.word(),
            help: "",
        })
        .collect();
    html! {
        form.form method="post" action="/account/tokens" {
            h3 { "New API token" }
            (form_token(scene.form_token))
            (field(&Field {
                name: "name",
                label: "Name",
                value: &view.form.name,
                help: "What it is for, such as ci or backup. Small letters, digits, hyphens and dots.",
                error: view.errors.field("name"),
                ..Field::default()
            }))
            (select_field(&Field {
                name: "role",
                label: "Role",
                value: &view.form.role,
                help: "The most that it may do, and never more than you.",
                error: view.errors.field("role"),
                ..Field::default()
            }, &roles))
            (field(&Field {
                name: "days",
                label: "Valid for (days)",
                value: &view.form.days,
                help: "1 to 366.",
                error: view.errors.field("days"),
                input: Input::Number,
                ..Field::default()
            }))
            div.buttons { (button("Make token", false)) }
        }
    }
}
