//! Folding a report into what we know. Total: any report, in any order.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contact::{Asking, Transport};
use super::delivery::{Acknowledgement, Failure, HoldReason, Offered};
use super::report::{Component, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus, Report};
use super::reported::{Completeness, ComponentsRef, EffectiveRef, Reported};
use super::{Agent, Pulse, Subject};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::ConfigMap;
use crate::fleet::hash::{ConfigHash, Digest, HashKey};
use crate::fleet::packed::Packed;
use crate::fleet::time::Timestamp;

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
    /// The agent knows offers that the store has forgotten.
    pub store_went_back: bool,
    /// Two agents seem to share the uid.
    pub clone_suspected: bool,
}

/// Why an agent's state can't be trusted to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Staleness {
    /// Its number doesn't continue: a report was lost.
    Gap,
    /// It begins in the middle: nothing is known of it.
    Unknown,
}

/// Something that happened to an agent: an entry of its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Happening {
    /// It was enrolled.
    Enrolled,
    /// It spoke for the first time.
    FirstContact,
    /// It came online.
    Connected {
        /// How.
        transport: Transport,
    },
    /// It went offline.
    Disconnected {
        /// Why, in words.
        reason: String,
    },
    /// It became healthy.
    Healthy,
    /// It became unhealthy.
    Unhealthy {
        /// What it says is wrong.
        error: String,
    },
    /// Its process started anew.
    Restarted,
    /// A configuration was offered to it.
    ConfigOffered {
        /// The content.
        digest: Digest,
    },
    /// It is applying a configuration.
    ConfigApplying {
        /// The content.
        digest: Digest,
    },
    /// It runs a configuration.
    ConfigApplied {
        /// The content.
        digest: Digest,
    },
    /// It refused a configuration.
    ConfigFailed {
        /// The content.
        digest: Digest,
        /// Its reason.
        error: String,
    },
    /// The configuration that it really runs changed.
    EffectiveConfigChanged {
        /// The content.
        digest: Digest,
    },
    /// A report was lost, and its full state was asked for.
    ReportLost,
    /// It was told to restart.
    RestartSent,
    /// It was given another uid.
    UidAssigned,
    /// It moved to another group.
    GroupChanged {
        /// The group that it is in now.
        group: crate::fleet::name::Name,
    },
    /// It was found to know offers that the store has forgotten, and is held.
    HeldBackInTime,
}

/// How a message's number relates to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuity {
    /// A poll that says nothing: no number.
    Bare,
    /// The last message once more.
    Repetition,
    /// The next number.
    Continues,
    /// The first message that we see.
    First,
    /// A lower number with a full report: a new process.
    Restart,
    /// Anything else.
    Gap,
}

