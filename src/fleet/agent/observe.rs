//! Folding a report into what we know. Total: any report, in any order.

mod continuity;
mod take;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Subject;
use super::contact::{Asking, Transport};
use super::happening::Happening;
use super::report::{Component, Parts, Report};
use super::reported::Completeness;
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::ConfigMap;
use crate::fleet::custom::CustomMessage;
use crate::fleet::hash::HashKey;
use crate::fleet::ids::CredentialId;
use crate::fleet::time::Timestamp;
use continuity::Continuity;

/// What a report is judged by, besides the agent itself.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The key that proves our hashes.
    pub key: &'a HashKey,
    /// The store's epoch.
    pub epoch: u64,
    /// The newest generation that the store knows.
    pub generation: u64,
    /// When an agent with a gap may be asked for its full state; later than now while many are being asked.
    pub ask_at: Timestamp,
}

/// What a report changed, and what is to be done about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The same message as the last one: nothing was processed, the answer is to be repeated.
    pub repetition: bool,
    /// Reported state changed: to be flushed later.
    pub reported_changed: bool,
    /// A verdict changed: to be committed before the answer.
    pub delivery_changed: bool,
    /// The description changed: the agent may belong to another group.
    pub facts_changed: bool,
    /// Why the agent is asked for its full state, if it is.
    pub staleness: Option<Staleness>,
    /// For the agent's timeline.
    pub happenings: Vec<Happening>,
    /// A configuration in use that was not known before.
    pub effective_config: Option<ConfigMap>,
    /// A set of components that came with its members.
    pub components: Option<BTreeMap<String, Component>>,
    /// The agent is held from now on: it knows offers that the store has forgotten.
    pub store_went_back: bool,
    /// Two agents seem to share the uid.
    pub clone_suspected: bool,
    /// The credential of a connection offer that the agent could not use.
    pub connection_failed: Option<CredentialId>,
    /// A custom message that came with it.
    pub custom_message: Option<CustomMessage>,
}

/// Why an agent's state can't be trusted to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Staleness {
    /// Its number doesn't continue: a report was lost.
    Gap,
    /// It begins in the middle: nothing is known of it.
    Unknown,
}

