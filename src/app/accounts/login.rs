//! Signing in and out, and who a secret stands for.

use std::net::IpAddr;

use super::{Accounts, Change, Edit, Index};
use crate::app::audit::entry;
use crate::app::error::Error;
use crate::app::randomness::random;
use crate::auth::account::Account;
use crate::auth::actor::{Actor, Via};
use crate::auth::password::{Password, PasswordHash, Verdict};
use crate::auth::secret::{Secret, SecretKind};
use crate::auth::session::{Session, SessionKind, Visitor};
use crate::fleet::hash::Digest;
use crate::fleet::ids::SessionId;
use crate::fleet::time::Timestamp;

/// A session that has just begun.
#[derive(Debug)]
pub struct SignedIn {
    /// The value for the cookie; kept nowhere else.
    pub secret: Secret,
    /// Who it stands for.
    pub actor: Actor,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// The most browser sessions of an account; a further one ends the one that was longest unused.
const BROWSER_SESSIONS: usize = 20;

impl Accounts {
    /// Signs in. `previous` is the session that the browser still has, if any: it ends, so that a secret that somebody
    /// planted or saw before is worth nothing after.
    ///
    /// Attempts count before the password is compared. An account that doesn't exist or is disabled costs and answers as a
    /// wrong password does.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`]; [`Error::TooMany`] after too many attempts at one account or from one address.
    pub async fn login(
        &self,
        name: &str,
        password: &Password,
        visitor: &Visitor,
        previous: Option<&Secret>,
    ) -> Result<SignedIn, Error> {
        let name: String = name.trim().chars().take(64).collect::<String>().to_lowercase();
        let found = self.index().account_named(&name).cloned();
        let who = found
            .as_ref()
            .map_or("unknown", |account| account.name.as_str())
            .to_owned();
        let refused = |reason| {
            let audit = &self.0.audit;
            audit.refused(&who, visitor.address, "session.login", reason);
        };
        if let Err(error) = self
            .attempt_from(visitor.address)
            .and_then(|()| self.attempt_at(&name))
        {
            refused("too many attempts");
            return Err(error);
        }
        let hash = found
            .as_ref()
            .map_or_else(|| self.0.hashing.decoy(), |account| account.password_hash.clone());
        let verified = self.verify(hash, password).await?;
        let (Some(account), Some(rehashed)) = (found, verified) else {
            refused("wrong name or password");
            return Err(Error::WrongCredentials);
        };
        if account.disabled_at.is_some() {
            refused("the account is disabled");
            return Err(Error::WrongCredentials);
        }
        self.throttles().accounts.forgive(&name);
        self.begin(account, rehashed, visitor.clone(), previous.map(Secret::digest))
            .await
    }

    /// Begins a session of `account`, whose password was right.
    async fn begin(
        &self,
        account: Account,
        rehashed: Option<PasswordHash>,
        visitor: Visitor,
        previous: Option<Digest>,
    ) -> Result<SignedIn, Error> {
        let id = SessionId(random()?);
        let secret = Secret::new(SecretKind::Session, random()?);
        let decide = move |index: &Index, now| {
            let present = index
                .account(account.id)
                .filter(|present| present.disabled_at.is_none());
            // While the password was compared somebody may have changed it.
            let present = present.filter(|present| present.password_hash == account.password_hash);
            let present = present.ok_or(Error::WrongCredentials)?;
            let (signed_in, session) = begin_session(present, id, secret, &visitor, now);
            let mut edits = outnumbered(index, present, now);
            edits.extend(
                previous
                    .and_then(|digest| index.session_of(&digest))
                    .map(Edit::EndSession),
            );
            edits.extend(rehashed.map(|password_hash| {
                Edit::PutAccount(Account {
                    password_hash,
                    ..present.clone()
                })
            }));
            edits.push(Edit::PutSession(session));
            let act = entry(
                &signed_in.actor,
                now,
                "session.login",
                format!("account/{}", present.name),
            );
            Ok(Change {
                edits,
                audit: Some(act),
                answer: signed_in,
            })
        };
        let signed_in = self.change(decide).await?;
        tracing::info!(account = %signed_in.actor.name, "signed in");
        Ok(signed_in)
    }

