//! Signing in and out.

use http::Method;
use serde::Deserialize;

use super::{LoginForm, safe_next, sign_in};
use crate::admin_plane::call::{Call, Visit, see_other, with_session};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::{Access, Face, Row};
use crate::app::accounts::SetupStatus;
use crate::auth::password::Password;
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::open(Method::GET, "/login", Face::Page, show),
        Row::open(Method::POST, "/login", Face::Form, submit),
        Row::form("/logout", Access::SignedIn, sign_out),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    name: String,
    password: String,
    next: String,
}

fn render(visit: &Visit, form: &LoginForm, errors: &Errors) -> Response {
    errors.onto(visit.bare(
        errors.status(),
        "Sign in",
        None,
        &sign_in(form, errors, &visit.form_token()),
    ))
}

async fn show(visit: Visit) -> Outcome {
    let posted: Posted = visit.query()?;
    if !matches!(visit.app().accounts.setup_status(), SetupStatus::Claimed) {
        return Ok(see_other("/setup"));
    }
    if visit.session.is_some() {
        return Ok(see_other(safe_next(&posted.next)));
    }
    let form = LoginForm {
        name: String::new(),
        next: posted.next,
    };
    Ok(render(&visit, &form, &Errors::default()))
}

async fn submit(visit: Visit) -> Outcome {
    let posted: Posted = visit.form()?;
    let form = LoginForm {
        name: posted.name,
        next: posted.next,
    };
    let password = Password::new(&posted.password);
    let accounts = &visit.app().accounts;
    match accounts
        .login(&form.name, &password, &visit.visitor(), visit.session.as_ref())
        .await
    {
        Ok(signed_in) => Ok(with_session(
            see_other(safe_next(&form.next)),
            Some(&signed_in.secret),
        )),
        Err(error) => Ok(render(&visit, &form, &Errors::of(error)?)),
    }
}

async fn sign_out(call: Call) -> Outcome {
    call.app().accounts.logout(&call.actor).await?;
    Ok(with_session(see_other("/login"), None))
}
