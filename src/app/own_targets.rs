//! Targets of single agents: what a host ran before it joined, and what an operator pins to one agent.

use super::changes::Topic;
use super::configs::{self, NewConfig, short};
use super::error::Error;
use super::intentions::{Index, Intentions};
use super::publish::{is_whole, judged, may_be_blank};
use super::rendering::Draft;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{Agent, Intent};
use crate::fleet::config::yaml::{self, Limits};
use crate::fleet::config::{ConfigMap, Content, Diff, Problem, Variable};
use crate::fleet::ids::{AgentId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::target::{Frozen, LayerRef, Scope};
use crate::store::Batch;

/// What publishing a revision to one agent would change.
#[derive(Clone, Debug)]
pub struct OwnPreview {
    /// The revision.
    pub layer: LayerRef,
    /// What changes in what is wanted of the agent.
    pub diff: Diff,
    /// What a check finds in it. An error among them stops the publication.
    pub warnings: Vec<Problem>,
    /// What it uses and the agent doesn't have: it can't be published to it.
    pub missing: Vec<Variable>,
}

impl OwnPreview {
    /// Whether the content has errors, which stop its publication.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.warnings.iter().any(Problem::is_error)
    }
}

impl Intentions {
    /// What publishing a revision to one agent would change. Nothing is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such config or revision.
    pub fn own_preview(
        &self,
        actor: &Actor,
        agent: &Agent,
        revision: &LayerRef,
    ) -> Result<OwnPreview, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let draft = self.draft(&index, std::slice::from_ref(revision))?;
        let (after, missing) = match draft.shown_for(&index, agent) {
            Ok(shown) => (shown.content, Vec::new()),
            Err(missing) => (draft.unresolved().content, missing),
        };
        let before = match self.behind_holds(&agent.registration).config {
            Intent::Want(offer) => (*offer.shown).clone(),
            Intent::Hold(_) | Intent::Unmanaged => ConfigMap::default(),
        };
        Ok(OwnPreview {
            layer: revision.clone(),
            diff: Diff::between(&before, &after),
            warnings: judged(&draft, &draft.unresolved()),
            missing,
        })
    }

    /// Freezes a revision as an agent's own. The caller records the target in the agent's registration.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when a content that tells agents to run nothing wasn't confirmed;
    /// [`Error::Problems`] when it is only a layer, which is no whole configuration.
    pub async fn pin_revision(
        &self,
        actor: &Actor,
        agent: &Agent,
        present: Option<TargetId>,
        (revision, message): (&LayerRef, &str),
        allow_blank: bool,
    ) -> Result<TargetId, Error> {
        actor.may(Permission::Publish)?;
        short("message", message)?;
        self.validated_layers(std::slice::from_ref(revision)).await?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let draft = self.draft(&index, std::slice::from_ref(revision))?;
        may_be_blank(&draft, allow_blank)?;
        is_whole(&draft)?;
        let rendered = self.render(&index, &draft, [agent]);
        self.fits(rendered.largest())?;
        if let Some(Err(missing)) = rendered.agents.get(&agent.id()) {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            let why = format!("{} has no {}", agent.title(), missing.join(", "));
            return Err(Error::invalid("layers", why));
        }
        let agent = agent.id();
        let mut batch = Batch::new();
        let made = (Scope::Agent(agent), present, message.to_owned());
        let target = self.freeze(&mut batch, actor, made, &draft, &rendered)?;
        let told = revision.to_string();
        let mut entry = self.audited(actor, "agent.publish", format!("agent/{agent}"), told);
        let before = present.and_then(|id| index.target(id)?.content.as_ref());
        entry.before = before.and_then(Frozen::common);
        entry.after = draft.digest();
        batch.audit(entry);
        let committed = writing.commit(batch).await?;
        let id = target.id;
        self.put_frozen(&mut index, target, rendered, &committed);
        writing.install(index, [Topic::Agent(agent)], true);
        Ok(id)
    }

    /// Whether what a host runs can be kept as a config.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Problems`] say why not.
    pub fn check_adoptable(&self, yaml: &str) -> Result<(), Error> {
        let refused = |why: &str| Err(Error::invalid("running_config", why));
        if yaml.trim().is_empty() {
            return refused("it is empty; leave it out when nothing runs yet");
        }
        if yaml.len() > self.largest_content {
            return refused("it is too large for one message");
        }
        if yaml.contains("[REDACTED]") {
            return refused("it has [REDACTED] in the place of secrets, so the collector couldn't run it");
        }
        // Its collector takes it, so only what is no document at all is refused.
        match yaml::parse(yaml.as_bytes(), &Limits::default()) {
            Ok(_) => Ok(()),
            Err(problems) => Err(Error::Problems(problems)),
        }
    }

    /// Keeps what a host ran before it joined as revision 1 of a config named after it, and freezes it as the agent's own
    /// target. The caller records the target in the agent's registration.
    ///
    /// # Errors
    /// As [`Intentions::check_adoptable`], or when the store fails.
    pub async fn adopt_running(
        &self,
        agent: AgentId,
        host: &str,
        yaml: &str,
    ) -> Result<(Name, TargetId), Error> {
        self.check_adoptable(yaml)?;
        let actor = Actor::muster();
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let name = free_name(&index, host, agent);
        let mut batch = Batch::new();
        let new = NewConfig {
            name: name.to_string(),
            description: String::new(),
            content: Content::Yaml(yaml.to_owned()),
            message: format!("what {host} ran when it joined"),
            allow_blank: false,
        };
        let message = new.message.clone();
        let head = self.first_revision(&mut batch, &actor.name, &name, new);
        let newest = head
            .latest()
            .ok_or_else(|| Error::not_found("revision of config", &name))?;
        let layer = LayerRef {
            config: name.clone(),
            revision: newest.number,
        };
        // It runs there already, so it stays byte for byte, whatever is in it.
        let draft = Draft::alone(layer, head.config.kind, ConfigMap::document(yaml));
        let rendered = self.render(&index, &draft, []);
        let made = (Scope::Agent(agent), None, message.clone());
        let target = self.freeze(&mut batch, &actor, made, &draft, &rendered)?;
        let mut entry = self.audited(&actor, "config.adopt", configs::object(&name), message);
        entry.after = Some(newest.digest);
        batch.audit(entry);
        let committed = writing.commit(batch).await?;
        let id = target.id;
        index.put_config(head);
        self.put_frozen(&mut index, target, rendered, &committed);
        writing.install(index, [Topic::Configs], false);
        Ok((name, id))
    }
}

/// A name for the config of a host: its own when that is free.
fn free_name(index: &Index, host: &str, agent: AgentId) -> Name {
    let plain = Name::slug(host);
    if index.config(&plain).is_none() {
        return plain;
    }
    // Ids begin with a time; their end tells agents apart.
    let id = agent.to_string();
    let (stem, end) = (
        plain.as_str().chars().take(50).collect::<String>(),
        id.chars().skip(20),
    );
    Name::slug(&format!("{stem}-{}", end.collect::<String>()))
}
