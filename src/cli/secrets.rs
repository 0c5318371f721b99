//! `muster secrets`: values that layers name as `${muster:secret.NAME}`.

use std::io::Read as _;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::client::segment;
use super::columns::{field, list_at, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session};
use crate::settings::Environment;

/// Set and delete secrets, which layers name as ${muster:secret.NAME}
///
/// A value is never shown again. Setting it sends nothing: groups that use it are marked, and publishing to them delivers
/// it.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List secrets, without their values
    List,
    Set(Set),
    Delete(Delete),
}

const PATH: &str = "/api/v1/secrets";

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::List => {
                let found: Value = session.get(PATH).await?;
                session.list(
                    list_at(&found, "/secrets"),
                    &[
                        field("NAME", "/name"),
                        field("VERSION", "/version"),
                        time("SET", "/updated_at"),
                        field("BY", "/updated_by"),
                        field("GROUPS", "/groups"),
                        field("DESCRIPTION", "/description"),
                    ],
                    "no secrets yet; `muster secrets set` keeps one",
                )
            }
            Act::Set(args) => args.run(session).await,
            Act::Delete(args) => args.run(session).await,
        }
    }
}

/// Set a secret: its value is read from standard input
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  printf %s \"$TOKEN\" | muster secrets set vendor-token
  muster secrets set tls-key < key.pem
  muster secrets set vendor-token --keep --description 'for the vendor'")]
struct Set {
    /// Its name
    name: String,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Keep the value that it has: only the description changes, and standard input isn't read
    #[arg(long, requires = "description")]
    keep: bool,
}

impl Set {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let mut body = json!({"description": self.description});
        if !self.keep {
            let mut value = String::new();
            std::io::stdin()
                .read_to_string(&mut value)
                .context("cannot read the value from standard input")?;
            // What `echo` adds is not meant; of several lines the last has its end.
            if value.lines().count() == 1 {
                value.truncate(value.trim_end_matches(['\r', '\n']).len());
            }
            if let Some(fields) = body.as_object_mut() {
                fields.insert("value".to_owned(), value.into());
            }
        }
        let path = format!("{PATH}/{}", segment(&self.name));
        let set: Value = session.post(&path, &body).await?;
        session.say(&set, || {
            let groups = field("", "/groups").of(&set);
            let told = if groups.is_empty() {
                String::new()
            } else {
                format!("; publish to deliver it: {groups}")
            };
            format!("set secret {}{told}", self.name)
        })
    }
}

/// Delete a secret that nothing published uses
#[derive(clap::Args, Debug)]
struct Delete {
    /// Its name
    name: String,
    #[command(flatten)]
    yes: Yes,
}

impl Delete {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let question = format!("Delete secret {}?", self.name);
        self.yes.ask(session.output, &question)?;
        session.delete(&format!("{PATH}/{}", segment(&self.name))).await?;
        session.say(&json!({"name": self.name}), || {
            format!("deleted secret {}", self.name)
        })
    }
}
