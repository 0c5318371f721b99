//! What a server says when it refuses: RFC 9457 problems.

use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;

/// A refusal in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// One sentence for people.
    pub why: String,
    /// What is wrong with each field: its name (empty for the whole) and why.
    pub fields: Vec<(String, String)>,
}

/// The members of a problem that we show; all may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    errors: Vec<Field>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Field {
    field: String,
    why: String,
}

impl Refusal {
    /// Reads the answer; also one that is no problem document, as from a proxy.
    pub(super) fn read(answer: &Response<Bytes>) -> Self {
        let status = answer.status();
        let problem: Problem = serde_json::from_slice(answer.body()).unwrap_or_default();
        let fields: Vec<_> = problem
            .errors
            .into_iter()
            .map(|field| (field.field, field.why))
            .collect();
        let why = problem
            .detail
            .or(problem.title)
            .unwrap_or_else(|| status.to_string());
        Self { status, why, fields }
    }
}

impl Refusal {
    /// Whether it says that a field can't be as it was given, and nothing else.
    pub(in crate::cli) fn is_about(&self, field: &str) -> bool {
        self.status == StatusCode::UNPROCESSABLE_ENTITY
            && !self.fields.is_empty()
            && self.fields.iter().all(|(name, _)| name == field)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        for (field, why) in &self.fields {
            match field.as_str() {
                // The sentence often is the only field's reason already.
                _ if self.why.contains(why) => {}
                "" => write!(f, "\n{why}")?,
                field => write!(f, "\n{field}: {why}")?,
            }
        }
        match self.status {
            StatusCode::UNAUTHORIZED => f.write_str("\ngive an API token with MUSTER_TOKEN or --token"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
