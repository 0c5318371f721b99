//! `muster system`: the server itself.

use serde_json::{Value, json};

use super::columns::{Column, field, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::Reach;
use crate::settings::Environment;

/// Show what the server is, and let it offer again after everything was held
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Show what the server is
    Show,
    /// Offer configurations again, after everything was held
    Release {
        #[command(flatten)]
        yes: Yes,
    },
}

const CARD: [Column; 9] = [
    field("Name", "/name"),
    field("Version", "/version"),
    time("Running since", "/started_at"),
    time("Its time", "/now"),
    field("Goes by", "/names"),
    field("Port for agents", "/agent_port"),
    field("Port for people", "/admin_port"),
    field("CA SHA-256", "/ca_fingerprint"),
    field("Everything held", "/held"),
];

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        match self.act {
            Act::Show => {
                let found: Value = session.get("/api/v1/system").await?;
                session.card(&found, &CARD)
            }
            Act::Release { yes } => {
                yes.ask(session.output, "Offer configurations to all agents again?")?;
                let answer: Value = session.post("/api/v1/system/release", &json!({})).await?;
                session.say(&answer, || "configurations are offered again".to_owned())
            }
        }
    }
}
