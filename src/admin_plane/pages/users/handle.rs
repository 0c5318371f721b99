//! What the pages of users do.

use http::StatusCode;
use serde::Deserialize;

use super::{Asked, NewUserForm, UserPage, ask, href, made, new, user, users};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::Markup;
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::Row;
use crate::app::accounts::{AccountAct, NewAccount, made_password};
use crate::app::error::Error;
use crate::auth::password::Password;
use crate::auth::permission::{Permission, Role};
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let manage = Permission::ManageAccounts;
    vec![
        Row::page("/users", manage, list),
        Row::page("/users/-/new", manage, show_new),
        Row::form("/users/-/new", manage, make),
        Row::page("/users/{name}", manage, show),
        Row::form("/users/{name}/role", manage, set_role),
        Row::form("/users/{name}/unlock", manage, unlock),
        Row::form("/users/{name}/enable", manage, enable),
        Row::form("/users/{name}/end-sessions", manage, end_sessions),
        Row::form("/users/{name}/revoke-token", manage, revoke_token),
        Row::page("/users/{name}/password", manage, ask_password),
        Row::form("/users/{name}/password", manage, set_password),
        Row::page("/users/{name}/disable", manage, ask_disable),
        Row::form("/users/{name}/disable", manage, disable),
        Row::page("/users/{name}/delete", manage, ask_delete),
        Row::form("/users/{name}/delete", manage, delete),
    ]
}

fn page(call: &Call, status: StatusCode, title: &str, body: Markup) -> Response {
    let crumbs: &[(&str, &str)] = if title == "Users" {
        &[]
    } else {
        &[("Users", "/users")]
    };
    call.page(
        status,
        View {
            title,
            active: Some(Nav::Users),
            crumbs,
            body,
            ..View::default()
        },
    )
}

async fn list(call: Call) -> Outcome {
    let all = call.app().accounts.list(&call.actor)?;
    let body = users(&all, &Stage::of(&call).scene());
    Ok(page(&call, StatusCode::OK, "Users", body))
}

async fn show_new(call: Call) -> Outcome {
    Ok(render_new(&call, &NewUserForm::default(), &Errors::default()))
}

fn render_new(call: &Call, form: &NewUserForm, errors: &Errors) -> Response {
    let body = new(form, errors, &Stage::of(call).scene());
    page(call, errors.status(), "New account", body)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    name: String,
    role: String,
    token: String,
    confirm: String,
}

/// The role that was chosen.
fn chosen(word: &str) -> Result<Role, Errors> {
    Role::of_word(word).ok_or_else(|| Errors::at("role", "choose a role of the list"))
}

async fn make(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let form = NewUserForm {
        name: posted.name,
        role: posted.role,
    };
    let role = match chosen(&form.role) {
        Ok(role) => role,
        Err(errors) => return Ok(render_new(&call, &form, &errors)),
    };
    let wanted = NewAccount {
        name: form.name.clone(),
        role,
    };
    match call.app().accounts.create(&call.actor, wanted).await {
        Ok((account, password)) => {
            let body = made(&account, &password, true);
            Ok(page(&call, StatusCode::OK, account.name.as_str(), body))
        }
        Err(error @ Error::Conflict(_)) => {
            let errors = Errors::conflict(&error.to_string()).moved("", "name");
            Ok(render_new(&call, &form, &errors))
        }
        Err(error) => Ok(render_new(&call, &form, &Errors::of(error)?)),
    }
}

async fn show(call: Call) -> Outcome {
    render(&call, Errors::default())
}

fn render(call: &Call, errors: Errors) -> Outcome {
    let accounts = &call.app().accounts;
    let name = call.param("name");
    let account = accounts.named(&call.actor, name)?;
    let view = UserPage {
        is_own: call.actor.account() == Some(account.id),
        sessions: accounts.sessions_of(&call.actor, name)?,
        tokens: accounts.tokens_of(&call.actor, name)?,
        account,
        errors,
    };
    let body = user(&view, &Stage::of(call).scene());
    Ok(page(call, view.errors.status(), name, body))
}

async fn act(call: Call, act: AccountAct, notice: &str) -> Outcome {
    let name = call.param("name");
    match call.app().accounts.manage(&call.actor, name, act).await {
        Ok(_) => Ok(done(&href(name), notice)),
        Err(error) => render(&call, Errors::of(error)?),
    }
}

async fn set_role(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    match chosen(&posted.role) {
        Ok(role) => {
            let notice = format!("The role is {} now.", role.word());
            act(call, AccountAct::SetRole { role }, &notice).await
        }
        Err(errors) => render(&call, errors),
    }
}

async fn unlock(call: Call) -> Outcome {
    act(call, AccountAct::Unlock, "The account is unlocked.").await
}

async fn enable(call: Call) -> Outcome {
    act(call, AccountAct::Enable, "The account is enabled.").await
}

async fn end_sessions(call: Call) -> Outcome {
    act(call, AccountAct::EndSessions, "Its sessions are ended.").await
}

async fn revoke_token(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let name = call.param("name");
    let accounts = &call.app().accounts;
    accounts.revoke_token_of(&call.actor, name, &posted.token).await?;
    Ok(done(&href(name), "The token is revoked."))
}

async fn ask_password(call: Call) -> Outcome {
    render_asked(&call, Asked::Password, &Errors::default())
}

async fn ask_disable(call: Call) -> Outcome {
    render_asked(&call, Asked::Disable, &Errors::default())
}

async fn ask_delete(call: Call) -> Outcome {
    render_asked(&call, Asked::Delete, &Errors::default())
}

fn render_asked(call: &Call, asked: Asked, errors: &Errors) -> Outcome {
    let accounts = &call.app().accounts;
    let name = call.param("name");
    let account = accounts.named(&call.actor, name)?;
    let has = (
        accounts.sessions_of(&call.actor, name)?.len(),
        accounts.tokens_of(&call.actor, name)?.len(),
    );
    let error = errors.field("confirm").or_else(|| errors.field(""));
    let body = ask(&account, has, asked, error, &Stage::of(call).scene());
    Ok(page(call, errors.status(), name, body))
}

async fn set_password(call: Call) -> Outcome {
    let name = call.param("name");
    let accounts = &call.app().accounts;
    let password = made_password().map_err(Failure::from)?;
    let new = Password::new(&password);
    match accounts.reset_password(&call.actor, name, &new).await {
        Ok(()) => {
            let body = made(&accounts.named(&call.actor, name)?, &password, false);
            Ok(page(&call, StatusCode::OK, name, body))
        }
        Err(error) => render_asked(&call, Asked::Password, &Errors::of(error)?),
    }
}

async fn disable(call: Call) -> Outcome {
    let name = call.param("name");
    let accounts = &call.app().accounts;
    match accounts.manage(&call.actor, name, AccountAct::Disable).await {
        Ok(_) => Ok(done(&href(name), "The account is disabled.")),
        Err(error) => render_asked(&call, Asked::Disable, &Errors::of(error)?),
    }
}

async fn delete(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let name = call.param("name");
    if posted.confirm.trim() != name {
        let errors = Errors::at("confirm", &format!("type {name} to delete it"));
        return render_asked(&call, Asked::Delete, &errors);
    }
    match call.app().accounts.delete(&call.actor, name).await {
        Ok(()) => Ok(done("/users", "The account is deleted.")),
        Err(error) => render_asked(&call, Asked::Delete, &Errors::of(error)?),
    }
}
