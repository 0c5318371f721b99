//! Who an agent is, and what operators decided about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::group::{Because, Membership};
use crate::fleet::ids::{AgentId, CredentialId, EnrolmentTokenId, InstanceUid, TargetId};
use crate::fleet::name::Name;
use crate::fleet::suspension::{Suspension, Terms};
use crate::fleet::time::Timestamp;

/// The durable record of an agent's identity and of the intent about it. Written by operators and by enrolment only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Registration {
    /// The record's identity.
    pub id: AgentId,
    /// The uid that the agent uses now; `None` until it first speaks.
    pub uid: Option<InstanceUid>,
    /// Uids that we replaced by another and that the agent may come back with (S-090), oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced_uids: Vec<InstanceUid>,
    /// The credential that speaks for it: the first of its line, whichever of them is in use.
    pub credential: CredentialId,
    /// Whether it is served, and how.
    pub standing: Standing,
    /// The name that an operator gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels of operators and of the enrolment token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The group that an operator pinned it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Name>,
    /// On which terms it was pinned; `None` when it isn't, or nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_terms: Option<Terms>,
    /// What keeps deliveries from it before anything else: a hold, or that it was detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// The group that its enrolment token named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_group: Option<Name>,
    /// The group that it is in.
    pub group: Name,
    /// What put it there.
    #[serde(default = "nothing")]
    pub because: Because,
    /// The group that its facts propose, when they don't take effect by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_group: Option<Name>,
    /// A target of its own, which goes before its group's: what it ran before it joined, or what an operator pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_target: Option<TargetId>,
    /// The credential that its connection is to show, once it was given one by an offer: of the line of `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_credential: Option<CredentialId>,
    /// On which terms it has a target of its own; `None` when it has none, or came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_terms: Option<Terms>,
    /// How it came here.
    pub origin: Origin,
    /// When the uid was last replaced by another, newest last; at most the last hour's (re-keying is limited).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rekeyed_at: Vec<Timestamp>,
}

/// How an agent came to be known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// When its record was made.
    pub at: Timestamp,
    /// The host name that was given at enrolment; empty when none was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The id of the machine that was given at enrolment; empty when none was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host_id: String,
    /// The system that was given at enrolment, such as `Linux 6.8.0 x86_64`; empty when none was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// The address it enrolled or first spoke from; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The enrolment token that let it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<EnrolmentTokenId>,
}

/// Whether an agent is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Standing {
    /// Served.
    #[default]
    Active,
    /// Waits for an operator to approve it: acknowledged and given nothing.
    Pending,
    /// A second agent that uses another one's credential: acknowledged and given nothing.
    Conflict {
        /// The agent whose credential it uses.
        with: AgentId,
    },
    /// Put away by an operator: kept, hidden from lists, given nothing.
    Archived {
        /// Since when.
        at: Timestamp,
        /// The agent whose credential it used, when it was in conflict before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conflict_with: Option<AgentId>,
    },
    /// Its credential was revoked: not let in.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
}

fn nothing() -> Because {
    Because::Nothing
}

impl Registration {
    /// A new record for an agent in no group.
    #[must_use]
    pub fn new(id: AgentId, credential: CredentialId, origin: Origin) -> Self {
        Self {
            id,
            uid: None,
            replaced_uids: Vec::new(),
            credential,
            standing: Standing::Active,
            name: None,
            labels: BTreeMap::new(),
            pin: None,
            pin_terms: None,
            suspension: None,
            token_group: None,
            group: Name::unassigned(),
            because: Because::Nothing,
            proposed_group: None,
            own_target: None,
            offered_credential: None,
            own_terms: None,
            origin,
            rekeyed_at: Vec::new(),
        }
    }

