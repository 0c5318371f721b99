//! What is done to agents: to those that are named, or to all that a filter takes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::columns::{list_at, number_at, text_at};
use super::super::confirm::Yes;
use super::super::session::{Session, wrong};
use super::super::terms::Terms;
use super::matching;
use super::naming::{Named, resolve};
use crate::app::agents::AgentAct;
use crate::app::terms::OnTerms;
use crate::fleet::custom::CustomMessage;
use crate::fleet::name::Name;
use crate::observability::plain::plain;

/// Which agents.
#[derive(clap::Args, Debug)]
pub(super) struct Selection {
    /// The agents: names, ids or beginnings of ids
    #[arg(value_name = "AGENT", required_unless_present = "filter")]
    agents: Vec<String>,
    #[command(flatten)]
    many: Many,
}

/// Many agents at once.
#[derive(clap::Args, Debug)]
pub(super) struct Many {
    /// All agents that this filter takes, after their number was typed
    #[arg(long, conflicts_with = "agents")]
    filter: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

impl Selection {
    /// Does `act` to them.
    pub(super) async fn run(self, session: &mut Session<'_>, act: &AgentAct) -> anyhow::Result<()> {
        let Self { agents, many } = self;
        apply(session, agents, many, act).await
    }
}

/// Give an agent a name
#[derive(clap::Args, Debug)]
pub(super) struct Rename {
    /// The agent
    agent: String,
    /// Its name from now on; an empty one gives it back its own
    name: String,
}

impl Rename {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        one(session, &agent, &AgentAct::Rename { name: self.name }).await
    }
}

/// Set and remove labels
///
/// Labels that move an agent to another group change what it is sent: those take the role deployer.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  muster agents label web-1 web-2 env=prod site-
  muster agents label --filter 'group = edge' tier=1")]
pub(super) struct Label {
    /// The agents, and what to set (KEY=VALUE) and to remove (KEY-); an agent with such a name is named by its id
    #[arg(value_name = "AGENT|KEY=VALUE|KEY-", required = true)]
    words: Vec<String>,
    /// All agents that this filter takes, after their number was typed
    #[arg(long)]
    filter: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

impl Label {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let (agents, set, remove) = labels(self.words);
        if set.is_empty() && remove.is_empty() {
            return Err(wrong("say what to set (KEY=VALUE) or to remove (KEY-)").into());
        }
        let many = Many {
            filter: self.filter,
            yes: self.yes,
        };
        if agents.is_empty() == many.filter.is_none() {
            return Err(wrong("name the agents, or all that a --filter takes").into());
        }
        apply(session, agents, many, &AgentAct::Label { set, remove }).await
    }
}

/// Tells agents from labels.
fn labels(words: Vec<String>) -> (Vec<String>, BTreeMap<String, String>, Vec<String>) {
    let (mut agents, mut set, mut remove) = (Vec::new(), BTreeMap::new(), Vec::new());
    for word in words {
        if let Some((key, value)) = word.split_once('=') {
            set.insert(key.to_owned(), value.to_owned());
        } else if let Some(key) = word.strip_suffix('-') {
            remove.push(key.to_owned());
        } else {
            agents.push(word);
        }
    }
    (agents, set, remove)
}

/// Send agents nothing until they are released; what they run stays
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster agents hold web-1 --reason 'disk is full' --for 4h")]
pub(super) struct Hold {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    selection: Selection,
}

impl Hold {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let OnTerms { reason, until } = self.terms.asked();
        let act = AgentAct::Hold { reason, until };
        self.selection.run(session, &act).await
    }
}

/// Take agents out of their groups' delivery: they are only observed
#[derive(clap::Args, Debug)]
pub(super) struct Detach {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    selection: Selection,
}

impl Detach {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let OnTerms { reason, until } = self.terms.asked();
        let act = AgentAct::Detach { reason, until };
        self.selection.run(session, &act).await
    }
}

/// Put agents into a group, before all selectors
#[derive(clap::Args, Debug)]
pub(super) struct Pin {
    /// The group
    #[arg(long, value_parser = Name::new)]
    group: Name,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    selection: Selection,
}

impl Pin {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let OnTerms { reason, until } = self.terms.asked();
        let group = self.group;
        let act = AgentAct::Pin { group, reason, until };
        self.selection.run(session, &act).await
    }
}

/// Put agents into the group that their facts propose
///
/// What agents say of themselves may change: those whose facts propose another group by then are refused.
#[derive(clap::Args, Debug)]
pub(super) struct ConfirmGroup {
    /// The group that they propose
    #[arg(long, value_parser = Name::new)]
    group: Name,
    #[command(flatten)]
    selection: Selection,
}

impl ConfirmGroup {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let act = AgentAct::ConfirmGroup { group: self.group };
        self.selection.run(session, &act).await
    }
}

