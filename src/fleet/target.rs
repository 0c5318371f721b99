//! Targets: what a publication froze, and which of them an agent should have.
//!
//! A target never changes. What is in force is the target that a group (or an agent of its own) points at; the targets
//! before it stay, so that what was once sent can be looked at and published again. Taking a group's configuration away
//! is a target too, one without content: what runs on hosts stays, and nothing is sent.

mod impact;
mod layer;

pub use impact::{
    AffectedAgent, Blocker, Confirmation, ConfirmationReason, Effect, Impact, Member, Proposal, Renderings,
};
pub use layer::{LayerRef, LayerRefError, in_words};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::agent::{Desired, HoldReason, Intent, Offer, Registration};
use crate::fleet::config::Variable;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// What one publication made of a list of layers, frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Its identity.
    pub id: TargetId,
    /// For whom it was made.
    pub scope: Scope,
    /// What agents are sent; `None` when the configuration was taken away: hosts then keep what they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Frozen>,
    /// Who published it.
    pub published_by: String,
    /// When.
    pub published_at: Timestamp,
    /// Why, in the words of who published it; may be empty.
    #[serde(default)]
    pub message: String,
    /// The target of the same scope that it took the place of; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<TargetId>,
}

/// For whom a target was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The agents of a group.
    Group(Name),
    /// One agent, before its group's.
    Agent(AgentId),
}

/// Frozen content: which layers it was made of, and what that came to. The bytes lie in the store under their digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frozen {
    /// The layers, from base to most specific; never none.
    pub layers: Vec<LayerRef>,
    /// What agents are sent.
    pub document: Rendering,
}

/// What layers came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Rendering {
    /// One content for everybody.
    Common {
        /// The digest of the bytes that are sent.
        digest: Digest,
        /// The size of these, in bytes.
        size_bytes: u64,
    },
    /// Layers with variables: each agent has a digest of its own. Agents that render alike share one content.
    PerAgent {
        /// The variables, in their order.
        variables: Vec<Variable>,
        /// The digests of the layers' contents, in the layers' order: what newcomers are rendered from.
        sources: Vec<Digest>,
    },
}

/// What layers with variables came to for one agent. Kept by target and agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// The digest of the bytes that the agent is sent.
    pub digest: Digest,
    /// The digest of what it was rendered from: labels, facts, and how often secrets were set.
    pub inputs: Digest,
}

impl Frozen {
    /// The one content that everybody is sent; `None` when each agent has its own.
    #[must_use]
    pub fn common(&self) -> Option<Digest> {
        match self.document {
            Rendering::Common { digest, .. } => Some(digest),
            Rendering::PerAgent { .. } => None,
        }
    }

    /// The contents in the store that it can't do without, apart from those that single agents were rendered.
    pub fn contents(&self) -> impl Iterator<Item = Digest> {
        let sources = match &self.document {
            Rendering::Common { .. } => [].as_slice(),
            Rendering::PerAgent { sources, .. } => sources.as_slice(),
        };
        self.common().into_iter().chain(sources.iter().copied())
    }

    /// The variables of its layers.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        match &self.document {
            Rendering::Common { .. } => &[],
            Rendering::PerAgent { variables, .. } => variables,
        }
    }

    /// The layers with another revision of one of them.
    #[must_use]
    pub fn with(&self, other: &LayerRef) -> Vec<LayerRef> {
        let replaced = self.layers.iter().map(|layer| {
            let same = layer.config == other.config;
            if same { other.clone() } else { layer.clone() }
        });
        replaced.collect()
    }

    /// Whether a config is one of the layers.
    #[must_use]
    pub fn has(&self, config: &Name) -> bool {
        self.layers.iter().any(|layer| layer.config == *config)
    }
}

