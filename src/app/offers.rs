//! Connection offers: exchanging an agent's credential by hand, without ever leaving an agent outside.
//!
//! A rotation makes a candidate and offers it to the agent. Until the candidate is used both are accepted; its first use
//! makes the one before a recovery credential, with which an agent that forgot what it was offered comes back and is
//! offered the present one again. The secret of a candidate is derived from a key in the data folder and a salt in the
//! store, so that it can be offered at any time, also after a restart of ours in between, and is kept nowhere.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::admission::Admitted;
use super::audit_entry;
use super::changes::Topic;
use super::error::Error;
use super::exchange::unavailable;
use super::identities::{Speaker, accepted, holder};
use super::join::Joining;
use super::live::Entry;
use super::randomness::random;
use crate::auth::actor::Actor;
use crate::auth::secret::{Secret, SecretKind};
use crate::fleet::agent::{Happening, RefusalKind, Refused, Registration, Using};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::connection_offer::{ConnectionOffer, ConnectionSettings};
use crate::fleet::hash::Digest;
use crate::fleet::identity::{Credential, CredentialState, Purpose, ROTATED_FOR};
use crate::fleet::ids::{AgentId, CredentialId};
use crate::fleet::time::Timestamp;
use crate::pki::Names;
use crate::store::{AuditEntry, Batch};

/// What connection offers say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The authority of the agent plane's certificate, PEM. Without one nothing is offered: agents would stop verifying.
    pub ca_pem: String,
    /// The names in that certificate: an agent that verifies it must have found us under one of them.
    pub names: Names,
    /// How often agents are to send a heartbeat, and to poll.
    pub heartbeat: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ca_pem: String::new(),
            names: Names::default(),
            heartbeat: Duration::from_secs(30),
        }
    }
}

/// How many candidates of one agent may wait for their first use.
const CANDIDATES: usize = 4;

impl App {
    /// Makes a new credential for an agent and has it offered. The present one stays accepted.
    pub(super) async fn rotate(&self, actor: &Actor, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        self.check_rotatable(id)?;
        let first = self.snapshot_of(id)?.agent.registration.credential;
        let _admitting = self.admissions.lock(first.0).await;
        let now = self.clock.now();
        let line = self.identities.line(first);
        let waiting = line.iter().filter(|credential| {
            matches!(credential.purpose, Purpose::Candidate { .. }) && accepted(credential, now).is_ok()
        });
        if waiting.count() >= CANDIDATES {
            let why =
                format!("{CANDIDATES} credentials wait for the agent already; revoke some of them first");
            return Err(Error::Conflict(why));
        }
        let candidate = self.new_candidate(&line, id, now)?;
        let entry = AuditEntry {
            detail: format!("credential/{} is to replace the present one", candidate.id),
            ..entry
        };
        let mut batch = Batch::new();
        batch.put(&candidate.id, &candidate);
        self.edit_registration_with(id, batch, entry, |registration| {
            registration.offered_credential = Some(candidate.id);
            Ok(())
        })
        .await?;
        tracing::info!(agent_id = %id, credential = %candidate.id, by = %actor.name, "a credential is being replaced");
        self.identities.put_credential(candidate);
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }

