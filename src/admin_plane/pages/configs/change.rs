//! Making, editing and deleting configs.

use serde::Deserialize;

use super::handle::page;
use super::{ConfigForm, Meanwhile, delete, edit, new, posted};
use crate::admin_plane::call::{Call, done};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::scene::Errors;
use crate::app::configs::{self, ConfigEdit, NewConfig, NewRevision};
use crate::app::error::Error;
use crate::fleet::config::complaint::UNVALIDATED;
use crate::fleet::config::{Diff, Kind, Problem};
use crate::http::Response;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewQuery {
    kind: String,
    /// The name of a starter, to fill the form with.
    starter: String,
}

pub(super) async fn show_new(call: Call) -> Outcome {
    let query: NewQuery = call.query()?;
    let kind = if query.kind == "files" {
        Kind::Files
    } else {
        Kind::Collector
    };
    let form = if query.starter.is_empty() {
        ConfigForm::empty(kind)
    } else {
        let starter = configs::starter(&call.actor, &query.starter)?;
        ConfigForm::begun_with(starter.summary, &starter.content)
    };
    Ok(render_new(&call, &form, &[], &Errors::default()))
}

fn render_new(call: &Call, form: &ConfigForm, found: &[Problem], errors: &Errors) -> Response {
    let body = new(form, found, errors, &Stage::of(call).scene());
    page(
        call,
        errors.status(),
        "New config",
        &[("Configs", "/configs")],
        form.kind == Kind::Collector,
        body,
    )
}

/// What is wrong with a form whose content was refused: one sentence at the field, each problem below it.
fn refused(error: Error) -> Result<(Errors, Vec<Problem>), Error> {
    let Error::Problems(problems) = error else {
        return Ok((Errors::of(error)?, Vec::new()));
    };
    let number = problems.iter().filter(|problem| problem.is_error()).count();
    let words = match (number, problems.first()) {
        (1, Some(problem)) => problem.to_string(),
        _ => {
            format!("{number} things stop this from being saved; they stand below the text with their lines")
        }
    };
    Ok((Errors::at("content", &words), problems))
}

pub(super) async fn make(call: Call) -> Outcome {
    let form = posted::form(&call.typed(), None);
    let content = match posted::content(&form, None) {
        Ok(content) => content,
        Err(errors) => return Ok(render_new(&call, &form, &[], &errors)),
    };
    let wanted = NewConfig {
        name: form.name.trim().to_owned(),
        description: form.description.trim().to_owned(),
        content,
        message: form.message.trim().to_owned(),
        allow_blank: form.allow_blank,
    };
    match call.app().intentions.create_config(&call.actor, wanted).await {
        Ok(saved) => {
            let words = "The config is made. It reaches nobody until you publish it to a group.";
            let words = noted(words, &saved.warnings);
            Ok(done(&format!("/configs/{}", saved.revision.config), &words))
        }
        Err(Error::Conflict(why)) => Ok(render_new(&call, &form, &[], &Errors::at("name", &why))),
        Err(error) => {
            let (errors, found) = refused(error)?;
            Ok(render_new(&call, &form, &found, &errors))
        }
    }
}

/// What is said after saving, with why the collector could not be asked where that is so.
fn noted(words: &str, warnings: &[Problem]) -> String {
    let unvalidated = warnings
        .iter()
        .find(|warning| warning.message.starts_with(UNVALIDATED));
    unvalidated.map_or_else(
        || words.to_owned(),
        |warning| format!("{words} It {}.", warning.message),
    )
}

fn render_edit(
    call: &Call,
    form: &ConfigForm,
    found: &[Problem],
    now: Option<&Meanwhile>,
    errors: &Errors,
) -> Response {
    let href = format!("/configs/{}", form.name);
    let body = edit(form, found, now, errors, &Stage::of(call).scene());
    let crumbs = [("Configs", "/configs"), (form.name.as_str(), href.as_str())];
    page(
        call,
        errors.status(),
        &format!("Edit {}", form.name),
        &crumbs,
        form.kind == Kind::Collector,
        body,
    )
}

