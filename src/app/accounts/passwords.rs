//! Changing passwords.

use super::sessions::browser_session;
use super::{Accounts, Change, Edit, Index, invalid};
use crate::app::audit::entry;
use crate::app::error::Error;
use crate::auth::account::Account;
use crate::auth::actor::{Actor, Via};
use crate::auth::password::{Password, PasswordHash};
use crate::auth::permission::Permission;
use crate::fleet::time::Timestamp;

impl Accounts {
    /// Changes the actor's own password. All other browser sessions of the account end; API tokens stay.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field `present_password` or `new_password`; [`Error::TooMany`] after too many wrong
    /// present passwords; [`Error::NotAllowed`] for whoever isn't signed in with a password.
    pub async fn change_password(
        &self,
        actor: &Actor,
        present: &Password,
        new: &Password,
    ) -> Result<(), Error> {
        const ACT: &str = "account.change_password";
        self.0.audit.permit(actor, Permission::OwnAccount, ACT)?;
        let session =
            browser_session(actor).ok_or(Error::NotAllowed("sign in with the password to change it"))?;
        let account = actor.account().and_then(|id| self.index().account(id).cloned());
        let account = account.ok_or(Error::Unauthenticated)?;
        new.check(&account.name)
            .map_err(|weakness| invalid("new_password", &weakness))?;
        self.attempt_at(account.name.as_str())?;
        if self
            .verify(account.password_hash.clone(), present)
            .await?
            .is_none()
        {
            self.0
                .audit
                .refused(&actor.name, actor.address, ACT, "wrong present password");
            return Err(Error::invalid(
                "present_password",
                "this is not your present password",
            ));
        }
        self.throttles().accounts.forgive(&account.name.to_string());
        let password_hash = self.0.hashing.hash(new).await?;
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let now_stored = index.account(account.id).filter(|stored| **stored == account);
            let stored = now_stored.ok_or(Error::Stale)?;
            index.session(session).ok_or(Error::Unauthenticated)?;
            let mut edits = index.browser_sessions_but(stored.id, Some(session));
            edits.push(with_password(stored, password_hash, false, now));
            let act = entry(&actor, now, ACT, format!("account/{}", stored.name));
            Ok(Change {
                edits,
                audit: Some(act),
                answer: (),
            })
        };
        self.change(decide).await
    }

    /// Sets the password of an account whose owner can't sign in any more, and ends its browser sessions; its API tokens
    /// stay. Until the owner has chosen another, they only look. Attempts that were counted against it are forgiven.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] names the field `new_password`; [`Error::Forbidden`] without
    /// [`Permission::ManageAccounts`]; [`Error::NotAllowed`] for an API token, which must not become a session that
    /// outlives it, and for one's own account, which takes the present password.
    pub async fn reset_password(&self, actor: &Actor, name: &str, new: &Password) -> Result<(), Error> {
        const ACT: &str = "account.reset_password";
        self.0.audit.permit(actor, Permission::ManageAccounts, ACT)?;
        let refuse = |reason, why| {
            self.0.audit.refused(&actor.name, actor.address, ACT, reason);
            Err(Error::NotAllowed(why))
        };
        if matches!(actor.via, Via::Token { .. }) {
            return refuse(
                "an API token",
                "an API token can't set a password; do it on the server's host, or signed in",
            );
        }
        self.0.audit.prove(actor, ACT)?;
        let name = name.trim().to_lowercase();
        let account = self.index().account_named(&name).cloned();
        let account = account.ok_or_else(|| Error::not_found("account", &name))?;
        if actor.account() == Some(account.id) {
            return refuse(
                "their own account",
                "change your own password with the present one, on the page of your account",
            );
        }
        new.check(&account.name)
            .map_err(|weakness| invalid("new_password", &weakness))?;
        let password_hash = self.0.hashing.hash(new).await?;
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let stored = index.account(account.id).ok_or(Error::Stale)?;
            let mut edits = index.browser_sessions_but(stored.id, browser_session(&actor));
            edits.push(with_password(stored, password_hash, true, now));
            let act = entry(&actor, now, ACT, format!("account/{}", stored.name));
            Ok(Change {
                edits,
                audit: Some(act),
                answer: (),
            })
        };
        self.change(decide).await?;
        self.throttles().accounts.forgive(&name);
        Ok(())
    }
}

fn with_password(account: &Account, password_hash: PasswordHash, provisional: bool, now: Timestamp) -> Edit {
    Edit::PutAccount(Account {
        password_hash,
        password_changed_at: now,
        provisional,
        ..account.clone()
    })
}
