//! `muster tokens`: what scripts sign in with.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::client::{ClientError, segment};
use super::columns::{field, list_at, text_at, time};
use super::output::Output;
use super::session::{Reach, Session, wrong};
use crate::settings::Environment;

/// Make and revoke API tokens, with which scripts sign in
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
    /// List API tokens, the latest used first
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Revoke an API token
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        whose: Whose,
    },
}

/// The account that something belongs to: one's own unless it is named.
#[derive(clap::Args, Debug)]
pub(super) struct Whose {
    /// Whose, if not one's own; needed over the local socket
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl Whose {
    /// The path of what belongs to the account. The operator of the host has none, and must say whose is meant.
    pub(super) fn path(&self, session: &Session<'_>, what: &str) -> Result<String, ClientError> {
        match &self.account {
            Some(name) => Ok(format!("/api/v1/accounts/{}/{what}", segment(name))),
            None if session.client.is_local() => Err(wrong(
                "the operator of this host has no account of their own: say whose with --account NAME",
            )),
            None => Ok(format!("/api/v1/account/{what}")),
        }
    }
}

const PATH: &str = "/api/v1/account/tokens";

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::Create(args) => args.run(session).await,
            Act::List { whose } => {
                let found: Value = session.get(&whose.path(session, "tokens")?).await?;
                session.list(
                    list_at(&found, "/tokens"),
                    &[
                        field("NAME", "/name"),
                        field("ROLE", "/role"),
                        time("MADE", "/created_at"),
                        time("LAST USED", "/last_used_at"),
                        time("EXPIRES", "/expires_at"),
                        field("FROM", "/address"),
                    ],
                    "no API tokens yet; `muster tokens create` makes one",
                )
            }
            Act::Revoke { name, whose } => {
                let path = whose.path(session, "tokens")?;
                session.delete(&format!("{path}/{}", segment(&name))).await?;
                session.say(&json!({"name": name}), || format!("API token {name} was revoked"))
            }
        }
    }
}

/// Make an API token
///
/// It is shown this once.
#[derive(clap::Args, Debug)]
#[command(after_help = "Scripts take it from the variable MUSTER_TOKEN.")]
struct Create {
    /// What to call it
    name: String,
    /// The most that it may do
    #[arg(long, value_enum, default_value = "viewer")]
    role: Role,
    /// In how many days it stops working, at most 366
    #[arg(long, value_name = "N", default_value = "90")]
    days: u32,
    /// Whose it is; needed over the local socket
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

/// What an account or a token may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Role {
    /// Looks
    Viewer,
    /// Edits what reaches nobody
    Operator,
    /// Publishes, and approves when signed in
    Deployer,
    /// Does everything
    Admin,
}

impl Role {
    /// The word for it in the API.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

impl Create {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let body =
            json!({"name": self.name, "role": self.role.word(), "days": self.days, "account": self.account});
        let made: Value = session.post(PATH, &body).await?;
        session.say(&made, || {
            format!(
                "API token {} (shown this once, works until {}):\n\n  {}\n",
                self.name,
                time("", "/token/expires_at").of(&made),
                text_at(&made, "/secret")
            )
        })
    }
}
