//! What an agent should hear now: intent compared with what it last said.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::contact::{Asking, Contact, Transport};
use super::delivery::{Offered, RestartOrder};
use super::reported::Completeness;
use super::{HoldReason, Subject};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::ConfigMap;
use crate::fleet::connection_offer::ConnectionOffer;
use crate::fleet::custom::{CustomMessage, Queued};
use crate::fleet::hash::{ConfigHash, Digest, HashKey};
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;

/// One answer or push. The three kinds exclude each other in the specification, so they do here.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The message could not be processed (S-053: stands alone).
    Error(Refused),
    /// A command (S-291: stands alone).
    Command(Command),
    /// Everything else; empty means a bare acknowledgement.
    Update(Update),
}

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind of failure.
    pub kind: RefusalKind,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// How long to stay away, for [`RefusalKind::Unavailable`].
    pub retry_after: Option<Duration>,
}

/// The kinds of refusal (S-303).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// An unforeseen failure of ours.
    Unknown,
    /// The message is malformed or not allowed.
    BadRequest,
    /// Overload: come back later.
    Unavailable,
}

/// A command to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Restart.
    Restart,
}

/// What an answer may carry together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Ask for the full state.
    pub full_state: bool,
    /// Ask for the list of components.
    pub available_components: bool,
    /// State our capabilities.
    pub capabilities: bool,
    /// The uid that the agent is to use from now on.
    pub new_uid: Option<InstanceUid>,
    /// A configuration.
    pub remote_config: Option<Arc<Offer>>,
    /// Settings of the agent's own connection.
    pub connection: Option<Arc<ConnectionOffer>>,
    /// Our custom capabilities, all of them.
    pub custom_capabilities: Option<Arc<[String]>>,
    /// A custom message.
    pub custom_message: Option<Arc<CustomMessage>>,
}

impl Update {
    /// Whether it says nothing: as an answer a bare acknowledgement, as a push not worth sending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A configuration ready to be offered.
#[derive(Clone, PartialEq)]
pub struct Offer {
    /// The content, byte for byte. It may hold secrets.
    pub content: Arc<ConfigMap>,
    /// The content as people may see it: with the names of secrets in their place.
    pub shown: Arc<ConfigMap>,
    /// What the hash says.
    pub stamp: ConfigHash,
    /// The `config_hash` on the wire.
    pub hash: [u8; ConfigHash::LENGTH],
}

impl Offer {
    /// A content with its stamp, ready to be offered. `key` proves the hash to be ours.
    #[must_use]
    pub fn new(content: ConfigMap, stamp: ConfigHash, key: &HashKey) -> Self {
        let content = Arc::new(content);
        Self {
            shown: Arc::clone(&content),
            content,
            hash: stamp.to_wire(key),
            stamp,
        }
    }

    /// The same, shown to people as `shown`.
    #[must_use]
    pub fn shown_as(self, shown: ConfigMap) -> Self {
        Self {
            shown: Arc::new(shown),
            ..self
        }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("stamp", &self.stamp)
            .finish_non_exhaustive()
    }
}

/// What is wanted of one subject: never an empty configuration by accident.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Intent<T> {
    /// Nobody decided anything: observe only.
    #[default]
    Unmanaged,
    /// Something was decided and must not be sent now.
    Hold(HoldReason),
    /// This.
    Want(Arc<T>),
}

/// All that is wanted of one agent.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Its configuration.
    pub config: Intent<Offer>,
    /// Whether that configuration is its own and not its group's: it waits for no full state.
    pub own: bool,
    /// The settings of its connection; `None` when it keeps those that it has.
    pub connection: Option<Arc<ConnectionOffer>>,
    /// The custom capabilities that we announce.
    pub custom: Arc<[String]>,
}

impl Desired {
    /// The digest of the wanted configuration, if one is wanted.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match &self.config {
            Intent::Want(offer) => Some(offer.stamp.digest),
            Intent::Unmanaged | Intent::Hold(_) => None,
        }
    }
}

