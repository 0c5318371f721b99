//! Letting agents in: what a token is exchanged for, and the credentials that come of it.

mod decide;
mod rewrite;
mod tokens;

pub use decide::{Lookalike, Waiting};
pub use rewrite::Rewritten;
pub use tokens::{MadeEnrolmentToken, NewEnrolmentToken, check_labels};

use std::net::IpAddr;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::agents::{AT_ONCE, given_name};
use super::audit_entry;
use super::changes::Topic;
use super::connections::CloseReason;
use super::error::Error;
use super::identities::accepted;
use super::live::Entry;
use super::new_agent_id;
use super::randomness::random;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::auth::secret::{Secret, SecretKind};
use crate::fleet::agent::{Agent, Happening, Origin, Registration, Standing};
use crate::fleet::enrolment::{EnrolmentToken, Grants};
use crate::fleet::identity::{Credential, CredentialState, Purpose, Scope};
use crate::fleet::ids::{AgentId, CredentialId, InstanceUid};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// What a host says when it enrols.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Enrol {
    /// The host's name, to be recognised by.
    pub host: String,
    /// What people are to call the agent, whatever it says of itself; as it does when left out. Agents of a pool are called
    /// what they report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of the machine, to be recognised by, such as that of its `/etc/machine-id`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_id: String,
    /// The system, for the operator who approves it, such as `Linux 6.8.0 x86_64`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// The uid that the agent will use, if it has one already.
    pub instance_uid: Option<InstanceUid>,
    /// The collector configuration that the host runs now: it becomes revision 1 of a config named after the host, and
    /// the first thing that the agent receives.
    pub running_config: Option<String>,
}

/// What a host gets for its token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// The agent's record; `None` for a gateway or pool, whose agents come as they speak.
    pub agent_id: Option<AgentId>,
    /// The credential's id, which is not secret.
    pub credential_id: CredentialId,
    /// The credential: sent as a bearer token with every request. Shown once.
    pub credential: String,
    /// Whether an operator has to look at it first: a living agent already has this uid or host name.
    pub conflict: bool,
    /// Whether an operator has to approve it first: its token wants that.
    pub pending: bool,
    /// The config that the host's running configuration became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted_as: Option<Name>,
}

impl App {
    /// Whether an enrolment token lets somebody in from `address` now. Nothing is used up.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for every token that lets nobody in; the log says why.
    pub fn check_enrolment(&self, secret: &str, address: Option<IpAddr>) -> Result<(), Error> {
        let secret = Secret::parse(SecretKind::Enrolment, secret).map_err(|_| Error::Unauthenticated)?;
        let token = self
            .tokens
            .find(&secret.digest())
            .and_then(|id| self.tokens.get(id));
        let token = token.ok_or(Error::Unauthenticated)?;
        token.accepts(address, self.clock.now()).map_err(|refusal| {
            tracing::warn!(enrolment_token_id = %token.id, reason = %refusal, "an enrolment was refused");
            Error::Unauthenticated
        })
    }

    /// Exchanges an enrolment token for a credential, and for one agent's record. The use is counted in the transaction
    /// in which the record appears.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for every token that lets nobody in; the log says why.
    pub async fn enrol(&self, secret: &str, wish: Enrol, address: Option<IpAddr>) -> Result<Enrolled, Error> {
        let secret = Secret::parse(SecretKind::Enrolment, secret).map_err(|_| Error::Unauthenticated)?;
        let id = self.tokens.find(&secret.digest()).ok_or(Error::Unauthenticated)?;
        if let Some(config) = &wish.running_config {
            self.intentions.check_adoptable(config)?;
        }
        let _using = self.enrolments.lock(id).await;
        let token = self.tokens.get(id).ok_or(Error::Unauthenticated)?;
        let now = self.clock.now();
        if let Err(refusal) = token.accepts(address, now) {
            tracing::warn!(enrolment_token_id = %id, reason = %refusal, "an enrolment was refused");
            return Err(Error::Unauthenticated);
        }
        given_name(wish.name.as_deref().unwrap_or_default())?;
        if matches!(token.grants, Grants::Many { .. }) && wish.running_config.is_some() {
            // Before the use is counted: the same token does for the second try.
            return Err(Error::invalid(
                "running_config",
                "a token for many keeps no configuration of a host: enrol with a token for one agent, or leave the \
                 configuration out (the join script's --no-adopt)",
            ));
        }
        let token = EnrolmentToken {
            uses: token.uses + 1,
            ..token
        };
        let enrolled = self.admit_newcomer(&token, wish, address, now).await?;
        self.tokens.put(token);
        self.changes.announce(Topic::Enrolment);
        Ok(enrolled)
    }

