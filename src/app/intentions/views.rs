//! What pages, API and command line show of intent.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::{ConfigHead, GroupHead, Index};
use crate::app::rendering::changed_inputs;
use crate::fleet::agent::{Agent, Verdict};
use crate::fleet::config::merge::Overlap;
use crate::fleet::config::{Config, Content, Diff, Problem, Revision, Variable};
use crate::fleet::group::Group;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::name::Name;
use crate::fleet::rollout::Strategy;
use crate::fleet::target::{Impact, LayerRef, Target};

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupSummary {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// The value of its `ETag`: what `If-Match` states when it is changed.
    pub revision: u64,
    /// What was last published to it, a withdrawal included; `None` when nothing ever was.
    pub published: Option<Target>,
    /// The newest revisions of the published layers that have newer ones than what was published.
    pub newer: Vec<LayerRef>,
    /// Agents that would be sent something else if just this was published again: a label, a fact or a secret that it
    /// uses has changed since.
    pub changed_inputs: u32,
    /// Whether what it sends holds secrets: facts then only propose agents, whatever `joins_by_facts` says.
    pub sends_secrets: bool,
    /// Its agents, by how far they are.
    pub members: MemberCounts,
    /// Agents that came into it, keep what they have, and wait for a rollout.
    #[serde(default)]
    pub moving: u32,
    /// Agents that a rollout was to bring to what it has since they came, and didn't.
    #[serde(default)]
    pub left_behind: u32,
}

/// A group with its past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupDetail {
    /// The group.
    #[serde(flatten)]
    pub summary: GroupSummary,
    /// All that was published to it, newest first.
    pub history: Vec<Target>,
}

/// The agents of a group that are served, by how their configuration stands. Each is in one count besides the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberCounts {
    /// All of them.
    pub all: u32,
    /// Agents that took what is wanted, with nothing that speaks against it: in sync, or unverified.
    pub current: u32,
    /// Agents that refused it, also when they went back to something else by themselves.
    pub failed: u32,
    /// Agents that took it and run something else.
    pub drifted: u32,
    /// Agents to which nothing is sent for now.
    pub held: u32,
    /// Agents with a target of their own.
    pub own_target: u32,
    /// Agents that came with something else than the group has, and run that: they wait to move, or were left behind.
    #[serde(default)]
    pub elsewhere: u32,
    /// The others: not there yet, detached, or nothing is published.
    pub waiting: u32,
}

/// A config in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigSummary {
    /// The config.
    #[serde(flatten)]
    pub config: Config,
    /// Its newest revision; `None` only when that can't be read.
    pub newest: Option<Revision>,
    /// The groups that list it as a layer, or to which it is published.
    pub groups: Vec<Name>,
}

/// A config with its revisions and its newest content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigDetail {
    /// The config.
    #[serde(flatten)]
    pub summary: ConfigSummary,
    /// All revisions, newest first.
    pub revisions: Vec<Revision>,
    /// The content of the newest.
    pub content: Content,
    /// What a check finds in it.
    pub problems: Vec<Problem>,
}

/// One revision with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionContent {
    /// The revision.
    #[serde(flatten)]
    pub revision: Revision,
    /// Its content.
    pub content: Content,
}

/// What saving a content came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// The revision that has the content.
    pub revision: Revision,
    /// Whether it is new; `false` when the newest revision has this content already.
    pub created: bool,
    /// What is worth a look in it.
    pub warnings: Vec<Problem>,
}

