//! What publishing does: the choice and its impact with `GET`, the act with `POST`.

use serde::Deserialize;

use super::{Chosen, PublishForm, publish};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::{DiffView, count};
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::Row;
use crate::app::error::Error;
use crate::app::intentions::Preview;
use crate::app::publish::Publish;
use crate::auth::permission::Permission;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/publish", Permission::Publish, show),
        Row::form("/publish", Permission::Publish, submit),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    group: String,
    config: String,
    revision: String,
    view: String,
}

fn chosen(call: &Call, query: &Query) -> Result<Chosen, Error> {
    let app = call.app();
    let configs = app.intentions.configs(&call.actor)?;
    let index = app.intentions.index();
    Ok(Chosen {
        group: query.group.clone(),
        config: query.config.clone(),
        revision: query.revision.clone(),
        groups: index.groups().map(|head| head.group.name.clone()).collect(),
        configs: configs.into_iter().map(|summary| summary.config.name).collect(),
        errors: Errors::default(),
    })
}

/// What is asked about, as far as it is chosen: the config of the group where none is named, and its newest revision.
fn preview(call: &Call, chosen: &mut Chosen) -> Result<Option<Preview>, Error> {
    if chosen.group.is_empty() {
        return Ok(None);
    }
    let app = call.app();
    if chosen.config.is_empty() {
        let group = app
            .intentions
            .group(&call.actor, &chosen.group, &[])?
            .summary
            .group;
        chosen.config = group.layers.first().map(ToString::to_string).unwrap_or_default();
    }
    if chosen.config.is_empty() {
        return Ok(None);
    }
    if chosen.revision.trim().is_empty() {
        let config = app.intentions.config(&call.actor, &chosen.config)?;
        chosen.revision = config.summary.config.latest.to_string();
    }
    let Ok(revision) = chosen.revision.trim().parse() else {
        chosen.errors = Errors::at("revision", "a revision is a number, such as 3");
        return Ok(None);
    };
    match app.impact(&call.actor, &chosen.group, &chosen.config, revision) {
        Ok(preview) => Ok(Some(preview)),
        Err(Error::NotFound { what: "revision", .. }) => {
            chosen.errors = Errors::at(
                "revision",
                &format!("the config {} has no revision {revision}", chosen.config),
            );
            Ok(None)
        }
        Err(error @ Error::Invalid(_)) => {
            chosen.errors = Errors::of(error)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn render(call: &Call, query: &Query, form: &PublishForm) -> Outcome {
    let mut chosen = chosen(call, query)?;
    let preview = preview(call, &mut chosen)?;
    let view = if query.view == "split" {
        DiffView::Split
    } else {
        DiffView::Unified
    };
    let body = publish(
        &chosen,
        preview.as_ref().map(|preview| (preview, form)),
        view,
        &Stage::of(call).scene(),
    );
    let status = if form.errors.is_empty() {
        chosen.errors.status()
    } else {
        form.errors.status()
    };
    Ok(call.page(
        status,
        View {
            title: "Publish",
            active: Some(Nav::Groups),
            body,
            ..View::default()
        },
    ))
}

async fn show(call: Call) -> Outcome {
    let query: Query = call.query()?;
    render(&call, &query, &PublishForm::default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    group: String,
    config: String,
    revision: u64,
    expected_revision: Option<u64>,
    message: String,
    confirm: String,
    allow_blank: bool,
}

async fn submit(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let wanted = Publish {
        group: posted.group.clone(),
        config: posted.config.clone(),
        revision: posted.revision,
        message: posted.message.trim().to_owned(),
        expected_revision: posted.expected_revision,
        confirm: posted.confirm.trim().parse().ok(),
        allow_blank: posted.allow_blank,
    };
    match call.app().publish(&call.actor, wanted).await {
        Ok(result) => {
            let (what, reached) = (
                format!("Revision {} of {}", posted.revision, posted.config),
                result.impact.reached(),
            );
            let words = match (result.created, reached) {
                (false, _) => "Just this was published already; nothing changed.".to_owned(),
                (true, 0) => format!("{what} is published. No agent is sent it yet."),
                (true, _) => format!(
                    "{what} is on its way to {}.",
                    count(u64::from(reached), "agent", "agents")
                ),
            };
            Ok(done(&format!("/groups/{}", posted.group), &words))
        }
        Err(error) => {
            let again =
                "The group was changed meanwhile. Below is what publishing does now; look at it, then send";
            let error = if matches!(error, Error::Stale) {
                Error::Conflict(again.to_owned())
            } else {
                error
            };
            let errors = Errors::of(error).map_err(Failure::from)?;
            let query = Query {
                group: posted.group,
                config: posted.config,
                revision: posted.revision.to_string(),
                view: String::new(),
            };
            let form = PublishForm {
                message: posted.message,
                confirm: posted.confirm,
                allow_blank: posted.allow_blank,
                errors,
            };
            render(&call, &query, &form)
        }
    }
}
