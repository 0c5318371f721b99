//! `muster configs`: documents with numbered revisions. Saving reaches nobody; publishing does.

use std::path::PathBuf;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::client::segment;
use super::columns::{Column, field, list_at, number_at, text_at, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session, card, with_query, wrong};
use super::shown;
use crate::app::configs::{ConfigEdit, NewConfig, NewRevision};
use crate::fleet::config::{Diff, Problem};
use crate::settings::Environment;

mod source;

use source::Source;

/// Look at configs, save revisions and compare them
///
/// Saving reaches nobody; `muster publish` does.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List configs
    List,
    Show(Show),
    Create(Create),
    Save(Save),
    Revisions(Revisions),
    Diff(Compare),
    Check(Check),
    Download(Download),
    Describe(Describe),
    Delete(Delete),
    Starters(Starters),
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::List => list(session).await,
            Act::Show(args) => args.run(session).await,
            Act::Create(args) => args.run(session).await,
            Act::Save(args) => args.run(session).await,
            Act::Revisions(args) => args.run(session).await,
            Act::Diff(args) => args.run(session).await,
            Act::Check(args) => args.run(session).await,
            Act::Download(args) => args.run(session).await,
            Act::Describe(args) => args.run(session).await,
            Act::Delete(args) => args.run(session).await,
            Act::Starters(args) => args.run(session).await,
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/configs/{}", segment(name))
}

/// A config, and a revision of it or the newest: `edge` or `edge@3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) config: String,
    pub(super) revision: Option<u64>,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (config, revision) = match text.split_once('@') {
            None => (text, None),
            Some((config, number)) => {
                let number = number
                    .parse()
                    .map_err(|_| format!("{number:?} is not the number of a revision"))?;
                (config, Some(number))
            }
        };
        if config.is_empty() {
            return Err("a config is named like edge, or edge@3 for a revision of it".to_owned());
        }
        Ok(Self {
            config: config.to_owned(),
            revision,
        })
    }
}

impl Which {
    /// The number of the revision: the one that was named, or the newest.
    pub(super) async fn number(&self, session: &Session<'_>) -> anyhow::Result<u64> {
        match self.revision {
            Some(number) => Ok(number),
            None => newest(session, &self.config).await,
        }
    }

    async fn read(&self, session: &Session<'_>) -> anyhow::Result<Value> {
        let number = self.number(session).await?;
        let path = format!("{}/revisions/{number}", path(&self.config));
        Ok(session.get(&path).await?)
    }
}

/// The number of a config's newest revision.
pub(super) async fn newest(session: &Session<'_>, config: &str) -> anyhow::Result<u64> {
    let found: Value = session.get(&path(config)).await?;
    Ok(number_at(&found, "/latest"))
}

async fn list(session: &mut Session<'_>) -> anyhow::Result<()> {
    let found: Value = session.get("/api/v1/configs").await?;
    session.list(
        list_at(&found, "/configs"),
        &[
            field("NAME", "/name"),
            field("KIND", "/kind"),
            field("NEWEST", "/latest"),
            time("UPDATED", "/updated_at"),
            field("BY", "/newest/author"),
            field("GROUPS", "/groups"),
            field("DESCRIPTION", "/description"),
        ],
        "no configs yet; `muster configs create` makes one",
    )
}

const CARD: [Column; 8] = [
    field("Name", "/name"),
    field("Description", "/description"),
    field("Kind", "/kind"),
    field("Newest", "/latest"),
    time("Updated", "/updated_at"),
    field("By", "/newest/author"),
    field("Message", "/newest/message"),
    field("Groups", "/groups"),
];

/// Show a config and what a check finds in its newest revision
#[derive(clap::Args, Debug)]
struct Show {
    /// The config
    config: String,
}

impl Show {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(&path(&self.config)).await?;
        session.say(&found, || {
            let mut lines = vec![card(&found, &CARD)];
            lines.extend(findings(&found, "/problems", &self.config));
            lines.join("\n")
        })
    }
}

/// The findings at `pointer`, a line each.
fn findings(answer: &Value, pointer: &str, file: &str) -> Vec<String> {
    problems(answer, pointer)
        .iter()
        .map(|problem| shown::problem(file, problem))
        .collect()
}

