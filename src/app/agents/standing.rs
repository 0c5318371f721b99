//! What an agent's own host may ask: how the server sees it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::app::identities::Speaker;
use crate::fleet::agent::health::{Condition, status};
use crate::fleet::agent::{Standing, Verdict};
use crate::fleet::identity::Scope;
use crate::fleet::ids::AgentId;

/// How the server sees one agent, for the host that the agent runs on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OwnStanding {
    /// The agent's record.
    pub agent_id: AgentId,
    /// Whether it is served, waits for an operator, or was turned away.
    pub standing: Standing,
    /// Whether it is there.
    pub online: bool,
    /// Whether its connection shows the credential that asks.
    pub uses_this_credential: bool,
    /// How it is.
    pub condition: Condition,
    /// Why, as one sentence without an end mark.
    pub reason: String,
    /// Where its configuration stands.
    pub config: Verdict,
    /// The agent's own words for why its configuration failed; empty otherwise.
    pub error: String,
}

impl App {
    /// How the agent of this credential stands; `None` when the credential speaks for many.
    #[must_use]
    pub fn own_standing(&self, speaker: &Speaker) -> Option<OwnStanding> {
        let Scope::One { agent } = speaker.credential.scope else {
            return None;
        };
        let snapshot = self.live.get(agent)?;
        let using = self.live.with(agent, |entry| {
            let using = entry.contact.using.as_ref();
            using.map(|using| using.credential)
        });
        let using = using.flatten().filter(|_| snapshot.presence.is_online());
        self.compare_one(&snapshot.agent);
        let judged = self.intentions.judge(&snapshot.agent);
        let status = status(&snapshot.agent, snapshot.presence, &judged, self.clock.now());
        Some(OwnStanding {
            agent_id: agent,
            standing: snapshot.agent.registration.standing,
            online: snapshot.presence.is_online(),
            uses_this_credential: using == Some(speaker.credential.id),
            condition: status.condition,
            reason: status.reason,
            config: judged.verdict,
            error: judged.error.to_owned(),
        })
    }
}
