//! Publishing: what reaches hosts. It freezes the bytes, makes them the group's target, and the rest follows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::Topic;
use super::configs::{self, short};
use super::error::Error;
use super::groups;
use super::intentions::{
    GroupHead, Index, Intentions, Preview, PublishResult, SealedContent, TargetHead, Writing, fingerprint,
};
use super::rendering::{Document, Draft, RenderedContent, RenderedFleet, Shown, agents_of};
use super::rollouts::{Proposed, Wanted, told_of_proposal};
use crate::auth::actor::{Actor, Via};
use crate::auth::permission::Permission;
use crate::fleet::agent::{Agent, Offer};
use crate::fleet::config::lint::Judged;
use crate::fleet::config::{ConfigMap, Content, Diff, Problem, Severity, Variable};
use crate::fleet::group::{Group, unassigned};
use crate::fleet::hash::ConfigHash;
use crate::fleet::ids::{AgentId, TargetId};
use crate::fleet::rollout::{Kind, Strategy};
use crate::fleet::target::{
    Confirmation, ConfirmationReason, Frozen, Impact, LayerRef, Member, Proposal, Rendered, Rendering,
    Renderings, Scope, Target, in_words,
};
use crate::store::{Batch, Committed, Record as _};

/// What is to be published.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Publish {
    /// To which group.
    pub group: String,
    /// Its layers from now on, from base to most specific; older revisions roll back.
    pub layers: Vec<LayerRef>,
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
    /// How it reaches the agents; `None`: as the group says, else by the default for a group of its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// What to do when a rollout to the group isn't over.
    #[serde(default)]
    pub if_running: IfRunning,
}

/// What a publication does about a rollout to its group that isn't over. One that reaches everybody at once never is in
/// the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfRunning {
    /// Nothing is published.
    #[default]
    Refuse,
    /// It begins when the other has ended.
    Queue,
    /// It takes the other's place; agents keep what they have until they are reached.
    Replace,
}

/// What is to be published, and what it comes to.
struct Ready {
    draft: Draft,
    rendered: RenderedFleet,
    impact: Impact,
}

