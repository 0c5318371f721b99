//! What a report brings that is written later: bodies and sets of components.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::App;
use crate::app::live::{Entry, Snapshot};
use crate::app::pending::Pending;
use crate::fleet::agent::report::Component;
use crate::fleet::config::ConfigMap;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::store::Batch;

impl App {
    /// Keeps that an agent arrived with what it was offered. When that fails it is noticed again at its next arrival.
    pub(super) async fn keep_arrival(&self, id: AgentId, before: Option<Snapshot>) {
        let mut batch = Batch::new();
        batch.vital();
        if let Some(snapshot) = self.live.get(id) {
            batch.put(&id, &snapshot.agent.delivery);
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(agent_id = %id, error = %error, "an agent's arrival could not be made durable");
            let connection = before.and_then(|before| before.agent.delivery.connection.clone());
            self.live.with(id, |entry| {
                Arc::make_mut(&mut entry.agent).delivery.connection = connection;
            });
        }
    }

    /// Keeps contents that a report brought, for the flush to write.
    pub(super) fn keep_contents(
        &self,
        id: AgentId,
        effective: Option<ConfigMap>,
        components: Option<BTreeMap<String, Component>>,
    ) {
        if effective.is_some() {
            self.compare.activate();
        }
        if let Some(content) = effective
            && self.pending.body(content.to_canonical()) > Pending::FULL_BYTES
        {
            self.flush.activate();
        }
        if let Some(set) = components
            && let Ok(json) = serde_json::to_vec(&set)
        {
            let digest = Digest::of(&json);
            self.pending.body(json);
            self.live.with(id, |entry| self.learn_components(entry, digest));
        } else {
            self.live.with(id, |entry| self.recall_components(entry));
        }
    }

    /// Remembers a set of components under the agent's own hash of it, apart for each kind of agent (S-282).
    fn learn_components(&self, entry: &mut Entry, digest: Digest) {
        let service = entry.agent.reported.service_name.clone();
        if let Some(components) = &mut Arc::make_mut(&mut entry.agent).reported.components {
            components.known = Some(digest);
            entry.dirty.reported = true;
            self.components.learn(&service, &components.hash, digest);
        }
    }

    /// Fills in a set of components that another agent of the kind reported under the same hash.
    fn recall_components(&self, entry: &mut Entry) {
        let reported = &entry.agent.reported;
        let Some(components) = reported
            .components
            .as_ref()
            .filter(|components| components.known.is_none())
        else {
            return;
        };
        if let Some(digest) = self.components.recall(&reported.service_name, &components.hash)
            && let Some(components) = &mut Arc::make_mut(&mut entry.agent).reported.components
        {
            components.known = Some(digest);
            entry.dirty.reported = true;
        }
    }
}
