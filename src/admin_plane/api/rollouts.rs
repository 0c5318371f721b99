//! Rollouts, and what is done about them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::error::Error;
use crate::app::rollouts::{Decide, RolloutDetail, RolloutSummary, Steer};
use crate::fleet::ids::RolloutId;
use crate::fleet::name::Name;

/// Rollouts.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Rollouts {
    /// Newest first.
    rollouts: Vec<RolloutSummary>,
}

/// Which rollouts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Which {
    /// Only those to this group.
    #[serde(default)]
    group: Option<Name>,
}

pub(in crate::admin_plane) async fn list(call: Call, which: Which, _: Nothing) -> Given<Rollouts> {
    let rollouts = call.app().list_rollouts(&call.actor, which.group.as_ref())?;
    Ok(Answer::ok(Rollouts { rollouts }))
}

pub(in crate::admin_plane) async fn one(call: Call, _: Nothing, _: Nothing) -> Given<RolloutDetail> {
    Ok(Answer::ok(call.app().rollout(&call.actor, named(&call)?)?))
}

pub(in crate::admin_plane) async fn act(call: Call, _: Nothing, steer: Steer) -> Given<RolloutDetail> {
    let id = named(&call)?;
    call.app().steer_rollout(&call.actor, id, &steer).await?;
    Ok(Answer::ok(call.app().rollout(&call.actor, id)?))
}

pub(in crate::admin_plane) async fn decide(call: Call, _: Nothing, wish: Decide) -> Given<RolloutDetail> {
    let id = named(&call)?;
    call.app().decide(&call.actor, id, &wish).await?;
    Ok(Answer::ok(call.app().rollout(&call.actor, id)?))
}

/// The rollout that the address names.
pub(in crate::admin_plane) fn named(call: &Call) -> Result<RolloutId, Error> {
    let number = call.param("id");
    let id = number.parse().map(RolloutId);
    id.map_err(|_| Error::not_found("rollout", &number))
}
