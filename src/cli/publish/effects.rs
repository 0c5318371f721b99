//! What a publication would do to single agents, in words.

use crate::fleet::agent::HoldReason;
use crate::fleet::target::{AffectedAgent, Blocker, Effect};
use crate::observability::plain::plain;

/// How many agents are named.
const NAMED: usize = 20;

/// A line for each agent that can't have it now.
pub(super) fn blocked(agents: &[AffectedAgent]) -> Vec<String> {
    let blocked: Vec<_> = agents
        .iter()
        .filter_map(|agent| match &agent.effect {
            Effect::Blocked { because } => Some((agent, because)),
            Effect::Changes | Effect::OwnTarget | Effect::RunsIt => None,
        })
        .collect();
    let mut lines: Vec<_> = blocked
        .iter()
        .take(NAMED)
        .map(|(agent, because)| format!("  {}: {}", plain(&agent.title), plain(&words(because))))
        .collect();
    if blocked.len() > NAMED {
        lines.push(format!("  and {} more", blocked.len() - NAMED));
    }
    lines
}

fn words(because: &Blocker) -> String {
    match because {
        Blocker::Offline => "not connected; gets it when it comes back".to_owned(),
        Blocker::NotCapable => "takes no remote configuration".to_owned(),
        Blocker::NotServed => "archived, revoked or in conflict".to_owned(),
        Blocker::FailedBefore { error, .. } => {
            format!("refused this content before ({error}); `muster agents retry` offers it again")
        }
        Blocker::MissingComponents { components } => {
            format!("isn't built with {}: it will refuse it", components.join(", "))
        }
        Blocker::Detached => "detached from its group; `muster agents attach` gives it back".to_owned(),
        Blocker::Unresolved { variables } => {
            let variables: Vec<_> = variables.iter().map(ToString::to_string).collect();
            format!(
                "has no {}: nothing can be published until it has",
                variables.join(", ")
            )
        }
        Blocker::Held {
            hold: HoldReason::OwnWord,
        } => "in the group by its own word, which brings no secrets; `muster agents pin` puts it there"
            .to_owned(),
        Blocker::Held { .. } => "held; `muster agents release` sends again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ids::AgentId;

    #[test]
    fn only_those_that_need_a_look_are_named_and_not_all_of_them() {
        let agent = |number: u8, effect| AffectedAgent {
            id: AgentId([number; 16]),
            title: format!("web-{number}"),
            effect,
        };
        let offline = || Effect::Blocked {
            because: Blocker::Offline,
        };
        let mut agents = vec![agent(0, Effect::Changes), agent(1, offline())];
        assert_eq!(
            blocked(&agents),
            ["  web-1: not connected; gets it when it comes back"]
        );
        agents.extend((2..30).map(|number| agent(number, offline())));
        let lines = blocked(&agents);
        assert_eq!(lines.len(), NAMED + 1);
        assert_eq!(lines.last().unwrap(), "  and 9 more");
    }
}
