//! Waiting until agents took what was published, or refused it.

use std::time::Duration;

use serde_json::Value;

use super::super::agents::naming::Named;
use super::super::columns::{list_at, text_at};
use super::super::output::note;
use super::super::session::Session;
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
    /// All agents of a rollout that can take it.
    Rollout(u64),
    /// This agent, with the content that it is to have, where that is known.
    Agent(&'a Named, Option<Digest>),
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
    /// Whether there is nothing more to wait for.
    over: bool,
    /// How the rollout stopped short, in a sentence.
    stopped: Option<String>,
}

impl Timeout {
    /// Waits, and says how it ended.
    pub(super) async fn wait(self, session: &mut Session<'_>, whom: &Whom<'_>) -> anyhow::Result<()> {
        let mut last = Standing::default();
        let ended = tokio::time::timeout(self.0, async {
            loop {
                let standing = look(session, whom).await?;
                if standing.over {
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
        if let Some(stopped) = standing.stopped {
            let failed: Vec<_> = standing.failed.iter().map(|agent| format!("\n{agent}")).collect();
            anyhow::bail!("{stopped}{}", failed.concat());
        }
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

async fn look(session: &Session<'_>, whom: &Whom<'_>) -> anyhow::Result<Standing> {
    match whom {
        Whom::Agent(agent, digest) => {
            let found: Value = session.get(&format!("/api/v1/agents/{}", agent.id)).await?;
            Ok(standing(&[found], *digest))
        }
        Whom::Rollout(number) => {
            let found: Value = session.get(&format!("/api/v1/rollouts/{number}")).await?;
            Ok(of_rollout(&found))
        }
    }
}

/// Where the agents of a rollout stand.
fn of_rollout(rollout: &Value) -> Standing {
    let mut all = Standing::default();
    for agent in list_at(rollout, "/agents") {
        let name = || text_at(agent, "/title").to_owned();
        match text_at(agent, "/verdict") {
            "failed" | "dark" => {
                let reason = text_at(agent, "/reason");
                all.failed.push(format!("{}: {reason}", name()));
            }
            "ok" => all.took += 1,
            "proving" | "waiting" | "rolling_back" => all.waiting.push(name()),
            _ => all.left_out += 1,
        }
    }
    let state = text_at(rollout, "/state");
    let succeeded = state == "ended" && text_at(rollout, "/how") == "succeeded";
    // Who can't take it now isn't waited for where nobody else is.
    let at_once = text_at(rollout, "/plan") == "all at once" && all.waiting.is_empty();
    all.over = state == "ended" || state == "paused" || at_once;
    if !succeeded && all.over && !at_once {
        all.stopped = Some(text_at(rollout, "/waits").to_owned());
    }
    all
}

/// Counts those for whom `digest` is wanted: others have a configuration of their own. Without one, where each agent gets
/// something else, all for whom anything is wanted.
fn standing(agents: &[Value], digest: Option<Digest>) -> Standing {
    let (digest, mut all) = (digest.map(|digest| digest.to_string()), Standing::default());
    for agent in agents {
        let wanted = text_at(agent, "/config/wanted");
        let is_wanted = digest
            .as_deref()
            .map_or(!wanted.is_empty(), |digest| wanted == digest);
        let may_be_there = matches!(text_at(agent, "/presence/state"), "online" | "awaited");
        match (text_at(agent, "/config/state"), is_wanted, may_be_there) {
            (_, false, _) => {}
            ("failed" | "self_reverted", ..) => {
                let error = text_at(agent, "/config/error");
                all.failed.push(format!("{}: {error}", text_at(agent, "/name")));
            }
            // What it runs beside that is another matter.
            ("in_sync" | "unverified" | "drifted", ..) => all.took += 1,
            ("pending" | "applying" | "unknown", _, true) => {
                all.waiting.push(text_at(agent, "/name").to_owned());
            }
            _ => all.left_out += 1,
        }
    }
    all.over = all.waiting.is_empty();
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
            ..Standing::default()
        };
        assert_eq!(standing(&agents, Some(wanted)), expected);
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!("90s".parse(), Ok(Timeout(Duration::from_secs(90))));
        assert!("90".parse::<Timeout>().is_err());
        assert!("-1s".parse::<Timeout>().is_err());
    }
}
