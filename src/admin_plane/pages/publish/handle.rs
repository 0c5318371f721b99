//! What publishing does: the choice and its impact with `GET`, the act with `POST`.

use serde::Deserialize;

use super::{Chosen, LayerChoice, PublishForm, Standing, in_short, publish};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::{DiffView, count};
use crate::admin_plane::pages::scene::{Errors, lines};
use crate::admin_plane::pages::strategy::{PostedStrategy, StrategyForm};
use crate::admin_plane::routes::Row;
use crate::app::error::Error;
use crate::app::intentions::Preview;
use crate::app::publish::{IfRunning, Publish};
use crate::auth::permission::Permission;
use crate::fleet::ids::RolloutId;
use crate::fleet::name::Name;
use crate::fleet::target::{LayerRef, LayerRefError, in_words};
use crate::http::Response;

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

/// How the group stands to which this would be published.
fn standing(call: &Call, preview: &Preview) -> Standing {
    let index = call.app().intentions.index();
    let published = preview
        .published
        .as_ref()
        .and_then(|target| target.content.as_ref());
    let published = published.map_or([].as_slice(), |content| content.layers.as_slice());
    let layer = |layer: &LayerRef| LayerChoice {
        config: layer.config.clone(),
        chosen: layer.revision,
        in_force: published
            .iter()
            .find(|known| known.config == layer.config)
            .map(|known| known.revision),
        revisions: index
            .config(&layer.config)
            .map(|head| head.revisions.iter().rev().cloned().collect())
            .unwrap_or_default(),
    };
    let group = index.group(&preview.group).map(|head| &head.group);
    Standing {
        layers: preview.layers.iter().map(layer).collect(),
        has_strategy: group.is_some_and(|group| group.strategy.is_some()),
        hold: group.and_then(|group| group.hold.clone()),
    }
}

fn render(
    call: &Call,
    chosen: &Chosen,
    looked: Option<(&Preview, &PublishForm)>,
    view: DiffView,
) -> Response {
    let standing = looked.map(|(preview, _)| standing(call, preview));
    let looked = looked.zip(standing.as_ref());
    let body = publish(
        chosen,
        looked.map(|((preview, form), standing)| (preview, standing, form)),
        view,
        &Stage::of(call).scene(),
    );
    let status = match looked {
        Some(((_, form), _)) if !form.errors.is_empty() => form.errors.status(),
        Some(_) | None => chosen.errors.status(),
    };
    call.page(
        status,
        View {
            title: "Publish",
            active: Some(Nav::Groups),
            body,
            ..View::default()
        },
    )
}

async fn show(call: Call) -> Outcome {
    let query: Query = call.query()?;
    let mut chosen = chosen(&call, &query)?;
    let preview = preview(&call, &mut chosen, &query.layers)?;
    let form = preview.as_ref().map(|preview| PublishForm {
        strategy: StrategyForm::of(None, &preview.strategy),
        ..PublishForm::default()
    });
    let view = if query.view == "split" {
        DiffView::Split
    } else {
        DiffView::Unified
    };
    Ok(render(&call, &chosen, preview.as_ref().zip(form.as_ref()), view))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    group: String,
    /// The layers that were shown.
    layers: String,
    /// The configs of the layers that are chosen, each with the revision of the same place.
    layer: Vec<String>,
    revision: Vec<String>,
    /// Layers in the place of those.
    other: String,
    expected_revision: Option<u64>,
    message: String,
    confirm: String,
    if_running: String,
    allow_blank: bool,
    /// `look` at other layers, or more `rows` for stages; nothing to publish.
    act: String,
}

impl Posted {
    /// The layers that are chosen: those that were shown, where no others are.
    fn chosen(&self) -> Result<Vec<LayerRef>, Errors> {
        let at = |field: &'static str| move |error: LayerRefError| Errors::at(field, &error.to_string());
        if !self.other.trim().is_empty() {
            let lines: Vec<_> = lines(&self.other).map(|(_, line)| line).collect();
            return LayerRef::list(&lines.join(",")).map_err(at("other"));
        }
        let pairs = self.layer.iter().zip(&self.revision);
        let pairs: Vec<_> = pairs
            .map(|(config, revision)| format!("{config}@{revision}"))
            .collect();
        if pairs.is_empty() {
            return LayerRef::list(&self.layers).map_err(at("layers"));
        }
        LayerRef::list(&pairs.join(",")).map_err(at("layers"))
    }

    fn form(&self, strategy: &StrategyForm, errors: Errors) -> PublishForm {
        PublishForm {
            other: self.other.replace("\r\n", "\n"),
            message: self.message.clone(),
            confirm: self.confirm.clone(),
            strategy: strategy.clone(),
            if_running: self.if_running.clone(),
            allow_blank: self.allow_blank,
            errors,
        }
    }

    fn if_running(&self) -> IfRunning {
        match self.if_running.as_str() {
            "queue" => IfRunning::Queue,
            "replace" => IfRunning::Replace,
            _ => IfRunning::Refuse,
        }
    }

    /// The field in which layers are named.
    fn place_of_layers(&self) -> &'static str {
        if self.other.trim().is_empty() {
            "layers"
        } else {
            "other"
        }
    }
}

