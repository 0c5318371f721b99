//! Keeping what an agent runs, as a new config or as a new revision of one. Nothing is offered to anybody.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::configs::{NewConfig, NewRevision};
use super::error::Error;
use super::intentions::Saved;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::config::yaml::Limits;
use crate::fleet::config::{self, ConfigMap, Content, Placeholder};
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;

/// As what it is to be kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adoption {
    /// The name of a new config; as the agent is called when empty.
    pub name: String,
    /// An existing config, of which it becomes the newest revision.
    pub config: Option<String>,
}

/// What keeping it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdoptResult {
    /// The revision.
    #[serde(flatten)]
    pub saved: Saved,
    /// What was left out, since supervisors add it themselves.
    pub dropped: Vec<String>,
    /// The secrets that the agent hides: variables stand for them, to be filled in before this is published.
    pub to_fill_in: Vec<Placeholder>,
    /// Settings that collectors don't report, so that they are missing: to be added before this is published.
    pub unreported: Vec<String>,
}

impl App {
    /// Keeps what an agent runs. What supervisors add is left out, and a variable stands where the report hides a secret.
    ///
    /// # Errors
    /// When the actor may not, the agent reports no single document, the name is taken, or there is no such config.
    pub async fn adopt(&self, actor: &Actor, id: AgentId, adoption: Adoption) -> Result<AdoptResult, Error> {
        actor.may(Permission::ViewEffectiveConfig)?;
        let snapshot = self.snapshot_of(id)?;
        let effective = self.effective_config(actor, id)?;
        let nothing = || Error::Conflict("the agent doesn't report a configuration of one document".into());
        let yaml = document(&effective.ok_or_else(nothing)?.content).ok_or_else(nothing)?;
        // Secrets of ours go by their names; others are to be filled in.
        let yaml = self.intentions.unmasked(&yaml);
        let description = snapshot.agent.reported.description.as_ref();
        let facts = description
            .map(|packed| packed.unpack().facts())
            .unwrap_or_default();
        // What collectors never report they still run: it stands in what they acknowledged of ours.
        let acknowledged = snapshot.agent.delivery.applied.as_ref();
        let acknowledged = acknowledged.and_then(|applied| self.intentions.content(applied.digest).ok());
        let known = acknowledged.and_then(|content| document(&content));
        let adopted =
            config::adopt(&yaml, &facts, known.as_deref(), &Limits::default()).map_err(Error::Problems)?;
        let title = snapshot.agent.title();
        let (content, message) = (Content::Yaml(adopted.yaml), told(&title, &adopted.secrets));
        let saved = if let Some(config) = adoption.config {
            let new = NewRevision {
                base: self.intentions.latest(&config)?,
                content,
                message,
                allow_blank: false,
            };
            self.intentions.save_revision(actor, &config, new).await?
        } else {
            let new = NewConfig {
                name: if adoption.name.is_empty() {
                    Name::slug(&title).to_string()
                } else {
                    adoption.name
                },
                description: String::new(),
                content,
                message,
                allow_blank: false,
            };
            self.intentions.create_config(actor, new).await?
        };
        Ok(AdoptResult {
            saved,
            dropped: adopted.dropped,
            to_fill_in: adopted.secrets,
            unreported: adopted.unreported,
        })
    }
}

/// The message of the revision.
fn told(title: &str, secrets: &[Placeholder]) -> String {
    if secrets.is_empty() {
        return format!("what {title} runs");
    }
    let names: Vec<_> = secrets.iter().map(|found| found.secret.as_str()).collect();
    let mut told = format!("what {title} runs; secrets to fill in: {}", names.join(", "));
    // A message has an end; all of them stand in the document.
    if let Some((at, _)) = told.char_indices().nth(1_000) {
        told.truncate(at);
        told.push('…');
    }
    told
}

/// The one document of a reported configuration, if it is one.
fn document(content: &ConfigMap) -> Option<String> {
    let mut bodies = content.files.values();
    match (bodies.next(), bodies.next()) {
        (Some(file), None) => String::from_utf8(file.body.clone()).ok(),
        _ => None,
    }
}
