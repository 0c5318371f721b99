//! Publishing: what reaches hosts. It freezes the bytes, makes them the group's target, and the rest follows.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::Topic;
use super::configs::{self, short};
use super::error::Error;
use super::groups;
use super::intentions::{
    ConfigHead, GroupHead, Index, Intentions, Preview, PublishResult, TargetHead, fingerprint,
};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{HoldReason, Intent, Offer};
use crate::fleet::config::{ConfigMap, Content, Diff, Kind, Revision};
use crate::fleet::group::{Group, unassigned};
use crate::fleet::hash::ConfigHash;
use crate::fleet::ids::TargetId;
use crate::fleet::target::{ConfirmationReason, Frozen, Impact, Member, Proposal, Scope, Target};
use crate::store::{Batch, Committed};

/// What is to be published.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Publish {
    /// To which group.
    pub group: String,
    /// Which config.
    pub config: String,
    /// Which revision of it; an older one rolls back.
    pub revision: u64,
    /// Why; may be empty.
    #[serde(default)]
    pub message: String,
    /// The revision of the group that was looked at; it must still be the present one. `None`: whatever it is.
    #[serde(default)]
    pub expected_revision: Option<u64>,
    /// The number of agents that it reaches, typed by whoever publishes, where the preview asks for it.
    #[serde(default)]
    pub confirm: Option<u32>,
    /// Says that a content which tells agents to run nothing is meant.
    #[serde(default)]
    pub allow_blank: bool,
}

impl Intentions {
    /// What publishing a revision to a group would do to the agents of `fleet`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for the group of agents that nobody manages.
    pub fn impact(
        &self,
        actor: &Actor,
        group: &str,
        config: &str,
        revision: u64,
        fleet: &[Member],
    ) -> Result<Preview, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = publishable(&index, group)?;
        let (config, revision) = revision_of(&index, config, revision)?;
        let content = self.content(revision.digest)?;
        let published = head.group.target.and_then(|id| index.target(id)).cloned();
        let before = match published.as_ref().and_then(|target| target.content.as_ref()) {
            Some(frozen) => self.content(frozen.digest)?,
            None => ConfigMap::default(),
        };
        Ok(Preview {
            group: head.group.name.clone(),
            group_revision: head.revision,
            config: config.config.name.clone(),
            revision: revision.number,
            digest: revision.digest,
            already_published: published.as_ref().is_some_and(|target| is_of(target, revision)),
            published,
            diff: Diff::between(&before, &content),
            warnings: configs::check(&Content::of(config.config.kind, content)),
            impact: impact(head, revision, fleet),
        })
    }

    /// Publishes a revision to a group: durable first, then its agents are told.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `confirm` says which number has to be typed and why; [`Error::Stale`] when the group was
    /// changed since it was looked at.
    pub async fn publish(
        &self,
        actor: &Actor,
        publish: Publish,
        fleet: &[Member],
    ) -> Result<PublishResult, Error> {
        actor.may(Permission::Publish)?;
        short("message", &publish.message)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(publishable(&index, &publish.group)?);
        groups::unchanged(&head, publish.expected_revision)?;
        let (config, revision) = revision_of(&index, &publish.config, publish.revision)?;
        let (config, revision) = (Arc::clone(config), revision.clone());
        let content = self.content(revision.digest)?;
        may_be_blank(config.config.kind, &content, publish.allow_blank)?;
        let impact = impact(&head, &revision, fleet);
        confirmed(&impact, publish.confirm)?;
        if let Some(present) = head.group.target.and_then(|id| index.target(id))
            && is_of(present, &revision)
        {
            return Ok(PublishResult {
                target: present.clone(),
                created: false,
                group_revision: head.revision,
                impact,
            });
        }
        let mut batch = Batch::new();
        let scope = Scope::Group(head.group.name.clone());
        let made = (scope, head.group.target, publish.message);
        let target = self.freeze(&mut batch, actor, made, &revision, &content)?;
        let group = Group {
            layers: vec![config.config.name.clone()],
            target: Some(target.id),
            updated_at: target.published_at,
            ..head.group.clone()
        };
        batch.expect_revision::<Group>(&group.name, head.revision);
        batch.put(&group.name, &group);
        let told = format!(
            "{} revision {}, reaching {} agents",
            config.config.name,
            revision.number,
            impact.reached()
        );
        let mut entry = self.audited(actor, "group.publish", groups::object(&group.name), told);
        entry.before = content_of(&index, &head).map(|frozen| frozen.digest);
        entry.after = Some(revision.digest);
        batch.audit(entry);
        let committed = writing.commit(batch).await?;
        let offer = self.offer(content, &committed)?;
        let name = group.name.clone();
        let group_revision = head.revision + 1;
        index.put_target(TargetHead {
            target: target.clone(),
            intent: None,
        });
        index.put_group(GroupHead {
            group,
            revision: group_revision,
            intent: Some(Intent::Want(offer)),
        });
        writing.install(index, [Topic::Groups, Topic::Group(name)], true);
        Ok(PublishResult {
            target,
            created: true,
            group_revision,
            impact,
        })
    }

    /// Takes a group's configuration away: nothing more is sent, and hosts keep what they run. Never an empty one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when nothing is published to it; [`Error::Stale`] when it was changed since.
    pub async fn withdraw(
        &self,
        actor: &Actor,
        name: &str,
        message: &str,
        expected: Option<u64>,
    ) -> Result<Target, Error> {
        actor.may(Permission::Publish)?;
        short("message", message)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(publishable(&index, name)?);
        groups::unchanged(&head, expected)?;
        if !Self::is_in_force(&index, &head) {
            return Err(Error::Conflict("nothing is published to this group".to_owned()));
        }
        let mut batch = Batch::new();
        let mut group = head.group.clone();
        let mut entry = self.audited(
            actor,
            "group.withdraw",
            groups::object(&group.name),
            message.to_owned(),
        );
        entry.before = content_of(&index, &head).map(|frozen| frozen.digest);
        let intent = self.withdraws(actor, &mut group, &mut index, &mut batch, message)?;
        group.updated_at = self.now();
        batch.expect_revision::<Group>(&group.name, head.revision);
        batch.put(&group.name, &group);
        entry.after = fingerprint(&group);
        batch.audit(entry);
        writing.commit(batch).await?;
        let name = group.name.clone();
        let made = group.target.and_then(|id| index.target(id)).cloned();
        index.put_group(GroupHead {
            group,
            revision: head.revision + 1,
            intent: Some(intent),
        });
        writing.install(index, [Topic::Groups, Topic::Group(name)], true);
        made.ok_or_else(|| Error::not_found("target of group", &head.group.name))
    }

    /// Puts a frozen target into the batch. `made` is for whom, what it takes the place of, and why.
    pub(super) fn freeze(
        &self,
        batch: &mut Batch,
        actor: &Actor,
        made: (Scope, Option<TargetId>, String),
        revision: &Revision,
        content: &ConfigMap,
    ) -> Result<Target, Error> {
        let bytes = content.to_canonical();
        let (scope, supersedes, message) = made;
        let size_bytes = bytes.len() as u64;
        let target = Target {
            id: self.new_target()?,
            scope,
            content: Some(Frozen {
                config: revision.config.clone(),
                revision: revision.number,
                digest: batch.freeze(bytes),
                size_bytes,
            }),
            published_by: actor.name.clone(),
            published_at: self.now(),
            message,
            supersedes,
        };
        batch.put(&target.id, &target);
        Ok(target)
    }

    /// Gives the group a target without content, in the batch and in the index.
    pub(super) fn withdraws(
        &self,
        actor: &Actor,
        group: &mut Group,
        index: &mut Index,
        batch: &mut Batch,
        message: &str,
    ) -> Result<Intent<Offer>, Error> {
        let target = Target {
            id: self.new_target()?,
            scope: Scope::Group(group.name.clone()),
            content: None,
            published_by: actor.name.clone(),
            published_at: self.now(),
            message: message.to_owned(),
            supersedes: group.target,
        };
        batch.put(&target.id, &target);
        group.target = Some(target.id);
        group.layers = Vec::new();
        index.put_target(TargetHead { target, intent: None });
        Ok(Intent::Hold(HoldReason::NothingLeft))
    }

    /// Whether the group has something published that was not withdrawn.
    pub(super) fn is_in_force(index: &Index, head: &GroupHead) -> bool {
        // A target that can't be read may have content: it counts.
        let target = head.group.target.map(|id| index.target(id));
        target.is_some_and(|found| found.is_none_or(|target| target.content.is_some()))
    }

    /// The offer of a content that was frozen alone in a batch.
    pub(super) fn offer(&self, content: ConfigMap, committed: &Committed) -> Result<Arc<Offer>, Error> {
        let stamp: ConfigHash = *committed
            .stamps
            .first()
            .ok_or_else(|| Error::not_found("stamp of content", &content.digest()))?;
        Ok(Arc::new(Offer {
            content: Arc::new(content),
            stamp,
            hash: stamp.to_wire(self.key()),
        }))
    }
}