    /// Whether the agent can be offered a credential; why not, in words for its operator.
    pub(super) fn check_rotatable(&self, id: AgentId) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::Conflict(why.to_owned()));
        let snapshot = self.snapshot_of(id)?;
        let agent = &snapshot.agent;
        if !agent.registration.is_served() {
            return refuse("the agent is not served");
        }
        let first = self.identities.credential(agent.registration.credential);
        if first.and_then(|first| holder(&first.scope)) != Some(id) {
            return refuse("its credential speaks for other agents too; enrol it again with one of its own");
        }
        let takes = Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS;
        if !agent.reported.capabilities.has(takes) {
            return refuse(
                "the agent doesn't accept connection settings (for a Supervisor: accepts_opamp_connection_settings); \
                 enrol its host again instead",
            );
        }
        if self.settings.connection.ca_pem.is_empty() {
            return refuse("this server has no authority that agents could be told to trust");
        }
        let using = self.live.with(id, |entry| entry.contact.using.clone()).flatten();
        if using.is_some_and(|using| self.endpoint(&using).is_none()) {
            return refuse(
                "the agent found this server under a name that is not in the server's certificate; add it to the \
                 setting \"names\", or the agent could not come back",
            );
        }
        Ok(())
    }

    fn new_candidate(
        &self,
        line: &[Arc<Credential>],
        agent: AgentId,
        now: Timestamp,
    ) -> Result<Credential, Error> {
        let gone = || Error::Conflict("the agent's credential is gone; enrol its host again".into());
        let first = line
            .iter()
            .find(|credential| credential.line.is_none())
            .ok_or_else(gone)?;
        let [low, high]: [[u8; 16]; 2] = [random()?, random()?];
        let mut salt = [0; 32];
        for (to, from) in salt.iter_mut().zip(low.into_iter().chain(high)) {
            *to = from;
        }
        let (id, salt) = (CredentialId(random()?), Digest(salt));
        let secret = Secret::derived(SecretKind::Agent, &self.key, &id.0, &salt);
        let secret = secret.ok_or_else(|| Error::Conflict("no secret could be made".into()))?;
        Ok(Credential {
            id,
            secret_digest: Some(secret.digest()),
            scope: crate::fleet::identity::Scope::One { agent },
            state: CredentialState::Active,
            purpose: Purpose::Candidate {
                until: now.plus(ROTATED_FOR),
            },
            line: Some(first.id),
            salt: Some(salt),
            created_at: now,
            first_used_at: None,
            token: first.token,
        })
    }

    /// The settings that an agent's connection should have; `None` when those that it shows are right, or nothing can be
    /// offered over its present link.
    pub(super) fn wanted_connection(&self, entry: &Entry, now: Timestamp) -> Option<Arc<ConnectionOffer>> {
        let registration = &entry.agent.registration;
        let using = entry.contact.using.as_ref()?;
        if registration.offered_credential? == using.credential {
            return None;
        }
        let (credential, secret) = self.offerable(registration, now)?;
        if credential == using.credential {
            return None;
        }
        let Settings {
            ca_pem, heartbeat, ..
        } = &self.settings.connection;
        let authority = self.endpoint(using).filter(|_| !ca_pem.is_empty())?;
        let transport = entry.contact.transport;
        let settings =
            ConnectionSettings::with_token(&authority, transport, secret.expose(), ca_pem, *heartbeat);
        Some(Arc::new(ConnectionOffer::new(credential, settings)))
    }

    /// What an agent can be offered: the credential that was last made for it, or when that one can't be had any more, the
    /// main one.
    fn offerable(&self, registration: &Registration, now: Timestamp) -> Option<(CredentialId, Secret)> {
        let having = |credential: &Credential| {
            accepted(credential, now).ok()?;
            Some((credential.id, self.secret_of(credential)?))
        };
        let wanted = self.identities.credential(registration.offered_credential?)?;
        having(&wanted).or_else(|| {
            let line = self.identities.line(registration.credential);
            having(line.iter().find(|known| known.purpose.is_main())?)
        })
    }

    /// Sees to it that an agent which came back with a replaced credential can be offered another: one that can't be had
    /// any more, since the key in the data folder was replaced, must not leave the agent without.
    async fn see_to_recovery(&self, id: AgentId) {
        let now = self.clock.now();
        let Some(snapshot) = self.live.get(id) else { return };
        let registration = &snapshot.agent.registration;
        // One that failed here would most likely fail again.
        let connection = snapshot.agent.delivery.connection.as_ref();
        let failed = connection.is_some_and(|known| !known.failures.is_empty());
        if failed || !registration.is_served() || self.offerable(registration, now).is_some() {
            return;
        }
        let muster = Actor::muster();
        let entry = audit_entry(&muster, "agent.rotate", format!("agent/{id}"), now);
        if let Err(error) = self.rotate(&muster, id, entry).await {
            tracing::debug!(agent_id = %id, error = %error, "an agent that came back can't be given a credential");
        }
    }

    /// The secret of a credential that came by an offer; `None` when it can't be had any more: the key in the data folder
    /// is another one.
    fn secret_of(&self, credential: &Credential) -> Option<Secret> {
        let salt = credential.salt.as_ref()?;
        let secret = Secret::derived(SecretKind::Agent, &self.key, &credential.id.0, salt)?;
        let digest = credential.secret_digest?;
        let right = secret.matches(&digest);
        if !right {
            tracing::error!(credential = %credential.id, "a credential can't be offered: the server's key was replaced");
        }
        right.then_some(secret)
    }

    /// Host and port that an agent can go on to connect to: those that it used, if our certificate names the host. An
    /// unreachable or unverifiable one would leave it outside (S-214).
    fn endpoint(&self, using: &Using) -> Option<Arc<str>> {
        let authority = using.authority.as_ref()?;
        let (host, _) = authority.rsplit_once(':')?;
        self.settings
            .connection
            .names
            .cover(host)
            .then(|| Arc::clone(authority))
    }

    /// Follows the credential that a message came with: the first use of a candidate makes it the main one, durably
    /// before the message is heard. What the link shows from then on.
    pub(super) async fn take_up(&self, admitted: Admitted, speaker: &Speaker) -> Result<Using, Refused> {
        let id = speaker.credential.id;
        let using = |recovery| Using {
            credential: id,
            recovery,
            authority: speaker.authority.clone(),
        };
        let purpose = self.identities.credential(id).map(|known| known.purpose);
        if !matches!(purpose, Some(Purpose::Candidate { .. }))
            || holder(&speaker.credential.scope) != Some(admitted.agent)
        {
            let recovery = purpose.is_some_and(|purpose| purpose.is_recovery());
            if recovery {
                self.see_to_recovery(admitted.agent).await;
            }
            return Ok(using(recovery));
        }
        let first = speaker.credential.first();
        let _admitting = self.admissions.lock(first.0).await;
        let now = self.clock.now();
        let present = self.still_accepted(speaker).map_err(|_| Refused {
            kind: RefusalKind::BadRequest,
            message: "the credential is not accepted any more".into(),
            retry_after: None,
        })?;
        let changed: Vec<Credential> = self
            .identities
            .line(first)
            .into_iter()
            .filter_map(|known| {
                if known.dies_with(&present) {
                    return Some(Credential {
                        state: CredentialState::Revoked { at: now },
                        ..(*known).clone()
                    });
                }
                let purpose = known.purpose_after(id, now)?;
                let first_used_at = known.first_used_at.or((known.id == id).then_some(now));
                Some(Credential {
                    purpose,
                    first_used_at,
                    ..(*known).clone()
                })
            })
            .collect();
        let mut batch = Batch::new();
        for credential in &changed {
            batch.put(&credential.id, credential);
        }
        batch.audit(AuditEntry {
            at: now,
            actor: format!("agent/{}", admitted.agent),
            action: "credential.take_up".into(),
            object: format!("credential/{id}"),
            address: speaker.address.map(|address| address.to_canonical().to_string()),
            detail: if present.is_kept() {
                "used for the first time, out of a file of its host; the ones before are revoked".into()
            } else {
                "used for the first time; the one before is good for coming back only".into()
            },
            ..AuditEntry::default()
        });
        batch.vital();
        self.store.commit(batch).await.map_err(|error| {
            tracing::error!(agent_id = %admitted.agent, error = %error, "a first use could not be made durable");
            unavailable("the server can't store the use of the credential now")
        })?;
        for credential in changed {
            let known = credential.id;
            self.identities.put_credential(credential);
            if present.is_kept() && known != id {
                self.close_links_of(known);
            }
        }
        tracing::info!(agent_id = %admitted.agent, credential = %present.id, "an agent uses its new credential");
        self.happen(admitted.agent, Happening::ConnectionAccepted, now);
        self.changes.announce(Topic::Enrolment);
        self.announce_agent(admitted.agent);
        Ok(using(false))
    }

    /// Gives up a candidate that its agent could not use; what the agent has stays valid (S-213).
    pub(super) async fn give_up_candidate(&self, agent: AgentId, id: CredentialId) -> Result<(), Error> {
        let Some(known) = self.identities.credential(id) else {
            return Ok(());
        };
        let first = known.first();
        let _admitting = self.admissions.lock(first.0).await;
        let Some(known) = self.identities.credential(id) else {
            return Ok(());
        };
        if !matches!(known.purpose, Purpose::Candidate { .. }) {
            return Ok(());
        }
        let now = self.clock.now();
        let given_up = Credential {
            state: CredentialState::Revoked { at: now },
            ..(*known).clone()
        };
        // Before it, the agent was to use the main one, if that came by an offer too.
        let main = self
            .identities
            .line(first)
            .into_iter()
            .find(|known| known.purpose.is_main());
        let main = main.filter(|main| main.salt.is_some()).map(|main| main.id);
        let mut batch = Batch::new();
        batch.put(&id, &given_up);
        let entry = AuditEntry {
            detail: "the agent could not use it".into(),
            ..audit_entry(
                &Actor::muster(),
                "credential.give_up",
                format!("credential/{id}"),
                now,
            )
        };
        self.edit_registration_with(agent, batch, entry, |registration| {
            if registration.offered_credential == Some(id) {
                registration.offered_credential = main;
            }
            Ok(())
        })
        .await?;
        self.identities.put_credential(given_up);
        tracing::info!(agent_id = %agent, credential = %id, "an agent could not use its new credential");
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }
}

/// Host and port of a `Host` header, as an agent can be given them back; `None` when they can't.
#[must_use]
pub fn authority(host: &str) -> Option<Arc<str>> {
    // A client leaves the port out where it is the scheme's own.
    let joining = Joining::at(host, "").or_else(|_| Joining::new(host, 443, ""));
    joining.ok().map(|joining| Arc::from(joining.authority()))
}
