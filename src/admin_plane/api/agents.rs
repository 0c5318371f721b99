//! Agents: lists, single ones, and what is done to them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::adopt::{AdoptResult, Adoption};
use crate::app::agents::{
    AgentAct, AgentConfiguration, AgentDetail, AgentIdentity, AgentPage, AgentQuery, BulkResult,
    ComponentsView, EffectiveView, TimelineView,
};
use crate::app::error::Error;
use crate::app::messages::AgentMessages;
use crate::fleet::ids::AgentId;
use crate::fleet::target::LayerRef;
use crate::fleet::time::Timestamp;

/// The most agents that one request acts on.
const MOST: usize = 20_000;

pub(in crate::admin_plane) async fn list(call: Call, query: AgentQuery, _: Nothing) -> Given<AgentPage> {
    Ok(Answer::ok(call.app().agents(&call.actor, &query)?))
}

pub(in crate::admin_plane) async fn one(call: Call, _: Nothing, _: Nothing) -> Given<AgentDetail> {
    let id: AgentId = call.parse("id")?;
    Ok(Answer::ok(call.app().agent(&call.actor, id)?))
}

/// How much of a timeline is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Newest {
    /// The most entries, at most 1,000.
    #[serde(default = "hundred")]
    limit: usize,
}

fn hundred() -> usize {
    100
}

pub(in crate::admin_plane) async fn timeline(call: Call, query: Newest, _: Nothing) -> Given<TimelineView> {
    let id: AgentId = call.parse("id")?;
    let limit = query.limit.clamp(1, 1_000);
    Ok(Answer::ok(call.app().timeline(&call.actor, id, limit)?))
}

pub(in crate::admin_plane) async fn configuration(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Given<AgentConfiguration> {
    let id: AgentId = call.parse("id")?;
    Ok(Answer::ok(call.app().agent_configuration(&call.actor, id)?))
}

pub(in crate::admin_plane) async fn messages(call: Call, _: Nothing, _: Nothing) -> Given<AgentMessages> {
    let id: AgentId = call.parse("id")?;
    Ok(Answer::ok(call.app().agent_messages(&call.actor, id)?))
}

pub(in crate::admin_plane) async fn identity(call: Call, _: Nothing, _: Nothing) -> Given<AgentIdentity> {
    let id: AgentId = call.parse("id")?;
    Ok(Answer::ok(call.app().agent_identity(&call.actor, id)?))
}

pub(in crate::admin_plane) async fn effective(call: Call, _: Nothing, _: Nothing) -> Given<EffectiveView> {
    let id: AgentId = call.parse("id")?;
    let found = call.app().effective_config(&call.actor, id)?;
    Ok(Answer::ok(found.ok_or_else(|| {
        Error::not_found("reported configuration of agent", &id)
    })?))
}

pub(in crate::admin_plane) async fn components(call: Call, _: Nothing, _: Nothing) -> Given<ComponentsView> {
    let id: AgentId = call.parse("id")?;
    let found = call.app().components(&call.actor, id)?;
    Ok(Answer::ok(found.ok_or_else(|| {
        Error::not_found("reported components of agent", &id)
    })?))
}

pub(in crate::admin_plane) async fn act(call: Call, _: Nothing, act: AgentAct) -> Given<AgentDetail> {
    let id: AgentId = call.parse("id")?;
    call.app().act(&call.actor, id, &act).await?;
    Ok(Answer::ok(call.app().agent(&call.actor, id)?))
}

/// An act on many agents: those that are named, or those that a filter takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct ActOnMany {
    /// What to do.
    act: AgentAct,
    /// The agents; or else a filter.
    #[serde(default)]
    ids: Vec<AgentId>,
    /// A filter, as in the list of agents.
    #[serde(default)]
    filter: Option<String>,
    /// How many agents the filter took when it was looked at; nothing is done when it takes another number now.
    #[serde(default)]
    count: Option<usize>,
    /// Only tells whom it would reach: nothing is done.
    #[serde(default)]
    preview: bool,
}

pub(in crate::admin_plane) async fn act_on_many(
    call: Call,
    _: Nothing,
    wish: ActOnMany,
) -> Given<BulkResult> {
    let ids = match (&wish.filter, wish.ids.is_empty()) {
        (None, false) => wish.ids,
        (Some(filter), true) => {
            let ids = call.app().matching_agents(&call.actor, filter)?;
            if wish.count != Some(ids.len()) {
                let why = format!(
                    "the filter takes {} agents now; state that number as `count`",
                    ids.len()
                );
                return Err(Error::Conflict(why).into());
            }
            ids
        }
        (None, true) | (Some(_), false) => {
            return Err(
                Error::invalid("ids", "name the agents by `ids`, or all that a `filter` takes").into(),
            );
        }
    };
    if ids.len() > MOST {
        return Err(Error::invalid("ids", format!("one request acts on at most {MOST} agents")).into());
    }
    if wish.preview {
        return Ok(Answer::ok(call.app().reach(&call.actor, &ids, &wish.act)?));
    }
    Ok(Answer::ok(
        call.app().act_on_many(&call.actor, &ids, &wish.act).await?,
    ))
}

/// A revision that one agent gets as its own, before its group's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct OwnConfig {
    /// What it gets.
    #[serde(flatten)]
    layer: LayerRef,
    /// Why; may be empty.
    #[serde(default)]
    message: String,
    /// Says that a content which tells the agent to run nothing is meant.
    #[serde(default)]
    allow_blank: bool,
    /// When it ends by itself: the agent's group applies again. Left out: never.
    #[serde(default)]
    until: Option<Timestamp>,
}

pub(in crate::admin_plane) async fn publish(call: Call, _: Nothing, wish: OwnConfig) -> Given<AgentDetail> {
    let id: AgentId = call.parse("id")?;
    let what = (&wish.layer, wish.message.as_str());
    call.app()
        .publish_to_agent(&call.actor, id, what, wish.allow_blank, wish.until)
        .await?;
    Ok(Answer::ok(call.app().agent(&call.actor, id)?))
}

pub(in crate::admin_plane) async fn adopt(call: Call, _: Nothing, wish: Adoption) -> Given<AdoptResult> {
    let id: AgentId = call.parse("id")?;
    let kept = call.app().adopt(&call.actor, id, wish).await?;
    let location = format!("/api/v1/configs/{}", kept.saved.revision.config);
    Ok(Answer::created(kept, location))
}
