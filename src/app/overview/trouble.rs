//! What needs attention, and how it is gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Few;
use crate::app::agents::Origins;
use crate::app::certificates::WORTH_A_LOOK;
use crate::app::intentions::{Index, RolloutHead};
use crate::app::live::Snapshot;
use crate::app::rendering::has_changed_inputs;
use crate::app::tasks::Tasks;
use crate::fleet::agent::health::{Condition, Status};
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{HoldReason, Judgement, Standing, Verdict};
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::identity::{Credential, CredentialState};
use crate::fleet::ids::RolloutId;
use crate::fleet::name::Name;
use crate::fleet::rollout::{Ended, Rollout, State};
use crate::fleet::suspension::Terms;
use crate::fleet::target::LayerRef;
use crate::fleet::time::Timestamp;
use crate::store::Store;

/// How long a new agent may be silent before that is worth a look.
const SILENT_AFTER: Duration = Duration::from_mins(10);
/// How long before its end a token is worth a look.
const EXPIRING_WITHIN: Duration = Duration::from_hours(48);
/// Tokens that were made for less than this are meant to end.
const LASTING: Duration = Duration::from_hours(72);
/// So many unhealthy agents are named one by one.
const NAMED: usize = 6;

/// One thing that needs attention.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Trouble {
    /// What it is.
    #[serde(flatten)]
    pub kind: TroubleKind,
    /// The agents that it is about; none where it is about something else.
    pub agents: Few,
    /// Since when; `None` when that isn't known.
    pub since: Option<Timestamp>,
}

/// What needs attention, worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "trouble")]
pub enum TroubleKind {
    /// Nothing is changed for want of room.
    ReadOnly {
        /// What is short, without an end mark.
        reason: String,
    },
    /// Records can't be read.
    Unreadable {
        /// How many.
        records: usize,
        /// Their tables.
        tables: Vec<String>,
    },
    /// A task of the server died and is started again.
    TaskDied {
        /// Its name.
        task: String,
        /// What it said at last.
        reason: String,
    },
    /// Nothing is sent to anybody.
    FleetHeld {
        /// Why.
        reason: HoldReason,
    },
    /// Agents that know a newer state than the store are held.
    WentBack,
    /// Agents are not connected.
    Offline {
        /// Their group.
        group: Name,
    },
    /// A rollout stopped and waits for somebody to decide.
    RolloutPaused {
        /// The rollout.
        rollout: RolloutId,
        /// Its group.
        group: Name,
        /// Why, without an end mark.
        reason: String,
    },
    /// What was published to a protected group waits for approval.
    AwaitsApproval {
        /// The rollout.
        rollout: RolloutId,
        /// Its group.
        group: Name,
        /// Who proposed it.
        by: String,
    },
    /// The latest rollout of a group failed, and its agents are brought back or were.
    RolledBack {
        /// The rollout.
        rollout: RolloutId,
        /// Its group.
        group: Name,
        /// Why, without an end mark; empty when it is no longer known.
        reason: String,
    },
    /// Agents refused what they were sent.
    Refused {
        /// Their group.
        group: Name,
        /// The layers of what they refused; none when it isn't one of ours.
        layers: Vec<LayerRef>,
        /// What the first of them said.
        error: String,
    },
    /// Agents were sent something and don't come to an end with it.
    Unanswered {
        /// Their group.
        group: Name,
    },
    /// Agents took what is wanted and run something else.
    Drifted {
        /// Their group.
        group: Name,
    },
    /// An agent says that it is unhealthy, or several of a group when they are many.
    Unhealthy {
        /// Their group.
        group: Name,
        /// What the first of them said.
        reason: String,
    },
    /// Credentials kept presenting uids of others.
    Quarantined {
        /// How many.
        credentials: usize,
    },
    /// Agents use the credential, uid or host name of another.
    Conflict,
    /// Agents wait to be approved.
    Pending,
    /// Agents are back with a replaced credential, don't take the present one, and are given nothing.
    Recovering,
    /// The certificate that was given for the admin plane ends soon, or has ended.
    CertificateEnding {
        /// When.
        at: Timestamp,
    },
    /// Agents wait for somebody to confirm the group that they propose.
    Proposed {
        /// The group.
        group: Name,
    },
    /// Agents have not been heard of since the server started, and may be on their way back.
    Awaited,
    /// Agents were enrolled and never spoke.
    NeverHeard,
    /// Agents are held by an operator.
    HeldByOperator,
    /// What a group publishes is held by an operator.
    GroupHeld {
        /// The group.
        group: Name,
        /// On which terms.
        terms: Terms,
    },
    /// Agents were detached from their groups by an operator.
    Detached,
    /// Tokens with uses left end soon.
    TokensExpiring {
        /// How many.
        tokens: usize,
    },
    /// A revision was saved and isn't published.
    Unpublished {
        /// The group.
        group: Name,
        /// What is published.
        published: LayerRef,
        /// The number of the newest revision.
        newest: u64,
    },
    /// A label, a fact or a secret of which agents' configurations are made has changed since they were published.
    InputsChanged {
        /// Their group.
        group: Name,
        /// What is published to it.
        layers: Vec<LayerRef>,
    },
    /// Agents belong to no group and are sent nothing.
    Unassigned,
}

