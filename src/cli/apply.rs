//! `muster apply`: makes the server have what a folder of files says.

use std::fmt;
use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use super::client::{ClientError, segment};
use super::confirm::Yes;
use super::output::{Output, note};
use super::session::{Reach, Session, with_query};
use super::shown;
use super::tree::{self, Present};
use crate::fleet::config::Problem;
use crate::observability::plain::plain;
use crate::settings::Environment;

mod plan;

use plan::{Act, Change, Plan, Step, Wish, plan};

/// Make the server have what a folder says: configs, groups, and agents' names and labels
///
/// Shows what differs, and changes just that: a second time there is nothing to do. Nothing is deleted without --prune. A
/// changed config is a new revision, which reaches nobody until `muster publish`; who is in which group follows selectors
/// and labels at once. The folder is checked as a whole before anything is changed.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Exit codes, for pipelines:
  0  done, or nothing to do
  1  the folder is wrong (with file and line), or something failed
  2  with --dry-run: there is something to do
  3  the server cannot be reached
  4  the server refused

Examples:
  muster apply fleet --dry-run
  muster apply fleet -m \"$(git log -1 --format=%s)\"
  muster apply fleet --prune --yes")]
pub(super) struct Args {
    /// The folder, as `muster export` writes it
    folder: PathBuf,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Delete configs, groups and labels that the folder doesn't have, after asking; of parts that it lacks nothing
    #[arg(long)]
    prune: bool,
    /// The message of new revisions
    #[arg(long, short, default_value = "applied from files")]
    message: String,
    /// Take contents that tell agents to run nothing: they are meant
    #[arg(long)]
    allow_blank: bool,
    #[command(flatten)]
    yes: Yes,
    // Last, since its heading would go on over what follows.
    #[command(flatten)]
    reach: Reach,
}

/// With `--dry-run`: there is something to do. No failure, but an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("there is something to do")]
pub(super) struct Pending;

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        // Here 2 says that there is something to do, so wrong arguments end as other failures do.
        self.work(environment, output)
            .await
            .map_err(|error| match error.downcast::<ClientError>() {
                Ok(ClientError::Arguments(why)) => anyhow::anyhow!(why),
                Ok(error) => error.into(),
                Err(error) => error,
            })
    }

    async fn work(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        let tree = tree::read(&self.folder)?;
        let wish = Wish {
            prune: self.prune,
            message: self.message,
            allow_blank: self.allow_blank,
        };
        let plan = plan(&Present::ask(session).await?, &tree, &wish)?;
        checked(session, &plan).await?;
        for line in &plan.passed_over {
            note(&format!("passed over: {line}"));
        }
        if !plan.kept.is_empty() {
            note(&format!(
                "not in the folder, and kept (--prune deletes it): {}",
                plan.kept.join(", ")
            ));
        }
        if self.dry_run || plan.steps.is_empty() {
            session.say(&plan, || described(&plan))?;
            return if plan.steps.is_empty() {
                Ok(())
            } else {
                Err(Pending.into())
            };
        }
        if !session.shape.json {
            session.output.line(&described(&plan))?;
        }
        if let Some(question) = question(&plan) {
            self.yes.ask(session.output, &question)?;
        }
        for (at, step) in plan.steps.iter().enumerate() {
            let done = done(session, step).await;
            done.map_err(|error| {
                error.context(format!("{step}; {at} of {} steps were done", plan.steps.len()))
            })?;
        }
        session.say(&json!({"done": plan.steps}), || "done".to_owned())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.change {
            Change::Make => '+',
            Change::Edit => '~',
            Change::Delete => '-',
        };
        write!(f, "{sign} {} {}", self.what, plain(&self.name))
    }
}

/// The plan as people read it.
fn described(plan: &Plan) -> String {
    if plan.steps.is_empty() {
        return "nothing to do".to_owned();
    }
    let mut lines = Vec::new();
    for step in &plan.steps {
        let file = step.file.as_ref().map(|file| format!("  ({})", file.display()));
        lines.push(format!("{step}{}", file.unwrap_or_default()));
        lines.extend(step.diff.iter().map(|line| format!("    {}", plain(line))));
    }
    let count = |change| plan.steps.iter().filter(|step| step.change == change).count();
    lines.push(format!(
        "{} to make, {} to change, {} to delete",
        count(Change::Make),
        count(Change::Edit),
        count(Change::Delete)
    ));
    lines.join("\n")
}

/// What has to be asked before: about what is taken away.
fn question(plan: &Plan) -> Option<String> {
    let asks: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| step.asks.as_deref())
        .collect();
    (!asks.is_empty()).then(|| format!("Really {}?", asks.join("; ")))
}

/// Has the server check each content that would be saved. Warnings are noted.
async fn checked(session: &Session<'_>, plan: &Plan) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for step in &plan.steps {
        let content = match &step.act {
            Act::MakeConfig(new) => &new.content,
            Act::ChangeConfig(Some(new), _) => &new.content,
            Act::ChangeConfig(None, _)
            | Act::MakeGroup(_)
            | Act::ChangeGroup(..)
            | Act::Agent(..)
            | Act::DeleteGroup(_)
            | Act::DeleteConfig => continue,
        };
        let file = step
            .file
            .as_ref()
            .map_or_else(String::new, |file| file.display().to_string());
        let found: Value = session.post("/api/v1/config-check", content).await?;
        let problems = found.get("problems").cloned().unwrap_or_default();
        let problems: Vec<Problem> = serde_json::from_value(problems)?;
        for mut problem in problems {
            // The file of the folder leads further than the name of an entry.
            if let Some(entry) = problem.file.take() {
                problem.message = format!("{entry}: {}", problem.message);
            }
            let line = shown::problem(&file, &problem);
            if problem.is_error() {
                wrong.push(line);
            } else {
                note(&line);
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "nothing was changed\n{}", wrong.join("\n"));
    Ok(())
}

/// Does one step.
async fn done(session: &Session<'_>, step: &Step) -> anyhow::Result<()> {
    let config = || format!("/api/v1/configs/{}", segment(&step.name));
    let group = || format!("/api/v1/groups/{}", segment(&step.name));
    match &step.act {
        Act::MakeConfig(new) => {
            session.post::<Value>("/api/v1/configs", new).await?;
        }
        Act::ChangeConfig(revision, edit) => {
            if let Some(new) = revision {
                session
                    .post::<Value>(&format!("{}/revisions", config()), new)
                    .await?;
            }
            if let Some(edit) = edit {
                session
                    .client
                    .change::<_, Value>(Method::PATCH, &config(), edit, None)
                    .await?;
            }
        }
        Act::MakeGroup(fields) => {
            let mut body = fields.clone();
            body.insert("name".to_owned(), step.name.clone().into());
            session.post::<Value>("/api/v1/groups", &body).await?;
        }
        Act::ChangeGroup(fields, revision) => {
            let tag = format!("\"{revision}\"");
            session
                .client
                .change::<_, Value>(Method::PATCH, &group(), fields, Some(&tag))
                .await?;
        }
        Act::Agent(id, acts) => {
            for act in acts {
                session
                    .post::<Value>(&format!("/api/v1/agents/{id}/acts"), act)
                    .await?;
            }
        }
        Act::DeleteGroup(revision) => {
            let (path, tag) = (
                with_query(&group(), [("with_members", "true")]),
                format!("\"{revision}\""),
            );
            session
                .client
                .change::<_, Value>(Method::DELETE, &path, &json!({}), Some(&tag))
                .await?;
        }
        Act::DeleteConfig => {
            session.delete(&config()).await?;
        }
    }
    Ok(())
}
