//! One message of an agent, from admission to the reply: observe, perform, reply.

mod before;
mod keep;
mod message;
mod route;

pub use message::{Heartbeat, Message, Spoken};

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::App;
use super::admission::Admitted;
use super::connections::Link;
use super::identities::Speaker;
use super::live::Entry;
use crate::fleet::agent::{
    Asking, Desired, Happening, HoldReason, Intent, Observed, RefusalKind, Refused, Reply, Seen, Update,
};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;
use crate::store::Batch;
use before::Before;

/// From how long a queue of agents on they are asked for their full state one after the other.
const WAVE: Duration = Duration::from_secs(1);

impl App {
    /// Takes one message of an agent. `link` is the WebSocket that it came on; over HTTP there is none.
    pub async fn exchange(&self, speaker: &Speaker, link: Option<&Arc<Link>>, message: Message) -> Spoken {
        let uid = message.uid();
        if let Some(new_uid) = link.and_then(|link| link.reassigned(uid)) {
            let update = Update {
                capabilities: true,
                new_uid: Some(new_uid),
                ..Update::default()
            };
            return Spoken {
                uid,
                reply: Reply::Update(update),
                again: false,
                agent: None,
                turn: None,
            };
        }
        let admitted = match self.admit(speaker, uid).await {
            Ok(admitted) => admitted,
            Err(refused) => {
                return Spoken {
                    uid,
                    reply: Reply::Error(refused),
                    again: false,
                    agent: None,
                    turn: None,
                };
            }
        };
        let Some(turn) = self.turn_of(admitted.agent, link).await else {
            return Spoken::refused(
                uid,
                RefusalKind::Unknown,
                "the agent's record was just deleted; try again",
            );
        };
        let (reply, again) = match self.take_up(admitted, speaker).await {
            Ok(using) => {
                let before = self.live.get(admitted.agent);
                if self.bind(admitted, link, using) {
                    self.keep_arrival(admitted.agent, before).await;
                }
                self.hear(admitted, link, message).await
            }
            Err(refused) => (Reply::Error(refused), false),
        };
        Spoken {
            agent: Some(admitted.agent),
            uid,
            reply,
            again,
            turn: Some(turn),
        }
    }

    /// The turn of an agent, for somebody on `link` or for an operator. Another link that holds it because its peer takes
    /// nothing is waited for only briefly. `None` when there is no such agent.
    pub(super) async fn turn_of(
        &self,
        agent: AgentId,
        link: Option<&Arc<Link>>,
    ) -> Option<OwnedMutexGuard<()>> {
        let turn = self.live.turn(agent)?;
        if let Ok(free) = Arc::clone(&turn).try_lock_owned() {
            return Some(free);
        }
        self.hurry(agent, link);
        Some(turn.lock_owned().await)
    }

    /// Has the link that an agent is reached by, if it isn't `link`, wait no longer for a peer that takes nothing.
    pub(super) fn hurry(&self, agent: AgentId, link: Option<&Arc<Link>>) {
        let holder = self.live.with(agent, |entry| entry.route).flatten();
        let other = holder.filter(|id| link.is_none_or(|link| link.id != *id));
        if let Some(other) = other.and_then(|id| self.connections.get(id)) {
            other.hurry();
        }
    }

    /// The short way of a heartbeat whose agent is at home on this link: one lock, nothing to wait for, no store. `None`
    /// when it has to go through [`App::exchange`].
    #[must_use]
    pub fn beat(&self, speaker: &Speaker, link: &Link, beat: Heartbeat) -> Option<Spoken> {
        if link.reassigned(beat.uid).is_some() {
            return None;
        }
        let now = self.clock.now();
        let id = self
            .identities
            .accepted_agent(speaker.credential.id, beat.uid, now)?;
        self.live.with(id, |entry| {
            let settled = entry.route == Some(link.id)
                && entry.presence.is_online()
                && entry.agent.registration.uid == Some(beat.uid)
                && entry.contact.new_uid.is_none();
            if !settled {
                return None;
            }
            let turn = Arc::clone(&entry.turn).try_lock_owned().ok()?;
            let reply = self.take_beat(entry, beat, now)?;
            Some(Spoken {
                agent: Some(id),
                uid: beat.uid,
                reply,
                again: false,
                turn: Some(turn),
            })
        })?
    }

    /// Looks whether an agent should be told something unasked. `None` when there is nothing, when it has moved to another
    /// link, or when what is to be said can't be made durable: nobody asked, and the next reconciliation looks again.
    pub async fn push(&self, link: &Arc<Link>, agent: AgentId) -> Option<Spoken> {
        let turn = self.live.turn(agent)?.lock_owned().await;
        let now = self.clock.now();
        let (uid, reply, verdict, before) = self.live.with(agent, |entry| {
            if entry.route != Some(link.id) || !entry.presence.is_online() {
                return None;
            }
            let uid = entry.agent.registration.uid?;
            let before = Before::of(entry);
            let desired = self.wanted(entry, now);
            let (reply, verdict) = Self::speak(entry, &desired, now);
            Some((uid, reply, verdict, before))
        })??;
        if matches!(&reply, Reply::Update(update) if update.is_empty()) {
            return None;
        }
        self.make_durable((agent, Batch::new()), &reply, verdict, before, now)
            .await
            .ok()?;
        let again = matches!(reply, Reply::Command(_));
        Some(Spoken {
            agent: Some(agent),
            uid,
            reply,
            again,
            turn: Some(turn),
        })
    }

