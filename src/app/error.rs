//! How a use case fails. The text is for the person who asked; what is behind it goes to the log.

use std::time::Duration;

use crate::auth::actor::{Denied, Unproven};
use crate::fleet::config::Problem;
use crate::store::{CommitError, ReadError, Shortage, Unavailable};

/// A failure of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Somebody else was faster, or the state doesn't allow it.
    #[error("{0}")]
    Conflict(String),
    /// The stated revision is not the present one.
    #[error("it was changed by somebody else meanwhile; load it again and repeat your change")]
    Stale,
    /// What was asked is wrong; each entry names a field and says what to do.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// A configuration has errors; each says where.
    #[error("{}", first_problem(.0))]
    Problems(Vec<Problem>),
    /// The actor may not.
    #[error("{0}")]
    Forbidden(#[from] Denied),
    /// Nobody was identified.
    #[error("sign in first")]
    Unauthenticated,
    /// Name and password don't belong together. Says the same of accounts that don't exist.
    #[error("the name or the password is wrong")]
    WrongCredentials,
    /// Whoever asked has the role, but may not do it in this way.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Whoever asked has the role, and is to give the password once more.
    #[error("give your password once more to do this")]
    Unproven,
    /// Too often.
    #[error("too many attempts; try again in {} s", retry_after.as_secs())]
    TooMany {
        /// When it may be tried again.
        retry_after: Duration,
    },
    /// There is no room: nothing is changed, and everything else goes on.
    #[error(
        "nothing can be changed for want of room: {0}. Make room there, or give the data folder more; writing goes on by itself then"
    )]
    ReadOnly(Shortage),
    /// The store can't take it now.
    #[error("the store can't take changes now: {0}")]
    Unavailable(String),
    /// Our fault.
    #[error("something went wrong inside; the log has the details")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The field's name in the request; empty when it is about the whole.
    pub field: String,
    /// What is wrong and what to do.
    pub why: String,
}

fn summary(errors: &[FieldError]) -> String {
    errors
        .iter()
        .map(|error| error.why.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

fn first_problem(problems: &[Problem]) -> String {
    let others = problems.len().saturating_sub(1);
    match problems.first() {
        Some(problem) if others > 0 => format!("{problem}; and {others} more"),
        Some(problem) => problem.to_string(),
        None => "the configuration has errors".to_owned(),
    }
}

impl Error {
    /// One wrong field.
    #[must_use]
    pub fn invalid(field: &str, why: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.to_owned(),
            why: why.into(),
        }])
    }

    /// A missing thing.
    #[must_use]
    pub fn not_found(what: &'static str, name: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
        }
    }

    /// A failure of ours.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

impl From<Unproven> for Error {
    fn from(why: Unproven) -> Self {
        match why {
            Unproven::Token => Self::NotAllowed(
                "an API token can't do this; do it signed in, or on the server's host with the command line",
            ),
            Unproven::TooLongAgo => Self::Unproven,
        }
    }
}

/// An expectation that failed is somebody else's change; whoever expects something else maps it before.
impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Precondition { .. } => Self::Stale,
            CommitError::Unavailable(error) => error.into(),
            CommitError::Encode { .. } | CommitError::Damaged(_) => Self::internal(error),
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(error) => error.into(),
            ReadError::Damaged(_) | ReadError::Migrate { .. } => Self::internal(error),
        }
    }
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Full(shortage) => Self::ReadOnly(shortage),
            Unavailable::Storage(_) | Unavailable::Closed | Unavailable::WriterGone => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}
