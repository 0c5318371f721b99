//! What monitoring and browsers ask of the server itself.

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

use super::assets;
use super::call::{Call, Visit};
use super::failure::Outcome;
use super::text;
use crate::http::{Body, problem};

const PLAIN: &str = "text/plain; charset=utf-8";

/// Whether the process answers at all.
pub(super) async fn healthz(_: Visit) -> Outcome {
    Ok(text(StatusCode::OK, PLAIN, "ok\n"))
}

/// Whether requests should come here.
pub(super) async fn readyz(visit: Visit) -> Outcome {
    if visit.plane.is_ready() {
        // Agents go on being served, so whoever leads them here is not to stop.
        return Ok(match visit.app().read_only() {
            None => text(StatusCode::OK, PLAIN, "ready\n"),
            Some(short) => text(StatusCode::OK, PLAIN, format!("ready, read-only: {short}\n")),
        });
    }
    Ok(text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "not ready\n"))
}

/// A file for browsers.
pub(super) async fn asset(visit: Visit) -> Outcome {
    let (known, coding) = (
        visit.header(IF_NONE_MATCH.as_str()),
        visit.header(ACCEPT_ENCODING.as_str()),
    );
    let found = assets::asset(visit.param("path"), known, coding).ok_or_else(problem::not_found)?;
    Ok(found.map(Body::full))
}

/// Our own metrics, as OpenMetrics text.
pub(super) async fn metrics(call: Call) -> Outcome {
    let page = call.app().metrics_page(&call.actor)?;
    Ok(text(
        StatusCode::OK,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        page,
    ))
}