/// What an agent should have: its own target, else its group's, else nothing that anybody decided. A hold or a detachment
/// goes before all of them.
///
/// `own` and `group` find what a target and a group's target say to this agent; `group` answers `None` for a group that
/// never published or doesn't exist (any more). A target of its own that can't be found holds the agent: it must never
/// fall through to its group's. Agents in no group are only observed.
pub fn desired(
    registration: &Registration,
    own: impl FnOnce(TargetId) -> Option<Intent<Offer>>,
    group: impl FnOnce(&Name) -> Option<Intent<Offer>>,
) -> Desired {
    if let Some(suspension) = &registration.suspension {
        return Desired {
            config: suspension.intent(),
            own: false,
            ..Desired::default()
        };
    }
    if let Some(target) = registration.own_target {
        let config = own(target).unwrap_or(Intent::Hold(HoldReason::Unreadable));
        return Desired {
            config,
            own: true,
            ..Desired::default()
        };
    }
    let grouped = !is_unassigned(&registration.group);
    let config = grouped
        .then(|| group(&registration.group))
        .flatten()
        .unwrap_or_default();
    Desired {
        config,
        own: false,
        ..Desired::default()
    }
}

/// Whether the name stands for no group. Allocates nothing.
fn is_unassigned(group: &Name) -> bool {
    group.as_str() == "unassigned"
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::agent::Origin;
    use crate::fleet::config::ConfigMap;
    use crate::fleet::group::unassigned;
    use crate::fleet::hash::{ConfigHash, HashKey};
    use crate::fleet::ids::CredentialId;

    fn wanted(yaml: &str) -> Intent<Offer> {
        let content = ConfigMap::document(yaml);
        let stamp = ConfigHash {
            digest: content.digest(),
            epoch: 1,
            generation: 1,
        };
        Intent::Want(Arc::new(Offer::new(content, stamp, &HashKey([1; 32]))))
    }

    fn agent(group: &str, own: Option<TargetId>) -> Registration {
        let mut registration = Registration::new(AgentId([1; 16]), CredentialId([1; 16]), Origin::default());
        registration.group = Name::slug(group);
        registration.own_target = own;
        registration
    }

    #[test]
    fn a_target_of_its_own_goes_before_the_groups() {
        let (own, group) = (wanted("own: 1"), wanted("group: 1"));
        let id = TargetId([9; 16]);
        let found = desired(
            &agent("edge", Some(id)),
            |_| Some(own.clone()),
            |_| Some(group.clone()),
        );
        assert_eq!((found.config, found.own), (own, true));
        let own = wanted("own: 1");
        let found = desired(
            &agent("edge", None),
            |_| Some(own.clone()),
            |_| Some(group.clone()),
        );
        assert_eq!((found.config, found.own), (group, false));
    }

    #[test]
    fn a_hold_and_a_detachment_go_before_everything() {
        use crate::fleet::suspension::{Suspension, SuspensionKind, Terms};
        let (own, group) = (wanted("own: 1"), wanted("group: 1"));
        let held = Intent::Hold(HoldReason::Operator);
        for (kind, expected) in [
            (SuspensionKind::Held, held),
            (SuspensionKind::Detached, Intent::Unmanaged),
        ] {
            for target in [None, Some(TargetId([9; 16]))] {
                let mut agent = agent("edge", target);
                agent.suspension = Some(Suspension {
                    kind,
                    terms: Terms::default(),
                });
                let found = desired(&agent, |_| Some(own.clone()), |_| Some(group.clone()));
                assert_eq!(found.config, expected);
            }
        }
    }

    #[test]
    fn a_target_of_its_own_that_is_gone_holds_and_never_falls_through_to_the_groups() {
        let group = wanted("group: 1");
        let found = desired(
            &agent("edge", Some(TargetId([9; 16]))),
            |_| None,
            |_| Some(group.clone()),
        );
        assert_eq!(found.config, Intent::Hold(HoldReason::Unreadable));
    }

    #[test]
    fn an_agent_in_no_group_is_only_observed() {
        let other = wanted("other: 1");
        let found = desired(&agent("unassigned", None), |_| None, |_| Some(other.clone()));
        assert_eq!(found.config, Intent::Unmanaged);
        assert_eq!(unassigned().as_str(), "unassigned");
        assert!(is_unassigned(&unassigned()));
    }

    #[test]
    fn a_group_that_never_published_leaves_its_agents_alone() {
        let found = desired(&agent("edge", None), |_| None, |_| None);
        assert_eq!(found.config, Intent::Unmanaged);
    }

    #[test]
    fn a_group_that_lost_its_configuration_holds_its_agents_instead_of_blanking_them() {
        let nothing = Intent::Hold(HoldReason::NothingLeft);
        let found = desired(&agent("edge", None), |_| None, |_| Some(nothing.clone()));
        assert_eq!(found.config, nothing);
    }
}
