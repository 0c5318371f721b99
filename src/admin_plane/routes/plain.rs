//! Routes that are neither pages nor API.

use http::Method;

use super::{Access, Face, Row};
use crate::admin_plane::{events, own};
use crate::auth::permission::Permission;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::open(Method::GET, "/healthz", Face::Probe, own::healthz),
        Row::open(Method::GET, "/readyz", Face::Probe, own::readyz),
        Row::open(Method::GET, "/assets/{*path}", Face::Asset, own::asset),
        Row::known(
            Method::GET,
            "/metrics",
            Face::Probe,
            Permission::ViewFleet,
            own::metrics,
        ),
        Row::known(
            Method::GET,
            "/events",
            Face::Stream,
            Access::SignedIn,
            events::stream,
        ),
    ]
}
