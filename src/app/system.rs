//! The server itself: what it counts, and how the whole fleet stands.

use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::agents::{AgentQuery, AgentSummary, Tally};
use super::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::HoldReason;
use crate::fleet::agent::health::Condition;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// How all stands.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// How many agents are in which condition.
    pub agents: Tally,
    /// The agents that are worst off, at most ten; none that are well.
    pub worst: Vec<AgentSummary>,
    /// How many groups there are.
    pub groups: usize,
    /// The groups whose published config has a newer revision.
    pub behind: Vec<Name>,
    /// How many configs there are.
    pub configs: usize,
    /// Why nothing is offered to any agent; `None` while everything is.
    pub held: Option<HoldReason>,
}

/// The most agents that an overview names.
const WORST: usize = 10;

impl App {
    /// How all stands.
    ///
    /// # Errors
    /// When the actor may not look at the fleet.
    pub fn overview(&self, actor: &Actor) -> Result<Overview, Error> {
        let worst_first = AgentQuery {
            limit: WORST,
            ..AgentQuery::default()
        };
        let page = self.agents(actor, &worst_first)?;
        let is_bad =
            |agent: &AgentSummary| matches!(agent.status.condition, Condition::Down | Condition::Degraded);
        let groups = self.intentions.groups(actor, &[])?;
        Ok(Overview {
            agents: page.tally,
            worst: page.agents.into_iter().filter(is_bad).collect(),
            groups: groups.len(),
            behind: groups
                .into_iter()
                .filter(|group| group.newer_revision.is_some())
                .map(|group| group.group.name)
                .collect(),
            configs: self.intentions.configs(actor)?.len(),
            held: self.intentions.held(),
        })
    }

    /// Since when this process runs.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started
    }

    /// Our own metrics, as OpenMetrics text.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn metrics_page(&self, actor: &Actor) -> Result<String, Error> {
        actor.may(Permission::ViewFleet)?;
        Ok(self.metrics.render(self.store.statistics()))
    }
}