fn problems(answer: &Value, pointer: &str) -> Vec<Problem> {
    list_at(answer, pointer)
        .iter()
        .filter_map(|problem| serde_json::from_value(problem.clone()).ok())
        .collect()
}

/// What is saved with a content.
#[derive(clap::Args, Debug)]
struct Saving {
    #[command(flatten)]
    source: Source,
    /// Why
    #[arg(long, short, default_value = "", hide_default_value = true)]
    message: String,
    /// Take a content that tells agents to run nothing: it is meant
    #[arg(long)]
    allow_blank: bool,
}

/// Make a config with its first revision
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  muster configs create edge -f edge.yaml -m 'first draft'
  muster configs create host --starter host-metrics")]
struct Create {
    /// Its name
    config: String,
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    saving: Saving,
}

impl Create {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let file = self.saving.source.name();
        let new = NewConfig {
            name: self.config,
            description: self.description,
            content: self.saving.source.read(session).await?,
            message: self.saving.message,
            allow_blank: self.saving.allow_blank,
        };
        let saved: Value = session.post("/api/v1/configs", &new).await?;
        told(session, &saved, &file)
    }
}

/// Save a revision
///
/// The content that the newest revision has already makes no new one.
#[derive(clap::Args, Debug)]
struct Save {
    /// The config
    config: String,
    /// The revision that was edited: nothing is saved when there is a newer one [default: the newest]
    #[arg(long, value_name = "REVISION")]
    base: Option<u64>,
    #[command(flatten)]
    saving: Saving,
}

impl Save {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let file = self.saving.source.name();
        let content = self.saving.source.read(session).await?;
        let base = match self.base {
            Some(base) => base,
            None => newest(session, &self.config).await?,
        };
        let new = NewRevision {
            base,
            content,
            message: self.saving.message,
            allow_blank: self.saving.allow_blank,
        };
        let path = format!("{}/revisions", path(&self.config));
        let saved: Value = session.post(&path, &new).await?;
        told(session, &saved, &file)
    }
}

/// Says what was saved.
fn told(session: &mut Session<'_>, saved: &Value, file: &str) -> anyhow::Result<()> {
    session.say(saved, || {
        let (config, number) = (
            text_at(saved, "/revision/config"),
            number_at(saved, "/revision/number"),
        );
        let mut lines = findings(saved, "/warnings", file);
        lines.push(if saved.get("created") == Some(&Value::Bool(false)) {
            format!("{config}@{number} has this content already")
        } else {
            format!("saved {config}@{number}")
        });
        lines.join("\n")
    })
}

/// List the revisions of a config, the newest first
#[derive(clap::Args, Debug)]
struct Revisions {
    /// The config
    config: String,
}

impl Revisions {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(&path(&self.config)).await?;
        session.list(
            list_at(&found, "/revisions"),
            &[
                field("REVISION", "/number"),
                time("SAVED", "/at"),
                field("BY", "/author"),
                field("BYTES", "/size_bytes"),
                field("MESSAGE", "/message"),
                field("CONTENT", "/digest"),
            ],
            "no revisions",
        )
    }
}

/// Show what differs between two revisions
#[derive(clap::Args, Debug)]
struct Compare {
    /// The config
    config: String,
    /// The revision before [default: the one before TO]
    from: Option<u64>,
    /// The revision after [default: the newest]
    to: Option<u64>,
}

impl Compare {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let to = match self.to {
            Some(to) => to,
            None => newest(session, &self.config).await?,
        };
        let from = self.from.unwrap_or_else(|| to.saturating_sub(1));
        if from == 0 {
            return Err(wrong("there is no revision before the first").into());
        }
        let (from, to) = (from.to_string(), to.to_string());
        let path = format!("{}/diff", path(&self.config));
        let found: Diff = session
            .get(&with_query(&path, [("from", from.as_str()), ("to", to.as_str())]))
            .await?;
        shown::print_diff(session, &found, &found)
    }
}

