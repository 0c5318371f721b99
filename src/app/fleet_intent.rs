//! Where intent about configurations meets the agents: what a publication would reach, configurations of single agents,
//! and keeping what an agent runs.

use std::sync::Arc;

use super::App;
use super::audit_entry;
use super::configs::NewConfig;
use super::error::Error;
use super::intentions::{Preview, PublishResult, Saved};
use super::live::Snapshot;
use super::publish::Publish;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{Agent, Standing};
use crate::fleet::config::lint::{self, Available};
use crate::fleet::config::yaml::Limits;
use crate::fleet::config::{ConfigMap, Content, Problem};
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::target::{LayerRef, Member};
use crate::store::AuditEntry;

impl App {
    /// All agents that are not archived.
    #[must_use]
    pub fn fleet(&self) -> Vec<Arc<Agent>> {
        self.counted_agents()
            .into_iter()
            .map(|snapshot| snapshot.agent)
            .collect()
    }

    fn counted_agents(&self) -> Vec<Snapshot> {
        let mut snapshots = self.live.snapshot();
        snapshots.retain(|s| !matches!(s.agent.registration.standing, Standing::Archived { .. }));
        snapshots
    }

    /// What publishing layers to a group would do.
    ///
    /// # Errors
    /// As [`super::intentions::Intentions::impact`].
    pub fn impact(&self, actor: &Actor, group: &str, layers: &[LayerRef]) -> Result<Preview, Error> {
        actor.may(Permission::ViewFleet)?;
        let draft = self.intentions.draft(&self.intentions.index(), layers)?;
        let fleet = self.members(&draft.shown());
        self.intentions.impact(actor, group, layers, &fleet)
    }

    /// Publishes layers to a group.
    ///
    /// # Errors
    /// As [`super::intentions::Intentions::publish`].
    pub async fn publish(&self, actor: &Actor, publish: Publish) -> Result<PublishResult, Error> {
        actor.may(Permission::Publish)?;
        let draft = self.intentions.draft(&self.intentions.index(), &publish.layers)?;
        let fleet = self.members(&draft.shown());
        self.intentions.publish(actor, publish, &fleet).await
    }

    /// Every agent with what it lacks for a content.
    fn members(&self, content: &Content) -> Vec<Member> {
        let yaml = match content {
            Content::Yaml(yaml) => Some(yaml.as_bytes()),
            Content::Files(_) => None,
        };
        let mut lacking: std::collections::BTreeMap<_, Vec<String>> = std::collections::BTreeMap::new();
        let snapshots = self.counted_agents();
        snapshots
            .into_iter()
            .map(|snapshot| {
                let known = snapshot.agent.reported.components.as_ref().and_then(|c| c.known);
                let lacks = match (yaml, known) {
                    (Some(yaml), Some(set)) => lacking
                        .entry(set)
                        .or_insert_with(|| self.lacks(yaml, set))
                        .clone(),
                    _ => Vec::new(),
                };
                Member {
                    online: snapshot.presence.may_be_there(),
                    agent: snapshot.agent,
                    lacks,
                }
            })
            .collect()
    }

    /// What a document uses and a set of components doesn't have, in words.
    fn lacks(&self, yaml: &[u8], set: crate::fleet::hash::Digest) -> Vec<String> {
        let bytes = self.content(&set).ok().flatten();
        let Some(components) = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
            return Vec::new();
        };
        let limits = Limits::default();
        let general: Vec<Problem> = lint::lint(yaml, &limits);
        let here = lint::lint_for(yaml, &limits, &Available::of(&components));
        here.into_iter()
            .filter(|problem| !general.contains(problem))
            .map(|problem| problem.message)
            .collect()
    }

    /// Gives one agent a configuration of its own, before its group's.
    ///
    /// # Errors
    /// When the actor may not, or there is no such agent or revision.
    pub async fn publish_to_agent(
        &self,
        actor: &Actor,
        id: AgentId,
        (revision, message): (&LayerRef, &str),
        allow_blank: bool,
    ) -> Result<(), Error> {
        let present = self.snapshot_of(id)?.agent.registration.own_target;
        let target = self
            .intentions
            .pin_revision(actor, id, present, (revision, message), allow_blank)
            .await?;
        let entry = AuditEntry {
            detail: revision.to_string(),
            ..audit_entry(actor, "agent.own_target", format!("agent/{id}"), self.clock.now())
        };
        self.edit_registration(id, entry, |registration| {
            registration.own_target = Some(target);
            Ok(())
        })
        .await?;
        self.nudge(id);
        self.announce_agent(id);
        Ok(())
    }

    /// Keeps what an agent runs as a new config. Nothing is offered to anybody.
    ///
    /// # Errors
    /// When the actor may not, the agent reports no configuration, or the name is taken.
    pub async fn adopt(&self, actor: &Actor, id: AgentId, name: &str) -> Result<Saved, Error> {
        actor.may(Permission::ViewEffectiveConfig)?;
        let snapshot = self.snapshot_of(id)?;
        let effective = self.effective_config(actor, id)?;
        let nothing = || Error::Conflict("the agent doesn't report its configuration".into());
        let yaml = document(&effective.ok_or_else(nothing)?.content).ok_or_else(nothing)?;
        if yaml.contains("[REDACTED]") {
            let why = "the agent hides secrets in its report; put them back by hand in a config of your own";
            return Err(Error::Conflict(why.into()));
        }
        let title = snapshot.agent.title();
        let new = NewConfig {
            name: if name.is_empty() {
                Name::slug(&title).to_string()
            } else {
                name.to_owned()
            },
            description: String::new(),
            content: Content::Yaml(yaml),
            message: format!("what {title} runs"),
            allow_blank: false,
        };
        self.intentions.create_config(actor, new).await
    }
}

/// The one document of a reported configuration, if it is one.
fn document(content: &ConfigMap) -> Option<String> {
    let mut bodies = content.files.values();
    match (bodies.next(), bodies.next()) {
        (Some(file), None) => String::from_utf8(file.body.clone()).ok(),
        _ => None,
    }
}
