//! Whose message it is: the credential's claim to a uid, settled and made durable before the message is heard.

use std::sync::Arc;

use super::App;
use super::error::Error;
use super::exchange::unavailable;
use super::identities::{CredentialRefusal, Speaker, UidClaim, accepted, holder};
use super::live::Entry;
use super::{new_agent_id, new_uid};
use crate::auth::secret::{Secret, SecretKind};
use crate::fleet::agent::{
    Agent, Completeness, Contact, Delivery, Happening, Origin, RefusalKind, Refused, Registration, Standing,
    Transport,
};
use crate::fleet::identity::{Admission, Claim, Credential, CredentialState, Holder, Scope, admit};
use crate::fleet::ids::{AgentId, InstanceUid};
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// A message that reached a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    /// The record.
    pub(super) agent: AgentId,
    /// The uid that the speaker is to take, if it presented another.
    pub(super) new_uid: Option<InstanceUid>,
    /// Whether the presented uid is one that was replaced before.
    pub(super) replaced: bool,
}

/// How many second agents of one credential are kept as conflicts.
const CONFLICTS_KEPT: u32 = 5;

impl App {
    /// The speaker behind a presented secret. `authority` is host and port under which it found us.
    ///
    /// # Errors
    /// [`CredentialRefusal`], which outside looks the same in every case.
    pub fn authenticate(
        &self,
        secret: &str,
        address: Option<std::net::IpAddr>,
        authority: Option<Arc<str>>,
    ) -> Result<Speaker, CredentialRefusal> {
        let secret = Secret::parse(SecretKind::Agent, secret).map_err(|_| CredentialRefusal::Unknown)?;
        let credential = self
            .identities
            .by_secret(&secret.digest())
            .ok_or(CredentialRefusal::Unknown)?;
        accepted(&credential, self.clock.now())?;
        if !credential.scope.reaches(address) {
            return Err(CredentialRefusal::Network);
        }
        Ok(Speaker {
            credential,
            address,
            authority,
        })
    }

    /// The credential of a speaker that was accepted before, if it still is.
    ///
    /// # Errors
    /// [`CredentialRefusal`] says why not.
    pub(super) fn still_accepted(&self, speaker: &Speaker) -> Result<Arc<Credential>, CredentialRefusal> {
        let credential = self
            .identities
            .credential(speaker.credential.id)
            .ok_or(CredentialRefusal::Unknown)?;
        accepted(&credential, self.clock.now())?;
        if !credential.scope.reaches(speaker.address) {
            return Err(CredentialRefusal::Network);
        }
        Ok(credential)
    }

    pub(super) async fn admit(&self, speaker: &Speaker, uid: InstanceUid) -> Result<Admitted, Refused> {
        let credential = speaker.credential.first();
        let Ok(present) = self.still_accepted(speaker) else {
            return Err(refused("the credential is not accepted any more"));
        };
        if present.purpose.is_recovery() && !self.may_recover(speaker, uid) {
            return Err(refused(
                "this credential was replaced: it speaks for its own agent alone, to be given the present one",
            ));
        }
        if let Some(agent) = self.identities.find(credential, uid).own {
            return Ok(self.known(agent, uid));
        }
        let admitting = self
            .admissions
            .lock(admission_key(&speaker.credential, uid))
            .await;
        if self.still_accepted(speaker).is_err() {
            return Err(refused("the credential is not accepted any more"));
        }
        let scope = &present.scope;
        let now = self.clock.now();
        let judge = || {
            let found = self.identities.find(credential, uid);
            let claim = Claim {
                own: found.own,
                foreign: found.foreign,
                holder: holder(scope).map_or(Holder::Unbound, |agent| self.holder_state(agent, now)),
                records: found.records,
            };
            (found, admit(scope, &claim))
        };
        let (mut found, mut admission) = judge();
        let mut claimed = None;
        if admission.takes_uid() {
            // Nobody else is given it, or the last place of a pool, while it is being made durable.
            claimed = self.identities.claim(credential, uid, maximum(scope));
            if claimed.is_none() {
                (found, admission) = judge();
            }
        }
        if claimed.is_none() && admission.takes_uid() {
            return Err(unavailable("another agent was just being admitted with this uid"));
        }
        match admission {
            Admission::Known(agent) => Ok(self.known(agent, uid)),
            Admission::Bind(agent) => self.bind_uid(speaker, agent, uid, None, now).await,
            Admission::BindAnother(agent) => {
                let own = new_uid(now)?;
                self.bind_uid(speaker, agent, own, Some(uid), now).await
            }
            Admission::Rekey(agent) => self.rekey(agent, uid, now).await,
            Admission::Conflict(with) if found.records > CONFLICTS_KEPT => {
                let _ = with;
                Err(refused(
                    "too many agents use this credential at the same time; enrol each of them",
                ))
            }
            Admission::Conflict(with) => {
                let standing = Standing::Conflict { with };
                self.join(speaker, uid, standing, claimed, now).await
            }
            Admission::Join => {
                let by_hand = matches!(present.scope, Scope::Many { by_hand: true, .. });
                let standing = if by_hand {
                    Standing::Pending
                } else {
                    Standing::Active
                };
                self.join(speaker, uid, standing, claimed, now).await
            }
            Admission::Foreign => {
                drop(admitting);
                Err(self.strike(speaker, uid, now).await)
            }
            Admission::TooEarly => Err(unavailable(
                "the server has just started, and the agent of this credential may still come back",
            )),
            Admission::Full => Err(refused(
                "the credential has as many agents as it may have; archive some of them, or enrol another credential",
            )),
            Admission::TooManyRekeys => Err(refused(
                "the agent changed its uid too often within an hour; it is welcome again later",
            )),
        }
    }