impl Subject<'_> {
    /// Takes a heartbeat, a message of nothing but uid, number and capabilities, without touching the agent. `false`
    /// when the message needs [`Subject::observe`]: the agent is new, changed its capabilities, or lost a report.
    pub fn heartbeat(&mut self, sequence: u64, fingerprint: u64, capabilities: u64, now: Timestamp) -> bool {
        let continues = self
            .pulse
            .sequence
            .is_some_and(|last| sequence == last.wrapping_add(1));
        let same = capabilities == 0 || capabilities == self.agent.reported.capabilities.0;
        let whole = self.agent.reported.completeness != Completeness::Unknown;
        if !continues || !same || !whole {
            return false;
        }
        self.pulse.sequence = Some(sequence);
        self.pulse.fingerprint = fingerprint;
        self.pulse.last_seen = now;
        true
    }

    /// Folds one report into the agent.
    pub fn observe(&mut self, report: Report, seen: &Seen<'_>, now: Timestamp) -> Observed {
        let continuity = self.pulse.continuity(&report, self.contact.capabilities_stated);
        self.pulse.last_seen = now;
        let mut observed = Observed::default();
        match continuity {
            Continuity::Repetition => {
                return Observed {
                    repetition: true,
                    ..observed
                };
            }
            Continuity::Bare => return observed,
            Continuity::Gap => self.note_gap(&report, &mut observed),
            Continuity::First | Continuity::Restart | Continuity::Continues => {}
        }
        self.pulse.sequence = Some(report.sequence);
        self.pulse.fingerprint = report.fingerprint;
        self.judge_wholeness(continuity, &report, seen, &mut observed);
        if continuity == Continuity::First {
            Arc::make_mut(self.agent).reported.first_seen = now;
            observed.happenings.push(Happening::FirstContact);
        }
        if continuity == Continuity::Restart {
            self.note_restart(&mut observed);
        }
        self.take_capabilities(report.capabilities, &mut observed);
        self.take(report.parts, seen, now, &mut observed);
        observed
    }

    /// Two agents that share a uid count on in turns: each number continues the one before the last gap.
    fn note_gap(&mut self, report: &Report, observed: &mut Observed) {
        const TURNS: u8 = 3;
        let continues_other = self
            .pulse
            .abandoned
            .is_some_and(|other| report.sequence == other.wrapping_add(1));
        self.contact.interleaved = if continues_other {
            self.contact.interleaved.saturating_add(1)
        } else {
            0
        };
        self.pulse.abandoned = self.pulse.sequence;
        observed.clone_suspected = self.contact.interleaved >= TURNS;
    }

    /// Decides whether the agent's state is whole, and when to ask for it if not.
    fn judge_wholeness(
        &mut self,
        continuity: Continuity,
        report: &Report,
        seen: &Seen<'_>,
        observed: &mut Observed,
    ) {
        let full = report.parts.description.is_some();
        let asking = self.contact.asking != Asking::No;
        let lost = match continuity {
            Continuity::Gap if !asking || !full => Some(Staleness::Gap),
            Continuity::First if !full => Some(Staleness::Unknown),
            Continuity::Continues if !full && self.agent.reported.completeness == Completeness::Unknown => {
                Some(Staleness::Unknown)
            }
            Continuity::Gap
            | Continuity::First
            | Continuity::Continues
            | Continuity::Bare
            | Continuity::Repetition
            | Continuity::Restart => None,
        };
        if let Some(staleness) = lost {
            if !asking {
                self.contact.asking = Asking::Due {
                    at: seen.ask_at,
                    asked: 0,
                };
                observed.staleness = Some(staleness);
                if staleness == Staleness::Gap {
                    observed.happenings.push(Happening::ReportLost);
                }
            }
            self.set_completeness(Completeness::Unknown, observed);
        } else if full {
            // One full report ends the asking, whatever it lacks (S-060).
            self.contact.asking = Asking::No;
            let complete = is_complete(&report.parts, report.capabilities.unwrap_or_default());
            let word = if complete {
                Completeness::Complete
            } else {
                Completeness::Incomplete
            };
            self.set_completeness(word, observed);
        }
    }

    fn set_completeness(&mut self, completeness: Completeness, observed: &mut Observed) {
        if self.agent.reported.completeness != completeness {
            Arc::make_mut(self.agent).reported.completeness = completeness;
            observed.reported_changed = true;
        }
    }

    fn note_restart(&mut self, observed: &mut Observed) {
        let reports = self
            .agent
            .reported
            .capabilities
            .has(Capabilities::REPORTS_REMOTE_CONFIG);
        if !reports && self.agent.delivery.offered.is_some() {
            // It can't say what it has: after a restart it is told again, once.
            Arc::make_mut(self.agent).delivery.offered = None;
            observed.delivery_changed = true;
        }
        self.contact.connection_again = true;
        if self.contact.transport == Transport::Http {
            self.contact.connection_offered = None;
            self.contact.offered = None;
            self.contact.components_asked = 0;
        }
    }
}

/// Whether a full report has every part that its capabilities promise.
fn is_complete(parts: &Parts, capabilities: Capabilities) -> bool {
    let promises = |bit: Capabilities, present: bool| present || !capabilities.has(bit);
    promises(Capabilities::REPORTS_HEALTH, parts.health.is_some())
        && promises(
            Capabilities::REPORTS_EFFECTIVE_CONFIG,
            parts.effective_config.is_some(),
        )
        && promises(
            Capabilities::REPORTS_REMOTE_CONFIG,
            parts.remote_config_status.is_some(),
        )
}

#[cfg(test)]
mod tests;
