//! What a simulated agent tells, and the messages that it makes of it.

use super::{Act, Agent, Kind};
use crate::fleet::agent::report::{Parts, RemoteConfigOutcome, RemoteConfigStatus};
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;
use crate::opamp::client::{self, Outgoing};
use crate::simulator::profile::{self, Profile};

/// What is to be told, besides uid and number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tell {
    pub(super) description: bool,
    pub(super) health: bool,
    pub(super) effective: bool,
    pub(super) status: bool,
    pub(super) components: bool,
    pub(super) component_list: bool,
}

impl Tell {
    pub(super) const ALL: Self = Self {
        description: true,
        health: true,
        effective: true,
        status: true,
        components: true,
        component_list: false,
    };

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            description: self.description || other.description,
            health: self.health || other.health,
            effective: self.effective || other.effective,
            status: self.status || other.status,
            components: self.components || other.components,
            component_list: self.component_list || other.component_list,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            nothing if nothing == Self::default() => Kind::Heartbeat,
            all if all.and(Self::ALL) == all => Kind::Full,
            _ => Kind::Part,
        }
    }
}

impl Agent {
    /// Sends what is to be told now, or keeps it while the server wants to be left alone.
    pub(super) fn say(&mut self, tell: Tell, now: Timestamp, acts: &mut Vec<Act>) {
        if self.quiet_until.is_some_and(|until| now < until) {
            self.untold = self.untold.and(tell);
            return;
        }
        let tell = tell.and(std::mem::take(&mut self.untold));
        self.introduced |= tell.kind() == Kind::Full;
        self.last = tell;
        let message = self.message(tell, false, now);
        acts.push(message);
    }

    pub(super) fn message(&mut self, tell: Tell, disconnect: bool, now: Timestamp) -> Act {
        let message = Outgoing {
            uid: self.uid.0.to_vec(),
            sequence: self.sequence,
            capabilities: profile::CAPABILITIES.0,
            parts: self.parts(tell, now),
            disconnect,
            requests_uid: std::mem::take(&mut self.wants_uid),
        };
        self.sequence += 1;
        if let Some(period) = self.heartbeats {
            self.next_heartbeat = now.plus(period);
        }
        Act::Send {
            message: client::write(&message),
            kind: tell.kind(),
        }
    }

    fn parts(&self, tell: Tell, now: Timestamp) -> Parts {
        let effective = || {
            let running = self.running.as_ref().map(|running| running.content.clone());
            running.unwrap_or_else(|| self.profile.own_config(self.number))
        };
        let status = || match &self.verdict {
            None => RemoteConfigStatus::default(),
            Some(verdict) => RemoteConfigStatus {
                hash: verdict.offer.hash.clone(),
                outcome: verdict.outcome,
                error: verdict.error.to_owned(),
            },
        };
        let describe = || self.profile.description(self.number, self.uid);
        Parts {
            description: tell.description.then(describe),
            health: tell
                .health
                .then(|| profile::health(self.trouble(), self.started_at, now)),
            effective_config: tell.effective.then(effective),
            remote_config_status: tell.status.then(status),
            connection_status: None,
            available_components: tell.components.then(|| profile::components(tell.component_list)),
            custom_capabilities: None,
            custom_message: None,
        }
    }

    /// An agent that failed keeps running what it ran, and says that something is wrong.
    fn trouble(&self) -> Option<&str> {
        if self.ill {
            return Some("the collector can't reach its exporter");
        }
        let verdict = self.verdict.as_ref()?;
        (verdict.outcome == RemoteConfigOutcome::Failed).then_some(verdict.error)
    }
}

/// The bytes of a full status on the wire.
pub(in crate::simulator) fn full_size(profile: &Profile) -> usize {
    let parts = Parts {
        description: Some(profile.description(0, InstanceUid([1; 16]))),
        health: Some(profile::health(None, Timestamp(1), Timestamp(1))),
        effective_config: Some(profile.own_config(0)),
        remote_config_status: Some(RemoteConfigStatus::default()),
        connection_status: None,
        available_components: Some(profile::components(false)),
        custom_capabilities: None,
        custom_message: None,
    };
    let message = Outgoing {
        uid: vec![1; 16],
        capabilities: profile::CAPABILITIES.0,
        parts,
        ..Outgoing::default()
    };
    client::write(&message).len()
}