    /// Whether a replaced credential presents its own agent's uid, or one that nobody has while its agent is silent: that
    /// is its agent after a loss of its state. It makes no other records.
    fn may_recover(&self, speaker: &Speaker, uid: InstanceUid) -> bool {
        let agent = holder(&speaker.credential.scope);
        let found = self.identities.find(speaker.credential.first(), uid);
        let silent = |agent| !matches!(self.holder_state(agent, self.clock.now()), Holder::Alive);
        match found.own {
            Some(own) => agent == Some(own),
            // A uid of another agent is judged as any: refused, audited, a strike.
            None => found.foreign || agent.is_some_and(silent),
        }
    }

    /// A speaker's credential as it is now: what a connection was opened with may be old.
    fn present(&self, speaker: &Speaker) -> Credential {
        let known = self.identities.credential(speaker.credential.id);
        (*known.unwrap_or_else(|| Arc::clone(&speaker.credential))).clone()
    }

    fn known(&self, agent: AgentId, uid: InstanceUid) -> Admitted {
        let current = self
            .live
            .with(agent, |entry| entry.agent.registration.uid)
            .flatten();
        let replaced = current.is_some_and(|current| current != uid);
        Admitted {
            agent,
            new_uid: current.filter(|_| replaced),
            replaced,
        }
    }

    fn holder_state(&self, agent: AgentId, now: Timestamp) -> Holder {
        self.live
            .with(agent, |entry| {
                let registration = &entry.agent.registration;
                if registration.uid.is_none() {
                    Holder::Unbound
                } else if entry.presence.is_online() {
                    Holder::Alive
                } else if entry.presence.may_be_there() {
                    Holder::Awaited
                } else {
                    let hour = std::time::Duration::from_hours(1);
                    let recent = registration.rekeyed_at.iter().filter(|at| now.since(**at) < hour);
                    Holder::Silent {
                        rekeyed: recent.count(),
                    }
                }
            })
            .unwrap_or(Holder::Unbound)
    }

    /// The first uid of a record. `instead_of` is a presented uid that belongs to somebody else.
    async fn bind_uid(
        &self,
        speaker: &Speaker,
        agent: AgentId,
        uid: InstanceUid,
        instead_of: Option<InstanceUid>,
        now: Timestamp,
    ) -> Result<Admitted, Refused> {
        let used = Credential {
            first_used_at: Some(now),
            ..self.present(speaker)
        };
        let mut batch = Batch::new();
        batch.put(&used.id, &used);
        self.change_registration(agent, batch, |registration| {
            registration.uid = Some(uid);
            registration.replaced_uids.extend(instead_of);
            if registration.origin.address.is_empty() {
                registration.origin.address = address(speaker);
            }
        })
        .await?;
        self.identities.put_credential(used);
        Ok(Admitted {
            agent,
            new_uid: instead_of.map(|_| uid),
            replaced: instead_of.is_some(),
        })
    }

