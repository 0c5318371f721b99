//! Claiming the server: what `/setup` does.

use http::Method;
use serde::Deserialize;

use super::{SetupForm, claim, claimed, closed};
use crate::admin_plane::call::{Visit, done, with_session};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::{Face, Row};
use crate::app::accounts::SetupStatus;
use crate::auth::password::Password;
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::open(Method::GET, "/setup", Face::Page, show),
        Row::open(Method::POST, "/setup", Face::Form, submit),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    token: String,
    name: String,
    password: String,
    again: String,
}

fn render(visit: &Visit, form: &SetupForm, errors: &Errors) -> Response {
    let (status, body) = match visit.app().accounts.setup_status() {
        SetupStatus::Claimed => (http::StatusCode::OK, claimed()),
        SetupStatus::Closed => (errors.status(), closed()),
        SetupStatus::Open { .. } => {
            let fingerprint = visit.plane.site.ca_fingerprint.pairs();
            (
                errors.status(),
                claim(form, errors, &fingerprint, &visit.form_token()),
            )
        }
    };
    errors.onto(visit.bare(status, "Set up", None, &body))
}

async fn show(visit: Visit) -> Outcome {
    let form: Posted = visit.query()?;
    let form = SetupForm {
        token: form.token,
        name: String::new(),
    };
    Ok(render(&visit, &form, &Errors::default()))
}

async fn submit(visit: Visit) -> Outcome {
    let posted: Posted = visit.form()?;
    let form = SetupForm {
        token: posted.token,
        name: posted.name,
    };
    if posted.password != posted.again {
        return Ok(render(
            &visit,
            &form,
            &Errors::at("again", "The two passwords differ; type the same twice"),
        ));
    }
    let password = Password::new(&posted.password);
    let signed_in = visit
        .app()
        .accounts
        .claim(&form.token, &form.name, &password, &visit.visitor())
        .await;
    match signed_in {
        Ok(signed_in) => {
            visit.plane.forget_setup_link();
            let welcome = format!("This server is yours, {}. Add agents next.", form.name.trim());
            Ok(with_session(done("/", &welcome), Some(&signed_in.secret)))
        }
        Err(error) => Ok(render(&visit, &form, &Errors::of(error)?)),
    }
}