impl Intentions {
    /// What publishing layers to a group would do to the agents of `fleet`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for the group of agents that nobody manages.
    pub fn impact(
        &self,
        actor: &Actor,
        group: &str,
        layers: &[LayerRef],
        fleet: &[Member],
    ) -> Result<Preview, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = publishable(&index, group)?;
        let draft = self.draft(&index, layers)?;
        let rendered = self.rendered(&index, &draft, head, fleet);
        let target = head.group.target.and_then(|id| index.target_head(id));
        let impact = impact(head, &draft, &rendered, fleet);
        // Where agents get different contents, what changes is shown for the first that has one.
        let example = impact.agents.iter().find_map(|affected| {
            let member = fleet.iter().find(|member| member.agent.id() == affected.id)?;
            draft
                .shown_for(&index, &member.agent)
                .ok()
                .map(|shown| (affected.id, shown))
        });
        let (agent, after) = example.map_or_else(
            || (None, draft.unresolved().content),
            |(agent, shown)| (Some(agent), shown.content),
        );
        let before = self.published_to(&index, target.map(AsRef::as_ref), agent)?;
        Ok(Preview {
            group: head.group.name.clone(),
            group_revision: head.revision,
            already_published: target.is_some_and(|target| is_of(target, &draft, &rendered)),
            published: target.map(|target| target.target.clone()),
            diff: Diff::between(&before, &after),
            warnings: judged(&draft, &draft.unresolved()),
            strategy: Self::strategy_of(&head.group, fleet),
            approvals: head.group.approvals,
            under_way: Self::in_the_way(&index, &head.group.name),
            impact,
            digest: draft.digest(),
            contents: u32::try_from(rendered.contents.len()).unwrap_or(u32::MAX),
            variables: draft.variables().to_vec(),
            overlaps: draft.overlaps,
            layers: draft.layers,
        })
    }

    /// What a target says to an agent, as people may see it; what it says to everybody when no agent is named.
    pub(super) fn published_to(
        &self,
        index: &Index,
        target: Option<&TargetHead>,
        agent: Option<AgentId>,
    ) -> Result<ConfigMap, Error> {
        let common = target.and_then(|head| head.target.content.as_ref()?.common());
        let own = agent.and_then(|agent| target?.digest_for(agent));
        let Some(digest) = own.or(common) else {
            return Ok(ConfigMap::default());
        };
        match index.offer(digest) {
            Some(offer) => Ok((*offer.shown).clone()),
            None => self.content(digest),
        }
    }

    /// Publishes layers to a group: durable first, then its agents are told.
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
        self.validated_layers(&publish.layers).await?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(publishable(&index, &publish.group)?);
        groups::unchanged(&head, publish.expected_revision)?;
        let draft = self.draft(&index, &publish.layers)?;
        may_be_blank(&draft, publish.allow_blank)?;
        is_whole(&draft)?;
        let rendered = self.rendered(&index, &draft, &head, fleet);
        self.fits(rendered.largest())?;
        let impact = impact(&head, &draft, &rendered, fleet);
        resolved(&impact)?;
        confirmed(&impact, publish.confirm)?;
        // Scripts are made to publish; where they shall not alone, the group is protected.
        if is_massive(&impact) && matches!(actor.via, Via::Session { .. }) {
            actor.proves(self.now())?;
        }
        if let Some(strategy) = &publish.strategy {
            strategy
                .check()
                .map_err(|error| Error::invalid("strategy", error.to_string()))?;
        }
        if let Some(present) = head.group.target.and_then(|id| index.target_head(id))
            && is_of(present, &draft, &rendered)
            && !Self::is_unsettled(&index, &head.group, fleet)
        {
            return Ok(PublishResult {
                target: present.target.clone(),
                created: false,
                rollout: head.group.rollout,
                awaits_approval: false,
                group_revision: head.revision,
                impact,
            });
        }
        let mut batch = Batch::new();
        if head.group.is_protected() {
            let ready = Ready {
                draft,
                rendered,
                impact,
            };
            return self
                .propose(writing, index, &head, publish, ready, (actor, fleet))
                .await;
        }
        let queued = self.make_way(&mut index, &mut batch, &head.group, publish.if_running, actor)?;
        let scope = Scope::Group(head.group.name.clone());
        let made = (scope, head.group.target, publish.message);
        let target = self.freeze(&mut batch, actor, made, &draft, &rendered)?;
        let mut group = Group {
            layers: draft.layers.iter().map(|layer| layer.config.clone()).collect(),
            updated_at: target.published_at,
            ..head.group.clone()
        };
        // The rollout notes what each of its members is to have.
        index.put_target(TargetHead::of(target.clone()));
        index.put_renderings(target.id, of_agents(&rendered));
        let wanted = Wanted {
            kind: Kind::Publish,
            target: target.id,
            strategy: publish.strategy,
            queued,
        };
        let rollout = self.start_rollout(&mut index, &mut batch, &mut group, wanted, actor, fleet);
        batch.expect_revision::<Group>(&group.name, head.revision);
        batch.put(&group.name, &group);
        let told = format!(
            "{}, reaching {} agents in rollout {}: {}",
            in_words(&draft.layers),
            impact.reached(),
            rollout.id,
            rollout.strategy
        );
        let mut entry = self.audited(actor, "group.publish", groups::object(&group.name), told);
        entry.before = content_of(&index, &head).and_then(Frozen::common);
        entry.after = draft.digest();
        batch.audit(entry);
        let committed = writing.commit(batch).await?;
        let name = group.name.clone();
        let group_revision = head.revision + 1;
        self.put_frozen(&mut index, target.clone(), rendered, &committed);
        index.put_group(GroupHead {
            group,
            revision: group_revision,
        });
        let topics = [Topic::Groups, Topic::Group(name), Topic::Rollouts];
        writing.install(index, topics, true);
        tracing::info!(rollout = %rollout.id, group = %rollout.group, "a rollout was started");
        Ok(PublishResult {
            target,
            created: true,
            rollout: Some(rollout.id),
            awaits_approval: false,
            group_revision,
            impact,
        })
    }

    /// Freezes what is published to a protected group as a proposal: it reaches nobody until others approve it.
    async fn propose(
        &self,
        mut writing: Writing<'_>,
        mut index: Index,
        head: &GroupHead,
        publish: Publish,
        ready: Ready,
        (actor, fleet): (&Actor, &[Member]),
    ) -> Result<PublishResult, Error> {
        let Ready {
            draft,
            rendered,
            impact,
        } = ready;
        let mut batch = Batch::new();
        self.make_way_to_propose(&mut index, &mut batch, &head.group, publish.if_running, actor)?;
        let scope = Scope::Group(head.group.name.clone());
        let made = (scope, head.group.target, publish.message);
        let target = self.freeze(&mut batch, actor, made, &draft, &rendered)?;
        index.put_target(TargetHead::of(target.clone()));
        index.put_renderings(target.id, of_agents(&rendered));
        let strategy = publish.strategy;
        let proposed = Proposed {
            strategy: strategy.unwrap_or_else(|| Self::strategy_of(&head.group, fleet)),
            replaces: publish.if_running == IfRunning::Replace,
        };
        let named = (&head.group, &target);
        let rollout = self.propose_rollout(&mut index, &mut batch, named, proposed, actor, fleet);
        batch.expect_revision::<Group>(&head.group.name, head.revision);
        let told = told_of_proposal(&draft.layers, impact.reached(), &rollout);
        let mut entry = self.audited(actor, "group.propose", groups::object(&head.group.name), told);
        entry.before = content_of(&index, head).and_then(Frozen::common);
        entry.after = draft.digest();
        batch.audit(entry);
        let committed = writing.commit(batch).await?;
        self.put_frozen(&mut index, target.clone(), rendered, &committed);
        let name = head.group.name.clone();
        writing.install(index, [Topic::Groups, Topic::Group(name), Topic::Rollouts], true);
        tracing::info!(rollout = %rollout.id, group = %rollout.group, "a rollout was proposed");
        Ok(PublishResult {
            target,
            created: true,
            rollout: Some(rollout.id),
            awaits_approval: true,
            group_revision: head.revision,
            impact,
        })
    }

    /// Has the collector look at what layers come to, where one is set: it may have been saved before that was so. Before
    /// the turn to change something is taken, since it takes its time.
    pub(super) async fn validated_layers(&self, layers: &[LayerRef]) -> Result<(), Error> {
        if self.validator.is_none() {
            return Ok(());
        }
        let draft = self.draft(&self.index(), layers)?;
        self.validated(&draft.to_check()).await?;
        Ok(())
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
        entry.before = content_of(&index, &head).and_then(Frozen::common);
        self.withdraws(actor, &mut group, &mut index, &mut batch, message)?;
        Self::disarm_rollouts(&mut index, &mut batch, &group.name, &actor.name, self.now());
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
        draft: &Draft,
        rendered: &RenderedFleet,
    ) -> Result<Target, Error> {
        let (scope, supersedes, message) = made;
        self.freeze_contents(batch, rendered)?;
        let document = match &draft.document {
            Document::Same { content, digest, .. } => Rendering::Common {
                digest: *digest,
                size_bytes: content.to_canonical().len() as u64,
            },
            Document::Varies { variables, .. } => Rendering::PerAgent {
                variables: variables.clone(),
                sources: draft.sources.clone(),
            },
        };
        let target = Target {
            id: self.new_target()?,
            scope,
            content: Some(Frozen {
                layers: draft.layers.clone(),
                document,
            }),
            published_by: actor.name.clone(),
            published_at: self.now(),
            message,
            supersedes,
        };
        batch.put(&target.id, &target);
        put_renderings(batch, target.id, rendered);
        Ok(target)
    }

    /// Puts contents into the batch, those that hold secrets sealed, in the order of their digests.
    pub(super) fn freeze_contents(&self, batch: &mut Batch, rendered: &RenderedFleet) -> Result<(), Error> {
        for (digest, content) in &rendered.contents {
            let bytes = content.content.to_canonical();
            let Some(shown) = &content.shown else {
                batch.freeze(bytes);
                continue;
            };
            let seal = self.seal_key();
            let sealed = SealedContent {
                shown: batch.put_body(shown.to_canonical()),
                content: seal.seal(SealedContent::TABLE, &digest.to_string(), &bytes)?,
            };
            batch.stamp(*digest);
            batch.put(digest, &sealed);
        }
        Ok(())
    }

    /// Puts a target that a batch froze into the index.
    pub(super) fn put_frozen(
        &self,
        index: &mut Index,
        target: Target,
        rendered: RenderedFleet,
        committed: &Committed,
    ) {
        let varies = target
            .content
            .as_ref()
            .is_some_and(|content| content.common().is_none());
        let id = target.id;
        index.put_target(TargetHead::of(target));
        if varies {
            index.put_renderings(id, of_agents(&rendered));
        }
        index.put_offers(self.offers(rendered, committed));
    }

    /// What the agents of a group would be sent.
    fn rendered(&self, index: &Index, draft: &Draft, head: &GroupHead, fleet: &[Member]) -> RenderedFleet {
        let agents = fleet.iter().map(|member| &member.agent);
        self.render(index, draft, agents_of(agents, &head.group.name))
    }

    /// What agents would be sent.
    pub(super) fn render<'a>(
        &self,
        index: &Index,
        draft: &Draft,
        agents: impl IntoIterator<Item = &'a Agent>,
    ) -> RenderedFleet {
        match &draft.document {
            Document::Same { content, digest, .. } => RenderedFleet {
                agents: BTreeMap::new(),
                contents: BTreeMap::from([(*digest, RenderedContent::open(content.clone()))]),
            },
            Document::Varies { .. } => draft.render(index, self.seal_key(), agents),
        }
    }

    /// Gives the group a target without content, in the batch and in the index.
    pub(super) fn withdraws(
        &self,
        actor: &Actor,
        group: &mut Group,
        index: &mut Index,
        batch: &mut Batch,
        message: &str,
    ) -> Result<(), Error> {
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
        index.put_target(TargetHead::of(target));
        Ok(())
    }

    /// Whether the group has something published that was not withdrawn.
    pub(super) fn is_in_force(index: &Index, head: &GroupHead) -> bool {
        // A target that can't be read may have content: it counts.
        let target = head.group.target.map(|id| index.target(id));
        target.is_some_and(|found| found.is_none_or(|target| target.content.is_some()))
    }

    /// The offers of the contents that a batch froze, in the order of their digests.
    pub(super) fn offers(&self, rendered: RenderedFleet, committed: &Committed) -> Vec<Arc<Offer>> {
        let stamped = rendered.contents.into_values().zip(&committed.stamps);
        let offer = |(content, stamp): (RenderedContent, &ConfigHash)| {
            let offer = Offer::new(content.content, *stamp, self.key());
            Arc::new(match content.shown {
                Some(shown) => offer.shown_as(shown),
                None => offer,
            })
        };
        stamped.map(offer).collect()
    }
}

