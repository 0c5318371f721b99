//! Proposals: what is published to a protected group waits until others than its author agree. What they agree to is bound
//! to the exact bytes, the agents and the strategy; see [`binding`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{numbered, object};
use crate::app::App;
use crate::app::changes::Topic;
use crate::app::claims::NamedAgent;
use crate::app::configs::short;
use crate::app::error::Error;
use crate::app::intentions::{GroupHead, Index, Intentions, RolloutHead};
use crate::app::publish::IfRunning;
use crate::auth::actor::{Actor, Via};
use crate::auth::permission::Permission;
use crate::fleet::config::Diff;
use crate::fleet::group::Group;
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::rollout::{
    Approval, ApprovalError, Ended, Given, Kind, Members, Rollout, State, Strategy, binding,
};
use crate::fleet::target::{Frozen, Member, Target, in_words};
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// What somebody decides about a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decide {
    /// What.
    #[serde(flatten)]
    pub decision: Decision,
    /// Why; may be empty, but for a rejection.
    #[serde(default)]
    pub reason: String,
}

/// A decision about a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "decision", deny_unknown_fields)]
pub enum Decision {
    /// Let it begin, as far as whoever decides is concerned.
    Approve {
        /// What was looked at: `binds` of the proposal as it was shown.
        binds: Digest,
    },
    /// It must not be.
    Reject,
    /// Whoever proposed it doesn't want it any more.
    Withdraw,
}

impl Decision {
    /// The word for it, in the audit log and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Approve { .. } => "rollout.approve",
            Self::Reject => "rollout.reject",
            Self::Withdraw => "rollout.withdraw",
        }
    }
}

/// A proposal as whoever decides about it sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalView {
    /// What an approval binds, as it is now: the bytes that each agent is sent, the agents, and the strategy.
    pub binds: Digest,
    /// Who agreed to just this. Those who agreed to what it was before are left out.
    pub given: Vec<Given>,
    /// So many have yet to agree.
    pub missing: u32,
    /// When nobody can agree any more.
    pub expires_at: Timestamp,
    /// Why it was proposed; may be empty.
    pub message: String,
    /// The agents that it reaches, by what people call them.
    pub agents: Vec<NamedAgent>,
    /// How many different contents they are sent.
    pub contents: u32,
    /// What changes in what they are sent; where that differs, for the first of them.
    pub diff: Diff,
    /// What whoever looks may decide.
    pub decisions: Vec<String>,
    /// Why whoever looks can't approve it; empty when they can.
    pub not_you: String,
}

/// How a publication is proposed.
pub(in crate::app) struct Proposed {
    pub(in crate::app) strategy: Strategy,
    pub(in crate::app) replaces: bool,
}

impl Intentions {
    /// Sees to what is in the way of a proposal to the group: another proposal, or a rollout that isn't over.
    pub(in crate::app) fn make_way_to_propose(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        group: &Group,
        if_running: IfRunning,
        actor: &Actor,
    ) -> Result<(), Error> {
        let awaits = |head: &&Arc<RolloutHead>| {
            head.rollout.group == group.name && head.rollout.state == State::AwaitingApproval
        };
        let other = index.rollouts().find(awaits).map(|head| RolloutHead::clone(head));
        if let Some(other) = other {
            let id = other.rollout.id;
            if if_running != IfRunning::Replace {
                return Err(Error::Conflict(format!(
                    "rollout {id} to this group awaits approval; withdraw it, or say that this one takes its place (replace)"
                )));
            }
            self.supersede(index, batch, vec![other], &actor.name);
            return Ok(());
        }
        let Some(id) = Self::in_the_way(index, &group.name) else {
            return Ok(());
        };
        if if_running == IfRunning::Refuse {
            return Err(Error::Conflict(format!(
                "rollout {id} to this group isn't over; say whether this one waits for it (queue) or takes its place \
                 (replace)"
            )));
        }
        Ok(())
    }

    /// Puts a proposal into the batch and the index. The group stays as it is.
    pub(in crate::app) fn propose_rollout(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        (group, target): (&Group, &Target),
        proposed: Proposed,
        actor: &Actor,
        fleet: &[Member],
    ) -> Rollout {
        let now = self.now();
        let mut rollout = Rollout {
            id: index.next_rollout(),
            group: group.name.clone(),
            kind: Kind::Publish,
            target: target.id,
            from: group.target,
            strategy: proposed.strategy,
            state: State::AwaitingApproval,
            members: 0,
            started_by: actor.name.clone(),
            created_at: now,
            stage_since: now,
            promoted: 0,
            accepted_failures: 0,
            approval: None,
            governs: true,
            history: Vec::new(),
        };
        rollout.approval = Some(Approval {
            needed: group.approvals,
            author: actor.account(),
            binds: bound(index, &rollout, fleet),
            given: Vec::new(),
            expires_at: now.plus(Approval::LIFETIME),
            replaces: proposed.replaces,
        });
        rollout.enter(State::AwaitingApproval, &actor.name, target.message.clone(), now);
        batch.put(&rollout.id, &rollout);
        index.put_rollout(RolloutHead {
            rollout: rollout.clone(),
            members: Members::new(),
        });
        rollout
    }
}

