//! `muster audit`: who did what.

use serde_json::Value;

use super::columns::{field, list_at, number_at, text_at, time};
use super::output::Output;
use super::session::{Reach, Session, with_query};
use crate::settings::Environment;

/// Show who did what, and verify that nobody changed what is told
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List what was done, the newest first
    List {
        /// The most records
        #[arg(long, value_name = "N", default_value = "100")]
        limit: usize,
        /// Only records with a smaller number
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Verify the whole chain of records; exits with 1 when it is broken
    Verify,
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        match self.act {
            Act::List { limit, before } => list(&mut session, limit, before).await,
            Act::Verify => verify(&mut session).await,
        }
    }
}

/// The most records of one request.
const PAGE: usize = 500;

async fn list(session: &mut Session<'_>, limit: usize, mut before: Option<u64>) -> anyhow::Result<()> {
    let mut records: Vec<Value> = Vec::new();
    while records.len() < limit {
        let room = (limit - records.len()).min(PAGE).to_string();
        let start = before.map(|number| number.to_string());
        let mut query = vec![("limit", room.as_str())];
        query.extend(start.as_deref().map(|number| ("before", number)));
        let page: Value = session.get(&with_query("/api/v1/audit", query)).await?;
        records.extend(list_at(&page, "/records").iter().cloned());
        before = page.get("next").and_then(Value::as_u64);
        if before.is_none() {
            break;
        }
    }
    session.list(
        &records,
        &[
            field("NUMBER", "/number"),
            time("AT", "/at"),
            field("WHO", "/actor"),
            field("DID", "/action"),
            field("TO", "/object"),
            field("DETAIL", "/detail"),
            field("FROM", "/address"),
        ],
        "nothing was done yet",
    )
}

async fn verify(session: &mut Session<'_>) -> anyhow::Result<()> {
    let verdict: Value = session.get("/api/v1/audit/verify").await?;
    let is_intact = text_at(&verdict, "/verdict") == "intact";
    session.say(&verdict, || {
        if is_intact {
            let records = number_at(&verdict, "/records");
            format!("all {records} records are there and as they were written")
        } else {
            let (number, fault) = (number_at(&verdict, "/number"), text_at(&verdict, "/fault"));
            format!("record {number} is the first that doesn't hold: {fault}")
        }
    })?;
    if is_intact {
        Ok(())
    } else {
        anyhow::bail!("the audit log was changed")
    }
}
