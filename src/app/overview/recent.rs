//! What happened lately, told from the present state: it survives restarts and costs no memory of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Few;
use crate::app::agents::Origins;
use crate::app::intentions::Index;
use crate::app::live::Snapshot;
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::name::Name;
use crate::fleet::target::{LayerRef, Scope};
use crate::fleet::time::Timestamp;

/// How many entries are told.
const TOLD: usize = 12;
/// Happenings of one kind within so many seconds are told as one.
const TOGETHER_SECONDS: u64 = 300;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Recent {
    /// When; the last time, where several are told as one.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: RecentKind,
    /// The agents that it happened to; none for what people did.
    pub agents: Few,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "happened")]
pub enum RecentKind {
    /// Agents were enrolled.
    Enrolled,
    /// Agents came online.
    Connected,
    /// Agents went offline.
    Disconnected,
    /// Agents applied a configuration.
    Applied {
        /// Its layers; none when it isn't one of ours.
        layers: Vec<LayerRef>,
    },
    /// Agents refused a configuration.
    Refused {
        /// Its layers; none when it isn't one of ours.
        layers: Vec<LayerRef>,
    },
    /// Agents became unhealthy.
    Unhealthy,
    /// Somebody published.
    Published {
        /// Who.
        by: String,
        /// To which group.
        group: Name,
        /// The layers; none when the configuration was taken away.
        layers: Vec<LayerRef>,
    },
}

/// Happenings as they are found.
#[derive(Debug, Default)]
pub(super) struct Recents {
    found: BTreeMap<(u64, RecentKind), (Timestamp, Few)>,
}

impl Recents {
    /// Looks at one agent.
    pub(super) fn look(&mut self, snapshot: &Snapshot, origins: &Origins) {
        let agent = &snapshot.agent;
        self.add(snapshot, RecentKind::Enrolled, agent.registration.origin.at);
        match snapshot.presence {
            Presence::NeverSeen | Presence::Awaited { .. } => {}
            Presence::Online { since, .. } => self.add(snapshot, RecentKind::Connected, since),
            Presence::Offline { since } => self.add(snapshot, RecentKind::Disconnected, since),
        }
        if agent.reported.healthy == Some(false) {
            self.add(snapshot, RecentKind::Unhealthy, agent.reported.healthy_since);
        }
        if let Some(said) = &agent.delivery.acknowledged {
            let ours = said
                .digest
                .map(|digest| origins.layers(&agent.registration, digest));
            let layers = ours.unwrap_or_default();
            match said.outcome {
                RemoteConfigOutcome::Applied => self.add(snapshot, RecentKind::Applied { layers }, said.at),
                RemoteConfigOutcome::Failed => self.add(snapshot, RecentKind::Refused { layers }, said.at),
                RemoteConfigOutcome::Applying | RemoteConfigOutcome::Unset => {}
            }
        }
    }

    /// Looks at what was published.
    pub(super) fn look_at_targets(&mut self, index: &Index) {
        for head in index.groups() {
            for target in index.history(head.group.target).take(TOLD) {
                let Scope::Group(group) = &target.scope else {
                    continue;
                };
                let kind = RecentKind::Published {
                    by: target.published_by.clone(),
                    group: group.clone(),
                    layers: target
                        .content
                        .as_ref()
                        .map(|content| content.layers.clone())
                        .unwrap_or_default(),
                };
                let at = target.published_at;
                self.found.insert((at.seconds(), kind), (at, Few::default()));
            }
        }
    }

    /// The newest of them.
    pub(super) fn newest_first(self) -> Vec<Recent> {
        let mut recent: Vec<Recent> = self
            .found
            .into_iter()
            .map(|((_, kind), (at, agents))| Recent { at, kind, agents })
            .collect();
        recent.sort_by(|a, b| (b.at, &b.kind).cmp(&(a.at, &a.kind)));
        recent.truncate(TOLD);
        recent
    }

    fn add(&mut self, snapshot: &Snapshot, kind: RecentKind, at: Timestamp) {
        if at == Timestamp::EPOCH {
            return;
        }
        let together = (at.seconds() / TOGETHER_SECONDS, kind);
        let (last, agents) = self.found.entry(together).or_default();
        *last = (*last).max(at);
        agents.add(snapshot.agent.id(), &snapshot.agent.title());
    }
}