    /// Whether configurations and commands may go to it.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.standing == Standing::Active
    }

    /// Whether it waits for an operator to decide about it.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self.standing, Standing::Pending | Standing::Conflict { .. })
    }

    /// Whether an operator put it away.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        matches!(self.standing, Standing::Archived { .. })
    }

    /// Takes on a membership. What an agent says of itself takes effect by itself only while it is in no group: later it
    /// proposes, and it takes nothing away. `keeps` tells whether a group is still there and keeps whom it has by their own
    /// word: one that sends secrets doesn't. Whether anything changed.
    pub fn settle(&mut self, membership: Membership, keeps: impl Fn(&Name) -> bool) -> bool {
        let Membership {
            group,
            because,
            proposed,
            tied_with: _,
        } = membership;
        let by_own_word = matches!(because, Because::Fact(_) | Because::Nothing);
        let stays = by_own_word
            && matches!(self.because, Because::Fact(_))
            && self.group != group
            && keeps(&self.group);
        let (group, because, proposed) = if stays {
            let proposed = matches!(because, Because::Fact(_)).then_some(group).or(proposed);
            (
                self.group.clone(),
                self.because.clone(),
                proposed.filter(|proposed| *proposed != self.group),
            )
        } else {
            (group, because, proposed)
        };
        let changed = (&self.group, &self.because, &self.proposed_group) != (&group, &because, &proposed);
        (self.group, self.because, self.proposed_group) = (group, because, proposed);
        changed
    }

    /// Makes `uid` the agent's uid and remembers the present one, which it may come back with.
    pub fn replace_uid(&mut self, uid: InstanceUid) {
        const REMEMBERED: usize = 8;
        if let Some(old) = self.uid.replace(uid)
            && old != uid
            && !self.replaced_uids.contains(&old)
        {
            self.replaced_uids.push(old);
        }
        self.replaced_uids.retain(|old| *old != uid);
        let excess = self.replaced_uids.len().saturating_sub(REMEMBERED);
        self.replaced_uids.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration::new(AgentId([1; 16]), CredentialId([2; 16]), Origin::default())
    }

    fn membership(group: &str, because: Because) -> Membership {
        Membership {
            group: Name::slug(group),
            because,
            proposed: None,
            tied_with: Vec::new(),
        }
    }

    #[test]
    fn facts_place_a_newcomer_and_only_propose_later() {
        let mut agent = registration();
        assert!(agent.settle(membership("edge", Because::Fact("x".into())), |_| true));
        assert_eq!(agent.group, Name::slug("edge"));
        assert!(agent.settle(membership("core", Because::Fact("y".into())), |_| true));
        assert_eq!(
            (agent.group.as_str(), agent.proposed_group.clone()),
            ("edge", Some(Name::slug("core")))
        );
        assert!(agent.settle(membership("unassigned", Because::Nothing), |_| true));
        assert_eq!(
            (agent.group.as_str(), agent.proposed_group.clone()),
            ("edge", None)
        );
        assert!(
            agent.settle(membership("unassigned", Because::Nothing), |_| false),
            "its group is gone"
        );
        assert_eq!(agent.group, Name::unassigned());
    }

    #[test]
    fn labels_move_an_agent_both_ways() {
        let mut agent = registration();
        agent.settle(membership("edge", Because::Label("x".into())), |_| true);
        assert!(agent.settle(membership("unassigned", Because::Nothing), |_| true));
        assert_eq!(agent.group, Name::unassigned());
    }

    #[test]
    fn an_agent_may_come_back_with_each_uid_that_it_was_told_to_leave() {
        let mut agent = registration();
        let [a, b] = [InstanceUid([1; 16]), InstanceUid([2; 16])];
        agent.uid = Some(a);
        agent.replace_uid(b);
        assert_eq!(
            (agent.uid, agent.replaced_uids.as_slice()),
            (Some(b), [a].as_slice())
        );
        agent.replace_uid(a);
        assert_eq!(
            (agent.uid, agent.replaced_uids.as_slice()),
            (Some(a), [b].as_slice())
        );
    }
}