    /// A silent record's agent comes back with another uid: a new instance of which nothing is known.
    async fn rekey(&self, agent: AgentId, uid: InstanceUid, now: Timestamp) -> Result<Admitted, Refused> {
        // What an operator or a rollout writes of it meanwhile would be undone. It is silent, so hardly anybody does; waiting
        // could be for somebody who waits for this admission.
        let turn = self.live.turn(agent).and_then(|turn| turn.try_lock_owned().ok());
        let Some(_turn) = turn else {
            return Err(unavailable(
                "something is being done about the agent; it is welcome in a moment",
            ));
        };
        let mut batch = Batch::new();
        batch.audit(AuditEntry {
            at: now,
            actor: format!("agent/{agent}"),
            action: "agent.rekey".into(),
            object: format!("agent/{agent}"),
            detail: format!("came back with the uid {uid}"),
            ..AuditEntry::default()
        });
        // What the one before had says nothing about this one; what failed on the host may fail again.
        let delivery = self.live.get(agent).map(|known| Delivery {
            offered: None,
            acknowledged: None,
            applied: None,
            ..known.agent.delivery.clone()
        });
        if let Some(delivery) = &delivery {
            batch.put(&agent, delivery);
        }
        self.change_registration(agent, batch, |registration| {
            let hour = std::time::Duration::from_hours(1);
            registration.rekeyed_at.retain(|at| now.since(*at) < hour);
            registration.rekeyed_at.push(now);
            registration.uid = Some(uid);
            registration.replaced_uids.clear();
        })
        .await?;
        self.live.with(agent, |entry| {
            entry.pulse.sequence = None;
            let agent = Arc::make_mut(&mut entry.agent);
            agent.reported.completeness = Completeness::Unknown;
            agent.delivery = delivery.unwrap_or_default();
        });
        Ok(Admitted {
            agent,
            new_uid: None,
            replaced: false,
        })
    }

    /// A new record for an agent of a gateway or pool, or for the second user of a credential.
    async fn join(
        &self,
        speaker: &Speaker,
        uid: InstanceUid,
        standing: Standing,
        claimed: Option<UidClaim<'_>>,
        now: Timestamp,
    ) -> Result<Admitted, Refused> {
        let origin = Origin {
            at: now,
            address: address(speaker),
            token: speaker.credential.token,
            ..Origin::default()
        };
        let mut registration = Registration::new(new_agent_id(now)?, speaker.credential.first(), origin);
        registration.uid = Some(uid);
        registration.standing = standing;
        let newcomer = matches!(standing, Standing::Active | Standing::Pending);
        if let Scope::Many { labels, group, .. } = &speaker.credential.scope
            && newcomer
        {
            registration.labels.clone_from(labels);
            registration.token_group.clone_from(group);
        }
        let mut agent = Agent::new(registration);
        self.place(&mut agent);
        let mut batch = Batch::new();
        batch.put(&agent.id(), &agent.registration);
        if let Standing::Conflict { with } = standing {
            batch.audit(AuditEntry {
                at: now,
                actor: format!("credential/{}", speaker.credential.id),
                action: "agent.conflict".into(),
                object: format!("agent/{}", agent.id()),
                address: Some(address(speaker)),
                detail: format!("a second agent uses the credential of agent {with}"),
                ..AuditEntry::default()
            });
        }
        self.store.commit(batch).await.map_err(|error| {
            tracing::error!(error = %error, "an agent's record could not be made");
            unavailable("the server can't store the agent's record now")
        })?;
        let id = agent.id();
        match claimed {
            Some(claimed) => claimed.add(&agent.registration),
            None => self.identities.add(&agent.registration),
        }
        self.live.insert(Entry::new(agent));
        self.happen(id, Happening::Enrolled, now);
        self.announce_agent(id);
        Ok(Admitted {
            agent: id,
            new_uid: None,
            replaced: false,
        })
    }

    /// A credential presented somebody else's uid.
    async fn strike(&self, speaker: &Speaker, uid: InstanceUid, now: Timestamp) -> Refused {
        let id = speaker.credential.id;
        let too_many = self.identities.strike(speaker.credential.first(), now);
        tracing::warn!(credential_id = %id, instance_uid = %uid, "a credential presented the uid of another agent");
        let mut batch = Batch::new();
        batch.vital();
        let entry = |action: &str, detail: String| AuditEntry {
            at: now,
            actor: format!("credential/{id}"),
            action: action.into(),
            object: format!("credential/{id}"),
            address: Some(address(speaker)),
            detail,
            ..AuditEntry::default()
        };
        batch.audit(entry(
            "credential.foreign_uid",
            format!("presented {uid}, the uid of another agent"),
        ));
        // A revocation under way stays one.
        let _deciding = self.admissions.lock(speaker.credential.first().0).await;
        let too_many = too_many && self.still_accepted(speaker).is_ok();
        let quarantined = too_many.then(|| Credential {
            state: CredentialState::Quarantined { at: now },
            ..self.present(speaker)
        });
        if let Some(credential) = &quarantined {
            batch.put(&id, credential);
            batch.audit(entry("credential.quarantine", "too many foreign uids".into()));
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(error = %error, "a strike could not be recorded");
        }
        if let Some(credential) = quarantined {
            self.identities.put_credential(credential);
            self.close_links_of(id);
        }
        refused("this credential does not speak for the presented instance_uid")
    }

