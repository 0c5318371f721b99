//! Looking at agents.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::Value;

use super::super::columns::{Column, field, list_at, text_at, time};
use super::super::session::{Session, card, not_found, with_query};
use super::super::shown;
use super::matching;
use super::naming::resolve;
use crate::fleet::agent::report::{Component, Health};
use crate::observability::plain::plain;

const COLUMNS: [Column; 8] = [
    field("NAME", "/name"),
    field("STATUS", "/status/condition"),
    field("REASON", "/status/reason"),
    field("GROUP", "/group"),
    field("CONFIG", "/config/state"),
    field("VERSION", "/service_version"),
    time("LAST SEEN", "/last_seen"),
    field("ID", "/id"),
];

/// List agents, the worst first
#[derive(clap::Args, Debug)]
pub(super) struct List {
    /// What to list, such as: status = degraded
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    /// The order
    #[arg(long, value_enum, default_value = "status")]
    sort: Sort,
    /// The most agents
    #[arg(long, value_name = "N", default_value = "100", conflicts_with = "all")]
    limit: usize,
    /// List all of them, however many
    #[arg(long)]
    all: bool,
    /// Archived ones too
    #[arg(long)]
    archived: bool,
}

/// The orders of the list.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// The worst first
    Status,
    /// By name
    Name,
    /// By group
    Group,
    /// By version
    Version,
    /// The last heard of first
    LastSeen,
}

impl Sort {
    const fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Name => "name",
            Self::Group => "group",
            Self::Version => "version",
            Self::LastSeen => "last_seen",
        }
    }
}

impl List {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let most = if self.all { usize::MAX } else { self.limit.max(1) };
        let archived = self.archived.to_string();
        let more = [("sort", self.sort.word()), ("archived", archived.as_str())];
        let filter = self.filter.join(" ");
        let found = matching(session, &filter, most, &more).await?;
        let none = if filter.trim().is_empty() {
            "no agents yet; `muster enroll` makes the token that one joins with"
        } else {
            "no agent is taken by this filter"
        };
        session.list(&found.agents, &COLUMNS, none)?;
        let shown = found.agents.len();
        if session.output.is_terminal() && !session.shape.json && found.matching > shown as u64 {
            session
                .output
                .line(&format!("{shown} of {}; --all lists them all", found.matching))?;
        }
        Ok(())
    }
}

/// Show one agent: how it is, who it is, and what it says of its health
#[derive(clap::Args, Debug)]
pub(super) struct Show {
    /// The agent
    agent: String,
}

const CARD: [Column; 26] = [
    field("Name", "/name"),
    field("Status", "/status/condition"),
    field("Reason", "/status/reason"),
    time("Since", "/status/since"),
    field("Presence", "/presence/state"),
    time("Last seen", "/last_seen"),
    field("Group", "/group"),
    field("Proposed group", "/proposed_group"),
    field("Waits to move", "/pending_move/waits"),
    field("Left behind", "/left_behind/why"),
    field("Labels", "/labels"),
    field("Configuration", "/config/state"),
    field("Refused because", "/config/error"),
    field("Suspended", "/registration/suspension/kind"),
    field("Suspended by", "/registration/suspension/by"),
    field("Suspended because", "/registration/suspension/reason"),
    time("Suspended until", "/registration/suspension/until"),
    field("Host", "/host_name"),
    field("Service", "/service_name"),
    field("Version", "/service_version"),
    field("System", "/os_type"),
    time("Started", "/started_at"),
    field("Capabilities", "/capabilities"),
    field("Id", "/id"),
    field("Instance uid", "/instance_uid"),
    field("Credential", "/registration/credential"),
];

impl Show {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let detail: Value = session.get(&format!("/api/v1/agents/{}", agent.id)).await?;
        session.say(&detail, || {
            let mut text = card(&detail, &CARD);
            if let Some(health) = detail.get("health").and_then(health) {
                text.push_str("\n\nHealth\n");
                tree(&mut text, "", &health, 1);
            }
            text.trim_end().to_owned()
        })
    }
}

fn health(value: &Value) -> Option<Health> {
    serde_json::from_value(value.clone()).ok()
}

/// A component's health and that of those inside, an indented line each.
fn tree(text: &mut String, name: &str, health: &Health, depth: usize) {
    let mark = if health.healthy { "ok " } else { "BAD" };
    let said = [name, &health.status, &health.last_error];
    let said: Vec<_> = said
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(plain)
        .collect();
    let _ = writeln!(text, "{:1$}{mark} {2}", "", depth * 2, said.join("  "));
    for (name, inside) in &health.components {
        tree(text, name, inside, depth + 1);
    }
}

/// Show what happened to an agent, the newest first
#[derive(clap::Args, Debug)]
pub(super) struct Timeline {
    /// The agent
    agent: String,
    /// The most entries, at most 1000
    #[arg(long, value_name = "N", default_value = "100")]
    limit: u16,
}

impl Timeline {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let path = format!("/api/v1/agents/{}/timeline", agent.id);
        let limit = self.limit.to_string();
        let found: Value = session
            .get(&with_query(&path, [("limit", limit.as_str())]))
            .await?;
        session.list(
            list_at(&found, "/entries"),
            &[
                time("AT", "/at"),
                field("WHAT", "/kind"),
                field("ERROR", "/error"),
                field("REASON", "/reason"),
                field("GROUP", "/group"),
                field("TRANSPORT", "/transport"),
                field("CONTENT", "/digest"),
            ],
            "nothing happened yet",
        )
    }
}

