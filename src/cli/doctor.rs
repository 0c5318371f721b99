//! `muster doctor`: what is wrong with a data folder, and what to do.

use super::output::{Output, OutputArgs};
use crate::app::clock::Clock;
use crate::server::doctor::{Level, examine};
use crate::settings::{self, Environment, SettingsFlags};

/// Look at a data folder while no server has it: what is wrong, and what to do
///
/// Looks at permissions, keys, certificates, room, the lock, the schema, every record and its seal, the audit chain and the
/// clock. Changes nothing; a copy of the store lies in the folder meanwhile. Exits with 1 when something is wrong.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster doctor --data /var/lib/muster --json")]
pub(super) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    flags: SettingsFlags,
}

/// Something is wrong; what, was printed.
#[derive(Debug, thiserror::Error)]
#[error("something is wrong")]
pub(super) struct Unwell;

impl Args {
    pub(super) fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let effective = settings::load(&self.flags, environment)?;
        let findings = examine(&effective.settings, Clock::system().now());
        let headings = ["", "SUBJECT", "FOUND", "WHAT TO DO"];
        output.table(self.output, &headings, &findings, |finding| {
            let mark = match finding.level {
                Level::Well => "well",
                Level::Warning => "look",
                Level::Wrong => "wrong",
            };
            vec![
                mark.to_owned(),
                finding.subject.to_owned(),
                finding.found.clone(),
                finding.advice.clone(),
            ]
        })?;
        if findings.iter().any(|finding| finding.level == Level::Wrong) {
            return Err(Unwell.into());
        }
        Ok(())
    }
}
