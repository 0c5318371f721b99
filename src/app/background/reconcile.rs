//! Compares what every agent should have with what it said, and wakes the links of those that differ.

use std::sync::PoisonError;
use std::time::Duration;

use crate::app::App;
use crate::fleet::agent::Agent;
use crate::fleet::group::{Candidate, membership};
use crate::fleet::ids::AgentId;

impl App {
    /// Settles memberships, then nudges whoever lacks something.
    pub(in crate::app) async fn reconcile(&self) {
        if let Err(error) = self.intentions.refresh().await {
            tracing::error!(error = %error, "operators' intent could not be read again");
        }
        self.expire().await;
        self.settle_all().await;
        if let Err(error) = self.intentions.render_late(&self.fleet()).await {
            tracing::error!(error = %error, "newcomers could not be rendered what they are to have");
        }
        let lacking = self.live.collect(|entry| {
            let link = entry.route?;
            let desired = self.desired(&entry.agent.registration);
            let wants = desired.digest().is_some_and(|digest| {
                let offered = entry
                    .contact
                    .offered
                    .is_some_and(|(offered, _)| offered == digest);
                !entry.agent.delivery.settled_on(digest)
                    && !offered
                    && entry.agent.delivery.failure_of(digest).is_none()
            });
            (wants || entry.agent.delivery.has_orders()).then(|| (link, entry.agent.id()))
        });
        self.compare.activate();
        for (link, agent) in lacking {
            if let Some(link) = self.connections.get(link) {
                link.nudge(agent);
            }
        }
    }

    /// Settles every membership when the groups' rules changed. What changes at an agent settles it at once, so otherwise
    /// this only makes sure, now and then.
    async fn settle_all(&self) {
        const MAKING_SURE: Duration = Duration::from_mins(5);
        let rules = self.intentions.index().rules();
        let now = self.clock.now();
        let settled = *self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if settled.is_some_and(|(under, at)| under == rules && now.since(at) < MAKING_SURE) {
            return;
        }
        let mut all = true;
        for id in self.live.collect(|entry| Some(entry.agent.id())) {
            if let Err(error) = self.settle(id).await {
                all = false;
                tracing::error!(agent_id = %id, error = %error, "an agent's membership could not be settled");
            }
        }
        if all {
            *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Some((rules, now));
        }
    }

    /// Puts an agent that is in no store yet into its group.
    pub(in crate::app) fn place(&self, agent: &mut Agent) {
        let facts = facts(agent);
        let registration = &mut agent.registration;
        let candidate = Candidate {
            labels: &registration.labels,
            facts: &facts,
            pin: registration.pin.as_ref(),
            token_group: registration.token_group.as_ref(),
        };
        let index = self.intentions.index();
        let decided = membership(&candidate, index.claimants());
        registration.settle(decided, |group| index.keeps_by_facts(group));
    }

    /// Moves an agent to the group that it belongs to now, durably.
    ///
    /// # Errors
    /// When the store can't take it.
    pub(in crate::app) async fn settle(&self, id: AgentId) -> Result<(), crate::app::error::Error> {
        let differs = |agent: &Agent| {
            let mut settled = agent.clone();
            self.place(&mut settled);
            if settled.registration.group != agent.registration.group && self.is_rolling(agent.id()) {
                // Nobody changes target in the middle of a rollout: it moves when that is over.
                settled.registration.group = agent.registration.group.clone();
                settled.registration.because = agent.registration.because.clone();
            }
            (settled.registration != agent.registration).then_some(settled.registration)
        };
        let Some(snapshot) = self.live.get(id) else {
            return Ok(());
        };
        if differs(&snapshot.agent).is_none() {
            return Ok(());
        }
        let _writing = self.registrations.lock(id).await;
        let Some(snapshot) = self.live.get(id) else {
            return Ok(());
        };
        let Some(after) = differs(&snapshot.agent) else {
            return Ok(());
        };
        let before = &snapshot.agent.registration;
        let mut batch = crate::store::Batch::new();
        batch.put(&id, &after);
        self.store.commit(batch).await?;
        if before.group != after.group {
            let group = after.group.clone();
            self.happen(
                id,
                crate::fleet::agent::Happening::GroupChanged { group },
                self.clock.now(),
            );
        }
        self.adopt_registration(before, after);
        self.announce_agent(id);
        Ok(())
    }
}

fn facts(agent: &Agent) -> crate::fleet::attributes::Facts {
    agent
        .reported
        .description
        .as_ref()
        .map(|packed| packed.unpack().facts())
        .unwrap_or_default()
}
