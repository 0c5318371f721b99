//! What page functions share: who looks and when, links with a query, and what went wrong with a form.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::parts::{FieldError, error_summary, visible_text};
use crate::app::error::Error;
use crate::auth::permission::{Permission, Role};
use crate::fleet::time::Timestamp;
use crate::http::Response;

/// What a page function is given besides its view.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The present time, from which ages are told.
    pub now: Timestamp,
    /// The form token of the session.
    pub form_token: &'a str,
    /// What whoever looks may do: buttons for anything else are left out.
    pub role: Role,
}

impl Scene<'_> {
    /// Whether whoever looks may do it.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }
}

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A text as it stands in one part of a URL: a segment of its path, or a value of its query.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// The list of agents, filtered.
#[must_use]
pub fn agents_href(filter: &str) -> String {
    format!("/agents?q={}", encoded(filter))
}

/// A message as a sentence begins: with a capital letter where it begins with a letter.
#[must_use]
pub fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// What is wrong with what a form posted: the field, empty for the whole form, and a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    found: Vec<(String, String)>,
    status: StatusCode,
    /// When it may be tried again, where that is what is wrong.
    retry_after: Option<Duration>,
}

impl Errors {
    /// One wrong field.
    #[must_use]
    pub fn at(field: &str, message: &str) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    /// Somebody else was faster: what is said of the whole form.
    #[must_use]
    pub fn conflict(message: &str) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            ..Self::at("", message)
        }
    }

    /// Adds another wrong field.
    pub fn add(&mut self, field: &str, message: &str) {
        // It may quote what was typed.
        self.found
            .push((field.to_owned(), sentence(&visible_text(message))));
        self.status = StatusCode::UNPROCESSABLE_ENTITY;
    }

    /// What a use case refused, when whoever filled the form in can mend it there; otherwise the error back.
    ///
    /// # Errors
    /// The error that no form can show: the thing is gone, the role is missing, the fault is ours.
    pub fn of(error: Error) -> Result<Self, Error> {
        let status = match &error {
            Error::Invalid(_) | Error::Problems(_) | Error::WrongCredentials => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Stale => StatusCode::PRECONDITION_FAILED,
            Error::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::NotAllowed(_) => StatusCode::FORBIDDEN,
            Error::ReadOnly(_) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Unavailable(_)
            | Error::NotFound { .. }
            | Error::Forbidden(_)
            | Error::Unauthenticated
            | Error::Unproven
            | Error::Internal(_) => return Err(error),
        };
        let mut errors = Self::default();
        if let Error::Invalid(fields) = &error {
            for error in fields {
                errors.add(&error.field, &error.why);
            }
        } else if let Error::Problems(problems) = &error {
            for problem in problems {
                errors.add("content", &problem.to_string());
            }
        } else {
            errors.add("", &error.to_string());
        }
        let mut retry_after = None;
        if let Error::TooMany { retry_after: wait } = &error {
            retry_after = Some(*wait);
        }
        Ok(Self {
            status,
            retry_after,
            ..errors
        })
    }

    /// Puts what is said of fields that begin with `from` to the field `to`: entries of a list to the list.
    #[must_use]
    pub fn gathered(self, from: &str, to: &str, told: impl Fn(&str, &str) -> String) -> Self {
        let move_to = |(field, message): (String, String)| match field.strip_prefix(from) {
            Some(rest) if field != to => (to.to_owned(), told(rest, &message)),
            _ => (field, message),
        };
        Self {
            found: self.found.into_iter().map(move_to).collect(),
            ..self
        }
    }

    /// Puts what is said of the field `from` to the field `to`.
    #[must_use]
    pub fn moved(mut self, from: &str, to: &str) -> Self {
        for (field, _) in &mut self.found {
            if field == from {
                to.clone_into(field);
            }
        }
        self
    }

    /// With which status the form is shown again; 200 while nothing is wrong.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer with which the form is shown again, with when it may be tried again where that is what is wrong.
    #[must_use]
    pub fn onto(&self, mut response: Response) -> Response {
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What is wrong with a field: the first thing that is.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.found
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, message)| message.as_str())
    }

    /// All of it, for the top of the form.
    #[must_use]
    pub fn summary(&self) -> Markup {
        let errors: Vec<_> = self
            .found
            .iter()
            .map(|(field, message)| FieldError { field, message })
            .collect();
        error_summary(&errors)
    }
}

/// Lines of a text area, each with its number from 1, without those that are blank.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty())
}

/// A size as people read it.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let (mut whole, mut rest, mut unit) = (size / 1024, size % 1024, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1024, whole % 1024, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or("TiB");
    match rest * 10 / 1024 {
        0 => format!("{whole} {name}"),
        tenth => format!("{whole}.{tenth} {name}"),
    }
}

/// Small print in a cell, where there is something to say.
#[must_use]
pub fn quiet(text: &Markup) -> Markup {
    html! { span.quiet { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_list_come_to_the_field_that_holds_it() {
        let error = Error::invalid("selectors[1]", "column 3: expected a value");
        let errors = Errors::of(error).unwrap();
        let errors = errors.gathered("selectors[", "selectors", |rest, message| {
            let line: usize = rest.trim_end_matches(']').parse().unwrap();
            format!("Line {}: {message}", line + 1)
        });
        assert_eq!(
            errors.field("selectors"),
            Some("Line 2: Column 3: expected a value")
        );
    }

    #[test]
    fn what_no_form_can_mend_is_handed_back() {
        assert!(Errors::of(Error::not_found("group", "edge")).is_err());
        let stale = Errors::of(Error::Stale).unwrap();
        assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
        assert!(
            stale
                .field("")
                .unwrap()
                .starts_with("It was changed by somebody else")
        );
    }

    #[test]
    fn sizes_have_units() {
        let said = [0, 1023, 1024, 1536, 5 * 1024 * 1024, u64::MAX].map(bytes);
        assert_eq!(
            said,
            ["0 B", "1023 B", "1 KiB", "1.5 KiB", "5 MiB", "16777215.9 TiB"]
        );
    }

    #[test]
    fn a_filter_survives_the_url() {
        assert_eq!(
            agents_href("group = a, config = \"in sync\""),
            "/agents?q=group%20%3D%20a%2C%20config%20%3D%20%22in%20sync%22"
        );
    }
}
