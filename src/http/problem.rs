//! Errors as RFC 9457 problems.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::BodyError;
use super::form::FormError;
use super::headers::RequestId;
use super::{Response, json};

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The field as the request named it.
    pub field: String,
    /// What is wrong with it and what to do, in a sentence.
    #[serde(rename = "why")]
    pub message: String,
}

/// What went wrong, for programs and people (RFC 9457, `application/problem+json`). Never carries internals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The kind of problem, stable over releases: `urn:muster:problem:` and a word.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The status in words.
    pub title: Box<str>,
    /// The HTTP status code.
    pub status: u16,
    /// What happened here and what to do about it.
    pub detail: String,
    /// The request that it happened in: `urn:muster:request:` and the id that our log has too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Box<str>>,
    /// The fields that are wrong, if it is about fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Headers that belong to the problem, such as `Retry-After`.
    #[serde(skip)]
    headers: Option<Box<HeaderMap>>,
}

impl Problem {
    /// A problem of the kind `word`, such as `not-found`.
    pub fn new(status: StatusCode, word: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:muster:problem:{word}").into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            headers: None,
        }
    }

    /// Adds a field that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Names the request.
    #[must_use]
    pub fn request(mut self, id: RequestId) -> Self {
        self.instance = Some(format!("urn:muster:request:{id}").into());
        self
    }

    /// Asks the client to wait, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER.as_str(), seconds.to_string())
    }

    /// Adds a header to the response, such as `Allow`.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        // A value that no header can carry is left out rather than failing the answer.
        if let Ok(value) = HeaderValue::from_str(&value.into()) {
            self.headers
                .get_or_insert_default()
                .insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The problem as a response.
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = json::with_type(
            status,
            bytes,
            HeaderValue::from_static("application/problem+json"),
        );
        response
            .headers_mut()
            .extend(self.headers.map(|headers| *headers).unwrap_or_default());
        response
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

/// Nothing is at this path.
pub fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "There is nothing at this address.",
    )
}

/// The path exists, the method doesn't fit; `allow` lists those that do.
pub fn method_not_allowed(allow: impl Into<String>) -> Problem {
    let allow = allow.into();
    let detail = format!("This address answers to {allow} only.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail).header("allow", allow)
}

/// Our fault; the log has the reason under the request id.
pub fn internal() -> Problem {
    let detail = "Something failed on our side. The server's log says what, under this request's id.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let (status, word) = match &error {
            BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            BodyError::TimedOut { .. } => (StatusCode::REQUEST_TIMEOUT, "body-timed-out"),
            BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "body-broken"),
        };
        Self::new(status, word, format!("Reading the request failed: {error}."))
    }
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-form",
            "Some fields are missing or wrong.",
        );
        match error.field {
            Some(field) => problem.field(field, error.message),
            None => Self {
                detail: format!("The form is not valid: {}.", error.message),
                ..problem
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_its_json_and_carries_its_headers() {
        let problem = method_not_allowed("GET, HEAD").retry_after(Duration::from_millis(1500));
        let response = problem.clone().into_response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let id = RequestId::new();
        let problem = problem.field("name", "is empty").request(id);
        let read: Problem = serde_json::from_slice(&serde_json::to_vec(&problem).unwrap()).unwrap();
        assert_eq!(read.errors, problem.errors);
        assert_eq!(read.instance, Some(format!("urn:muster:request:{id}").into()));
        assert_eq!(&*read.kind, "urn:muster:problem:method-not-allowed");
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_left_out() {
        let response = not_found().header("allow", "a\nb").into_response();
        assert!(response.headers().get("allow").is_none());
    }

    #[test]
    fn each_failure_of_a_body_has_its_status() {
        let status = |error: BodyError| Problem::from(error).status;
        assert_eq!(status(BodyError::TooLarge { cap: 1 }), 413);
        assert_eq!(
            status(BodyError::TimedOut {
                deadline: Duration::ZERO
            }),
            408
        );
        assert_eq!(status(BodyError::Broken("x".into())), 400);
    }
}