    /// Ends the session that the actor came with.
    ///
    /// # Errors
    /// When the store can't be written: then the session still holds.
    pub async fn logout(&self, actor: &Actor) -> Result<(), Error> {
        let Via::Session { session, .. } = actor.via else {
            return Ok(());
        };
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let Some(held) = index.session(session) else {
                return Ok(Change {
                    edits: Vec::new(),
                    audit: None,
                    answer: (),
                });
            };
            let act = entry(
                &actor,
                now,
                "session.logout",
                format!("session/{}", held.session.id),
            );
            Ok(Change {
                edits: vec![Edit::EndSession(session)],
                audit: Some(act),
                answer: (),
            })
        };
        self.change(decide).await
    }

    /// Who the secret of a browser session stands for; `None` when it stands for nobody (any more). Notes the use.
    #[must_use]
    pub fn actor_by_session(&self, secret: &Secret, address: Option<IpAddr>) -> Option<Actor> {
        self.actor(secret, SecretKind::Session, address)
    }

    /// Who the secret of a browser session stands for, without noting a use: what a page asks by itself keeps nobody signed
    /// in who went away.
    #[must_use]
    pub fn actor_behind_session(&self, secret: &Secret, address: Option<IpAddr>) -> Option<Actor> {
        if secret.kind() != SecretKind::Session {
            return None;
        }
        let index = self.index();
        let (account, session) = index.holds(secret, self.now())?;
        Some(actor_of(account, session, address))
    }

    /// Who an API token stands for; `None` when it stands for nobody (any more). Notes the use.
    #[must_use]
    pub fn actor_by_token(&self, secret: &Secret, address: Option<IpAddr>) -> Option<Actor> {
        self.actor(secret, SecretKind::Api, address)
    }

    fn actor(&self, secret: &Secret, kind: SecretKind, address: Option<IpAddr>) -> Option<Actor> {
        if secret.kind() != kind {
            return None;
        }
        let index = self.index();
        let (account, session) = index.uses(secret, self.now())?;
        Some(actor_of(account, session, address))
    }

    /// Compares a password. `None` when it is wrong; the hash to keep from now on when it is right and the parameters
    /// have changed.
    pub(super) async fn verify(
        &self,
        hash: PasswordHash,
        password: &Password,
    ) -> Result<Option<Option<PasswordHash>>, Error> {
        let password = password.clone();
        let salt = random()?;
        let compare = move || match hash.verify(&password) {
            Verdict::Wrong => Ok(None),
            Verdict::Right { needs_rehash: false } => Ok(Some(None)),
            Verdict::Right { needs_rehash: true } => {
                PasswordHash::new(&password, salt).map(|hash| Some(Some(hash)))
            }
        };
        self.0.hashing.run(compare).await?.map_err(Error::internal)
    }
}

/// A new browser session of `account`.
pub(super) fn begin_session(
    account: &Account,
    id: SessionId,
    secret: Secret,
    visitor: &Visitor,
    now: Timestamp,
) -> (SignedIn, Session) {
    let session = Session {
        id,
        account: account.id,
        secret_digest: secret.digest(),
        kind: SessionKind::Browser,
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(Session::LIFETIME),
        proven_at: None,
        address: visitor.address,
        user_agent: visitor.user_agent().to_owned(),
    };
    let actor = actor_of(account, &session, visitor.address);
    (
        SignedIn {
            secret,
            actor,
            expires_at: session.expires_at,
        },
        session,
    )
}

fn actor_of(account: &Account, session: &Session, address: Option<IpAddr>) -> Actor {
    let (name, via) = match &session.kind {
        SessionKind::Browser => (
            account.name.to_string(),
            Via::Session {
                account: account.id,
                session: session.id,
            },
        ),
        SessionKind::ApiToken { name, .. } => (
            format!("{} (token {name})", account.name),
            Via::Token {
                account: account.id,
                token: session.id,
            },
        ),
    };
    let (role, proven_at) = match &session.kind {
        SessionKind::Browser => (
            account.role_in_person(),
            session.proven_at.unwrap_or(session.created_at),
        ),
        SessionKind::ApiToken { .. } => (account.role, Timestamp::EPOCH),
    };
    Actor {
        name,
        via,
        role: session.role(role),
        address,
        proven_at,
    }
}

/// The sessions that make room for one more.
fn outnumbered(index: &Index, account: &Account, now: Timestamp) -> Vec<Edit> {
    let live = index
        .sessions_of(account.id, now)
        .into_iter()
        .map(|held| &held.session);
    let browsers = live.filter(|session| session.kind == SessionKind::Browser);
    browsers
        .skip(BROWSER_SESSIONS - 1)
        .map(|session| Edit::EndSession(session.id))
        .collect()
}
