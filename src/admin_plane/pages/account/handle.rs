//! What the forms of one's own account do.

use serde::Deserialize;

use super::{AccountPage, TokenForm, account};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::{Access, Row};
use crate::app::accounts::NewToken;
use crate::app::error::Error;
use crate::auth::password::Password;
use crate::auth::permission::{Permission, Role};
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let own = Permission::OwnAccount;
    vec![
        Row::page("/account", Access::SignedIn, show),
        Row::form("/account/password", own, password),
        Row::form("/account/sessions/end", own, end_session),
        Row::form("/account/sessions/end-others", own, end_others),
        Row::form("/account/tokens", own, make_token),
        Row::form("/account/tokens/revoke", own, revoke_token),
    ]
}

fn render(
    call: &Call,
    form: TokenForm,
    made: Option<(String, String)>,
    errors: Errors,
) -> Result<Response, Failure> {
    let accounts = &call.app().accounts;
    let own = accounts.own(&call.actor);
    let own = own.ok_or(Error::NotAllowed("you came without an account; sign in with one"))?;
    let stage = Stage::of(call);
    let (status, too_often) = (errors.status(), errors.clone());
    let view = AccountPage {
        account: own,
        sessions: accounts.sessions(&call.actor),
        tokens: accounts.tokens(&call.actor),
        made,
        form,
        errors,
    };
    let body = account(&view, &stage.scene());
    Ok(too_often.onto(call.page(
        status,
        View {
            title: "Account",
            body,
            ..View::default()
        },
    )))
}

async fn show(call: Call) -> Outcome {
    render(&call, TokenForm::default(), None, Errors::default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Passwords {
    present_password: String,
    new_password: String,
    again: String,
}

async fn password(call: Call) -> Outcome {
    let posted: Passwords = call.form()?;
    if posted.new_password != posted.again {
        let errors = Errors::at("again", "The two new passwords differ; type the same twice");
        return render(&call, TokenForm::default(), None, errors);
    }
    let (present, new) = (
        Password::new(&posted.present_password),
        Password::new(&posted.new_password),
    );
    match call
        .app()
        .accounts
        .change_password(&call.actor, &present, &new)
        .await
    {
        Ok(()) => Ok(done(
            "/account",
            "Your password is changed, and your other sessions are ended.",
        )),
        Err(error) => render(&call, TokenForm::default(), None, Errors::of(error)?),
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    session: String,
}

async fn end_session(call: Call) -> Outcome {
    let which: Which = call.form()?;
    let id = which
        .session
        .parse()
        .map_err(|_| Error::not_found("session", &which.session))?;
    call.app().accounts.end_session(&call.actor, id).await?;
    Ok(done("/account", "The session is ended."))
}

async fn end_others(call: Call) -> Outcome {
    let ended = call.app().accounts.end_other_sessions(&call.actor).await?;
    let words = match ended {
        1 => "1 other session is ended.".to_owned(),
        other => format!("{other} other sessions are ended."),
    };
    Ok(done("/account", &words))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    name: String,
    role: String,
    days: String,
}

async fn make_token(call: Call) -> Outcome {
    let posted: Wanted = call.form()?;
    let form = TokenForm {
        name: posted.name,
        role: posted.role,
        days: posted.days,
    };
    let all = [Role::Viewer, Role::Operator, Role::Deployer, Role::Admin];
    let role = all.into_iter().find(|role| role.word() == form.role);
    let mut errors = Errors::default();
    if role.is_none() {
        errors.add("role", "choose a role of the list");
    }
    let days = form.days.trim().parse().ok();
    if days.is_none() {
        errors.add("days", "a token is valid for 1 to 366 days");
    }
    let (Some(role), Some(days)) = (role, days) else {
        return render(&call, form, None, errors);
    };
    let wanted = NewToken {
        name: form.name.clone(),
        role,
        days,
        account: None,
    };
    match call.app().accounts.create_token(&call.actor, wanted).await {
        // Not a redirect: the secret is on this page only, and in no address.
        Ok((secret, _)) => {
            let made = Some((form.name, secret.expose().to_owned()));
            render(&call, TokenForm::default(), made, Errors::default())
        }
        Err(error) => render(&call, form, None, Errors::of(error)?),
    }
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

async fn revoke_token(call: Call) -> Outcome {
    let token: Named = call.form()?;
    call.app().accounts.revoke_token(&call.actor, &token.name).await?;
    Ok(done("/account", &format!("The token {} is revoked.", token.name)))
}