/// What a publication would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The group.
    pub group: Name,
    /// The value of the group's `ETag`: what the publication states as `expected_revision`.
    pub group_revision: u64,
    /// The layers, from base to most specific.
    pub layers: Vec<LayerRef>,
    /// The digest of what agents would be sent; `None` when it differs from agent to agent.
    pub digest: Option<Digest>,
    /// How many different contents agents would be sent.
    pub contents: u32,
    /// The variables of the layers.
    pub variables: Vec<Variable>,
    /// Where layers contradict each other.
    pub overlaps: Vec<Overlap>,
    /// What is published now; `None` when nothing ever was.
    pub published: Option<Target>,
    /// Whether just this is published now.
    pub already_published: bool,
    /// What would change in what agents are sent; where that differs from agent to agent, for the first of `impact`.
    pub diff: Diff,
    /// What a check finds in the content, by its lines; of several layers, by the lines of these, under their names. An
    /// error among them stops the publication.
    pub warnings: Vec<Problem>,
    /// What it would do to the agents.
    pub impact: Impact,
    /// How it would reach them, if nothing else is said.
    pub strategy: Strategy,
    /// So many people besides the author have to approve it before it reaches anybody; 0 = nobody.
    #[serde(default)]
    pub approvals: u32,
    /// A rollout to the group that isn't over and is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<RolloutId>,
}

impl Preview {
    /// Whether the content has errors, which stop its publication.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.warnings.iter().any(Problem::is_error)
    }
}

/// What a publication came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PublishResult {
    /// What is published now.
    pub target: Target,
    /// Whether it is new; `false` when just this was published already.
    pub created: bool,
    /// The rollout that brings it to the agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// Whether it reaches nobody until others than its author approved it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_approval: bool,
    /// The value of the group's `ETag` from now on.
    pub group_revision: u64,
    /// What it does to the agents, as they were a moment before.
    pub impact: Impact,
}

/// What deleting a group came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The agents that were in it, and that fall to another group or to none. Nothing is sent to those in none.
    pub members: u32,
}

impl GroupSummary {
    pub(in crate::app) fn of(
        index: &Index,
        head: &GroupHead,
        members: MemberCounts,
        fleet: &[Arc<Agent>],
    ) -> Self {
        let published = head.group.target.and_then(|id| index.target(id)).cloned();
        let content = published.as_ref().and_then(|target| target.content.as_ref());
        let layers = content.map_or([].as_slice(), |content| content.layers.as_slice());
        let newer = layers
            .iter()
            .filter_map(|layer| index.newer_than(layer))
            .collect();
        let name = &head.group.name;
        let here = |agent: &&Arc<Agent>| agent.registration.group == *name && agent.registration.is_served();
        let count = |test: &dyn Fn(AgentId) -> bool| {
            let found = fleet.iter().filter(here).filter(|agent| test(agent.id())).count();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        Self {
            moving: count(&|agent| index.pending_move(agent).is_some()),
            left_behind: count(&|agent| index.left_behind(name, agent).is_some()),
            group: head.group.clone(),
            revision: head.revision,
            published,
            newer,
            changed_inputs: changed_inputs(index, head, fleet),
            sends_secrets: index.sends_secrets(&head.group),
            members,
        }
    }
}

impl MemberCounts {
    /// Counts one agent of the group, whose configuration stands as `verdict` says. What is wanted of it is something else
    /// than the group has when it is `elsewhere`.
    pub(in crate::app) fn add(&mut self, agent: &Agent, verdict: Verdict, elsewhere: bool) {
        if !agent.registration.is_served() {
            return;
        }
        self.all += 1;
        let count = if agent.registration.own_target.is_some() {
            &mut self.own_target
        } else {
            match verdict {
                Verdict::InSync | Verdict::Unverified if elsewhere => &mut self.elsewhere,
                Verdict::InSync | Verdict::Unverified => &mut self.current,
                Verdict::Failed | Verdict::SelfReverted => &mut self.failed,
                Verdict::Drifted => &mut self.drifted,
                Verdict::Held => &mut self.held,
                Verdict::NotCapable
                | Verdict::Unknown
                | Verdict::Pending
                | Verdict::Applying
                | Verdict::ObserveOnly => &mut self.waiting,
            }
        };
        *count += 1;
    }
}

impl ConfigSummary {
    pub(in crate::app) fn of(index: &Index, head: &ConfigHead) -> Self {
        Self {
            config: head.config.clone(),
            newest: head.latest().cloned(),
            groups: index.groups_with(&head.config.name),
        }
    }
}
