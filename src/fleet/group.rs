//! Groups: which of them an agent belongs to, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::attributes::Facts;
use crate::fleet::ids::{RolloutId, TargetId};
use crate::fleet::name::Name;
use crate::fleet::rollout::{Strategy, StrategyError};
use crate::fleet::selector::Selector;
use crate::fleet::suspension::Terms;
use crate::fleet::time::Timestamp;

/// The most selectors of a group.
const MOST_SELECTORS: usize = 32;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 4096;
/// The most people that can be asked to approve.
const MOST_APPROVALS: u32 = 5;
/// The most layers of a group.
pub const MOST_LAYERS: usize = 16;

/// A group: owns agents, and sends them its published target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its identity.
    pub name: Name,
    /// What it is for, in the operators' words.
    #[serde(default)]
    pub description: String,
    /// Which agents it claims: those that any of these takes. None: only agents that are put into it.
    #[serde(default)]
    pub selectors: Vec<Selector>,
    /// Decides between groups that claim the same agent: the higher wins.
    #[serde(default)]
    pub priority: i32,
    /// Whether what agents say of themselves is enough to join. Otherwise, and while what is published holds secrets,
    /// selectors that look at facts only propose.
    #[serde(default)]
    pub joins_by_facts: bool,
    /// The configs that are rendered for its agents, from base to most specific.
    #[serde(default)]
    pub layers: Vec<Name>,
    /// What was last published; `None` when nothing ever was: its agents are then only observed. It stays when the
    /// last layer is removed, so that this can be told from "never": agents keep what they run and nothing is sent.
    #[serde(default)]
    pub target: Option<TargetId>,
    /// How what is published reaches its agents; `None` = by the default for a group of its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The latest rollout to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// So many people besides the author have to approve what is published to it; 0 = nobody: it isn't protected.
    /// Agents come into a protected group and leave it by labels, pins and tokens alone, never by what they say.
    #[serde(default, skip_serializing_if = "is_none_needed")]
    pub approvals: u32,
    /// What it publishes is held on these terms: nothing is offered, and what runs stays. Agents with a target of their
    /// own are not touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Terms>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When any of the above last changed.
    pub updated_at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none_needed(approvals: &u32) -> bool {
    *approvals == 0
}

/// Why a group can't be as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The name that stands for no group.
    #[error("`unassigned` is where agents are that no group claims; a group needs another name")]
    Reserved,
    /// Too many selectors.
    #[error("a group has at most {MOST_SELECTORS} selectors; this one has {0}")]
    Selectors(usize),
    /// Too many layers.
    #[error("a group has at most {MOST_LAYERS} layers; this one has {0}")]
    Layers(usize),
    /// A layer that stands there twice.
    #[error("the layer {0} stands there twice")]
    Repeated(Name),
    /// Too long a description.
    #[error("a description has at most {LONGEST_DESCRIPTION} bytes; this one has {0}")]
    Description(usize),
    /// More approvals than anybody waits for.
    #[error("at most {MOST_APPROVALS} people can be asked to approve; this says {0}")]
    Approvals(u32),
    /// A strategy that can't be.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
}

/// What decides where an agent belongs.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What operators and the enrolment token put on it.
    pub labels: &'a BTreeMap<String, String>,
    /// What it reports.
    pub facts: &'a Facts,
    /// The group that an operator put it into.
    pub pin: Option<&'a Name>,
    /// The group that its enrolment token states.
    pub token_group: Option<&'a Name>,
}

/// A group that may claim agents, and on whose word.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The group.
    pub group: &'a Group,
    /// Whether what agents say of themselves is enough now. Never where secrets are sent, whatever the group says.
    pub joins_by_facts: bool,
}

impl<'a> From<&'a Group> for Claimant<'a> {
    fn from(group: &'a Group) -> Self {
        Self {
            group,
            joins_by_facts: group.joins_by_facts,
        }
    }
}

/// Where an agent belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The group, or [`unassigned`].
    pub group: Name,
    /// What put it there.
    pub because: Because,
    /// The group that facts propose; it takes effect when an operator confirms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Name>,
    /// Other groups that claim it with the same priority, in the order of their names; the first name won.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tied_with: Vec<Name>,
}

/// What put an agent into its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "by", content = "selector")]
pub enum Because {
    /// An operator.
    Pin,
    /// The enrolment token.
    Token,
    /// This selector, over labels alone.
    Label(String),
    /// This selector, over facts too.
    Fact(String),
    /// Nothing claims it.
    Nothing,
}

/// The name that stands for no group: agents there are observed, and sent nothing.
#[must_use]
pub fn unassigned() -> Name {
    Name::slug(UNASSIGNED)
}

const UNASSIGNED: &str = "unassigned";

impl Group {
    /// Whether a group may be like this.
    ///
    /// # Errors
    /// [`GroupError`] says what must change.
    pub fn check(&self) -> Result<(), GroupError> {
        if self.name.as_str() == UNASSIGNED {
            return Err(GroupError::Reserved);
        }
        if self.selectors.len() > MOST_SELECTORS {
            return Err(GroupError::Selectors(self.selectors.len()));
        }
        if self.layers.len() > MOST_LAYERS {
            return Err(GroupError::Layers(self.layers.len()));
        }
        let repeated = self.layers.iter().enumerate();
        let mut repeated =
            repeated.filter(|(at, layer)| self.layers.iter().take(*at).any(|other| other == *layer));
        if let Some((_, layer)) = repeated.next() {
            return Err(GroupError::Repeated(layer.clone()));
        }
        if self.description.len() > LONGEST_DESCRIPTION {
            return Err(GroupError::Description(self.description.len()));
        }
        if let Some(strategy) = &self.strategy {
            strategy.check()?;
        }
        if self.approvals > MOST_APPROVALS {
            return Err(GroupError::Approvals(self.approvals));
        }
        Ok(())
    }

