//! The use cases: the one door to memory and store. Pages, API, CLI and agents all come through here; permission and
//! audit are settled here.

pub mod accounts;
mod admission;
pub mod adopt;
pub mod agents;
pub mod audit;
mod background;
pub mod certificates;
pub mod changes;
pub mod claims;
pub mod clock;
mod components;
pub mod configs;
pub mod connections;
pub mod enrolment;
pub mod error;
pub mod exchange;
mod fleet_intent;
mod group_holds;
pub mod groups;
pub mod identities;
pub mod intentions;
pub mod join;
mod live;
mod load;
mod masking;
pub mod messages;
pub mod offers;
pub mod overview;
pub mod own_targets;
mod pacer;
mod pending;
pub mod publish;
pub mod randomness;
pub mod records;
pub mod rendered;
mod rendering;
pub mod rollouts;
pub mod secrets;
mod stripes;
pub mod survey;
pub mod system;
pub mod tasks;
pub mod terms;
mod tokens;
pub mod validation;
pub mod vault;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use changes::Changes;
use clock::Clock;
use error::Error;
use tasks::{Activation, Tasks};

use crate::auth::actor::Actor;
use crate::fleet::agent::{Desired, Happening, Registration};
use crate::fleet::hash::{Digest, HashKey};
use crate::fleet::ids::{AgentId, InstanceUid};
use crate::fleet::time::Timestamp;
use crate::observability::metrics::Metrics;
use crate::store::{AuditEntry, Store};

/// What the use cases can be set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a polling agent may be silent before it is taken as gone.
    pub http_silence: Duration,
    /// How many agents a second are asked for their full state.
    pub full_state_requests_per_second: u32,
    /// The collector that validates configurations beside our own checks; `None`: nobody.
    pub validation: Option<validation::Settings>,
    /// What agents are told about their connections.
    pub connection: offers::Settings,
    /// The custom capabilities that this server announces.
    pub custom_capabilities: Arc<[String]>,
    /// How large a message to an agent may be, in bytes.
    pub message_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http_silence: Duration::from_secs(150),
            full_state_requests_per_second: 200,
            validation: None,
            connection: offers::Settings::default(),
            custom_capabilities: Arc::default(),
            message_bytes: 1 << 20,
        }
    }
}

/// Everything that is known, and the way to change it.
#[derive(Debug)]
pub struct App {
    tasks: Tasks,
    /// How far verifying the records has come.
    scrub: Mutex<system::Scrub>,
    clock: Clock,
    store: Store,
    key: HashKey,
    settings: Settings,
    started: Timestamp,
    /// What changed, for browsers.
    pub changes: Changes,
    /// People and scripts.
    pub accounts: accounts::Accounts,
    /// The audit log.
    pub audit: audit::Audit,
    /// Operators' intent about configurations.
    pub intentions: intentions::Intentions,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
    live: live::Live,
    identities: identities::Identities,
    tokens: tokens::Tokens,
    connections: connections::Connections,
    components: components::Components,
    pending: pending::Pending,
    inboxes: messages::Inboxes,
    pacer: pacer::Pacer,
    admissions: stripes::Stripes,
    /// One change of an agent's registration at a time. Never held when the turn to change intent is waited for.
    registrations: stripes::Stripes,
    /// One change of an enrolment token at a time.
    enrolments: stripes::Stripes,
    reconcile: Activation,
    rollouts: Activation,
    pace: rollouts::Pace,
    flush: Activation,
    /// Held while contents and what refers to them are on their way to the store: no number may be stored ahead of the
    /// state that it covers, and no content be collected meanwhile.
    flushing: tokio::sync::Mutex<()>,
    compare: Activation,
    pulse_rows: AtomicU64,
    /// When pulses were last written, as a [`Timestamp`].
    pulses_at: AtomicU64,
    given_certificate: arc_swap::ArcSwapOption<certificates::GivenCertificate>,
    /// The groups' rules under which all agents were settled last, and when.
    settled: Mutex<Option<(Digest, Timestamp)>>,
    /// Agents that are to be settled although the rules didn't change.
    arrivals: Mutex<BTreeSet<AgentId>>,
}

impl App {
    /// The clock that everything goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Adds to an agent's timeline.
    fn happen(&self, agent: AgentId, happening: Happening, now: Timestamp) {
        self.pending.happen(agent, happening, now);
    }

    /// Has an agent's link look whether there is something to tell it.
    fn nudge(&self, agent: AgentId) {
        let link = self.live.with(agent, |entry| entry.route).flatten();
        if let Some(link) = link.and_then(|link| self.connections.get(link)) {
            link.nudge(agent);
        }
    }

    /// Follows a registration that was just made durable.
    fn adopt_registration(&self, before: &Registration, after: Registration) {
        self.identities.change(before, &after);
        self.live.with(after.id, |entry| {
            Arc::make_mut(&mut entry.agent).registration = after;
        });
    }

    /// What an agent should have.
    fn desired(&self, registration: &Registration) -> Desired {
        self.intentions.desired(registration)
    }

    /// Asks all agents' connections to close, for a stop.
    pub fn close_all_links(&self) {
        for link in self.connections.all() {
            link.close(connections::CloseReason::Stopping);
        }
    }

    /// How many connections of agents are open.
    #[must_use]
    pub fn open_links(&self) -> usize {
        self.connections.len()
    }
}

/// A UUID v7 for an agent that needs a uid.
fn new_uid(now: Timestamp) -> Result<InstanceUid, Error> {
    uuid_v7(now).map(InstanceUid)
}

/// An identity for a new record; ids of records made one after the other lie side by side in the store.
fn new_agent_id(now: Timestamp) -> Result<AgentId, Error> {
    uuid_v7(now).map(AgentId)
}

fn uuid_v7(now: Timestamp) -> Result<[u8; 16], Error> {
    let random = randomness::random()?;
    Ok(uuid::Builder::from_unix_timestamp_millis(now.millis(), &random)
        .into_uuid()
        .into_bytes())
}

/// An audit entry of an actor, without digests and detail.
fn audit_entry(actor: &Actor, action: &str, object: String, now: Timestamp) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: actor.name.clone(),
        action: action.to_owned(),
        object,
        address: actor.address.map(|address| address.to_string()),
        ..AuditEntry::default()
    }
}