/// Send a custom message, once
///
/// Both sides have to announce the capability: this server announces those that its settings name. A message waits an hour
/// for its agent, and is then dropped.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  muster agents message web-1 --capability com.example.inventory/v1 --type scan --data '{}'
  muster agents message --filter 'group = edge' --capability com.example.inventory/v1 --type scan --file scan.bin")]
pub(super) struct Message {
    /// The capability
    #[arg(long, value_name = "NAME")]
    capability: String,
    /// The type of message within it
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// What is in it, as text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    data: String,
    /// A file with what is in it, in the place of --data
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

impl Message {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let data = match &self.file {
            Some(file) => std::fs::read(file)
                .map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))?,
            None => self.data.into_bytes(),
        };
        let message = CustomMessage {
            capability: self.capability,
            kind: self.kind,
            data,
        };
        message.check().map_err(|error| wrong(error.to_string()))?;
        self.selection.run(session, &AgentAct::Message { message }).await
    }
}

/// Find that an agent that waits for a decision is one that is known, enrolled again
///
/// The known record stays, with its labels, group and story, and takes over the newcomer's credential. Its own credentials
/// are revoked.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster agents merge 0192f1 --into web-3")]
pub(super) struct Merge {
    /// The agent that waits
    agent: String,
    /// The agent that it is
    #[arg(long, value_name = "AGENT")]
    into: String,
    #[command(flatten)]
    yes: Yes,
}

impl Merge {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let into = resolve(session, &self.into).await?;
        let id = into.id.parse().map_err(|_| wrong("that agent has no id"))?;
        let question = format!("Merge into {}, and revoke the credentials that it has?", into.id);
        self.yes.ask(session.output, &question)?;
        one(session, &agent, &AgentAct::Merge { into: id }).await
    }
}

/// Keep what an agent runs as a new config, or as a new revision of one
///
/// Nothing is sent to anybody; publish the config to do that.
#[derive(clap::Args, Debug)]
pub(super) struct Adopt {
    /// The agent
    agent: String,
    /// What to call the config [default: as the agent]
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The config of which it becomes the newest revision, in the place of a new one
    #[arg(long, value_name = "CONFIG", conflicts_with = "name")]
    revision_of: Option<String>,
}

impl Adopt {
    pub(super) async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let agent = resolve(session, &self.agent).await?;
        let path = format!("/api/v1/agents/{}/adopt", agent.id);
        let wish = json!({"name": self.name, "config": self.revision_of});
        let kept: Value = session.post(&path, &wish).await?;
        session.say(&kept, || {
            let (config, number) = (
                text_at(&kept, "/revision/config"),
                number_at(&kept, "/revision/number"),
            );
            let mut lines = vec![format!(
                "{} is kept as config {config}, revision {number}",
                agent.name
            )];
            let dropped = list_at(&kept, "/dropped").iter().filter_map(Value::as_str);
            lines.extend(dropped.map(|path| plain(&format!("left out: {path}"))));
            let secrets = list_at(&kept, "/to_fill_in").iter();
            lines.extend(secrets.map(|found| {
                let (secret, path) = (text_at(found, "/secret"), text_at(found, "/path"));
                plain(&format!(
                    "to fill in before it is published: secret {secret}, at {path}"
                ))
            }));
            let unreported = list_at(&kept, "/unreported").iter().filter_map(Value::as_str);
            lines.extend(unreported.map(|path| plain(&format!("not reported, to be added: {path}"))));
            lines.join("\n")
        })
    }
}

async fn apply(
    session: &mut Session<'_>,
    agents: Vec<String>,
    many: Many,
    act: &AgentAct,
) -> anyhow::Result<()> {
    if let Some(filter) = many.filter {
        return all(session, &filter, many.yes, act).await;
    }
    let mut named = Vec::new();
    let mut seen = BTreeSet::new();
    for agent in &agents {
        let agent = resolve(session, agent).await?;
        if seen.insert(agent.id.clone()) {
            named.push(agent);
        }
    }
    if matches!(act, AgentAct::Revoke) {
        let titles: Vec<_> = named.iter().map(|agent| agent.name.as_str()).collect();
        let titles = titles.join(", ");
        let ids: Vec<_> = named.iter().map(|agent| agent.id.as_str()).collect();
        let others = besides(session, &json!({"act": act, "ids": ids, "preview": true})).await?;
        if others == 0 {
            many.yes
                .ask(session.output, &format!("Revoke {titles} for good?"))?;
        } else {
            let what = format!(
                "{titles} {} revoked for good, and so {} that share{} their credentials.",
                if named.len() == 1 { "is" } else { "are" },
                others_of(others),
                if others == 1 { "s" } else { "" },
            );
            many.yes
                .ask_count(session.output, &what, named.len() as u64 + others)?;
        }
    }
    match named.as_slice() {
        [agent] => one(session, agent, act).await,
        named => {
            let ids: Vec<_> = named.iter().map(|agent| agent.id.as_str()).collect();
            several(session, &json!({"act": act, "ids": ids}), named, act).await
        }
    }
}

