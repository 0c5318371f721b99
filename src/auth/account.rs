//! Accounts, and the state of the first one: whether somebody has claimed this server.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::password::PasswordHash;
use super::permission::Role;
use super::secret::Secret;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AccountId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// Somebody who may sign in. Never served: it holds the password's hash; see [`AccountView`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its identity.
    pub id: AccountId,
    /// What its owner signs in with, and what the audit log says.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// When the password was last changed.
    pub password_changed_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it can't sign in; `None` while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Whether its password was set by somebody else: until its owner has chosen one, whoever signs in only looks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
}

impl Account {
    /// What whoever signs in with the password may do.
    #[must_use]
    pub fn role_in_person(&self) -> Role {
        if self.provisional { Role::Viewer } else { self.role }
    }
}

/// An account as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccountView {
    /// Its identity.
    pub id: AccountId,
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// When its password was last changed.
    pub password_changed_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it can't sign in; `None` while it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Whether its password was set by somebody else: until its owner has chosen one, whoever signs in only looks.
    pub provisional: bool,
    /// Until when attempts to sign in are refused after too many wrong ones; `None` while they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Timestamp>,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            name: account.name.clone(),
            role: account.role,
            password_changed_at: account.password_changed_at,
            created_at: account.created_at,
            disabled_at: account.disabled_at,
            provisional: account.provisional,
            locked_until: None,
        }
    }
}

/// Whether this server belongs to somebody. One record per store; once claimed it stays so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Setup {
    /// A token lets one person claim it.
    Open {
        /// The digest of the token.
        digest: Digest,
        /// When the token stops working.
        expires_at: Timestamp,
        /// How often another token was tried since it was made.
        wrong_tries: u32,
    },
    /// The first account was made.
    Claimed {
        /// When.
        at: Timestamp,
    },
}

/// Why a setup token claims nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupRefusal {
    /// There is an account.
    #[error("this server has been claimed; sign in")]
    Claimed,
    /// It is not the token, and the try counts.
    #[error("this is not the setup token of this server; the newest one counts")]
    Wrong,
    /// It was valid for [`Setup::LIFETIME`].
    #[error("the setup token has expired; `muster setup-token` on the server makes a new one")]
    Expired,
    /// After [`Setup::TRIES`] wrong tries not even the right one works.
    #[error("too many wrong setup tokens; `muster setup-token` on the server makes a new one")]
    TooManyTries,
}

impl Setup {
    /// How long a setup token is valid.
    pub const LIFETIME: Duration = Duration::from_hours(1);
    /// How many wrong tries a setup token survives.
    pub const TRIES: u32 = 5;

    /// Lets whoever has `token` claim the server from `now` on.
    #[must_use]
    pub fn open(token: &Secret, now: Timestamp) -> Self {
        Self::Open {
            digest: token.digest(),
            expires_at: now.plus(Self::LIFETIME),
            wrong_tries: 0,
        }
    }

    /// Whether `token` may claim the server at `now`.
    ///
    /// # Errors
    /// The [`SetupRefusal`] that applies; a wrong token is called wrong only while the right one would work.
    pub fn accepts(&self, token: &Secret, now: Timestamp) -> Result<(), SetupRefusal> {
        match self {
            Self::Claimed { .. } => Err(SetupRefusal::Claimed),
            Self::Open { wrong_tries, .. } if *wrong_tries >= Self::TRIES => Err(SetupRefusal::TooManyTries),
            Self::Open { expires_at, .. } if now >= *expires_at => Err(SetupRefusal::Expired),
            Self::Open { digest, .. } if !token.matches(digest) => Err(SetupRefusal::Wrong),
            Self::Open { .. } => Ok(()),
        }
    }

    /// With one more wrong try.
    #[must_use]
    pub fn after_wrong_try(&self) -> Self {
        match *self {
            Self::Open {
                digest,
                expires_at,
                wrong_tries,
            } => Self::Open {
                digest,
                expires_at,
                wrong_tries: wrong_tries.saturating_add(1),
            },
            Self::Claimed { at } => Self::Claimed { at },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::SecretKind;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn token(byte: u8) -> Secret {
        Secret::new(SecretKind::Setup, [byte; 20])
    }

    #[test]
    fn a_setup_token_is_valid_for_an_hour() {
        let setup = Setup::open(&token(1), START);
        let end = START.plus(Duration::from_hours(1));
        assert_eq!(
            setup.accepts(&token(1), end.minus(Duration::from_secs(1))),
            Ok(())
        );
        assert_eq!(setup.accepts(&token(1), end), Err(SetupRefusal::Expired));
        assert_eq!(setup.accepts(&token(2), end), Err(SetupRefusal::Expired));
    }

    #[test]
    fn after_five_wrong_tries_the_right_token_is_refused_too() {
        let mut setup = Setup::open(&token(1), START);
        for _ in 0..5 {
            assert_eq!(setup.accepts(&token(1), START), Ok(()));
            assert_eq!(setup.accepts(&token(2), START), Err(SetupRefusal::Wrong));
            setup = setup.after_wrong_try();
        }
        assert_eq!(setup.accepts(&token(1), START), Err(SetupRefusal::TooManyTries));
    }

    #[test]
    fn a_claimed_server_can_not_be_claimed_again() {
        let setup = Setup::Claimed { at: START };
        assert_eq!(setup.accepts(&token(1), START), Err(SetupRefusal::Claimed));
        assert_eq!(setup.after_wrong_try(), setup);
    }
}
