//! API tokens: what scripts sign in with.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Accounts, Change, Edit, Index, invalid};
use crate::app::audit::entry;
use crate::app::error::Error;
use crate::app::randomness::random;
use crate::auth::actor::{Actor, Via};
use crate::auth::permission::{Permission, Role};
use crate::auth::secret::{Secret, SecretKind};
use crate::auth::session::{Session, SessionKind, SessionView};
use crate::fleet::ids::SessionId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// An API token to be made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What to call it; unique for the account.
    pub name: String,
    /// The most that it may do.
    pub role: Role,
    /// In how many days it stops working, 1 to 366.
    pub days: u32,
    /// Whose it is; only the operator of the host, who has no account, says so.
    #[serde(default)]
    pub account: Option<String>,
}

/// The most API tokens of an account.
const TOKENS: usize = 50;

impl Accounts {
    /// Makes an API token. The secret is returned here and never again.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field `name`, `role`, `days` or `account`; [`Error::Conflict`] when the account has a
    /// token of that name or too many; [`Error::NotAllowed`] for an API token: it can't outlive its own end.
    pub async fn create_token(
        &self,
        actor: &Actor,
        wanted: NewToken,
    ) -> Result<(Secret, SessionView), Error> {
        const ACT: &str = "token.create";
        self.0.audit.permit(actor, Permission::OwnAccount, ACT)?;
        if matches!(actor.via, Via::Token { .. }) {
            self.0
                .audit
                .refused(&actor.name, actor.address, ACT, "an API token");
            return Err(Error::NotAllowed(
                "an API token can't make another; sign in first",
            ));
        }
        self.0.audit.prove(actor, ACT)?;
        let NewToken {
            name,
            role,
            days,
            account,
        } = wanted;
        let name = Name::new(name.trim()).map_err(|error| invalid("name", &error))?;
        let lifetime = Duration::from_hours(u64::from(days) * 24);
        if days == 0 || lifetime > Session::TOKEN_LIFETIME {
            return Err(Error::invalid("days", "a token is valid for 1 to 366 days"));
        }
        let id = SessionId(random()?);
        let secret = Secret::new(SecretKind::Api, random()?);
        let actor = actor.clone();
        let decide = move |index: &Index, now: Timestamp| {
            let account = match (actor.account(), &account) {
                (Some(own), None) => index.account(own),
                (None, Some(named)) => index.account_named(named),
                (Some(own), Some(named)) => index
                    .account(own)
                    .filter(|own| own.name.as_str() == named.as_str()),
                (None, None) => None,
            };
            let account = account
                .ok_or_else(|| Error::invalid("account", "say whose token it is: an account's name"))?;
            if role > account.role.min(actor.role) {
                let why = format!(
                    "the account's own role is {}; a token can't do more",
                    account.role.word()
                );
                return Err(Error::invalid("role", why));
            }
            let live = index
                .sessions_of(account.id, now)
                .into_iter()
                .map(|held| &held.session.kind);
            let names: Vec<_> = live.filter_map(token_name).collect();
            if names.contains(&&name) {
                return Err(Error::Conflict(format!(
                    "there is a token {name:?}; revoke it or choose another name"
                )));
            }
            if names.len() >= TOKENS {
                return Err(Error::Conflict(format!(
                    "an account has at most {TOKENS} tokens; revoke one first"
                )));
            }
            let mut act = entry(&actor, now, ACT, format!("token/{name}"));
            act.detail = format!("role {}, {days} days, of {}", role.word(), account.name);
            let session = Session {
                id,
                account: account.id,
                secret_digest: secret.digest(),
                kind: SessionKind::ApiToken { name, role },
                created_at: now,
                last_used_at: now,
                expires_at: now.plus(lifetime),
                proven_at: None,
                address: actor.address,
                user_agent: String::new(),
            };
            let view = SessionView::new(&session, now, None);
            Ok(Change {
                edits: vec![Edit::PutSession(session)],
                audit: Some(act),
                answer: (secret, view),
            })
        };
        self.change(decide).await
    }

    /// The API tokens of the actor's account, the latest used first; none for who has no account.
    #[must_use]
    pub fn tokens(&self, actor: &Actor) -> Vec<SessionView> {
        self.views(actor, |kind| token_name(kind).is_some())
    }

    /// The API tokens of an account, the latest used first.
    ///
    /// # Errors
    /// When the actor may not manage accounts, or there is no such account.
    pub fn tokens_of(&self, actor: &Actor, account: &str) -> Result<Vec<SessionView>, Error> {
        self.views_of(actor, account, |kind| token_name(kind).is_some())
    }

    /// Revokes an API token of the actor's account by its name. See also [`Accounts::end_session`].
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn revoke_token(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        self.revoke_one_of(actor, &self.tokens(actor), name).await
    }

    /// Revokes an API token of an account by its name.
    ///
    /// # Errors
    /// When the actor may not manage accounts, or there is no such account or token.
    pub async fn revoke_token_of(&self, actor: &Actor, account: &str, name: &str) -> Result<(), Error> {
        self.revoke_one_of(actor, &self.tokens_of(actor, account)?, name)
            .await
    }

    async fn revoke_one_of(&self, actor: &Actor, tokens: &[SessionView], name: &str) -> Result<(), Error> {
        let named = |view: &&SessionView| token_name(&view.kind).is_some_and(|own| own.as_str() == name);
        let token = tokens
            .iter()
            .find(named)
            .ok_or_else(|| Error::not_found("token", name))?;
        self.end_session(actor, token.id).await
    }
}

fn token_name(kind: &SessionKind) -> Option<&Name> {
    match kind {
        SessionKind::Browser => None,
        SessionKind::ApiToken { name, .. } => Some(name),
    }
}