fn impact(head: &GroupHead, draft: &Draft, rendered: &RenderedFleet, fleet: &[Member]) -> Impact {
    let group = &head.group.name;
    let renderings = &match draft.digest() {
        Some(digest) => Renderings::Common(digest),
        None => rendered.renderings(),
    };
    let secret = |variable: &Variable| matches!(variable, Variable::Secret(_));
    let secrets = draft.variables().iter().any(secret);
    Impact::of(
        Proposal {
            group,
            renderings,
            secrets,
        },
        fleet,
    )
}

/// The renderings of single agents.
pub(super) fn of_agents(rendered: &RenderedFleet) -> impl Iterator<Item = (AgentId, Rendered)> {
    let agents = rendered.agents.iter();
    agents.filter_map(|(agent, rendered)| Some((*agent, *rendered.as_ref().ok()?)))
}

pub(super) fn put_renderings(batch: &mut Batch, target: TargetId, rendered: &RenderedFleet) {
    for (agent, rendered) in of_agents(rendered) {
        batch.put(&(target, agent), &rendered);
    }
}

/// What is found in what layers come to; an error stops its publication. Of several layers, each finding is told at the
/// place in its layer. One that is sent as it was saved was taken then,
/// perhaps because a host ran it when it joined: nothing but that it is no whole configuration stops that.
pub(super) fn judged(draft: &Draft, shown: &Shown) -> Vec<Problem> {
    let content = Content::of(draft.kind, shown.content.clone());
    let found = configs::check(&content, Judged::Whole);
    if !draft.is_as_saved() || !configs::is_complete(&content) {
        let found = found
            .into_iter()
            .map(|problem| in_its_layer(draft, shown, problem));
        return found.chain(draft.remarks.iter().cloned()).collect();
    }
    let known = |problem: Problem| Problem {
        severity: Severity::Warning,
        ..problem
    };
    found.into_iter().map(known).collect()
}