    async fn admit_newcomer(
        &self,
        token: &EnrolmentToken,
        wish: Enrol,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Enrolled, Error> {
        let secret = Secret::new(SecretKind::Agent, random()?);
        let host = word(&wish.host, 253);
        let address = address
            .map(|address| address.to_canonical().to_string())
            .unwrap_or_default();
        let credential_id = CredentialId(random()?);
        let origin = Origin {
            at: now,
            host: host.clone(),
            host_id: word(&wish.host_id, 128),
            system: word(&wish.system, 128),
            address: address.clone(),
            token: Some(token.id),
        };
        let mut agent = Registration::new(new_agent_id(now)?, credential_id, origin);
        let scope = match token.grants {
            Grants::One => Scope::One { agent: agent.id },
            Grants::Many { maximum } => Scope::Many {
                maximum,
                labels: token.labels.clone(),
                group: token.group.clone(),
                name: host.clone(),
                networks: token.networks.clone(),
                by_hand: token.by_hand,
            },
        };
        agent.name = given_name(wish.name.as_deref().unwrap_or_default())?;
        agent.labels.clone_from(&token.labels);
        agent.token_group.clone_from(&token.group);
        let twin = self.living_twin(&host, wish.instance_uid);
        if let Some(with) = twin {
            agent.standing = Standing::Conflict { with };
        } else if token.by_hand {
            agent.standing = Standing::Pending;
        }
        let pending = agent.standing == Standing::Pending;
        let credential = Credential {
            id: credential_id,
            secret_digest: Some(secret.digest()),
            scope,
            state: CredentialState::Active,
            purpose: Purpose::Main,
            line: None,
            salt: None,
            created_at: now,
            first_used_at: None,
            token: Some(token.id),
        };
        let mut adopted_as = None;
        if let (Grants::One, Some(yaml)) = (token.grants, &wish.running_config) {
            let (name, target) = self.intentions.adopt_running(agent.id, &host, yaml).await?;
            agent.own_target = Some(target);
            adopted_as = Some(name);
        }
        let mut newcomer_agent = Agent::new(agent);
        self.place(&mut newcomer_agent);
        let mut batch = Batch::new();
        batch.put(&token.id, token);
        batch.put(&credential_id, &credential);
        if token.grants == Grants::One {
            batch.put(&newcomer_agent.id(), &newcomer_agent.registration);
        }
        batch.audit(AuditEntry {
            at: now,
            actor: format!("enrolment-token/{}", token.id),
            action: "agent.enrol".into(),
            object: match token.grants {
                Grants::One => format!("agent/{}", newcomer_agent.id()),
                Grants::Many { .. } => format!("credential/{credential_id}"),
            },
            address: (!address.is_empty()).then_some(address),
            detail: host,
            ..AuditEntry::default()
        });
        self.store.commit(batch).await?;
        self.identities.put_credential(credential);
        let mut agent_id = None;
        if token.grants == Grants::One {
            let id = newcomer_agent.id();
            agent_id = Some(id);
            self.identities.add(&newcomer_agent.registration);
            self.live.insert(Entry::new(newcomer_agent));
            self.happen(id, Happening::Enrolled, now);
            self.announce_agent(id);
        }
        Ok(Enrolled {
            agent_id,
            credential_id,
            credential: secret.expose().to_owned(),
            conflict: twin.is_some() && agent_id.is_some(),
            pending: pending && agent_id.is_some(),
            adopted_as,
        })
    }

    /// An agent that may be there now and goes by this uid or host name.
    fn living_twin(&self, host: &str, uid: Option<InstanceUid>) -> Option<AgentId> {
        let twins = self.live.ids(|entry| {
            let registration = &entry.agent.registration;
            let same_uid = uid.is_some() && registration.uid == uid;
            let known_as = [
                registration.origin.host.as_str(),
                entry.agent.reported.host_name.as_str(),
            ];
            let same_host = !host.is_empty() && known_as.contains(&host);
            (registration.is_served() || registration.waits())
                && (same_uid || same_host && entry.presence.may_be_there())
        });
        twins.into_iter().min()
    }

    /// Revokes a credential: its connections are closed, and it is never accepted again. With the main credential of an
    /// agent go all others of that agent; one that waits or is good for coming back goes alone.
    ///
    /// # Errors
    /// When the actor may not, or there is none.
    pub async fn revoke_credential(&self, actor: &Actor, id: CredentialId) -> Result<(), Error> {
        actor.may(Permission::RevokeAgents)?;
        let credential = self
            .identities
            .credential(id)
            .ok_or_else(|| Error::not_found("credential", &id))?;
        if credential.purpose.is_main() {
            return self.revoke_line(actor, credential.first()).await;
        }
        let state = CredentialState::Revoked { at: self.clock.now() };
        self.set_credential_states(actor, credential.first(), Some(id), state, "credential.revoke")
            .await?;
        self.close_links_of(id);
        Ok(())
    }

    /// Revokes all credentials of the agent whose first is `first`, or that of a gateway or pool.
    pub(super) async fn revoke_line(&self, actor: &Actor, first: CredentialId) -> Result<(), Error> {
        actor.may(Permission::RevokeAgents)?;
        let now = self.clock.now();
        let state = CredentialState::Revoked { at: now };
        self.set_credential_states(actor, first, None, state, "credential.revoke")
            .await?;
        for credential in self.identities.line(first) {
            self.close_links_of(credential.id);
        }
        // Who was put away or revoked before stays so; coming back from the archive looks at the credential.
        let agents = self.live.ids(|entry| {
            let registration = &entry.agent.registration;
            let standing = registration.standing;
            registration.credential == first
                && matches!(
                    standing,
                    Standing::Active | Standing::Pending | Standing::Conflict { .. }
                )
        });
        let mut agents: Vec<AgentId> = agents.into_iter().collect();
        agents.sort_unstable();
        let marks = stream::iter(agents)
            .map(|agent| self.mark_revoked(actor, agent, now))
            .buffer_unordered(AT_ONCE);
        marks.try_collect().await
    }

    async fn mark_revoked(&self, actor: &Actor, agent: AgentId, now: Timestamp) -> Result<(), Error> {
        let entry = audit_entry(actor, "agent.revoke", format!("agent/{agent}"), now);
        self.edit_registration(agent, entry, |registration| {
            registration.standing = Standing::Revoked { at: now };
            Ok(())
        })
        .await?;
        self.say_goodbye(agent, None, "its credential was revoked", now);
        Ok(())
    }

    /// Accepts a quarantined credential again.
    ///
    /// # Errors
    /// When the actor may not, there is none, or it isn't quarantined.
    pub async fn release_credential(&self, actor: &Actor, id: CredentialId) -> Result<(), Error> {
        actor.may(Permission::RevokeAgents)?;
        let credential = self
            .identities
            .credential(id)
            .ok_or_else(|| Error::not_found("credential", &id))?;
        if !matches!(credential.state, CredentialState::Quarantined { .. }) {
            return Err(Error::Conflict(
                "only a quarantined credential can be released".into(),
            ));
        }
        let active = CredentialState::Active;
        self.set_credential_states(actor, credential.first(), Some(id), active, "credential.release")
            .await?;
        self.identities.forgive(credential.first());
        Ok(())
    }

    /// All credentials, newest first.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn credentials(&self, actor: &Actor) -> Result<Vec<Credential>, Error> {
        actor.may(Permission::EnrolAgents)?;
        let mut credentials: Vec<Credential> = self
            .identities
            .credentials()
            .iter()
            .map(|credential| Credential::clone(credential).without_secret())
            .collect();
        credentials.sort_by_key(|credential| std::cmp::Reverse((credential.created_at, credential.id)));
        Ok(credentials)
    }

