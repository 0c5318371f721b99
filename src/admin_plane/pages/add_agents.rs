//! Adding agents: choose how, get the line to paste, and watch the agents appear.

pub(in crate::admin_plane) mod handle;
pub mod snippets;

use maud::{Markup, html};

use super::agents::{age, standing};
use super::layout::{page_head, section};
use super::parts::{
    Banner, BannerKind, Choice, Column, Empty, Field, Input, Row, Status, Table, ago, badge, banner, button,
    button_link, check, choices, code_block, count, empty, field, form_token, label, live, select_field,
    table, visible, visible_text,
};
use super::scene::{Errors, Scene};
use crate::admin_plane::Site;
use crate::app::agents::AgentPage;
use crate::fleet::enrolment::{EnrolmentToken, Grants};
use crate::fleet::name::Name;

/// How an agent joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// A Linux host with systemd, by the join script.
    #[default]
    Linux,
    /// A Mac, by a join script of its own.
    MacOs,
    /// A Windows host, by a join script of its own.
    Windows,
    /// A Supervisor that is there already, by its own file.
    Supervisor,
    /// A Collector in a container, observed.
    Container,
    /// A Collector on every node of a Kubernetes cluster, observed.
    Kubernetes,
    /// The OpAMP bridge of the OpenTelemetry operator.
    Bridge,
    /// Any other OpAMP client.
    Client,
}

impl Way {
    /// All of them, the easiest first.
    pub const ALL: [Self; 8] = [
        Self::Linux,
        Self::MacOs,
        Self::Windows,
        Self::Supervisor,
        Self::Container,
        Self::Kubernetes,
        Self::Bridge,
        Self::Client,
    ];

    /// Whether nobody has tried this way here: it was written by the book, and its text checked.
    #[must_use]
    pub const fn is_untested(self) -> bool {
        matches!(
            self,
            Self::MacOs | Self::Windows | Self::Container | Self::Kubernetes | Self::Bridge
        )
    }

    /// Its word in forms and URLs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::MacOs => "macos",
            Self::Windows => "windows",
            Self::Supervisor => "supervisor",
            Self::Container => "container",
            Self::Kubernetes => "kubernetes",
            Self::Bridge => "bridge",
            Self::Client => "client",
        }
    }

    /// The way that a word names; anything else is the easiest.
    #[must_use]
    pub fn named(word: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|way| way.word() == word)
            .unwrap_or_default()
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Linux => "A Linux host with systemd",
            Self::MacOs => "A Mac (untested)",
            Self::Windows => "A Windows host (untested)",
            Self::Supervisor => "A Supervisor that is installed already",
            Self::Container => "A Collector in a container (untested)",
            Self::Kubernetes => "A Collector on every node of a Kubernetes cluster (untested)",
            Self::Bridge => "The OpenTelemetry operator's OpAMP bridge (untested)",
            Self::Client => "Any other OpAMP client",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Linux => {
                "One line to paste. It runs the host's Collector under the Supervisor; what it runs already becomes revision 1."
            }
            Self::MacOs => "One line to paste. It runs a Collector under the Supervisor as a launchd daemon.",
            Self::Windows => {
                "One line for PowerShell. It runs a Collector under the Supervisor as a service."
            }
            Self::Kubernetes => {
                "Manifests of a DaemonSet. Its pods share one credential: say how many nodes there may be under Agents behind one credential."
            }
            Self::Bridge => {
                "Manifests of the bridge, which shows and configures the Collectors that the operator runs."
            }
            Self::Supervisor => "Its configuration file, and the command that gets its credential.",
            Self::Container => {
                "With the Collector's OpAMP extension: seen with its health and configuration, and not configured from here."
            }
            Self::Client => "The address, the authority and the credential, for whatever speaks OpAMP.",
        }
    }
}

/// How long a token can work: seconds and words.
pub const VALIDITIES: [(&str, &str); 5] = [
    ("3600", "1 hour"),
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
    ("31536000", "1 year"),
];

/// The form as it was filled in.
#[derive(Debug)]
pub struct AddForm<'a> {
    /// How the agents join.
    pub way: Way,
    /// The group that they get; empty for none.
    pub group: &'a str,
    /// The labels that they get, one a line.
    pub labels: &'a str,
    /// How often the token may be used.
    pub uses: &'a str,
    /// How long it works, in seconds.
    pub valid_seconds: &'a str,
    /// The most agents behind one credential; empty for one.
    pub many: &'a str,
    /// The networks that it may be used from, one a line; empty for any.
    pub networks: &'a str,
    /// What it is for.
    pub note: &'a str,
    /// Whether each agent has to be approved.
    pub by_hand: bool,
    /// What is wrong.
    pub errors: &'a Errors,
}

