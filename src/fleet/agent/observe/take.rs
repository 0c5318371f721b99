//! Taking the parts of a report, each by its own rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Observed, Seen};
use crate::fleet::agent::delivery::{Acknowledgement, Failure, HoldReason, Offered};
use crate::fleet::agent::report::{Component, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus};
use crate::fleet::agent::reported::{ComponentsRef, EffectiveRef, Reported};
use crate::fleet::agent::{Agent, Happening, Subject};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::ConfigMap;
use crate::fleet::hash::ConfigHash;
use crate::fleet::packed::Packed;
use crate::fleet::time::Timestamp;

impl Subject<'_> {
    pub(super) fn take_capabilities(&mut self, capabilities: Option<Capabilities>, observed: &mut Observed) {
        if let Some(stated) = capabilities
            && stated != self.agent.reported.capabilities
        {
            Arc::make_mut(self.agent).reported.capabilities = stated;
            observed.reported_changed = true;
        }
    }

    pub(super) fn take(&mut self, parts: Parts, seen: &Seen<'_>, now: Timestamp, observed: &mut Observed) {
        let Parts {
            description,
            health,
            effective_config,
            remote_config_status,
            connection_status,
            available_components,
            custom_capabilities,
            custom_message,
        } = parts;
        observed.custom_message = custom_message;
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
        if let Some(status) = connection_status {
            self.take_connection_status(&status, now, observed);
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
        if *health == Health::default() && self.begins_as_offered(now) {
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
        let from_later =
            hash.is_some_and(|hash| hash.epoch == seen.epoch && hash.generation > seen.generation);
        if from_later && self.agent.delivery.hold != Some(HoldReason::StoreWentBack) {
            observed.store_went_back = true;
            self.agent_mut().delivery.hold = Some(HoldReason::StoreWentBack);
            observed.delivery_changed = true;
            observed.happenings.push(Happening::HeldBackInTime);
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

/// The beginning of an agent's text, as much as is worth keeping in every copy of a record.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 2_000;
    text.chars().take(CHARACTERS).collect()
}
