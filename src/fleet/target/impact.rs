//! What a publication would do, told before it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::agent::{Agent, HoldReason};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::Variable;
use crate::fleet::group::Because;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// From this many agents that change, a publication that reaches a large share of the fleet must be confirmed.
const MANY_AGENTS: u32 = 10;
/// The share of the fleet, in percent, above which such a publication must be confirmed.
const LARGE_SHARE_PERCENT: u32 = 25;

/// One agent of the fleet as it is when the question is asked.
#[derive(Clone, Debug)]
pub struct Member {
    /// The agent.
    pub agent: Arc<Agent>,
    /// Whether it is there.
    pub online: bool,
    /// What the content uses and this agent isn't built with; empty also when the agent doesn't say what it has.
    pub lacks: Vec<String>,
}

/// What is asked about: these contents for that group.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// The group.
    pub group: &'a Name,
    /// What each agent would be sent.
    pub renderings: &'a Renderings,
    /// Whether the contents hold secrets: nothing goes to agents that are in the group by their own word.
    pub secrets: bool,
}

/// What agents would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renderings {
    /// The same to everybody.
    Common(Digest),
    /// To each its own, by what it is rendered for it.
    PerAgent(BTreeMap<AgentId, Result<Digest, Vec<Variable>>>),
}

impl Renderings {
    /// What an agent would be sent.
    ///
    /// # Errors
    /// The variables that stand for nothing at this agent.
    pub fn of(&self, agent: AgentId) -> Result<Digest, &[Variable]> {
        match self {
            Self::Common(digest) => Ok(*digest),
            Self::PerAgent(digests) => match digests.get(&agent) {
                Some(Ok(digest)) => Ok(*digest),
                Some(Err(missing)) => Err(missing),
                None => Err(&[]),
            },
        }
    }
}

/// What a publication would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// Agents of the group, served or not.
    pub members: u32,
    /// Agents that would be offered the content at once.
    pub will_change: u32,
    /// Agents that run it already.
    pub runs_it: u32,
    /// Agents that have a target of their own, which goes first.
    pub own_target: u32,
    /// Agents that can't have it now.
    pub blocked: u32,
    /// All agents of the fleet that are served.
    pub fleet: u32,
    /// The number that has to be typed to go on, and why; `None` when nothing has to be.
    pub confirmation: Option<Confirmation>,
    /// Each agent of the group, those that need a look first.
    pub agents: Vec<AffectedAgent>,
}

/// What has to be typed before a publication is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// The number of agents that the publication reaches, now or when they come back.
    pub count: u32,
    /// Why it has to be confirmed.
    pub because: ConfirmationReason,
}

/// Why a publication has to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationReason {
    /// It reaches no agent at all: perhaps another group was meant.
    ReachesNobody,
    /// It is sent to agents that aren't built with what it uses, and would refuse it.
    LacksComponents,
    /// It changes more than a quarter of the fleet, and more than ten agents.
    LargeShare,
}

/// One agent of the group and what would happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AffectedAgent {
    /// The agent.
    pub id: AgentId,
    /// What people call it.
    pub title: String,
    /// What would happen.
    #[serde(flatten)]
    pub effect: Effect,
}

/// What would happen to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// It can't have it now.
    Blocked {
        /// Why.
        because: Blocker,
    },
    /// It would be offered the content.
    Changes,
    /// It has a target of its own, which goes first.
    OwnTarget,
    /// It runs it already.
    RunsIt,
}

/// Why an agent can't have a content now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Blocker {
    /// It isn't connected; it is offered the content when it comes back.
    Offline,
    /// It takes no remote configuration.
    NotCapable,
    /// It is archived, revoked or in conflict with another.
    NotServed,
    /// It refused this content before: it is offered again only when an operator says so.
    FailedBefore {
        /// What it said.
        error: String,
        /// When.
        at: Timestamp,
    },
    /// The content uses what the agent isn't built with: it is sent all the same, and refused there.
    MissingComponents {
        /// Which.
        components: Vec<String>,
    },
    /// An operator detached it from its group: it is only observed.
    Detached,
    /// Variables stand for nothing at this agent: nothing can be published until they do.
    Unresolved {
        /// Which.
        variables: Vec<Variable>,
    },
    /// Nothing may be offered to it.
    Held {
        /// Why.
        hold: HoldReason,
    },
}

impl Impact {
    /// What the proposal would do to the fleet.
    #[must_use]
    pub fn of(proposal: Proposal<'_>, fleet: &[Member]) -> Self {
        let mut agents: Vec<_> = fleet
            .iter()
            .filter(|member| member.agent.registration.group == *proposal.group)
            .map(|member| AffectedAgent {
                id: member.agent.id(),
                title: member.agent.title(),
                effect: effect(&proposal, member),
            })
            .collect();
        agents.sort_by(|a, b| (rank(&a.effect), &a.title, a.id).cmp(&(rank(&b.effect), &b.title, b.id)));
        let count =
            |test: fn(&Effect) -> bool| number(agents.iter().filter(|agent| test(&agent.effect)).count());
        let served = fleet
            .iter()
            .filter(|member| member.agent.registration.is_served())
            .count();
        let reached = count(Effect::reaches);
        let lacking = agents.iter().any(|agent| agent.effect.lacks_components());
        let fleet = number(served);
        Self {
            members: number(agents.len()),
            will_change: count(|effect| *effect == Effect::Changes),
            runs_it: count(|effect| *effect == Effect::RunsIt),
            own_target: count(|effect| *effect == Effect::OwnTarget),
            blocked: count(|effect| matches!(effect, Effect::Blocked { .. })),
            fleet,
            confirmation: confirmation(agents.is_empty(), lacking, reached, fleet),
            agents,
        }
    }

