//! Managing people: making accounts, and changing what others may do. All of it takes a recent proof of who asks.

use base64::Engine as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sessions::browser_session;
use super::{Accounts, Change, Edit, Index, invalid};
use crate::app::audit::entry;
use crate::app::error::Error;
use crate::app::randomness::random;
use crate::auth::account::{Account, AccountView};
use crate::auth::actor::Actor;
use crate::auth::password::Password;
use crate::auth::permission::{Permission, Role};
use crate::fleet::ids::{AccountId, SessionId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// An account to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// What its owner signs in with.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// What to do to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "act", deny_unknown_fields)]
pub enum AccountAct {
    /// Give it another role.
    SetRole {
        /// The role from now on.
        role: Role,
    },
    /// Let nobody sign in with it; its sessions end, and its API tokens stand for nobody.
    Disable,
    /// Let its owner sign in again.
    Enable,
    /// Forget the wrong passwords that were tried.
    Unlock,
    /// End its sessions in browsers.
    EndSessions,
}

impl AccountAct {
    /// The word for it in the audit log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SetRole { .. } => "account.set_role",
            Self::Disable => "account.disable",
            Self::Enable => "account.enable",
            Self::Unlock => "account.unlock",
            Self::EndSessions => "account.end_sessions",
        }
    }
}

/// Words that stand for somebody else in the audit log.
const RESERVED: [&str; 3] = ["muster", "others", "unknown"];

/// A password of 120 random bits, for somebody who is to choose another.
///
/// # Errors
/// When the system has no randomness.
pub fn made_password() -> Result<String, Error> {
    let bytes: [u8; 15] = random()?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// The name of an account to be made.
pub(super) fn account_name(text: &str) -> Result<Name, Error> {
    let name = Name::new(text.trim()).map_err(|error| invalid("name", &error))?;
    if RESERVED.contains(&name.as_str()) {
        let why = format!("{name} stands for somebody else in the audit log; choose another name");
        return Err(Error::invalid("name", why));
    }
    Ok(name)
}

impl Accounts {
    /// Makes an account, and tells the password with which its owner signs in first, here and never again. Until they have
    /// chosen their own they only look.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field `name`; [`Error::Conflict`] when there is an account of that name;
    /// [`Error::Unproven`] and [`Error::NotAllowed`] as for every dangerous act.
    pub async fn create(&self, actor: &Actor, wanted: NewAccount) -> Result<(AccountView, String), Error> {
        const ACT: &str = "account.create";
        self.may_manage(actor, ACT)?;
        let name = account_name(&wanted.name)?;
        if self.index().account_named(name.as_str()).is_some() {
            return Err(taken(&name));
        }
        let password = made_password()?;
        let password_hash = self.0.hashing.hash(&Password::new(&password)).await?;
        let id = AccountId(random()?);
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            if index.account_named(name.as_str()).is_some() {
                return Err(taken(&name));
            }
            let account = Account {
                id,
                name,
                role: wanted.role,
                password_hash,
                password_changed_at: now,
                created_at: now,
                disabled_at: None,
                provisional: true,
            };
            let mut act = entry(&actor, now, ACT, format!("account/{}", account.name));
            act.detail = format!("role {}", account.role.word());
            let view = AccountView::from(&account);
            Ok(Change {
                edits: vec![Edit::PutAccount(account)],
                audit: Some(act),
                answer: view,
            })
        };
        Ok((self.change(decide).await?, password))
    }

    /// Does something to the account of somebody else.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when nothing would change, or nobody would be left who is an admin;
    /// [`Error::NotAllowed`] for one's own account; [`Error::Unproven`] as for every dangerous act.
    pub async fn manage(&self, actor: &Actor, name: &str, act: AccountAct) -> Result<AccountView, Error> {
        self.may_manage(actor, act.word())?;
        let account = self.other(actor, name, act.word())?;
        let actor = actor.clone();
        let decide = move |index: &Index, now| changed(index, &actor, account.id, act, now);
        let changed = self.change(decide).await?;
        if act == AccountAct::Unlock {
            self.throttles().accounts.forgive(&account.name.to_string());
        }
        Ok(changed)
    }

    /// Deletes the account of somebody else, with its sessions and API tokens. What it did stays in the audit log.
    ///
    /// # Errors
    /// As [`Accounts::manage`].
    pub async fn delete(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        const ACT: &str = "account.delete";
        self.may_manage(actor, ACT)?;
        let account = self.other(actor, name, ACT)?;
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let stored = index.account(account.id).ok_or(Error::Stale)?;
            keeps_an_admin(index, stored)?;
            let mut edits = index.all_sessions_of(stored.id);
            let ended = edits.len();
            edits.push(Edit::EndAccount(stored.id, stored.name.clone()));
            let mut act = entry(&actor, now, ACT, format!("account/{}", stored.name));
            act.detail = format!("role {}, {ended} sessions and tokens", stored.role.word());
            Ok(Change {
                edits,
                audit: Some(act),
                answer: (),
            })
        };
        self.change(decide).await
    }

    /// Takes the password of the actor's account once more: for a while it is proof enough for dangerous acts.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field `password`; [`Error::TooMany`] after too many wrong ones; [`Error::NotAllowed`]
    /// for whoever isn't signed in with a password.
    pub async fn prove(&self, actor: &Actor, password: &Password) -> Result<(), Error> {
        const ACT: &str = "session.prove";
        self.0.audit.permit(actor, Permission::OwnAccount, ACT)?;
        let session: SessionId =
            browser_session(actor).ok_or(Error::NotAllowed("sign in with a password to give it again"))?;
        let account = actor.account().and_then(|id| self.index().account(id).cloned());
        let account = account.ok_or(Error::Unauthenticated)?;
        self.attempt_at(account.name.as_str())?;
        let verified = self.verify(account.password_hash.clone(), password).await?;
        if verified.is_none() {
            self.0
                .audit
                .refused(&actor.name, actor.address, ACT, "wrong password");
            return Err(Error::invalid("password", "this is not your password"));
        }
        self.throttles().accounts.forgive(&account.name.to_string());
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let held = index.session(session).ok_or(Error::Unauthenticated)?;
            let mut session = held.session.clone();
            session.proven_at = Some(now);
            let act = entry(&actor, now, ACT, format!("account/{}", account.name));
            Ok(Change {
                edits: vec![Edit::PutSession(session)],
                audit: Some(act),
                answer: (),
            })
        };
        self.change(decide).await
    }

    /// Whether an account can be counted on to approve: it is there, enabled, and still may.
    #[must_use]
    pub fn may_approve(&self, account: AccountId) -> bool {
        let index = self.index();
        let account = index.account(account);
        account.is_some_and(|account| {
            account.disabled_at.is_none() && account.role_in_person().may(Permission::Approve)
        })
    }

    fn may_manage(&self, actor: &Actor, act: &'static str) -> Result<(), Error> {
        self.0.audit.permit(actor, Permission::ManageAccounts, act)?;
        self.0.audit.prove(actor, act)
    }

    /// The account of that name, when it isn't the actor's own.
    fn other(&self, actor: &Actor, name: &str, act: &'static str) -> Result<Account, Error> {
        let name = name.trim().to_lowercase();
        let account = self.index().account_named(&name).cloned();
        let account = account.ok_or_else(|| Error::not_found("account", &name))?;
        if actor.account() == Some(account.id) {
            self.0
                .audit
                .refused(&actor.name, actor.address, act, "their own account");
            return Err(Error::NotAllowed(
                "nobody does this to their own account; another admin does, or the command line on the server's host",
            ));
        }
        Ok(account)
    }
}