fn impact(head: &GroupHead, revision: &Revision, fleet: &[Member]) -> Impact {
    let (group, digest) = (&head.group.name, revision.digest);
    Impact::of(Proposal { group, digest }, fleet)
}

/// The group, unless it is the one that is no group.
fn publishable<'a>(index: &'a Index, name: &str) -> Result<&'a Arc<GroupHead>, Error> {
    if name == unassigned().as_str() {
        let why = "agents in no group are only observed; make a group and publish to it";
        return Err(Error::invalid("group", why));
    }
    groups::named(index, name)
}

pub(super) fn revision_of<'a>(
    index: &'a Index,
    config: &str,
    number: u64,
) -> Result<(&'a Arc<ConfigHead>, &'a Revision), Error> {
    let config = configs::named(index, config)?;
    Ok((config, configs::numbered(config, number)?))
}

/// Whether just this revision is what the target froze.
fn is_of(target: &Target, revision: &Revision) -> bool {
    target.content.as_ref().is_some_and(|content| {
        let frozen = (&content.config, content.revision, content.digest);
        frozen == (&revision.config, revision.number, revision.digest)
    })
}

fn content_of<'a>(index: &'a Index, head: &GroupHead) -> Option<&'a Frozen> {
    index.target(head.group.target?)?.content.as_ref()
}

pub(super) fn may_be_blank(kind: Kind, content: &ConfigMap, allowed: bool) -> Result<(), Error> {
    if !allowed && Content::of(kind, content.clone()).is_blank() {
        let why = "an empty configuration stops the agents that get it; confirm that this is meant";
        return Err(Error::invalid("allow_blank", why));
    }
    Ok(())
}

fn confirmed(impact: &Impact, typed: Option<u32>) -> Result<(), Error> {
    let Some(needed) = impact.confirmation.filter(|_| !impact.is_confirmed_by(typed)) else {
        return Ok(());
    };
    let (count, fleet) = (needed.count, impact.fleet);
    let because = match needed.because {
        ConfirmationReason::ReachesNobody => "no agent is in this group".to_owned(),
        ConfirmationReason::LacksComponents => {
            format!("some of the {count} agents that it reaches lack components that it uses")
        }
        ConfirmationReason::LargeShare => format!("it reaches {count} of {fleet} agents"),
    };
    Err(Error::invalid(
        "confirm",
        format!("{because}; type {count} to go on"),
    ))
}