    /// The number of agents that would be sent the content, now or when they come back.
    #[must_use]
    pub fn reached(&self) -> u32 {
        number(self.agents.iter().filter(|agent| agent.effect.reaches()).count())
    }

    /// What agents aren't built with, each with how many of them lack it.
    #[must_use]
    pub fn lacking(&self) -> BTreeMap<&str, u32> {
        let mut lacking = BTreeMap::new();
        for agent in &self.agents {
            if let Effect::Blocked {
                because: Blocker::MissingComponents { components },
            } = &agent.effect
            {
                for component in components {
                    *lacking.entry(component.as_str()).or_default() += 1;
                }
            }
        }
        lacking
    }

    /// The agents for which variables stand for nothing, each with these.
    pub fn unresolved(&self) -> impl Iterator<Item = (&AffectedAgent, &[Variable])> {
        self.agents.iter().filter_map(|agent| match &agent.effect {
            Effect::Blocked {
                because: Blocker::Unresolved { variables },
            } => Some((agent, variables.as_slice())),
            Effect::Blocked { .. } | Effect::Changes | Effect::OwnTarget | Effect::RunsIt => None,
        })
    }

    /// Whether `typed` is enough to go on.
    #[must_use]
    pub fn is_confirmed_by(&self, typed: Option<u32>) -> bool {
        self.confirmation
            .is_none_or(|confirmation| typed == Some(confirmation.count))
    }
}

impl Effect {
    /// Whether the agent would be sent the content, now or when it comes back.
    #[must_use]
    pub fn reaches(&self) -> bool {
        let offline = Self::Blocked {
            because: Blocker::Offline,
        };
        *self == Self::Changes || *self == offline || self.lacks_components()
    }

    fn lacks_components(&self) -> bool {
        matches!(
            self,
            Self::Blocked {
                because: Blocker::MissingComponents { .. }
            }
        )
    }
}

fn confirmation(nobody: bool, lacking: bool, reached: u32, fleet: u32) -> Option<Confirmation> {
    let large =
        reached > MANY_AGENTS && u64::from(reached) * 100 > u64::from(fleet) * u64::from(LARGE_SHARE_PERCENT);
    let because = if nobody {
        ConfirmationReason::ReachesNobody
    } else if lacking {
        ConfirmationReason::LacksComponents
    } else if large {
        ConfirmationReason::LargeShare
    } else {
        return None;
    };
    Some(Confirmation {
        count: reached,
        because,
    })
}

fn effect(proposal: &Proposal<'_>, member: &Member) -> Effect {
    let agent = &member.agent;
    let digest = proposal.renderings.of(agent.id());
    let blocked = |because| Effect::Blocked { because };
    if !agent.registration.is_served() {
        return blocked(Blocker::NotServed);
    }
    if agent.registration.is_detached() {
        return blocked(Blocker::Detached);
    }
    if agent.registration.is_held() {
        return blocked(Blocker::Held {
            hold: HoldReason::Operator,
        });
    }
    if agent.registration.own_target.is_some() {
        return Effect::OwnTarget;
    }
    if proposal.secrets && matches!(agent.registration.because, Because::Fact(_)) {
        return blocked(Blocker::Held {
            hold: HoldReason::OwnWord,
        });
    }
    let digest = match digest {
        Ok(digest) => digest,
        Err(missing) => {
            let variables = missing.to_vec();
            return blocked(Blocker::Unresolved { variables });
        }
    };
    if agent.delivery.runs(digest) {
        return Effect::RunsIt;
    }
    if let Some(failure) = agent.delivery.failure_of(digest) {
        return blocked(Blocker::FailedBefore {
            error: failure.error.clone(),
            at: failure.at,
        });
    }
    if !agent
        .reported
        .capabilities
        .has(Capabilities::ACCEPTS_REMOTE_CONFIG)
    {
        return blocked(Blocker::NotCapable);
    }
    if let Some(hold) = agent.delivery.hold {
        return blocked(Blocker::Held { hold });
    }
    if !member.lacks.is_empty() {
        return blocked(Blocker::MissingComponents {
            components: member.lacks.clone(),
        });
    }
    if !member.online {
        return blocked(Blocker::Offline);
    }
    Effect::Changes
}

/// What needs a look comes first.
fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::Blocked {
            because: Blocker::Offline,
        } => 1,
        Effect::Blocked { .. } => 0,
        Effect::Changes => 2,
        Effect::OwnTarget => 3,
        Effect::RunsIt => 4,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
