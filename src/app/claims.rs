//! Who claims whom: agents that propose themselves for a group, groups that tie, credentials and those behind them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::group::{Because, Candidate, membership};
use crate::fleet::identity::Credential;
use crate::fleet::ids::{AgentId, CredentialId};
use crate::fleet::name::Name;

/// Agents that a group claims without having them for sure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GroupClaims {
    /// Agents whose own words propose this group.
    pub proposed: Vec<ProposedAgent>,
    /// Other groups that claim agents of this one with the same priority, and how many.
    pub ties: BTreeMap<Name, u32>,
}

/// An agent whose own words propose a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProposedAgent {
    /// The agent.
    pub agent: AgentId,
    /// What people call it.
    pub title: String,
    /// Where it is now.
    pub present: Name,
}

/// A credential and who is behind it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CredentialView {
    /// The credential.
    pub credential: Credential,
    /// The agents that it speaks for, by what people call them.
    pub agents: Vec<NamedAgent>,
}

/// An agent and what people call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NamedAgent {
    /// What people call it.
    pub title: String,
    /// The agent.
    pub id: AgentId,
}

impl App {
    /// Who claims agents of a group besides it, and which agents propose themselves for it.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn group_claims(&self, actor: &Actor, name: &str) -> Result<GroupClaims, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.intentions.index();
        let mut claims = GroupClaims::default();
        for agent in self.fleet() {
            let registration = &agent.registration;
            if registration
                .proposed_group
                .as_ref()
                .is_some_and(|group| group.as_str() == name)
            {
                claims.proposed.push(ProposedAgent {
                    agent: agent.id(),
                    title: agent.title(),
                    present: registration.group.clone(),
                });
            }
            let by_selector = matches!(registration.because, Because::Label(_) | Because::Fact(_));
            if registration.group.as_str() == name && by_selector {
                let description = agent.reported.description.as_ref();
                let facts = description
                    .map(|packed| packed.unpack().facts())
                    .unwrap_or_default();
                let candidate = Candidate {
                    labels: &registration.labels,
                    facts: &facts,
                    pin: registration.pin.as_ref(),
                    token_group: registration.token_group.as_ref(),
                };
                let decided = membership(&candidate, index.claimants());
                for other in decided.tied_with {
                    *claims.ties.entry(other).or_default() += 1;
                }
            }
        }
        claims
            .proposed
            .sort_by(|a, b| (&a.title, a.agent).cmp(&(&b.title, b.agent)));
        Ok(claims)
    }

    /// All credentials with who is behind them, newest first.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn credential_views(&self, actor: &Actor) -> Result<Vec<CredentialView>, Error> {
        let credentials = self.credentials(actor)?;
        let mut behind: BTreeMap<CredentialId, Vec<NamedAgent>> = BTreeMap::new();
        for snapshot in self.live.snapshot() {
            let agent = snapshot.agent;
            let named = NamedAgent {
                title: agent.title(),
                id: agent.id(),
            };
            behind
                .entry(agent.registration.credential)
                .or_default()
                .push(named);
        }
        let view = |credential: Credential| {
            let mut agents = behind.get(&credential.first()).cloned().unwrap_or_default();
            agents.sort();
            CredentialView { credential, agents }
        };
        Ok(credentials.into_iter().map(view).collect())
    }

    /// One credential with who is behind it.
    ///
    /// # Errors
    /// When the actor may not, or there is none.
    pub fn credential_view(&self, actor: &Actor, id: CredentialId) -> Result<CredentialView, Error> {
        let views = self.credential_views(actor)?.into_iter();
        let found = views.into_iter().find(|view| view.credential.id == id);
        found.ok_or_else(|| Error::not_found("credential", &id))
    }
}