fn changed(
    index: &Index,
    actor: &Actor,
    id: AccountId,
    act: AccountAct,
    now: Timestamp,
) -> Result<Change<AccountView>, Error> {
    let stored = index.account(id).ok_or(Error::Stale)?;
    let mut account = stored.clone();
    let mut told = entry(actor, now, act.word(), format!("account/{}", stored.name));
    let mut edits = Vec::new();
    match act {
        AccountAct::SetRole { role } if role == stored.role => {
            return Err(Error::Conflict(format!("its role is {} already", role.word())));
        }
        AccountAct::SetRole { role } => {
            if role < Role::Admin {
                keeps_an_admin(index, stored)?;
            }
            account.role = role;
            told.detail = format!("{} to {}", stored.role.word(), role.word());
        }
        AccountAct::Disable if stored.disabled_at.is_some() => {
            return Err(Error::Conflict("it is disabled already".to_owned()));
        }
        AccountAct::Disable => {
            keeps_an_admin(index, stored)?;
            account.disabled_at = Some(now);
            edits = index.browser_sessions_but(id, None);
        }
        AccountAct::Enable if stored.disabled_at.is_none() => {
            return Err(Error::Conflict("it is not disabled".to_owned()));
        }
        AccountAct::Enable => account.disabled_at = None,
        AccountAct::Unlock => {}
        AccountAct::EndSessions => {
            edits = index.browser_sessions_but(id, None);
            told.detail = format!("{} sessions", edits.len());
        }
    }
    let answer = AccountView::from(&account);
    if account != *stored {
        edits.push(Edit::PutAccount(account));
    }
    Ok(Change {
        edits,
        audit: Some(told),
        answer,
    })
}

/// Refuses to take away the last account that can sign in and manage the others.
fn keeps_an_admin(index: &Index, account: &Account) -> Result<(), Error> {
    let is_admin = |account: &Account| account.role == Role::Admin && account.disabled_at.is_none();
    if !is_admin(account)
        || index
            .accounts()
            .any(|other| other.id != account.id && is_admin(other))
    {
        return Ok(());
    }
    Err(Error::Conflict(
        "it is the last admin: nobody could manage accounts any more; make another admin first".to_owned(),
    ))
}

fn taken(name: &Name) -> Error {
    Error::Conflict(format!("there is an account {:?} already", name.as_str()))
}
