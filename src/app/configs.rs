//! Configs: making, editing, comparing and deleting what can be published. Saving reaches nobody.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::Topic;
use super::error::Error;
use super::intentions::{
    ConfigDetail, ConfigHead, ConfigSummary, Intentions, RevisionContent, Saved, fingerprint,
};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::Agent;
use crate::fleet::config::lint::{Available, Judged};
use crate::fleet::config::yaml::Limits;
use crate::fleet::config::{
    self, Config, ConfigMap, Content, Diff, Problem, Revision, STARTERS, Starter, StarterSummary,
};
use crate::fleet::hash::Digest;
use crate::fleet::name::Name;
use crate::store::Batch;

/// The largest content, in bytes, whatever a message may hold.
const LARGEST_CONTENT_BYTES: usize = 960 * 1024;
/// What a message may hold beside a content, in bytes.
const BESIDE_CONTENT_BYTES: usize = 16 * 1024;
/// The longest description or message, in bytes.
const LONGEST_TEXT_BYTES: usize = 4096;

/// A config that is to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewConfig {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    #[serde(default)]
    pub description: String,
    /// Its first content, which also says its kind.
    #[serde(flatten)]
    pub content: Content,
    /// Why; may be empty.
    #[serde(default)]
    pub message: String,
    /// Says that a content which tells agents to run nothing is meant.
    #[serde(default)]
    pub allow_blank: bool,
}

/// A content that is to become the newest revision.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewRevision {
    /// The number of the revision that was edited: it must still be the newest.
    pub base: u64,
    /// The content.
    #[serde(flatten)]
    pub content: Content,
    /// Why; may be empty.
    #[serde(default)]
    pub message: String,
    /// Says that a content which tells agents to run nothing is meant.
    #[serde(default)]
    pub allow_blank: bool,
}

/// What is to change about a config beside its content. What isn't given stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigEdit {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A config to begin with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StarterDetail {
    /// What it is.
    #[serde(flatten)]
    pub summary: StarterSummary,
    /// Its text.
    pub content: Content,
}

/// What is wrong with a content or worth a look, by line and column. What is saved is judged as a layer, and what agents are
/// sent as a whole.
#[must_use]
pub fn check(content: &Content, judged: Judged) -> Vec<Problem> {
    if content.is_blank() {
        // Nobody can say where in nothing; whether it is meant is asked for by name.
        return Vec::new();
    }
    let map = content.clone().into_map();
    let any = Available::default();
    config::check(content.kind(), &map, &Limits::default(), &any, judged)
}

/// Whether a content needs no other layer.
#[must_use]
pub fn is_complete(content: &Content) -> bool {
    !check(content, Judged::Layer).iter().any(Problem::is_incomplete)
}

/// Why a content is too large for every server, since no message to an agent would carry it; `None` when it isn't. A server
/// with a lower limit of messages takes less.
#[must_use]
pub fn too_large(content: &Content) -> Option<String> {
    let size = content.size();
    (size > LARGEST_CONTENT_BYTES)
        .then(|| format!("a configuration has at most {LARGEST_CONTENT_BYTES} bytes; this has {size}"))
}

/// What there is to begin a config with.
///
/// # Errors
/// When the actor may not look at the fleet.
pub fn starters(actor: &Actor) -> Result<Vec<StarterSummary>, Error> {
    actor.may(Permission::ViewFleet)?;
    Ok(STARTERS.iter().map(Starter::summary).collect())
}

/// One starter.
///
/// # Errors
/// [`Error::NotFound`], or when the actor may not look at the fleet.
pub fn starter(actor: &Actor, name: &str) -> Result<StarterDetail, Error> {
    actor.may(Permission::ViewFleet)?;
    let starter = Starter::named(name).ok_or_else(|| Error::not_found("starter", name))?;
    Ok(StarterDetail {
        summary: starter.summary(),
        content: Content::Yaml(starter.yaml.to_owned()),
    })
}

