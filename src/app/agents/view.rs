//! What pages, API and CLI show of an agent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::app::error::Error;
use crate::app::live::Snapshot;
use crate::app::records::TimelineEntry;
use crate::app::rollouts::{LeftBehindView, PendingMoveView};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::health::{Status, status};
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::report::{Component, Health};
use crate::fleet::agent::{Completeness, Delivery, HoldReason, Judgement, Registration, Verdict};
use crate::fleet::attributes::Description;
use crate::fleet::config::ConfigMap;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, InstanceUid};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// One agent in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentSummary {
    /// Its identity.
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// How it is, with the reason and since when.
    pub status: Status,
    /// Whether it is there.
    pub presence: Presence,
    /// When it last spoke; `None` = never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// The group that it is in.
    pub group: Name,
    /// The group that its facts propose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_group: Option<Name>,
    /// The uid that it uses; `None` before it first spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_uid: Option<InstanceUid>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `host.name`, empty when not reported.
    pub host_name: String,
    /// `service.name`, empty when not reported.
    pub service_name: String,
    /// `service.version`, empty when not reported.
    pub service_version: String,
    /// `os.type`, empty when not reported.
    pub os_type: String,
    /// Where its configuration stands.
    pub config: ConfigStanding,
}

/// Where an agent's configuration stands.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigStanding {
    /// In one word.
    pub state: Verdict,
    /// The content that is wanted; `None` when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Digest>,
    /// Since when; the epoch when that isn't known.
    pub since: Timestamp,
    /// The agent's reason, for failures.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Why nothing is sent, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldReason>,
}

impl From<&Judgement<'_>> for ConfigStanding {
    fn from(judged: &Judgement<'_>) -> Self {
        Self {
            state: judged.verdict,
            wanted: judged.wanted,
            since: judged.since,
            error: judged.error.to_owned(),
            hold: judged.hold,
        }
    }
}

/// One agent, whole.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: AgentSummary,
    /// Its identity and what operators decided.
    pub registration: Registration,
    /// Its move into its group, while it keeps what it has and waits for a rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_move: Option<PendingMoveView>,
    /// What became of its move into its group, when it was to be moved and wasn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<LeftBehindView>,
    /// What it says it can do, in words.
    pub capabilities: Vec<&'static str>,
    /// Whether a restart may be sent to it.
    pub accepts_restart: bool,
    /// Who and where it is; `None` = not reported.
    pub description: Option<Description>,
    /// Its health tree; `None` = not reported.
    pub health: Option<Health>,
    /// What was offered and what became of it.
    pub delivery: Delivery,
    /// Whether all that it has to say is known.
    pub completeness: Completeness,
    /// Whether it is being asked for its full state.
    pub asking: bool,
    /// The number of its last message; `None` before the first.
    pub sequence: Option<u64>,
    /// When its process started; `None` = not reported or not running.
    pub started_at: Option<Timestamp>,
    /// The digest, time and size of its effective configuration; `None` = not reported.
    pub effective_config: Option<crate::fleet::agent::EffectiveRef>,
    /// The custom capabilities that it lists.
    pub custom_capabilities: Vec<String>,
}

/// The configuration that an agent reports to run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EffectiveView {
    /// The digest of its content.
    pub digest: Digest,
    /// When it was first reported so.
    pub at: Timestamp,
    /// The content.
    pub content: ConfigMap,
}

/// The components that an agent is built from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ComponentsView {
    /// The agent's own hash of the set.
    pub hash: String,
    /// The set; `None` while only the hash is known.
    pub components: Option<BTreeMap<String, Component>>,
}

/// An agent's timeline, newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimelineView {
    /// The entries.
    pub entries: Vec<TimelineEntry>,
}

