//! `muster rollouts`.

use std::time::Duration;

use serde_json::{Value, json};

use super::agents::naming::resolve;
use super::client::segment;
use super::columns::{Column, field, list_at, number_at, text_at, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session, card};
use crate::observability::plain::plain;
use crate::settings::Environment;

/// How often a rollout that is watched is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Look at rollouts, and steer them
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    List(List),
    Show(Which),
    Watch(Which),
    /// Release nobody more for now
    Pause(Steer),
    /// Go on, with the failures so far accepted
    Resume(Steer),
    /// Pass the present stage without waiting for its gates
    Promote(Steer),
    /// Bring every agent back to what it had
    Rollback(Steer),
    /// End it; every agent keeps what it has now
    Abort(Steer),
    Retry(Retry),
    /// Approve what somebody else published to a protected group, after a look at what it does
    Approve(Steer),
    /// Reject what waits for approval; say why with -m
    Reject(Steer),
    /// Take back what waits for approval
    Withdraw(Steer),
}

/// List rollouts, newest first
#[derive(clap::Args, Debug)]
struct List {
    /// Only those to this group
    #[arg(long)]
    group: Option<String>,
}

/// Show a rollout with its stages, gates and agents
#[derive(clap::Args, Debug)]
struct Which {
    /// The rollout's number
    rollout: u64,
}

#[derive(clap::Args, Debug)]
struct Steer {
    /// The rollout's number
    rollout: u64,
    /// Why
    #[arg(long, short = 'm', default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    yes: Yes,
}

/// Offer the content once more to agents that failed with it, or let those that a move left behind move again
#[derive(clap::Args, Debug)]
struct Retry {
    #[command(flatten)]
    steer: Steer,
    /// Which; without, all that failed or were left behind
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::List(args) => args.run(session).await,
            Act::Show(args) => args.show(session).await,
            Act::Watch(args) => args.watch(session).await,
            Act::Pause(args) => args.run(session, "pause", "Release nobody more").await,
            Act::Resume(args) => args.run(session, "resume", "Go on").await,
            Act::Promote(args) => {
                args.run(session, "promote", "Pass the present stage without its gates")
                    .await
            }
            Act::Rollback(args) => {
                args.run(session, "roll_back", "Bring every agent back to what it had")
                    .await
            }
            Act::Abort(args) => {
                args.run(session, "abort", "End it, every agent keeping what it has now")
                    .await
            }
            Act::Retry(args) => args.run(session).await,
            Act::Approve(args) => args.approve(session).await,
            Act::Reject(args) => args.decide(session, "reject", "Reject it").await,
            Act::Withdraw(args) => args.decide(session, "withdraw", "Take it back").await,
        }
    }
}

impl List {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let path = match &self.group {
            Some(group) => format!("/api/v1/rollouts?group={}", segment(group)),
            None => "/api/v1/rollouts".to_owned(),
        };
        let found: Value = session.get(&path).await?;
        session.list(
            list_at(&found, "/rollouts"),
            &[
                field("ROLLOUT", "/id"),
                field("GROUP", "/group"),
                field("KIND", "/kind"),
                field("BRINGS", "/brings"),
                field("STATE", "/state"),
                field("HOW", "/how"),
                field("AGENTS", "/members"),
                field("OK", "/total/proven"),
                field("PROVING", "/total/unproven"),
                field("FAILED", "/total/failed"),
                time("BEGUN", "/created_at"),
                field("WAITS", "/waits"),
            ],
            "no rollouts yet; `muster publish` begins one",
        )
    }
}

const CARD: [Column; 10] = [
    field("Group", "/group"),
    field("Kind", "/kind"),
    field("Brings", "/brings"),
    field("Instead of", "/instead_of"),
    field("Strategy", "/plan"),
    field("State", "/state"),
    field("How", "/how"),
    field("Started by", "/started_by"),
    time("Begun", "/created_at"),
    field("Waits", "/waits"),
];

impl Which {
    async fn show(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(&path(self.rollout)).await?;
        session.say(&found, || described(&found))
    }

    async fn watch(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let mut last = String::new();
        loop {
            let found: Value = session.get(&path(self.rollout)).await?;
            let state = text_at(&found, "/state").to_owned();
            let over = ["ended", "paused"].contains(&state.as_str());
            let line = progress(&found);
            if line != last && !session.shape.json {
                session.output.line(&line)?;
            }
            last = line;
            if !over {
                tokio::time::sleep(EVERY).await;
                continue;
            }
            session.say(&found, || described(&found))?;
            let succeeded = text_at(&found, "/how") == "succeeded";
            anyhow::ensure!(succeeded, "{}", text_at(&found, "/waits"));
            return Ok(());
        }
    }
}

impl Steer {
    async fn run(self, session: &mut Session<'_>, act: &str, question: &str) -> anyhow::Result<()> {
        self.send(session, json!({"act": act}), question).await
    }

    async fn send(self, session: &mut Session<'_>, act: Value, question: &str) -> anyhow::Result<()> {
        self.send_to(session, "acts", act, question).await
    }

    async fn send_to(
        self,
        session: &mut Session<'_>,
        place: &str,
        mut act: Value,
        question: &str,
    ) -> anyhow::Result<()> {
        self.yes.ask(
            session.output,
            &format!("{question} in rollout {}?", self.rollout),
        )?;
        if let Value::Object(fields) = &mut act {
            fields.insert("reason".to_owned(), Value::from(self.reason));
        }
        let found: Value = session
            .post(&format!("{}/{place}", path(self.rollout)), &act)
            .await?;
        session.say(&found, || progress(&found))
    }
}