impl Intentions {
    /// All configs in the order of their names.
    ///
    /// # Errors
    /// When the actor may not look at the fleet.
    pub fn configs(&self, actor: &Actor) -> Result<Vec<ConfigSummary>, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        Ok(index
            .configs()
            .map(|head| ConfigSummary::of(&index, head))
            .collect())
    }

    /// One config with its revisions and its newest content.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its content can't be read.
    pub fn config(&self, actor: &Actor, name: &str) -> Result<ConfigDetail, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = named(&index, name)?;
        let newest = head
            .latest()
            .ok_or_else(|| Error::not_found("revision", "latest"))?;
        let content = Content::of(head.config.kind, self.content(newest.digest)?);
        Ok(ConfigDetail {
            summary: ConfigSummary::of(&index, head),
            revisions: head.revisions.iter().rev().cloned().collect(),
            problems: check(&content, Judged::Layer),
            content,
        })
    }

    /// One revision with its content.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its content can't be read.
    pub fn revision(&self, actor: &Actor, name: &str, number: u64) -> Result<RevisionContent, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = named(&index, name)?;
        let revision = numbered(head, number)?;
        Ok(RevisionContent {
            revision: revision.clone(),
            content: Content::of(head.config.kind, self.content(revision.digest)?),
        })
    }

    /// What changed from one revision to another, in either order of time.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when a content can't be read.
    pub fn diff(&self, actor: &Actor, name: &str, from: u64, to: u64) -> Result<Diff, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = named(&index, name)?;
        let before = self.content(numbered(head, from)?.digest)?;
        let after = self.content(numbered(head, to)?.digest)?;
        Ok(Diff::between(&before, &after))
    }

    /// Makes a config with its first revision.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Problems`] say what must change; [`Error::Conflict`] when the name is taken.
    pub async fn create_config(&self, actor: &Actor, new: NewConfig) -> Result<Saved, Error> {
        actor.may(Permission::EditConfigs)?;
        let name = Name::new(&new.name).map_err(|error| Error::invalid("name", error.to_string()))?;
        short("description", &new.description)?;
        short("message", &new.message)?;
        let mut warnings = acceptable(&new.content, new.allow_blank, self.largest_content)?;
        warnings.extend(self.validated(&new.content).await?);
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        if index.config(&name).is_some() {
            return Err(Error::Conflict(format!(
                "there is a config {:?} already",
                name.as_str()
            )));
        }
        let mut batch = Batch::new();
        let head = self.first_revision(&mut batch, &actor.name, &name, new);
        let revision = head.config_revision()?;
        let mut entry = self.audited(actor, "config.create", object(&name), revision.message.clone());
        entry.after = Some(revision.digest);
        batch.audit(entry);
        writing.commit(batch).await?;
        index.put_config(head);
        writing.install(index, [Topic::Configs], false);
        Ok(Saved {
            revision,
            created: true,
            warnings,
        })
    }

    /// Saves a content as the newest revision. The content that the newest has already makes none.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else saved since `base`; otherwise as [`Intentions::create_config`].
    pub async fn save_revision(&self, actor: &Actor, name: &str, new: NewRevision) -> Result<Saved, Error> {
        actor.may(Permission::EditConfigs)?;
        short("message", &new.message)?;
        let mut warnings = acceptable(&new.content, new.allow_blank, self.largest_content)?;
        warnings.extend(self.validated(&new.content).await?);
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(named(&index, name)?);
        if new.base != head.config.latest {
            return Err(Error::Stale);
        }
        if new.content.kind() != head.config.kind {
            return Err(Error::invalid(
                "content",
                "a config keeps its kind: YAML, or named files",
            ));
        }
        let content = new.content.into_map().to_canonical();
        let digest = Digest::of(&content);
        let before = head.latest();
        if let Some(same) = before.filter(|latest| latest.digest == digest) {
            return Ok(Saved {
                revision: same.clone(),
                created: false,
                warnings,
            });
        }
        let now = self.now();
        let revision = Revision {
            config: head.config.name.clone(),
            number: head.config.latest + 1,
            digest,
            size_bytes: content.len() as u64,
            author: actor.name.clone(),
            at: now,
            message: new.message,
        };
        let config = Config {
            latest: revision.number,
            updated_at: now,
            ..head.config.clone()
        };
        let mut batch = Batch::new();
        batch.expect_revision::<Config>(&config.name, head.revision);
        batch.put_body(content);
        batch.put(&config.name, &config);
        batch.put(&(config.name.clone(), revision.number), &revision);
        let mut entry = self.audited(
            actor,
            "config.save",
            object(&config.name),
            revision.message.clone(),
        );
        entry.before = before.map(|revision| revision.digest);
        entry.after = Some(digest);
        batch.audit(entry);
        writing.commit(batch).await?;
        let mut revisions = head.revisions.clone();
        revisions.push(revision.clone());
        index.put_config(ConfigHead {
            config,
            revision: head.revision + 1,
            revisions,
        });
        writing.install(index, [Topic::Configs], false);
        Ok(Saved {
            revision,
            created: true,
            warnings,
        })
    }

    /// Changes what is said of a config; its revisions stay as they are.
    ///
    /// `expected` is the entity tag that was looked at; `None` changes whatever is there.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] says what must change; [`Error::Stale`] when it was changed since.
    pub async fn edit_config(
        &self,
        actor: &Actor,
        name: &str,
        edit: ConfigEdit,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        actor.may(Permission::EditConfigs)?;
        let ConfigEdit { description } = edit;
        short("description", description.as_deref().unwrap_or_default())?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(named(&index, name)?);
        unchanged(&head, expected)?;
        let Some(description) = description.filter(|text| *text != head.config.description) else {
            return Ok(());
        };
        let config = Config {
            description,
            updated_at: self.now(),
            ..head.config.clone()
        };
        let mut batch = Batch::new();
        batch.expect_revision::<Config>(&config.name, head.revision);
        batch.put(&config.name, &config);
        let mut entry = self.audited(
            actor,
            "config.describe",
            object(&config.name),
            config.description.clone(),
        );
        entry.before = fingerprint(&head.config);
        entry.after = fingerprint(&config);
        batch.audit(entry);
        writing.commit(batch).await?;
        index.put_config(ConfigHead {
            config,
            revision: head.revision + 1,
            revisions: head.revisions.clone(),
        });
        writing.install(index, [Topic::Configs], false);
        Ok(())
    }

    /// Deletes a config that nothing uses. What was published from it before stays readable.
    ///
    /// `expected` is the entity tag that was looked at; `None` deletes whatever is there.
    ///
    /// # Errors
    /// [`Error::Conflict`] names the groups or agents that use it; [`Error::Stale`] when it was changed since.
    pub async fn delete_config(
        &self,
        actor: &Actor,
        name: &str,
        expected: Option<u64>,
        fleet: &[Arc<Agent>],
    ) -> Result<(), Error> {
        actor.may(Permission::EditConfigs)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(named(&index, name)?);
        unchanged(&head, expected)?;
        let groups = index.groups_with(&head.config.name);
        if !groups.is_empty() {
            let groups: Vec<_> = groups.iter().map(Name::as_str).collect();
            return Err(Error::Conflict(format!(
                "it is used by the groups {}",
                groups.join(", ")
            )));
        }
        let own: BTreeSet<_> = fleet
            .iter()
            .filter(|agent| {
                let target = agent.registration.own_target.and_then(|id| index.target(id));
                let content = target.and_then(|target| target.content.as_ref());
                content.is_some_and(|content| content.has(&head.config.name))
            })
            .map(|agent| agent.title())
            .collect();
        if !own.is_empty() {
            let shown: Vec<_> = own.iter().take(5).map(String::as_str).collect();
            let agents = format!("{} agents have it as their own: {}", own.len(), shown.join(", "));
            return Err(Error::Conflict(agents));
        }
        let mut batch = Batch::new();
        batch.expect_revision::<Config>(&head.config.name, head.revision);
        batch.delete::<Config>(&head.config.name);
        for revision in &head.revisions {
            batch.delete::<Revision>(&(head.config.name.clone(), revision.number));
        }
        let mut entry = self.audited(actor, "config.delete", object(&head.config.name), String::new());
        entry.before = fingerprint(&head.config);
        batch.audit(entry);
        writing.commit(batch).await?;
        index.remove_config(&head.config.name);
        writing.install(index, [Topic::Configs], false);
        Ok(())
    }

    /// How often a config's record was written: the value of its `ETag`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn config_tag(&self, actor: &Actor, name: &str) -> Result<u64, Error> {
        actor.may(Permission::ViewFleet)?;
        Ok(named(&self.index(), name)?.revision)
    }

    /// The number of a config's newest revision.
    pub(super) fn latest(&self, name: &str) -> Result<u64, Error> {
        Ok(named(&self.index(), name)?.config.latest)
    }

    /// Puts the records of a new config into the batch.
    pub(super) fn first_revision(
        &self,
        batch: &mut Batch,
        author: &str,
        name: &Name,
        new: NewConfig,
    ) -> ConfigHead {
        let now = self.now();
        let kind = new.content.kind();
        let content = new.content.into_map().to_canonical();
        let revision = Revision {
            config: name.clone(),
            number: 1,
            digest: Digest::of(&content),
            size_bytes: content.len() as u64,
            author: author.to_owned(),
            at: now,
            message: new.message,
        };
        let config = Config {
            name: name.clone(),
            kind,
            description: new.description,
            latest: 1,
            created_at: now,
            updated_at: now,
        };
        batch.expect_absent::<Config>(name);
        batch.put_body(content);
        batch.put(name, &config);
        batch.put(&(name.clone(), 1), &revision);
        ConfigHead {
            config,
            revision: 1,
            revisions: vec![revision],
        }
    }

    /// The content with this digest, from the store.
    pub(super) fn content(&self, digest: Digest) -> Result<ConfigMap, Error> {
        let bytes = self.store.body(&digest)?;
        let bytes = bytes.ok_or_else(|| Error::not_found("content", &digest))?;
        ConfigMap::from_canonical(&bytes).map_err(Error::internal)
    }
}