/// What a proposal would do now: to which agents, with which bytes.
fn reached(index: &Index, rollout: &Rollout, fleet: &[Member]) -> BTreeMap<AgentId, Option<Digest>> {
    let target = index.target_head(rollout.target);
    let here = fleet.iter().filter(|member| {
        let registration = &member.agent.registration;
        registration.group == rollout.group && registration.is_served()
    });
    here.map(|member| {
        let id = member.agent.id();
        (id, target.and_then(|target| target.digest_for(id)))
    })
    .collect()
}

fn bound(index: &Index, rollout: &Rollout, fleet: &[Member]) -> Digest {
    let content = index
        .target(rollout.target)
        .and_then(|target| target.content.as_ref());
    let common = content.and_then(Frozen::common);
    binding(
        &rollout.group,
        &rollout.strategy,
        common,
        &reached(index, rollout, fleet),
    )
}

impl App {
    /// Decides about a proposal. The last approval that it takes lets it begin, or wait for the rollout before it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when nothing is waited for, when whoever asks proposed or approved it, or
    /// when it isn't any more what they looked at; [`Error::NotAllowed`] for an API token; [`Error::Unproven`] when the
    /// password was given too long ago.
    pub async fn decide(&self, actor: &Actor, id: RolloutId, decide: &Decide) -> Result<State, Error> {
        let act = decide.decision.action();
        short("reason", &decide.reason)?;
        match decide.decision {
            Decision::Approve { binds } => {
                self.audit.permit(actor, Permission::Approve, act)?;
                self.audit.prove(actor, act)?;
                self.approve(actor, id, &binds, &decide.reason).await
            }
            Decision::Reject => {
                self.audit.permit(actor, Permission::Approve, act)?;
                if matches!(actor.via, Via::Token { .. }) {
                    self.audit
                        .refused(&actor.name, actor.address, act, "an API token");
                    return Err(Error::NotAllowed(
                        "an API token proposes, and decides about nothing",
                    ));
                }
                if decide.reason.trim().is_empty() {
                    return Err(Error::invalid("reason", "say why, so that its author knows"));
                }
                self.dismiss(actor, id, Ended::Rejected, decide).await
            }
            Decision::Withdraw => {
                self.audit.permit(actor, Permission::Publish, act)?;
                self.dismiss(actor, id, Ended::Withdrawn, decide).await
            }
        }
    }

    async fn approve(
        &self,
        actor: &Actor,
        id: RolloutId,
        seen: &Digest,
        reason: &str,
    ) -> Result<State, Error> {
        self.intentions.render_late(&self.fleet()).await?;
        let fleet = self.target_members();
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let mut head = RolloutHead::clone(numbered(&index, id)?);
        let group = index
            .group(&head.rollout.group)
            .cloned()
            .ok_or_else(|| Error::not_found("group", head.rollout.group.as_str()))?;
        let now = self.clock.now();
        let binds = bound(&index, &head.rollout, &fleet);
        if let Some(approval) = &mut head.rollout.approval {
            // Whoever lost the right since they agreed doesn't count.
            approval.given.retain(|given| {
                given
                    .account
                    .is_none_or(|account| self.accounts.may_approve(account))
            });
        }
        head.rollout.rebind(binds, &Actor::muster().name, now);
        let complete = head
            .rollout
            .approve((&actor.name, actor.account()), seen, now)
            .map_err(|error| self.refuse_approval(actor, &error))?;
        let mut batch = Batch::new();
        let mut told = format!("group {}", head.rollout.group);
        let state = if complete {
            self.begin_approved(&mut index, &mut batch, &group, head.rollout, actor, &fleet)
        } else {
            batch.put(&id, &head.rollout);
            let state = head.rollout.state.clone();
            index.put_rollout(head);
            state
        };
        let _ = write!(told, ", {}", state.short());
        if !reason.is_empty() {
            let _ = write!(told, ": {reason}");
        }
        batch.audit(AuditEntry {
            after: Some(binds),
            ..self
                .intentions
                .audited(actor, "rollout.approve", object(id), told)
        });
        writing.commit(batch).await?;
        let topics = [
            Topic::Rollout(id),
            Topic::Rollouts,
            Topic::Groups,
            Topic::Group(group.group.name.clone()),
        ];
        writing.install(index, topics, true);
        tracing::info!(rollout = %id, actor = actor.name, "a rollout was approved");
        self.rollouts.activate();
        Ok(state)
    }

