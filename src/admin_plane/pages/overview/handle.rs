//! Serves the overview.

use http::StatusCode;

use super::super::handle::Stage;
use super::super::layout::Nav;
use super::TOPICS;
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::routes::Row;
use crate::auth::permission::Permission;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/", Permission::ViewFleet, overview),
        Row::form("/fleet/release", Permission::Publish, release),
    ]
}

/// `GET /`
async fn overview(call: Call) -> Outcome {
    let view = call.app().overview(&call.actor)?;
    let stage = Stage::of(&call);
    let body = super::overview(&view, &stage.scene());
    Ok(call.page(
        StatusCode::OK,
        View {
            title: "Overview",
            active: Some(Nav::Overview),
            topics: &TOPICS,
            body,
            ..View::default()
        },
    ))
}

/// `POST /fleet/release`: ends the hold of the whole fleet.
async fn release(call: Call) -> Outcome {
    call.app().intentions.release_all(&call.actor).await?;
    Ok(done("/", "The fleet was released."))
}
