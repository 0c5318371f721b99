//! Agents in memory: a sharded map, the only lock around agent state.
//!
//! [`Live::with`] locks one shard for a synchronous closure; nothing in it may wait, read a file or do cryptography on
//! more than a few bytes. Readers take snapshots: clones of pointers, used outside the lock.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connections::LinkId;
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{Agent, Contact, Pulse, Subject, Transport};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

const SHARDS: usize = 64;

/// All agents.
#[derive(Debug)]
pub(crate) struct Live {
    shards: Box<[Mutex<HashMap<AgentId, Entry>>]>,
}

/// One agent with what memory alone holds.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The agent; readers hold clones of this pointer.
    pub(crate) agent: Arc<Agent>,
    /// What every message changes.
    pub(crate) pulse: Pulse,
    /// What its present link was told.
    pub(crate) contact: Contact,
    /// Whether it is there.
    pub(crate) presence: Presence,
    /// The link that it is reached by.
    pub(crate) route: Option<LinkId>,
    /// The link that the route was taken from, and how often it spoke since: two speakers are two agents.
    pub(crate) rival: Option<(LinkId, u8)>,
    /// Held during an exchange or push until its bytes are handed to the socket.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// What is not yet in the store.
    pub(crate) dirty: Dirty,
    /// Whether it was found to run something else than what is wanted.
    pub(crate) drifted: bool,
}

/// Which late-flushed parts of an agent changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirty {
    /// Its reported state.
    pub(crate) reported: bool,
    /// Its number or last-seen time only.
    pub(crate) pulse: bool,
}

/// One agent as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The agent.
    pub(crate) agent: Arc<Agent>,
    /// What every message changes.
    pub(crate) pulse: Pulse,
    /// Whether it is there.
    pub(crate) presence: Presence,
    /// Whether it is being asked for its full state.
    pub(crate) asking: bool,
    /// Whether it polls.
    pub(crate) polls: bool,
}

impl Entry {
    /// An agent that the store knew when the server started.
    pub(crate) fn known(agent: Agent, pulse: Pulse, started: Timestamp) -> Self {
        let presence = Presence::at_start(pulse.last_seen, started);
        Self {
            pulse,
            presence,
            ..Self::new(agent)
        }
    }

    /// An agent that was just made.
    pub(crate) fn new(agent: Agent) -> Self {
        Self {
            agent: Arc::new(agent),
            pulse: Pulse::default(),
            contact: Contact::new(Transport::Http),
            presence: Presence::NeverSeen,
            route: None,
            rival: None,
            turn: Arc::default(),
            dirty: Dirty::default(),
            drifted: false,
        }
    }

    /// The part of it that the rules work on.
    pub(crate) fn subject(&mut self) -> Subject<'_> {
        Subject {
            agent: &mut self.agent,
            pulse: &mut self.pulse,
            contact: &mut self.contact,
        }
    }

    /// When it is to be asked for its full state; `None` when it isn't, also because its link is given nothing but
    /// acknowledgements.
    pub(crate) fn asking_at(&self) -> Option<Timestamp> {
        let recovers = self.contact.using.as_ref().is_some_and(|using| using.recovery);
        let asked = self.agent.registration.is_served() && !recovers;
        self.contact.asking.due().filter(|_| asked)
    }

    /// Whether no exchange of it is under way: what was observed is said and durable, or taken back.
    pub(crate) fn is_between_exchanges(&self) -> bool {
        self.turn.try_lock().is_ok()
    }

    /// What a reader sees of it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            agent: Arc::clone(&self.agent),
            pulse: self.pulse,
            presence: self.presence,
            asking: self.asking_at().is_some(),
            polls: self.contact.transport == Transport::Http,
        }
    }
}

impl Live {
    /// No agents.
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, id: AgentId) -> Option<MutexGuard<'_, HashMap<AgentId, Entry>>> {
        // Ids begin with a time: their last byte is random.
        let [.., last] = id.0;
        let shard = self.shards.get(usize::from(last) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an agent, or replaces it.
    pub(crate) fn insert(&self, entry: Entry) {
        let id = entry.agent.id();
        if let Some(mut shard) = self.shard(id) {
            shard.insert(id, entry);
        }
    }

    /// Runs `work` on one agent under its shard's lock; `None` when there is no such agent.
    pub(crate) fn with<T>(&self, id: AgentId, work: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.shard(id)?.get_mut(&id).map(work)
    }

    /// The agent as a reader sees it.
    pub(crate) fn get(&self, id: AgentId) -> Option<Snapshot> {
        self.with(id, |entry| entry.snapshot())
    }

    /// The lock that serialises this agent's exchanges.
    pub(crate) fn turn(&self, id: AgentId) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.with(id, |entry| Arc::clone(&entry.turn))
    }

    /// All agents as readers see them, in no order.
    pub(crate) fn snapshot(&self) -> Vec<Snapshot> {
        self.collect(|entry| Some(entry.snapshot()))
    }

    /// What `pick` takes of each agent, shard by shard.
    pub(crate) fn collect<T>(&self, mut pick: impl FnMut(&mut Entry) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            picked.extend(shard.values_mut().filter_map(&mut pick));
        }
        picked
    }

    /// How many agents there are.
    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// The ids of agents for which `test` holds.
    pub(crate) fn ids(&self, mut test: impl FnMut(&Entry) -> bool) -> HashSet<AgentId> {
        self.collect(|entry| test(entry).then(|| entry.agent.id()))
            .into_iter()
            .collect()
    }
}
