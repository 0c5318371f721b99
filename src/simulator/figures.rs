//! What a simulation counts, and how it is shown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use super::agent::Event;
use super::latencies::{Latencies, Latency, millis};
use crate::fleet::agent::RefusalKind;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened since the simulation started or was reset.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }
        impl Counters {
            fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
            fn reset(&self) {
                $(self.$name.store(0, Ordering::Relaxed);)*
            }
        }
        impl Counts {
            /// Names and numbers, in their order.
            #[must_use]
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counts! {
    /// Credentials got for enrolment tokens.
    enrolled,
    /// Connections made for OpAMP, the first of each agent.
    connects,
    /// Connections made for OpAMP by agents that had one before.
    reconnects,
    /// Connections that ended without the agent wanting it.
    disconnects,
    /// Messages sent.
    messages_sent,
    /// Messages received.
    messages_received,
    /// Protobuf bytes sent.
    bytes_sent,
    /// Protobuf bytes received.
    bytes_received,
    /// Reports of everything.
    full_reports_sent,
    /// Times that the server asked for everything.
    full_state_requests,
    /// Agents that were asked for everything more than once.
    agents_asked_again,
    /// Times that the server asked for components.
    component_requests,
    /// Heartbeats and polls with nothing new.
    heartbeats_sent,
    /// Answers to those whose answer can be told from others.
    heartbeats_answered,
    /// Configurations offered.
    offers,
    /// Of these, to an agent that ran it already or had failed with it.
    offers_repeated,
    /// Configurations applied, and the server has answered to that.
    applied,
    /// Configurations that agents failed with, and the server has answered to that.
    failed,
    /// Restarts that the server asked for.
    restarts,
    /// Uids that the server gave.
    renamed,
    /// Messages for somebody else.
    misdirected,
}

/// What a simulation has seen since it started or was reset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How long that is.
    pub seconds: f64,
    /// The agents.
    pub agents: u64,
    /// Those that are connected and were answered; over HTTP, those whose last poll was answered.
    pub online: u64,
    /// Those that fell silent on purpose.
    pub dark: u64,
    /// Since the beginning of this phase, until all agents were online; `None` when that wasn't reached.
    pub all_online_ms: Option<f64>,
    /// What happened how often.
    #[serde(flatten)]
    pub counts: Counts,
    /// From opening a socket to the answer to the first message: TCP, TLS, upgrade and the first exchange.
    pub connect: Latency,
    /// From a heartbeat to its answer.
    pub heartbeat: Latency,
    /// From an offer to the server's answer to the report that it was applied, each.
    pub apply: Latency,
    /// From the first offer to any agent until the last answer to a report that one was applied.
    pub first_offer_to_last_applied_ms: Option<f64>,
    /// HTTP answers other than success, by status.
    pub refusals: BTreeMap<u16, u64>,
    /// `ServerErrorResponse`s by type.
    pub error_responses: BTreeMap<&'static str, u64>,
    /// What went wrong on the agents' side, by kind.
    pub errors: BTreeMap<&'static str, u64>,
}

/// The figures while they are written.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) counters: Counters,
    pub(super) connect: Latencies,
    pub(super) heartbeat: Latencies,
    pub(super) apply: Latencies,
    pub(super) agents: u64,
    online: AtomicU64,
    dark: AtomicU64,
    /// Agents that haven't obeyed the last order yet.
    ordered: AtomicU64,
    /// Counts resets.
    phase: AtomicU64,
    /// The rest are times since the start in microseconds plus 1; 0 stands for none.
    began: AtomicU64,
    all_online: AtomicU64,
    first_offer: AtomicU64,
    last_applied: AtomicU64,
    kinds: Mutex<Kinds>,
    /// Wakes those who wait for a figure.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kinds {
    refusals: BTreeMap<u16, u64>,
    error_responses: BTreeMap<&'static str, u64>,
    errors: BTreeMap<&'static str, u64>,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn mark(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX - 1) + 1
}

impl Gauge {
    pub(super) fn new(agents: u64) -> Self {
        Self {
            agents,
            ..Self::default()
        }
    }

