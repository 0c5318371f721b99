//! `muster enroll`: tokens that let agents in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::columns::{field, list_at, text_at, time};
use super::output::Output;
use super::session::{Reach, Session, by_id};
use crate::app::enrolment::NewEnrolmentToken;
use crate::app::join::Joining;
use crate::fleet::name::Name;
use crate::settings::Environment;

/// Make tokens that let agents in
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    Create(Create),
    /// List enrolment tokens, the newest first
    List,
    Withdraw(Withdraw),
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::Create(args) => args.run(session).await,
            Act::List => list(session).await,
            Act::Withdraw(args) => args.run(session).await,
        }
    }
}

const PATH: &str = "/api/v1/enrolment-tokens";

/// Make an enrolment token, and print the line that joins a Linux host with it
///
/// The token is shown this once. For any other OpAMP client, `muster enroll create --json` has it alone.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster enroll create --uses 20 --valid 1d --group edge --label site=zrh")]
struct Create {
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// How often it may be used
    #[arg(long, value_name = "N", default_value = "1")]
    uses: u32,
    /// How long it works
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    valid: Duration,
    /// For a gateway or a pool: the most agents behind one credential
    #[arg(long, value_name = "N")]
    many: Option<u32>,
    /// A label of its agents; several times for several
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// The group of its agents
    #[arg(long, value_parser = Name::new)]
    group: Option<Name>,
    /// A network that it may be used from, such as 10.0.0.0/8; several times for several
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// Each agent has to be approved before it is given anything; see `muster agents waiting`
    #[arg(long)]
    by_hand: bool,
    /// The name or address under which hosts reach this server [default: the first that it goes by]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is written like 30m, 1h or 2d".to_owned();
    // A day is 24 hours here: nobody's calendar is asked.
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    if let Some(days) = days {
        return Ok(Duration::from_hours(u64::from(days) * 24));
    }
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Create {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let wish = NewEnrolmentToken {
            note: self.note,
            uses: Some(self.uses),
            valid_seconds: Some(self.valid.as_secs()),
            many: self.many,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            group: self.group,
            networks: self.networks,
            by_hand: self.by_hand,
        };
        let made: Value = session.post(PATH, &wish).await?;
        let system: Value = session.get("/api/v1/system").await?;
        session.say(&made, || {
            let secret = text_at(&made, "/secret");
            let until = time("", "/token/expires_at").of(&made);
            let token = format!("Token (shown this once, works until {until}):\n\n  {secret}");
            match joining(&system, self.host.as_deref()) {
                Some(joining) => format!(
                    "{token}\n\nOn the host, as somebody who may use sudo:\n\n  {}\n",
                    joining.line(secret, "")
                ),
                None => token,
            }
        })
    }
}

/// Where hosts find this server: under `host`, or the first of its names that means something elsewhere.
fn joining(system: &Value, host: Option<&str>) -> Option<Joining> {
    let names: Vec<_> = list_at(system, "/names")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let is_local = |name: &&&str| matches!(**name, "localhost" | "127.0.0.1" | "::1");
    let own = names
        .iter()
        .find(|name| !is_local(name))
        .or_else(|| names.first());
    let port = system.get("agent_port").and_then(Value::as_u64)?;
    Joining::new(
        host.or(own.copied())?,
        u16::try_from(port).ok()?,
        text_at(system, "/ca_pem"),
    )
    .ok()
}

async fn list(session: &mut Session<'_>) -> anyhow::Result<()> {
    let found: Value = session.get(PATH).await?;
    session.list(
        list_at(&found, "/tokens"),
        &[
            field("ID", "/id"),
            field("NOTE", "/note"),
            field("SCOPE", "/grants/scope"),
            field("USED", "/uses"),
            field("OF", "/uses_allowed"),
            time("EXPIRES", "/expires_at"),
            field("GROUP", "/group"),
            field("LABELS", "/labels"),
            field("BY HAND", "/by_hand"),
            field("BY", "/created_by"),
            time("WITHDRAWN", "/withdrawn_at"),
        ],
        "no enrolment tokens yet; `muster enroll` makes one",
    )
}

/// Withdraw an enrolment token; agents that it let in stay
#[derive(clap::Args, Debug)]
struct Withdraw {
    /// The token's id, or the beginning of it
    id: String,
}

impl Withdraw {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found: Value = session.get(PATH).await?;
        let token = by_id(list_at(&found, "/tokens"), &self.id, "enrolment token")?;
        let id = text_at(token, "/id");
        session.delete(&format!("{PATH}/{id}")).await?;
        session.say(&json!({"id": id}), || {
            format!("enrolment token {id} was withdrawn")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_in_days() {
        assert_eq!(duration("2d"), Ok(Duration::from_hours(48)));
        assert_eq!(duration("90m"), Ok(Duration::from_mins(90)));
        assert!(duration("90").is_err());
        assert!(duration("-1h").is_err());
    }

    #[test]
    fn hosts_are_sent_to_a_name_that_means_something_to_them() {
        let system = json!({
            "names": ["localhost", "muster.example.com", "192.0.2.7"],
            "agent_port": 4320,
            "ca_pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
        });
        let authority = |host| joining(&system, host).unwrap().authority().to_owned();
        assert_eq!(authority(None), "muster.example.com:4320");
        assert_eq!(authority(Some("10.0.0.1")), "10.0.0.1:4320");
        assert!(joining(&system, Some("x; rm -rf /")).is_none());
    }
}
