//! `/v1/enroll`: an enrolment token becomes a credential.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::{AgentPlane, bearer};
use crate::app::enrolment::Enrol;
use crate::app::error::Error;
use crate::http::{Problem, Request, Response, body, json};

impl AgentPlane {
    pub(super) async fn enrol(&self, request: Request, address: Option<IpAddr>) -> Result<Response, Problem> {
        let token = bearer(&request).ok_or_else(unauthenticated)?.to_owned();
        // The token is looked at before the body: strangers cost nothing.
        self.app
            .check_enrolment(&token, address)
            .map_err(|error| problem(&error))?;
        let _share = self.room_for(&request)?;
        let bytes = body::read(
            request.into_body(),
            self.settings.message.bytes,
            self.settings.body_deadline,
        )
        .await?;
        let wish: Enrol = if bytes.is_empty() {
            Enrol::default()
        } else {
            json::parse(&bytes)
                .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "json", error.to_string()))?
        };
        let app = Arc::clone(&self.app);
        let enrolled = self
            .to_the_end(async move { app.enrol(&token, wish, address).await })
            .await?
            .map_err(|error| problem(&error))?;
        Ok(json::response(StatusCode::CREATED, &enrolled))
    }
}

fn unauthenticated() -> Problem {
    let why = "an enrolment token that is valid, not used up and not expired is needed; make one on the page Add agents";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", why)
        .header("www-authenticate", "Bearer realm=\"muster enrolment\"")
}

pub(super) fn problem(error: &Error) -> Problem {
    match error {
        Error::Unauthenticated => unauthenticated(),
        Error::Invalid(fields) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string());
            fields.iter().fold(problem, |problem, field| {
                problem.field(field.field.clone(), field.why.clone())
            })
        }
        Error::Problems(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string()),
        Error::Unavailable(_) | Error::ReadOnly(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
                .retry_after(Duration::from_secs(30))
        }
        Error::TooMany { retry_after } => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", error.to_string())
                .retry_after(*retry_after)
        }
        Error::Conflict(_) | Error::Stale => {
            Problem::new(StatusCode::CONFLICT, "conflict", error.to_string())
        }
        Error::NotFound { .. }
        | Error::Forbidden(_)
        | Error::WrongCredentials
        | Error::Unproven
        | Error::NotAllowed(_) => Problem::new(StatusCode::FORBIDDEN, "refused", error.to_string()),
        Error::Internal(source) => {
            tracing::error!(error = %source, "an enrolment failed inside");
            crate::http::problem::internal()
        }
    }
}
