//! `muster groups`.

use http::Method;
use serde_json::{Value, json};

use super::agents::naming::resolve;
use super::client::segment;
use super::columns::{Column, field, layers, list_at, number_at, strategy, text_at, time};
use super::configs::Which;
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session, card, with_query, wrong};
use super::shown;
use super::terms::Terms;
use crate::fleet::rollout::Strategy;
use crate::settings::Environment;

/// Look at groups, make and change them
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List groups
    List,
    Show(Show),
    Create(Create),
    Edit(Edit),
    Rendered(Rendered),
    Moves(Moves),
    Delete(Delete),
    Withdraw(Withdraw),
    Hold(Hold),
    Release(Release),
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::List => list(session).await,
            Act::Show(args) => args.run(session).await,
            Act::Create(args) => args.run(session).await,
            Act::Edit(args) => args.run(session).await,
            Act::Rendered(args) => args.run(session).await,
            Act::Moves(args) => args.run(session).await,
            Act::Delete(args) => args.run(session).await,
            Act::Withdraw(args) => args.run(session).await,
            Act::Hold(args) => args.run(session).await,
            Act::Release(args) => args.run(session).await,
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/groups/{}", segment(name))
}

async fn list(session: &mut Session<'_>) -> anyhow::Result<()> {
    let found: Value = session.get("/api/v1/groups").await?;
    session.list(
        list_at(&found, "/groups"),
        &[
            field("NAME", "/name"),
            field("AGENTS", "/members/all"),
            field("CURRENT", "/members/current"),
            field("WAITING", "/members/waiting"),
            field("FAILED", "/members/failed"),
            field("DRIFTED", "/members/drifted"),
            field("HELD", "/members/held"),
            field("OWN", "/members/own_target"),
            field("MOVING", "/moving"),
            layers("PUBLISHED", "/published/content/layers"),
            layers("NEWER", "/newer"),
            field("SELECTORS", "/selectors"),
        ],
        "no groups yet; `muster groups create` makes one",
    )
}

const CARD: [Column; 22] = [
    field("Name", "/name"),
    field("Description", "/description"),
    field("Selectors", "/selectors"),
    field("Priority", "/priority"),
    field("Joins by facts", "/joins_by_facts"),
    field("Approvals", "/approvals"),
    field("Layers", "/layers"),
    strategy("Rolls out", "/strategy"),
    field("Agents", "/members/all"),
    field("Current", "/members/current"),
    field("Waiting", "/members/waiting"),
    field("Failed", "/members/failed"),
    field("Drifted", "/members/drifted"),
    field("Held", "/members/held"),
    field("Own config", "/members/own_target"),
    field("Moving", "/moving"),
    field("Left behind", "/left_behind"),
    layers("Published", "/published/content/layers"),
    layers("Newer", "/newer"),
    field("Held by", "/hold/by"),
    field("Held because", "/hold/reason"),
    time("Held until", "/hold/until"),
];

/// Show a group, and what was published to it
#[derive(clap::Args, Debug)]
struct Show {
    /// The group
    group: String,
}

impl Show {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(&path(&self.group)).await?;
        session.say(&found, || {
            let mut lines = vec![card(&found, &CARD)];
            let history = list_at(&found, "/history");
            if !history.is_empty() {
                lines.push("\nPublished before and now, the newest first".to_owned());
            }
            lines.extend(history.iter().map(publication));
            lines.join("\n")
        })
    }
}

/// One publication in a line.
fn publication(target: &Value) -> String {
    use crate::observability::plain::plain;
    let at = time("", "/published_at").of(target);
    let what = if target.get("content").is_some() {
        layers("", "/content/layers").of(target)
    } else {
        "withdrawn".to_owned()
    };
    let (by, message) = (text_at(target, "/published_by"), text_at(target, "/message"));
    plain(format!("  {at}  {what}  by {by}  {message}").trim_end())
}

