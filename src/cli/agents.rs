//! `muster agents`: looking at agents, and everyday acts on one or many.

use serde::Deserialize;
use serde_json::Value;

use super::client::ClientError;
use super::output::Output;
use super::session::{Reach, Session, with_query, wrong};
use crate::settings::Environment;

mod acts;
mod looks;
pub(super) mod naming;

/// Look at agents, and act on one or many
///
/// An agent is named by its name when that is its alone, by its id, or by the beginning of its id.
#[derive(clap::Args, Debug)]
#[command(after_help = FILTERS)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

const FILTERS: &str = "\
Filters:
  Words are searched for in names; the rest are requirements, as in
    web-3 status = degraded
    group = edge, label.env in (prod, canary), version =~ 0[.]10[.].*
  Keys: status, group, name, version, config, presence, suspended, label.KEY, fact.KEY
  config is one of: failed, self-reverted, drifted, held, \"takes no configuration\", unknown, pending, applying,
  unverified, \"in sync\", \"observe only\"";

#[derive(Debug, clap::Subcommand)]
enum Act {
    List(looks::List),
    Show(looks::Show),
    Timeline(looks::Timeline),
    Config(looks::Config),
    Components(looks::Components),
    Rename(acts::Rename),
    Label(acts::Label),
    Pin(acts::Pin),
    /// Let selectors decide again which group it is in
    Unpin(acts::Selection),
    ConfirmGroup(acts::ConfirmGroup),
    /// Restart it, once
    Restart(acts::Selection),
    Message(acts::Message),
    Messages(looks::Messages),
    /// Offer once more what it refused
    Retry(acts::Selection),
    /// Offer once more what it took, because it runs something else, or what it doesn't answer to
    Reapply(acts::Selection),
    Hold(acts::Hold),
    /// Send to it again
    Release(acts::Selection),
    Detach(acts::Detach),
    /// Give it back to its group
    Attach(acts::Selection),
    /// Give up its own configuration: its group's applies
    Unpublish(acts::Selection),
    /// Serve an agent that waits to be approved, or is in conflict with another, as one of its own
    Approve(acts::Selection),
    Merge(acts::Merge),
    /// Turn an agent away that waits for a decision: its credential is revoked
    Refuse(acts::Selection),
    Waiting(looks::Waiting),
    /// Put it away: kept, hidden, and given nothing
    Archive(acts::Selection),
    /// Bring it back from the archive
    Restore(acts::Selection),
    /// Give it a new credential
    ///
    /// The agent is offered it over its connection and reconnects with it; until then both are accepted. The one before
    /// stays good for coming back, since a Supervisor reads it from its file at every start. See `muster agents
    /// credentials` for where it stands.
    Rotate(acts::Selection),
    Credentials(looks::Credentials),
    /// Revoke its credentials for good: it can't come back without enrolling again
    Revoke(acts::Selection),
    Adopt(acts::Adopt),
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        use crate::app::agents::AgentAct;
        let mut session = self.reach.open(environment, output)?;
        let session = &mut session;
        let (selection, act) = match self.act {
            Act::List(args) => return args.run(session).await,
            Act::Show(args) => return args.run(session).await,
            Act::Timeline(args) => return args.run(session).await,
            Act::Config(args) => return args.run(session).await,
            Act::Components(args) => return args.run(session).await,
            Act::Rename(args) => return args.run(session).await,
            Act::Label(args) => return args.run(session).await,
            Act::Adopt(args) => return args.run(session).await,
            Act::Pin(args) => return args.run(session).await,
            Act::Unpin(selection) => (selection, AgentAct::Unpin),
            Act::ConfirmGroup(args) => return args.run(session).await,
            Act::Restart(selection) => (selection, AgentAct::Restart),
            Act::Message(args) => return args.run(session).await,
            Act::Messages(args) => return args.run(session).await,
            Act::Retry(selection) => (selection, AgentAct::Retry),
            Act::Hold(args) => return args.run(session).await,
            Act::Detach(args) => return args.run(session).await,
            Act::Attach(selection) => (selection, AgentAct::Attach),
            Act::Reapply(selection) => (selection, AgentAct::Reapply),
            Act::Release(selection) => (selection, AgentAct::Release),
            Act::Unpublish(selection) => (selection, AgentAct::Unpublish),
            Act::Approve(selection) => (selection, AgentAct::Approve),
            Act::Merge(args) => return args.run(session).await,
            Act::Refuse(selection) => (selection, AgentAct::Refuse),
            Act::Waiting(args) => return args.run(session).await,
            Act::Archive(selection) => (selection, AgentAct::Archive),
            Act::Restore(selection) => (selection, AgentAct::Restore),
            Act::Credentials(args) => return args.run(session).await,
            Act::Rotate(selection) => (selection, AgentAct::Rotate),
            Act::Revoke(selection) => (selection, AgentAct::Revoke),
        };
        selection.run(session, &act).await
    }
}

/// A page of the list, as far as verbs look into it.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) agents: Vec<Value>,
    pub(super) matching: u64,
    next: Option<String>,
}

/// The most agents of one page.
const PAGE: usize = 1_000;

/// The agents that `filter` takes, at most `most` of them, page after page.
pub(super) async fn matching(
    session: &Session<'_>,
    filter: &str,
    most: usize,
    more: &[(&str, &str)],
) -> anyhow::Result<Page> {
    let mut found = page(session, filter, most.min(PAGE), None, more).await?;
    while found.agents.len() < most
        && let Some(after) = found.next.take()
    {
        let room = most - found.agents.len();
        let next = page(session, filter, room.min(PAGE), Some(&after), more).await?;
        found.agents.extend(next.agents);
        found.next = next.next;
    }
    Ok(found)
}

async fn page(
    session: &Session<'_>,
    filter: &str,
    limit: usize,
    after: Option<&str>,
    more: &[(&str, &str)],
) -> anyhow::Result<Page> {
    let limit = limit.to_string();
    let mut query = vec![("filter", filter), ("limit", &limit)];
    query.extend(after.map(|after| ("after", after)));
    query.extend(more);
    let found = session.get(&with_query("/api/v1/agents", query)).await;
    found.map_err(|error| {
        // What was typed is wrong, as an argument that makes no sense.
        if let ClientError::Refused(refusal) = &error
            && refusal.is_about("filter")
        {
            return wrong(refusal.to_string()).into();
        }
        error.into()
    })
}