    /// Sets the state of `only`, or of all credentials of the agent whose first is `first` that aren't revoked yet.
    async fn set_credential_states(
        &self,
        actor: &Actor,
        first: CredentialId,
        only: Option<CredentialId>,
        state: CredentialState,
        action: &str,
    ) -> Result<(), Error> {
        // An admission under way writes credentials too: it must not make a revoked one valid again.
        let _admitting = self.admissions.lock(first.0).await;
        let line = self.identities.line(first);
        let open = |known: &Credential| !matches!(known.state, CredentialState::Revoked { .. });
        let chosen = line
            .iter()
            .filter(|known| only.map_or_else(|| open(known), |id| id == known.id));
        let changed: Vec<Credential> = chosen
            .map(|known| Credential {
                state,
                ..(**known).clone()
            })
            .collect();
        if line.is_empty() {
            return Err(Error::not_found("credential", &first));
        }
        let now = self.clock.now();
        let mut batch = Batch::new();
        batch.vital();
        for credential in &changed {
            batch.put(&credential.id, credential);
            batch.audit(audit_entry(
                actor,
                action,
                format!("credential/{}", credential.id),
                now,
            ));
        }
        self.store.commit(batch).await?;
        for credential in changed {
            self.identities.put_credential(credential);
        }
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }

    /// Has all connections of a credential closed.
    pub(super) fn close_links_of(&self, credential: CredentialId) {
        self.close_links(credential, CloseReason::Revoked);
    }

    fn close_links(&self, credential: CredentialId, reason: CloseReason) {
        for link in self.connections.all() {
            if link.credential == credential {
                link.close(reason);
            }
        }
    }

    /// Since when the agent whose first credential is `first` is shut out: all of its line were revoked. `None` = it
    /// isn't.
    pub(super) fn revoked_since(&self, first: CredentialId) -> Option<Timestamp> {
        let line = self.identities.line(first).into_iter();
        let revoked = line.map(|credential| match credential.state {
            CredentialState::Revoked { at } => Some(at),
            CredentialState::Active | CredentialState::Quarantined { .. } => None,
        });
        let revoked: Option<Vec<Timestamp>> = revoked.collect();
        revoked?.into_iter().max()
    }

    /// Whether a credential is accepted now.
    #[must_use]
    pub fn is_accepted(&self, id: CredentialId) -> bool {
        self.identities
            .credential(id)
            .is_some_and(|credential| accepted(&credential, self.clock.now()).is_ok())
    }
}

/// What a host says of itself, without anything that would break a line, and not endless.
fn word(text: &str, most: usize) -> String {
    let text = text.trim().chars().filter(|c| !c.is_control());
    text.take(most).collect()
}
