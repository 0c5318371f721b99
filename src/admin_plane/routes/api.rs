//! Routes of the API.

use http::Method;

use super::{Access, Face, Row};
use crate::admin_plane::openapi;

pub(super) fn rows() -> Vec<Row> {
    vec![Row::known(
        Method::GET,
        "/api/v1/openapi.json",
        Face::Api,
        Access::SignedIn,
        openapi::document,
    )]
}
