//! Waiting until agents took what was published, or refused it.

use std::time::Duration;

use serde_json::Value;

use super::super::agents::matching;
use super::super::agents::naming::{Named, quoted};
use super::super::columns::text_at;
use super::super::output::note;
use super::super::session::{Session, wrong};
use crate::fleet::hash::Digest;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeout(Duration);

impl std::str::FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration: jiff::SignedDuration = text
            .parse()
            .map_err(|_| "a time is written like 30s, 5m or 1h".to_owned())?;
        Duration::try_from(duration)
            .map(Self)
            .map_err(|_| "a time to wait isn't negative".to_owned())
    }
}

/// Whose answers are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom<'a> {
    /// All agents of a group that are connected.
    Group(&'a str),
    /// This agent.
    Agent(&'a Named),
}

/// How often the server is asked.
const EVERY: Duration = Duration::from_millis(500);

/// Where the agents stand.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    /// Connected agents that didn't say yet.
    waiting: Vec<String>,
    /// Agents that refused it, with their reasons.
    failed: Vec<String>,
    /// Agents that run it, or can't say.
    took: usize,
    /// Agents that can't have it now: not connected, held, or unable.
    left_out: usize,
}

impl Timeout {
    /// Waits, and says how it ended.
    pub(super) async fn wait(
        self,
        session: &mut Session<'_>,
        whom: &Whom<'_>,
        digest: Digest,
    ) -> anyhow::Result<()> {
        let mut last = Standing::default();
        let ended = tokio::time::timeout(self.0, async {
            loop {
                let standing = look(session, whom, digest).await?;
                if standing.waiting.is_empty() {
                    return anyhow::Ok(standing);
                }
                if standing != last {
                    note(&format!(
                        "waiting for {}, {} took it, {} refused it",
                        standing.waiting.len(),
                        standing.took,
                        standing.failed.len()
                    ));
                }
                last = standing;
                tokio::time::sleep(EVERY).await;
            }
        })
        .await;
        let Ok(standing) = ended else {
            let some: Vec<_> = last.waiting.iter().take(10).cloned().collect();
            anyhow::bail!(
                "{} agents didn't say within {}\n{}",
                last.waiting.len(),
                jiff::SignedDuration::try_from(self.0)
                    .map(|time| format!("{time:#}"))
                    .unwrap_or_default(),
                some.join("\n")
            );
        };
        let standing = standing?;
        if !standing.failed.is_empty() {
            anyhow::bail!(
                "{} refused it\n{}",
                standing.failed.len(),
                standing.failed.join("\n")
            );
        }
        let left_out = match standing.left_out {
            0 => String::new(),
            count => format!("; {count} can't have it now"),
        };
        if !session.shape.json {
            session
                .output
                .line(&format!("{} took it{left_out}", standing.took))?;
        }
        Ok(())
    }
}

async fn look(session: &Session<'_>, whom: &Whom<'_>, digest: Digest) -> anyhow::Result<Standing> {
    match whom {
        Whom::Agent(agent) => {
            let found: Value = session.get(&format!("/api/v1/agents/{}", agent.id)).await?;
            Ok(standing(&[found], digest))
        }
        Whom::Group(group) => {
            let group = quoted(group).ok_or_else(|| wrong("that is no name of a group"))?;
            let found = matching(session, &format!("group = {group}"), usize::MAX, &[]).await?;
            Ok(standing(&found.agents, digest))
        }
    }
}

/// Counts those for whom `digest` is wanted: others have a configuration of their own.
fn standing(agents: &[Value], digest: Digest) -> Standing {
    let (digest, mut all) = (digest.to_string(), Standing::default());
    for agent in agents {
        let is_wanted = text_at(agent, "/config/wanted") == digest;
        let may_be_there = matches!(text_at(agent, "/presence/state"), "online" | "awaited");
        match (text_at(agent, "/config/state"), is_wanted, may_be_there) {
            (_, false, _) => {}
            ("failed", ..) => {
                let error = text_at(agent, "/config/error");
                all.failed.push(format!("{}: {error}", text_at(agent, "/name")));
            }
            ("in_sync" | "unverified", ..) => all.took += 1,
            ("pending" | "applying", _, true) => all.waiting.push(text_at(agent, "/name").to_owned()),
            _ => all.left_out += 1,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_connected_agents_that_are_to_have_it_are_waited_for() {
        let wanted = Digest([7; 32]);
        let agent = |state: &str, presence: &str, digest: Digest| {
            json!({
                "name": state,
                "presence": {"state": presence},
                "config": {"state": state, "wanted": digest, "error": "no exporter x"},
            })
        };
        let agents = [
            agent("pending", "online", wanted),
            agent("applying", "online", wanted),
            agent("pending", "awaited", wanted),
            agent("pending", "offline", wanted),
            agent("in_sync", "offline", wanted),
            agent("failed", "online", wanted),
            agent("held", "online", wanted),
            agent("failed", "online", Digest([1; 32])),
            json!({"name": "observed", "presence": {"state": "online"}, "config": {"state": "observe_only"}}),
        ];
        let expected = Standing {
            waiting: vec!["pending".to_owned(), "applying".to_owned(), "pending".to_owned()],
            failed: vec!["failed: no exporter x".to_owned()],
            took: 1,
            left_out: 2,
        };
        assert_eq!(standing(&agents, wanted), expected);
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!("90s".parse(), Ok(Timeout(Duration::from_secs(90))));
        assert!("90".parse::<Timeout>().is_err());
        assert!("-1s".parse::<Timeout>().is_err());
    }
}
