//! Links: routes to agents that come and go.
//!
//! A link belongs to one connection and may carry many agents. It is told that something is to be looked at again, never
//! what: its task computes the reply itself. The set of nudged agents coalesces and can't overflow.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use crate::fleet::ids::{AgentId, CredentialId, InstanceUid};

/// A connection's number, unique while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The credential died: 1008.
    Revoked,
    /// The server stops: 1012.
    Stopping,
}

/// One open connection of agents.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// The credential that it was opened with.
    pub credential: CredentialId,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    state: Mutex<LinkState>,
    notify: Notify,
    /// Whether somebody waits for an agent that may be waiting for this link's peer.
    hurried: AtomicBool,
}

#[derive(Debug, Default)]
struct LinkState {
    nudged: BTreeSet<AgentId>,
    agents: HashSet<AgentId>,
    close: Option<CloseReason>,
    /// Uids whose speaker on this link is to take another: it shares the uid with an agent elsewhere.
    reassigned: BTreeMap<InstanceUid, InstanceUid>,
}

/// What woke a link's task.
#[derive(Debug, PartialEq, Eq)]
pub enum Wake {
    /// Look again at these agents.
    Agents(Vec<AgentId>),
    /// Close.
    Close(CloseReason),
}

impl Link {
    /// Asks the link's task to look at an agent again.
    pub fn nudge(&self, agent: AgentId) {
        self.lock().nudged.insert(agent);
        self.notify.notify_one();
    }

    /// Asks the link's task to close the connection.
    pub fn close(&self, reason: CloseReason) {
        self.lock().close.get_or_insert(reason);
        self.notify.notify_one();
    }

    /// Tells the link's task that somebody waits for an agent whose turn it may hold while its peer takes nothing.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    /// Waits until the peer is not to be waited for any longer: the connection is to be closed, or somebody waits.
    pub async fn hurried(&self) {
        while !self.hurried.load(Ordering::Acquire) && self.lock().close.is_none() {
            self.notify.notified().await;
        }
    }

    /// Notes that the peer took what was sent.
    pub fn sent(&self) {
        if self.hurried.load(Ordering::Acquire) {
            self.hurried.store(false, Ordering::Release);
        }
    }

    /// Waits until there is something to do.
    pub async fn woken(&self) -> Wake {
        loop {
            if let Some(wake) = self.take() {
                return wake;
            }
            self.notify.notified().await;
        }
    }

    fn take(&self) -> Option<Wake> {
        let mut state = self.lock();
        if let Some(reason) = state.close {
            return Some(Wake::Close(reason));
        }
        let nudged = std::mem::take(&mut state.nudged);
        (!nudged.is_empty()).then(|| Wake::Agents(nudged.into_iter().collect()))
    }

    /// Notes that an agent spoke on this link. How many agents it carries.
    pub(crate) fn carries(&self, agent: AgentId) -> usize {
        let mut state = self.lock();
        state.agents.insert(agent);
        state.agents.len()
    }

    /// The uid that the speaker of `uid` on this link is to take instead, if any.
    pub(crate) fn reassigned(&self, uid: InstanceUid) -> Option<InstanceUid> {
        self.lock().reassigned.get(&uid).copied()
    }

    /// Has the speaker of `uid` on this link take `new_uid` instead.
    pub(crate) fn reassign(&self, uid: InstanceUid, new_uid: InstanceUid) {
        self.lock().reassigned.insert(uid, new_uid);
    }

    /// Notes that an agent said goodbye.
    pub(crate) fn forget(&self, agent: AgentId) {
        self.lock().agents.remove(&agent);
    }

    /// The agents that spoke on this link.
    pub(crate) fn agents(&self) -> Vec<AgentId> {
        self.lock().agents.iter().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All open links.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    next: AtomicU64,
    links: RwLock<Open>,
}

#[derive(Debug, Default)]
struct Open {
    links: BTreeMap<LinkId, Arc<Link>>,
    /// How many of them each credential has.
    counts: HashMap<CredentialId, u32>,
}

impl Connections {
    /// A new link.
    pub(crate) fn open(&self, credential: CredentialId, address: Option<IpAddr>) -> Arc<Link> {
        let id = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        let link = Arc::new(Link {
            id,
            credential,
            address,
            state: Mutex::default(),
            notify: Notify::new(),
            hurried: AtomicBool::new(false),
        });
        let mut open = self.links.write().unwrap_or_else(PoisonError::into_inner);
        open.links.insert(id, Arc::clone(&link));
        *open.counts.entry(credential).or_default() += 1;
        link
    }

    /// How many links a credential has.
    pub(crate) fn count(&self, credential: CredentialId) -> u32 {
        let open = self.read();
        open.counts.get(&credential).copied().unwrap_or(0)
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.links.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a link.
    pub(crate) fn close(&self, id: LinkId) {
        let mut open = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let Some(closed) = open.links.remove(&id) else {
            return;
        };
        if let Some(count) = open.counts.get_mut(&closed.credential) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.counts.remove(&closed.credential);
            }
        }
    }

    /// The link with this number.
    pub(crate) fn get(&self, id: LinkId) -> Option<Arc<Link>> {
        self.read().links.get(&id).map(Arc::clone)
    }

    /// All links.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.read().links.values().map(Arc::clone).collect()
    }

    /// How many links there are.
    pub(crate) fn len(&self) -> usize {
        self.read().links.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nudges_coalesce_and_closing_goes_first() {
        let connections = Connections::default();
        let link = connections.open(CredentialId([1; 16]), None);
        let agent = AgentId([2; 16]);
        link.nudge(agent);
        link.nudge(agent);
        assert_eq!(link.woken().await, Wake::Agents(vec![agent]));
        link.nudge(agent);
        link.close(CloseReason::Revoked);
        assert_eq!(link.woken().await, Wake::Close(CloseReason::Revoked));
    }

    #[test]
    fn links_are_counted_by_their_credential() {
        let connections = Connections::default();
        let (one, other) = (CredentialId([1; 16]), CredentialId([2; 16]));
        let first = connections.open(one, None);
        connections.open(one, None);
        connections.open(other, None);
        assert_eq!((connections.count(one), connections.count(other)), (2, 1));
        connections.close(first.id);
        connections.close(first.id);
        assert_eq!((connections.count(one), connections.len()), (1, 2));
    }
}
