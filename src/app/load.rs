//! A start: everything that the store knows comes into memory.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::accounts::Accounts;
use super::audit::Audit;
use super::changes::Changes;
use super::clock::Clock;
use super::error::Error;
use super::intentions::Intentions;
use super::live::{Entry, Live};
use super::records::{ComponentSet, PulseRow, Pulses};
use super::tasks::{Activation, Tasks};
use super::vault::Keys;
use super::{App, Settings, components, connections, identities, pacer, pending, stripes, tokens};
use crate::fleet::agent::{Agent, Delivery, Pulse, Registration, Reported};
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::identity::Credential;
use crate::fleet::ids::AgentId;
use crate::observability::metrics::Metrics;
use crate::store::{ReadError, Store};

impl App {
    /// Reads the store. `keys` prove our config hashes and open secrets; what must not end with a request runs in `tasks`.
    ///
    /// # Errors
    /// When the store can't be read. Records that can't be are left out and told of ([`Store::unreadable`]).
    pub fn load(
        store: Store,
        clock: Clock,
        keys: Keys,
        settings: Settings,
        metrics: Arc<Metrics>,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, Error> {
        let changes = Changes::default();
        let reconcile = Activation::new();
        let intentions = Intentions::load(
            store.clone(),
            clock.clone(),
            keys.clone(),
            reconcile.clone(),
            changes.clone(),
        )?
        .with_validation(settings.validation.clone())
        .for_messages_of(settings.message_bytes);
        let audit = Audit::new(store.clone(), clock.clone(), tasks.clone());
        let accounts = Accounts::load(store.clone(), clock.clone(), tasks.clone(), audit.clone())?;
        let pacer = pacer::Pacer::per_second(settings.full_state_requests_per_second);
        let app = Self {
            started: clock.now(),
            tasks: tasks.clone(),
            scrub: Mutex::default(),
            clock,
            key: keys.hash,
            settings,
            changes,
            metrics,
            accounts,
            audit,
            intentions,
            live: Live::new(),
            identities: identities::Identities::default(),
            tokens: tokens::Tokens::default(),
            connections: connections::Connections::default(),
            components: components::Components::default(),
            pending: pending::Pending::default(),
            inboxes: super::messages::Inboxes::default(),
            pacer,
            admissions: stripes::Stripes::default(),
            registrations: stripes::Stripes::default(),
            enrolments: stripes::Stripes::default(),
            reconcile,
            rollouts: Activation::new(),
            pace: super::rollouts::Pace::default(),
            flush: Activation::new(),
            flushing: tokio::sync::Mutex::default(),
            compare: Activation::new(),
            pulse_rows: AtomicU64::new(0),
            pulses_at: AtomicU64::new(0),
            given_certificate: arc_swap::ArcSwapOption::empty(),
            settled: Mutex::default(),
            arrivals: Mutex::default(),
            store,
        };
        app.load_credentials()?;
        app.load_agents()?;
        app.reconcile.activate();
        app.compare.activate();
        Ok(Arc::new(app))
    }

    fn load_credentials(&self) -> Result<(), ReadError> {
        for (_, found) in self.store.survey::<Credential>()?.rows {
            self.identities.put_credential(found.record);
        }
        for (_, found) in self.store.survey::<EnrolmentToken>()?.rows {
            self.tokens.put(found.record);
        }
        for (key, found) in self.store.survey::<ComponentSet>()?.rows {
            self.components.load(key, &found.record);
        }
        Ok(())
    }

    fn load_agents(&self) -> Result<(), ReadError> {
        let mut reports: HashMap<AgentId, Reported> = HashMap::new();
        for (id, found) in self.store.survey::<Reported>()?.rows {
            reports.insert(id, found.record);
        }
        let mut deliveries: HashMap<AgentId, Delivery> = HashMap::new();
        for (id, found) in self.store.survey::<Delivery>()?.rows {
            deliveries.insert(id, found.record);
        }
        let mut pulses: HashMap<AgentId, PulseRow> = HashMap::new();
        let rows = self.store.survey::<Pulses>()?.rows;
        self.pulse_rows
            .store(rows.len() as u64, std::sync::atomic::Ordering::Relaxed);
        for row in rows.into_iter().flat_map(|(_, found)| found.record.agents) {
            pulses.insert(row.id, row);
        }
        for (id, found) in self.store.survey::<Registration>()?.rows {
            let mut agent = Agent::new(found.record);
            agent.reported = reports.remove(&id).unwrap_or_default();
            agent.delivery = deliveries.remove(&id).unwrap_or_default();
            self.identities.add(&agent.registration);
            let pulse = pulse_of(&agent.reported, pulses.get(&id));
            self.live.insert(Entry::known(agent, pulse, self.started));
        }
        Ok(())
    }
}

/// Where an agent's numbers stand: as its state says, or as the pulses say where those are newer. The state was written
/// with every pulse, so neither number is newer than the state.
fn pulse_of(reported: &Reported, row: Option<&PulseRow>) -> Pulse {
    let newer = row.filter(|row| row.last_seen >= reported.heard_at);
    Pulse {
        sequence: newer.map_or(reported.sequence, |row| row.sequence),
        last_seen: newer.map_or(reported.heard_at, |row| row.last_seen),
        ..Pulse::default()
    }
}