/// Troubles as they are found.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    found: BTreeMap<TroubleKind, Found>,
    refused: BTreeMap<(Name, Vec<LayerRef>), (Found, String)>,
    unhealthy: BTreeMap<Name, Vec<(Found, String)>>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    agents: Few,
    since: Option<Timestamp>,
}

impl Found {
    /// Counts an agent; the whole began when its first part did.
    fn add(&mut self, snapshot: &Snapshot, since: Timestamp) {
        self.agents.add(snapshot.agent.id(), &snapshot.agent.title());
        self.began(since);
    }

    fn began(&mut self, at: Timestamp) {
        if at != Timestamp::EPOCH {
            self.since = Some(self.since.map_or(at, |since| since.min(at)));
        }
    }
}

impl Troubles {
    /// Looks at the certificate that somebody has to renew.
    pub(super) fn look_at_certificate(&mut self, ends: Timestamp, now: Timestamp) {
        if ends.since(now) < WORTH_A_LOOK {
            let kind = TroubleKind::CertificateEnding { at: ends };
            self.found.entry(kind).or_default();
        }
    }

    /// Looks at the store.
    pub(super) fn look_at_store(&mut self, store: &Store) {
        if let Some(shortage) = store.shortage() {
            let reason = shortage.to_string();
            self.found.entry(TroubleKind::ReadOnly { reason }).or_default();
        }
        let unreadable = store.unreadable();
        if !unreadable.is_empty() {
            let tables: BTreeSet<String> = unreadable.iter().map(|row| row.table.clone()).collect();
            let kind = TroubleKind::Unreadable {
                records: unreadable.len(),
                tables: tables.into_iter().collect(),
            };
            self.found.entry(kind).or_default();
        }
    }

    /// Looks at the tasks that are started again.
    pub(super) fn look_at_tasks(&mut self, tasks: &Tasks) {
        for (task, mending) in tasks.mending() {
            let kind = TroubleKind::TaskDied {
                task: task.to_owned(),
                reason: mending.message,
            };
            self.found.entry(kind).or_default();
        }
    }

