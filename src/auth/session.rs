//! Sessions: what an account's secrets in browsers and scripts stand for.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::permission::Role;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AccountId, SessionId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// A session in a browser or an API token. Never served: see [`SessionView`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// The digest of the secret, which only the browser or script has.
    pub secret_digest: Digest,
    /// What kind of session.
    pub kind: SessionKind,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, as far as it was written down; written late.
    pub last_used_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When the account's password was last given in it; `None` when that was only as it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<Timestamp>,
    /// Where it began, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What the program called itself where it began; at most [`Visitor::AGENT_CHARACTERS`] characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
}

/// What kind of session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SessionKind {
    /// Of a person, in a browser.
    Browser,
    /// Of a script.
    ApiToken {
        /// What its owner calls it; unique for the account.
        name: Name,
        /// The most that it may do, however much its owner may.
        role: Role,
    },
}

impl Session {
    /// How long a browser session lasts.
    pub const LIFETIME: Duration = Duration::from_hours(7 * 24);
    /// After how long without use a browser session ends.
    pub const IDLE: Duration = Duration::from_hours(24);
    /// The longest life of an API token.
    pub const TOKEN_LIFETIME: Duration = Duration::from_hours(366 * 24);

    /// Whether it holds at `now`, when it was last used at `last_used_at`.
    #[must_use]
    pub fn is_live(&self, last_used_at: Timestamp, now: Timestamp) -> bool {
        let is_idle = self.kind == SessionKind::Browser && now.since(last_used_at) >= Self::IDLE;
        now < self.expires_at && !is_idle
    }

    /// What it may do when its owner has `role`.
    #[must_use]
    pub fn role(&self, role: Role) -> Role {
        match &self.kind {
            SessionKind::Browser => role,
            SessionKind::ApiToken { role: most, .. } => role.min(*most),
        }
    }
}

/// A session as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SessionView {
    /// Its identity.
    pub id: SessionId,
    /// What kind of session.
    #[serde(flatten)]
    pub kind: SessionKind,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// Where it began, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What the program called itself.
    pub user_agent: String,
    /// Whether it is the one that asked.
    pub is_current: bool,
}

impl SessionView {
    /// Shows `session`, last used at `last_used_at`, to somebody who came with the session `current`.
    #[must_use]
    pub fn new(session: &Session, last_used_at: Timestamp, current: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            kind: session.kind.clone(),
            created_at: session.created_at,
            last_used_at,
            expires_at: session.expires_at,
            address: session.address,
            user_agent: session.user_agent.clone(),
            is_current: current == Some(session.id),
        }
    }
}

/// Who is at the other end before they say who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visitor {
    /// Where they come from, if that is known.
    pub address: Option<IpAddr>,
    user_agent: String,
}

impl Visitor {
    /// The most characters that are kept of a program's name.
    pub const AGENT_CHARACTERS: usize = 160;

    /// A visitor with the `User-Agent` that they sent, shortened and without control characters.
    #[must_use]
    pub fn new(address: Option<IpAddr>, user_agent: &str) -> Self {
        let plain = user_agent.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self {
            address,
            user_agent: plain.take(Self::AGENT_CHARACTERS).collect(),
        }
    }

    /// What their program calls itself; empty when it says nothing.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000_000);

    fn session(kind: SessionKind, lifetime: Duration) -> Session {
        Session {
            id: SessionId([1; 16]),
            account: AccountId([2; 16]),
            secret_digest: Digest([3; 32]),
            kind,
            created_at: START,
            last_used_at: START,
            expires_at: START.plus(lifetime),
            proven_at: None,
            address: None,
            user_agent: String::new(),
        }
    }

    #[test]
    fn a_browser_session_ends_by_age_and_by_idleness_and_a_token_by_age_alone() {
        let browser = session(SessionKind::Browser, Session::LIFETIME);
        let hours = |hours| START.plus(Duration::from_hours(hours));
        assert!(browser.is_live(START, hours(23)));
        assert!(!browser.is_live(START, hours(24)));
        assert!(browser.is_live(hours(160), hours(167)));
        assert!(!browser.is_live(hours(167), hours(168)));
        assert!(browser.is_live(hours(5), START), "a clock set back ends nothing");

        let name = Name::new("ci").unwrap();
        let token = session(
            SessionKind::ApiToken {
                name,
                role: Role::Viewer,
            },
            Duration::from_hours(100),
        );
        assert!(token.is_live(START, hours(99)));
        assert!(!token.is_live(hours(99), hours(100)));
    }

    #[test]
    fn a_token_may_no_more_than_its_cap_and_no_more_than_its_owner() {
        let name = Name::new("ci").unwrap();
        let token = session(
            SessionKind::ApiToken {
                name,
                role: Role::Operator,
            },
            Session::LIFETIME,
        );
        assert_eq!(token.role(Role::Admin), Role::Operator);
        assert_eq!(token.role(Role::Viewer), Role::Viewer);
        assert_eq!(
            session(SessionKind::Browser, Session::LIFETIME).role(Role::Admin),
            Role::Admin
        );
    }

    #[test]
    fn what_a_program_calls_itself_is_short_and_on_one_line() {
        let visitor = Visitor::new(None, &format!("curl\n\u{1b}[31m{}", "é".repeat(500)));
        assert!(visitor.user_agent().starts_with("curl  [31m"));
        assert_eq!(visitor.user_agent().chars().count(), Visitor::AGENT_CHARACTERS);
    }
}