    async fn hear(&self, admitted: Admitted, link: Option<&Arc<Link>>, message: Message) -> (Reply, bool) {
        let now = self.clock.now();
        let id = admitted.agent;
        if let Message::Heartbeat(beat) = message
            && let Some(reply) = self
                .live
                .with(id, |entry| self.take_beat(entry, beat, now))
                .flatten()
        {
            return (reply, false);
        }
        let mut report = message.into_report();
        // Before anything is kept, and outside of the shard's lock.
        report.parts.effective_config = report
            .parts
            .effective_config
            .map(|content| self.intentions.masked(content));
        let brings = report.parts.effective_config.is_some() || report.parts.available_components.is_some();
        if brings && self.pending.is_full() {
            return (
                Reply::Error(unavailable("the server can't store the report now")),
                false,
            );
        }
        let disconnect = report.disconnect;
        if report.requests_uid
            && !admitted.replaced
            && let Err(refused) = self.assign_uid(id, now).await
        {
            return (Reply::Error(refused), false);
        }
        // A few at once are no wave: whoever polls would otherwise wait for a whole interval.
        let turn = self.pacer.next(now);
        let ask_at = if turn.since(now) < WAVE { now } else { turn };
        let generation = self.store.generation();
        let epoch = self.store.epoch();
        let Some((before, observed)) = self.live.with(id, |entry| {
            let before = Before::of(entry);
            let seen = Seen {
                key: &self.key,
                epoch,
                generation,
                ask_at,
            };
            let observed = entry.subject().observe(report, &seen, now);
            entry.dirty.reported |= observed.reported_changed;
            entry.dirty.pulse = true;
            (before, observed)
        }) else {
            return (Reply::Error(gone()), false);
        };
        if let Some(staleness) = observed.staleness {
            self.pacer.take(now);
            self.metrics.full_state_requests.inc(staleness);
        }
        let repeated = observed.repetition.then(|| {
            self.live.with(id, |entry| {
                let desired = self.wanted(entry, now);
                entry.subject().repeat(&desired)
            })
        });
        let reply = match repeated.flatten().flatten() {
            Some(reply) => reply,
            None => self.perform(id, link, observed, before, now).await,
        };
        if disconnect {
            self.say_goodbye(id, link, "it said goodbye", now);
        }
        let again = matches!(reply, Reply::Command(_));
        (reply, again)
    }

    /// Takes a heartbeat that changes nothing. `None` when it has to be observed like any report.
    fn take_beat(&self, entry: &mut Entry, beat: Heartbeat, now: Timestamp) -> Option<Reply> {
        let desired = self.wanted(entry, now);
        let connection = desired.connection.as_ref();
        let connected = entry.subject().due_connection(connection, now).is_none();
        let converged = desired.digest().is_none_or(|digest| {
            entry.agent.delivery.settled_on(digest) || entry.contact.offered.is_some_and(|(d, _)| d == digest)
        });
        let quiet = entry.contact.asking == Asking::No && !entry.agent.delivery.has_orders();
        let Heartbeat {
            uid: _,
            sequence,
            fingerprint,
            capabilities,
        } = beat;
        let taken = quiet
            && connected
            && converged
            && entry
                .subject()
                .heartbeat(sequence, fingerprint, capabilities, now);
        entry.dirty.pulse |= taken;
        taken.then(|| Self::speak(entry, &desired, now).0)
    }

    /// What the agent should have, over the link that it has.
    fn wanted(&self, entry: &Entry, now: Timestamp) -> Desired {
        Desired {
            connection: self.wanted_connection(entry, now),
            custom: Arc::clone(&self.settings.custom_capabilities),
            ..self.desired(&entry.agent.registration)
        }
    }

    /// What the agent should hear now, and whether a verdict changed with it.
    fn speak(entry: &mut Entry, desired: &Desired, now: Timestamp) -> (Reply, bool) {
        let known = entry.agent.reported.completeness;
        let spoken = entry.subject().reply(desired, now);
        // Who was asked often enough in vain is not asked again after a restart of ours.
        entry.dirty.reported |= known != entry.agent.reported.completeness;
        spoken
    }

