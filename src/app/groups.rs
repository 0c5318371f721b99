//! Groups: making, editing and deleting them. Who is in them follows; what they send is published.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::Topic;
use super::configs::short;
use super::error::{Error, FieldError};
use super::intentions::{
    Deleted, GroupDetail, GroupHead, GroupSummary, Index, Intentions, MemberCounts, fingerprint,
};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::Agent;
use crate::fleet::group::{Group, GroupError};
use crate::fleet::name::Name;
use crate::fleet::rollout::Strategy;
use crate::fleet::selector::{Known, Selector};
use crate::store::Batch;

/// A group that is to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// Everything else, where it isn't the default.
    #[serde(flatten)]
    pub edit: GroupEdit,
}

/// What is to change about a group. What isn't given stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupEdit {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which agents it claims: those that any of these takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selectors: Option<Vec<String>>,
    /// Decides between groups that claim the same agent: the higher wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Whether what agents say of themselves is enough to join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joins_by_facts: Option<bool>,
    /// So many people besides the author have to approve what is published to it; 0 = nobody. Lowering it takes an admin
    /// who gave their password lately, and so does changing the selectors or the priority of a protected group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<u32>,
    /// The configs that it is made of. Removing the last one withdraws what is published: hosts keep what they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
    /// How what is published reaches its agents; `null` = by the default for a group of its size.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub strategy: Option<Option<Strategy>>,
}