impl ConfigHead {
    /// The newest revision, which every config has from its first moment.
    fn config_revision(&self) -> Result<Revision, Error> {
        let newest = self.latest().cloned();
        newest.ok_or_else(|| Error::not_found("revision of config", &self.config.name))
    }
}

/// Refuses when the config is not as it was looked at.
fn unchanged(head: &ConfigHead, expected: Option<u64>) -> Result<(), Error> {
    if expected.is_none_or(|expected| expected == head.revision) {
        Ok(())
    } else {
        Err(Error::Stale)
    }
}

pub(super) fn named<'a>(
    index: &'a super::intentions::Index,
    name: &str,
) -> Result<&'a Arc<ConfigHead>, Error> {
    let found = Name::new(name).ok().and_then(|name| index.config(&name));
    found.ok_or_else(|| Error::not_found("config", name))
}

pub(super) fn numbered(head: &ConfigHead, number: u64) -> Result<&Revision, Error> {
    let missing = || Error::not_found("revision", &format!("{} of {}", number, head.config.name));
    head.numbered(number).ok_or_else(missing)
}

pub(super) fn object(name: &Name) -> String {
    format!("config/{name}")
}

/// The largest content that fits into a message of at most `message_bytes` beside all else.
pub(super) fn largest_content(message_bytes: usize) -> usize {
    LARGEST_CONTENT_BYTES.min(message_bytes.saturating_sub(BESIDE_CONTENT_BYTES))
}

