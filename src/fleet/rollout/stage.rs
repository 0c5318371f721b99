//! Which stage an agent is in: decided once, when the rollout starts, and kept.

use std::collections::BTreeMap;

use super::strategy::{Size, Stage};
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::selector::Selector;

/// An agent that will be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The agent.
    pub agent: AgentId,
    /// Whether it could take the new content now. Those go first, so that a canary is not one that can't.
    pub able: bool,
}

/// The stage of every candidate. The order within is decided by a hash of agent and rollout: stable, and another one for
/// the next rollout, so that not always the same agents go first. Each stage only widens the one before. `takes` tells
/// whether a selector takes an agent.
#[must_use]
pub fn assign(
    rollout: RolloutId,
    stages: &[Stage],
    candidates: &[Candidate],
    takes: impl Fn(&Selector, AgentId) -> bool,
) -> BTreeMap<AgentId, usize> {
    let mut waiting: Vec<_> = candidates
        .iter()
        .map(|candidate| (!candidate.able, lot(rollout, candidate.agent), candidate.agent))
        .collect();
    waiting.sort_unstable();
    let mut waiting: Vec<AgentId> = waiting.into_iter().map(|(_, _, agent)| agent).collect();
    let all = waiting.len();
    let last = stages.len().saturating_sub(1);
    let mut assigned = BTreeMap::new();
    for (number, stage) in stages.iter().enumerate() {
        let until = match &stage.size {
            Size::Selector(selector) => {
                waiting.retain(|agent| {
                    let is_of_it = takes(selector, *agent);
                    if is_of_it {
                        assigned.insert(*agent, number);
                    }
                    !is_of_it
                });
                assigned.len()
            }
            Size::Count(agents) => usize::try_from(*agents).unwrap_or(usize::MAX),
            Size::Percent(share) => (all * usize::from(*share)).div_ceil(100),
            Size::All => all,
        };
        let until = if number == last { all } else { until };
        let more = until.saturating_sub(assigned.len()).min(waiting.len());
        assigned.extend(waiting.drain(..more).map(|agent| (agent, number)));
    }
    assigned
}

/// The agent's place in the rollout's order.
fn lot(rollout: RolloutId, agent: AgentId) -> Digest {
    let mut bytes = [0; 24];
    let (number, id) = bytes.split_at_mut(8);
    number.copy_from_slice(&rollout.0.to_be_bytes());
    id.copy_from_slice(&agent.0);
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::rollout::Strategy;

    fn candidates(count: u8) -> Vec<Candidate> {
        (0..count)
            .map(|number| Candidate {
                agent: AgentId([number; 16]),
                able: number % 5 != 0,
            })
            .collect()
    }

    fn stages(text: &str) -> Vec<Stage> {
        text.parse::<Strategy>().unwrap().stages
    }

    fn sizes(stages: &[Stage], candidates: &[Candidate]) -> Vec<usize> {
        let assigned = assign(RolloutId(1), stages, candidates, |_, agent| agent.0[0] == 7);
        assert_eq!(assigned.len(), candidates.len(), "nobody is left out");
        (0..stages.len())
            .map(|stage| assigned.values().filter(|found| **found == stage).count())
            .collect()
    }

    #[test]
    fn stages_widen_what_was_before() {
        let hundred = candidates(100);
        assert_eq!(sizes(&stages("1; 10%; 50%; all"), &hundred), [1, 9, 40, 50]);
        assert_eq!(sizes(&stages("label.a = b; 1; 3%; all"), &hundred), [1, 0, 2, 97]);
        assert_eq!(sizes(&stages("1; 10%; 50%; all"), &candidates(2)), [1, 0, 0, 1]);
        assert_eq!(sizes(&stages("1; all"), &[]), [0, 0]);
    }

    #[test]
    fn the_canary_is_one_that_can_take_it_and_not_always_the_same() {
        let (stages, fifty) = (stages("1; all"), candidates(50));
        let canary = |rollout| {
            let assigned = assign(RolloutId(rollout), &stages, &fifty, |_, _| false);
            assigned.into_iter().find(|(_, stage)| *stage == 0).unwrap().0
        };
        let canaries: std::collections::BTreeSet<_> = (0..20).map(canary).collect();
        assert!(canaries.len() > 5 && canaries.iter().all(|agent| agent.0[0] % 5 != 0));
        assert_eq!(canary(3), canary(3));
    }
}
