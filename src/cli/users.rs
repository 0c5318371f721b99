//! `muster users`: the accounts of people.

use base64::Engine as _;
use serde_json::{Value, json};

use super::account::lines_of_input;
use super::client::segment;
use super::columns::{field, list_at, time};
use super::output::Output;
use super::session::{Reach, Session};
use crate::settings::Environment;

/// Look at people's accounts, and help who can't sign in any more
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List accounts
    List,
    ResetPassword(ResetPassword),
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::List => {
                let found: Value = session.get("/api/v1/accounts").await?;
                session.list(
                    list_at(&found, "/accounts"),
                    &[
                        field("NAME", "/name"),
                        field("ROLE", "/role"),
                        time("MADE", "/created_at"),
                        time("PASSWORD CHANGED", "/password_changed_at"),
                        time("DISABLED", "/disabled_at"),
                    ],
                    "no accounts yet; the page of the first start makes one",
                )
            }
            Act::ResetPassword(args) => args.run(session).await,
        }
    }
}

/// Set a new password, and end the account's sessions in browsers
///
/// On the server's host: an API token may not. Makes a password and prints it this once, to be changed after signing in; or takes one from standard input.
#[derive(clap::Args, Debug)]
struct ResetPassword {
    /// The account's name
    name: String,
    /// Read the password from the first line of standard input
    #[arg(long)]
    stdin: bool,
}

impl ResetPassword {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let (password, made) = if self.stdin {
            let [password] = lines_of_input(["the new password"])?;
            (password, None)
        } else {
            let password = fresh()?;
            (password.clone(), Some(password))
        };
        let path = format!("/api/v1/accounts/{}/password", segment(&self.name));
        let _: Value = session.post(&path, &json!({"new_password": password})).await?;
        let answer = json!({"name": self.name, "password": made});
        session.say(&answer, || match &made {
            Some(password) => format!(
                "The password of {} is now (shown this once):\n\n  {password}\n",
                self.name
            ),
            None => format!("the password of {} was set", self.name),
        })
    }
}

/// A password of 120 random bits.
fn fresh() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 15];
    getrandom::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_password_is_accepted_and_never_the_same() {
        let password = fresh().unwrap();
        assert_eq!(password.len(), 20);
        assert_ne!(password, fresh().unwrap());
    }
}