fn in_its_layer(draft: &Draft, shown: &Shown, problem: Problem) -> Problem {
    let line = usize::try_from(problem.at.line).unwrap_or(usize::MAX);
    let origin = line.checked_sub(1).and_then(|line| shown.lines.get(line));
    let layer = origin.and_then(|origin| draft.layers.get(usize::from(origin.layer)));
    match (origin, layer) {
        (Some(origin), Some(layer)) if draft.layers.len() > 1 => Problem {
            file: Some(layer.to_string()),
            at: origin.at,
            ..problem
        },
        _ => problem,
    }
}

/// Refuses layers that don't make a whole configuration.
pub(super) fn is_whole(draft: &Draft) -> Result<(), Error> {
    let mut problems = judged(draft, &draft.unresolved());
    problems.retain(Problem::is_error);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Problems(problems))
    }
}

/// Refuses when variables stand for nothing at some agents, and names them.
fn resolved(impact: &Impact) -> Result<(), Error> {
    const NAMED: usize = 10;
    let lacking: Vec<_> = impact.unresolved().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let named = lacking.iter().take(NAMED).map(|(agent, missing)| {
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        format!("{} has no {}", agent.title, missing.join(", "))
    });
    let mut why = format!(
        "variables stand for nothing at {} of {} agents: {}",
        lacking.len(),
        impact.members,
        named.collect::<Vec<_>>().join("; ")
    );
    if lacking.len() > NAMED {
        let _ = write!(why, "; and {} more", lacking.len() - NAMED);
    }
    Err(Error::invalid("layers", why))
}