/// Everything of a group but its name.
#[derive(clap::Args, Debug, Default)]
struct Fields {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Which agents it claims, such as: label.env = prod; several times for several ways in
    #[arg(long = "selector", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Decides between groups that claim the same agent: the higher wins
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// A config that it is made of; several times, from base to most specific
    #[arg(long = "layer", value_name = "CONFIG")]
    layers: Vec<String>,
    /// Whether what agents say of themselves is enough to join
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    joins_by_facts: Option<bool>,
    /// How many people besides the author have to approve what is published to it; 0 = nobody
    #[arg(long, value_name = "N")]
    approvals: Option<u32>,
    /// How what is published reaches its agents: `all at once`, or stages with how far each goes and how long its agents
    /// must stay well, such as: 1 for 3m; 10% for 1m; all
    #[arg(long, value_name = "STAGES")]
    strategy: Option<Strategy>,
}

impl Fields {
    /// As the API takes them: what isn't given isn't there, and stays as it is.
    fn into_json(self) -> serde_json::Map<String, Value> {
        let mut fields = serde_json::Map::new();
        let given = [
            ("description", self.description.map(Value::from)),
            (
                "selectors",
                (!self.selectors.is_empty()).then(|| json!(self.selectors)),
            ),
            ("layers", (!self.layers.is_empty()).then(|| json!(self.layers))),
            ("priority", self.priority.map(Value::from)),
            ("joins_by_facts", self.joins_by_facts.map(Value::from)),
            ("approvals", self.approvals.map(Value::from)),
            ("strategy", self.strategy.map(|strategy| json!(strategy))),
        ];
        fields.extend(
            given
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        fields
    }
}

/// Make a group
///
/// It sends nothing to anybody until a config is published to it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster groups create edge --selector 'label.site = edge'")]
struct Create {
    /// Its name
    group: String,
    #[command(flatten)]
    fields: Fields,
}

impl Create {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let mut body = self.fields.into_json();
        body.insert("name".to_owned(), self.group.clone().into());
        let made: Value = session.post("/api/v1/groups", &body).await?;
        session.say(&made, || {
            let agents = number_at(&made, "/members/all");
            format!("made group {}; agents in it: {agents}", self.group)
        })
    }
}

/// Change a group; what isn't given stays
#[derive(clap::Args, Debug)]
struct Edit {
    /// The group
    group: String,
    #[command(flatten)]
    fields: Fields,
    /// Claim no agents any more: only those that are pinned into it stay
    #[arg(long, conflicts_with = "selectors")]
    no_selectors: bool,
    /// Roll out by the default for a group of its size again
    #[arg(long, conflicts_with = "strategy")]
    default_strategy: bool,
}

impl Edit {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let mut body = self.fields.into_json();
        if self.no_selectors {
            body.insert("selectors".to_owned(), json!([]));
        }
        if self.default_strategy {
            body.insert("strategy".to_owned(), Value::Null);
        }
        if body.is_empty() {
            return Err(wrong("say what is to change").into());
        }
        let changed: Value = session
            .client
            .change(Method::PATCH, &path(&self.group), &body, None)
            .await?;
        session.say(&changed, || {
            let agents = number_at(&changed, "/members/all");
            format!("changed group {}; agents in it: {agents}", self.group)
        })
    }
}

/// Show what a group's layers come to for one of its agents, with the layer of each line
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster groups rendered edge base@3 edge --agent web-1")]
struct Rendered {
    /// The group
    group: String,
    /// Its layers, from base to most specific; the newest revisions of those that it has when none is named
    #[arg(value_name = "CONFIG[@REVISION]")]
    layers: Vec<Which>,
    /// The agent; the first of the group when none is named
    #[arg(long)]
    agent: Option<String>,
}

impl Rendered {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let mut named = Vec::with_capacity(self.layers.len());
        for which in &self.layers {
            named.push(format!("{}@{}", which.config, which.number(session).await?));
        }
        let layers = named.join(",");
        let mut query = vec![("layers", layers)];
        if let Some(agent) = &self.agent {
            query.push(("agent", resolve(session, agent).await?.id));
        }
        let query = query.iter().map(|(key, value)| (*key, value.as_str()));
        let found: Value = session
            .get(&with_query(&format!("{}/rendered", path(&self.group)), query))
            .await?;
        session.say(&found, || shown::rendered(&found))
    }
}

/// Show the agents of a group that have something else than it has, since they came into it
///
/// Agents that come from another group keep what they have until a rollout moves them. Where such a rollout came to
/// nothing, `muster rollouts retry` lets them move again.
#[derive(clap::Args, Debug)]
struct Moves {
    /// The group
    group: String,
}

