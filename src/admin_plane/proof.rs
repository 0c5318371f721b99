//! Dangerous acts take a password that was given lately. A form that lacks it comes back with a field for the password
//! and everything that was typed; posted again, it is done.

use super::call::{Call, View};
use super::failure::Failure;
use super::pages::handle::Stage;
use super::pages::prove::{FIELD, prove};
use super::pages::scene::Errors;
use crate::auth::actor::Via;
use crate::auth::password::Password;
use crate::http::Response;

/// Takes the password that a form brought, if it did. The answer, when it is a wrong one.
pub(super) async fn take(call: &mut Call) -> Result<Option<Response>, Failure> {
    if !matches!(call.actor.via, Via::Session { .. }) {
        return Ok(None);
    }
    let typed = call.typed();
    let Some((_, password)) = typed.iter().find(|(name, _)| name == FIELD) else {
        return Ok(None);
    };
    let password = Password::new(password);
    let rest = typed.iter().filter(|(name, _)| name != FIELD);
    call.visit.body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(rest)
        .finish()
        .into();
    match call.app().accounts.prove(&call.actor, &password).await {
        Ok(()) => {
            call.actor.proven_at = call.now();
            Ok(None)
        }
        Err(error) => Ok(Some(ask(call, &Errors::of(error)?.moved("password", FIELD)))),
    }
}

/// Asks for the password, with everything that was posted.
pub(super) fn ask(call: &Call, errors: &Errors) -> Response {
    let action = call
        .parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let body = prove(action, &call.typed(), errors, &Stage::of(call).scene());
    let status = if errors.is_empty() {
        http::StatusCode::FORBIDDEN
    } else {
        errors.status()
    };
    errors.onto(call.page(
        status,
        View {
            title: "Your password",
            body,
            ..View::default()
        },
    ))
}
