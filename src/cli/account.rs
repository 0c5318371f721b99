//! `muster account`: whoever asks. Over the local socket that is the operator of the host, who has no account.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::columns::{Column, field, list_at, number_at, text_at, time};
use super::output::Output;
use super::session::{Reach, by_id, wrong};
use super::tokens::Whose;
use crate::settings::Environment;

/// Show who asks and what they may do; change one's own password, end sessions
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Show who asks
    Show,
    /// Change one's own password: two lines of standard input, the present one and the new one
    Password,
    /// List sessions in browsers, the latest used first
    Sessions {
        #[command(flatten)]
        whose: Whose,
    },
    /// End a session in a browser
    EndSession {
        /// The session's id, or the beginning of it
        id: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// End all sessions in browsers
    EndSessions,
}

const CARD: [Column; 4] = [
    field("Name", "/name"),
    field("Role", "/role"),
    field("May", "/permissions"),
    time("Password changed", "/account/password_changed_at"),
];

const SESSIONS: &str = "/api/v1/account/sessions";

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        match self.act {
            Act::Show => {
                let me: Value = session.get("/api/v1/account").await?;
                session.card(&me, &CARD)
            }
            Act::Password => {
                let [present, new] = lines_of_input(["the present password", "the new one"])?;
                let body = json!({"present_password": present, "new_password": new});
                let answer: Value = session.post("/api/v1/account/password", &body).await?;
                session.say(&answer, || "the password was changed".to_owned())
            }
            Act::Sessions { whose } => {
                let path = whose.path(&session, "sessions")?;
                let found: Value = session.get(&path).await?;
                session.list(
                    list_at(&found, "/sessions"),
                    &[
                        field("ID", "/id"),
                        time("BEGAN", "/created_at"),
                        time("LAST USED", "/last_used_at"),
                        time("EXPIRES", "/expires_at"),
                        field("FROM", "/address"),
                        field("BROWSER", "/user_agent"),
                    ],
                    "nobody is logged in",
                )
            }
            Act::EndSession { id, whose } => {
                let path = whose.path(&session, "sessions")?;
                let found: Value = session.get(&path).await?;
                let id = text_at(by_id(list_at(&found, "/sessions"), &id, "session")?, "/id");
                session.delete(&format!("{SESSIONS}/{id}")).await?;
                session.say(&json!({"id": id}), || format!("session {id} was ended"))
            }
            Act::EndSessions => {
                let answer = session.delete(SESSIONS).await?;
                session.say(&answer, || {
                    format!("sessions that were ended: {}", number_at(&answer, "/ended"))
                })
            }
        }
    }
}

/// Reads a line of standard input for each of `what`. Never from a terminal, which would show what is typed.
pub(super) fn lines_of_input<const N: usize>(what: [&str; N]) -> anyhow::Result<[String; N]> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let why = format!(
            "give {} on standard input, a line each: what is typed here would be seen",
            what.join(" and ")
        );
        return Err(wrong(why).into());
    }
    let mut lines = stdin.lock().lines();
    let mut read = [const { String::new() }; N];
    for (line, what) in read.iter_mut().zip(what) {
        let next = lines.next().transpose().context("cannot read standard input")?;
        *line = next.ok_or_else(|| wrong(format!("standard input has no line for {what}")))?;
    }
    Ok(read)
}