/// The page that asks how.
#[must_use]
pub fn choose(form: &AddForm<'_>, groups: &[Name], scene: &Scene<'_>) -> Markup {
    let ways = Way::ALL.map(|way| Choice {
        value: way.word(),
        label: way.label(),
        help: way.help(),
    });
    let validities = VALIDITIES.map(|(value, label)| Choice {
        value,
        label,
        help: "",
    });
    let groups: Vec<Choice<'_>> = std::iter::once(Choice {
        value: "",
        label: "None: observe only, until a group claims them",
        help: "",
    })
    .chain(groups.iter().map(|name| Choice {
        value: name.as_str(),
        label: name.as_str(),
        help: "",
    }))
    .collect();
    let errors = form.errors;
    html! {
        (page_head(&html! { "Add agents" }, None, None))
        (errors.summary())
        form.form method="post" action="/agents/add" novalidate {
            (form_token(scene.form_token))
            (choices(&Field { name: "way", label: "What joins", value: form.way.word(), ..Field::default() }, &ways))
            (select_field(&Field {
                name: "group",
                label: "Group",
                value: form.group,
                help: "They are sent what is published to it.",
                error: errors.field("group"),
                optional: true,
                ..Field::default()
            }, &groups))
            (field(&Field {
                name: "labels",
                label: "Labels",
                value: form.labels,
                help: "One a line: region = eu.",
                error: errors.field("labels"),
                input: Input::Lines(2),
                optional: true,
                ..Field::default()
            }))
            (field(&Field {
                name: "uses",
                label: "How many hosts",
                value: form.uses,
                help: "The line works this often. Each host gets a credential of its own.",
                error: errors.field("uses"),
                input: Input::Number,
                ..Field::default()
            }))
            (select_field(&Field {
                name: "valid_seconds",
                label: "The line works for",
                value: form.valid_seconds,
                error: errors.field("valid_seconds"),
                ..Field::default()
            }, &validities))
            (rarely_needed(form))
            div.buttons { (button("Make the line to paste", true)) a.button href="/agents" { "Cancel" } }
        }
    }
}

/// What most people leave as it is, folded away until something in it is filled in or wrong.
fn rarely_needed(form: &AddForm<'_>) -> Markup {
    let errors = form.errors;
    let rarely = [form.many, form.networks, form.note]
        .iter()
        .any(|typed| !typed.is_empty())
        || form.by_hand
        || ["many", "networks", "note"]
            .iter()
            .any(|name| errors.field(name).is_some());
    html! {
        details #more open[rarely] {
            summary { "Approval, gateways, networks, note" }
            (check("by_hand", "Each agent has to be approved", "It is answered and given nothing until somebody decides about it under Enrolment.", form.by_hand))
            (field(&Field {
                name: "many",
                label: "Agents behind one credential",
                value: form.many,
                help: "For a gateway or a pool of pods only: the most agents that one credential speaks for. Empty: one.",
                error: errors.field("many"),
                input: Input::Number,
                optional: true,
                ..Field::default()
            }))
            (field(&Field {
                name: "networks",
                label: "Networks",
                value: form.networks,
                help: "Where it may be used from, one a line: 10.0.0.0/8. Empty: from anywhere.",
                error: errors.field("networks"),
                input: Input::Lines(2),
                optional: true,
                ..Field::default()
            }))
            (field(&Field {
                name: "note",
                label: "Note",
                value: form.note,
                help: "What it is for; shown in the list of tokens.",
                error: errors.field("note"),
                optional: true,
                ..Field::default()
            }))
        }
    }
}

/// A token and what came of it so far.
#[derive(Debug)]
pub struct JoiningView<'a> {
    /// This installation.
    pub site: &'a Site,
    /// The host by which the browser reached it.
    pub called: &'a str,
    /// How the agents join.
    pub way: Way,
    /// The token.
    pub token: &'a EnrolmentToken,
    /// Its secret: known only in the answer to the form that made it.
    pub secret: Option<&'a str>,
    /// The agents that joined with it.
    pub agents: &'a AgentPage,
}

/// The page with the line to paste and the agents that appear.
#[must_use]
pub fn joining(view: &JoiningView<'_>, scene: &Scene<'_>) -> Markup {
    let url = format!("/agents/add/{}?way={}", view.token.id, view.way.word());
    html! {
        (page_head(&html! { "Add agents" }, Some(&html! { (view.way.label()) }), None))
        @if view.way.is_untested() {
            (banner(&Banner {
                kind: BannerKind::Warning,
                words: html! { "This way is untested: its text was checked, but nobody has run it with this server. Try it where it may fail." },
                link: None,
            }))
        }
        @match view.secret {
            Some(secret) => (steps(view, secret)),
            None => (forgotten()),
        }
        (section("Waiting for agents", None, &live("joining", &["agents", "enrolment"], &url, &waiting(view, &url, scene))))
        div.buttons { (button_link("Add others", "/agents/add", false)) (button_link("All agents", "/agents", false)) }
    }
}

