//! The server itself: how all stands, what it is, and its first setup.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::overview::Overview;
use crate::app::system::{Compacted, ServerState};
use crate::auth::account::Setup;
use crate::fleet::agent::HoldReason;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

pub(in crate::admin_plane) async fn overview(call: Call, _: Nothing, _: Nothing) -> Given<Overview> {
    Ok(Answer::ok(call.app().overview(&call.actor)?))
}

/// What this server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct SystemView {
    /// The name of this installation.
    name: String,
    /// The version that runs.
    version: &'static str,
    /// Since when it runs.
    started_at: Timestamp,
    /// Its time now.
    now: Timestamp,
    /// The names and addresses that it goes by.
    names: Vec<String>,
    /// The port where agents connect.
    agent_port: u16,
    /// The port of this API and the pages.
    admin_port: u16,
    /// The SHA-256 of its authority's certificate, which hosts have to trust.
    ca_fingerprint: Digest,
    /// That certificate, as PEM.
    ca_pem: String,
    /// The largest message that agents may send, in bytes.
    message_limit_bytes: usize,
    /// Why nothing is offered to any agent; `None` while everything is.
    held: Option<HoldReason>,
    /// Why nothing but what is vital is written; `None` while everything is.
    read_only: Option<String>,
}

pub(in crate::admin_plane) async fn system(call: Call, _: Nothing, _: Nothing) -> Given<SystemView> {
    let site = call.plane.site.clone();
    Ok(Answer::ok(SystemView {
        name: site.name,
        version: env!("CARGO_PKG_VERSION"),
        started_at: call.app().started_at(),
        now: call.now(),
        names: site.names,
        agent_port: site.agent_port,
        admin_port: site.admin_port,
        ca_fingerprint: site.ca_fingerprint,
        ca_pem: site.ca_pem,
        message_limit_bytes: site.message_limit_bytes,
        held: call.app().intentions.held(),
        read_only: call.app().read_only().map(|short| short.to_string()),
    }))
}

pub(in crate::admin_plane) async fn store(call: Call, _: Nothing, _: Nothing) -> Given<ServerState> {
    Ok(Answer::ok(call.app().server_state(&call.actor).await?))
}

pub(in crate::admin_plane) async fn compact(call: Call, _: Nothing, _: Nothing) -> Given<Compacted> {
    Ok(Answer::ok(call.app().compact(&call.actor).await?))
}

pub(in crate::admin_plane) async fn release(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    call.app().intentions.release_all(&call.actor).await?;
    Ok(Answer::done())
}

/// A link to the page that makes the first account.
#[derive(Serialize, JsonSchema)]
pub(in crate::admin_plane) struct SetupLink {
    /// The page, with the token.
    url: String,
    /// When the token stops working.
    expires: Timestamp,
}

pub(in crate::admin_plane) async fn setup_token(call: Call, _: Nothing, _: Nothing) -> Given<SetupLink> {
    let now = call.now();
    let token = call.app().accounts.issue_setup_token(&call.actor).await?;
    Ok(Answer::ok(SetupLink {
        url: format!(
            "https://{}/setup?token={}",
            call.plane.authority(),
            token.expose()
        ),
        expires: now.plus(Setup::LIFETIME),
    }))
}
