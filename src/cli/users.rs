//! `muster users`: the accounts of people.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::account::lines_of_input;
use super::client::segment;
use super::columns::{field, list_at, text_at, time};
use super::confirm::Yes;
use super::output::Output;
use super::session::{Reach, Session, wrong};
use super::tokens::Role;
use crate::app::accounts::made_password;
use crate::settings::Environment;

mod offline;

/// Make and manage people's accounts, and help who can't sign in any more
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
    Create(Create),
    /// Change what an account may do
    Role {
        /// The account's name
        name: String,
        /// Its role from now on
        #[arg(value_enum)]
        role: Role,
    },
    Promote(Promote),
    /// Let nobody sign in with an account, and end its sessions
    Disable {
        /// The account's name
        name: String,
    },
    /// Let the owner of an account sign in again
    Enable {
        /// The account's name
        name: String,
    },
    /// Forget the wrong passwords that were tried, so that its owner can sign in at once
    Unlock {
        /// The account's name
        name: String,
    },
    /// End all sessions of an account in browsers
    EndSessions {
        /// The account's name
        name: String,
    },
    Delete(Delete),
    ResetPassword(ResetPassword),
}

const PATH: &str = "/api/v1/accounts";

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        if let Some(folder) = self.act.offline(&self.reach, environment)? {
            let shape = self.reach.shape();
            return offline::run(&folder, self.act, shape, output).await;
        }
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        match self.act {
            Act::List => list(session).await,
            Act::Create(args) => args.run(session).await,
            Act::Role { name, role } => {
                let act = json!({"act": "set_role", "role": role.word()});
                let done = format!("{name} is {} now", role.word());
                manage(session, &name, &act, done).await
            }
            Act::Promote(args) => args.run(session).await,
            Act::Disable { name } => {
                let done = format!("{name} is disabled");
                manage(session, &name, &json!({"act": "disable"}), done).await
            }
            Act::Enable { name } => {
                let done = format!("{name} is enabled");
                manage(session, &name, &json!({"act": "enable"}), done).await
            }
            Act::Unlock { name } => {
                let done = format!("{name} is unlocked");
                manage(session, &name, &json!({"act": "unlock"}), done).await
            }
            Act::EndSessions { name } => {
                let done = format!("the sessions of {name} were ended");
                manage(session, &name, &json!({"act": "end_sessions"}), done).await
            }
            Act::Delete(args) => args.run(session).await,
            Act::ResetPassword(args) => args.run(session).await,
        }
    }
}

impl Act {
    /// The data folder, for an act that is to be done while no server runs.
    fn offline(&self, reach: &Reach, environment: &Environment) -> anyhow::Result<Option<PathBuf>> {
        let wanted = match self {
            Self::Promote(args) => args.offline,
            Self::ResetPassword(args) => args.offline,
            Self::List
            | Self::Create(_)
            | Self::Role { .. }
            | Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Unlock { .. }
            | Self::EndSessions { .. }
            | Self::Delete(_) => false,
        };
        if !wanted {
            return Ok(None);
        }
        let folder = reach.data_folder(environment);
        folder.map(Some).ok_or_else(|| {
            wrong("--offline is for the server's own host: name its data folder with --data").into()
        })
    }
}

async fn list(session: &mut Session<'_>) -> anyhow::Result<()> {
    let found: Value = session.get(PATH).await?;
    session.list(
        list_at(&found, "/accounts"),
        &[
            field("NAME", "/name"),
            field("ROLE", "/role"),
            time("MADE", "/created_at"),
            time("PASSWORD CHANGED", "/password_changed_at"),
            time("DISABLED", "/disabled_at"),
            time("LOCKED UNTIL", "/locked_until"),
        ],
        "no accounts yet; the page of the first start makes one",
    )
}

async fn manage(session: &mut Session<'_>, name: &str, act: &Value, done: String) -> anyhow::Result<()> {
    let path = format!("{PATH}/{}/acts", segment(name));
    let account: Value = session.post(&path, act).await?;
    session.say(&account, || done)
}

/// Make an account
///
/// On the server's host: an API token may not. A first password is made and printed this once; until its owner has chosen
/// another, the account only looks.
#[derive(clap::Args, Debug)]
struct Create {
    /// What its owner signs in with
    name: String,
    /// What it may do
    #[arg(long, value_enum, default_value = "viewer")]
    role: Role,
}

impl Create {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let body = json!({"name": self.name, "role": self.role.word()});
        let made: Value = session.post(PATH, &body).await?;
        session.say(&made, || {
            format!(
                "{} can sign in with this password (shown this once), and is to choose another then:\n\n  {}\n",
                self.name,
                text_at(&made, "/password")
            )
        })
    }
}

/// Make an account an admin, and enable it where it was disabled
///
/// On the server's host, for when nobody is left who could do it signed in.
#[derive(clap::Args, Debug)]
struct Promote {
    /// The account's name
    name: String,
    /// Open the store of a server that doesn't run
    #[arg(long)]
    offline: bool,
}

impl Promote {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let path = format!("{PATH}/{}", segment(&self.name));
        let account: Value = session.get(&path).await?;
        let mut acts = Vec::new();
        if text_at(&account, "/role") != "admin" {
            acts.push(json!({"act": "set_role", "role": "admin"}));
        }
        if account.pointer("/disabled_at").is_some_and(|at| !at.is_null()) {
            acts.push(json!({"act": "enable"}));
        }
        let mut after = account;
        for act in acts {
            after = session.post(&format!("{path}/acts"), &act).await?;
        }
        session.say(&after, || format!("{} is an admin", self.name))
    }
}

/// Delete an account with its sessions and API tokens; what it did stays in the audit log
#[derive(clap::Args, Debug)]
struct Delete {
    /// The account's name
    name: String,
    #[command(flatten)]
    yes: Yes,
}

impl Delete {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let question = format!(
            "Delete the account {} with its sessions and API tokens?",
            self.name
        );
        self.yes.ask(session.output, &question)?;
        session.delete(&format!("{PATH}/{}", segment(&self.name))).await?;
        session.say(&json!({"name": self.name}), || {
            format!("{} was deleted", self.name)
        })
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
    /// Open the store of a server that doesn't run
    #[arg(long)]
    offline: bool,
}

impl ResetPassword {
    async fn run(self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let new = self.new_password()?;
        let path = format!("/api/v1/accounts/{}/password", segment(&self.name));
        let _: Value = session.post(&path, &json!({"new_password": new.text})).await?;
        session.say(&self.answer(&new), || self.words(&new))
    }

    fn new_password(&self) -> anyhow::Result<NewPassword> {
        if self.stdin {
            let [text] = lines_of_input(["the new password"])?;
            return Ok(NewPassword { text, made: false });
        }
        Ok(NewPassword {
            text: made_password()?,
            made: true,
        })
    }

    fn answer(&self, new: &NewPassword) -> Value {
        json!({"name": self.name, "password": new.made.then_some(&new.text)})
    }

    fn words(&self, new: &NewPassword) -> String {
        if new.made {
            format!(
                "The password of {} is now (shown this once):\n\n  {}\n",
                self.name, new.text
            )
        } else {
            format!("the password of {} was set", self.name)
        }
    }
}

/// A password that is to be set.
struct NewPassword {
    text: String,
    /// Whether it was made here, and is known to nobody else.
    made: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_password_is_accepted_and_never_the_same() {
        let password = made_password().unwrap();
        assert_eq!(password.len(), 20);
        assert_ne!(password, made_password().unwrap());
    }
}
