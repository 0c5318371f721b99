//! Enrolment tokens, and the credentials that agents got for them.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::enrolment::{MadeEnrolmentToken, NewEnrolmentToken, Waiting};
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::identity::Credential;
use crate::fleet::ids::{CredentialId, EnrolmentTokenId};

/// All enrolment tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Tokens {
    /// The newest first.
    tokens: Vec<EnrolmentToken>,
}

pub(in crate::admin_plane) async fn tokens(call: Call, _: Nothing, _: Nothing) -> Given<Tokens> {
    Ok(Answer::ok(Tokens {
        tokens: call.app().enrolment_tokens(&call.actor)?,
    }))
}

pub(in crate::admin_plane) async fn create(
    call: Call,
    _: Nothing,
    new: NewEnrolmentToken,
) -> Given<MadeEnrolmentToken> {
    let made = call.app().create_enrolment_token(&call.actor, new).await?;
    let location = format!("/api/v1/enrolment-tokens/{}", made.token.id);
    Ok(Answer::created(made, location))
}

pub(in crate::admin_plane) async fn withdraw(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    let id: EnrolmentTokenId = call.parse("id")?;
    call.app().withdraw_enrolment_token(&call.actor, id).await?;
    Ok(Answer::done())
}

/// Agents that wait for a decision.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct AllWaiting {
    /// The latest first.
    agents: Vec<Waiting>,
}

pub(in crate::admin_plane) async fn waiting(call: Call, _: Nothing, _: Nothing) -> Given<AllWaiting> {
    Ok(Answer::ok(AllWaiting {
        agents: call.app().waiting(&call.actor)?,
    }))
}

/// All credentials.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Credentials {
    /// The newest first.
    credentials: Vec<Credential>,
}

pub(in crate::admin_plane) async fn credentials(call: Call, _: Nothing, _: Nothing) -> Given<Credentials> {
    Ok(Answer::ok(Credentials {
        credentials: call.app().credentials(&call.actor)?,
    }))
}

pub(in crate::admin_plane) async fn revoke(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    let id: CredentialId = call.parse("id")?;
    call.app().revoke_credential(&call.actor, id).await?;
    Ok(Answer::done())
}

pub(in crate::admin_plane) async fn release(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    let id: CredentialId = call.parse("id")?;
    call.app().release_credential(&call.actor, id).await?;
    Ok(Answer::done())
}
