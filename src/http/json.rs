//! JSON bodies, both ways.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::Body;
use super::problem::Problem;
use super::{Response, problem};

/// A body that is not the JSON that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct JsonError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1; 0 at a line's start.
    pub column: usize,
    /// What is wrong, such as an unknown field and the known ones.
    pub message: String,
}

/// Reads a value from JSON. Fields that `T` doesn't know are errors where `T` says `deny_unknown_fields`.
///
/// # Errors
///
/// [`JsonError`] with the place and the reason.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        JsonError {
            line,
            column,
            message: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        }
    })
}

/// A response with `value` as JSON.
pub fn response(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => with_type(status, bytes, HeaderValue::from_static("application/json")),
        Err(error) => {
            tracing::error!(%error, "a value could not be written as JSON");
            problem::internal().into_response()
        }
    }
}

pub(super) fn with_type(status: StatusCode, bytes: Vec<u8>, content_type: HeaderValue) -> Response {
    let mut response = Response::new(Body::full(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-json",
            format!("The body is not valid: {error}."),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
    }

    #[test]
    fn an_error_says_where_and_what() {
        assert_eq!(parse::<Named>(b"{\"name\":\"a\"}").unwrap().name, "a");
        let error = parse::<Named>(b"{\n \"naem\": 1}").unwrap_err();
        assert_eq!((error.line, error.column), (2, 7));
        assert_eq!(error.message, "unknown field `naem`, expected `name`");
        assert!(parse::<Named>(b"{\"name\":\"a\"} x").is_err());
    }
}