    /// Looks at one agent.
    pub(super) fn look(
        &mut self,
        snapshot: &Snapshot,
        status: &Status,
        judged: &Judgement<'_>,
        origins: &Origins,
        now: Timestamp,
    ) {
        let agent = &snapshot.agent;
        let registration = &agent.registration;
        match registration.standing {
            Standing::Conflict { .. } => return self.count(TroubleKind::Conflict, snapshot, status.since),
            Standing::Pending => return self.count(TroubleKind::Pending, snapshot, status.since),
            Standing::Revoked { .. } | Standing::Archived { .. } => return,
            Standing::Active => {}
        }
        let group = registration.group.clone();
        if let Some(proposed) = &registration.proposed_group {
            let group = proposed.clone();
            self.count(TroubleKind::Proposed { group }, snapshot, Timestamp::EPOCH);
        }
        match judged.hold {
            Some(HoldReason::StoreWentBack) => self.count(TroubleKind::WentBack, snapshot, judged.since),
            Some(HoldReason::Operator) => self.count(TroubleKind::HeldByOperator, snapshot, judged.since),
            Some(
                HoldReason::Group
                | HoldReason::NothingLeft
                | HoldReason::Unreadable
                | HoldReason::NotRendered
                | HoldReason::NothingToGoBackTo
                | HoldReason::OwnWord,
            )
            | None => {}
        }
        if registration.is_detached() {
            self.count(TroubleKind::Detached, snapshot, judged.since);
        }
        match snapshot.presence {
            Presence::NeverSeen if now.since(status.since) > SILENT_AFTER => {
                return self.count(TroubleKind::NeverHeard, snapshot, status.since);
            }
            // A planned goodbye: it is about to be back.
            Presence::Offline { .. } if status.condition == Condition::InProgress => return,
            Presence::NeverSeen => return,
            Presence::Awaited { since } => return self.count(TroubleKind::Awaited, snapshot, since),
            Presence::Offline { since } => {
                return self.count(TroubleKind::Offline { group }, snapshot, since);
            }
            Presence::Online { .. } => {}
        }
        if group == Name::unassigned() && registration.own_target.is_none() {
            self.count(TroubleKind::Unassigned, snapshot, registration.origin.at);
        }
        if let Some((since, true)) = agent.recovers(now) {
            return self.count(TroubleKind::Recovering, snapshot, since);
        }
        if judged.verdict.is_refusal() {
            let layers = judged
                .wanted
                .map(|wanted| origins.layers(&snapshot.agent.registration, wanted));
            let (found, error) = self
                .refused
                .entry((group, layers.unwrap_or_default()))
                .or_default();
            found.add(snapshot, judged.since);
            if error.is_empty() {
                judged.error.clone_into(error);
            }
            return;
        }
        if judged.verdict == Verdict::Drifted {
            let group = group.clone();
            self.count(TroubleKind::Drifted { group }, snapshot, judged.since);
        }
        if status.condition == Condition::Degraded && judged.hold.is_none() {
            if agent.reported.healthy == Some(false) {
                let mut found = Found::default();
                found.add(snapshot, status.since);
                let of_group = self.unhealthy.entry(group).or_default();
                of_group.push((found, status.reason.clone()));
            } else if judged.verdict == Verdict::Applying {
                self.count(TroubleKind::Unanswered { group }, snapshot, status.since);
            }
        }
    }

    /// Looks at what an agent's configuration was made of.
    pub(super) fn look_at_inputs(&mut self, snapshot: &Snapshot, index: &Index) {
        let registration = &snapshot.agent.registration;
        let Some(head) = index.group(&registration.group) else {
            return;
        };
        if !registration.is_served() || !has_changed_inputs(index, head, &snapshot.agent) {
            return;
        }
        let target = head.group.target.and_then(|id| index.target(id));
        let content = target.and_then(|target| target.content.as_ref());
        let kind = TroubleKind::InputsChanged {
            group: registration.group.clone(),
            layers: content.map(|content| content.layers.clone()).unwrap_or_default(),
        };
        self.count(kind, snapshot, Timestamp::EPOCH);
    }

    /// Looks at what operators decided.
    pub(super) fn look_at_intent(&mut self, index: &Index, held: Option<HoldReason>) {
        if let Some(reason) = held {
            self.found.entry(TroubleKind::FleetHeld { reason }).or_default();
        }
        for head in index.groups() {
            if let Some(terms) = &head.group.hold {
                let kind = TroubleKind::GroupHeld {
                    group: head.group.name.clone(),
                    terms: terms.clone(),
                };
                self.found.entry(kind).or_default().began(terms.since);
            }
            let awaits = |rollout: &&Arc<RolloutHead>| {
                let rollout = &rollout.rollout;
                rollout.group == head.group.name && rollout.state == State::AwaitingApproval
            };
            for proposal in index.rollouts().filter(awaits) {
                let rollout = &proposal.rollout;
                let kind = TroubleKind::AwaitsApproval {
                    rollout: rollout.id,
                    group: rollout.group.clone(),
                    by: rollout.started_by.clone(),
                };
                self.found.entry(kind).or_default().began(rollout.created_at);
            }
            let rollout = head.group.rollout.and_then(|id| index.rollout(id));
            if let Some((kind, since)) = rollout.and_then(|head| stopped(&head.rollout)) {
                self.found.entry(kind).or_default().began(since);
            }
            let target = head.group.target.and_then(|id| index.target(id));
            let Some(content) = target.and_then(|target| target.content.as_ref()) else {
                continue;
            };
            for published in &content.layers {
                let Some(config) = index.config(&published.config) else {
                    continue;
                };
                let newest = config.config.latest;
                if newest > published.revision {
                    let kind = TroubleKind::Unpublished {
                        group: head.group.name.clone(),
                        published: published.clone(),
                        newest,
                    };
                    let found = self.found.entry(kind).or_default();
                    if let Some(latest) = config.latest() {
                        found.began(latest.at);
                    }
                }
            }
        }
    }