/// Tells `null` from nothing.
#[expect(
    clippy::option_option,
    reason = "left out, taken away and given are three wishes"
)]
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Strategy>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Intentions {
    /// All groups in the order of their names, with their agents counted.
    ///
    /// # Errors
    /// When the actor may not look at the fleet.
    pub fn groups(&self, actor: &Actor, fleet: &[Arc<Agent>]) -> Result<Vec<GroupSummary>, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let mut counts = self.counts(&index, fleet);
        let summary = |head: &Arc<GroupHead>| {
            let members = counts.remove(&head.group.name).unwrap_or_default();
            GroupSummary::of(&index, head, members, fleet)
        };
        Ok(index.groups().map(summary).collect())
    }

    /// One group with all that was published to it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn group(&self, actor: &Actor, name: &str, fleet: &[Arc<Agent>]) -> Result<GroupDetail, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = named(&index, name)?;
        let members = self
            .counts(&index, fleet)
            .remove(&head.group.name)
            .unwrap_or_default();
        Ok(GroupDetail {
            summary: GroupSummary::of(&index, head, members, fleet),
            history: index.history(head.group.target).cloned().collect(),
        })
    }

    /// Whether there is a group of that name.
    #[must_use]
    pub fn has_group(&self, name: &Name) -> bool {
        self.index().group(name).is_some()
    }

    /// Makes a group and tells its first revision. It sends nothing until something is published to it. `known` says what a bare key of a selector is.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what must change; [`Error::Conflict`] when the name is taken.
    pub async fn create_group(
        &self,
        actor: &Actor,
        new: NewGroup,
        known: impl Fn(&str) -> Known,
    ) -> Result<u64, Error> {
        actor.may(Permission::EditGroups)?;
        let name = Name::new(&new.name).map_err(|error| Error::invalid("name", error.to_string()))?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        if index.group(&name).is_some() {
            return Err(Error::Conflict(format!(
                "there is a group {:?} already",
                name.as_str()
            )));
        }
        let now = self.now();
        let mut group = Group {
            name,
            description: String::new(),
            selectors: Vec::new(),
            priority: 0,
            joins_by_facts: false,
            layers: Vec::new(),
            target: None,
            strategy: None,
            rollout: None,
            approvals: 0,
            hold: None,
            created_at: now,
            updated_at: now,
        };
        apply(&mut group, new.edit, &index, known)?;
        let mut batch = Batch::new();
        batch.expect_absent::<Group>(&group.name);
        batch.put(&group.name, &group);
        let mut entry = self.audited(actor, "group.create", object(&group.name), told(&group));
        entry.after = fingerprint(&group);
        batch.audit(entry);
        writing.commit(batch).await?;
        let name = group.name.clone();
        index.put_group(GroupHead { group, revision: 1 });
        writing.install(index, [Topic::Groups, Topic::Group(name)], true);
        Ok(1)
    }

    /// Changes a group and tells its revision from now on. `expected` is the revision that was looked at; `None` changes whatever is there. Membership
    /// follows by itself; what is published stays, but for its withdrawal with the last layer.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was changed since; [`Error::Invalid`] says what must change.
    pub async fn edit_group(
        &self,
        actor: &Actor,
        name: &str,
        edit: GroupEdit,
        expected: Option<u64>,
        known: impl Fn(&str) -> Known,
    ) -> Result<u64, Error> {
        actor.may(Permission::EditGroups)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(named(&index, name)?);
        unchanged(&head, expected)?;
        let mut group = head.group.clone();
        let loses_its_last = edit.layers.as_ref().is_some_and(Vec::is_empty) && !group.layers.is_empty();
        apply(&mut group, edit, &index, known)?;
        if group == head.group {
            return Ok(head.revision);
        }
        if head.group.is_weakened_by(&group) {
            self.may_unprotect(actor)?;
        }
        group.updated_at = self.now();
        let mut batch = Batch::new();
        let mut entry = self.audited(actor, "group.update", object(&group.name), told(&group));
        if loses_its_last && Self::is_in_force(&index, &head) {
            actor.may(Permission::Publish)?;
            let message = "its last config was removed";
            self.withdraws(actor, &mut group, &mut index, &mut batch, message)?;
            Self::disarm_rollouts(&mut index, &mut batch, &group.name, &actor.name, self.now());
        }
        batch.expect_revision::<Group>(&group.name, head.revision);
        batch.put(&group.name, &group);
        entry.before = fingerprint(&head.group);
        entry.after = fingerprint(&group);
        batch.audit(entry);
        writing.commit(batch).await?;
        let (name, revision) = (group.name.clone(), head.revision + 1);
        index.put_group(GroupHead { group, revision });
        writing.install(index, [Topic::Groups, Topic::Group(name)], true);
        Ok(revision)
    }

    /// Deletes a group. Its agents fall to another group that claims them, or to none: then nothing is sent to them, and
    /// hosts keep what they run. With agents in it, that must be said with `with_members`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has agents and that wasn't said; [`Error::Stale`] when it was changed since.
    pub async fn delete_group(
        &self,
        actor: &Actor,
        name: &str,
        expected: Option<u64>,
        with_members: bool,
        fleet: &[Arc<Agent>],
    ) -> Result<Deleted, Error> {
        actor.may(Permission::EditGroups)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(named(&index, name)?);
        unchanged(&head, expected)?;
        if head.group.is_protected() {
            self.may_unprotect(actor)?;
        }
        let name = head.group.name.clone();
        let members = fleet
            .iter()
            .filter(|agent| agent.registration.group == name)
            .count();
        if members > 0 && !with_members {
            return Err(Error::Conflict(format!(
                "{members} agents are in it; say that they shall fall to another group or to none"
            )));
        }
        let mut batch = Batch::new();
        batch.expect_revision::<Group>(&name, head.revision);
        batch.delete::<Group>(&name);
        Self::disarm_rollouts(&mut index, &mut batch, &name, &actor.name, self.now());
        let told = format!("{members} agents were in it");
        let mut entry = self.audited(actor, "group.delete", object(&name), told);
        entry.before = fingerprint(&head.group);
        batch.audit(entry);
        writing.commit(batch).await?;
        index.remove_group(&name);
        writing.install(index, [Topic::Groups, Topic::Group(name)], true);
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        Ok(Deleted { members })
    }

    /// Whether the actor may weaken the protection of groups, and has shown lately who they are.
    pub(super) fn may_unprotect(&self, actor: &Actor) -> Result<(), Error> {
        actor.may(Permission::Unprotect)?;
        Ok(actor.proves(self.now())?)
    }

    /// The agents of each group, counted by how their configuration stands.
    fn counts(&self, index: &Index, fleet: &[Arc<Agent>]) -> BTreeMap<Name, MemberCounts> {
        let mut counts: BTreeMap<Name, MemberCounts> = BTreeMap::new();
        for agent in fleet {
            let group = &agent.registration.group;
            if index.group(group).is_none() {
                continue;
            }
            let verdict = self.judge(agent).verdict;
            let id = agent.id();
            let elsewhere = index.pending_move(id).is_some() || index.left_behind(group, id).is_some();
            if let Some(known) = counts.get_mut(group) {
                known.add(agent, verdict, elsewhere);
            } else {
                let mut first = MemberCounts::default();
                first.add(agent, verdict, elsewhere);
                counts.insert(group.clone(), first);
            }
        }
        counts
    }
}