    /// Whether what is published to it needs approval.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.approvals > 0
    }

    /// Whether changing it to `after` makes its protection weaker, or changes which agents it protects.
    #[must_use]
    pub fn is_weakened_by(&self, after: &Self) -> bool {
        let claims = |group: &Self| (group.selectors.clone(), group.priority);
        self.is_protected() && (after.approvals < self.approvals || claims(self) != claims(after))
    }

    /// The first selector that takes the agent, of those that look at facts or of those that don't.
    fn claim(&self, candidate: &Candidate<'_>, by_facts: bool) -> Option<&Selector> {
        self.selectors
            .iter()
            .filter(|selector| selector.uses_facts() == by_facts)
            .find(|selector| selector.matches(candidate.labels, candidate.facts))
    }
}

/// Where an agent belongs: by its pin, else by its token's group, else by selectors over labels, else by selectors over
/// facts where the group allows that; else nowhere. Among groups with an equal claim a protected one wins, then the
/// priority decides, then the name. A pin to a group that doesn't exist (any more) counts as none. The order of `groups` doesn't matter.
pub fn membership<'a, C: Into<Claimant<'a>>>(
    candidate: &Candidate<'_>,
    groups: impl IntoIterator<Item = C>,
) -> Membership {
    let (mut pinned, mut by_token) = (false, false);
    let (mut labelled, mut by_facts, mut proposals) =
        (Claims::default(), Claims::default(), Claims::default());
    for claimant in groups {
        let Claimant {
            group,
            joins_by_facts,
        } = claimant.into();
        if group.name.as_str() == UNASSIGNED {
            continue;
        }
        pinned |= candidate.pin == Some(&group.name);
        by_token |= candidate.token_group == Some(&group.name);
        if let Some(selector) = group.claim(candidate, false) {
            labelled.add(group, selector);
        } else if let Some(selector) = group.claim(candidate, true) {
            let claims = if joins_by_facts {
                &mut by_facts
            } else {
                &mut proposals
            };
            claims.add(group, selector);
        }
    }
    let put = |group: &Name, because| Membership {
        group: group.clone(),
        because,
        proposed: None,
        tied_with: Vec::new(),
    };
    if let (true, Some(pin)) = (pinned, candidate.pin) {
        return put(pin, Because::Pin);
    }
    if let (true, Some(group)) = (by_token, candidate.token_group) {
        return put(group, Because::Token);
    }
    if let Some(winner) = labelled.winner {
        return Membership {
            tied_with: labelled.tied(),
            ..put(&winner.group.name, Because::Label(winner.selector.to_string()))
        };
    }
    // A proposal that would lose against the group that facts may choose says nothing.
    let proposed = proposals
        .winner
        .filter(|p| by_facts.winner.is_none_or(|w| p.beats(&w)));
    let proposed = proposed.map(|claim| claim.group.name.clone());
    match by_facts.winner {
        Some(winner) => Membership {
            proposed,
            tied_with: by_facts.tied(),
            ..put(&winner.group.name, Because::Fact(winner.selector.to_string()))
        },
        None => Membership {
            proposed,
            ..put(&unassigned(), Because::Nothing)
        },
    }
}

/// A group that claims an agent, and with which of its selectors.
#[derive(Clone, Copy)]
struct Claim<'a> {
    group: &'a Group,
    selector: &'a Selector,
}

impl Claim<'_> {
    fn beats(&self, other: &Claim<'_>) -> bool {
        // Nobody takes agents out of a protected group by editing another.
        let rank = |claim: &Claim<'_>| {
            let protected = std::cmp::Reverse(claim.group.is_protected());
            (protected, std::cmp::Reverse(claim.group.priority))
        };
        (rank(self), &self.group.name) < (rank(other), &other.group.name)
    }
}

/// Claims of one kind: the best, and the others of its priority.
#[derive(Default)]
struct Claims<'a> {
    winner: Option<Claim<'a>>,
    ties: Vec<&'a Group>,
}

impl<'a> Claims<'a> {
    fn add(&mut self, group: &'a Group, selector: &'a Selector) {
        let claim = Claim { group, selector };
        let Some(winner) = self.winner else {
            self.winner = Some(claim);
            return;
        };
        let loser = if claim.beats(&winner) {
            self.winner = Some(claim);
            winner
        } else {
            claim
        };
        self.ties.push(loser.group);
    }

    /// The names of those that lost by their name alone.
    fn tied(&self) -> Vec<Name> {
        let rank = |group: &Group| (group.is_protected(), group.priority);
        let best = self.winner.map(|winner| rank(winner.group));
        let ties = self.ties.iter().filter(|group| Some(rank(group)) == best);
        let mut names: Vec<_> = ties.map(|group| group.name.clone()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests;
