//! What publishing does: the choice and its impact with `GET`, the act with `POST`.

use serde::Deserialize;

use super::{Chosen, PublishForm, in_short, publish};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::{DiffView, count};
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::Row;
use crate::app::error::Error;
use crate::app::intentions::Preview;
use crate::app::publish::{IfRunning, Publish};
use crate::auth::permission::Permission;
use crate::fleet::ids::RolloutId;
use crate::fleet::name::Name;
use crate::fleet::rollout::Strategy;
use crate::fleet::target::{LayerRef, in_words};

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
    /// All layers, in the place of one config with its revision.
    layers: String,
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
fn preview(call: &Call, chosen: &mut Chosen, layers: &str) -> Result<Option<Preview>, Error> {
    if chosen.group.is_empty() {
        return Ok(None);
    }
    let app = call.app();
    let layers = match layers_of(call, chosen, layers) {
        Ok(layers) if layers.is_empty() => return Ok(None),
        Ok(layers) => layers,
        Err(error @ Error::Invalid(_)) => {
            chosen.errors = Errors::of(error)?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match app.impact(&call.actor, &chosen.group, &layers) {
        Ok(preview) => Ok(Some(preview)),
        Err(Error::NotFound { what: "revision", .. }) => {
            let missing = format!("there is no such revision: {}", in_words(&layers));
            chosen.errors = Errors::at("revision", &missing);
            Ok(None)
        }
        Err(error @ Error::Invalid(_)) => {
            chosen.errors = Errors::of(error)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The layers that are asked about; none when too little is chosen.
fn layers_of(call: &Call, chosen: &mut Chosen, layers: &str) -> Result<Vec<LayerRef>, Error> {
    let app = call.app();
    let listed = LayerRef::list(layers).map_err(|error| Error::invalid("layers", error.to_string()))?;
    if !listed.is_empty() {
        return Ok(listed);
    }
    if chosen.config.is_empty() {
        let newest = app.intentions.newest_layers(&call.actor, &chosen.group);
        // A group without layers is asked for a config.
        return match newest {
            Err(Error::Invalid(_)) => Ok(Vec::new()),
            other => other,
        };
    }
    if chosen.revision.trim().is_empty() {
        let config = app.intentions.config(&call.actor, &chosen.config)?;
        chosen.revision = config.summary.config.latest.to_string();
    }
    let no_number = |_| Error::invalid("revision", "a revision is a number, such as 3");
    let layer = LayerRef {
        config: Name::new(&chosen.config).map_err(|error| Error::invalid("config", error.to_string()))?,
        revision: chosen.revision.trim().parse().map_err(no_number)?,
    };
    app.intentions.layers_with(&call.actor, &chosen.group, &layer)
}

fn render(call: &Call, query: &Query, form: &PublishForm) -> Outcome {
    let mut chosen = chosen(call, query)?;
    let preview = preview(call, &mut chosen, &query.layers)?;
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
    layers: String,
    expected_revision: Option<u64>,
    message: String,
    confirm: String,
    strategy: String,
    if_running: String,
    allow_blank: bool,
}

impl Posted {
    /// How it is to reach the agents; `None` as the group says, where the form still says that.
    fn strategy(&self, call: &Call, layers: &[LayerRef]) -> Result<Option<Strategy>, Error> {
        let text = self.strategy.trim();
        let usual = call.app().impact(&call.actor, &self.group, layers)?.strategy;
        if text.is_empty() || text == usual.to_string() {
            return Ok(None);
        }
        let strategy = text.parse::<Strategy>();
        strategy
            .map(Some)
            .map_err(|error| Error::invalid("strategy", error.to_string()))
    }

    fn if_running(&self) -> IfRunning {
        match self.if_running.as_str() {
            "queue" => IfRunning::Queue,
            "replace" => IfRunning::Replace,
            _ => IfRunning::Refuse,
        }
    }
}

async fn submit(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let layers =
        LayerRef::list(&posted.layers).map_err(|error| Error::invalid("layers", error.to_string()))?;
    let what = in_short(&layers);
    let publishing = async {
        let wanted = Publish {
            group: posted.group.clone(),
            strategy: posted.strategy(&call, &layers)?,
            layers,
            message: posted.message.trim().to_owned(),
            expected_revision: posted.expected_revision,
            confirm: posted.confirm.trim().parse().ok(),
            allow_blank: posted.allow_blank,
            if_running: posted.if_running(),
        };
        call.app().publish(&call.actor, wanted).await
    };
    match publishing.await {
        Ok(result) => {
            let reached = result.impact.reached();
            let words = match (result.created, reached) {
                (false, _) => "Just this was published already; nothing changed.".to_owned(),
                (true, 0) => format!("Published {what}. No agent is sent it yet."),
                (true, _) => format!(
                    "Published {what}: it is on its way to {}.",
                    count(u64::from(reached), "agent", "agents")
                ),
            };
            // One that goes in stages is looked at while it goes.
            let staged = result
                .rollout
                .filter(|id| result.created && !is_over(&call, *id))
                .map(|id| format!("/rollouts/{id}"));
            let place = staged.unwrap_or_else(|| format!("/groups/{}", posted.group));
            Ok(done(&place, &words))
        }
        Err(error) => {
            let again =
                "The group was changed meanwhile. Below is what publishing does now; look at it, then send";
            let error = if matches!(error, Error::Stale) {
                Error::Conflict(again.to_owned())
            } else {
                error
            };
            // What a collector says of the content belongs to no field of this form.
            let errors = Errors::of(error).map_err(Failure::from)?;
            let errors = errors.gathered("content", "", |_, why| why.to_owned());
            let query = Query {
                group: posted.group,
                layers: posted.layers,
                ..Query::default()
            };
            let form = PublishForm {
                message: posted.message,
                confirm: posted.confirm,
                strategy: Some(posted.strategy),
                if_running: posted.if_running,
                allow_blank: posted.allow_blank,
                errors,
            };
            render(&call, &query, &form)
        }
    }
}

/// Whether a rollout has nothing more to hold back.
fn is_over(call: &Call, id: RolloutId) -> bool {
    let index = call.app().intentions.index();
    let head = index.rollout(id);
    head.is_none_or(|head| head.rollout.is_ended() || head.rollout.is_at_once())
}