impl Subject<'_> {
    /// Decides what the agent should hear now and notes that it was said. Silent once agent and intent agree.
    /// The second value is whether a verdict changed, which must be durable before the reply is sent.
    pub fn reply(&mut self, desired: &Desired, now: Timestamp) -> (Reply, bool) {
        if self.is_recovering() {
            return self.reply_to_recovery(desired, now);
        }
        let ordered = self.agent.delivery.restart.is_some();
        if let Some(command) = self.command(now) {
            return (Reply::Command(command), true);
        }
        let mut update = Update {
            capabilities: !self.contact.capabilities_stated || self.contact.transport == Transport::Http,
            new_uid: self.contact.new_uid.take(),
            ..Update::default()
        };
        self.contact.capabilities_stated = true;
        let mut verdict = ordered && self.agent.delivery.restart.is_none();
        verdict |= self.drop_spent_order(desired);
        if self.agent.registration.is_served() {
            update.full_state = self.asks_for_full_state(now);
            update.available_components = !update.full_state && self.asks_for_components();
            if let Some(offer) = self.offers(desired) {
                verdict |= self.note_offer(offer.stamp.digest, now);
                update.remote_config = Some(offer);
            }
            verdict |= self.take_message(&mut update, desired, now);
        }
        verdict |= self.offer_connection(&mut update, desired, now);
        self.contact.status_reported = false;
        self.contact.note(&update);
        (Reply::Update(update), verdict)
    }

    /// Announces our custom capabilities on a link that doesn't know them, and takes the next message out that both sides
    /// announce: one at a time (S-275), and at most once. Whether the record changed.
    fn take_message(&mut self, update: &mut Update, desired: &Desired, now: Timestamp) -> bool {
        if !self.contact.custom_announced && !desired.custom.is_empty() {
            self.contact.custom_announced = true;
            update.custom_capabilities = Some(Arc::clone(&desired.custom));
        }
        if self.agent.delivery.outbox.is_empty() {
            return false;
        }
        let theirs = &self.agent.reported.custom_capabilities;
        let goes = |waiting: &Queued| {
            let name = &waiting.message.capability;
            !waiting.is_over(now) && theirs.contains(name) && desired.custom.contains(name)
        };
        let next = self.agent.delivery.outbox.iter().position(goes);
        let over = self
            .agent
            .delivery
            .outbox
            .iter()
            .any(|waiting| waiting.is_over(now));
        if next.is_none() && !over {
            return false;
        }
        let outbox = &mut Arc::make_mut(self.agent).delivery.outbox;
        update.custom_message = next.map(|at| Arc::new(outbox.remove(at).message));
        outbox.retain(|waiting| !waiting.is_over(now));
        true
    }

    /// What goes over a link of a recovery credential: acknowledgements, and the offer of the present one.
    fn reply_to_recovery(&mut self, desired: &Desired, now: Timestamp) -> (Reply, bool) {
        let mut update = Update {
            capabilities: !self.contact.capabilities_stated || self.contact.transport == Transport::Http,
            new_uid: self.contact.new_uid.take(),
            ..Update::default()
        };
        self.contact.capabilities_stated = true;
        let verdict = self.offer_connection(&mut update, desired, now);
        self.contact.note(&update);
        (Reply::Update(update), verdict)
    }

    fn is_recovering(&self) -> bool {
        self.contact.using.as_ref().is_some_and(|using| using.recovery)
    }

    /// Adds the connection offer that is due. Whether a verdict changed.
    fn offer_connection(&mut self, update: &mut Update, desired: &Desired, now: Timestamp) -> bool {
        update.connection = self.due_connection(desired.connection.as_ref(), now);
        self.contact.connection_again = false;
        if let Some(offer) = &update.connection {
            self.note_connection(offer, now);
        }
        update.connection.is_some()
    }

    /// Says again what the last answer said: its receiver repeats a request whose answer it never saw (S-062).
    /// Commands are not repeated. `None` when an offer that was made is not the one that is wanted now: what is offered
    /// instead has to be noted first, as with any reply.
    pub fn repeat(&mut self, desired: &Desired) -> Option<Reply> {
        let said = self.contact.said;
        let served = self.agent.registration.is_served();
        let remote_config = match &desired.config {
            _ if !said.offer => None,
            Intent::Want(offer) if served && self.was_offered(offer) => Some(Arc::clone(offer)),
            Intent::Unmanaged | Intent::Hold(_) | Intent::Want(_) => return None,
        };
        let connection = match &desired.connection {
            _ if !said.connection => None,
            Some(offer) if served && self.was_offered_connection(offer) => Some(Arc::clone(offer)),
            Some(_) | None => return None,
        };
        Some(Reply::Update(Update {
            full_state: said.full_state,
            available_components: said.components,
            capabilities: true,
            new_uid: self.contact.new_uid,
            remote_config,
            connection,
            ..Update::default()
        }))
    }

    /// Whether this is what the link was offered last, and may still go to the agent.
    fn was_offered(&self, offer: &Offer) -> bool {
        let digest = offer.stamp.digest;
        let here = self.contact.offered.is_some_and(|(known, _)| known == digest);
        here && self.may_be_offered(digest)
    }

    fn was_offered_connection(&self, offer: &ConnectionOffer) -> bool {
        let here = self.contact.connection_offered;
        here.is_some_and(|(known, _)| known == offer.hash)
    }

    /// Forgets that something was to be offered once more when it is wanted no longer, or was refused. Whether it did.
    fn drop_spent_order(&mut self, desired: &Desired) -> bool {
        let delivery = &self.agent.delivery;
        let spent = delivery.again.is_some_and(|again| {
            desired.digest() != Some(again.digest) || delivery.failure_of(again.digest).is_some()
        });
        if spent {
            Arc::make_mut(self.agent).delivery.again = None;
        }
        spent
    }

    /// A pending command, taken out of the record: at most once (S-293), and not long after it was meant.
    fn command(&mut self, now: Timestamp) -> Option<Command> {
        let agent = &self.agent;
        let order = agent.delivery.restart.as_ref()?;
        if now.since(order.at) > RestartOrder::VALID {
            Arc::make_mut(self.agent).delivery.restart = None;
            return None;
        }
        let accepts = agent
            .reported
            .capabilities
            .has(Capabilities::ACCEPTS_RESTART_COMMAND);
        if !accepts || !agent.registration.is_served() {
            return None;
        }
        Arc::make_mut(self.agent).delivery.restart = None;
        Some(Command::Restart)
    }

    fn asks_for_full_state(&mut self, now: Timestamp) -> bool {
        let Asking::Due { at, asked } = self.contact.asking else {
            return false;
        };
        if now < at {
            return false;
        }
        if asked >= Asking::LIMIT {
            // Nothing more comes: what we have is what there is.
            self.contact.asking = Asking::No;
            Arc::make_mut(self.agent).reported.completeness = Completeness::Incomplete;
            return false;
        }
        self.contact.asking = self.contact.asking.after_asking(now, self.contact.transport);
        true
    }

    fn asks_for_components(&mut self) -> bool {
        let reported = &self.agent.reported;
        let unknown = reported
            .components
            .as_ref()
            .is_some_and(|components| components.known.is_none());
        let asks = unknown
            && reported
                .capabilities
                .has(Capabilities::REPORTS_AVAILABLE_COMPONENTS)
            && self.contact.components_asked < Contact::COMPONENT_ASKS;
        if asks {
            self.contact.components_asked += 1;
        }
        asks
    }

    /// Whether `digest` may go to this agent at all: it takes configurations and this one didn't fail here.
    fn may_be_offered(&self, digest: Digest) -> bool {
        self.agent
            .reported
            .capabilities
            .has(Capabilities::ACCEPTS_REMOTE_CONFIG)
            && self.agent.delivery.hold.is_none()
            && self.agent.delivery.failure_of(digest).is_none()
    }

    /// The offer that is due by the table of S-135.
    fn offers(&self, desired: &Desired) -> Option<Arc<Offer>> {
        let Intent::Want(offer) = &desired.config else {
            return None;
        };
        let wanted = offer.stamp.digest;
        // A stale agent would be made to apply again what it may already run.
        let stale = self.contact.asking != Asking::No && !desired.own;
        if stale || !self.may_be_offered(wanted) {
            return None;
        }
        if self.agent.delivery.is_again(wanted) {
            return Some(Arc::clone(offer));
        }
        if self.agent.delivery.settled_on(wanted) {
            return None;
        }
        let offered_here = self.contact.offered.filter(|(digest, _)| *digest == wanted);
        let reports = self
            .agent
            .reported
            .capabilities
            .has(Capabilities::REPORTS_REMOTE_CONFIG);
        let due = match offered_here {
            // Without status reports: once per change and once per restart of the agent.
            _ if !reports => self
                .agent
                .delivery
                .offered
                .is_none_or(|offered| offered.digest != wanted),
            // Once per connection while it isn't acknowledged.
            None => true,
            // A status that names something else, after the offer: a limited number of times.
            Some((_, times)) => self.contact.status_reported && times < Contact::OFFERS_PER_LINK,
        };
        due.then(|| Arc::clone(offer))
    }

    /// Notes an offer on the link and in the record. Whether the record changed.
    fn note_offer(&mut self, digest: Digest, now: Timestamp) -> bool {
        let times = self
            .contact
            .offered
            .filter(|(known, _)| *known == digest)
            .map_or(0, |(_, times)| times);
        self.contact.offered = Some((digest, times.saturating_add(1)));
        let delivery = &self.agent.delivery;
        let known = delivery.offered.is_some_and(|offered| offered.digest == digest);
        if known && delivery.again.is_none() {
            return false;
        }
        let delivery = &mut Arc::make_mut(self.agent).delivery;
        delivery.offered = Some(Offered { digest, at: now });
        delivery.again = None;
        true
    }
}
