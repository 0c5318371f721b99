//! `muster overview`: how all stands.

use serde_json::Value;

use super::columns::{Column, field, list_at, text_at};
use super::output::Output;
use super::session::{Reach, card};
use crate::observability::plain::plain;
use crate::settings::Environment;

/// Show how all stands: agents by condition, those that are worst off, and groups with newer revisions
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
}

const CARD: [Column; 9] = [
    field("Down", "/agents/down"),
    field("Degraded", "/agents/degraded"),
    field("Unknown", "/agents/unknown"),
    field("Applying", "/agents/in_progress"),
    field("Healthy", "/agents/healthy"),
    field("Groups", "/groups"),
    field("Newer revision", "/behind"),
    field("Configs", "/configs"),
    field("Everything held", "/held"),
];

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let found: Value = session.get("/api/v1/overview").await?;
        session.say(&found, || {
            let mut lines = vec![card(&found, &CARD)];
            let worst = list_at(&found, "/worst");
            if !worst.is_empty() {
                lines.push("\nWorst off".to_owned());
            }
            lines.extend(worst.iter().map(|agent| {
                let of = |pointer| plain(text_at(agent, pointer));
                format!(
                    "  {}  {}  {}",
                    of("/name"),
                    of("/status/condition"),
                    of("/status/reason")
                )
            }));
            lines.join("\n")
        })
    }
}
