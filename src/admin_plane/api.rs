//! The API: JSON for scripts and the command line. A file for each noun; each handler is one call of a use case.

pub(super) mod account;
pub(super) mod agents;
pub(super) mod audit;
pub(super) mod configs;
pub(super) mod enrolment;
pub(super) mod groups;
pub(super) mod rollouts;
pub(super) mod secrets;
pub(super) mod system;

use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::http::{Body, Response, json};

/// What a handler of the API answers.
pub(super) type Given<R> = Result<Answer<R>, Failure>;

/// No fields: for routes without a query or without a body.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// An answer of the API.
#[derive(Debug)]
pub(super) struct Answer<R> {
    status: StatusCode,
    value: Option<R>,
    revision: Option<u64>,
    location: Option<String>,
}

impl<R> Answer<R> {
    /// Here it is.
    pub(super) fn ok(value: R) -> Self {
        Self {
            status: StatusCode::OK,
            value: Some(value),
            revision: None,
            location: None,
        }
    }

    /// It was made, and is at `location` from now on.
    pub(super) fn created(value: R, location: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CREATED,
            location: Some(location.into()),
            ..Self::ok(value)
        }
    }

    /// With the revision that `If-Match` states when it is changed.
    pub(super) fn at_revision(self, revision: u64) -> Self {
        Self {
            revision: Some(revision),
            ..self
        }
    }
}

impl Answer<()> {
    /// It was done, and there is nothing to say.
    pub(super) fn done() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            value: None,
            revision: None,
            location: None,
        }
    }
}

impl<R: Serialize> Answer<R> {
    pub(super) fn into_response(self, if_none_match: Option<&str>) -> Response {
        let tag = self.revision.map(|revision| format!("\"{revision}\""));
        let has_it = tag.as_deref().is_some_and(|tag| {
            if_none_match.is_some_and(|known| {
                known
                    .split(',')
                    .any(|known| known.trim().trim_start_matches("W/") == tag)
            })
        });
        let mut response = match &self.value {
            Some(_) if has_it => empty(StatusCode::NOT_MODIFIED),
            Some(value) => json::response(self.status, value),
            None => empty(self.status),
        };
        let headers = [(ETAG, tag), (LOCATION, self.location)];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