pub(super) async fn show_edit(call: Call) -> Outcome {
    let detail = call.app().intentions.config(&call.actor, call.param("name"))?;
    let config = &detail.summary.config;
    let form = ConfigForm {
        description: config.description.clone(),
        ..ConfigForm::of(config.name.as_str(), &detail.content, config.latest)
    };
    Ok(render_edit(
        &call,
        &form,
        &detail.problems,
        None,
        &Errors::default(),
    ))
}

pub(super) async fn save(call: Call) -> Outcome {
    let name = call.param("name");
    let intentions = &call.app().intentions;
    let newest = intentions.config(&call.actor, name)?;
    let mut form = posted::form(&call.typed(), Some(&newest.content));
    name.clone_into(&mut form.name);
    let content = match posted::content(&form, Some(&newest.content)) {
        Ok(content) => content,
        Err(errors) => return Ok(render_edit(&call, &form, &[], None, &errors)),
    };
    let wanted = NewRevision {
        base: form.base,
        content: content.clone(),
        message: form.message.trim().to_owned(),
        allow_blank: form.allow_blank,
    };
    let saved = intentions.save_revision(&call.actor, name, wanted).await;
    let described = form.description.trim() != newest.summary.config.description;
    if described && saved.is_ok() {
        let edit = ConfigEdit {
            description: Some(form.description.trim().to_owned()),
        };
        if let Err(error) = intentions.edit_config(&call.actor, name, edit, None).await {
            return Ok(render_edit(&call, &form, &[], None, &Errors::of(error)?));
        }
    }
    match saved {
        Ok(saved) if saved.created => {
            let words = format!(
                "Revision {} is saved. It reaches nobody until you publish it.",
                saved.revision.number
            );
            Ok(done(&format!("/configs/{name}"), &noted(&words, &saved.warnings)))
        }
        Ok(_) if described => Ok(done(&format!("/configs/{name}"), "The description is changed.")),
        Ok(saved) => {
            let words = format!(
                "Revision {} has just this content, so nothing was saved.",
                saved.revision.number
            );
            Ok(done(&format!("/configs/{name}"), &words))
        }
        Err(Error::Stale) => {
            let newest = intentions.config(&call.actor, name)?;
            let author = newest
                .revisions
                .first()
                .map_or_else(String::new, |revision| revision.author.clone());
            let now = Meanwhile {
                latest: newest.summary.config.latest,
                author,
                diff: Diff::between(&newest.content.into_map(), &content.into_map()),
            };
            let why = format!(
                "revision {} was saved by {} meanwhile; look at what differs, then save again",
                now.latest, now.author
            );
            let errors = Errors::of(Error::Conflict(why))?;
            Ok(render_edit(&call, &form, &[], Some(&now), &errors))
        }
        Err(error) => {
            let (errors, found) = refused(error)?;
            Ok(render_edit(&call, &form, &found, None, &errors))
        }
    }
}

fn render_delete(call: &Call, errors: &Errors) -> Outcome {
    let name = call.param("name");
    let summary = call.app().intentions.config(&call.actor, name)?.summary;
    let body = delete(&summary, errors, &Stage::of(call).scene());
    let href = format!("/configs/{name}");
    let crumbs = [("Configs", "/configs"), (name, href.as_str())];
    Ok(page(
        call,
        errors.status(),
        &format!("Delete {name}"),
        &crumbs,
        false,
        body,
    ))
}

pub(super) async fn ask_delete(call: Call) -> Outcome {
    render_delete(&call, &Errors::default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Confirmed {
    confirm: String,
}

pub(super) async fn remove(call: Call) -> Outcome {
    let (name, posted) = (call.param("name"), call.form::<Confirmed>()?);
    if posted.confirm.trim() != name {
        return render_delete(
            &call,
            &Errors::at("confirm", &format!("type {name} to delete the config")),
        );
    }
    match call
        .app()
        .intentions
        .delete_config(&call.actor, name, None, &call.app().fleet())
        .await
    {
        Ok(()) => Ok(done("/configs", &format!("The config {name} is deleted."))),
        Err(error) => render_delete(&call, &Errors::of(error)?),
    }
}