    /// Lets a rollout that has all its approvals begin, or wait for the one before it.
    fn begin_approved(
        &self,
        index: &mut Index,
        batch: &mut Batch,
        group: &GroupHead,
        mut rollout: Rollout,
        actor: &Actor,
        fleet: &[Member],
    ) -> State {
        let (id, now) = (rollout.id, self.clock.now());
        let replaces = rollout
            .approval
            .as_ref()
            .is_some_and(|approval| approval.replaces);
        let open = |head: &&Arc<RolloutHead>| {
            let other = &head.rollout;
            other.group == rollout.group && !other.is_ended() && other.id != id
        };
        let open: Vec<RolloutHead> = index
            .rollouts()
            .filter(open)
            .map(|head| RolloutHead::clone(head))
            .collect();
        let mut changed = group.group.clone();
        if let Some(content) = index
            .target(rollout.target)
            .and_then(|target| target.content.as_ref())
        {
            changed.layers = content.layers.iter().map(|layer| layer.config.clone()).collect();
        }
        if !replaces && open.iter().any(|head| !head.rollout.is_at_once()) {
            rollout.enter(State::Queued, &actor.name, "approved".to_owned(), now);
            batch.put(&id, &rollout);
            index.put_rollout(RolloutHead {
                rollout,
                members: Members::new(),
            });
            return State::Queued;
        }
        self.intentions.supersede(index, batch, open, &actor.name);
        let contents: Vec<Digest> = index
            .target_head(rollout.target)
            .map(|target| target.contents().collect())
            .unwrap_or_default();
        index.load_offers(&self.store, self.intentions.keys(), contents);
        let here: Vec<&Member> = fleet
            .iter()
            .filter(|member| {
                let registration = &member.agent.registration;
                registration.group == changed.name && registration.is_served()
            })
            .collect();
        let begun = self
            .intentions
            .begin_rollout(index, batch, &mut changed, rollout, &actor.name, &here);
        changed.updated_at = now;
        batch.expect_revision::<Group>(&changed.name, group.revision);
        batch.put(&changed.name, &changed);
        index.put_group(GroupHead {
            group: changed,
            revision: group.revision + 1,
        });
        begun.state
    }

    fn refuse_approval(&self, actor: &Actor, error: &ApprovalError) -> Error {
        if *error == ApprovalError::Author {
            self.audit
                .refused(&actor.name, actor.address, "rollout.approve", "its author");
        }
        Error::Conflict(error.to_string())
    }

    async fn dismiss(
        &self,
        actor: &Actor,
        id: RolloutId,
        how: Ended,
        decide: &Decide,
    ) -> Result<State, Error> {
        let reason = decide.reason.trim();
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let mut head = RolloutHead::clone(numbered(&index, id)?);
        head.rollout
            .dismiss(how, &actor.name, reason, self.clock.now())
            .map_err(|error| Error::Conflict(error.to_string()))?;
        let mut batch = Batch::new();
        batch.put(&id, &head.rollout);
        let mut told = format!("group {}", head.rollout.group);
        if !reason.is_empty() {
            let _ = write!(told, ": {reason}");
        }
        batch.audit(
            self.intentions
                .audited(actor, decide.decision.action(), object(id), told),
        );
        let (state, group) = (head.rollout.state.clone(), head.rollout.group.clone());
        index.put_rollout(head);
        writing.commit(batch).await?;
        let topics = [Topic::Rollout(id), Topic::Rollouts, Topic::Group(group)];
        writing.install(index, topics, false);
        tracing::info!(rollout = %id, act = decide.decision.word(), actor = actor.name, "a proposal was decided");
        // Agents that came into the group waited for it.
        self.rollouts.activate();
        Ok(state)
    }

