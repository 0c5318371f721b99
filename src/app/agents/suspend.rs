//! Holding and detaching agents, giving them back, and offering once more what they took.

use crate::app::App;
use crate::app::error::Error;
use crate::auth::actor::Actor;
use crate::fleet::agent::health::APPLYING_OVERDUE;
use crate::fleet::agent::{Happening, Offered, Verdict};
use crate::fleet::ids::AgentId;
use crate::fleet::suspension::{Suspension, SuspensionKind, Terms};
use crate::store::AuditEntry;

impl App {
    /// Keeps deliveries from an agent. Its verdicts, its group and its own target stay as they are.
    pub(super) async fn suspend(
        &self,
        id: AgentId,
        entry: AuditEntry,
        kind: SuspensionKind,
        terms: Terms,
    ) -> Result<(), Error> {
        let at = entry.at;
        let told = terms.clone();
        self.edit_registration(id, entry, |registration| {
            // One would end with the other, and the agent be sent something unexpectedly.
            match (kind, registration.suspension.as_ref().map(|present| present.kind)) {
                (SuspensionKind::Held, Some(SuspensionKind::Detached)) => Err(Error::Conflict(
                    "the agent is detached, so nothing is sent to it; attach it first".into(),
                )),
                (SuspensionKind::Detached, Some(SuspensionKind::Held)) => {
                    Err(Error::Conflict("the agent is held; release it first".into()))
                }
                _ => {
                    registration.suspension = Some(Suspension { kind, terms });
                    Ok(())
                }
            }
        })
        .await?;
        let happening = match kind {
            SuspensionKind::Held => Happening::Held { terms: told },
            SuspensionKind::Detached => Happening::Detached { terms: told },
        };
        self.happen(id, happening, at);
        Ok(())
    }

    /// Ends every hold of an agent: an operator's, and one that the server took upon itself.
    pub(super) async fn release(&self, actor: &Actor, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        let snapshot = self.snapshot_of(id)?;
        let (registration, delivery) = (&snapshot.agent.registration, &snapshot.agent.delivery);
        if registration.is_detached() && delivery.hold.is_none() {
            return Err(Error::Conflict(
                "the agent is detached, not held; attach it".into(),
            ));
        }
        let at = entry.at;
        let held = registration.is_held() || delivery.hold.is_some();
        if registration.is_held() {
            self.edit_registration(id, entry.clone(), |registration| {
                registration
                    .suspension
                    .take_if(|found| found.kind == SuspensionKind::Held);
                Ok(())
            })
            .await?;
        }
        if delivery.hold.is_some() || !held {
            self.edit_delivery(id, entry, |delivery| {
                delivery.hold = None;
                Ok(())
            })
            .await?;
        }
        if held {
            let by = actor.name.clone();
            self.happen(id, Happening::Released { by }, at);
        }
        Ok(())
    }

    /// Gives a detached agent back to its group.
    pub(super) async fn attach(&self, actor: &Actor, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        let at = entry.at;
        self.edit_registration(id, entry, |registration| {
            let detached = |found: &mut Suspension| found.kind == SuspensionKind::Detached;
            match registration.suspension.take_if(detached) {
                Some(_) => Ok(()),
                None => Err(Error::Conflict("the agent is not detached".into())),
            }
        })
        .await?;
        let by = actor.name.clone();
        self.happen(id, Happening::Released { by }, at);
        Ok(())
    }

    /// Has what is wanted offered once more to an agent that took it and runs something else, or doesn't say what it runs;
    /// and to one that was offered it long ago and doesn't answer, for the offer may never have arrived.
    pub(super) async fn reapply(&self, actor: &Actor, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        let snapshot = self.snapshot_of(id)?;
        self.compare_one(&snapshot.agent);
        let judged = self.intentions.judge(&snapshot.agent);
        let overdue = entry.at.since(judged.since) > APPLYING_OVERDUE;
        let refused = |why: &str| Err(Error::Conflict(why.into()));
        let digest = match (judged.verdict, judged.wanted) {
            (Verdict::Drifted | Verdict::Unverified, Some(wanted)) => wanted,
            (Verdict::Applying, Some(wanted)) if overdue => wanted,
            (Verdict::Failed | Verdict::SelfReverted, _) => {
                return refused("the agent refused what is wanted; retry it instead");
            }
            (Verdict::InSync, _) => return refused("the agent runs what is wanted"),
            (Verdict::Pending | Verdict::Applying | Verdict::Unknown, _) => {
                return refused("the agent has yet to take what is wanted; give it a few minutes");
            }
            (Verdict::NotCapable, _) => return refused("the agent takes no configuration"),
            _ => return refused("nothing is wanted of the agent, or it is held"),
        };
        let at = entry.at;
        self.edit_delivery(id, entry, |delivery| {
            delivery.again = Some(Offered { digest, at });
            Ok(())
        })
        .await?;
        let by = actor.name.clone();
        self.happen(id, Happening::ReapplyOrdered { by }, at);
        Ok(())
    }
}