impl Moves {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(&format!("{}/moves", path(&self.group))).await?;
        session.say(&found, || {
            let (pending, left) = (list_at(&found, "/pending"), list_at(&found, "/left_behind"));
            let mut lines = Vec::new();
            if pending.is_empty() && left.is_empty() {
                lines.push(format!("nobody waits to move into group {}", self.group));
            }
            if !pending.is_empty() {
                lines.push(format!("Waiting to move, by: {}", text_at(&found, "/plan")));
            }
            for agent in pending {
                let (title, from) = (text_at(agent, "/title"), text_at(agent, "/from"));
                let since = time("", "/since").of(agent);
                let waits = text_at(agent, "/waits");
                lines.push(format!("  {title}  from {from}  since {since}  {waits}"));
            }
            if !left.is_empty() {
                lines.push("Left behind".to_owned());
            }
            for agent in left {
                let (title, why) = (text_at(agent, "/title"), text_at(agent, "/why"));
                let rollout = number_at(agent, "/rollout");
                lines.push(format!("  {title}  {why} (rollout {rollout})"));
            }
            let lines = lines.iter().map(|line| crate::observability::plain::plain(line));
            lines.collect::<Vec<_>>().join("\n")
        })
    }
}

/// Delete a group
#[derive(clap::Args, Debug)]
struct Delete {
    /// The group
    group: String,
    /// Let its agents fall to another group or to none; hosts keep what they run
    #[arg(long)]
    with_members: bool,
    #[command(flatten)]
    yes: Yes,
}

impl Delete {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let question = format!("Delete group {}?", self.group);
        self.yes.ask(session.output, &question)?;
        let with_members = self.with_members.to_string();
        let path = with_query(&path(&self.group), [("with_members", with_members.as_str())]);
        let deleted = session.delete(&path).await?;
        session.say(&deleted, || {
            let agents = number_at(&deleted, "/members");
            format!("deleted group {}; agents that were in it: {agents}", self.group)
        })
    }
}

/// Take a group's configuration away: nothing more is sent, and hosts keep what they run
#[derive(clap::Args, Debug)]
struct Withdraw {
    /// The group
    group: String,
    /// Why
    #[arg(long, short, default_value = "", hide_default_value = true)]
    message: String,
    #[command(flatten)]
    yes: Yes,
}

impl Withdraw {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let question = format!("Withdraw what is published to group {}?", self.group);
        self.yes.ask(session.output, &question)?;
        let path = format!("{}/withdraw", path(&self.group));
        let target: Value = session.post(&path, &json!({"message": self.message})).await?;
        session.say(&target, || {
            format!("nothing is sent to group {} any more", self.group)
        })
    }
}

/// Hold what is published to a group: nothing is sent to its agents, and what they run stays
#[derive(clap::Args, Debug)]
struct Hold {
    /// The group
    group: String,
    #[command(flatten)]
    terms: Terms,
}

impl Hold {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let path = format!("{}/hold", path(&self.group));
        let held: Value = session.post(&path, &self.terms.asked()).await?;
        session.say(&held, || format!("group {} is held", self.group))
    }
}

/// Send again what is published to a group
#[derive(clap::Args, Debug)]
struct Release {
    /// The group
    group: String,
}

impl Release {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let path = format!("{}/release", path(&self.group));
        let released: Value = session.post(&path, &json!({})).await?;
        session.say(&released, || format!("group {} is released", self.group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_the_api_takes_has_a_flag() {
        let fields = Fields {
            description: Some("x".to_owned()),
            selectors: vec!["label.a = b".to_owned()],
            priority: Some(1),
            layers: vec!["base".to_owned()],
            joins_by_facts: Some(true),
            approvals: Some(1),
            strategy: Some("all at once".parse().unwrap()),
        };
        let mut sent: Vec<_> = fields.into_json().keys().cloned().collect();
        sent.sort();
        assert_eq!(sent, super::super::tree::group_fields());
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        assert!(Fields::default().into_json().is_empty());
        let fields = Fields {
            selectors: vec!["label.a = b".to_owned()],
            priority: Some(-1),
            joins_by_facts: Some(false),
            ..Fields::default()
        };
        let sent = Value::Object(fields.into_json());
        assert_eq!(
            sent,
            json!({"selectors": ["label.a = b"], "priority": -1, "joins_by_facts": false})
        );
    }
}
