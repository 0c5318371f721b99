//! `muster check`: are the settings right, and what holds?

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Context as _;

use super::output::{Output, OutputArgs};
use crate::app::clock::Clock;
use crate::pki::ServerCertificate;
use crate::settings::{self, Environment, SettingsFlags};

/// Check the settings, and show what holds and where it came from
///
/// Reads the same file, environment and flags as the server does, and changes nothing. Exits with 2 when something is wrong.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Print a commented settings file with all defaults instead
    #[arg(long)]
    template: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    flags: SettingsFlags,
}

impl Args {
    pub(super) fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        if self.template {
            return output.raw(settings::TEMPLATE.as_bytes());
        }
        let effective = settings::load(&self.flags, environment)?;
        if let Some(tls) = &effective.settings.admin_plane.tls {
            for path in [&tls.certificate, &tls.key] {
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            }
            // As the server does it at its start.
            ServerCertificate::from_files(&tls.certificate, &tls.key, Clock::system().now())
                .context("admin_plane.tls_cert and tls_key")?;
        }
        if let Some(collector) = &effective.settings.validation.collector {
            let wrong = || format!("validation.collector: {} can't be run", collector.display());
            let found = std::fs::metadata(collector).with_context(wrong)?;
            let runs = found.is_file() && found.permissions().mode() & 0o111 != 0;
            anyhow::ensure!(runs, "{}: it is no program", wrong());
        }
        output.table(
            self.output,
            &["SETTING", "VALUE", "FROM"],
            &effective.rows(),
            |row| vec![row.name.to_owned(), row.value.clone(), row.origin.clone()],
        )
    }
}
