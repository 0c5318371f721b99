//! Approval by others: what is agreed to, by whom, and what makes it void.
//!
//! An approval binds the exact bytes that each agent would be sent, which agents those are, and how it goes about it. Any
//! other of these is another proposal, which nobody has agreed to.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Ended, State};
use super::{Rollout, Strategy};
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AccountId, AgentId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// What a rollout to a protected group needs before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// So many people other than its author have to agree.
    pub needed: u32,
    /// The author's account; `None` for the operator of the host.
    pub author: Option<AccountId>,
    /// What those who agreed agreed to; see [`binding`].
    pub binds: Digest,
    /// Who agreed so far.
    #[serde(default)]
    pub given: Vec<Given>,
    /// When nobody can agree any more.
    pub expires_at: Timestamp,
    /// Whether it takes the place of a rollout to the group that isn't over when it begins.
    #[serde(default)]
    pub replaces: bool,
}

/// Somebody's agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Given {
    /// Who, as the audit log names them.
    pub by: String,
    /// Their account; `None` for the operator of the host.
    pub account: Option<AccountId>,
    /// When.
    pub at: Timestamp,
}

/// Why somebody can't agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// Nothing is waited for.
    #[error("a rollout that {0} isn't waiting for approval")]
    NotAwaiting(String),
    /// Its author.
    #[error("whoever proposed it can't approve it; somebody else has to")]
    Author,
    /// Somebody who did already.
    #[error("you approved it already; somebody else has to, too")]
    Already,
    /// It waited too long.
    #[error("it waited too long to be approved; publish it again")]
    Expired,
    /// It isn't what was looked at.
    #[error("what it would do has changed since you looked; look at it again")]
    Changed,
}

impl Approval {
    /// How long a proposal waits.
    pub const LIFETIME: Duration = Duration::from_hours(7 * 24);

    /// How many have yet to agree.
    #[must_use]
    pub fn missing(&self) -> u32 {
        let given = u32::try_from(self.given.len()).unwrap_or(u32::MAX);
        self.needed.saturating_sub(given)
    }
}

/// What an approval binds: for each agent of the group the digest of what it would be sent, `None` where that can't be
/// made for it; the digest that is the same for all, if it is; and the strategy.
#[must_use]
pub fn binding(
    group: &Name,
    strategy: &Strategy,
    common: Option<Digest>,
    agents: &BTreeMap<AgentId, Option<Digest>>,
) -> Digest {
    let mut bytes = Vec::with_capacity(256 + agents.len() * 49);
    let mut text = |text: &[u8]| {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text);
    };
    text(b"muster approval 1");
    text(group.as_str().as_bytes());
    // None of ours fails.
    text(&serde_json::to_vec(strategy).unwrap_or_default());
    let mut digest = |digest: Option<Digest>| {
        bytes.push(u8::from(digest.is_some()));
        bytes.extend(digest.map_or([0; 32], |digest| digest.0));
    };
    digest(common);
    bytes.extend((agents.len() as u64).to_be_bytes());
    for (agent, wanted) in agents {
        bytes.extend(agent.0);
        bytes.push(u8::from(wanted.is_some()));
        bytes.extend(wanted.map_or([0; 32], |digest| digest.0));
    }
    Digest::of(&bytes)
}

impl Rollout {
    /// Takes somebody's agreement to what `seen` binds. Whether nobody else has to agree.
    ///
    /// # Errors
    /// [`ApprovalError`] when they can't agree to it.
    pub fn approve(
        &mut self,
        (by, account): (&str, Option<AccountId>),
        seen: &Digest,
        now: Timestamp,
    ) -> Result<bool, ApprovalError> {
        let (State::AwaitingApproval, Some(approval)) = (&self.state, &mut self.approval) else {
            return Err(ApprovalError::NotAwaiting(self.state.words()));
        };
        if now >= approval.expires_at {
            return Err(ApprovalError::Expired);
        }
        if approval.author == account {
            return Err(ApprovalError::Author);
        }
        if approval.given.iter().any(|given| given.account == account) {
            return Err(ApprovalError::Already);
        }
        if approval.binds != *seen {
            return Err(ApprovalError::Changed);
        }
        approval.given.push(Given {
            by: by.to_owned(),
            account,
            at: now,
        });
        let missing = approval.missing();
        if missing > 0 {
            let note = format!("approved; {missing} more to go");
            self.enter(State::AwaitingApproval, by, note, now);
        }
        Ok(missing == 0)
    }

    /// Notes what would be agreed to now. Whoever agreed to something else has not agreed to this. Whether that was so.
    pub fn rebind(&mut self, binds: Digest, by: &str, now: Timestamp) -> bool {
        let Some(approval) = &mut self.approval else {
            return false;
        };
        if approval.binds == binds {
            return false;
        }
        approval.binds = binds;
        let voided = !approval.given.is_empty();
        approval.given.clear();
        if voided {
            let note = "what it would do has changed; it has to be approved again".to_owned();
            self.enter(State::AwaitingApproval, by, note, now);
        }
        voided
    }

    /// Ends it before it began.
    ///
    /// # Errors
    /// [`ApprovalError::NotAwaiting`].
    pub fn dismiss(
        &mut self,
        how: Ended,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), ApprovalError> {
        if self.state != State::AwaitingApproval {
            return Err(ApprovalError::NotAwaiting(self.state.words()));
        }
        self.enter(State::Ended { how }, by, reason.to_owned(), now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_binds_every_byte_every_agent_and_the_way() {
        let edge = Name::slug("edge");
        let once = Strategy::all_at_once();
        let agents = |pairs: &[(u8, Option<u8>)]| -> BTreeMap<AgentId, Option<Digest>> {
            let pairs = pairs.iter();
            pairs
                .map(|(agent, digest)| (AgentId([*agent; 16]), digest.map(|byte| Digest([byte; 32]))))
                .collect()
        };
        let common = Some(Digest([9; 32]));
        let two = agents(&[(1, Some(5)), (2, None)]);
        let all = [
            binding(&edge, &once, common, &two),
            binding(&Name::slug("edges"), &once, common, &two),
            binding(&edge, &Strategy::default_for(9), common, &two),
            binding(&edge, &once, None, &two),
            binding(&edge, &once, common, &agents(&[(1, Some(5))])),
            binding(&edge, &once, common, &agents(&[(1, Some(5)), (3, None)])),
            binding(&edge, &once, common, &agents(&[(1, Some(6)), (2, None)])),
            binding(&edge, &once, common, &agents(&[(1, Some(5)), (2, Some(0))])),
            binding(&edge, &once, common, &agents(&[])),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0], binding(&edge, &once, common, &two));
    }
}
