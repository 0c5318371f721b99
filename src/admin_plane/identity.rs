//! Who makes a request: a session's cookie, an API token, or a user of this host on the local socket.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::AdminPlane;
use super::failure::Failure;
use super::routes::Rule;
use crate::app::error::Error;
use crate::auth::actor::{Actor, Denied, Via};
use crate::auth::permission::Role;
use crate::auth::secret::{Secret, SecretKind};
use crate::http::Peer;
use crate::http::headers::cookie;

/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "__Host-muster_session";

/// Who makes a request.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Nobody that we know.
    Nobody,
    /// A person in a browser, with the session's secret.
    Session(Actor, Secret),
    /// A script, with an API token.
    Token(Actor),
    /// A user of this host.
    Local(Actor),
}

impl AdminPlane {
    /// Who makes a request. A secret that doesn't hold makes nobody, whatever else the request carries. What a page asks
    /// by itself is no use of a session: an open tab alone keeps nobody signed in.
    pub(super) fn identify(&self, headers: &HeaderMap, peer: &Peer, by_itself: bool) -> Who {
        let address = peer.address.map(|address| address.ip());
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|text| text.split_once(' '));
            let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let secret = token.and_then(|(_, token)| Secret::parse(SecretKind::Api, token).ok());
            let actor = secret.and_then(|secret| self.app.accounts.actor_by_token(&secret, address));
            return actor.map_or(Who::Nobody, Who::Token);
        }
        if let Some(uid) = peer.uid {
            return self.operator(uid).map_or(Who::Nobody, Who::Local);
        }
        let secret =
            cookie(headers, SESSION_COOKIE).and_then(|text| Secret::parse(SecretKind::Session, text).ok());
        let known = secret.and_then(|secret| {
            let accounts = &self.app.accounts;
            let actor = if by_itself {
                accounts.actor_behind_session(&secret, address)
            } else {
                accounts.actor_by_session(&secret, address)
            };
            Some((actor?, secret))
        });
        known.map_or(Who::Nobody, |(actor, secret)| Who::Session(actor, secret))
    }

    /// The operator of this host: root, or the user that the server itself runs as, who both can do anything to its data.
    fn operator(&self, uid: u32) -> Option<Actor> {
        (uid == 0 || uid == self.own_uid).then(|| Actor {
            name: if uid == 0 {
                "root on this host".to_owned()
            } else {
                format!("uid {uid} on this host")
            },
            via: Via::LocalSocket { uid },
            role: Role::Admin,
            address: None,
            proven_at: crate::fleet::time::Timestamp::EPOCH,
        })
    }
}

impl Who {
    pub(super) fn actor(&self) -> Option<&Actor> {
        match self {
            Self::Nobody => None,
            Self::Session(actor, _) | Self::Token(actor) | Self::Local(actor) => Some(actor),
        }
    }

    pub(super) fn session_secret(&self) -> Option<Secret> {
        match self {
            Self::Session(_, secret) => Some(secret.clone()),
            Self::Nobody | Self::Token(_) | Self::Local(_) => None,
        }
    }

    /// The actor, if the rule lets them.
    pub(super) fn permitted(&self, rule: Rule) -> Result<Actor, Failure> {
        let actor = self.actor().ok_or_else(Failure::unauthenticated)?;
        match rule {
            Rule::Public | Rule::SignedIn => {}
            Rule::Needs(permission) => actor
                .may(permission)
                .map_err(|denied: Denied| Error::from(denied))?,
            Rule::Local if matches!(self, Self::Local(_)) => {}
            Rule::Local => {
                return Err(Error::NotAllowed(
                    "this is done on the server's own host, with the command line",
                )
                .into());
            }
        }
        Ok(actor.clone())
    }
}