    pub(super) fn phase(&self) -> u64 {
        self.phase.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, event: Event, at: Duration) {
        let counters = &self.counters;
        match event {
            Event::FullStateAsked => add(&counters.full_state_requests),
            Event::ComponentsAsked => add(&counters.component_requests),
            Event::Offered { again } => {
                add(&counters.offers);
                if again {
                    add(&counters.offers_repeated);
                }
                let _ = self
                    .first_offer
                    .compare_exchange(0, mark(at), Ordering::Relaxed, Ordering::Relaxed);
            }
            Event::Applied => {
                add(&counters.applied);
                self.last_applied.fetch_max(mark(at), Ordering::Relaxed);
            }
            Event::Failed => add(&counters.failed),
            Event::RestartAsked => add(&counters.restarts),
            Event::Renamed => add(&counters.renamed),
            Event::Misdirected => add(&counters.misdirected),
            Event::Refused(kind) => {
                let word = match kind {
                    RefusalKind::Unknown => "unknown",
                    RefusalKind::BadRequest => "bad_request",
                    RefusalKind::Unavailable => "unavailable",
                };
                *self.kinds().error_responses.entry(word).or_default() += 1;
            }
        }
        if matches!(event, Event::Applied | Event::Failed) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn refused(&self, status: u16) {
        *self.kinds().refusals.entry(status).or_default() += 1;
    }

    pub(super) fn error(&self, kind: &'static str) {
        *self.kinds().errors.entry(kind).or_default() += 1;
    }

    pub(super) fn came_online(&self, at: Duration) {
        if self.online.fetch_add(1, Ordering::Relaxed) + 1 == self.agents {
            let _ = self
                .all_online
                .compare_exchange(0, mark(at), Ordering::Relaxed, Ordering::Relaxed);
        }
        self.changed.notify_waiters();
    }

    pub(super) fn went_offline(&self) {
        self.online.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(super) fn went_dark(&self) {
        add(&self.dark);
    }

    pub(super) fn came_back_from_the_dark(&self) {
        self.dark.fetch_sub(1, Ordering::Relaxed);
    }

    /// All agents were ordered to do something.
    pub(super) fn order(&self) {
        self.ordered.store(self.agents, Ordering::Relaxed);
    }

    /// An agent has obeyed.
    pub(super) fn obeyed(&self) {
        let _ = self
            .ordered
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        self.changed.notify_waiters();
    }

    /// Whether nobody has still to obey, and so many are online.
    pub(super) fn has_online(&self, wanted: u64) -> bool {
        self.ordered.load(Ordering::Relaxed) == 0 && self.online() >= wanted
    }

    /// Begins to count anew; who is online stays.
    pub(super) fn reset(&self, at: Duration) {
        self.counters.reset();
        for latencies in [&self.connect, &self.heartbeat, &self.apply] {
            latencies.reset();
        }
        for mark in [&self.all_online, &self.first_offer, &self.last_applied] {
            mark.store(0, Ordering::Relaxed);
        }
        *self.kinds() = Kinds::default();
        self.began.store(mark(at), Ordering::Relaxed);
        add(&self.phase);
    }

    /// Waits until `reached` says yes.
    pub(super) async fn wait(&self, reached: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if reached(self) {
                return;
            }
            changed.await;
        }
    }

    fn online(&self) -> u64 {
        self.online.load(Ordering::Relaxed)
    }

    pub(super) fn verdicts(&self) -> u64 {
        self.counters.applied.load(Ordering::Relaxed) + self.counters.failed.load(Ordering::Relaxed)
    }

    pub(super) fn figures(&self, at: Duration) -> Figures {
        let load = |mark: &AtomicU64| Some(mark.load(Ordering::Relaxed)).filter(|mark| *mark > 0);
        let began = load(&self.began).unwrap_or(1);
        let since = |from: Option<u64>, to: Option<u64>| Some(millis(to?.saturating_sub(from?)));
        let kinds = self.kinds();
        Figures {
            seconds: millis(mark(at).saturating_sub(began)) / 1000.0,
            agents: self.agents,
            online: self.online(),
            dark: self.dark.load(Ordering::Relaxed),
            all_online_ms: since(Some(began), load(&self.all_online)),
            counts: self.counters.counts(),
            connect: self.connect.summary(),
            heartbeat: self.heartbeat.summary(),
            apply: self.apply.summary(),
            first_offer_to_last_applied_ms: since(load(&self.first_offer), load(&self.last_applied)),
            refusals: kinds.refusals.clone(),
            error_responses: kinds.error_responses.clone(),
            errors: kinds.errors.clone(),
        }
    }

    fn kinds(&self) -> std::sync::MutexGuard<'_, Kinds> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_forgets_what_was_counted_and_not_who_is_there() {
        let gauge = Gauge::new(2);
        let at = Duration::from_millis;
        gauge.came_online(at(5));
        gauge.came_online(at(9));
        gauge.note(Event::Offered { again: true }, at(10));
        gauge.note(Event::Offered { again: false }, at(11));
        gauge.note(Event::Applied, at(14));
        gauge.refused(503);
        let figures = gauge.figures(at(20));
        assert_eq!((figures.online, figures.all_online_ms), (2, Some(9.0)));
        assert_eq!((figures.counts.offers, figures.counts.offers_repeated), (2, 1));
        assert_eq!(figures.first_offer_to_last_applied_ms, Some(4.0));
        assert_eq!(figures.refusals, BTreeMap::from([(503, 1)]));
        gauge.reset(at(30));
        gauge.went_offline();
        gauge.came_online(at(42));
        let figures = gauge.figures(at(50));
        assert_eq!(figures.counts, Counts::default());
        assert_eq!((figures.online, figures.all_online_ms), (2, Some(12.0)));
        assert_eq!(
            (figures.first_offer_to_last_applied_ms, figures.refusals.len()),
            (None, 0)
        );
        assert!((figures.seconds - 0.02).abs() < 1e-9);
    }
}
