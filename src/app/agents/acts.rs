//! What operators do to agents, one by one or many at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::app::audit_entry;
use crate::app::enrolment::check_labels;
use crate::app::error::Error;
use crate::app::terms::OnTerms;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{Delivery, Happening, HoldReason, Intent, Registration, RestartOrder, Standing};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::custom::CustomMessage;
use crate::fleet::ids::{AgentId, CredentialId};
use crate::fleet::name::Name;
use crate::fleet::suspension::{SuspensionKind, Terms};
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// So many acts are under way at the same time, so that the store writes them together.
pub(in crate::app) const AT_ONCE: usize = 64;

/// Something to do to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "act", deny_unknown_fields)]
pub enum AgentAct {
    /// Name it; an empty name gives it back its own.
    Rename {
        /// The name.
        name: String,
    },
    /// Set and remove labels; others stay.
    Label {
        /// Labels to set.
        #[serde(default)]
        set: BTreeMap<String, String>,
        /// Keys to remove.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// Put it into a group, before all selectors.
    Pin {
        /// The group.
        group: Name,
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
        /// When it ends by itself: selectors then decide again. Left out: never.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// Let selectors decide again.
    Unpin,
    /// Put it into the group that its facts propose, as long as they propose that one.
    ConfirmGroup {
        /// The group that was looked at.
        group: Name,
    },
    /// Restart it, once.
    Restart,
    /// Send it a custom message, once.
    Message {
        /// The message.
        message: CustomMessage,
    },
    /// Offer once more what it refused.
    Retry,
    /// Offer once more what it took, because it runs something else, or what it doesn't answer to.
    Reapply,
    /// Send nothing until released; what runs stays.
    Hold {
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
        /// When it ends by itself. Left out: when somebody releases it.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// Send again.
    Release,
    /// Take it out of its group's delivery: it is only observed.
    Detach {
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
        /// When it ends by itself. Left out: when somebody attaches it again.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// Give it back to its group's delivery.
    Attach,
    /// Give up its own configuration: its group's applies.
    Unpublish,
    /// Serve an agent that waited for a decision, as one of its own.
    Approve,
    /// Find that an agent that waits for a decision is one that is known, enrolled again: that record stays, and takes
    /// over its credential.
    Merge {
        /// The record that stays.
        into: AgentId,
    },
    /// Turn an agent away that waits for a decision.
    Refuse,
    /// Put it away: kept, hidden, given nothing.
    Archive,
    /// Bring it back from the archive.
    Restore,
    /// Give it a new credential by an offer; the present one stays good for coming back.
    Rotate,
    /// Revoke its credentials for good.
    Revoke,
}

/// What became of an act on many agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BulkResult {
    /// Where it was done.
    pub done: Vec<AgentId>,
    /// Where it wasn't, and why.
    pub refused: BTreeMap<AgentId, String>,
    /// Agents that it reached besides: a credential that was revoked speaks for them, too.
    pub besides: Vec<AgentId>,
}

impl AgentAct {
    /// The permission that it takes. Labels that change what reaches a host take [`Permission::Publish`] besides.
    #[must_use]
    pub fn permission(&self) -> Permission {
        match self {
            Self::Revoke | Self::Rotate | Self::Merge { .. } => Permission::RevokeAgents,
            // These change what reaches a host.
            Self::Message { .. }
            | Self::Pin { .. }
            | Self::Unpin
            | Self::ConfirmGroup { .. }
            | Self::Retry
            | Self::Reapply
            | Self::Release
            | Self::Attach
            | Self::Unpublish
            | Self::Approve
            | Self::Refuse
            | Self::Restore => Permission::Publish,
            Self::Rename { .. }
            | Self::Label { .. }
            | Self::Restart
            | Self::Hold { .. }
            | Self::Detach { .. }
            | Self::Archive => Permission::OperateAgents,
        }
    }

    /// The word for it in the audit log.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Rename { .. } => "agent.rename",
            Self::Label { .. } => "agent.label",
            Self::Pin { .. } => "agent.pin",
            Self::Unpin => "agent.unpin",
            Self::ConfirmGroup { .. } => "agent.confirm_group",
            Self::Restart => "agent.restart",
            Self::Message { .. } => "agent.message",
            Self::Retry => "agent.retry",
            Self::Reapply => "agent.reapply",
            Self::Hold { .. } => "agent.hold",
            Self::Release => "agent.release",
            Self::Detach { .. } => "agent.detach",
            Self::Attach => "agent.attach",
            Self::Unpublish => "agent.unpublish",
            Self::Approve => "agent.approve",
            Self::Merge { .. } => "agent.merge",
            Self::Refuse => "agent.refuse",
            Self::Archive => "agent.archive",
            Self::Restore => "agent.restore",
            Self::Rotate => "agent.rotate",
            Self::Revoke => "agent.revoke",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Rename { name } => name.clone(),
            Self::Label { set, remove } => {
                let set = set.iter().map(|(key, value)| format!("{key}={value}"));
                set.chain(remove.iter().map(|key| format!("-{key}")))
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            Self::Pin { group, reason, until } => {
                let terms = OnTerms::told(reason, *until);
                format!("{group}; {terms}").trim_end_matches("; ").to_owned()
            }
            Self::Hold { reason, until } | Self::Detach { reason, until } => OnTerms::told(reason, *until),
            Self::ConfirmGroup { group } => group.to_string(),
            Self::Message { message } => {
                // Not what is in it: that may be secret.
                let digest = crate::fleet::hash::Digest::of(&message.data);
                let size = message.data.len();
                let kind: String = message
                    .kind
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(128)
                    .collect();
                let capability: String = message
                    .capability
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(128)
                    .collect();
                format!("{capability} {kind}, {size} bytes, SHA-256 {digest}")
            }
            Self::Merge { into } => format!("into agent/{into}, whose own credentials are revoked"),
            Self::Refuse
            | Self::Unpin
            | Self::Restart
            | Self::Retry
            | Self::Reapply
            | Self::Release
            | Self::Attach
            | Self::Unpublish
            | Self::Approve
            | Self::Archive
            | Self::Restore
            | Self::Rotate
            | Self::Revoke => String::new(),
        }
    }
}

impl App {
    /// Does something to one agent.
    ///
    /// # Errors
    /// When the actor may not, there is no such agent, or it can't be done to this one.
    pub async fn act(&self, actor: &Actor, id: AgentId, act: &AgentAct) -> Result<(), Error> {
        self.audit.permit(actor, act.permission(), act.word())?;
        let now = self.clock.now();
        let entry = AuditEntry {
            detail: act.detail(),
            ..audit_entry(actor, act.word(), format!("agent/{id}"), now)
        };
        self.guard_protected(actor, id, act)?;
        match act {
            AgentAct::Rename { name } => self.rename(id, entry, name).await?,
            AgentAct::Label { set, remove } => self.label(actor, id, entry, (set, remove)).await?,
            AgentAct::Pin { group, reason, until } => {
                let terms = OnTerms::of(reason, *until).terms(actor, now)?;
                self.pin(id, entry, group.clone(), terms).await?;
            }
            AgentAct::Unpin => {
                self.edit_registration(id, entry, |r| {
                    r.pin = None;
                    r.pin_terms = None;
                    Ok(())
                })
                .await?;
            }
            AgentAct::ConfirmGroup { group } => {
                let terms = OnTerms::default().terms(actor, now)?;
                self.confirm_group(id, entry, group, terms).await?;
            }
            AgentAct::Restart => self.order_restart(actor, id, entry).await?,
            AgentAct::Message { message } => self.send_custom(actor, id, entry, message).await?,
            AgentAct::Retry => self.retry(id, entry).await?,
            AgentAct::Reapply => self.reapply(actor, id, entry).await?,
            AgentAct::Hold { reason, until } => {
                let terms = OnTerms::of(reason, *until).terms(actor, now)?;
                self.suspend(id, entry, SuspensionKind::Held, terms).await?;
            }
            AgentAct::Release => self.release(actor, id, entry).await?,
            AgentAct::Detach { reason, until } => {
                let terms = OnTerms::of(reason, *until).terms(actor, now)?;
                self.suspend(id, entry, SuspensionKind::Detached, terms).await?;
            }
            AgentAct::Attach => self.attach(actor, id, entry).await?,
            AgentAct::Unpublish => {
                self.edit_registration(id, entry, |r| {
                    r.own_target = None;
                    r.own_terms = None;
                    Ok(())
                })
                .await?;
            }
            AgentAct::Approve => self.approve(actor, id, entry).await?,
            AgentAct::Merge { into } => {
                self.merge(actor, id, *into, entry).await?;
                self.settle(*into).await?;
                self.reconcile.activate();
            }
            AgentAct::Refuse => self.refuse(id, entry).await?,
            AgentAct::Archive => self.edit_registration(id, entry, |r| archive(r, now)).await?,
            AgentAct::Restore => self.edit_registration(id, entry, |r| self.restore(r)).await?,
            AgentAct::Rotate => self.rotate(actor, id, entry).await?,
            AgentAct::Revoke => {
                let first = self.snapshot_of(id)?.agent.registration.credential;
                self.revoke_line(actor, first).await?;
            }
        }
        self.settle(id).await?;
        let registration = &self.snapshot_of(id)?.agent.registration;
        if self.desired(registration).config == Intent::Hold(HoldReason::NotRendered) {
            // It was moved: it isn't made to wait for the next look at all.
            self.reconcile.activate();
        }
        self.nudge(id);
        self.announce_agent(id);
        Ok(())
    }

    /// Refuses to take an agent out of a protected group, or to put it into one, to whoever may not weaken the protection:
    /// elsewhere it could be sent what nobody approved.
    fn guard_protected(&self, actor: &Actor, id: AgentId, act: &AgentAct) -> Result<(), Error> {
        let mut after = (*self.snapshot_of(id)?.agent).clone();
        let present = after.registration.group.clone();
        match act {
            AgentAct::Label { set, remove } => {
                let labels = &mut after.registration.labels;
                labels.retain(|key, _| !remove.contains(key));
                labels.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            AgentAct::Pin { group, .. } | AgentAct::ConfirmGroup { group } => {
                after.registration.pin = (*group != Name::unassigned()).then(|| group.clone());
            }
            AgentAct::Unpin => after.registration.pin = None,
            AgentAct::Rename { .. }
            | AgentAct::Restart
            | AgentAct::Retry
            | AgentAct::Reapply
            | AgentAct::Hold { .. }
            | AgentAct::Release
            | AgentAct::Detach { .. }
            | AgentAct::Attach
            | AgentAct::Unpublish
            | AgentAct::AcceptConflict
            | AgentAct::Archive
            | AgentAct::Restore
            | AgentAct::Rotate
            | AgentAct::Revoke => return Ok(()),
        }
        self.place(&mut after);
        let index = self.intentions.index();
        let protected = |group: &Name| index.group(group).is_some_and(|head| head.group.is_protected());
        let moves = after.registration.group != present;
        if moves && (protected(&present) || protected(&after.registration.group)) {
            self.audit.permit(actor, Permission::Unprotect, act.word())?;
            self.audit.prove(actor, act.word())?;
        }
        Ok(())
    }

    /// What an act on many agents would reach. Nothing is done.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn reach(&self, actor: &Actor, ids: &[AgentId], act: &AgentAct) -> Result<BulkResult, Error> {
        actor.may(act.permission())?;
        let mut besides = Vec::new();
        if *act == AgentAct::Revoke {
            besides = self.behind_credentials_of(ids);
        }
        Ok(BulkResult {
            done: ids.to_vec(),
            refused: BTreeMap::new(),
            besides,
        })
    }

    /// Does something to many agents, some at the same time. Each is done or refused by itself.
    ///
    /// # Errors
    /// When the actor may not, or the store took nothing of it.
    pub async fn act_on_many(
        &self,
        actor: &Actor,
        ids: &[AgentId],
        act: &AgentAct,
    ) -> Result<BulkResult, Error> {
        self.audit.permit(actor, act.permission(), act.word())?;
        if *act == AgentAct::Revoke && ids.len() > 1 {
            self.audit.prove(actor, act.word())?;
        }
        let mut result = BulkResult::default();
        // A credential is revoked once, however many of those behind it were named.
        let besides = self.reach(actor, ids, act)?.besides;
        let named: Vec<Vec<AgentId>> = if *act == AgentAct::Revoke {
            self.by_credential(ids)
        } else {
            ids.iter().map(|id| vec![*id]).collect()
        };
        // Boxed: the futures of all acts together are large.
        let acts = stream::iter(named)
            .map(|ids| async move {
                let outcome = match ids.first() {
                    Some(first) => Box::pin(self.act(actor, *first, act)).await,
                    None => Ok(()),
                };
                (ids, outcome)
            })
            .buffer_unordered(AT_ONCE);
        let mut acts = std::pin::pin!(acts);
        let mut failed = None;
        while let Some((ids, outcome)) = acts.next().await {
            match outcome {
                Ok(()) => result.done.extend(ids),
                Err(error) => {
                    let why = error.to_string();
                    result.refused.extend(ids.into_iter().map(|id| (id, why.clone())));
                    if matches!(
                        error,
                        Error::Unavailable(_) | Error::ReadOnly(_) | Error::Internal(_)
                    ) {
                        failed = Some(error);
                    }
                }
            }
        }
        result.done.sort_unstable();
        let revoked = |id: &AgentId| {
            let agent = self.live.get(*id).map(|snapshot| snapshot.agent);
            agent.is_some_and(|agent| self.revoked_since(agent.registration.credential).is_some())
        };
        result.besides = besides.into_iter().filter(revoked).collect();
        match failed {
            // What was done is told, although the store failed in the middle.
            Some(error) if result.done.is_empty() => Err(error),
            _ => Ok(result),
        }
    }

    /// These agents, together with whom they share a credential.
    fn by_credential(&self, ids: &[AgentId]) -> Vec<Vec<AgentId>> {
        let mut shared: BTreeMap<CredentialId, Vec<AgentId>> = BTreeMap::new();
        let mut gone = Vec::new();
        for id in ids {
            match self.live.get(*id) {
                Some(snapshot) => {
                    let credential = snapshot.agent.registration.credential;
                    shared.entry(credential).or_default().push(*id);
                }
                None => gone.push(vec![*id]),
            }
        }
        shared.into_values().chain(gone).collect()
    }

    /// The agents besides these that are let in with one of their credentials.
    #[must_use]
    pub fn behind_credentials_of(&self, ids: &[AgentId]) -> Vec<AgentId> {
        let named: BTreeSet<&AgentId> = ids.iter().collect();
        let credentials = ids.iter().filter_map(|id| self.live.get(*id));
        let credentials: BTreeSet<CredentialId> = credentials
            .map(|snapshot| snapshot.agent.registration.credential)
            .collect();
        let mut others = self.live.collect(|entry| {
            let registration = &entry.agent.registration;
            let other = credentials.contains(&registration.credential)
                && !matches!(registration.standing, Standing::Revoked { .. })
                && !named.contains(&registration.id);
            other.then_some(registration.id)
        });
        others.sort_unstable();
        others
    }

    /// Brings an agent back from the archive. What was so before it was put away still is.
    fn restore(&self, registration: &mut Registration) -> Result<(), Error> {
        let Standing::Archived { conflict_with, .. } = registration.standing else {
            return Err(Error::Conflict("the agent is not archived".into()));
        };
        registration.standing = match (self.revoked_since(registration.credential), conflict_with) {
            (Some(at), _) => Standing::Revoked { at },
            (None, Some(with)) => Standing::Conflict { with },
            (None, None) => Standing::Active,
        };
        Ok(())
    }

    async fn rename(&self, id: AgentId, entry: AuditEntry, name: &str) -> Result<(), Error> {
        let name = given_name(name)?;
        self.edit_registration(id, entry, |registration| {
            registration.name = name;
            Ok(())
        })
        .await
    }

    async fn label(
        &self,
        actor: &Actor,
        id: AgentId,
        entry: AuditEntry,
        (set, remove): (&BTreeMap<String, String>, &[String]),
    ) -> Result<(), Error> {
        self.edit_registration(id, entry, |registration| {
            registration.labels.retain(|key, _| !remove.contains(key));
            registration
                .labels
                .extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
            check_labels(&registration.labels)?;
            if self.labels_reach_it(id, &registration.labels)? {
                self.audit.permit(actor, Permission::Publish, "agent.label")?;
            }
            Ok(())
        })
        .await
    }

    /// Whether these labels would change what an agent is sent: they move it to another group, or supply what its
    /// configuration waits for.
    fn labels_reach_it(&self, id: AgentId, labels: &BTreeMap<String, String>) -> Result<bool, Error> {
        let mut now = (*self.snapshot_of(id)?.agent).clone();
        let index = self.intentions.index();
        let lacks_its_move =
            index.pending_move(id).is_some() && self.intentions.comes_to(&now.registration).is_none();
        let lacks_its_rollout = index.rolling(id).is_some_and(|head| {
            let member = head.members.get(&id);
            member.is_some_and(|member| member.target.is_none())
        });
        let waits = lacks_its_move
            || lacks_its_rollout
            || self.desired(&now.registration).config == Intent::Hold(HoldReason::NotRendered);
        let mut then = now.clone();
        then.registration.labels.clone_from(labels);
        self.place(&mut now);
        self.place(&mut then);
        Ok(waits || now.registration.group != then.registration.group)
    }

    async fn pin(&self, id: AgentId, entry: AuditEntry, group: Name, terms: Terms) -> Result<(), Error> {
        if group != Name::unassigned() && !self.intentions.has_group(&group) {
            return Err(Error::not_found("group", &group));
        }
        let pin = (group != Name::unassigned()).then(|| group.clone());
        let at = entry.at;
        let told = terms.clone();
        self.edit_registration(id, entry, |registration| {
            registration.pin_terms = pin.is_some().then_some(terms);
            registration.pin = pin;
            Ok(())
        })
        .await?;
        self.happen(id, Happening::Pinned { group, terms: told }, at);
        Ok(())
    }

    /// Pins an agent to the group that its facts propose. What an agent says of itself may change at any moment, so it is
    /// compared with what was looked at, in the turn that writes it.
    async fn confirm_group(
        &self,
        id: AgentId,
        entry: AuditEntry,
        group: &Name,
        terms: Terms,
    ) -> Result<(), Error> {
        if !self.intentions.has_group(group) {
            return Err(Error::not_found("group", group));
        }
        let at = entry.at;
        let told = terms.clone();
        self.edit_registration(id, entry, |registration| {
            match &registration.proposed_group {
                None => return Err(Error::Conflict("its facts propose no group".into())),
                Some(now) if now != group => {
                    let why = format!("its facts propose {now} by now, not {group}; look at it again");
                    return Err(Error::Conflict(why));
                }
                Some(_) => {}
            }
            registration.pin = Some(group.clone());
            registration.pin_terms = Some(terms);
            Ok(())
        })
        .await?;
        let group = group.clone();
        self.happen(id, Happening::Pinned { group, terms: told }, at);
        Ok(())
    }

    async fn order_restart(&self, actor: &Actor, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        let snapshot = self.snapshot_of(id)?;
        if !snapshot
            .agent
            .reported
            .capabilities
            .has(Capabilities::ACCEPTS_RESTART_COMMAND)
        {
            return Err(Error::Conflict(
                "the agent doesn't accept a restart command".into(),
            ));
        }
        if !snapshot.agent.registration.is_served() {
            return Err(Error::Conflict("the agent is not served".into()));
        }
        let order = RestartOrder {
            at: entry.at,
            by: actor.name.clone(),
        };
        self.edit_delivery(id, entry, |delivery| {
            delivery.restart = Some(order);
            Ok(())
        })
        .await
    }

    async fn retry(&self, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        let snapshot = self.snapshot_of(id)?;
        let registration = &snapshot.agent.registration;
        let comes_to = self.intentions.comes_to(registration);
        let comes_to = comes_to.filter(|digest| snapshot.agent.delivery.failure_of(*digest).is_some());
        let wanted = comes_to.or_else(|| self.desired(registration).digest());
        let wanted = wanted.ok_or_else(|| Error::Conflict("nothing is wanted of the agent".into()))?;
        self.edit_delivery(id, entry, |delivery| {
            if delivery.forgive(wanted) {
                Ok(())
            } else {
                Err(Error::Conflict(
                    "the wanted configuration didn't fail here".into(),
                ))
            }
        })
        .await?;
        self.live.with(id, |live| {
            live.contact.offered = None;
        });
        Ok(())
    }

    /// Changes a registration durably with its audit entry, then in memory.
    pub(in crate::app) async fn edit_registration(
        &self,
        id: AgentId,
        entry: AuditEntry,
        change: impl FnOnce(&mut Registration) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.edit_registration_with(id, Batch::new(), entry, change).await
    }

    /// The same, together with what is in `batch`.
    pub(in crate::app) async fn edit_registration_with(
        &self,
        id: AgentId,
        mut batch: Batch,
        entry: AuditEntry,
        change: impl FnOnce(&mut Registration) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _writing = self.registrations.lock(id).await;
        let before = self.snapshot_of(id)?.agent.registration.clone();
        let mut after = before.clone();
        change(&mut after)?;
        batch.put(&id, &after);
        batch.audit(entry);
        self.store.commit(batch).await?;
        self.adopt_registration(&before, after);
        Ok(())
    }

    /// Changes verdicts durably with their audit entry, then in memory.
    pub(in crate::app) async fn edit_delivery(
        &self,
        id: AgentId,
        entry: AuditEntry,
        change: impl FnOnce(&mut Delivery) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let turn = self.turn_of(id, None).await;
        let _turn = turn.ok_or_else(|| Error::not_found("agent", &id))?;
        let mut delivery = self.snapshot_of(id)?.agent.delivery.clone();
        change(&mut delivery)?;
        let mut batch = Batch::new();
        batch.put(&id, &delivery);
        batch.audit(entry);
        self.store.commit(batch).await?;
        self.live.with(id, |live| {
            std::sync::Arc::make_mut(&mut live.agent).delivery = delivery;
        });
        Ok(())
    }
}

fn archive(registration: &mut Registration, now: Timestamp) -> Result<(), Error> {
    let conflict_with = match registration.standing {
        Standing::Conflict { with } => Some(with),
        Standing::Active | Standing::Revoked { .. } => None,
        Standing::Pending => {
            let why = "the agent waits for a decision: approve, merge or refuse it";
            return Err(Error::Conflict(why.into()));
        }
        Standing::Archived { .. } => {
            return Err(Error::Conflict("the agent is archived already".into()));
        }
    };
    registration.standing = Standing::Archived {
        at: now,
        conflict_with,
    };
    Ok(())
}

/// The name that somebody gave an agent; `None` takes it away.
pub(in crate::app) fn given_name(name: &str) -> Result<Option<String>, Error> {
    let name = name.trim();
    if name.chars().count() > 128 || name.chars().any(char::is_control) {
        return Err(Error::invalid(
            "name",
            "a name has at most 128 characters and no control characters",
        ));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}