/// Shows the form again, with everything that was typed, and with what publishing `layers` does; with what was shown
/// before, where those can't be.
fn again(call: &Call, posted: &Posted, layers: &[LayerRef], mut form: PublishForm) -> Outcome {
    let chosen = chosen(
        call,
        &Query {
            group: posted.group.clone(),
            ..Query::default()
        },
    )?;
    let app = call.app();
    let preview = match app.impact(&call.actor, &posted.group, layers) {
        Ok(preview) => {
            // They stand in the rows now.
            if form.errors.field("other").is_none() {
                form.other.clear();
            }
            preview
        }
        Err(error) => {
            let place = posted.place_of_layers();
            let is_missing = matches!(
                error,
                Error::NotFound {
                    what: "revision" | "config",
                    ..
                }
            );
            let why = if is_missing {
                format!("not all of these are there: {}", in_words(layers))
            } else {
                let errors = Errors::of(error)?;
                let first = ["layers", "config", "content", ""];
                let first = first.iter().find_map(|field| errors.field(field));
                first.unwrap_or("these layers don't go together").to_owned()
            };
            form.errors.add(place, &why);
            let shown = LayerRef::list(&posted.layers)
                .map_err(|error| Error::invalid("layers", error.to_string()))?;
            app.impact(&call.actor, &posted.group, &shown)?
        }
    };
    if preview.under_way.is_none() {
        // It is over meanwhile, and so is the question.
        form.errors = form.errors.moved("if_running", "");
    }
    Ok(render(call, &chosen, Some((&preview, &form)), DiffView::Unified))
}

async fn submit(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let strategy = call.form::<PostedStrategy>()?.into_form();
    let shown =
        LayerRef::list(&posted.layers).map_err(|error| Error::invalid("layers", error.to_string()))?;
    let layers = match posted.chosen() {
        Ok(layers) => layers,
        Err(errors) => return again(&call, &posted, &shown, posted.form(&strategy, errors)),
    };
    match posted.act.as_str() {
        "look" => return again(&call, &posted, &layers, posted.form(&strategy, Errors::default())),
        "rows" => {
            let mut form = posted.form(&strategy, Errors::default());
            form.strategy.add_rows();
            return again(&call, &posted, &layers, form);
        }
        _ => {}
    }
    if layers != shown {
        let why =
            "You chose other revisions since. Below is what publishing them does; look at it, then send";
        let errors = Errors::of(Error::Conflict(why.to_owned()))?;
        return again(&call, &posted, &layers, posted.form(&strategy, errors));
    }
    let decided = match strategy.read() {
        Ok(decided) => decided,
        Err(errors) => return again(&call, &posted, &layers, posted.form(&strategy, errors)),
    };
    let wanted = Publish {
        group: posted.group.clone(),
        layers: layers.clone(),
        message: posted.message.trim().to_owned(),
        expected_revision: posted.expected_revision,
        confirm: posted.confirm.trim().parse().ok(),
        allow_blank: posted.allow_blank,
        strategy: decided,
        if_running: posted.if_running(),
    };
    match call.app().publish(&call.actor, wanted).await {
        Ok(result) => {
            let what = in_short(&layers);
            if let (true, Some(id)) = (result.awaits_approval, result.rollout) {
                let words = format!("Proposed {what}. Nothing is sent until it is approved.");
                return Ok(done(&format!("/rollouts/{id}"), &words));
            }
            let reached = result.impact.reached();
            // One that goes in stages is looked at while it goes.
            let staged = result.rollout.filter(|id| result.created && !is_over(&call, *id));
            let agents = count(u64::from(reached), "agent", "agents");
            let words = match (result.created, reached, staged) {
                (false, ..) => "Just this was published already; nothing changed.".to_owned(),
                (true, 0, _) => format!("Published {what}. No agent is sent it yet."),
                (true, _, Some(_)) => {
                    format!("Published {what}: it goes out in stages, to {agents} in the end.")
                }
                (true, _, None) => format!("Published {what}: it is on its way to {agents}."),
            };
            let staged = staged.map(|id| format!("/rollouts/{id}"));
            let place = staged.unwrap_or_else(|| format!("/groups/{}", posted.group));
            Ok(done(&place, &words))
        }
        Err(error) => {
            let errors = refused(error).map_err(Failure::from)?;
            again(&call, &posted, &layers, posted.form(&strategy, errors))
        }
    }
}

/// What is said about a publication that was refused, at the fields of the form.
fn refused(error: Error) -> Result<Errors, Error> {
    if matches!(error, Error::Stale) {
        return Errors::of(Error::Conflict(
            "The group was changed meanwhile. Below is what publishing does now; look at it, then send"
                .to_owned(),
        ));
    }
    let is_in_the_way = matches!(error, Error::Conflict(_));
    let errors = Errors::of(error)?;
    if is_in_the_way {
        // Nothing but a rollout that isn't over is in the way of a publication.
        return Ok(errors.moved("", "if_running"));
    }
    // What a collector says of the content belongs to no field of this form.
    Ok(errors.gathered("content", "", |_, why| why.to_owned()))
}

/// Whether a rollout has nothing more to hold back.
fn is_over(call: &Call, id: RolloutId) -> bool {
    let index = call.app().intentions.index();
    let head = index.rollout(id);
    head.is_none_or(|head| head.rollout.is_ended() || head.rollout.is_at_once())
}