    /// Looks at who may get in.
    pub(super) fn look_at_access(
        &mut self,
        tokens: &[EnrolmentToken],
        credentials: &[Arc<Credential>],
        now: Timestamp,
    ) {
        let expiring = tokens.iter().filter(|token| {
            let open = token.withdrawn_at.is_none() && token.uses < token.uses_allowed;
            let lasting = token.expires_at.since(token.created_at) >= LASTING;
            open && lasting && token.expires_at > now && token.expires_at.since(now) < EXPIRING_WITHIN
        });
        let tokens = expiring.count();
        if tokens > 0 {
            self.found
                .entry(TroubleKind::TokensExpiring { tokens })
                .or_default();
        }
        let mut quarantined = Found::default();
        let mut credentials_quarantined = 0;
        for credential in credentials {
            if let CredentialState::Quarantined { at } = credential.state {
                credentials_quarantined += 1;
                quarantined.began(at);
            }
        }
        if credentials_quarantined > 0 {
            let kind = TroubleKind::Quarantined {
                credentials: credentials_quarantined,
            };
            self.found.insert(kind, quarantined);
        }
    }

    /// All of them, worst first.
    pub(super) fn worst_first(mut self) -> Vec<Trouble> {
        for ((group, layers), (found, error)) in self.refused {
            let kind = TroubleKind::Refused { group, layers, error };
            self.found.insert(kind, found);
        }
        let many = self.unhealthy.values().map(Vec::len).sum::<usize>() > NAMED;
        let mut troubles = Vec::new();
        for (group, mut agents) in self.unhealthy {
            if many {
                let mut whole = Found::default();
                let mut reason = String::new();
                for (found, said) in agents {
                    whole.agents.count += found.agents.count;
                    if whole.agents.first.is_none() {
                        whole.agents.first = found.agents.first;
                        reason = said;
                    }
                    if let Some(since) = found.since {
                        whole.began(since);
                    }
                }
                agents = vec![(whole, reason)];
            }
            for (found, reason) in agents {
                let group = group.clone();
                troubles.push(trouble((TroubleKind::Unhealthy { group, reason }, found)));
            }
        }
        troubles.extend(self.found.into_iter().map(trouble));
        troubles.sort_by(|a, b| a.kind.cmp(&b.kind));
        troubles
    }

    fn count(&mut self, kind: TroubleKind, snapshot: &Snapshot, since: Timestamp) {
        self.found.entry(kind).or_default().add(snapshot, since);
    }
}

/// What is wrong with a rollout, and since when. One to everybody at once stops nobody: its agents are told of themselves.
fn stopped(rollout: &Rollout) -> Option<(TroubleKind, Timestamp)> {
    if rollout.is_at_once() {
        return None;
    }
    let (id, group) = (rollout.id, rollout.group.clone());
    match &rollout.state {
        State::Paused { why, .. } => {
            let since = rollout.history.last().map_or(rollout.created_at, |last| last.at);
            let reason = why.words();
            Some((
                TroubleKind::RolloutPaused {
                    rollout: id,
                    group,
                    reason,
                },
                since,
            ))
        }
        State::RollingBack { .. }
        | State::Ended {
            how: Ended::RolledBack,
        } => {
            let turned = rollout.history.iter().rev().find_map(|step| match &step.state {
                State::RollingBack { why } => Some((why.words(), step.at)),
                State::Queued
                | State::AwaitingApproval
                | State::Running { .. }
                | State::Paused { .. }
                | State::Ended { .. } => None,
            });
            let (reason, since) = turned.unwrap_or((String::new(), rollout.created_at));
            Some((
                TroubleKind::RolledBack {
                    rollout: id,
                    group,
                    reason,
                },
                since,
            ))
        }
        State::Queued | State::AwaitingApproval | State::Running { .. } | State::Ended { .. } => None,
    }
}

fn trouble((kind, found): (TroubleKind, Found)) -> Trouble {
    Trouble {
        kind,
        agents: found.agents,
        since: found.since,
    }
}
