//! The command line: one file per verb.
//!
//! A verb is a variant of `Verb` and a file with its `Args` and a `run`. Three kinds: verbs that need nothing running
//! (`check`), the server itself, and online verbs, which are clients of the API ([`client`]) over the local socket or, with
//! `--server`, over TLS. Whatever a verb says goes through [`output`].

use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::settings::{Environment, Problems};
use client::ClientError;
use output::Output;

mod account;
mod agents;
mod apply;
mod audit;
mod check;
pub mod client;
mod columns;
mod completions;
mod configs;
mod confirm;
mod credentials;
mod doctor;
mod enroll;
mod export;
mod groups;
mod man;
pub mod output;
mod overview;
mod publish;
mod rollouts;
mod secrets;
mod serve;
mod session;
mod setup_token;
mod shown;
mod simulate;
mod system;
mod terms;
mod tokens;
mod tree;
mod upgrade;
mod users;
mod version;

pub use man::verbs;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the arguments or settings are wrong
  3  the server cannot be reached
  4  the server refused
  5  the server ended by itself: something without which it can't go on died; start it again";

/// Manages a fleet of OpenTelemetry collectors over OpAMP.
///
/// One program: the server with its store, its certificate authority and its pages, and the command line to work with it.
#[derive(Debug, Parser)]
#[command(name = "muster", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Upgrade(upgrade::Args),
    SetupToken(setup_token::Args),
    Simulate(simulate::Args),
    Overview(overview::Args),
    Agents(agents::Args),
    Groups(groups::Args),
    Configs(configs::Args),
    Publish(publish::Args),
    Rollouts(rollouts::Args),
    Export(export::Args),
    Apply(apply::Args),
    Enroll(enroll::Args),
    Credentials(credentials::Args),
    Users(users::Args),
    Account(account::Args),
    Secrets(secrets::Args),
    Tokens(tokens::Args),
    Audit(audit::Args),
    System(system::Args),
    Completions(completions::Args),
    Man(man::Args),
    Version(version::Args),
}

impl Verb {
    fn run(self, environment: &Environment) -> anyhow::Result<()> {
        let mut output = Output::stdout();
        match self {
            Self::Serve(args) => args.run(environment, &mut output),
            Self::Check(args) => args.run(environment, &mut output),
            Self::Doctor(args) => args.run(environment, &mut output),
            Self::Upgrade(args) => args.run(environment, &mut output),
            Self::SetupToken(args) => online(args.run(environment, &mut output)),
            Self::Simulate(args) => args.run(environment, &mut output),
            Self::Overview(args) => online(args.run(environment, &mut output)),
            Self::Agents(args) => online(args.run(environment, &mut output)),
            Self::Groups(args) => online(args.run(environment, &mut output)),
            Self::Configs(args) => online(args.run(environment, &mut output)),
            Self::Publish(args) => online(args.run(environment, &mut output)),
            Self::Rollouts(args) => online(args.run(environment, &mut output)),
            Self::Export(args) => online(args.run(environment, &mut output)),
            Self::Apply(args) => online(args.run(environment, &mut output)),
            Self::Enroll(args) => online(args.run(environment, &mut output)),
            Self::Credentials(args) => online(args.run(environment, &mut output)),
            Self::Users(args) => online(args.run(environment, &mut output)),
            Self::Account(args) => online(args.run(environment, &mut output)),
            Self::Secrets(args) => online(args.run(environment, &mut output)),
            Self::Tokens(args) => online(args.run(environment, &mut output)),
            Self::Audit(args) => online(args.run(environment, &mut output)),
            Self::System(args) => online(args.run(environment, &mut output)),
            Self::Completions(args) => args.run(&mut output),
            Self::Man(args) => args.run(&mut output),
            Self::Version(args) => args.run(&mut output),
        }
    }
}

/// Runs the verb that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come this way too; clap knows where each belongs.
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            return if error.print().is_ok() {
                ExitCode::from(code)
            } else {
                ExitCode::FAILURE
            };
        }
    };
    match cli.verb.run(&Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has seen enough, as in `muster check | head -1`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        // Said already, by what was printed.
        Err(error) if error.is::<apply::Pending>() => ExitCode::from(2),
        Err(error) if error.is::<doctor::Unwell>() => ExitCode::FAILURE,
        Err(error) => {
            output::report(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

/// All verbs and flags, for completions and manual pages.
fn command() -> clap::Command {
    Cli::command()
}

/// Runs an online verb: one thread is enough for a client.
fn online(verb: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(verb)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Problems>() {
        return 2;
    }
    if error.is::<crate::app::tasks::Failure>() {
        return 5;
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Arguments(_)) => 2,
        Some(ClientError::NotRunning { .. } | ClientError::Unreachable { .. }) => 3,
        Some(ClientError::Refused(_)) => 4,
        Some(ClientError::Request(_) | ClientError::Answer { .. }) | None => 1,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests;
