//! Looking at what layers come to: the document of an agent, with the layer of each line.

use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::claims::NamedAgent;
use super::error::Error;
use super::rendering::agents_of;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::config::merge::Overlap;
use crate::fleet::config::{Content, Diff, Kind, Problem, Variable};
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::target::LayerRef;

/// So many agents are named to choose from.
const MOST_CHOICES: usize = 100;

/// What layers come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RenderedView {
    /// The group.
    pub group: Name,
    /// The layers, from base to most specific.
    pub layers: Vec<LayerRef>,
    /// The agent that it is shown for; `None` when it is the same for all, or there is none.
    pub agent: Option<NamedAgent>,
    /// The document, line by line; none for files.
    pub lines: Vec<RenderedLine>,
    /// The names of files, where the layers hold files.
    pub files: Vec<String>,
    /// Where layers contradict each other.
    pub overlaps: Vec<Overlap>,
    /// What a check finds in the document, by its lines; of several layers, by the lines of these.
    pub problems: Vec<Problem>,
    /// The variables of the layers.
    pub variables: Vec<Variable>,
    /// Those that stand for nothing at the agent; they then stand in the document as they are.
    pub missing: Vec<Variable>,
    /// What would change for the agent, from what is published to the group.
    pub diff: Diff,
    /// Agents of the group, the first hundred by what people call them.
    pub choices: Vec<NamedAgent>,
}

/// One line of a document. Secrets show as their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RenderedLine {
    /// The text.
    pub text: String,
    /// The layer that it comes from, from 0 for the base.
    pub layer: u16,
    /// The line in that layer.
    pub line: u32,
}

impl App {
    /// What layers come to for one agent of a group; for the first by what people call it when none is named.
    ///
    /// # Errors
    /// When there is no such group, config, revision or agent in it, or the layers can't be put together.
    pub fn rendered(
        &self,
        actor: &Actor,
        group: &str,
        layers: &[LayerRef],
        agent: Option<AgentId>,
    ) -> Result<RenderedView, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.intentions.index();
        let head = super::groups::named(&index, group)?;
        let draft = self.intentions.draft(&index, layers)?;
        let fleet = self.fleet();
        let mut members: Vec<_> = agents_of(&fleet, &head.group.name).collect();
        members.sort_by_cached_key(|agent| (agent.title(), agent.id()));
        let chosen = match agent {
            Some(id) => {
                let found = members.iter().find(|agent| agent.id() == id);
                Some(found.ok_or_else(|| Error::not_found("agent of the group", &id))?)
            }
            None if draft.variables().is_empty() => None,
            None => members.first(),
        };
        let rendered = chosen.map(|agent| draft.shown_for(&index, agent));
        let (shown, missing) = match rendered {
            Some(Ok(shown)) => (shown, Vec::new()),
            Some(Err(missing)) => (draft.unresolved(), missing),
            None => (draft.unresolved(), Vec::new()),
        };
        let target = head.group.target.and_then(|id| index.target_head(id));
        let before = self.intentions.published_to(
            &index,
            target.map(AsRef::as_ref),
            chosen.map(|agent| agent.id()),
        )?;
        let content = Content::of(draft.kind, shown.content.clone());
        let problems = super::publish::judged(&draft, &shown);
        let origins = shown.lines.iter();
        let lines = match &content {
            Content::Yaml(text) => text
                .lines()
                .zip(origins)
                .map(|(text, origin)| RenderedLine {
                    text: text.to_owned(),
                    layer: origin.layer,
                    line: origin.at.line,
                })
                .collect(),
            Content::Files(_) => Vec::new(),
        };
        let named = |agent: &&crate::fleet::agent::Agent| NamedAgent {
            title: agent.title(),
            id: agent.id(),
        };
        Ok(RenderedView {
            group: head.group.name.clone(),
            agent: chosen.map(named),
            lines,
            files: if draft.kind == Kind::Files {
                shown.content.files.keys().cloned().collect()
            } else {
                Vec::new()
            },
            problems,
            variables: draft.variables().to_vec(),
            missing,
            diff: Diff::between(&before, &shown.content),
            choices: members.iter().take(MOST_CHOICES).map(named).collect(),
            overlaps: draft.overlaps,
            layers: draft.layers,
        })
    }
}