/// The group, unless it is the one that is no group.
fn publishable<'a>(index: &'a Index, name: &str) -> Result<&'a Arc<GroupHead>, Error> {
    if name == unassigned().as_str() {
        let why = "agents in no group are only observed; make a group and publish to it";
        return Err(Error::invalid("group", why));
    }
    groups::named(index, name)
}

/// Whether just this is what the target froze, for all of the agents.
fn is_of(target: &TargetHead, draft: &Draft, rendered: &RenderedFleet) -> bool {
    let Some(content) = &target.target.content else {
        return false;
    };
    let same = match draft.digest() {
        Some(digest) => content.common() == Some(digest),
        None => {
            content.common().is_none()
                && rendered.agents.iter().all(|(agent, rendered)| {
                    let known = target.renderings.get(agent).map(|known| known.digest);
                    rendered.as_ref().ok().map(|rendered| rendered.digest) == known
                })
        }
    };
    same && content.layers == draft.layers
}

fn content_of<'a>(index: &'a Index, head: &GroupHead) -> Option<&'a Frozen> {
    index.target(head.group.target?)?.content.as_ref()
}

pub(super) fn may_be_blank(draft: &Draft, allowed: bool) -> Result<(), Error> {
    if !allowed && draft.to_check().is_blank() {
        let why = "an empty configuration stops the agents that get it; confirm that this is meant";
        return Err(Error::invalid("allow_blank", why));
    }
    Ok(())
}

/// Whether it reaches so many that whoever publishes it has to have shown lately who they are.
fn is_massive(impact: &Impact) -> bool {
    const MANY: u32 = 50;
    let large = |needed: Confirmation| needed.because == ConfirmationReason::LargeShare;
    impact.confirmation.is_some_and(large) && impact.reached() >= MANY
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