/// Refuses what must not be saved; gives back what is only worth a look. `largest` is what fits into a message.
fn acceptable(content: &Content, allow_blank: bool, largest: usize) -> Result<Vec<Problem>, Error> {
    if content.size() > largest {
        let why = format!(
            "a configuration has at most {largest} bytes, to fit into a message (limits.message_size); this has {}",
            content.size()
        );
        return Err(Error::invalid("content", why));
    }
    if content.is_blank() && !allow_blank {
        return Err(Error::invalid(
            "allow_blank",
            "an empty configuration stops the agents that get it; confirm that this is meant",
        ));
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = check(content, Judged::Layer)
        .into_iter()
        .partition(Problem::is_error);
    if errors.is_empty() {
        Ok(warnings)
    } else {
        Err(Error::Problems(errors))
    }
}

pub(super) fn short(field: &str, text: &str) -> Result<(), Error> {
    if text.len() > LONGEST_TEXT_BYTES {
        let why = format!("at most {LONGEST_TEXT_BYTES} bytes; this has {}", text.len());
        return Err(Error::invalid(field, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::Kind;

    #[test]
    fn a_blank_content_is_refused_until_it_is_confirmed_by_name() {
        for blank in [Content::Yaml(" \n".into()), Content::Files([].into())] {
            let refused = acceptable(&blank, false, LARGEST_CONTENT_BYTES).unwrap_err();
            assert!(matches!(refused, Error::Invalid(fields) if fields[0].field == "allow_blank"));
            assert!(acceptable(&blank, true, LARGEST_CONTENT_BYTES).is_ok());
        }
    }

    #[test]
    fn named_files_are_checked_too() {
        let file = config::ConfigFile {
            body: b"x".to_vec(),
            ..Default::default()
        };
        let odd = Content::Files([("a\nb".to_owned(), file)].into());
        assert!(matches!(
            acceptable(&odd, false, LARGEST_CONTENT_BYTES),
            Err(Error::Problems(_))
        ));
    }

    #[test]
    fn a_configuration_that_fits_into_no_message_is_refused() {
        for message in [64 << 10, 1 << 20, 16 << 20] {
            let largest = largest_content(message);
            assert!(largest < message && largest <= LARGEST_CONTENT_BYTES);
            let big = Content::Yaml("x".repeat(largest + 1));
            assert!(matches!(acceptable(&big, false, largest), Err(Error::Invalid(_))));
        }
    }

    #[test]
    fn a_kind_can_be_told_from_every_content() {
        assert_eq!(Content::Yaml(String::new()).kind(), Kind::Collector);
        assert_eq!(Content::Files([].into()).kind(), Kind::Files);
    }
}