    /// Looks at a proposal: whether it has expired, and whether it is still what was approved.
    pub(super) async fn review_proposal(&self, id: RolloutId) -> Result<(), Error> {
        let index = self.intentions.index();
        let fleet = self.target_members();
        let stands = |index: &Index, rollout: &Rollout, now: Timestamp| {
            rollout.approval.as_ref().is_some_and(|approval| {
                now < approval.expires_at && bound(index, rollout, &fleet) == approval.binds
            })
        };
        let now = self.clock.now();
        if stands(&index, &numbered(&index, id)?.rollout, now) {
            return Ok(());
        }
        let mut writing = self.intentions.begin().await?;
        let mut index = writing.index();
        let mut head = RolloutHead::clone(numbered(&index, id)?);
        if head.rollout.state != State::AwaitingApproval || stands(&index, &head.rollout, now) {
            return Ok(());
        }
        let muster = Actor::muster();
        let mut batch = Batch::new();
        let expired = head
            .rollout
            .approval
            .as_ref()
            .is_none_or(|approval| now >= approval.expires_at);
        let group = head.rollout.group.clone();
        let told = format!("group {group}");
        if expired {
            let refused = |error: ApprovalError| Error::Conflict(error.to_string());
            head.rollout
                .dismiss(Ended::Expired, &muster.name, "", now)
                .map_err(refused)?;
            batch.audit(
                self.intentions
                    .audited(&muster, "rollout.expire", object(id), told),
            );
        } else {
            let binds = bound(&index, &head.rollout, &fleet);
            if head.rollout.rebind(binds, &muster.name, now) {
                batch.audit(AuditEntry {
                    after: Some(binds),
                    ..self
                        .intentions
                        .audited(&muster, "rollout.void_approvals", object(id), told)
                });
            }
        }
        batch.put(&id, &head.rollout);
        index.put_rollout(head);
        writing.commit(batch).await?;
        writing.install(
            index,
            [Topic::Rollout(id), Topic::Rollouts, Topic::Group(group)],
            false,
        );
        Ok(())
    }

    /// Whether an approved rollout that waited is no longer what was approved. It then waits for approval again.
    pub(super) fn is_void(&self, index: &Index, rollout: &Rollout) -> Option<Digest> {
        let approval = rollout.approval.as_ref()?;
        let binds = bound(index, rollout, &self.target_members());
        (binds != approval.binds).then_some(binds)
    }

    /// A proposal as `actor` sees it; `None` for a rollout that waits for no approval.
    pub(super) fn proposal_view(
        &self,
        actor: &Actor,
        index: &Index,
        rollout: &Rollout,
    ) -> Result<Option<ProposalView>, Error> {
        let (State::AwaitingApproval, Some(approval)) = (&rollout.state, &rollout.approval) else {
            return Ok(None);
        };
        let fleet = self.target_members();
        let binds = bound(index, rollout, &fleet);
        let agents = reached(index, rollout, &fleet);
        let given = if binds == approval.binds {
            approval.given.clone()
        } else {
            Vec::new()
        };
        let mut named: Vec<NamedAgent> = fleet
            .iter()
            .filter(|member| agents.contains_key(&member.agent.id()))
            .map(|member| NamedAgent {
                title: member.agent.title(),
                id: member.agent.id(),
            })
            .collect();
        named.sort();
        let contents: std::collections::BTreeSet<Digest> = agents.values().flatten().copied().collect();
        let example = agents
            .iter()
            .find_map(|(id, digest)| digest.is_some().then_some(*id));
        let shown = |target| self.intentions.published_to(index, target, example);
        let before = rollout.from.and_then(|from| index.target_head(from));
        let after = index.target_head(rollout.target);
        let not_you = cannot_approve(actor, approval);
        let mut decisions = Vec::new();
        if actor.may(Permission::Approve).is_ok() {
            if not_you.is_empty() {
                decisions.push("approve".to_owned());
            }
            if !matches!(actor.via, Via::Token { .. }) {
                decisions.push("reject".to_owned());
            }
        }
        if actor.may(Permission::Publish).is_ok() {
            decisions.push("withdraw".to_owned());
        }
        let target = index.target(rollout.target);
        Ok(Some(ProposalView {
            binds,
            missing: approval
                .needed
                .saturating_sub(u32::try_from(given.len()).unwrap_or(u32::MAX)),
            given,
            expires_at: approval.expires_at,
            message: target.map(|target| target.message.clone()).unwrap_or_default(),
            agents: named,
            contents: u32::try_from(contents.len().max(1)).unwrap_or(u32::MAX),
            diff: Diff::between(
                &shown(before.map(AsRef::as_ref))?,
                &shown(after.map(AsRef::as_ref))?,
            ),
            decisions,
            not_you,
        }))
    }
}

/// Why an actor can't approve.
fn cannot_approve(actor: &Actor, approval: &Approval) -> String {
    if actor.may(Permission::Approve).is_err() {
        return "approving takes the role deployer".to_owned();
    }
    if matches!(actor.via, Via::Token { .. }) {
        return "an API token proposes, and never approves".to_owned();
    }
    let account = actor.account();
    if approval.author == account {
        return ApprovalError::Author.to_string();
    }
    if approval.given.iter().any(|given| given.account == account) {
        return ApprovalError::Already.to_string();
    }
    String::new()
}

/// What the audit log tells of a proposal.
pub(in crate::app) fn told(
    layers: &[crate::fleet::target::LayerRef],
    reached: u32,
    rollout: &Rollout,
) -> String {
    format!(
        "{}, reaching {reached} agents in rollout {}, which awaits approval: {}",
        in_words(layers),
        rollout.id,
        rollout.strategy
    )
}