impl App {
    /// One agent, whole.
    ///
    /// # Errors
    /// When the actor may not, or there is none.
    pub fn agent(&self, actor: &Actor, id: AgentId) -> Result<AgentDetail, Error> {
        actor.may(Permission::ViewFleet)?;
        let snapshot = self.snapshot_of(id)?;
        self.compare_one(&snapshot.agent);
        let agent = &snapshot.agent;
        let reported = &agent.reported;
        let restart = crate::fleet::capabilities::Capabilities::ACCEPTS_RESTART_COMMAND;
        Ok(AgentDetail {
            summary: self.summarise(&snapshot, self.clock.now()),
            registration: agent.registration.clone(),
            pending_move: self.move_of(&snapshot),
            left_behind: self.left_behind(agent),
            capabilities: reported.capabilities.words(),
            accepts_restart: reported.capabilities.has(restart),
            description: reported
                .description
                .as_ref()
                .map(crate::fleet::packed::Packed::unpack),
            health: reported.health.as_ref().map(crate::fleet::packed::Packed::unpack),
            // What is in messages that wait is nothing for everybody who may look.
            delivery: Delivery {
                outbox: Vec::new(),
                ..agent.delivery.clone()
            },
            completeness: reported.completeness,
            asking: snapshot.asking,
            sequence: snapshot.pulse.sequence,
            started_at: reported.started_at,
            effective_config: reported.effective_config,
            custom_capabilities: reported.custom_capabilities.clone(),
        })
    }

    /// The configuration that an agent reports to run; `None` = not reported.
    ///
    /// # Errors
    /// When the actor may not, there is no such agent, or the content can't be read.
    pub fn effective_config(&self, actor: &Actor, id: AgentId) -> Result<Option<EffectiveView>, Error> {
        actor.may(Permission::ViewEffectiveConfig)?;
        let Some(known) = self.snapshot_of(id)?.agent.reported.effective_config else {
            return Ok(None);
        };
        let Some(bytes) = self.content(&known.digest)? else {
            return Ok(None);
        };
        let content = ConfigMap::from_canonical(&bytes).map_err(Error::internal)?;
        Ok(Some(EffectiveView {
            digest: known.digest,
            at: known.at,
            content,
        }))
    }

    /// The components that an agent is built from; `None` = not reported.
    ///
    /// # Errors
    /// When the actor may not, there is no such agent, or the set can't be read.
    pub fn components(&self, actor: &Actor, id: AgentId) -> Result<Option<ComponentsView>, Error> {
        actor.may(Permission::ViewFleet)?;
        let Some(known) = self.snapshot_of(id)?.agent.reported.components.clone() else {
            return Ok(None);
        };
        let bytes = known
            .known
            .map(|digest| self.content(&digest))
            .transpose()?
            .flatten();
        let components = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(Some(ComponentsView {
            hash: known.hash,
            components: components.map_err(Error::internal)?,
        }))
    }

    /// What happened to an agent, newest first.
    ///
    /// # Errors
    /// When the actor may not, there is no such agent, or the store can't be read.
    pub fn timeline(&self, actor: &Actor, id: AgentId, limit: usize) -> Result<TimelineView, Error> {
        actor.may(Permission::ViewFleet)?;
        self.snapshot_of(id)?;
        // Read before the store: what is being written is then found in one of them, or in both.
        let mut entries = self.pending.timeline(id);
        let (from, to) = ((id, 0), (id, u64::MAX));
        let stored = self.store.range::<TimelineEntry>(
            std::ops::Bound::Included(&from),
            std::ops::Bound::Included(&to),
            limit,
            true,
        )?;
        entries.extend(
            stored
                .into_iter()
                .map(|((_, number), found)| (number, found.record)),
        );
        Ok(TimelineView {
            entries: entries.into_values().rev().take(limit).collect(),
        })
    }

    /// What lists show of an agent.
    pub(in crate::app) fn summarise(&self, snapshot: &Snapshot, now: Timestamp) -> AgentSummary {
        let agent = &snapshot.agent;
        let registration = &agent.registration;
        let reported = &agent.reported;
        let config = self.intentions.judge(agent);
        AgentSummary {
            id: agent.id(),
            name: agent.title(),
            status: status(agent, snapshot.presence, &config, now),
            presence: snapshot.presence,
            last_seen: Some(snapshot.pulse.last_seen).filter(|at| *at != Timestamp::EPOCH),
            group: registration.group.clone(),
            proposed_group: registration.proposed_group.clone(),
            instance_uid: registration.uid,
            labels: registration.labels.clone(),
            host_name: reported.host_name.clone(),
            service_name: reported.service_name.clone(),
            service_version: reported.service_version.clone(),
            os_type: reported.os_type.clone(),
            config: ConfigStanding::from(&config),
        }
    }

    pub(in crate::app) fn snapshot_of(&self, id: AgentId) -> Result<Snapshot, Error> {
        self.live.get(id).ok_or_else(|| Error::not_found("agent", &id))
    }

    /// A content that lies in the store, or will at the next flush.
    pub(in crate::app) fn content(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        match self.pending.find_body(digest) {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.store.body(digest)?),
        }
    }
}
