//! The index from credentials and uids to agent records, and the credentials themselves, in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::fleet::agent::Registration;
use crate::fleet::hash::Digest;
use crate::fleet::identity::{Credential, CredentialState, STRIKE_WINDOW, STRIKES, Scope};
use crate::fleet::ids::{AgentId, CredentialId, InstanceUid};
use crate::fleet::time::Timestamp;

/// Who may speak for whom.
#[derive(Debug, Default)]
pub(crate) struct Identities(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    credentials: HashMap<CredentialId, Arc<Credential>>,
    by_secret: HashMap<Digest, CredentialId>,
    /// The later credentials of an agent, by its first.
    lines: HashMap<CredentialId, Vec<CredentialId>>,
    /// Uids in use and uids that were replaced, by the credential that may present them.
    by_uid: HashMap<(CredentialId, InstanceUid), AgentId>,
    /// The credential whose record uses a uid now.
    owners: HashMap<InstanceUid, CredentialId>,
    /// How many records a credential has, beside archived ones.
    records: HashMap<CredentialId, u32>,
    /// Uids that are being made durable for a record, with whose credential.
    claimed: HashMap<InstanceUid, CredentialId>,
    /// How many uids are being made durable for records of a credential.
    claims: HashMap<CredentialId, u32>,
    strikes: HashMap<CredentialId, Vec<Timestamp>>,
}

/// An agent's connection details when it presents itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The record that the credential reaches with the uid.
    pub(crate) own: Option<AgentId>,
    /// Whether a record of another credential uses the uid.
    pub(crate) foreign: bool,
    /// How many records the credential has or is being given, beside archived ones.
    pub(crate) records: u32,
}

/// A uid that nobody else is given while it is being made durable for a record: what a commit waits for, others may ask
/// for meanwhile.
#[derive(Debug)]
pub(crate) struct UidClaim<'a> {
    identities: &'a Identities,
    credential: CredentialId,
    uid: InstanceUid,
}

impl UidClaim<'_> {
    /// Adds the new record that it was claimed for.
    pub(crate) fn add(self, registration: &Registration) {
        let mut index = self.identities.write();
        index.release(self.uid, self.credential);
        index.add(registration);
    }
}

impl Drop for UidClaim<'_> {
    fn drop(&mut self) {
        self.identities.write().release(self.uid, self.credential);
    }
}

impl Identities {
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The credential with this secret, whatever its state.
    pub(crate) fn by_secret(&self, digest: &Digest) -> Option<Arc<Credential>> {
        let index = self.read();
        let id = index.by_secret.get(digest)?;
        index.credentials.get(id).map(Arc::clone)
    }

    /// The credential with this id.
    pub(crate) fn credential(&self, id: CredentialId) -> Option<Arc<Credential>> {
        self.read().credentials.get(&id).map(Arc::clone)
    }

    /// All credentials, in no order.
    pub(crate) fn credentials(&self) -> Vec<Arc<Credential>> {
        self.read().credentials.values().map(Arc::clone).collect()
    }

    /// All credentials of the agent whose first is `first`, in the order in which they were made.
    pub(crate) fn line(&self, first: CredentialId) -> Vec<Arc<Credential>> {
        let index = self.read();
        let later = index.lines.get(&first).into_iter().flatten();
        let ids = std::iter::once(&first).chain(later);
        let mut line: Vec<_> = ids
            .filter_map(|id| index.credentials.get(id).map(Arc::clone))
            .collect();
        line.sort_by_key(|credential| (credential.created_at, credential.line.is_some(), credential.id));
        line
    }

    /// Adds or replaces a credential.
    pub(crate) fn put_credential(&self, credential: Credential) {
        let mut index = self.write();
        if let Some(digest) = credential.secret_digest {
            index.by_secret.insert(digest, credential.id);
        }
        if let Some(first) = credential.line {
            let line = index.lines.entry(first).or_default();
            if !line.contains(&credential.id) {
                line.push(credential.id);
            }
        }
        index.credentials.insert(credential.id, Arc::new(credential));
    }

    /// What a credential finds under a uid.
    pub(crate) fn find(&self, credential: CredentialId, uid: InstanceUid) -> Found {
        self.read().find(credential, uid)
    }

