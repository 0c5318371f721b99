//! What needs attention in the whole fleet, one entry per problem, and what happened lately.

mod recent;
mod trouble;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

pub use recent::{Recent, RecentKind};
pub use trouble::{Trouble, TroubleKind};

use super::App;
use super::agents::Tally;
use super::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::health::status;
use crate::fleet::agent::{Standing, Verdict};
use crate::fleet::ids::AgentId;

/// How all stands, for the page, the API and the command line.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Overview {
    /// How many agents are how; archived ones aside.
    pub agents: Tally,
    /// How many agents have a configuration that stands how; words that no agent has are left out.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// How many groups there are.
    pub groups: usize,
    /// How many configs there are.
    pub configs: usize,
    /// What needs attention, worst first.
    pub troubles: Vec<Trouble>,
    /// What happened lately, newest first.
    pub recent: Vec<Recent>,
}

/// Some agents: how many, and which when there is just one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Few {
    /// How many.
    pub count: usize,
    /// The first of them with its name.
    pub first: Option<(AgentId, String)>,
}

impl Few {
    fn add(&mut self, id: AgentId, name: &str) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((id, name.to_owned()));
        }
    }
}

impl App {
    /// What needs attention, and what happened lately.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn overview(&self, actor: &Actor) -> Result<Overview, Error> {
        actor.may(Permission::ViewFleet)?;
        let now = self.clock.now();
        let snapshots = self.live.snapshot();
        let origins = self.origins();
        let mut tally = Tally::default();
        let mut verdicts = BTreeMap::new();
        let mut troubles = trouble::Troubles::default();
        let mut recent = recent::Recents::default();
        let index = self.intentions.index();
        for snapshot in &snapshots {
            let agent = &snapshot.agent;
            if matches!(agent.registration.standing, Standing::Archived { .. }) {
                continue;
            }
            let judged = self.intentions.judge(agent);
            let status = status(agent, snapshot.presence, &judged, now);
            tally.count(status.condition);
            *verdicts.entry(judged.verdict).or_default() += 1;
            troubles.look(snapshot, &status, &judged, &origins, now);
            troubles.look_at_inputs(snapshot, &index);
            recent.look(snapshot, &origins);
        }
        troubles.look_at_intent(&index, self.intentions.held());
        troubles.look_at_store(&self.store);
        troubles.look_at_tasks(&self.tasks);
        if let Some(given) = self.given_certificate() {
            troubles.look_at_certificate(given.expires, now);
        }
        if actor.may(Permission::EnrolAgents).is_ok() {
            troubles.look_at_access(&self.tokens.all(), &self.identities.credentials(), now);
        }
        recent.look_at_targets(&index);
        Ok(Overview {
            agents: tally,
            verdicts,
            groups: index.groups().count(),
            configs: index.configs().count(),
            troubles: troubles.worst_first(),
            recent: recent.newest_first(),
        })
    }
}
