//! `Idempotency-Key`: a request that makes something and is repeated gets the answer of the first one.
//!
//! The answers are kept in memory, for ten minutes and at most 500 of them; after a restart a repeated request is a new
//! one. Long enough for a script that lost its connection, short enough for answers that hold a secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::OnceCell;

use super::AdminPlane;
use super::call::Call;
use super::failure::Failure;
use super::routes::{Known, Work};
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;
use crate::http::{Body, Problem, Response};

const LIFE: Duration = Duration::from_mins(10);
const KEPT: usize = 500;
const LONGEST_KEY: usize = 128;

/// The answers that are kept, by who asked, what for and the key.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<BTreeMap<(String, String, String), Kept>>);

#[derive(Clone, Debug)]
struct Kept {
    at: Timestamp,
    body: Digest,
    answer: Arc<OnceCell<Said>>,
}

#[derive(Clone, Debug)]
struct Said {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl AdminPlane {
    /// Runs `handler`, or repeats what it said to the same request before. One that comes while the first one still runs
    /// waits for its answer. A failure isn't kept: trying again is then what is wanted.
    pub(super) fn repeatable(self: &Arc<Self>, call: Call, handler: Known) -> Work {
        let plane = Arc::clone(self);
        Box::pin(async move {
            let Some(key) = call.header("idempotency-key").map(str::to_owned) else {
                return handler(call).await;
            };
            if key.is_empty() || key.len() > LONGEST_KEY {
                let why = format!("Idempotency-Key has 1 to {LONGEST_KEY} characters.");
                return Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency-key", why).into());
            }
            let name = (call.actor.name.clone(), call.parts.uri.path().to_owned(), key);
            let kept = plane.repeats.kept(name, Digest::of(&call.body), call.now())?;
            let mut is_first = false;
            let said = kept.get_or_try_init(|| async {
                is_first = true;
                Said::of(handler(call).await?).await
            });
            let said = said.await?.clone();
            Ok(said.into_response(is_first))
        })
    }
}

impl Repeats {
    fn kept(
        &self,
        name: (String, String, String),
        body: Digest,
        now: Timestamp,
    ) -> Result<Arc<OnceCell<Said>>, Failure> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| now.since(kept.at) < LIFE);
        if let Some(same) = kept.get(&name) {
            if same.body == body {
                return Ok(Arc::clone(&same.answer));
            }
            let why = "This Idempotency-Key was used for another request; choose a new one for each.";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key", why).into());
        }
        if kept.len() >= KEPT {
            let oldest = kept
                .iter()
                .min_by_key(|(_, kept)| kept.at)
                .map(|(name, _)| name.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        let answer = Arc::default();
        kept.insert(
            name,
            Kept {
                at: now,
                body,
                answer: Arc::clone(&answer),
            },
        );
        Ok(answer)
    }
}

impl Said {
    async fn of(response: Response) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(Failure::internal)?.to_bytes();
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    fn into_response(self, is_first: bool) -> Response {
        let mut response = Response::new(Body::full(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if !is_first {
            response
                .headers_mut()
                .insert("idempotent-replayed", http::HeaderValue::from_static("true"));
        }
        response
    }
}
