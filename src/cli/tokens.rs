//! `muster tokens`: what scripts sign in with.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::client::segment;
use super::columns::{field, list_at, text_at, time};
use super::output::Output;
use super::session::{Reach, Session};
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
    /// List the API tokens of one's own account, the latest used first
    List,
    /// Revoke an API token of one's own account
    Revoke {
        /// Its name
        name: String,
    },
}

const PATH: &str = "/api/v1/account/tokens";

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::Create(args) => args.run(session).await,
            Act::List => {
                let found: Value = session.get(PATH).await?;
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
                )
            }
            Act::Revoke { name } => {
                session.delete(&format!("{PATH}/{}", segment(&name))).await?;
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Looks
    Viewer,
    /// Edits what reaches nobody
    Operator,
    /// Publishes
    Deployer,
    /// Does everything
    Admin,
}

impl Create {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let role = match self.role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Deployer => "deployer",
            Role::Admin => "admin",
        };
        let body = json!({"name": self.name, "role": role, "days": self.days, "account": self.account});
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
