//! `muster upgrade --check`: what the first start of this version would do with a store.

use anyhow::Context as _;
use serde::Serialize;

use super::output::{Output, OutputArgs};
use crate::app::clock::{Clock, Stopwatch};
use crate::app::survey::survey;
use crate::server::store_settings;
use crate::settings::{self, Environment, SettingsFlags};
use crate::store::{Room, Store};

/// Say what the first start of this version would do with a store
///
/// Upgrading itself is starting the new version. This does the same with a copy of the store, while no server has the
/// folder: how long it takes, how much room it needs, and whether every record can be read afterwards. The copy is removed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster upgrade --check --data /var/lib/muster")]
pub(super) struct Args {
    /// Try it on a copy
    #[arg(long, required = true)]
    check: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    flags: SettingsFlags,
}

/// What an upgrade comes to.
#[derive(Debug, Serialize)]
struct Forecast {
    schema: u32,
    new_schema: u32,
    steps: Vec<&'static str>,
    took_seconds: f64,
    needed_bytes: u64,
    free_bytes: Option<u64>,
    records: u64,
    unreadable: usize,
}

impl Args {
    pub(super) fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        debug_assert!(self.check, "the flag is required");
        let settings = settings::load(&self.flags, environment)?.settings;
        let room = Room::of(&settings.data, settings.disk.low_water.0, None);
        let begun = Stopwatch::start();
        let rehearsal = Store::rehearse(&settings.data, &store_settings(&settings), Clock::system().now())
            .context("the upgrade can't be tried")?;
        let took_seconds = begun.elapsed().as_secs_f64();
        let store = rehearsal.store().context("the copy can't be opened")?;
        let surveyed = survey(store, None).context("the copy can't be read")?;
        let forecast = Forecast {
            schema: rehearsal.schema,
            new_schema: rehearsal.known,
            steps: rehearsal.steps.clone(),
            took_seconds,
            // The file as it was is kept.
            needed_bytes: if rehearsal.steps.is_empty() {
                0
            } else {
                rehearsal.store_bytes
            },
            free_bytes: room.free_bytes,
            records: surveyed.records,
            unreadable: store.unreadable().len(),
        };
        output.value(self.output, &forecast, told)
    }
}

fn told(forecast: &Forecast) -> String {
    let Forecast {
        schema,
        new_schema,
        steps,
        took_seconds,
        needed_bytes,
        free_bytes,
        records,
        unreadable,
    } = forecast;
    let mut lines = Vec::new();
    if steps.is_empty() {
        lines.push(format!(
            "nothing to do: the store has schema {schema}, which this version writes"
        ));
    } else {
        lines.push(format!("schema {schema} becomes {new_schema}:"));
        lines.extend(steps.iter().map(|step| format!("  {step}")));
        lines.push(format!("it took {took_seconds:.1} s on a copy, and needs {needed_bytes} bytes beside the store, where it is kept as it was"));
        if let Some(free) = free_bytes.filter(|free| free < needed_bytes) {
            lines.push(format!("only {free} bytes are left: make room first"));
        }
    }
    lines.push(format!(
        "{records} records can be read afterwards, {unreadable} can't"
    ));
    lines.join("\n")
}
