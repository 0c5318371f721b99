//! Secrets: set and deleted, never read.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::secrets::{SecretView, SetSecret};

/// All secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Secrets {
    /// In the order of their names, without their values.
    secrets: Vec<SecretView>,
}

pub(in crate::admin_plane) async fn list(call: Call, _: Nothing, _: Nothing) -> Given<Secrets> {
    Ok(Answer::ok(Secrets {
        secrets: call.app().intentions.secrets(&call.actor)?,
    }))
}

pub(in crate::admin_plane) async fn set(call: Call, _: Nothing, wish: SetSecret) -> Given<SecretView> {
    let view = call
        .app()
        .intentions
        .set_secret(&call.actor, call.param("name"), wish)
        .await?;
    Ok(Answer::ok(view))
}

pub(in crate::admin_plane) async fn delete(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    call.app()
        .intentions
        .delete_secret(&call.actor, call.param("name"))
        .await?;
    Ok(Answer::done())
}
