//! One account: what it may do, where it is signed in, and what can be done about it.

use maud::{Markup, html};

use super::{href, may, role_field, standing};
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    Column, Fact, Row, Table, ago, button, button_link, count, facts, form_token, post_button, table, visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, quiet};
use crate::auth::account::AccountView;
use crate::auth::session::{SessionKind, SessionView};

/// What the page shows.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// The account.
    pub account: AccountView,
    /// Its browser sessions, the latest used first.
    pub sessions: Vec<SessionView>,
    /// Its API tokens, the latest used first.
    pub tokens: Vec<SessionView>,
    /// Whether it is the account of whoever looks: then nothing can be done here.
    pub is_own: bool,
    /// What is wrong with the form of its role.
    pub errors: Errors,
}

/// The page.
#[must_use]
pub fn user(view: &UserPage, scene: &Scene<'_>) -> Markup {
    let account = &view.account;
    html! {
        (page_head(&visible(account.name.as_str()), Some(&standing(account)), None))
        (view.errors.summary())
        (facts(&[
            Fact::new("Role", html! { (account.role.word()) " " (quiet(&html! { (may(account.role)) })) }),
            Fact { term: "Disabled", value: account.disabled_at.map(|at| ago(at, scene.now)) },
            Fact {
                term: "Locked",
                value: account.locked_until.map(|_| html! { "after too many wrong passwords; it ends by itself within minutes" }),
            },
            Fact::new("Password changed", ago(account.password_changed_at, scene.now)),
            Fact::new("Made", ago(account.created_at, scene.now)),
        ]))
        @if view.is_own {
            p.soft { "This is your own account: your password, sessions and tokens are under " a href="/account" { "Account and password" } ". What it may do is changed by another admin, or on the server's host." }
        } @else { (acts(view, scene)) }
        (section("Sessions", end_all(view, scene).as_ref(), &sessions(view, scene)))
        (section("API tokens", None, &tokens(view, scene)))
        p { a href={ "/audit?q=" (account.name) } { "What " (visible(account.name.as_str())) " did" } }
    }
}

fn acts(view: &UserPage, scene: &Scene<'_>) -> Markup {
    let name = view.account.name.as_str();
    let act = |word: &str| format!("{}/{word}", href(name));
    html! {
        form.form method="post" action=(act("role")) {
            (form_token(scene.form_token))
            (role_field(view.account.role.word(), "It counts with the next request, also for its API tokens.", &view.errors))
            div.buttons { (button("Give this role", false)) }
        }
        div.buttons {
            @if view.account.locked_until.is_some() { (post_button("Unlock", &act("unlock"), &[], scene.form_token)) }
            (button_link("Set a new password", &act("password"), false))
            @if view.account.disabled_at.is_some() { (post_button("Enable", &act("enable"), &[], scene.form_token)) }
            @else { (button_link("Disable", &act("disable"), false)) }
            (button_link("Delete", &act("delete"), false))
        }
    }
}

fn end_all(view: &UserPage, scene: &Scene<'_>) -> Option<Markup> {
    let sessions = view.sessions.len();
    let words = format!("End {}", count(sessions as u64, "session", "sessions"));
    let action = format!("{}/end-sessions", href(view.account.name.as_str()));
    (sessions > 0 && !view.is_own).then(|| post_button(&words, &action, &[], scene.form_token))
}

fn sessions(view: &UserPage, scene: &Scene<'_>) -> Markup {
    if view.sessions.is_empty() {
        return html! { p.soft { "Not signed in anywhere." } };
    }
    let row = |session: &SessionView| {
        let program = if session.user_agent.is_empty() {
            "A browser"
        } else {
            &session.user_agent
        };
        Row {
            key: session.id.to_string(),
            name: program.to_owned(),
            cells: vec![
                visible(program),
                html! { @if let Some(address) = session.address { (address) } },
                ago(session.created_at, scene.now),
                ago(session.last_used_at, scene.now),
            ],
        }
    };
    let rows: Vec<_> = view.sessions.iter().map(row).collect();
    table(&Table {
        id: "sessions",
        caption: "Sessions, the latest used first",
        columns: &[
            Column::of("Browser"),
            Column::of("Address").wide(),
            Column::of("Signed in").numbers().wide(),
            Column::of("Last used").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("session", "sessions"),
        pager: None,
    })
}

fn tokens(view: &UserPage, scene: &Scene<'_>) -> Markup {
    if view.tokens.is_empty() {
        return html! { p.soft { "No API tokens." } };
    }
    let action = format!("{}/revoke-token", href(view.account.name.as_str()));
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
                html! { @if token.last_used_at == token.created_at { "never" } @else { (ago(token.last_used_at, scene.now)) } },
                ago(token.expires_at, scene.now),
                post_button("Revoke", &action, &[("token", name.as_str())], scene.form_token),
            ],
        })
    };
    let rows: Vec<_> = view.tokens.iter().filter_map(row).collect();
    table(&Table {
        id: "tokens",
        caption: "API tokens, the latest used first",
        columns: &[
            Column::of("Token"),
            Column::of("Role"),
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