    /// Keeps a uid for a record that is being made or changed, with a place among at most `maximum` records when there is
    /// one. `None` when it was taken since it was looked for, or no place is left.
    pub(crate) fn claim(
        &self,
        credential: CredentialId,
        uid: InstanceUid,
        maximum: Option<u32>,
    ) -> Option<UidClaim<'_>> {
        let mut index = self.write();
        let found = index.find(credential, uid);
        let full = maximum.is_some_and(|maximum| found.records >= maximum);
        if found.own.is_some() || found.foreign || full || index.claimed.contains_key(&uid) {
            return None;
        }
        index.claimed.insert(uid, credential);
        *index.claims.entry(credential).or_default() += 1;
        Some(UidClaim {
            identities: self,
            credential,
            uid,
        })
    }

    /// The record that a credential reaches with a uid, when it is the main one and accepted. Others have to be looked at.
    pub(crate) fn accepted_agent(
        &self,
        credential: CredentialId,
        uid: InstanceUid,
        now: Timestamp,
    ) -> Option<AgentId> {
        let index = self.read();
        let known = index.credentials.get(&credential)?;
        accepted(known, now).ok().filter(|()| known.purpose.is_main())?;
        index.by_uid.get(&(known.first(), uid)).copied()
    }

    /// Adds a new record.
    pub(crate) fn add(&self, registration: &Registration) {
        self.write().add(registration);
    }

    /// Follows a change of a record's uids, and of whether it is archived.
    pub(crate) fn change(&self, before: &Registration, after: &Registration) {
        let mut index = self.write();
        index.unlink(before);
        index.link(after);
        index.count(before, after);
    }

    /// Follows two records that give each other their credentials: each as it was and as it is.
    pub(crate) fn trade(&self, one: (&Registration, &Registration), other: (&Registration, &Registration)) {
        let mut index = self.write();
        for (before, _) in [one, other] {
            index.unlink(before);
            if !before.is_archived() {
                let records = index.records.entry(before.credential).or_default();
                *records = records.saturating_sub(1);
            }
        }
        for (_, after) in [one, other] {
            index.add(after);
        }
    }

    /// Counts a foreign uid presented at `now`. Whether these are too many.
    pub(crate) fn strike(&self, credential: CredentialId, now: Timestamp) -> bool {
        let mut index = self.write();
        let strikes = index.strikes.entry(credential).or_default();
        strikes.retain(|at| now.since(*at) < STRIKE_WINDOW);
        strikes.push(now);
        strikes.len() >= STRIKES
    }

    /// Forgets the strikes of a credential that an operator released.
    pub(crate) fn forgive(&self, credential: CredentialId) {
        self.write().strikes.remove(&credential);
    }
}

impl Index {
    fn find(&self, credential: CredentialId, uid: InstanceUid) -> Found {
        let others = |owner: &CredentialId| *owner != credential;
        let count = |of: &HashMap<CredentialId, u32>| of.get(&credential).copied().unwrap_or(0);
        Found {
            own: self.by_uid.get(&(credential, uid)).copied(),
            foreign: self.owners.get(&uid).is_some_and(others) || self.claimed.get(&uid).is_some_and(others),
            records: count(&self.records).saturating_add(count(&self.claims)),
        }
    }

    fn release(&mut self, uid: InstanceUid, credential: CredentialId) {
        if self.claimed.get(&uid) != Some(&credential) {
            return;
        }
        self.claimed.remove(&uid);
        if let Some(claims) = self.claims.get_mut(&credential) {
            *claims = claims.saturating_sub(1);
            if *claims == 0 {
                self.claims.remove(&credential);
            }
        }
    }

    fn add(&mut self, registration: &Registration) {
        if !registration.is_archived() {
            *self.records.entry(registration.credential).or_default() += 1;
        }
        self.link(registration);
    }

    fn count(&mut self, before: &Registration, after: &Registration) {
        let records = self.records.entry(after.credential).or_default();
        match (before.is_archived(), after.is_archived()) {
            (false, true) => *records = records.saturating_sub(1),
            (true, false) => *records += 1,
            (false, false) | (true, true) => {}
        }
    }

    fn link(&mut self, registration: &Registration) {
        let uids = registration.uid.iter().chain(&registration.replaced_uids);
        for uid in uids {
            self.by_uid
                .insert((registration.credential, *uid), registration.id);
        }
        if let Some(uid) = registration.uid {
            self.owners.insert(uid, registration.credential);
        }
    }

    fn unlink(&mut self, registration: &Registration) {
        let uids = registration.uid.iter().chain(&registration.replaced_uids);
        for uid in uids {
            self.by_uid.remove(&(registration.credential, *uid));
        }
        if let Some(uid) = registration.uid
            && self.owners.get(&uid) == Some(&registration.credential)
        {
            self.owners.remove(&uid);
        }
    }
}

/// A credential that was presented and is accepted, with where it came from.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The credential.
    pub credential: Arc<Credential>,
    /// The address of the peer.
    pub address: Option<IpAddr>,
    /// Host and port under which the peer found us, as it said; `None` when that can't be used.
    pub authority: Option<Arc<str>>,
}

/// Why a credential isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialRefusal {
    /// There is none like it.
    #[error("unknown credential")]
    Unknown,
    /// It was revoked.
    #[error("the credential was revoked")]
    Revoked,
    /// It is quarantined.
    #[error("the credential is quarantined: it presented uids of other agents; an operator can release it")]
    Quarantined,
    /// Its time is over.
    #[error("the credential was replaced and has lapsed")]
    Lapsed,
    /// It may not be used from there.
    #[error("the credential may not be used from this address")]
    Network,
}

/// Whether a credential in this state is accepted.
pub(crate) fn accepted(credential: &Credential, now: Timestamp) -> Result<(), CredentialRefusal> {
    match credential.state {
        CredentialState::Active if credential.is_lapsed(now) => Err(CredentialRefusal::Lapsed),
        CredentialState::Active => Ok(()),
        CredentialState::Revoked { .. } => Err(CredentialRefusal::Revoked),
        CredentialState::Quarantined { .. } => Err(CredentialRefusal::Quarantined),
    }
}

/// The agent of a scope-`one` credential.
pub(crate) fn holder(scope: &Scope) -> Option<AgentId> {
    match scope {
        Scope::One { agent } => Some(*agent),
        Scope::Many { .. } => None,
    }
}
