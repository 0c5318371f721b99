//! Where intent about configurations meets the agents: what a publication would reach, and configurations of single
//! agents.

use std::sync::Arc;

use super::App;
use super::audit_entry;
use super::error::Error;
use super::intentions::{Preview, PublishResult};
use super::live::Snapshot;
use super::own_targets::OwnPreview;
use super::publish::Publish;
use super::terms::OnTerms;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{Agent, Standing};
use crate::fleet::config::Content;
use crate::fleet::config::lint::{self, Available, Judged};
use crate::fleet::config::yaml::Limits;
use crate::fleet::ids::AgentId;
use crate::fleet::target::{LayerRef, Member};
use crate::fleet::time::Timestamp;
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
        let fleet = self.members(&draft.to_check());
        self.intentions.impact(actor, group, layers, &fleet)
    }

    /// Publishes layers to a group.
    ///
    /// # Errors
    /// As [`super::intentions::Intentions::publish`].
    pub async fn publish(&self, actor: &Actor, publish: Publish) -> Result<PublishResult, Error> {
        actor.may(Permission::Publish)?;
        let draft = self.intentions.draft(&self.intentions.index(), &publish.layers)?;
        let fleet = self.members(&draft.to_check());
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

    /// The components that a document uses and a set doesn't have, in words such as "the `kafka` exporter".
    fn lacks(&self, yaml: &[u8], set: crate::fleet::hash::Digest) -> Vec<String> {
        let bytes = self.content(&set).ok().flatten();
        let Some(components) = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
            return Vec::new();
        };
        let limits = Limits::default();
        let here = lint::lint_for(yaml, &limits, &Available::of(&components), Judged::Whole);
        let absent = here.iter().filter_map(lint::absent_component);
        // Several of one kind lack the same.
        let absent: std::collections::BTreeSet<_> = absent.collect();
        absent.into_iter().map(|what| format!("the {what}")).collect()
    }

    /// What giving one agent a configuration of its own would change.
    ///
    /// # Errors
    /// When the actor may not, or there is no such agent or revision.
    pub fn own_preview(&self, actor: &Actor, id: AgentId, revision: &LayerRef) -> Result<OwnPreview, Error> {
        let agent = self.snapshot_of(id)?.agent;
        self.intentions.own_preview(actor, &agent, revision)
    }

    /// Gives one agent a configuration of its own, before its group's; until then, or for good.
    ///
    /// # Errors
    /// When the actor may not, or there is no such agent or revision.
    pub async fn publish_to_agent(
        &self,
        actor: &Actor,
        id: AgentId,
        (revision, message): (&LayerRef, &str),
        allow_blank: bool,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let terms = OnTerms::of(message, until).terms(actor, self.clock.now())?;
        let agent = self.snapshot_of(id)?.agent;
        let group = &agent.registration.group;
        if self
            .intentions
            .index()
            .group(group)
            .is_some_and(|head| head.group.is_protected())
        {
            self.audit.refused(
                &actor.name,
                actor.address,
                "agent.publish",
                "in a protected group",
            );
            return Err(Error::Conflict(format!(
                "it is in the protected group {group}: publish to the group, where somebody else approves it"
            )));
        }
        let present = agent.registration.own_target;
        let target = self
            .intentions
            .pin_revision(actor, &agent, present, (revision, message), allow_blank)
            .await?;
        let entry = AuditEntry {
            detail: format!("{revision}; {}", OnTerms::told("", until))
                .trim_end_matches("; ")
                .to_owned(),
            ..audit_entry(actor, "agent.own_target", format!("agent/{id}"), self.clock.now())
        };
        self.edit_registration(id, entry, |registration| {
            registration.own_target = Some(target);
            registration.own_terms = Some(terms);
            Ok(())
        })
        .await?;
        self.nudge(id);
        self.announce_agent(id);
        Ok(())
    }
}
