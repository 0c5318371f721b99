//! `muster simulate`: many agents against a server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::client::trust;
use super::output::{Output, OutputArgs};
use crate::app::clock::Clock;
use crate::observability::Secret;
use crate::settings::Environment;
use crate::simulator::{
    Figures, Latency, Memory, Mix, Plan, Simulation, Sources, Target, Temper, TransportChoice,
};

const CONTROL: &str = "\
With --control, lines on standard input steer the simulation, and each is answered with one line of JSON:

  wait-online [TIME]      wait until all agents are online
  wait-verdicts N [TIME]  wait until N configurations were applied or failed with
  report                  the figures so far
  reset                   begin to count anew
  reconnect               drop all connections; agents come back at once
  restart                 kill all agents; they start again and tell everything
  quit                    stop (so does the end of the input)";

/// Simulate agents: real OpAMP clients over TLS, to rehearse with or to measure a server
///
/// The agents enrol with a token from the page Add agents, report as collectors do, and take configurations: a text that
/// contains FAIL is one that they fail with. The run ends by itself and prints what was counted.
#[derive(clap::Args, Debug)]
#[command(after_long_help = CONTROL)]
pub(super) struct Args {
    /// The agent plane.
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://localhost:4320",
        help = "The agent plane, as in https://muster.example.com:4320"
    )]
    server: String,
    /// Trust only the authorities in this PEM file [default: those of this system]
    #[arg(long, value_name = "FILE", conflicts_with = "ca_sha256")]
    ca: Option<PathBuf>,
    /// Trust only the authority with this SHA-256 fingerprint
    #[arg(long, value_name = "HEX")]
    ca_sha256: Option<String>,
    /// What lets agents in.
    #[arg(
        long,
        help = "An enrolment token, for all agents or with a use for each, or an agent's credential; better given as \
                MUSTER_TOKEN, which other users don't see"
    )]
    token: Option<String>,
    /// How many agents, at most 20000
    #[arg(long, value_name = "N", default_value_t = 10)]
    agents: u32,
    /// How agents reach the server
    #[arg(long, value_enum, default_value_t)]
    transport: TransportChoice,
    /// The time over which agents appear
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    ramp_up: Duration,
    /// When to stop
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    duration: Duration,
    /// How often an agent says that it lives; 0s for never
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    heartbeat: Duration,
    /// What agents do with configurations: weights, or numbers of agents where they add up to --agents. There are
    /// healthy, fails (reports a failure), slow (takes long), dark (applies and falls silent), crashes (breaks off
    /// and falls back), lies (says that it applied it, and is unhealthy), vanishes (breaks off and is away), flaps (its
    /// health turns), dies (is unhealthy some time later), rekeys (asks for another uid) and offline (is away after its
    /// first configuration)
    #[arg(long, value_name = "MIX", default_value = "healthy=1")]
    behaviour: Mix,
    /// Only contents with these letters bring the behaviours out; agents take others well [default: all contents]
    #[arg(long, value_name = "LETTERS")]
    only_with: Option<String>,
    /// How long slow agents take
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    slow_by: Duration,
    /// After what time agents that die do
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = time)]
    dies_after: Duration,
    /// How long agents are away that vanish or are offline
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    away: Duration,
    /// Addresses to connect from, such as 127.0.0.1-127.0.0.8: each has ports for some 28000 connections
    #[arg(long, value_name = "ADDRESSES")]
    sources: Option<Sources>,
    /// Make the same agents again [default: others each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The size of an agent's full status, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 6400)]
    status_bytes: usize,
    /// How long an agent takes to apply a configuration
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = time)]
    apply_delay: Duration,
    /// The longest wait between two attempts to connect
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    longest_wait: Duration,
    /// Keep the agents' identities and credentials here, and go on as those that are in it
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Stop without a goodbye, as if the agents' hosts had died
    #[arg(long)]
    vanish: bool,
    /// Allow a server on another machine, with at most 2000 agents
    #[arg(long)]
    allow_remote: bool,
    /// Take commands from standard input
    #[arg(long)]
    control: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// The answer to a command.
#[derive(Serialize)]
struct Answer<'a> {
    command: &'a str,
    /// Whether what was waited for came about; `None` where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
    #[serde(flatten)]
    figures: Figures,
}

