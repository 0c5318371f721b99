//! `muster credentials`: what agents authenticate with.

use serde_json::{Value, json};

use super::columns::{field, list_at, text_at, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session, by_id};
use crate::settings::Environment;

/// Look at agents' credentials, revoke and release them
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List credentials, the newest first
    List,
    /// Revoke a credential for good: its connections end at once
    Revoke {
        /// The credential's id, or the beginning of it
        id: String,
        #[command(flatten)]
        yes: Yes,
    },
    /// Accept a credential again that was quarantined
    Release {
        /// The credential's id, or the beginning of it
        id: String,
    },
}

const PATH: &str = "/api/v1/credentials";

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        let found: Value = session.get(PATH).await?;
        let all = list_at(&found, "/credentials");
        match self.act {
            Act::List => session.list(
                all,
                &[
                    field("ID", "/id"),
                    field("STATE", "/state/state"),
                    field("SCOPE", "/scope/scope"),
                    field("AGENT", "/scope/agent"),
                    field("NAME", "/scope/name"),
                    time("MADE", "/created_at"),
                    time("FIRST USED", "/first_used_at"),
                    field("TOKEN", "/token"),
                ],
                "no credentials yet; `muster enroll` makes the token that an agent joins with",
            ),
            Act::Revoke { id, yes } => {
                let id = text_at(by_id(all, &id, "credential")?, "/id");
                yes.ask(session.output, &format!("Revoke credential {id} for good?"))?;
                change(session, id, "revoke", "was revoked").await
            }
            Act::Release { id } => {
                let id = text_at(by_id(all, &id, "credential")?, "/id");
                change(session, id, "release", "is accepted again").await
            }
        }
    }
}

async fn change(session: &mut Session<'_>, id: &str, act: &str, done: &str) -> anyhow::Result<()> {
    let _: Value = session.post(&format!("{PATH}/{id}/{act}"), &json!({})).await?;
    session.say(&json!({"id": id}), || format!("credential {id} {done}"))
}
