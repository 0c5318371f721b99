//! What the pages of secrets do.

use http::StatusCode;
use serde::Deserialize;

use super::{SecretForm, delete, secrets, set};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::Markup;
use crate::admin_plane::pages::scene::{Errors, sentence};
use crate::admin_plane::routes::Row;
use crate::app::error::Error;
use crate::app::secrets::{HiddenText, SecretView, SetSecret};
use crate::auth::permission::Permission;
use crate::http::Response;
use crate::observability::Secret;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let manage = Permission::ManageSecrets;
    vec![
        Row::page("/secrets", Permission::ViewFleet, list),
        Row::page("/secrets/-/set", manage, show),
        Row::form("/secrets/-/set", manage, save),
        Row::page("/secrets/{name}/delete", manage, ask_delete),
        Row::form("/secrets/{name}/delete", manage, remove),
    ]
}

fn page(call: &Call, status: StatusCode, title: &str, crumbs: &[(&str, &str)], body: Markup) -> Response {
    let crumbs = [&[("Configs", "/configs")], crumbs].concat();
    call.page(
        status,
        View {
            title,
            active: Some(Nav::Configs),
            crumbs: &crumbs,
            body,
            ..View::default()
        },
    )
}

async fn list(call: Call) -> Outcome {
    let all = call.app().intentions.secrets(&call.actor)?;
    let body = secrets(&all, &Stage::of(&call).scene());
    Ok(page(&call, StatusCode::OK, "Secrets", &[], body))
}

fn known(call: &Call, name: &str) -> Result<Option<SecretView>, Error> {
    let all = call.app().intentions.secrets(&call.actor)?;
    Ok(all.into_iter().find(|secret| secret.name.as_str() == name))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    name: String,
}

async fn show(call: Call) -> Outcome {
    let asked: Asked = call.query()?;
    let form = match known(&call, &asked.name)? {
        Some(secret) => SecretForm {
            name: asked.name,
            description: secret.description,
            known: true,
        },
        None => SecretForm {
            name: asked.name,
            ..SecretForm::default()
        },
    };
    Ok(render(&call, &form, &Errors::default()))
}

fn render(call: &Call, form: &SecretForm, errors: &Errors) -> Response {
    let body = set(form, errors, &Stage::of(call).scene());
    let title = if form.known { "Set a secret" } else { "New secret" };
    page(call, errors.status(), title, &[("Secrets", "/secrets")], body)
}

#[derive(Deserialize)]
#[serde(default)]
struct Posted {
    name: String,
    value: HiddenText,
    description: String,
    known: bool,
}

impl Default for Posted {
    fn default() -> Self {
        Self {
            name: String::new(),
            value: HiddenText(Secret::new(String::new())),
            description: String::new(),
            known: false,
        }
    }
}

async fn save(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    // Browsers send lines with two signs at their ends.
    let value = posted.value.0.reveal().replace("\r\n", "\n");
    let keeps = posted.known && value.is_empty();
    let wish = SetSecret {
        value: (!keeps).then(|| HiddenText(Secret::new(value))),
        description: Some(posted.description.trim().to_owned()),
    };
    let name = posted.name.trim();
    match call.app().intentions.set_secret(&call.actor, name, wish).await {
        Ok(view) if view.groups.is_empty() => Ok(done("/secrets", &format!("The secret {name} is set."))),
        Ok(_) => Ok(done(
            "/secrets",
            &format!("The secret {name} is set. Publish to the groups that use it to deliver it."),
        )),
        Err(error) => {
            let errors = Errors::of(error).map_err(Failure::from)?;
            let form = SecretForm {
                name: posted.name.clone(),
                description: posted.description.clone(),
                known: posted.known,
            };
            Ok(render(&call, &form, &errors))
        }
    }
}

async fn ask_delete(call: Call) -> Outcome {
    render_delete(&call, None, StatusCode::OK)
}

fn render_delete(call: &Call, error: Option<&str>, status: StatusCode) -> Outcome {
    let name = call.param("name");
    let secret = known(call, name)?.ok_or_else(|| Error::not_found("secret", name))?;
    let body = delete(&secret, error, &Stage::of(call).scene());
    let title = format!("Delete {name}");
    Ok(page(call, status, &title, &[("Secrets", "/secrets")], body))
}

async fn remove(call: Call) -> Outcome {
    let name = call.param("name");
    match call.app().intentions.delete_secret(&call.actor, name).await {
        Ok(()) => Ok(done("/secrets", &format!("The secret {name} is deleted."))),
        Err(error @ Error::Conflict(_)) => {
            render_delete(&call, Some(&sentence(&error.to_string())), StatusCode::CONFLICT)
        }
        Err(error) => Err(Failure::from(error)),
    }
}
