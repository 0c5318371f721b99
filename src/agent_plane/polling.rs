//! OpAMP over plain HTTP: one request, one answer, at once.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::AgentPlane;
use super::entry::{Heard, TurnedAway, spread_wait};
use crate::app::exchange::Message;
use crate::fleet::agent::{RefusalKind, Reply};
use crate::fleet::ids::InstanceUid;
use crate::http::{Body, Problem, Request, Response, body};
use crate::opamp::body as wire;

impl AgentPlane {
    /// Answers one poll.
    pub(super) async fn poll(&self, request: Request, address: Option<IpAddr>) -> Result<Response, Problem> {
        let speaker = self.authenticate(&request, address)?;
        let headers = request.headers();
        if !is_protobuf(headers) {
            let why = "send OpAMP as Content-Type: application/x-protobuf, or open a WebSocket with GET";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media_type",
                why,
            ));
        }
        let encoding =
            wire::Encoding::of(text(headers, header::CONTENT_ENCODING)).map_err(|error| refused(&error))?;
        let gzip = wire::accepts_gzip(text(headers, header::ACCEPT_ENCODING));
        let claimed = headers
            .get("opamp-instance-uid")
            .map(|value| value.to_str().unwrap_or_default().to_owned());
        let limit = self.settings.message.bytes;
        let mut share = self.room_for(&request)?;
        let packed = body::read(request.into_body(), limit, self.settings.body_deadline).await?;
        let bytes = wire::open(&packed, encoding, limit).map_err(|error| refused(&error))?;
        if let Cow::Owned(inflated) = &bytes
            && !share.grow(packed.len() + inflated.len())
        {
            return Err(self.no_room());
        }
        let Heard {
            echo,
            message,
            share: _read,
        } = match self.read(&speaker, &bytes) {
            Ok(heard) => heard,
            Err(turned) => {
                self.app
                    .metrics
                    .messages_received
                    .inc(crate::observability::metrics::MessageKind::Invalid);
                return Ok(self.turn_away(&turned));
            }
        };
        if let Some(claimed) = claimed
            && claimed.parse::<InstanceUid>().ok() != Some(message.uid())
        {
            let why = "the header OpAMP-Instance-UID names another agent than the message";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "instance_uid", why));
        }
        self.app.metrics.messages_received.inc(kind(&message));
        let app = Arc::clone(&self.app);
        let spoken = self
            .to_the_end(async move { app.exchange(&speaker, None, message).await })
            .await?;
        if let Reply::Error(error) = &spoken.reply
            && error.kind == RefusalKind::Unavailable
        {
            // Clients repeat a message only after 503 or 429: it isn't lost.
            let wait = error.retry_after.unwrap_or_else(spread_wait);
            let problem = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                error.message.clone(),
            );
            return Err(problem.retry_after(wait));
        }
        let answer = self
            .offers
            .write(Vec::new(), echo.as_bytes(), &spoken.reply, limit);
        Ok(response(StatusCode::OK, answer, gzip))
    }

    fn turn_away(&self, turned: &TurnedAway) -> Response {
        if turned.too_often {
            let why = "this agent sends too many messages; send less often";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_messages", why);
            return problem.retry_after(spread_wait()).into_response();
        }
        if turned.no_room {
            return self.no_room().into_response();
        }
        // What can't be decoded is 400; what can, but is wrong, is an answer like any other (S-301).
        let status = if turned.unreadable {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        let bytes = self.offers.write(
            Vec::new(),
            turned.echo.as_bytes(),
            &turned.reply,
            self.settings.message.bytes,
        );
        response(status, bytes, false)
    }
}

/// The kind of a message, for metrics.
pub(super) fn kind(message: &Message) -> crate::observability::metrics::MessageKind {
    match message {
        Message::Heartbeat(_) => crate::observability::metrics::MessageKind::Heartbeat,
        Message::Report(_) => crate::observability::metrics::MessageKind::Report,
    }
}

fn response(status: StatusCode, answer: Vec<u8>, gzip: bool) -> Response {
    let bytes = if gzip { wire::gzip(&answer) } else { answer };
    let mut response = http::Response::new(Body::full(Bytes::from(bytes)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(wire::MEDIA_TYPE));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let media_type = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(wire::MEDIA_TYPE)
}

fn refused(error: &wire::BodyError) -> Problem {
    let (status, word) = match error {
        wire::BodyError::UnknownEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding"),
        wire::BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        wire::BodyError::Damaged => (StatusCode::BAD_REQUEST, "damaged"),
    };
    Problem::new(status, word, error.to_string())
}