impl Steer {
    /// Shows what it does, asks, and approves just that.
    async fn approve(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(&path(self.rollout)).await?;
        let Some(proposal) = found.get("proposal").cloned() else {
            anyhow::bail!("rollout {} waits for no approval", self.rollout);
        };
        if !session.shape.json {
            session.output.line(&proposed(&found, &proposal)?)?;
        }
        let decision = json!({"decision": "approve", "binds": text_at(&proposal, "/binds")});
        self.send_to(session, "decisions", decision, "Approve it").await
    }

    async fn decide(self, session: &mut Session<'_>, word: &str, question: &str) -> anyhow::Result<()> {
        self.send_to(session, "decisions", json!({"decision": word}), question)
            .await
    }
}

/// What a proposal does, as whoever approves it has to know.
fn proposed(rollout: &Value, proposal: &Value) -> anyhow::Result<String> {
    let agents = list_at(proposal, "/agents");
    let named: Vec<_> = agents
        .iter()
        .take(20)
        .map(|agent| text_at(agent, "/title"))
        .collect();
    let more = match agents.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let diff = serde_json::from_value(proposal.get("diff").cloned().unwrap_or_default())?;
    let lines = [
        format!(
            "{} proposed {} to group {}: {}",
            text_at(rollout, "/started_by"),
            text_at(rollout, "/brings"),
            text_at(rollout, "/group"),
            text_at(rollout, "/plan"),
        ),
        format!("Agents: {}: {}{more}", agents.len(), named.join(", ")),
        format!("Approvals to go: {}", number_at(proposal, "/missing")),
        super::shown::diff(&diff),
    ];
    let lines = lines.iter().flat_map(|line| line.lines());
    Ok(lines.map(plain).collect::<Vec<_>>().join("\n"))
}

impl Retry {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let mut agents = Vec::new();
        for agent in &self.agents {
            agents.push(resolve(session, agent).await?.id);
        }
        let question = match agents.len() {
            0 => "Try all agents that failed or were left behind again".to_owned(),
            count => format!("Try {count} agents again"),
        };
        self.steer
            .send(session, json!({"act": "retry", "agents": agents}), &question)
            .await
    }
}

fn path(rollout: u64) -> String {
    format!("/api/v1/rollouts/{rollout}")
}

/// Where a rollout is, in a line.
fn progress(rollout: &Value) -> String {
    let total = |field: &str| number_at(rollout, &format!("/total/{field}"));
    plain(&format!(
        "{} of {} ok, {} proving, {} failed. {}",
        total("proven"),
        total("members"),
        total("unproven"),
        total("failed"),
        text_at(rollout, "/waits")
    ))
}

fn described(rollout: &Value) -> String {
    let mut lines = vec![card(rollout, &CARD)];
    lines.push("\nStages".to_owned());
    for (number, stage) in (1..).zip(list_at(rollout, "/stages")) {
        let count = |field: &str| number_at(stage, &format!("/{field}"));
        lines.push(format!(
            "  {number}. {}: {} agents, {} ok, {} proving, {} waiting, {} blocked, {} failed, {} rolled back",
            text_at(stage, "/size"),
            count("members"),
            count("proven"),
            count("unproven"),
            count("waiting"),
            count("blocked"),
            count("failed"),
            count("rolled_back"),
        ));
    }
    let gates = list_at(rollout, "/gates");
    if !gates.is_empty() {
        lines.push("\nGates".to_owned());
    }
    for gate in gates {
        let said = match gate.get("skipped").and_then(Value::as_bool) {
            Some(true) => "skipped".to_owned(),
            _ => format!(
                "{} passed, {} waiting, {} failed",
                number_at(gate, "/passed"),
                number_at(gate, "/waiting"),
                number_at(gate, "/failed")
            ),
        };
        let (worst, threshold) = (text_at(gate, "/worst"), text_at(gate, "/threshold"));
        lines.push(format!(
            "  {}: {said} ({worst}; {threshold})",
            text_at(gate, "/gate")
        ));
    }
    lines.push("\nAgents, worst first".to_owned());
    for agent in list_at(rollout, "/agents").iter().take(50) {
        let reason = text_at(agent, "/reason");
        let comma = if reason.is_empty() { "" } else { ": " };
        lines.push(format!(
            "  {}  stage {}  {}{comma}{reason}",
            text_at(agent, "/title"),
            number_at(agent, "/stage") + 1,
            text_at(agent, "/verdict"),
        ));
    }
    lines.push("\nHistory".to_owned());
    for step in list_at(rollout, "/history") {
        let detail = step.get("how").or_else(|| step.pointer("/why/because"));
        lines.push(format!(
            "  {}  {}{}  by {}  {}",
            time("", "/at").of(step),
            text_at(step, "/state"),
            detail
                .and_then(Value::as_str)
                .map(|how| format!(" ({how})"))
                .unwrap_or_default(),
            text_at(step, "/by"),
            text_at(step, "/note"),
        ));
    }
    lines
        .iter()
        .flat_map(|line| line.lines())
        .map(plain)
        .collect::<Vec<_>>()
        .join("\n")
}