/// Check a content without saving it
///
/// Exits with 1 when it has errors. What another layer of the group has to bring is told as incomplete, and is an error with
/// `--as whole`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  muster configs check -f edge.yaml
  muster configs check -f complete.yaml --as whole")]
struct Check {
    #[command(flatten)]
    source: Source,
    /// As what it is checked
    #[arg(long = "as", value_name = "WHAT", value_enum, default_value_t)]
    judged: CheckedAs,
}

/// As what a content is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum CheckedAs {
    /// As it is saved: a layer, which others may complete
    #[default]
    Layer,
    /// As it is published: all that agents are sent
    Whole,
}

impl CheckedAs {
    fn word(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Whole => "whole",
        }
    }

    /// What errors stop.
    fn stopped(self) -> &'static str {
        match self {
            Self::Layer => "saved",
            Self::Whole => "published",
        }
    }
}

impl Check {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let file = self.source.name();
        let content = self.source.read(session).await?;
        let path = with_query("/api/v1/config-check", [("as", self.judged.word())]);
        let found: Value = session.post(&path, &content).await?;
        let problems = problems(&found, "/problems");
        session.say(&found, || {
            if problems.is_empty() {
                return format!("{file}: nothing found");
            }
            findings(&found, "/problems", &file).join("\n")
        })?;
        let errors = problems.iter().filter(|problem| problem.is_error()).count();
        if errors > 0 {
            anyhow::bail!("{file} can't be {}; errors: {errors}", self.judged.stopped());
        }
        Ok(())
    }
}

/// Print the content of a revision
#[derive(clap::Args, Debug)]
struct Download {
    /// The config, or a revision of it
    #[arg(value_name = "CONFIG[@REVISION]")]
    which: Which,
    /// Write it into this file instead
    #[arg(long, short, value_name = "FILE")]
    into: Option<PathBuf>,
}

impl Download {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found = self.which.read(session).await?;
        let Some(file) = self.into else {
            return shown::content_of(session, &found);
        };
        let text = shown::content_text(&found)?;
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        session.say(&json!({"file": file}), || format!("wrote {}", file.display()))
    }
}

/// Say what a config is for
#[derive(clap::Args, Debug)]
struct Describe {
    /// The config
    config: String,
    /// What it is for; an empty text takes it away
    description: String,
}

impl Describe {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let edit = ConfigEdit {
            description: Some(self.description),
        };
        let changed: Value = session
            .client
            .change(Method::PATCH, &path(&self.config), &edit, None)
            .await?;
        session.say(&changed, || format!("described config {}", self.config))
    }
}

/// Delete a config that nothing uses, with all its revisions
#[derive(clap::Args, Debug)]
struct Delete {
    /// The config
    config: String,
    #[command(flatten)]
    yes: Yes,
}

impl Delete {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let question = format!("Delete config {} with all its revisions?", self.config);
        self.yes.ask(session.output, &question)?;
        let answer = session.delete(&path(&self.config)).await?;
        session.say(&answer, || format!("deleted config {}", self.config))
    }
}

/// List configs to begin with, or print one
///
/// Each says in its header what it needs and what to change. `muster configs create` takes one with --starter.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster configs starters gateway > gateway.yaml")]
struct Starters {
    /// The starter
    name: Option<String>,
}

impl Starters {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        if let Some(name) = &self.name {
            let found: Value = session.get(&starter(name)).await?;
            return shown::content_of(session, &found);
        }
        let found: Value = session.get("/api/v1/starters").await?;
        session.list(
            list_at(&found, "/starters"),
            &[
                field("NAME", "/name"),
                field("TITLE", "/title"),
                field("FOR", "/summary"),
            ],
            "no starters",
        )
    }
}

fn starter(name: &str) -> String {
    format!("/api/v1/starters/{}", segment(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_named_behind_an_at_sign() {
        let which: Which = "edge@3".parse().unwrap();
        assert_eq!((which.config.as_str(), which.revision), ("edge", Some(3)));
        assert_eq!("edge".parse::<Which>().unwrap().revision, None);
        assert!("edge@".parse::<Which>().is_err());
        assert!("edge@new".parse::<Which>().is_err());
        assert!("@3".parse::<Which>().is_err());
    }
}
