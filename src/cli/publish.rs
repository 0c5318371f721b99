//! `muster publish`: shows what it would do, asks, does it, and waits where asked.

use http::Method;
use serde_json::{Value, json};

use super::agents::naming::resolve;
use super::client::segment;
use super::columns::{list_at, number_at, text_at};
use super::configs::{Which, newest};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session, with_query, wrong};
use super::shown;
use super::terms::Length;
use crate::app::intentions::Preview;
use crate::fleet::hash::Digest;
use crate::fleet::rollout::{Budget, OnFailure, Strategy};
use crate::fleet::target::{ConfirmationReason, in_words};
use crate::settings::Environment;

mod effects;
mod wait;

use wait::{Timeout, Whom};

/// Publish the layers of a group, or a revision of a config to one agent
///
/// Shows first what it would do to whom. Older revisions roll back. A group of several layers may be named with one of
/// them: the others stay as they are.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  muster publish edge edge-config --wait
  muster publish edge base@7 edge-config
  muster publish edge edge-config@3 -m 'back to what worked' --yes
  muster publish edge edge-config --strategy '1 for 3m; 10% for 1m; all for 1m' --wait=1h
  muster publish edge edge-config --strategy 'all at once' --if-running replace
  muster publish --agent web-1 edge-config --yes")]
pub(super) struct Args {
    /// The group and its layers, from base to most specific; only one config with --agent. Without layers, the newest
    /// revisions of those that the group has
    #[arg(value_name = "GROUP CONFIG[@REVISION]", required = true, num_args = 1..)]
    what: Vec<String>,
    /// Publish to this agent alone, before its group's
    #[arg(long, conflicts_with_all = ["impact_only", "confirm"])]
    agent: Option<String>,
    /// Why
    #[arg(long, short, default_value = "", hide_default_value = true)]
    message: String,
    /// When it ends by itself, with --agent: the agent's group then applies again; such as 30m, 4h or 7d
    #[arg(long = "for", value_name = "TIME", requires = "agent")]
    length: Option<Length>,
    /// Only show what it would do
    #[arg(long)]
    impact_only: bool,
    #[command(flatten)]
    yes: Yes,
    /// The number of agents that it reaches, where that has to be typed; scripts say it beforehand
    #[arg(long, value_name = "N")]
    confirm: Option<u32>,
    /// How it reaches the agents: `all at once`, or stages with how far each goes and how long its agents must stay well
    /// [default: as the group says]
    #[arg(long, value_name = "STAGES", conflicts_with = "agent")]
    strategy: Option<Strategy>,
    /// How many agents may be failed or unproven at once, such as 1+1%
    #[arg(long, value_name = "AGENTS", requires = "strategy")]
    at_risk: Option<Budget>,
    /// How many agents may fail before the rollout stops, such as 2 or 5%
    #[arg(long, value_name = "AGENTS", requires = "strategy")]
    tolerate: Option<Budget>,
    /// Pause when more fail, and bring nobody back
    #[arg(long, requires = "strategy")]
    pause_on_failure: bool,
    /// What to do when a rollout to the group isn't over
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with = "agent")]
    if_running: Option<IfRunningChoice>,
    /// Take a content that tells agents to run nothing: it is meant
    #[arg(long)]
    allow_blank: bool,
    /// Wait until the rollout is over; exits with 1 when an agent failed with it, when it paused, or after TIMEOUT
    #[arg(long, value_name = "TIMEOUT", num_args = 0..=1, default_missing_value = "5m", require_equals = true)]
    wait: Option<Timeout>,
    // Last, since its heading would go on over what follows.
    #[command(flatten)]
    reach: Reach,
}

/// What to do when a rollout isn't over.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum IfRunningChoice {
    /// Publish nothing
    #[default]
    Refuse,
    /// Begin when it has ended
    Queue,
    /// Take its place
    Replace,
}