/// Makes the group as `edit` says, or tells everything that is wrong with it.
fn apply(
    group: &mut Group,
    edit: GroupEdit,
    index: &Index,
    known: impl Fn(&str) -> Known,
) -> Result<(), Error> {
    let mut wrong = Vec::new();
    if let Some(description) = edit.description {
        short("description", &description)?;
        group.description = description;
    }
    if let Some(texts) = edit.selectors {
        group.selectors = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            let parsed = Selector::parse(text).map_err(|error| error.to_string());
            let resolved = parsed.and_then(|s| s.resolve(&known).map_err(|question| question.to_string()));
            match resolved {
                Ok(selector) => group.selectors.push(selector),
                Err(why) => wrong.push(FieldError {
                    field: format!("selectors[{at}]"),
                    why,
                }),
            }
        }
    }
    group.priority = edit.priority.unwrap_or(group.priority);
    group.joins_by_facts = edit.joins_by_facts.unwrap_or(group.joins_by_facts);
    group.approvals = edit.approvals.unwrap_or(group.approvals);
    if let Some(strategy) = edit.strategy {
        group.strategy = strategy;
    }
    if let Some(layers) = edit.layers {
        group.layers = Vec::with_capacity(layers.len());
        for (at, layer) in layers.iter().enumerate() {
            match Name::new(layer).ok().filter(|name| index.config(name).is_some()) {
                Some(name) => group.layers.push(name),
                None => wrong.push(FieldError {
                    field: format!("layers[{at}]"),
                    why: format!("there is no config {layer:?}; make it first"),
                }),
            }
        }
    }
    if let Err(error) = group.check() {
        let field = match error {
            GroupError::Reserved => "name",
            GroupError::Selectors(_) => "selectors",
            GroupError::Layers(_) | GroupError::Repeated(_) => "layers",
            GroupError::Description(_) => "description",
            GroupError::Strategy(_) => "strategy",
            GroupError::Approvals(_) => "approvals",
        };
        wrong.push(FieldError {
            field: field.to_owned(),
            why: error.to_string(),
        });
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(wrong))
    }
}

/// The group as the audit log tells it.
fn told(group: &Group) -> String {
    let selectors: Vec<_> = group.selectors.iter().map(ToString::to_string).collect();
    let layers: Vec<_> = group.layers.iter().map(Name::as_str).collect();
    let strategy = group.strategy.as_ref().map(ToString::to_string);
    format!(
        "selectors [{}], priority {}, joins by facts: {}, approvals: {}, layers [{}], strategy: {}",
        selectors.join("; "),
        group.priority,
        if group.joins_by_facts { "yes" } else { "no" },
        group.approvals,
        layers.join(", "),
        strategy.as_deref().unwrap_or("default")
    )
}

pub(super) fn named<'a>(index: &'a Index, name: &str) -> Result<&'a Arc<GroupHead>, Error> {
    let found = Name::new(name).ok().and_then(|name| index.group(&name));
    found.ok_or_else(|| Error::not_found("group", name))
}

/// Refuses when the group is not the one that was looked at.
pub(super) fn unchanged(head: &GroupHead, expected: Option<u64>) -> Result<(), Error> {
    if expected.is_none_or(|expected| expected == head.revision) {
        Ok(())
    } else {
        Err(Error::Stale)
    }
}

pub(super) fn object(name: &Name) -> String {
    format!("group/{name}")
}
