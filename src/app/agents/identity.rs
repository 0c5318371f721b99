//! How an agent got in and stays in: its credentials, and where the exchange of one stands.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::app::error::Error;
use crate::app::identities::accepted;
use crate::app::live::Snapshot;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::identity::{Credential, CredentialState, Purpose};
use crate::fleet::ids::{AgentId, CredentialId};
use crate::fleet::time::Timestamp;

/// How an agent got in and stays in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentIdentity {
    /// Its credentials, without anything of their secrets: the main one first, then those that wait, those that are good
    /// for coming back, and those that are accepted no more.
    pub credentials: Vec<Credential>,
    /// The one that its present connection shows; `None` while it has none.
    pub in_use: Option<CredentialId>,
    /// Where the exchange of its credential stands.
    pub rotation: Rotation,
    /// Why it can't be given a new credential now, as a sentence; `None` when it can.
    pub cannot_rotate: Option<String>,
    /// How many agents the credential speaks for.
    pub shared_by: usize,
    /// The token that let it in, without the secret's digest; `None` when it came without, or the token is gone.
    pub token: Option<EnrolmentToken>,
}

/// Where the exchange of an agent's credential stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Rotation {
    /// It uses what it was enrolled with.
    Never,
    /// A new one waits until the agent can be told.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
    /// It was told and hasn't used the new one yet.
    Offered {
        /// When it was last told.
        at: Timestamp,
        /// How often.
        times: u32,
    },
    /// It could not use the new one, and goes on with the one that it had.
    Refused {
        /// Its reason.
        error: String,
        /// When it said so.
        at: Timestamp,
    },
    /// The new one was never used, and its time is over.
    Lapsed {
        /// Since when.
        at: Timestamp,
    },
    /// It came back with one that was replaced, and is given nothing until it uses the present one.
    Recovering,
    /// It uses the new one.
    Done {
        /// Since when.
        at: Timestamp,
    },
}

impl App {
    /// How an agent got in and stays in.
    ///
    /// # Errors
    /// When the actor may not, or there is no such agent.
    pub fn agent_identity(&self, actor: &Actor, id: AgentId) -> Result<AgentIdentity, Error> {
        actor.may(Permission::ViewFleet)?;
        let snapshot = self.snapshot_of(id)?;
        let registration = &snapshot.agent.registration;
        let first = registration.credential;
        let line = self.identities.line(first);
        let mut credentials: Vec<Credential> = line
            .iter()
            .map(|credential| Credential::clone(credential).without_secret())
            .collect();
        let now = self.clock.now();
        credentials
            .sort_by_key(|credential| (rank(credential, now), std::cmp::Reverse(credential.created_at)));
        let shared = self
            .live
            .ids(|entry| entry.agent.registration.credential == first);
        let token = registration.origin.token.and_then(|token| self.tokens.get(token));
        let using = self.live.with(id, |entry| {
            let online = entry.presence.is_online();
            entry
                .contact
                .using
                .as_ref()
                .filter(|_| online)
                .map(|using| using.credential)
        });
        let in_use = using.flatten();
        Ok(AgentIdentity {
            rotation: self.rotation(&snapshot, in_use, now),
            credentials,
            in_use,
            cannot_rotate: self.check_rotatable(id).err().map(|error| error.to_string()),
            shared_by: shared.len(),
            token: token.map(EnrolmentToken::without_secret),
        })
    }

    fn rotation(&self, snapshot: &Snapshot, in_use: Option<CredentialId>, now: Timestamp) -> Rotation {
        let agent = &snapshot.agent;
        let connection = agent.delivery.connection.as_deref();
        let offered = agent.registration.offered_credential;
        let offered = offered.and_then(|id| self.identities.credential(id));
        let since = offered.as_ref().map(|offered| offered.created_at);
        let refused = connection.and_then(|connection| connection.failures.last());
        if let Some(refused) = refused.filter(|refused| since.is_none_or(|since| refused.at > since)) {
            return Rotation::Refused {
                error: refused.error.clone(),
                at: refused.at,
            };
        }
        let Some(offered) = offered else {
            return Rotation::Never;
        };
        let used = in_use.and_then(|id| self.identities.credential(id));
        match offered.purpose {
            Purpose::Candidate { until } if now >= until => Rotation::Lapsed { at: until },
            Purpose::Candidate { .. } => connection
                .and_then(|connection| connection.offered)
                .filter(|told| told.credential == offered.id)
                .map_or(
                    Rotation::Waiting {
                        since: offered.created_at,
                    },
                    |told| Rotation::Offered {
                        at: told.at,
                        times: told.times,
                    },
                ),
            _ if used.is_some_and(|used| used.purpose.is_recovery()) => Rotation::Recovering,
            Purpose::Main | Purpose::Recovery { .. } => Rotation::Done {
                at: offered.first_used_at.unwrap_or(offered.created_at),
            },
        }
    }
}

fn rank(credential: &Credential, now: Timestamp) -> u8 {
    match (credential.state, credential.purpose) {
        (CredentialState::Revoked { .. }, _) => 4,
        _ if accepted(credential, now).is_err() => 3,
        (_, Purpose::Main) => 0,
        (_, Purpose::Candidate { .. }) => 1,
        (_, Purpose::Recovery { .. }) => 2,
    }
}