impl IfRunningChoice {
    fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Queue => "queue",
            Self::Replace => "replace",
        }
    }
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        match (self.agent.clone(), self.what.clone().as_slice()) {
            (Some(agent), [config]) => self.to_agent(&mut session, &agent, config).await,
            (None, [group, configs @ ..]) => self.to_group(&mut session, group, configs).await,
            (Some(_), _) => Err(wrong("with --agent, name only the config").into()),
            (None, []) => {
                Err(wrong("name the group and the config, as in: muster publish edge edge-config").into())
            }
        }
    }

    async fn to_group(
        &self,
        session: &mut Session<'_>,
        group: &str,
        configs: &[String],
    ) -> anyhow::Result<()> {
        let path = format!("/api/v1/groups/{}", segment(group));
        let layers = layers(session, &path, configs).await?;
        let query = [("layers", layers.as_str())];
        let answer: Value = session.get(&with_query(&format!("{path}/impact"), query)).await?;
        let preview: Preview = serde_json::from_value(answer.clone())?;
        if self.impact_only {
            return session.say(&answer, || describe(&preview));
        }
        if !session.shape.json {
            // With --json only the result is printed.
            session.output.line(&describe(&preview))?;
        }
        if preview.is_stopped() {
            let what = in_words(&preview.layers);
            anyhow::bail!(
                "{what} can't be published to group {group}: mend the errors, or name other layers"
            );
        }
        let confirm = self.confirmed(session, &preview)?;
        let mut body = json!({
            "layers": preview.layers,
            "message": self.message,
            "confirm": confirm,
            "allow_blank": self.allow_blank,
            "if_running": self.if_running.unwrap_or_default().word(),
        });
        if let (Some(strategy), Value::Object(fields)) = (self.strategy(), &mut body) {
            fields.insert("strategy".to_owned(), serde_json::to_value(strategy)?);
        }
        // Somebody else's change of the group meanwhile makes what was shown untrue: the server then refuses.
        let tag = format!("\"{}\"", preview.group_revision);
        let path = format!("{path}/publish");
        let result: Value = session
            .client
            .change(Method::POST, &path, &body, Some(&tag))
            .await?;
        let what = in_words(&preview.layers);
        let awaits = result.get("awaits_approval") == Some(&Value::Bool(true));
        session.say(&result, || {
            if result.get("created") == Some(&Value::Bool(false)) {
                format!("{what} is published to group {group} already")
            } else {
                match result.get("rollout").and_then(Value::as_u64) {
                    Some(rollout) if awaits => format!(
                        "proposed {what} to group {group} in rollout {rollout}: nothing is sent until somebody else approves it"
                    ),
                    Some(rollout) => format!("published {what} to group {group} in rollout {rollout}"),
                    None => format!("published {what} to group {group}"),
                }
            }
        })?;
        match self.wait {
            Some(timeout) => match result.get("rollout").and_then(Value::as_u64) {
                Some(rollout) => timeout.wait(session, &Whom::Rollout(rollout)).await,
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// The strategy with what is said beside it.
    fn strategy(&self) -> Option<Strategy> {
        let mut strategy = self.strategy.clone()?;
        strategy.at_risk = self.at_risk.unwrap_or(strategy.at_risk);
        strategy.tolerated_failures = self.tolerate.unwrap_or(strategy.tolerated_failures);
        if self.pause_on_failure {
            strategy.on_failure = OnFailure::Pause;
        }
        Some(strategy)
    }

    /// The number that has to be sent along, after asking for what has to be asked for.
    fn confirmed(&self, session: &mut Session<'_>, preview: &Preview) -> anyhow::Result<Option<u32>> {
        let Some(needed) = preview.impact.confirmation else {
            let question = format!("Publish to {} agents?", preview.impact.reached());
            self.yes.ask(session.output, &question)?;
            return Ok(None);
        };
        if let Some(count) = self.confirm {
            // The server compares.
            return Ok(Some(count));
        }
        let what = needs_count(preview, needed.because);
        let typed = session
            .output
            .ask(&format!("{what} Type {} to go on: ", needed.count))?;
        let Some(typed) = typed else {
            return Err(wrong(format!("{what} Add --confirm {}.", needed.count)).into());
        };
        if typed.trim().parse() == Ok(needed.count) {
            Ok(Some(needed.count))
        } else {
            anyhow::bail!("that is not {}: nothing was published", needed.count)
        }
    }

    async fn to_agent(&self, session: &mut Session<'_>, agent: &str, config: &str) -> anyhow::Result<()> {
        let which: Which = config.parse().map_err(|why: String| wrong(why))?;
        let number = which.number(session).await?;
        let agent = resolve(session, agent).await?;
        let question = format!("Publish {}@{number} to {} alone?", which.config, agent.name);
        self.yes.ask(session.output, &question)?;
        let body = json!({
            "config": which.config,
            "revision": number,
            "message": self.message,
            "allow_blank": self.allow_blank,
            "until": self.length.map(Length::ends_at),
        });
        let path = format!("/api/v1/agents/{}/publish", agent.id);
        let detail: Value = session.post(&path, &body).await?;
        session.say(&detail, || {
            format!("published {}@{number} to {} alone", which.config, agent.name)
        })?;
        let Some(timeout) = self.wait else {
            return Ok(());
        };
        let wanted: Option<Digest> = text_at(&detail, "/config/wanted").parse().ok();
        timeout.wait(session, &Whom::Agent(&agent, wanted)).await
    }
}

/// The layers that are named, with their revisions, from base to most specific. One of several that the group has stands
/// for all, the others as they are published. Nothing for the newest of those that the group has.
async fn layers(session: &Session<'_>, group: &str, configs: &[String]) -> anyhow::Result<String> {
    let mut named = Vec::with_capacity(configs.len());
    for config in configs {
        let which: Which = config.parse().map_err(|why: String| wrong(why))?;
        let number = which.number(session).await?;
        named.push((which.config, number));
    }
    if let [only] = named.as_slice() {
        let found: Value = session.get(group).await?;
        let configs: Vec<_> = list_at(&found, "/layers")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if configs.len() > 1 {
            named = others_as_they_are(session, &found, &configs, only).await?;
        }
    }
    let named: Vec<_> = named
        .iter()
        .map(|(config, number)| format!("{config}@{number}"))
        .collect();
    Ok(named.join(","))
}

async fn others_as_they_are(
    session: &Session<'_>,
    group: &Value,
    configs: &[&str],
    (config, number): &(String, u64),
) -> anyhow::Result<Vec<(String, u64)>> {
    if !configs.contains(&config.as_str()) {
        let layers = configs.join(", ");
        return Err(wrong(format!(
            "{config} is no layer of the group, which has {layers}; name all layers that it is to have"
        ))
        .into());
    }
    let published = list_at(group, "/published/content/layers");
    let mut all = Vec::with_capacity(configs.len());
    for name in configs {
        let present = published.iter().find(|layer| text_at(layer, "/config") == *name);
        let number = match present {
            _ if *name == config => *number,
            Some(layer) => number_at(layer, "/revision"),
            None => newest(session, name).await?,
        };
        all.push(((*name).to_owned(), number));
    }
    Ok(all)
}

fn needs_count(preview: &Preview, because: ConfirmationReason) -> String {
    let (reached, fleet) = (preview.impact.reached(), preview.impact.fleet);
    match because {
        ConfirmationReason::ReachesNobody => "No agent is in this group.".to_owned(),
        ConfirmationReason::LacksComponents => {
            format!("Some of the {reached} agents that it reaches lack components that it uses.")
        }
        ConfirmationReason::LargeShare => format!("It reaches {reached} of {fleet} agents."),
    }
}

/// What a publication would do, as people read it.
fn describe(preview: &Preview) -> String {
    let impact = &preview.impact;
    let now = match preview.published.as_ref().map(|target| target.content.as_ref()) {
        None => "nothing".to_owned(),
        Some(None) => "nothing: it was withdrawn".to_owned(),
        Some(Some(frozen)) => in_words(&frozen.layers),
    };
    let mut lines = vec![
        format!(
            "Group {} has {now}; this is {}.",
            preview.group,
            in_words(&preview.layers)
        ),
        format!(
            "Agents: {} will change, {} run it, {} have their own, {} can't have it now.",
            impact.will_change, impact.runs_it, impact.own_target, impact.blocked
        ),
    ];
    if preview.contents > 1 {
        lines.push(format!(
            "{} different contents, by {}.",
            preview.contents,
            preview
                .variables
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    let lacking = impact.lacking().into_iter();
    lines.extend(lacking.map(|(component, agents)| {
        let component = crate::observability::plain::plain(component);
        let not = if agents == 1 { "isn't" } else { "aren't" };
        format!(
            "  {agents} of {} agents {not} built with {component}",
            impact.members
        )
    }));
    lines.extend(effects::blocked(&impact.agents));
    lines.extend(
        preview
            .overlaps
            .iter()
            .map(|overlap| shown::overlap(&preview.layers, overlap)),
    );
    lines.extend(
        preview
            .warnings
            .iter()
            .map(|problem| shown::problem(&in_words(&preview.layers), problem)),
    );
    if preview.diff.files.is_empty() {
        lines.push("Nothing differs from what is published.".to_owned());
    } else {
        let diff = shown::diff(&preview.diff);
        lines.extend(diff.lines().map(crate::observability::plain::plain));
    }
    lines.join("\n")
}
