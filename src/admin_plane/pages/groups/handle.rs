//! Routes of groups, and looking at them.

use http::StatusCode;
use serde::Deserialize;

use super::change::{ask_delete, ask_withdraw, confirm, make, remove, save, show_edit, show_new, take_back};
use super::hold::{ask_hold, put_hold, release};
use super::{group, groups, rendered};
use crate::admin_plane::call::{Call, View};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::Markup;
use crate::admin_plane::routes::Row;
use crate::app::error::Error;
use crate::auth::permission::Permission;
use crate::fleet::target::LayerRef;
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let edit = Permission::EditGroups;
    vec![
        Row::page("/groups", Permission::ViewFleet, list),
        Row::page("/groups/-/new", edit, show_new),
        Row::form("/groups/-/new", edit, make),
        Row::page("/groups/{name}", Permission::ViewFleet, show),
        Row::page("/groups/{name}/rendered", Permission::ViewFleet, look),
        Row::page("/groups/{name}/edit", edit, show_edit),
        Row::form("/groups/{name}/edit", edit, save),
        Row::page("/groups/{name}/delete", edit, ask_delete),
        Row::form("/groups/{name}/delete", edit, remove),
        Row::page("/groups/{name}/withdraw", Permission::Publish, ask_withdraw),
        Row::form("/groups/{name}/withdraw", Permission::Publish, take_back),
        Row::page("/groups/{name}/hold", Permission::OperateAgents, ask_hold),
        Row::form("/groups/{name}/hold", Permission::OperateAgents, put_hold),
        Row::form("/groups/{name}/release", Permission::Publish, release),
        Row::form("/groups/{name}/confirm", Permission::Publish, confirm),
    ]
}

/// A page of groups; `crumbs` beyond the list.
pub(super) fn page(
    call: &Call,
    status: StatusCode,
    title: &str,
    crumbs: &[(&str, &str)],
    topics: &[&str],
    body: Markup,
) -> Response {
    call.page(
        status,
        View {
            title,
            active: Some(Nav::Groups),
            crumbs,
            topics,
            body,
            ..View::default()
        },
    )
}

async fn list(call: Call) -> Outcome {
    let all = call.app().intentions.groups(&call.actor, &call.app().fleet())?;
    let body = groups(&all, &Stage::of(&call).scene());
    Ok(page(
        &call,
        StatusCode::OK,
        "Groups",
        &[],
        &["groups", "agents"],
        body,
    ))
}

async fn show(call: Call) -> Outcome {
    let name = call.param("name");
    let detail = call
        .app()
        .intentions
        .group(&call.actor, name, &call.app().fleet())?;
    let claims = call.app().group_claims(&call.actor, name)?;
    let moves = call.app().group_moves(&call.actor, name)?;
    let rollouts = call
        .app()
        .list_rollouts(&call.actor, Some(&detail.summary.group.name))?;
    let body = group(&detail, &claims, &moves, &rollouts, &Stage::of(&call).scene());
    Ok(page(
        &call,
        StatusCode::OK,
        name,
        &[("Groups", "/groups")],
        &["groups", "agents", "rollouts"],
        body,
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looked {
    layers: String,
    agent: String,
}

async fn look(call: Call) -> Outcome {
    let (app, name, query) = (call.app(), call.param("name"), call.query::<Looked>()?);
    let mut layers =
        LayerRef::list(&query.layers).map_err(|error| Error::invalid("layers", error.to_string()))?;
    if layers.is_empty() {
        layers = app.intentions.newest_layers(&call.actor, name)?;
    }
    let agent = Some(query.agent.as_str()).filter(|agent| !agent.is_empty());
    let no_agent = |_| Error::not_found("agent", &query.agent);
    let agent = agent.map(|agent| agent.parse().map_err(no_agent)).transpose()?;
    let view = app.rendered(&call.actor, name, &layers, agent)?;
    let body = rendered(&view, &Stage::of(&call).scene());
    let href = format!("/groups/{name}");
    Ok(page(
        &call,
        StatusCode::OK,
        &format!("What {name} is sent"),
        &[("Groups", "/groups"), (name, &href)],
        &[],
        body,
    ))
}
