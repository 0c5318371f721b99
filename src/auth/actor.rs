//! Who acts.

use std::net::IpAddr;
use std::time::Duration;

use super::permission::{Permission, Role};
use crate::fleet::ids::{AccountId, SessionId};
use crate::fleet::time::Timestamp;

/// Somebody who was identified, with what is needed to permit and to record what they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name in the audit log.
    pub name: String,
    /// How they were identified.
    pub via: Via,
    /// What they may do.
    pub role: Role,
    /// Where they act from, if it is known.
    pub address: Option<IpAddr>,
    /// When whoever sits at the browser last gave the account's password; the epoch where nobody does.
    pub proven_at: Timestamp,
}

/// How an actor was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A session in a browser.
    Session {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
    /// An API token.
    Token {
        /// Whose.
        account: AccountId,
        /// Which.
        token: SessionId,
    },
    /// The operator of the host, over the local socket; the user id on that host.
    LocalSocket {
        /// The user id.
        uid: u32,
    },
    /// Muster itself: a background loop.
    Muster,
}

/// An actor without the permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this needs the role {}", .0.least_role().word())]
pub struct Denied(pub Permission);

/// Why an actor may not do now what takes a recent proof of who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// A script can't give one.
    #[error("an API token can't do this; do it signed in, or on the server's host with the command line")]
    Token,
    /// The last one is older than [`Actor::PROOF`].
    #[error("give your password once more to do this")]
    TooLongAgo,
}

impl Actor {
    /// How long a password that was given in a browser is proof enough for dangerous acts.
    pub const PROOF: Duration = Duration::from_mins(10);

    /// Whether the actor has shown lately who they are: what dangerous acts take besides the permission. The operator of
    /// the host can do anything to its data, so asking for more would keep nobody out.
    ///
    /// # Errors
    /// [`Unproven`] for scripts, and for sessions in which the password was given too long ago.
    pub fn proves(&self, now: Timestamp) -> Result<(), Unproven> {
        match self.via {
            Via::LocalSocket { .. } | Via::Muster => Ok(()),
            Via::Token { .. } => Err(Unproven::Token),
            Via::Session { .. } if now.since(self.proven_at) < Self::PROOF => Ok(()),
            Via::Session { .. } => Err(Unproven::TooLongAgo),
        }
    }

    /// Muster itself.
    #[must_use]
    pub fn muster() -> Self {
        Self {
            name: "muster".into(),
            via: Via::Muster,
            role: Role::Admin,
            address: None,
            proven_at: Timestamp::EPOCH,
        }
    }

    /// Whether the actor has the permission.
    ///
    /// # Errors
    /// [`Denied`] names what is missing.
    pub fn may(&self, permission: Permission) -> Result<(), Denied> {
        if self.role.may(permission) {
            Ok(())
        } else {
            Err(Denied(permission))
        }
    }

    /// The account that acts, if it is one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self.via {
            Via::Session { account, .. } | Via::Token { account, .. } => Some(account),
            Via::LocalSocket { .. } | Via::Muster => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_proof_for_ten_minutes_and_a_script_has_none() {
        let start = Timestamp::from_seconds(1_000);
        let via = |via| Actor {
            via,
            proven_at: start,
            ..Actor::muster()
        };
        let (account, session) = (AccountId([1; 16]), SessionId([2; 16]));
        let person = via(Via::Session { account, session });
        let minutes = |minutes| start.plus(Duration::from_mins(minutes));
        assert_eq!(person.proves(minutes(9)), Ok(()));
        assert_eq!(person.proves(minutes(10)), Err(Unproven::TooLongAgo));
        let token = session;
        assert_eq!(
            via(Via::Token { account, token }).proves(start),
            Err(Unproven::Token)
        );
        assert_eq!(via(Via::LocalSocket { uid: 0 }).proves(minutes(99)), Ok(()));
    }
}