    /// Does what a report leads to, commits what must be durable, and computes the reply.
    async fn perform(
        &self,
        id: AgentId,
        link: Option<&Arc<Link>>,
        observed: Observed,
        before: Before,
        now: Timestamp,
    ) -> Reply {
        if observed.clone_suspected && link.is_none() {
            self.part_polling_clones(id, now);
        }
        if observed.store_went_back {
            self.note_store_went_back(id);
        }
        // Whatever becomes of the message: it is named by the reported state from here on.
        self.keep_contents(id, observed.effective_config, observed.components);
        if let Some(credential) = observed.connection_failed
            && let Err(error) = self.give_up_candidate(id, credential).await
        {
            tracing::error!(agent_id = %id, error = %error, "an unusable credential could not be given up");
            self.live.with(id, |entry| before.restore(entry));
            return Reply::Error(unavailable("the server can't store the report now"));
        }
        let facts_changed = observed.facts_changed;
        let noticed =
            !observed.happenings.is_empty() || observed.reported_changed || observed.delivery_changed;
        for happening in observed.happenings {
            self.happen(id, happening, now);
        }
        if facts_changed && let Err(error) = self.settle_in_its_turn(id).await {
            tracing::error!(agent_id = %id, error = %error, "an agent's membership could not be settled");
            self.live.with(id, |entry| before.restore(entry));
            return Reply::Error(unavailable("the server can't store the report now"));
        }
        let spoken = self.live.with(id, |entry| {
            let desired = self.wanted(entry, now);
            if facts_changed && desired.config == Intent::Hold(HoldReason::NotRendered) {
                // It has come just now, or moved: it isn't made to wait for the next look at all.
                self.reconcile.activate();
            }
            let (reply, verdict) = Self::speak(entry, &desired, now);
            (reply, verdict || observed.delivery_changed)
        });
        let Some((reply, verdict)) = spoken else {
            return Reply::Error(gone());
        };
        let mut batch = Batch::new();
        let kept = observed
            .custom_message
            .map_or(Ok(()), |message| self.keep_custom(&mut batch, id, message, now));
        if let Err(error) = kept {
            tracing::error!(agent_id = %id, error = %error, "a custom message could not be kept");
        }
        let received = !batch.is_empty();
        let durable = self.make_durable((id, batch), &reply, verdict, before, now).await;
        if noticed || received {
            self.announce_agent(id);
            self.wake_rollouts(id);
        }
        match durable {
            Ok(()) => reply,
            Err(NotDurable) => Reply::Error(unavailable("the server can't store the report now")),
        }
    }

    /// Commits what the reply depends on. When that fails the reply must not be sent, and the message counts as not
    /// processed (S-061).
    async fn make_durable(
        &self,
        (id, mut batch): (AgentId, Batch),
        reply: &Reply,
        verdict: bool,
        before: Before,
        now: Timestamp,
    ) -> Result<(), NotDurable> {
        batch.vital();
        if verdict && let Some(snapshot) = self.live.get(id) {
            batch.put(&id, &snapshot.agent.delivery);
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(agent_id = %id, error = %error, "an agent's message could not be made durable");
            self.live.with(id, |entry| before.restore(entry));
            return Err(NotDurable);
        }
        self.note_reply(id, reply, now);
        Ok(())
    }

    /// Writes what was said into metrics and timeline.
    fn note_reply(&self, id: AgentId, reply: &Reply, now: Timestamp) {
        match reply {
            Reply::Error(_) => {}
            Reply::Command(_) => self.happen(id, Happening::RestartSent, now),
            Reply::Update(update) => {
                if let Some(offer) = &update.remote_config {
                    self.metrics.offers_sent.inc();
                    self.happen(
                        id,
                        Happening::ConfigOffered {
                            digest: offer.stamp.digest,
                        },
                        now,
                    );
                    self.announce_agent(id);
                }
                if update.connection.is_some() {
                    self.happen(id, Happening::ConnectionOffered, now);
                    self.announce_agent(id);
                }
                if update.new_uid.is_some() {
                    self.happen(id, Happening::UidAssigned, now);
                }
                if let Some(sent) = &update.custom_message {
                    let (capability, message) = (sent.capability.clone(), sent.kind.clone());
                    self.happen(id, Happening::MessageSent { capability, message }, now);
                    self.announce_agent(id);
                    // The next one, if any, goes in a message of its own.
                    self.nudge(id);
                }
            }
        }
    }

    /// An agent knows a newer state than the store: it is held at once, the fleet when that can't be chance.
    fn note_store_went_back(&self, id: AgentId) {
        tracing::error!(agent_id = %id, "an agent knows offers that this store has forgotten: it went back in time");
        let held = self
            .live
            .ids(|entry| entry.agent.delivery.hold == Some(HoldReason::StoreWentBack))
            .len();
        if held >= 3 || held * 100 >= self.live.len().max(1) && self.live.len() >= 100 {
            self.intentions.hold_all(HoldReason::StoreWentBack);
        }
    }
}

/// The store didn't take what a reply depends on. It was logged, and memory is as it was before.
struct NotDurable;

/// An agent's record vanished between two steps.
fn gone() -> Refused {
    Refused {
        kind: RefusalKind::Unknown,
        message: "the agent's record was just deleted".into(),
        retry_after: None,
    }
}

/// The server can't take it now; the wait is at least 30 s and spread out (S-306).
pub(super) fn unavailable(message: &str) -> Refused {
    let retry_after = Duration::from_millis(fastrand::u64(30_000..60_000));
    Refused {
        kind: RefusalKind::Unavailable,
        message: message.to_owned(),
        retry_after: Some(retry_after),
    }
}
