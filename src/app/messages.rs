//! Custom messages: sending them to agents, and keeping what agents send.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::Agent;
use crate::fleet::custom::{CustomMessage, LARGEST, MOST_KEPT, MOST_QUEUED, Queued, TAKEN_PER_MINUTE};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch, ReadError, Store};

/// A message that came from an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// Its number among all of that agent.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// The message.
    #[serde(flatten)]
    pub message: CustomMessage,
}

/// What an agent and this server say to each other beside OpAMP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentMessages {
    /// The capabilities that this server announces.
    pub ours: Vec<String>,
    /// The capabilities that the agent announces.
    pub theirs: Vec<String>,
    /// Those that both announce: only their messages are sent and kept.
    pub shared: Vec<String>,
    /// Messages that wait for the agent, in the order in which they go.
    pub queued: Vec<Waits>,
    /// Messages of the agent, the newest first.
    pub received: Vec<Received>,
}

/// A message that waits, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waits {
    /// The capability.
    pub capability: String,
    /// The type of message.
    #[serde(rename = "type")]
    pub kind: String,
    /// How large it is.
    pub size_bytes: usize,
    /// Since when it waits.
    pub at: Timestamp,
    /// Who sends it.
    pub by: String,
}

/// What was taken in from each agent lately.
#[derive(Debug, Default)]
pub(super) struct Inboxes(Mutex<HashMap<AgentId, Inbox>>);

#[derive(Debug)]
struct Inbox {
    next: u64,
    minute: Timestamp,
    taken: u32,
}

impl Inboxes {
    /// The number of the next message of an agent; `None` when too many came within a minute.
    fn number(&self, store: &Store, agent: AgentId, now: Timestamp) -> Result<Option<u64>, ReadError> {
        let mut inboxes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inbox = match inboxes.entry(agent) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let kept = kept(store, agent)?;
                let last = kept.iter().map(|received| received.number).max();
                new.insert(Inbox {
                    next: last.map_or(0, |last| last.saturating_add(1)),
                    minute: now,
                    taken: 0,
                })
            }
        };
        if now.since(inbox.minute) >= Duration::from_mins(1) {
            (inbox.minute, inbox.taken) = (now, 0);
        }
        if inbox.taken >= TAKEN_PER_MINUTE {
            return Ok(None);
        }
        inbox.taken += 1;
        let number = inbox.next;
        inbox.next = number.saturating_add(1);
        Ok(Some(number))
    }
}

/// The messages of an agent that are kept, in no order.
fn kept(store: &Store, agent: AgentId) -> Result<Vec<Received>, ReadError> {
    let (from, to) = ((agent, 0), (agent, MOST_KEPT));
    let most = usize::try_from(MOST_KEPT).unwrap_or(usize::MAX);
    let rows = store.range::<Received>(Bound::Included(&from), Bound::Excluded(&to), most, false)?;
    Ok(rows.into_iter().map(|(_, row)| row.record).collect())
}

impl App {
    /// Lets a message wait for an agent: it goes out as soon as that can be reached, once, and after those before it.
    pub(super) async fn send_custom(
        &self,
        actor: &Actor,
        id: AgentId,
        entry: AuditEntry,
        message: &CustomMessage,
    ) -> Result<(), Error> {
        message
            .check()
            .map_err(|error| Error::invalid("message", error.to_string()))?;
        let agent = self.snapshot_of(id)?.agent;
        self.check_sendable(&agent, &message.capability)?;
        let (now, by) = (entry.at, actor.name.clone());
        let queued = Queued {
            message: message.clone(),
            at: now,
            by,
        };
        self.edit_delivery(id, entry, |delivery| {
            delivery.outbox.retain(|waiting| !waiting.is_over(now));
            if delivery.outbox.len() >= MOST_QUEUED {
                let why =
                    format!("{MOST_QUEUED} messages wait for the agent already; they go when it is heard of");
                return Err(Error::Conflict(why));
            }
            delivery.outbox.push(queued);
            Ok(())
        })
        .await
    }

    fn check_sendable(&self, agent: &Agent, capability: &str) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Conflict(why));
        let named = |list: &[String]| list.iter().any(|name| name == capability);
        if !agent.registration.is_served() {
            return refuse("the agent is not served".into());
        }
        if !named(&self.settings.custom_capabilities) {
            return refuse(format!(
                "this server doesn't announce {capability}; add it to the setting agent_plane.custom_capabilities"
            ));
        }
        if !named(&agent.reported.custom_capabilities) {
            return refuse(format!("the agent doesn't announce {capability}"));
        }
        Ok(())
    }

    /// What an agent and this server say to each other beside OpAMP.
    ///
    /// # Errors
    /// When the actor may not, or there is no such agent.
    pub fn agent_messages(&self, actor: &Actor, id: AgentId) -> Result<AgentMessages, Error> {
        actor.may(Permission::ViewEffectiveConfig)?;
        let agent = self.snapshot_of(id)?.agent;
        let ours = self.settings.custom_capabilities.to_vec();
        let theirs = agent.reported.custom_capabilities.clone();
        let now = self.clock.now();
        let waiting = agent
            .delivery
            .outbox
            .iter()
            .filter(|waiting| !waiting.is_over(now));
        let mut received = kept(&self.store, id)?;
        received.sort_by_key(|message| std::cmp::Reverse(message.number));
        Ok(AgentMessages {
            shared: ours
                .iter()
                .filter(|name| theirs.contains(name))
                .cloned()
                .collect(),
            queued: waiting
                .map(|waiting| Waits {
                    capability: waiting.message.capability.clone(),
                    kind: waiting.message.kind.clone(),
                    size_bytes: waiting.message.data.len(),
                    at: waiting.at,
                    by: waiting.by.clone(),
                })
                .collect(),
            ours,
            theirs,
            received,
        })
    }

    /// Puts a message of an agent into `batch`, when it is one that is kept: of a capability that we announce, not too
    /// large, and not one of too many. Others are left (S-273).
    pub(super) fn keep_custom(
        &self,
        batch: &mut Batch,
        agent: AgentId,
        message: CustomMessage,
        now: Timestamp,
    ) -> Result<(), ReadError> {
        let announced = self.settings.custom_capabilities.contains(&message.capability);
        if !announced {
            return Ok(());
        }
        if message.data.len() > LARGEST || message.check().is_err() {
            tracing::debug!(agent_id = %agent, size_bytes = message.data.len(), "a custom message was too large or misnamed, and left");
            return Ok(());
        }
        let Some(number) = self.inboxes.number(&self.store, agent, now)? else {
            tracing::debug!(agent_id = %agent, "an agent sends too many custom messages; they are left");
            return Ok(());
        };
        // The place of the oldest: so many are kept, and no more.
        let received = Received {
            number,
            at: now,
            message,
        };
        batch.put(&(agent, number % MOST_KEPT), &received);
        Ok(())
    }
}
