//! Enrolment tokens: the list, a new one, withdrawing.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{
    Choice, Column, Confirm, Empty, Fact, Field, Input, Row, Status, Table, absolute, ago, badge, button,
    button_link, check, code_block, confirm, count, empty, facts, field, form_token, labels, select_field,
    table, visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, quiet};
use crate::app::enrolment::MadeEnrolmentToken;
use crate::fleet::enrolment::{EnrolmentToken, Grants, TokenRefusal};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// A new token as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenForm {
    /// What it is for.
    pub note: String,
    /// How often it may be used.
    pub uses: String,
    /// How long it works, in hours.
    pub hours: String,
    /// For a gateway or pool: the most agents behind one credential; empty otherwise.
    pub many: String,
    /// Labels, one `key = value` a line.
    pub labels: String,
    /// The group; empty for none.
    pub group: String,
    /// Networks, one a line.
    pub networks: String,
    /// Whether each agent has to be approved.
    pub by_hand: bool,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            note: String::new(),
            uses: "1".to_owned(),
            hours: "1".to_owned(),
            many: String::new(),
            labels: String::new(),
            group: String::new(),
            networks: String::new(),
            by_hand: false,
        }
    }
}

pub(super) fn list(tokens: &[EnrolmentToken], scene: &Scene<'_>) -> Markup {
    if tokens.is_empty() {
        return empty(&Empty {
            title: "No enrolment tokens",
            words: html! { "A host shows an enrolment token once and gets a credential of its own for it. Add agents makes one for you." },
            fill: Some(button_link("Add agents", "/agents/add", false)),
        });
    }
    let row = |token: &EnrolmentToken| {
        let note = if token.note.is_empty() {
            "without a note"
        } else {
            &token.note
        };
        let works = state(token, scene.now).is_none();
        Row {
            key: token.id.to_string(),
            name: note.to_owned(),
            cells: vec![
                state_badge(token, scene.now),
                html! { div.name { (visible(note)) span.sub { "by " (visible(&token.created_by)) " " (ago(token.created_at, scene.now)) } } },
                html! { (token.uses) " of " (token.uses_allowed) },
                html! { time datetime=(token.expires_at) title=(absolute(token.expires_at)) { (ago(token.expires_at, scene.now)) } },
                gives(token),
                html! { @if works { a href={ "/enrolment/tokens/" (token.id) "/withdraw" } { "Withdraw" } } },
            ],
        }
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    table(&Table {
        id: "tokens",
        caption: "Enrolment tokens, newest first",
        columns: &[
            Column::of("State"),
            Column::of("For"),
            Column::of("Uses").numbers(),
            Column::of("Expires").numbers(),
            Column::of("Its agents").wide(),
            Column::of("").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("token", "tokens"),
        pager: None,
    })
}

/// Why a token lets nobody in, wherever they come from; `None` while it works.
fn state(token: &EnrolmentToken, now: Timestamp) -> Option<TokenRefusal> {
    let anywhere = EnrolmentToken {
        networks: Vec::new(),
        ..token.clone()
    };
    anywhere.accepts(None, now).err()
}

fn state_badge(token: &EnrolmentToken, now: Timestamp) -> Markup {
    match state(token, now) {
        None | Some(TokenRefusal::Network) => badge(Status::Healthy, Some("Works")),
        Some(TokenRefusal::Withdrawn) => badge(Status::Unknown, Some("Withdrawn")),
        Some(TokenRefusal::Expired) => badge(Status::Unknown, Some("Expired")),
        Some(TokenRefusal::UsedUp) => badge(Status::Unknown, Some("Used up")),
    }
}

fn gives(token: &EnrolmentToken) -> Markup {
    html! {
        @if let Grants::Many { maximum } = token.grants { "a gateway or pool of at most " (maximum) " " }
        @if let Some(group) = &token.group { "in " a href={ "/groups/" (group) } { (group) } " " }
        (labels(token.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
        @if token.by_hand { " each to be approved" }
        @if !token.networks.is_empty() {
            " from " @for (at, network) in token.networks.iter().enumerate() { @if at > 0 { ", " } (network.to_string()) }
        }
    }
}

/// The form of a new token.
#[must_use]
pub fn new(form: &TokenForm, groups: &[Name], errors: &Errors, scene: &Scene<'_>) -> Markup {
    let mut options = vec![Choice {
        value: "",
        label: "As selectors say",
        help: "",
    }];
    options.extend(groups.iter().map(|name| Choice {
        value: name.as_str(),
        label: name.as_str(),
        help: "",
    }));
    let number = |name, label, value, help, optional| {
        field(&Field {
            name,
            label,
            value,
            help,
            error: errors.field(name),
            input: Input::Number,
            optional,
            ..Field::default()
        })
    };
    html! {
        (page_head(&html! { "New enrolment token" }, None, None))
        (errors.summary())
        form.form method="post" action="/enrolment/new" {
            (form_token(scene.form_token))
            (field(&Field {
                name: "note",
                label: "What it is for",
                value: &form.note,
                help: "Such as: image of the web servers.",
                error: errors.field("note"),
                optional: true,
                focus: errors.is_empty(),
                ..Field::default()
            }))
            (number("uses", "Uses", &form.uses, "How many hosts it lets in.", false))
            (number("hours", "Valid for (hours)", &form.hours, "At most a year, which is 8760.", false))
            (field(&Field {
                name: "labels",
                label: "Labels",
                value: &form.labels,
                help: "Its agents get them. One a line: region = eu",
                error: errors.field("labels"),
                input: Input::Lines(3),
                optional: true,
                ..Field::default()
            }))
            (select_field(&Field {
                name: "group",
                label: "Group",
                value: &form.group,
                help: "Its agents are in this group before any selector is asked.",
                error: errors.field("group"),
                ..Field::default()
            }, &options))
            (field(&Field {
                name: "networks",
                label: "Networks",
                value: &form.networks,
                help: "From where it may be used, one a line, such as 10.0.0.0/8. None: from anywhere.",
                error: errors.field("networks"),
                input: Input::Lines(2),
                optional: true,
                ..Field::default()
            }))
            (number("many", "Agents behind one credential", &form.many, "For a gateway or a pool of pods only: the most agents that share the credential. Empty: each use lets one agent in.", true))
            (check("by_hand", "Each agent has to be approved", "It is answered and given nothing until somebody decides about it under Enrolment.", form.by_hand))
            div.buttons { (button("Make token", true)) a.button href="/enrolment" { "Cancel" } }
        }
    }
}

/// The token that was just made, with its secret, shown this once.
#[must_use]
pub fn made(made: &MadeEnrolmentToken, scene: &Scene<'_>) -> Markup {
    let token = &made.token;
    html! {
        (page_head(&html! { "Enrolment token made" }, None, Some(&button_link("All tokens", "/enrolment", false))))
        p { "Copy it now: it is not shown again." }
        (code_block(&made.secret, "the enrolment token"))
        (facts(&[
            Fact::text("For", Some(&token.note)),
            Fact::new("Lets in", html! { (count(u64::from(token.uses_allowed), "host", "hosts")) }),
            Fact::new("Expires", html! { (ago(token.expires_at, scene.now)) " " (quiet(&html! { (absolute(token.expires_at)) })) }),
        ]))
        p.soft { a href="/agents/add" { "Add agents" } " shows the commands that use a token." }
    }
}

/// What is asked before a token is withdrawn.
#[must_use]
pub fn withdraw(token: &EnrolmentToken, scene: &Scene<'_>) -> Markup {
    let left = token.uses_allowed.saturating_sub(token.uses);
    html! {
        (page_head(&html! { "Withdraw an enrolment token" }, None, None))
        (confirm(&Confirm {
            question: "Withdraw this enrolment token?",
            consequences: html! {
                @if !token.note.is_empty() { p { "It is for: " (visible(&token.note)) } }
                p { (count(u64::from(left), "use", "uses")) " of it are left and lapse. The agents that it let in stay." }
            },
            typed: None,
            error: None,
            button: "Withdraw 1 token",
            destructive: true,
            action: &format!("/enrolment/tokens/{}/withdraw", token.id),
            fields: &[],
            cancel: "/enrolment",
            form_token: scene.form_token,
        }))
    }
}
