//! Failures as answers: mapped once, to a problem for scripts and a page for people.

use http::{Method, StatusCode};
use maud::html;

use super::call::{Call, View, Visit, see_other};
use super::identity::Who;
use super::pages::layout::page_head;
use crate::app::accounts::SetupStatus;
use crate::app::error::Error;
use crate::http::{Problem, RequestId, Response, problem};

/// What a handler answers.
pub(super) type Outcome = Result<Response, Failure>;

/// Why a request was not served.
#[derive(Debug)]
pub(super) enum Failure {
    /// A use case failed.
    App(Error),
    /// The request itself is wrong.
    Problem(Problem),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::App(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Failure {
    /// The same for everybody who isn't known, whatever they sent.
    pub(super) fn unauthenticated() -> Self {
        Self::App(Error::Unauthenticated)
    }

    pub(super) fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::App(Error::internal(source))
    }

    fn into_problem(self, id: RequestId) -> Problem {
        match self {
            Self::App(error) => of_use_case(&error, id),
            Self::Problem(problem) => problem,
        }
        .request(id)
    }
}

/// A failure as the answer to `visit`: a page, or a problem.
pub(super) fn answer(failure: Failure, visit: &Visit, who: &Who, page: bool) -> Response {
    let is_stranger = matches!(failure, Failure::App(Error::Unauthenticated));
    if page && is_stranger {
        return sign_in(visit);
    }
    let problem = failure.into_problem(visit.id);
    if !page {
        return problem.into_response();
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = problem.title.to_string();
    let body = html! {
        (page_head(&html! { (title) }, None, None))
        p { (problem.detail) }
        @if !problem.errors.is_empty() {
            ul { @for error in &problem.errors { li { (error.field) ": " (error.message) } } }
        }
        p { a href="/" { "Overview" } }
        p.quiet { "Request " code { (visit.id) } }
    };
    let mut response = match who.actor() {
        Some(actor) => {
            let call = Call {
                actor: actor.clone(),
                visit: visit.clone(),
            };
            call.page(
                status,
                View {
                    title: &title,
                    body,
                    ..View::default()
                },
            )
        }
        None => visit.bare(status, &title, None, &body),
    };
    let headers = problem.into_response().into_parts().0.headers;
    for name in ["retry-after", "allow"] {
        if let Some(value) = headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Leads a person to where they sign in, and from there back.
fn sign_in(visit: &Visit) -> Response {
    if !matches!(visit.app().accounts.setup_status(), SetupStatus::Claimed) {
        return see_other("/setup");
    }
    let here = visit
        .parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    if here == "/" || !matches!(visit.parts.method, Method::GET | Method::HEAD) {
        return see_other("/login");
    }
    let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
    see_other(&format!("/login?next={next}"))
}

fn of_use_case(error: &Error, id: RequestId) -> Problem {
    let text = || sentence(&error.to_string());
    match error {
        Error::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND, "not-found", text()),
        Error::Conflict(_) => Problem::new(StatusCode::CONFLICT, "conflict", text()),
        Error::Stale => Problem::new(StatusCode::PRECONDITION_FAILED, "stale", text()),
        Error::Invalid(errors) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text());
            errors
                .iter()
                .fold(problem, |problem, error| problem.field(&error.field, &error.why))
        }
        Error::Problems(problems) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-config", text());
            problems.iter().take(100).fold(problem, |problem, found| {
                problem.field("content", found.to_string())
            })
        }
        Error::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, "forbidden", text()),
        Error::NotAllowed(_) => Problem::new(StatusCode::FORBIDDEN, "not-allowed", text()),
        Error::Unproven => {
            let why = "This takes a password that was given in the last 10 minutes. Post yours to \
                       /api/v1/account/prove, then repeat it.";
            Problem::new(StatusCode::FORBIDDEN, "unproven", why)
        }
        Error::Unauthenticated => {
            let why = "Sign in, or send an API token as a bearer token.";
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", why);
            problem.header("www-authenticate", "Bearer realm=\"muster\"")
        }
        Error::WrongCredentials => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong-credentials", text())
        }
        Error::TooMany { retry_after } => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", text()).retry_after(*retry_after)
        }
        Error::Unavailable(why) => {
            tracing::warn!(error = %why, request_id = %id, "a request could not be served now");
            let why = "The store can't take this now. The server's log says why, under this request's id.";
            let wait = std::time::Duration::from_secs(5);
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why).retry_after(wait)
        }
        Error::ReadOnly(_) => {
            let wait = std::time::Duration::from_secs(30);
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, "read-only", text()).retry_after(wait)
        }
        Error::Internal(source) => {
            tracing::error!(error = %source, detail = ?source, request_id = %id, "a request failed inside");
            problem::internal()
        }
    }
}

/// A text of ours as a sentence: a capital first, a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    sentence.push_str(letters.as_str());
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}