/// Does it to one agent.
async fn one(session: &mut Session<'_>, agent: &Named, act: &AgentAct) -> anyhow::Result<()> {
    let path = format!("/api/v1/agents/{}", agent.id);
    let before: Value = if moves(act) {
        session.get(&path).await?
    } else {
        Value::Null
    };
    let answer: Value = session.post(&format!("{path}/acts"), act).await?;
    session.say(&answer, || {
        let (from, to) = (text_at(&before, "/group"), text_at(&answer, "/group"));
        let moved = if from.is_empty() || from == to {
            String::new()
        } else {
            plain(&format!("; it moved from group {from} to group {to}"))
        };
        format!("{} {}{moved}", text_at(&answer, "/name"), done(act))
    })
}

/// Does it to all that a filter takes, once their number was seen.
async fn all(session: &mut Session<'_>, filter: &str, yes: Yes, act: &AgentAct) -> anyhow::Result<()> {
    let count = matching(session, filter, 1, &[]).await?.matching;
    let what = format!(
        "The filter takes {count} agent{}, to be {}.",
        plural(count),
        done(act)
    );
    if count == 0 {
        return Err(wrong("the filter takes no agent").into());
    }
    let mut others = 0;
    if matches!(act, AgentAct::Revoke) {
        let wish = json!({"act": act, "filter": filter, "count": count, "preview": true});
        others = besides(session, &wish).await?;
    }
    let what = if others == 0 {
        what
    } else {
        format!(
            "{what} So are {} that share their credentials.",
            others_of(others)
        )
    };
    yes.ask_count(session.output, &what, count + others)?;
    // The server does nothing when the filter takes another number by now.
    let wish = json!({"act": act, "filter": filter, "count": count});
    several(session, &wish, &[], act).await
}

/// How many agents an act would reach besides those that it names.
async fn besides(session: &Session<'_>, wish: &Value) -> anyhow::Result<u64> {
    let reach: Value = session.post("/api/v1/agents/acts", wish).await?;
    Ok(list_at(&reach, "/besides").len() as u64)
}

fn others_of(count: u64) -> String {
    format!("{count} other{}", plural(count))
}

async fn several(
    session: &mut Session<'_>,
    wish: &Value,
    named: &[Named],
    act: &AgentAct,
) -> anyhow::Result<()> {
    let result: Value = session.post_patiently("/api/v1/agents/acts", wish).await?;
    let changed = list_at(&result, "/done").len() + list_at(&result, "/besides").len();
    session.say(&result, || {
        format!("{changed} agent{} {}", plural(changed as u64), done(act))
    })?;
    let refused: Vec<_> = result
        .pointer("/refused")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let name = |id: &str| {
        let agent = named.iter().find(|agent| agent.id == id);
        agent.map_or_else(|| id.to_owned(), |agent| agent.name.clone())
    };
    let why = refused
        .iter()
        .map(|(id, why)| format!("{}: {}", name(id), why.as_str().unwrap_or_default()));
    let why: Vec<_> = why.collect();
    anyhow::bail!("{} refused\n{}", refused.len(), why.join("\n"))
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Whether it may take an agent to another group.
const fn moves(act: &AgentAct) -> bool {
    matches!(
        act,
        AgentAct::Label { .. } | AgentAct::Pin { .. } | AgentAct::Unpin | AgentAct::ConfirmGroup { .. }
    )
}

/// What an agent then is.
fn done(act: &AgentAct) -> &'static str {
    match act {
        AgentAct::Rename { .. } => "renamed",
        AgentAct::Label { .. } => "labelled",
        AgentAct::Pin { .. } => "pinned",
        AgentAct::Unpin => "unpinned",
        AgentAct::ConfirmGroup { .. } => "put into the proposed group",
        AgentAct::Restart => "told to restart",
        AgentAct::Message { .. } => "sent the message",
        AgentAct::Retry => "offered it once more",
        AgentAct::Reapply => "offered once more what is wanted",
        AgentAct::Hold { .. } => "held",
        AgentAct::Release => "released",
        AgentAct::Detach { .. } => "detached",
        AgentAct::Attach => "attached",
        AgentAct::Unpublish => "given back to its group",
        AgentAct::Approve => "approved",
        AgentAct::Merge { .. } => "merged",
        AgentAct::Refuse => "refused",
        AgentAct::Archive => "archived",
        AgentAct::Restore => "restored",
        AgentAct::Rotate => "offered a new credential",
        AgentAct::Revoke => "revoked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_and_labels_are_told_apart() {
        let words = ["web-1", "env=prod", "site-", "note=a=b", "empty="].map(str::to_owned);
        let (agents, set, remove) = labels(words.to_vec());
        assert_eq!(agents, ["web-1"]);
        assert_eq!(remove, ["site"]);
        let set: Vec<_> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(set, [("empty", ""), ("env", "prod"), ("note", "a=b")]);
    }
}