fn forgotten() -> Markup {
    html! {
        p { "The line to paste was shown once, when it was made: its token is kept only as a digest. The agents that it let in are below." }
    }
}

fn steps(view: &JoiningView<'_>, secret: &str) -> Markup {
    let site = view.site;
    let Ok((joining, is_local)) = snippets::place(view.called, &site.names, site.agent_port, &site.ca_pem)
    else {
        return html! { p.error { "This server doesn't know by which name hosts reach it: put one into the settings." } };
    };
    let steps = snippets::steps(view.way, &joining, &site.ca_pem, secret);
    html! {
        ol.steps {
            @for step in &steps {
                li {
                    p { strong { (step.title) } " " (step.words) }
                    (code_block(&step.code, step.label))
                }
            }
        }
        p.soft {
            "The token is shown once. The host trusts this server by its own authority, whose SHA-256 is "
            code.break { (view.site.ca_fingerprint.to_string()) }
            ": compare it with what the server printed at its first start."
        }
        @if is_local { p.soft { "This address is good on the server's own host only. To let others join, put the name by which they reach it into the settings, so that its certificate says it too." } }
    }
}

fn waiting(view: &JoiningView<'_>, url: &str, scene: &Scene<'_>) -> Markup {
    let token = view.token;
    html! {
        p { (stands(token, scene)) }
        @if !token.labels.is_empty() || token.group.is_some() {
            p {
                "They get "
                @if let Some(group) = &token.group { "the group " a href={ "/groups/" (group) } { (group) } }
                @if !token.labels.is_empty() && token.group.is_some() { " and " }
                @if !token.labels.is_empty() {
                    "the labels "
                    @for (at, (key, value)) in token.labels.iter().enumerate() { @if at > 0 { " " } (label(key, value)) }
                }
            }
        }
        @if view.agents.agents.is_empty() {
            (empty(&Empty {
                title: "No agent yet",
                words: html! { "It appears here by itself as soon as its host has enrolled. " a href=(url) { "Look again" } },
                fill: None,
            }))
        } @else { (arrived(view, scene)) }
    }
}

fn stands(token: &EnrolmentToken, scene: &Scene<'_>) -> Markup {
    let left = token.uses_allowed.saturating_sub(token.uses);
    let over = token.expires_at <= scene.now;
    let (status, word) = match (token.withdrawn_at, left, over) {
        (Some(_), ..) => (Status::Unknown, "Withdrawn"),
        (None, 0, _) => (Status::Healthy, "Used up"),
        (None, _, true) => (Status::Unknown, "Expired"),
        (None, _, false) => (Status::InProgress, "Open"),
    };
    html! {
        (badge(status, Some(word))) " "
        "used " (token.uses) " of " (count(u64::from(token.uses_allowed), "time", "times"))
        @match (token.withdrawn_at, over) {
            (Some(at), _) => { ", withdrawn " (ago(at, scene.now)) }
            (None, true) => { ", ended " (ago(token.expires_at, scene.now)) }
            (None, false) => { ", ends " (ago(token.expires_at, scene.now)) }
        }
        @if let Grants::Many { maximum } = token.grants { ", each use for at most " (count(u64::from(maximum), "agent", "agents")) }
        ". " a href="/enrolment" { "All tokens" }
    }
}

fn arrived(view: &JoiningView<'_>, scene: &Scene<'_>) -> Markup {
    let columns = [
        Column::of("Status"),
        Column::of("Agent"),
        Column::of("Why").wide(),
        Column::of("Configuration").wide(),
        Column::of("Heard").numbers(),
    ];
    let rows: Vec<Row> = view
        .agents
        .agents
        .iter()
        .map(|agent| {
            let (status, word) = standing(agent);
            let reason = html! { (visible(&agent.status.reason)) " " span.quiet { (age(agent.status.since, scene.now)) } };
            let sub = html! { span.narrow { (reason) } };
            Row {
                key: agent.id.to_string(),
                name: visible_text(&agent.name),
                cells: vec![
                    badge(status, Some(word)),
                    Row::name_cell(&visible(&agent.name), &format!("/agents/{}", agent.id), Some(&sub)),
                    html! { span.reason { (reason) } },
                    html! { (agent.config.state.words()) },
                    super::agents::heard(agent, scene.now),
                ],
            }
        })
        .collect();
    table(&Table {
        id: "joined",
        caption: "Agents that joined with this token, worst first",
        columns: &columns,
        rows: &rows,
        picks: false,
        noun: ("agent", "agents"),
        pager: Some(super::parts::Pager {
            total: Some(view.agents.matching as u64),
            ..super::parts::Pager::default()
        }),
    })
}
