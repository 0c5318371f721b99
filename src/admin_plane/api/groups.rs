//! Groups, and what is published to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::error::Error;
use crate::app::groups::{GroupEdit, NewGroup};
use crate::app::intentions::{Deleted, GroupDetail, GroupSummary, Preview, PublishResult};
use crate::app::publish::{IfRunning, Publish};
use crate::app::rendered::RenderedView;
use crate::app::rollouts::GroupMoves;
use crate::app::terms::OnTerms;
use crate::fleet::ids::AgentId;
use crate::fleet::rollout::Strategy;
use crate::fleet::target::{LayerRef, Target};

/// All groups.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Groups {
    /// In the order of their names.
    groups: Vec<GroupSummary>,
}

pub(in crate::admin_plane) async fn list(call: Call, _: Nothing, _: Nothing) -> Given<Groups> {
    let app = call.app();
    Ok(Answer::ok(Groups {
        groups: app.intentions.groups(&call.actor, &app.fleet())?,
    }))
}

pub(in crate::admin_plane) async fn one(call: Call, _: Nothing, _: Nothing) -> Given<GroupDetail> {
    detail(&call, call.param("name"))
}

pub(in crate::admin_plane) async fn moves(call: Call, _: Nothing, _: Nothing) -> Given<GroupMoves> {
    Ok(Answer::ok(
        call.app().group_moves(&call.actor, call.param("name"))?,
    ))
}

fn detail(call: &Call, name: &str) -> Given<GroupDetail> {
    let app = call.app();
    let group = app.intentions.group(&call.actor, name, &app.fleet())?;
    let revision = group.summary.revision;
    Ok(Answer::ok(group).at_revision(revision))
}

pub(in crate::admin_plane) async fn create(call: Call, _: Nothing, new: NewGroup) -> Given<GroupDetail> {
    let (app, name) = (call.app(), new.name.clone());
    let revision = app
        .intentions
        .create_group(&call.actor, new, app.known_keys())
        .await?;
    let group = app.intentions.group(&call.actor, &name, &app.fleet())?;
    Ok(Answer::created(group, format!("/api/v1/groups/{name}")).at_revision(revision))
}

pub(in crate::admin_plane) async fn edit(call: Call, _: Nothing, edit: GroupEdit) -> Given<GroupDetail> {
    let (app, name) = (call.app(), call.param("name"));
    app.intentions
        .edit_group(&call.actor, name, edit, call.if_match()?, app.known_keys())
        .await?;
    detail(&call, name)
}

/// What becomes of a group's agents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct WithMembers {
    /// Says that its agents shall fall to another group or to none.
    #[serde(default)]
    with_members: bool,
}

pub(in crate::admin_plane) async fn delete(call: Call, query: WithMembers, _: Nothing) -> Given<Deleted> {
    let (app, name, expected) = (call.app(), call.param("name"), call.if_match()?);
    let fleet = app.fleet();
    let deleted = app
        .intentions
        .delete_group(&call.actor, name, expected, query.with_members, &fleet)
        .await?;
    Ok(Answer::ok(deleted))
}

/// What is asked about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Which {
    /// The layers from base to most specific, as in `base@3,edge@7`; the newest revisions of the group's layers when it
    /// is left out.
    #[serde(default)]
    layers: String,
}

pub(in crate::admin_plane) async fn impact(call: Call, query: Which, _: Nothing) -> Given<Preview> {
    let (app, group) = (call.app(), call.param("name"));
    let layers = layers(&call, group, &query.layers)?;
    let preview = app.impact(&call.actor, group, &layers)?;
    let revision = preview.group_revision;
    Ok(Answer::ok(preview).at_revision(revision))
}

/// What is looked at, and for which agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Looked {
    /// The layers from base to most specific, as in `base@3,edge@7`; the newest revisions of the group's layers when it
    /// is left out.
    #[serde(default)]
    layers: String,
    /// The agent; the first of the group when it is left out.
    #[serde(default)]
    agent: Option<AgentId>,
}

pub(in crate::admin_plane) async fn rendered(call: Call, query: Looked, _: Nothing) -> Given<RenderedView> {
    let group = call.param("name");
    let layers = layers(&call, group, &query.layers)?;
    let view = call.app().rendered(&call.actor, group, &layers, query.agent)?;
    Ok(Answer::ok(view))
}

/// The layers that a query names, or the newest of the group's.
fn layers(call: &Call, group: &str, named: &str) -> Result<Vec<LayerRef>, Error> {
    let layers = LayerRef::list(named).map_err(|error| Error::invalid("layers", error.to_string()))?;
    if layers.is_empty() {
        return call.app().intentions.newest_layers(&call.actor, group);
    }
    Ok(layers)
}

/// What is published to a group. `If-Match` states the revision of the group that was looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct ToPublish {
    /// The group's layers from now on, from base to most specific; older revisions roll back.
    layers: Vec<LayerRef>,
    /// Why; may be empty.
    #[serde(default)]
    message: String,
    /// The number of agents that it reaches, where the impact asks for it.
    #[serde(default)]
    confirm: Option<u32>,
    /// Says that a content which tells agents to run nothing is meant.
    #[serde(default)]
    allow_blank: bool,
    /// How it reaches the agents: `all at once`, stages such as `1 for 3m; 10% for 1m; all`, or an object; left out, as the
    /// group says, else by the default for a group of its size.
    #[serde(default)]
    strategy: Option<Strategy>,
    /// What to do when a rollout to the group isn't over.
    #[serde(default)]
    if_running: IfRunning,
}

pub(in crate::admin_plane) async fn publish(call: Call, _: Nothing, wish: ToPublish) -> Given<PublishResult> {
    let ToPublish {
        layers,
        message,
        confirm,
        allow_blank,
        strategy,
        if_running,
    } = wish;
    let group = call.param("name").to_owned();
    let expected_revision = call.if_match()?;
    let publish = Publish {
        group,
        layers,
        message,
        expected_revision,
        confirm,
        allow_blank,
        strategy,
        if_running,
    };
    let result = call.app().publish(&call.actor, publish).await?;
    let revision = result.group_revision;
    Ok(Answer::ok(result).at_revision(revision))
}

pub(in crate::admin_plane) async fn hold(call: Call, _: Nothing, terms: OnTerms) -> Given<GroupDetail> {
    let (name, expected) = (call.param("name"), call.if_match()?);
    call.app()
        .intentions
        .hold_group(&call.actor, name, terms, expected)
        .await?;
    detail(&call, name)
}

pub(in crate::admin_plane) async fn release(call: Call, _: Nothing, _: Nothing) -> Given<GroupDetail> {
    let (name, expected) = (call.param("name"), call.if_match()?);
    call.app()
        .intentions
        .release_group(&call.actor, name, expected)
        .await?;
    detail(&call, name)
}

/// Why something is done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Why {
    /// In a sentence; may be empty.
    #[serde(default)]
    message: String,
}

pub(in crate::admin_plane) async fn withdraw(call: Call, _: Nothing, why: Why) -> Given<Target> {
    let (name, expected) = (call.param("name"), call.if_match()?);
    let target = call
        .app()
        .intentions
        .withdraw(&call.actor, name, &why.message, expected)
        .await?;
    Ok(Answer::ok(target))
}