    /// Gives an agent that asks for it a uid of its own (S-084).
    pub(super) async fn assign_uid(&self, agent: AgentId, now: Timestamp) -> Result<(), Refused> {
        let uid = new_uid(now)?;
        self.change_registration(agent, Batch::new(), |registration| registration.replace_uid(uid))
            .await?;
        self.live.with(agent, |entry| entry.contact.new_uid = Some(uid));
        Ok(())
    }

    /// Two agents that poll with one uid: the one that speaks now is given another, for this answer.
    pub(super) fn part_polling_clones(&self, agent: AgentId, now: Timestamp) {
        let Ok(uid) = new_uid(now) else { return };
        tracing::warn!(agent_id = %agent, "two polling agents share a uid; one is given another");
        self.live.with(agent, |entry| {
            entry.contact.new_uid = Some(uid);
            entry.contact.interleaved = 0;
            entry.pulse.abandoned = None;
        });
    }

    /// Two connected agents that share a uid: the older link keeps it, the newer one's speaker is given another.
    pub(super) fn part_connected_clones(&self, agent: AgentId, now: Timestamp) {
        let parted = self.live.with(agent, |entry| {
            let (older, _) = entry.rival.take()?;
            let newer = entry.route.replace(older)?;
            entry.contact = Contact::new(Transport::WebSocket);
            Arc::make_mut(&mut entry.agent).reported.completeness = Completeness::Unknown;
            Some((newer, entry.agent.registration.uid?))
        });
        if let Some((newer, uid)) = parted.flatten()
            && let Some(link) = self.connections.get(newer)
        {
            tracing::warn!(agent_id = %agent, "two connected agents share a uid; the newer is given another");
            link.forget(agent);
            if let Ok(new_uid) = new_uid(now) {
                link.reassign(uid, new_uid);
            }
        }
    }

    /// Changes a record durably, then in memory.
    pub(super) async fn change_registration(
        &self,
        agent: AgentId,
        mut batch: Batch,
        change: impl FnOnce(&mut Registration),
    ) -> Result<(), Refused> {
        let _writing = self.registrations.lock(agent).await;
        let Some(before) = self
            .live
            .get(agent)
            .map(|snapshot| snapshot.agent.registration.clone())
        else {
            return Err(refused("the agent's record was just deleted"));
        };
        let mut after = before.clone();
        change(&mut after);
        batch.vital().put(&agent, &after);
        self.store.commit(batch).await.map_err(|error| {
            tracing::error!(error = %error, "an agent's record could not be changed");
            unavailable("the server can't store the agent's record now")
        })?;
        self.adopt_registration(&before, after);
        Ok(())
    }
}

fn refused(message: &str) -> Refused {
    Refused {
        kind: RefusalKind::BadRequest,
        message: message.to_owned(),
        retry_after: None,
    }
}

fn address(speaker: &Speaker) -> String {
    speaker
        .address
        .map(|address| address.to_canonical().to_string())
        .unwrap_or_default()
}

/// How many records a credential may have; `None` for one agent's own.
fn maximum(scope: &Scope) -> Option<u32> {
    match scope {
        Scope::One { .. } => None,
        Scope::Many { maximum, .. } => Some(*maximum),
    }
}

/// What serialises admissions: for one agent its credential, for a pool each uid by itself.
fn admission_key(credential: &Credential, uid: InstanceUid) -> [u8; 16] {
    match credential.scope {
        Scope::One { .. } => credential.first().0,
        Scope::Many { .. } => uid.0,
    }
}

/// A failure of ours in the middle of an admission: the agent comes back later.
impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        tracing::error!(error = %error, "an agent could not be admitted");
        unavailable("the server can't take the agent in now")
    }
}
