//! Who acts.

use std::net::IpAddr;

use super::permission::{Permission, Role};
use crate::fleet::ids::{AccountId, SessionId};

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

impl Actor {
    /// Muster itself.
    #[must_use]
    pub fn muster() -> Self {
        Self {
            name: "muster".into(),
            via: Via::Muster,
            role: Role::Admin,
            address: None,
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
