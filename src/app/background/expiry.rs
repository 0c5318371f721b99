//! Ends what operators decided for a time: holds, detachments, pins.

use crate::app::App;
use crate::app::audit_entry;
use crate::app::error::Error;
use crate::auth::actor::Actor;
use crate::fleet::agent::Happening;
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;
use crate::store::Batch;

impl App {
    /// Ends what has come to its end by now. What follows from it is the work of the reconcile loop, which comes after.
    pub(in crate::app) async fn expire(&self) {
        let now = self.clock.now();
        let over = self.live.collect(|entry| {
            let registration = &entry.agent.registration;
            registration.is_expiring(now).then_some(registration.id)
        });
        for id in over {
            if let Err(error) = self.expire_agent(id, now).await {
                tracing::error!(agent_id = %id, error = %error, "what had come to its end could not be ended");
            }
        }
        if let Err(error) = self.intentions.expire_groups(now).await {
            tracing::error!(error = %error, "the holds of groups could not be ended");
        }
    }

    async fn expire_agent(&self, id: AgentId, now: Timestamp) -> Result<(), Error> {
        let writing = self.registrations.lock(id).await;
        let before = self.snapshot_of(id)?.agent.registration.clone();
        let mut after = before.clone();
        let ended = after.expire(now);
        if ended.is_empty() {
            return Ok(());
        }
        let words: Vec<_> = ended.iter().map(|what| what.word()).collect();
        let mut entry = audit_entry(&Actor::muster(), "agent.expire", format!("agent/{id}"), now);
        entry.detail = format!("ended by itself: {}", words.join(", "));
        let mut batch = Batch::new();
        batch.vital().put(&id, &after);
        batch.audit(entry);
        self.store.commit(batch).await?;
        self.adopt_registration(&before, after);
        for what in ended {
            self.happen(id, Happening::EndedByItself { what }, now);
        }
        drop(writing);
        self.settle(id).await?;
        self.announce_agent(id);
        Ok(())
    }
}