/// Show the configuration that an agent reports to run, the one that it is to run, or what differs
#[derive(clap::Args, Debug)]
pub(super) struct Config {
    /// The agent
    agent: String,
    /// Show what it is to run
    #[arg(long)]
    desired: bool,
    /// Show what differs from what it is to run (-) to what it runs (+)
    #[arg(long, conflicts_with = "desired")]
    diff: bool,
    /// Show where what it runs differs in meaning, without what supervisors add
    #[arg(long, conflicts_with_all = ["desired", "diff"])]
    drift: bool,
}

impl Config {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let path = format!("/api/v1/agents/{}", agent.id);
        if !self.desired && !self.diff && !self.drift {
            let found: Value = session.get(&format!("{path}/effective-config")).await?;
            return shown::content_of(session, &found);
        }
        let found: Value = session.get(&format!("{path}/configuration")).await?;
        let part = |name: &str| found.get(name).filter(|part| !part.is_null());
        let unsaid = |what: &str| not_found(format!("{what} {}.", agent.name));
        if self.desired {
            let wanted = part("wanted").ok_or_else(|| unsaid("Nothing is to be run by"))?;
            return shown::content_of(session, wanted);
        }
        if self.drift {
            let drift = part("drift").ok_or_else(|| unsaid("There is nothing to compare for"))?;
            return print_drift(session, drift);
        }
        let diff = part("diff").ok_or_else(|| unsaid("There is nothing to compare for"))?;
        shown::print_diff(session, diff, &serde_json::from_value(diff.clone())?)
    }
}

/// A line for each place that differs.
fn print_drift(session: &mut Session<'_>, drift: &Value) -> anyhow::Result<()> {
    let columns = [
        field("WHERE", "/path"),
        field("HOW", "/change"),
        field("WANTED", "/offered/text"),
        field("RUNS", "/runs/text"),
    ];
    match text_at(drift, "/state") {
        "differs" => session.list(list_at(drift, "/differences"), &columns, "nothing differs"),
        "cannot_verify" => session.say(drift, || {
            plain(&format!("it can't be compared: {}", text_at(drift, "/reason")))
        }),
        _ => session.say(drift, || "it runs what is wanted".to_owned()),
    }
}

/// Show the credentials of an agent, and where the exchange of one stands
#[derive(clap::Args, Debug)]
pub(super) struct Credentials {
    /// The agent
    agent: String,
}

impl Credentials {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let path = format!("/api/v1/agents/{}/identity", agent.id);
        let mut found: Value = session.get(&path).await?;
        let in_use = found.get("in_use").cloned();
        let all = found.get_mut("credentials").and_then(Value::as_array_mut);
        for credential in all.into_iter().flatten().filter_map(Value::as_object_mut) {
            let used = credential.get("id") == in_use.as_ref();
            credential.insert("in_use".to_owned(), Value::from(used));
        }
        if session.shape.json {
            return session.say(&found, String::new);
        }
        session.list(
            list_at(&found, "/credentials"),
            &[
                field("ID", "/id"),
                field("STATE", "/state/state"),
                field("PURPOSE", "/purpose/purpose"),
                field("IN USE", "/in_use"),
                time("MADE", "/created_at"),
                time("FIRST USED", "/first_used_at"),
                time("LAPSES", "/purpose/until"),
            ],
            "no credentials",
        )
    }
}

/// Show the last custom messages of an agent, the newest first
#[derive(clap::Args, Debug)]
#[command(after_help = "With --json also those that wait for it, and the capabilities of both sides.")]
pub(super) struct Messages {
    /// The agent
    agent: String,
}

impl Messages {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let found: Value = session
            .get(&format!("/api/v1/agents/{}/messages", agent.id))
            .await?;
        if session.shape.json {
            return session.say(&found, String::new);
        }
        session.list(
            list_at(&found, "/received"),
            &[
                time("CAME", "/at"),
                field("CAPABILITY", "/capability"),
                field("TYPE", "/type"),
                field("CONTENT", "/data"),
            ],
            "no messages of capabilities that both announce",
        )
    }
}

/// List agents that wait for a decision, and whom each looks like
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Then one of:\n  muster agents approve AGENT\n  muster agents merge AGENT --into OTHER\n  muster agents refuse AGENT"
)]
pub(super) struct Waiting {}

impl Waiting {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get("/api/v1/waiting-agents").await?;
        session.list(
            list_at(&found, "/agents"),
            &[
                field("ID", "/agent/id"),
                field("NAME", "/agent/title"),
                field("CONFLICT", "/conflict"),
                field("HOST", "/host"),
                field("SYSTEM", "/system"),
                field("ADDRESS", "/address"),
                field("LOOKS LIKE", "/looks_like/0/agent/title"),
                field("BY", "/looks_like/0/by"),
                time("SINCE", "/since"),
            ],
            "no agent waits for a decision",
        )
    }
}

/// Show the components that an agent is built from
#[derive(clap::Args, Debug)]
pub(super) struct Components {
    /// The agent
    agent: String,
}

impl Components {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let path = format!("/api/v1/agents/{}/components", agent.id);
        let found: Value = session.get(&path).await?;
        session.say(&found, || components(&found))
    }
}

/// A line for each kind of component.
fn components(found: &Value) -> String {
    let kinds: Option<std::collections::BTreeMap<String, Component>> = found
        .get("components")
        .and_then(|kinds| serde_json::from_value(kinds.clone()).ok());
    let Some(kinds) = kinds else {
        return "the agent was asked for its components and hasn't told them yet".to_owned();
    };
    let line = |(kind, inside): (&String, &Component)| {
        let names: Vec<_> = inside.components.keys().map(|name| plain(name)).collect();
        format!("{}: {}", plain(kind), names.join(", "))
    };
    kinds.iter().map(line).collect::<Vec<_>>().join("\n")
}
