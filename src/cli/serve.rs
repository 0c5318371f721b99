//! `muster serve`: the server.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;

use super::output::Output;
use crate::app::accounts::SETUP_LINK_FILE;
use crate::app::clock::Clock;
use crate::observability::logs;
use crate::pki::fingerprint_pairs;
use crate::server::{Server, SetupLink};
use crate::settings::{self, Environment, Settings, SettingsFlags};

/// Run the server
///
/// Needs nothing else: on the first start it makes its data folder, a certificate authority, a certificate and its store,
/// and prints a link with which the first account is set up. Stops on SIGTERM and Ctrl-C.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    flags: SettingsFlags,
}

impl Args {
    pub(super) fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let settings = settings::load(&self.flags, environment)?.settings;
        logs::init(&settings.log).context("cannot start the log")?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = settings.worker_threads {
            runtime.worker_threads(threads.get());
        }
        runtime
            .enable_all()
            .build()
            .context("cannot start the runtime")?
            .block_on(async {
                let server = Server::start(&settings, &Clock::system())?;
                welcome(&server, &settings, output).await?;
                server.run().await
            })
    }
}

/// Says where everything is. The setup link goes to a terminal only, never into a log.
async fn welcome(server: &Server, settings: &Settings, output: &mut Output) -> anyhow::Result<()> {
    let fingerprint = fingerprint_pairs(&server.authority.fingerprint());
    tracing::info!(
        agent_address = %server.agent_address,
        admin_address = %server.admin_address,
        data_folder = %settings.data.display(),
        ca_sha256 = %fingerprint,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let setup = server.setup_link().await?;
    if !std::io::stdout().is_terminal() {
        let path = settings.data.join(SETUP_LINK_FILE);
        match &setup {
            SetupLink::Fresh(link) => {
                keep(&path, link).with_context(|| format!("cannot write {}", path.display()))?;
                tracing::info!(file = %path.display(), "nobody has claimed this server; the link for that is in a file");
            }
            SetupLink::Outstanding => tracing::info!(
                "nobody has claimed this server; the link was shown at an earlier start, and `muster setup-token` makes a new one"
            ),
            SetupLink::Claimed => {}
        }
        return Ok(());
    }
    output.line(&format!("\n{} is running.\n", settings.site_name))?;
    output.line(&format!("  People     {}", server.admin_url()))?;
    output.line(&format!("  Agents     {}", server.agent_url()))?;
    output.line(&format!("  Data       {}", settings.data.display()))?;
    output.line(&format!("  CA SHA-256 {fingerprint}\n"))?;
    match setup {
        SetupLink::Claimed => {}
        SetupLink::Fresh(link) => {
            output.line("Open this link within an hour to set up the first account:\n")?;
            output.line(&format!("  {link}\n"))?;
            output.line(
                "Browsers don't know this server's certificate authority yet and will say so: compare the",
            )?;
            output.line("fingerprint above with the one that they show.\n")?;
        }
        SetupLink::Outstanding => {
            output
                .line("Nobody has set up the first account yet. The link was shown at an earlier start;")?;
            output.line("`muster setup-token` makes a new one.\n")?;
        }
    }
    Ok(())
}

/// Writes a secret into a file of its owner alone.
fn keep(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")
}