impl Pulse {
    /// `answered` tells whether anything was said on the present link.
    fn continuity(&self, report: &Report, answered: bool) -> Continuity {
        let Some(last) = self.sequence else {
            return Continuity::First;
        };
        if report.is_bare() {
            return Continuity::Bare;
        }
        let full = report.parts.description.is_some();
        let same = report.sequence == last && report.fingerprint == self.fingerprint;
        match report.sequence {
            // On a new link nothing was answered yet that could be repeated.
            _ if same && answered => Continuity::Repetition,
            _ if same && full => Continuity::Restart,
            _ if same => Continuity::Continues,
            number if number == last.wrapping_add(1) => Continuity::Continues,
            number if number < last && full => Continuity::Restart,
            _ => Continuity::Gap,
        }
    }
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
        if self.contact.transport == Transport::Http {
            self.contact.offered = None;
            self.contact.components_asked = 0;
        }
    }

    fn take_capabilities(&mut self, capabilities: Option<Capabilities>, observed: &mut Observed) {
        if let Some(stated) = capabilities
            && stated != self.agent.reported.capabilities
        {
            Arc::make_mut(self.agent).reported.capabilities = stated;
            observed.reported_changed = true;
        }
    }

    fn take(&mut self, parts: Parts, seen: &Seen<'_>, now: Timestamp, observed: &mut Observed) {
        let Parts {
            description,
            health,
            effective_config,
            remote_config_status,
            available_components,
            custom_capabilities,
        } = parts;
        if let Some(description) = description {
            let packed = Packed::new(&description);
            if self.agent.reported.description.as_ref() != Some(&packed) {
                self.agent_mut().reported.describe(packed);
                observed.reported_changed = true;
                observed.facts_changed = true;
            }
        }
        if let Some(health) = health {
            self.take_health(&health, now, observed);
        }
        if let Some(content) = effective_config {
            self.take_effective(content, now, observed);
        }
        if let Some(components) = available_components {
            self.take_components(components.hash.as_slice(), components.components, observed);
        }
        if let Some(listed) = custom_capabilities
            && listed != self.agent.reported.custom_capabilities
        {
            self.agent_mut().reported.custom_capabilities = listed;
            observed.reported_changed = true;
        }
        if let Some(status) = remote_config_status {
            self.take_status(&status, seen, now, observed);
        }
    }

    fn agent_mut(&mut self) -> &mut Agent {
        Arc::make_mut(self.agent)
    }

    fn take_health(&mut self, health: &Health, now: Timestamp, observed: &mut Observed) {
        let packed = Packed::new(health);
        if self.agent.reported.health.as_ref() == Some(&packed) {
            return;
        }
        observed.reported_changed = true;
        let reported = &mut self.agent_mut().reported;
        // A wholly empty report is what a Supervisor sends before it knows: no statement, not "unhealthy".
        let healthy = (*health != Health::default()).then_some(health.healthy);
        if reported.healthy != healthy {
            reported.healthy = healthy;
            reported.healthy_since = now;
            let error = || excerpt(&health.last_error);
            let happening = healthy.map(|well| {
                if well {
                    Happening::Healthy
                } else {
                    Happening::Unhealthy { error: error() }
                }
            });
            observed.happenings.extend(happening);
        }
        if health.started_at.is_some() {
            if reported.started_at.is_some() && reported.started_at != health.started_at {
                observed.happenings.push(Happening::Restarted);
            }
            reported.started_at = health.started_at;
        }
        reported.health = Some(packed);
    }

    fn take_effective(&mut self, content: ConfigMap, now: Timestamp, observed: &mut Observed) {
        let digest = content.digest();
        if self
            .agent
            .reported
            .effective_config
            .is_some_and(|known| known.digest == digest)
        {
            return;
        }
        let size = content.size() as u64;
        self.agent_mut().reported.effective_config = Some(EffectiveRef {
            digest,
            at: now,
            size,
        });
        observed.reported_changed = true;
        observed.effective_config = Some(content);
        observed
            .happenings
            .push(Happening::EffectiveConfigChanged { digest });
    }

    fn take_components(&mut self, hash: &[u8], set: BTreeMap<String, Component>, observed: &mut Observed) {
        use std::fmt::Write as _;
        let hash = hash.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let known = self.agent.reported.components.as_ref();
        let same = known.is_some_and(|known| known.hash == hash);
        if !same {
            self.agent_mut().reported.components = Some(ComponentsRef { hash, known: None });
            observed.reported_changed = true;
        }
        // A message with the hash alone deletes nothing (S-283).
        let lacks = self
            .agent
            .reported
            .components
            .as_ref()
            .is_some_and(|known| known.known.is_none());
        if !set.is_empty() && lacks {
            observed.components = Some(set);
        }
    }

    fn take_status(
        &mut self,
        status: &RemoteConfigStatus,
        seen: &Seen<'_>,
        now: Timestamp,
        observed: &mut Observed,
    ) {
        self.contact.status_reported = true;
        let hash = ConfigHash::from_wire(&status.hash, seen.key);
        if hash.is_some_and(|hash| hash.epoch == seen.epoch && hash.generation > seen.generation) {
            observed.store_went_back = true;
            if self.agent.delivery.hold != Some(HoldReason::StoreWentBack) {
                self.agent_mut().delivery.hold = Some(HoldReason::StoreWentBack);
                observed.delivery_changed = true;
                observed.happenings.push(Happening::HeldBackInTime);
            }
        }
        let digest = hash.map(|hash| hash.digest);
        let error = excerpt(&status.error);
        let known = self.agent.delivery.acknowledged.as_ref();
        if known.is_some_and(|k| k.digest == digest && k.outcome == status.outcome && k.error == error) {
            return;
        }
        observed.delivery_changed = true;
        let delivery = &mut self.agent_mut().delivery;
        delivery.acknowledged = Some(Acknowledgement {
            digest,
            outcome: status.outcome,
            error: error.clone(),
            at: now,
        });
        let Some(digest) = digest else { return };
        match status.outcome {
            RemoteConfigOutcome::Applied => {
                delivery.failures.retain(|failure| failure.digest != digest);
                delivery.applied = Some(Offered { digest, at: now });
                observed.happenings.push(Happening::ConfigApplied { digest });
            }
            RemoteConfigOutcome::Failed => {
                delivery.remember_failure(Failure {
                    digest,
                    error: error.clone(),
                    at: now,
                });
                observed
                    .happenings
                    .push(Happening::ConfigFailed { digest, error });
            }
            RemoteConfigOutcome::Applying => {
                observed.happenings.push(Happening::ConfigApplying { digest });
            }
            RemoteConfigOutcome::Unset => {}
        }
    }
}

impl Reported {
    fn describe(&mut self, packed: Packed<crate::fleet::attributes::Description>) {
        let description = packed.unpack();
        let fact = |key: &str| excerpt(&description.fact(key).unwrap_or_default());
        self.host_name = fact("host.name");
        self.service_name = fact("service.name");
        self.service_version = fact("service.version");
        self.os_type = fact("os.type");
        self.description = Some(packed);
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

/// The beginning of an agent's text, as much as is worth keeping in every copy of a record.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 2_000;
    text.chars().take(CHARACTERS).collect()
}

#[cfg(test)]
mod tests;
