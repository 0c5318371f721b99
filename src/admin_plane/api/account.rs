//! Accounts: one's own, with its sessions and tokens, and those of others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::accounts::{AccountAct, NewAccount, NewToken};
use crate::app::error::Error;
use crate::auth::account::AccountView;
use crate::auth::password::Password;
use crate::auth::permission::{Permission, Role};
use crate::auth::session::SessionView;
use crate::fleet::ids::SessionId;

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Me {
    /// The name in the audit log.
    name: String,
    /// What may be done: that of a token can be less than its account's.
    role: Role,
    /// In detail.
    permissions: Vec<Permission>,
    /// The account; `None` for the operator of the host.
    account: Option<AccountView>,
}

pub(in crate::admin_plane) async fn me(call: Call, _: Nothing, _: Nothing) -> Given<Me> {
    let role = call.actor.role;
    Ok(Answer::ok(Me {
        name: call.actor.name.clone(),
        role,
        permissions: Permission::ALL
            .into_iter()
            .filter(|permission| role.may(*permission))
            .collect(),
        account: call.app().accounts.own(&call.actor),
    }))
}

/// A change of one's own password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct ChangePassword {
    /// The present one.
    present_password: String,
    /// The one to be.
    new_password: String,
}

pub(in crate::admin_plane) async fn change_password(
    call: Call,
    _: Nothing,
    wish: ChangePassword,
) -> Given<()> {
    let (present, new) = (
        Password::new(wish.present_password),
        Password::new(wish.new_password),
    );
    call.app()
        .accounts
        .change_password(&call.actor, &present, &new)
        .await?;
    Ok(Answer::done())
}

/// Sessions in browsers.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Sessions {
    /// The latest used first.
    sessions: Vec<SessionView>,
}

pub(in crate::admin_plane) async fn sessions(call: Call, _: Nothing, _: Nothing) -> Given<Sessions> {
    Ok(Answer::ok(Sessions {
        sessions: call.app().accounts.sessions(&call.actor),
    }))
}

pub(in crate::admin_plane) async fn end_session(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    let id: SessionId = call.parse("id")?;
    call.app().accounts.end_session(&call.actor, id).await?;
    Ok(Answer::done())
}

/// How many sessions were ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Ended {
    /// All but the one that asked.
    ended: usize,
}

pub(in crate::admin_plane) async fn end_others(call: Call, _: Nothing, _: Nothing) -> Given<Ended> {
    Ok(Answer::ok(Ended {
        ended: call.app().accounts.end_other_sessions(&call.actor).await?,
    }))
}

/// API tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct ApiTokens {
    /// The latest used first.
    tokens: Vec<SessionView>,
}

pub(in crate::admin_plane) async fn tokens(call: Call, _: Nothing, _: Nothing) -> Given<ApiTokens> {
    Ok(Answer::ok(ApiTokens {
        tokens: call.app().accounts.tokens(&call.actor),
    }))
}

pub(in crate::admin_plane) async fn tokens_of(call: Call, _: Nothing, _: Nothing) -> Given<ApiTokens> {
    let tokens = call.app().accounts.tokens_of(&call.actor, call.param("name"))?;
    Ok(Answer::ok(ApiTokens { tokens }))
}

pub(in crate::admin_plane) async fn revoke_token_of(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    let (account, token) = (call.param("name"), call.param("token"));
    call.app()
        .accounts
        .revoke_token_of(&call.actor, account, token)
        .await?;
    Ok(Answer::done())
}

pub(in crate::admin_plane) async fn sessions_of(call: Call, _: Nothing, _: Nothing) -> Given<Sessions> {
    let sessions = call.app().accounts.sessions_of(&call.actor, call.param("name"))?;
    Ok(Answer::ok(Sessions { sessions }))
}

/// An API token that was just made: the only time that its secret is shown.
#[derive(Serialize, JsonSchema)]
pub(in crate::admin_plane) struct MadeToken {
    /// The secret.
    secret: String,
    /// The token.
    token: SessionView,
}

pub(in crate::admin_plane) async fn create_token(call: Call, _: Nothing, new: NewToken) -> Given<MadeToken> {
    let name = new.name.trim().to_owned();
    let (secret, token) = call.app().accounts.create_token(&call.actor, new).await?;
    let made = MadeToken {
        secret: secret.expose().to_owned(),
        token,
    };
    Ok(Answer::created(made, format!("/api/v1/account/tokens/{name}")))
}

pub(in crate::admin_plane) async fn revoke_token(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    call.app()
        .accounts
        .revoke_token(&call.actor, call.param("name"))
        .await?;
    Ok(Answer::done())
}

/// All accounts.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct AllAccounts {
    /// In the order of their names.
    accounts: Vec<AccountView>,
}

pub(in crate::admin_plane) async fn list(call: Call, _: Nothing, _: Nothing) -> Given<AllAccounts> {
    Ok(Answer::ok(AllAccounts {
        accounts: call.app().accounts.list(&call.actor)?,
    }))
}

/// A new password for somebody who can't sign in any more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct ResetPassword {
    /// The one to be.
    new_password: String,
}

pub(in crate::admin_plane) async fn reset_password(call: Call, _: Nothing, wish: ResetPassword) -> Given<()> {
    if wish.new_password.is_empty() {
        return Err(Error::invalid("new_password", "a password is needed").into());
    }
    let new = Password::new(wish.new_password);
    call.app()
        .accounts
        .reset_password(&call.actor, call.param("name"), &new)
        .await?;
    Ok(Answer::done())
}

/// One's own password, once more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Prove {
    /// The present one.
    password: String,
}

pub(in crate::admin_plane) async fn prove(call: Call, _: Nothing, wish: Prove) -> Given<()> {
    let password = Password::new(wish.password);
    call.app().accounts.prove(&call.actor, &password).await?;
    Ok(Answer::done())
}

/// An account that was just made: the only time that its first password is shown.
#[derive(Serialize, JsonSchema)]
pub(in crate::admin_plane) struct MadeAccount {
    /// The password with which its owner signs in first.
    password: String,
    /// The account.
    account: AccountView,
}

pub(in crate::admin_plane) async fn create(call: Call, _: Nothing, new: NewAccount) -> Given<MadeAccount> {
    let (account, password) = call.app().accounts.create(&call.actor, new).await?;
    let path = format!("/api/v1/accounts/{}", account.name);
    Ok(Answer::created(MadeAccount { password, account }, path))
}

pub(in crate::admin_plane) async fn one(call: Call, _: Nothing, _: Nothing) -> Given<AccountView> {
    let account = call.app().accounts.named(&call.actor, call.param("name"))?;
    Ok(Answer::ok(account))
}

pub(in crate::admin_plane) async fn act(call: Call, _: Nothing, act: AccountAct) -> Given<AccountView> {
    let name = call.param("name");
    let account = call.app().accounts.manage(&call.actor, name, act).await?;
    Ok(Answer::ok(account))
}

pub(in crate::admin_plane) async fn delete(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    call.app()
        .accounts
        .delete(&call.actor, call.param("name"))
        .await?;
    Ok(Answer::done())
}
