//! The pages of help. Whoever is signed in may read them.

use http::StatusCode;

use super::{Topic, index, page, verb};
use crate::admin_plane::call::{Call, View};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::routes::{Access, Row};
use crate::http::problem;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/help", Access::SignedIn, list),
        Row::page("/help/{topic}", Access::SignedIn, show),
        Row::page("/help/command-line/{verb}", Access::SignedIn, show_verb),
    ]
}

async fn list(call: Call) -> Outcome {
    Ok(call.page(
        StatusCode::OK,
        View {
            title: "Help",
            active: Some(Nav::Help),
            body: index(),
            ..View::default()
        },
    ))
}

async fn show(call: Call) -> Outcome {
    let topic = Topic::of(call.param("topic")).ok_or_else(problem::not_found)?;
    Ok(call.page(
        StatusCode::OK,
        View {
            title: topic.title(),
            active: Some(Nav::Help),
            body: page(topic, &call.plane.site),
            ..View::default()
        },
    ))
}

async fn show_verb(call: Call) -> Outcome {
    let name = call.param("verb");
    let body = verb(name, &call.plane.site.manual).ok_or_else(problem::not_found)?;
    Ok(call.page(
        StatusCode::OK,
        View {
            title: name,
            active: Some(Nav::Help),
            crumbs: &[("Help", "/help"), ("Command line", "/help/command-line")],
            body,
            ..View::default()
        },
    ))
}