impl Args {
    pub(super) fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?
            .block_on(self.simulate(environment, output))
    }

    async fn simulate(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let plan = self.plan(environment).await?;
        let simulation = Simulation::start(plan, &Clock::system()).await?;
        let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
        tokio::select! {
            () = sleep(self.duration) => {}
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
            steered = steer(&simulation, self.duration, output), if self.control => steered?,
        }
        let (figures, memory) = simulation.stop(!self.vanish).await;
        if let Some(path) = &self.state {
            memory.save(path)?;
        }
        if self.control {
            return say(output, "quit", None, figures);
        }
        output.value(self.output, &figures, table)
    }

    async fn plan(&self, environment: &Environment) -> anyhow::Result<Plan> {
        let tls = trust(self.ca.clone(), self.ca_sha256.clone())?;
        let target = Target::find(&self.server, tls).await?;
        if !target.is_loopback() && !self.allow_remote {
            bail!(
                "{} is not on this machine; simulated agents are a load: say --allow-remote if that is wanted",
                self.server
            );
        }
        let memory = self.state.as_deref().map(Memory::load).transpose()?.flatten();
        let token = self
            .token
            .clone()
            .or_else(|| environment.value("TOKEN").map(str::to_owned));
        Ok(Plan {
            target,
            token: token.map(Secret::new),
            agents: self.agents,
            transport: self.transport,
            ramp_up: self.ramp_up,
            heartbeat: Some(self.heartbeat).filter(|period| !period.is_zero()),
            mix: self.behaviour.clone(),
            temper: Temper {
                only_with: self.only_with.clone(),
                slow_by: self.slow_by,
                dies_after: self.dies_after,
                away: self.away,
            },
            sources: self.sources.clone().unwrap_or_default(),
            seed: self.seed.unwrap_or_else(|| u64::from(fastrand::u32(..))),
            status_bytes: self.status_bytes,
            apply_delay: self.apply_delay,
            longest_wait: self.longest_wait,
            memory,
        })
    }
}

/// Does what the lines of standard input say, until they end.
async fn steer(simulation: &Simulation, patience: Duration, output: &mut Output) -> anyhow::Result<()> {
    let mut lines = standard_input();
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        let patient = |word: Option<&&str>| match word {
            Some(word) => time(word).map_err(anyhow::Error::msg),
            None => Ok(patience),
        };
        let mut reached = None;
        let command = match words.as_slice() {
            [] => continue,
            ["quit"] => return Ok(()),
            ["wait-online", rest @ ..] => {
                reached = Some(simulation.wait_online(None, patient(rest.first())?).await);
                "wait-online"
            }
            ["wait-verdicts", number, rest @ ..] => {
                let number = number
                    .parse()
                    .with_context(|| format!("{number:?} is no number"))?;
                reached = Some(simulation.wait_verdicts(number, patient(rest.first())?).await);
                "wait-verdicts"
            }
            ["report"] => "report",
            ["reset"] => {
                simulation.reset();
                "reset"
            }
            ["reconnect"] => {
                simulation.reconnect();
                "reconnect"
            }
            ["restart"] => {
                simulation.restart();
                "restart"
            }
            _ => bail!("{line:?} is no command; see `muster simulate --help`"),
        };
        say(output, command, reached, simulation.figures())?;
    }
    Ok(())
}

/// The lines of standard input. Read in a thread of their own, which ends with the process: a read can't be given up.
fn standard_input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(output: &mut Output, command: &str, reached: Option<bool>, figures: Figures) -> anyhow::Result<()> {
    let answer = Answer {
        command,
        reached,
        figures,
    };
    output.line(&serde_json::to_string(&answer)?)
}

fn table(figures: &Figures) -> String {
    let mut lines = vec![
        format!("{:<28} {:.1}", "seconds", figures.seconds),
        format!("{:<28} {} of {}", "online", figures.online, figures.agents),
        format!("{:<28} {}", "dark", figures.dark),
    ];
    let millis = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} ms"));
    lines.push(format!(
        "{:<28} {}",
        "all online after",
        millis(figures.all_online_ms)
    ));
    for (name, count) in figures.counts.rows() {
        lines.push(format!("{:<28} {count}", name.replace('_', " ")));
    }
    let latency = |name: &str, latency: &Latency| {
        let Latency {
            count,
            p50_ms,
            p99_ms,
            max_ms,
        } = latency;
        format!("{name:<28} p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, max {max_ms:.2} ms of {count}")
    };
    lines.push(latency("connecting", &figures.connect));
    lines.push(latency("heartbeat to answer", &figures.heartbeat));
    lines.push(latency("offer to applied", &figures.apply));
    let spread = millis(figures.first_offer_to_last_applied_ms);
    lines.push(format!("{:<28} {spread}", "first offer to last applied"));
    for (status, count) in &figures.refusals {
        lines.push(format!("{:<28} {count}", format!("refused with {status}")));
    }
    for (kind, count) in &figures.error_responses {
        lines.push(format!("{:<28} {count}", format!("error response {kind}")));
    }
    for (kind, count) in &figures.errors {
        lines.push(format!("{:<28} {count}", format!("error {kind}")));
    }
    lines.join("\n")
}

/// A time as people write it: `30s`, `1m 30s`, `100ms`.
fn time(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(24);
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is no time, such as 30s or 100ms"))?;
    let time = Duration::try_from(span).map_err(|_| "a time is not negative".to_owned())?;
    if time > LONGEST {
        Err("at most 24 hours".to_owned())
    } else {
        Ok(time)
    }
}
