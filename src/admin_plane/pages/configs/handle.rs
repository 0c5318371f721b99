//! Routes of configs, and looking at them.

use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::change::{ask_delete, make, remove, save, show_edit, show_new};
use super::{config, configs, difference, revision};
use crate::admin_plane::call::{Call, View};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::guard::not_text;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::{DiffView, Markup};
use crate::admin_plane::routes::{Face, Row};
use crate::admin_plane::text;
use crate::app::configs::check;
use crate::app::error::Error;
use crate::auth::permission::Permission;
use crate::fleet::config::lint::Judged;
use crate::fleet::config::{Content, Problem};
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let (look, edit) = (Permission::ViewFleet, Permission::EditConfigs);
    vec![
        Row::page("/configs", look, list),
        Row::page("/configs/-/new", edit, show_new),
        Row::form("/configs/-/new", edit, make).with_content(),
        Row::known(
            http::Method::POST,
            "/configs/-/check",
            Face::Form,
            edit,
            check_text,
        )
        .with_content(),
        Row::page("/configs/{name}", look, show),
        Row::page("/configs/{name}/edit", edit, show_edit),
        Row::form("/configs/{name}/edit", edit, save).with_content(),
        Row::page("/configs/{name}/diff", look, compare),
        Row::page("/configs/{name}/revisions/{number}", look, show_revision),
        Row::page("/configs/{name}/revisions/{number}/download", look, download),
        Row::page("/configs/{name}/delete", edit, ask_delete),
        Row::form("/configs/{name}/delete", edit, remove),
    ]
}

/// A page of configs, `crumbs` beyond the list.
pub(super) fn page(
    call: &Call,
    status: StatusCode,
    title: &str,
    crumbs: &[(&str, &str)],
    editor: bool,
    body: Markup,
) -> Response {
    let topics: &[&str] = if title == "Configs" {
        &["configs", "groups"]
    } else {
        &[]
    };
    call.page(
        status,
        View {
            title,
            active: Some(Nav::Configs),
            crumbs,
            topics,
            editor,
            body,
            ..View::default()
        },
    )
}

async fn list(call: Call) -> Outcome {
    let all = call.app().intentions.configs(&call.actor)?;
    let body = configs(&all, &Stage::of(&call).scene());
    Ok(page(&call, StatusCode::OK, "Configs", &[], false, body))
}

async fn show(call: Call) -> Outcome {
    let name = call.param("name");
    let detail = call.app().intentions.config(&call.actor, name)?;
    let body = config(&detail, &Stage::of(&call).scene());
    Ok(page(
        &call,
        StatusCode::OK,
        name,
        &[("Configs", "/configs")],
        false,
        body,
    ))
}

#[derive(Serialize)]
struct Checked {
    problems: Vec<Problem>,
}

/// What a check finds in a text while it is typed.
async fn check_text(call: Call) -> Outcome {
    let typed = String::from_utf8(call.body.to_vec()).map_err(|_| not_text(None))?;
    let checked = Checked {
        problems: check(&Content::Yaml(typed), Judged::Layer),
    };
    let json = serde_json::to_string(&checked).map_err(Error::internal)?;
    Ok(text(StatusCode::OK, "application/json", json))
}

async fn show_revision(call: Call) -> Outcome {
    let (name, number) = (call.param("name"), call.parse("number")?);
    let intentions = &call.app().intentions;
    let view = intentions.revision(&call.actor, name, number)?;
    let latest = intentions.config(&call.actor, name)?.summary.config.latest;
    let body = revision(&view, latest, &Stage::of(&call).scene());
    let href = format!("/configs/{name}");
    let crumbs = [("Configs", "/configs"), (name, href.as_str())];
    Ok(page(
        &call,
        StatusCode::OK,
        &format!("{name} revision {number}"),
        &crumbs,
        false,
        body,
    ))
}

async fn download(call: Call) -> Outcome {
    let (name, number) = (call.param("name"), call.parse::<u64>("number")?);
    let view = call.app().intentions.revision(&call.actor, name, number)?;
    let (body, kind, ending) = match view.content {
        Content::Yaml(yaml) => (yaml, "application/yaml", "yaml"),
        files @ Content::Files(_) => (
            serde_json::to_string_pretty(&files).map_err(Error::internal)?,
            "application/json",
            "json",
        ),
    };
    let mut response = text(StatusCode::OK, kind, body);
    // A name has no character that would need quoting here.
    let file = format!(
        "attachment; filename=\"{}-{number}.{ending}\"",
        view.revision.config
    );
    let value = HeaderValue::from_str(&file).map_err(Error::internal)?;
    response.headers_mut().insert(CONTENT_DISPOSITION, value);
    Ok(response)
}

#[derive(Debug, Deserialize)]
struct Compared {
    from: u64,
    to: u64,
    #[serde(default)]
    view: String,
}

async fn compare(call: Call) -> Outcome {
    let (name, query) = (call.param("name"), call.query::<Compared>()?);
    let diff = call
        .app()
        .intentions
        .diff(&call.actor, name, query.from, query.to)?;
    let view = if query.view == "split" {
        DiffView::Split
    } else {
        DiffView::Unified
    };
    let body = difference(name, query.from, query.to, &diff, view, &Stage::of(&call).scene());
    let href = format!("/configs/{name}");
    let crumbs = [("Configs", "/configs"), (name, href.as_str())];
    let title = format!("{name} from {} to {}", query.from, query.to);
    Ok(page(&call, StatusCode::OK, &title, &crumbs, false, body))
}
