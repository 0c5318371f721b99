//! The first account: whoever has the setup token claims the server.

use super::login::{SignedIn, begin_session};
use super::manage::account_name;
use super::{Accounts, Change, Edit, Index, invalid};
use crate::app::audit::entry;
use crate::app::error::Error;
use crate::app::randomness::random;
use crate::auth::account::{Account, Setup, SetupRefusal};
use crate::auth::actor::Actor;
use crate::auth::password::Password;
use crate::auth::permission::{Permission, Role};
use crate::auth::secret::{Secret, SecretKind};
use crate::auth::session::Visitor;
use crate::fleet::ids::{AccountId, SessionId};
use crate::fleet::time::Timestamp;

/// Whether somebody can claim this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupStatus {
    /// Somebody has: people sign in.
    Claimed,
    /// A setup token is out.
    Open {
        /// When it stops working.
        expires_at: Timestamp,
    },
    /// No setup token works: there was none, it has expired, or too many wrong ones were tried.
    Closed,
}

/// The file in the data folder that holds the setup link where no terminal can show it.
pub const SETUP_LINK_FILE: &str = "setup-link";

impl Accounts {
    /// Whether somebody can claim this server.
    #[must_use]
    pub fn setup_status(&self) -> SetupStatus {
        let index = self.index();
        if index.is_claimed() {
            return SetupStatus::Claimed;
        }
        match index.setup() {
            Some(Setup::Open {
                expires_at,
                wrong_tries,
                ..
            }) if *wrong_tries < Setup::TRIES && self.now() < *expires_at => SetupStatus::Open {
                expires_at: *expires_at,
            },
            _ => SetupStatus::Closed,
        }
    }

    /// Makes a setup token; earlier ones stop working. It exists nowhere else: show it to the person at the terminal.
    ///
    /// # Errors
    /// [`Error::Conflict`] once the server is claimed; [`Error::Forbidden`] without [`Permission::ManageSystem`].
    pub async fn issue_setup_token(&self, actor: &Actor) -> Result<Secret, Error> {
        self.0
            .audit
            .permit(actor, Permission::ManageSystem, "setup_token.create")?;
        let token = Secret::new(SecretKind::Setup, random()?);
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            if index.is_claimed() {
                return Err(refusal(SetupRefusal::Claimed));
            }
            Ok(Change {
                edits: vec![Edit::PutSetup(Setup::open(&token, now))],
                audit: Some(entry(&actor, now, "setup_token.create", "setup")),
                answer: token,
            })
        };
        self.change(decide).await
    }

    /// Makes the first account, an admin, for whoever has the setup token, and signs it in. The token works once.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field `token`, `name` or `password`; [`Error::Conflict`] once the server is claimed;
    /// [`Error::TooMany`] after too many attempts from one address.
    pub async fn claim(
        &self,
        token: &str,
        name: &str,
        password: &Password,
        visitor: &Visitor,
    ) -> Result<SignedIn, Error> {
        if self.index().is_claimed() {
            return Err(refusal(SetupRefusal::Claimed));
        }
        let token = Secret::parse(SecretKind::Setup, token).map_err(|error| invalid("token", &error))?;
        self.attempt_from(visitor.address)?;
        if !self.opens(&token) {
            return Err(self.count_wrong_try(token, visitor).await);
        }
        let name = account_name(name)?;
        password
            .check(&name)
            .map_err(|error| invalid("password", &error))?;
        let password_hash = self.0.hashing.hash(password).await?;

        let id = AccountId(random()?);
        let session = SessionId(random()?);
        let secret = Secret::new(SecretKind::Session, random()?);
        let visitor = visitor.clone();
        let decide = move |index: &Index, now| {
            accepts(index, &token, now)?;
            let account = Account {
                id,
                name,
                role: Role::Admin,
                password_hash,
                password_changed_at: now,
                created_at: now,
                disabled_at: None,
                provisional: false,
            };
            let (signed_in, session) = begin_session(&account, session, secret, &visitor, now);
            let act = entry(
                &signed_in.actor,
                now,
                "account.claim",
                format!("account/{}", account.name),
            );
            let edits = vec![
                Edit::PutSetup(Setup::Claimed { at: now }),
                Edit::PutAccount(account),
                Edit::PutSession(session),
            ];
            Ok(Change {
                edits,
                audit: Some(act),
                answer: signed_in,
            })
        };
        let signed_in = self.change(decide).await?;
        tracing::info!(account = %signed_in.actor.name, "the server was claimed");
        Ok(signed_in)
    }

    fn opens(&self, token: &Secret) -> bool {
        accepts(&self.index(), token, self.now()).is_ok()
    }

    /// Counts a wrong try durably, so that a restart gives nobody new ones, and says what is wrong.
    async fn count_wrong_try(&self, token: Secret, visitor: &Visitor) -> Error {
        let decide = move |index: &Index, now| {
            let setup = index.setup().filter(|_| !index.is_claimed());
            let why = setup.map_or(Err(SetupRefusal::Expired), |setup| setup.accepts(&token, now));
            let edits = match setup {
                Some(setup) if why == Err(SetupRefusal::Wrong) => {
                    vec![Edit::PutSetup(setup.after_wrong_try())]
                }
                _ => Vec::new(),
            };
            Ok(Change {
                edits,
                audit: None,
                answer: accepts(index, &token, now),
            })
        };
        self.0.audit.refused(
            "unknown",
            visitor.address,
            "account.claim",
            "wrong or expired setup token",
        );
        match self.change(decide).await {
            Ok(Err(error)) | Err(error) => error,
            // The right token came into being in between; asking again works.
            Ok(Ok(())) => Error::Stale,
        }
    }
}

fn accepts(index: &Index, token: &Secret, now: Timestamp) -> Result<(), Error> {
    if index.is_claimed() {
        return Err(refusal(SetupRefusal::Claimed));
    }
    let setup = index.setup().ok_or(SetupRefusal::Expired).map_err(refusal)?;
    setup.accepts(token, now).map_err(refusal)
}

fn refusal(refusal: SetupRefusal) -> Error {
    match refusal {
        SetupRefusal::Claimed => Error::Conflict(refusal.to_string()),
        SetupRefusal::Wrong | SetupRefusal::Expired | SetupRefusal::TooManyTries => {
            invalid("token", &refusal)
        }
    }
}
