//! `muster system`: the server itself.

use serde_json::{Value, json};

use super::columns::{Column, field, list_at, number_at, text_at, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, card};
use crate::observability::plain::plain;
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
    /// Show the room that the store has, its tables, and records that can't be read
    Store,
    /// Copy the store into a file that takes no more than it needs
    ///
    /// Needs as much room again while it runs. Changes wait meanwhile; agents stay connected.
    Compact {
        #[command(flatten)]
        yes: Yes,
    },
    /// Offer configurations again, after everything was held
    Release {
        #[command(flatten)]
        yes: Yes,
    },
}

const STORE: [Column; 10] = [
    field("Read-only", "/read_only"),
    field("File, bytes", "/store_bytes"),
    field("Left on the disk, bytes", "/room/free_bytes"),
    field("Has to stay free, bytes", "/room/low_water_bytes"),
    field("Data folder, bytes", "/room/used_bytes"),
    field("May have, bytes", "/room/quota_bytes"),
    field("Ballast, bytes", "/room/ballast_bytes"),
    time("Verified", "/scrub/ended"),
    field("Records verified", "/scrub/rows"),
    field("Of them damaged", "/scrub/unreadable"),
];

const CARD: [Column; 10] = [
    field("Name", "/name"),
    field("Version", "/version"),
    time("Running since", "/started_at"),
    time("Its time", "/now"),
    field("Goes by", "/names"),
    field("Port for agents", "/agent_port"),
    field("Port for people", "/admin_port"),
    field("CA SHA-256", "/ca_fingerprint"),
    field("Everything held", "/held"),
    field("Read-only", "/read_only"),
];

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        match self.act {
            Act::Show => {
                let found: Value = session.get("/api/v1/system").await?;
                session.card(&found, &CARD)
            }
            Act::Store => {
                let found: Value = session.get("/api/v1/system/store").await?;
                session.say(&found, || store(&found))
            }
            Act::Compact { yes } => {
                yes.ask(session.output, "Compact the store? Changes wait meanwhile.")?;
                let answer: Value = session.post("/api/v1/system/store/compact", &json!({})).await?;
                session.say(&answer, || {
                    let of = |pointer| number_at(&answer, pointer);
                    format!(
                        "the store had {} bytes and has {}",
                        of("/before_bytes"),
                        of("/after_bytes")
                    )
                })
            }
            Act::Release { yes } => {
                yes.ask(session.output, "Offer configurations to all agents again?")?;
                let answer: Value = session.post("/api/v1/system/release", &json!({})).await?;
                session.say(&answer, || "configurations are offered again".to_owned())
            }
        }
    }
}

/// The room, then a line for each table, then one for each record that can't be read.
fn store(found: &Value) -> String {
    let mut lines = vec![card(found, &STORE), "\nTables".to_owned()];
    for table in list_at(found, "/tables") {
        let (rows, bytes) = (number_at(table, "/rows"), number_at(table, "/bytes"));
        lines.push(format!(
            "  {:24} {rows:>12} rows {bytes:>14} bytes",
            plain(text_at(table, "/name"))
        ));
    }
    let unreadable = list_at(found, "/unreadable");
    if !unreadable.is_empty() {
        lines.push("\nRecords that can't be read".to_owned());
    }
    for row in unreadable {
        let of = |pointer| plain(text_at(row, pointer));
        lines.push(format!("  {} {}: {}", of("/table"), of("/key"), of("/why")));
    }
    lines.join("\n")
}
