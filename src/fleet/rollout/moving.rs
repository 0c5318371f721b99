//! Agents that come into a group and have something of ours already: they keep it until a rollout of the group releases
//! them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::agent::{Agent, Delivery};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::hash::Digest;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// How long nobody else must have come, before those that came move together.
const QUIET: Duration = Duration::from_secs(2);
/// How long the first of them waits for others at most.
const LONGEST: Duration = Duration::from_secs(30);

/// An agent that came into a group and has yet to be given what the group has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingMove {
    /// The group that it came into.
    pub group: Name,
    /// The group that it came from.
    pub from: Name,
    /// The content that goes on being wanted of it; `None`: nothing is wanted of it meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Digest>,
    /// Since when.
    pub since: Timestamp,
}

impl PendingMove {
    /// The move of an agent, which is still in the group that it comes from, into another `group`. `wanted` is the content
    /// that was wanted of it there, and `known` a move of it that was not made yet. `None` for an agent that has nothing
    /// which it could keep, or that takes no configurations.
    #[must_use]
    pub fn of(
        agent: &Agent,
        wanted: Option<Digest>,
        known: Option<&Self>,
        group: &Name,
        now: Timestamp,
    ) -> Option<Self> {
        let capabilities = agent.reported.capabilities;
        let takes_none = capabilities.0 != 0 && !capabilities.has(Capabilities::ACCEPTS_REMOTE_CONFIG);
        let has = has(&agent.delivery);
        if takes_none || known.is_none() && wanted.is_none() && has.is_none() {
            return None;
        }
        Some(Self {
            group: group.clone(),
            from: agent.registration.group.clone(),
            // Nothing new is sent for a move: not even what was wanted before and hadn't reached it.
            keeps: known.map_or_else(|| wanted.and(has), |known| known.keeps),
            since: now,
        })
    }
}

/// What an agent has of ours, as far as is known: what it was last offered, or else what it last applied.
#[must_use]
pub fn has(delivery: &Delivery) -> Option<Digest> {
    let mut told = [delivery.offered, delivery.applied].into_iter().flatten();
    let found = told.find(|told| delivery.failure_of(told.digest).is_none());
    found.map(|told| told.digest)
}

/// Whether agents that came one after the other are all there: an operator's one change moves many. One that came long
/// ago, and still waits for something else, hurries nobody.
#[must_use]
pub fn are_together<'a>(moves: impl IntoIterator<Item = &'a PendingMove>, now: Timestamp) -> bool {
    let mut since: Vec<Timestamp> = moves.into_iter().map(|pending| pending.since).collect();
    since.sort_unstable_by(|a, b| b.cmp(a));
    let mut since = since.into_iter();
    let Some(last) = since.next() else {
        return false;
    };
    if now.since(last) >= QUIET {
        return true;
    }
    let mut first = last;
    for at in since {
        if first.since(at) >= QUIET {
            break;
        }
        first = at;
    }
    now.since(first) >= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::agent::{Failure, Offered, Origin, Registration};
    use crate::fleet::ids::{AgentId, CredentialId};

    const OLD: Digest = Digest([1; 32]);
    const NEW: Digest = Digest([2; 32]);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn offered(digest: Digest) -> Offered {
        Offered { digest, at: at(1) }
    }

    fn agent() -> Agent {
        let mut registration = Registration::new(AgentId([1; 16]), CredentialId([1; 16]), Origin::default());
        registration.group = Name::slug("core");
        Agent::new(registration)
    }

    fn moves(agent: &Agent, wanted: Option<Digest>) -> Option<PendingMove> {
        PendingMove::of(agent, wanted, None, &Name::slug("edge"), at(5))
    }

    #[test]
    fn an_agent_that_has_nothing_is_no_mover() {
        assert_eq!(moves(&agent(), None), None);
    }

    #[test]
    fn an_agent_that_takes_no_configurations_is_no_mover() {
        let mut agent = agent();
        agent.reported.capabilities = Capabilities::REPORTS_STATUS;
        assert_eq!(moves(&agent, Some(OLD)), None);
    }

    #[test]
    fn a_mover_keeps_what_it_was_told_and_not_what_was_only_wanted() {
        let mut agent = agent();
        assert_eq!(
            moves(&agent, Some(NEW)).unwrap().keeps,
            None,
            "nothing reached it"
        );
        agent.delivery.applied = Some(offered(OLD));
        agent.delivery.offered = Some(offered(OLD));
        assert_eq!(moves(&agent, Some(NEW)).unwrap().keeps, Some(OLD));
        agent.delivery.offered = Some(offered(NEW));
        assert_eq!(moves(&agent, Some(NEW)).unwrap().keeps, Some(NEW));
        agent.delivery.remember_failure(Failure {
            digest: NEW,
            error: String::new(),
            at: at(2),
        });
        assert_eq!(
            moves(&agent, Some(NEW)).unwrap().keeps,
            Some(OLD),
            "it refused that"
        );
        let moved = moves(&agent, None).unwrap();
        assert_eq!(moved.keeps, None, "nothing was wanted of it, so nothing is now");
        assert_eq!((moved.from.as_str(), moved.group.as_str()), ("core", "edge"));
    }

    #[test]
    fn a_mover_that_moves_on_keeps_what_it_kept() {
        let mut agent = agent();
        agent.delivery.offered = Some(offered(OLD));
        let first = moves(&agent, Some(OLD)).unwrap();
        agent.delivery.offered = Some(offered(NEW));
        let second = PendingMove::of(&agent, None, Some(&first), &Name::slug("lab"), at(6));
        assert_eq!(second.unwrap().keeps, Some(OLD));
    }

    #[test]
    fn movers_go_together_once_nobody_came_for_a_moment() {
        let mut agent = agent();
        agent.delivery.offered = Some(offered(OLD));
        let came = |seconds| PendingMove {
            since: at(seconds),
            ..moves(&agent, Some(OLD)).unwrap()
        };
        let both = [came(10), came(11)];
        assert!(!are_together(&both, at(12)));
        assert!(are_together(&both, at(13)));
        let stream: Vec<_> = (10..41).map(came).collect();
        assert!(!are_together(&stream[..30], at(39)));
        assert!(are_together(&stream, at(40)), "the first waited long enough");
        let late = [came(10), came(40)];
        assert!(!are_together(&late, at(41)), "one of long ago hurries nobody");
        assert!(are_together(&late, at(42)), "and goes with the others");
        assert!(!are_together(&[], at(99)));
    }
}
