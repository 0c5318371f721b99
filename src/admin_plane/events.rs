//! The event stream: names of what changed, and nothing else. What it means stands in [`super::pages::parts::live`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{Instant, sleep_until};

use super::AdminPlane;
use super::call::Call;
use super::failure::Outcome;
use crate::app::changes::Topic;
use crate::auth::permission::Permission;
use crate::http::{Body, Problem, Response};

/// How often the stream says that it lives, and looks whether its session still does.
const BEAT: Duration = Duration::from_secs(15);
/// How long changes are gathered before they are told.
const GATHER: Duration = Duration::from_millis(250);
/// The least time between two events of one topic.
const PACE: Duration = Duration::from_secs(1);
/// The most streams at a time.
const STREAMS: usize = 500;
/// The most topics of a stream.
const TOPICS: usize = 50;

/// The streams that are open.
#[derive(Debug)]
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    topics: String,
}

/// One open stream.
struct Stream {
    plane: Arc<AdminPlane>,
    call: Call,
    wanted: BTreeSet<String>,
    heard: broadcast::Receiver<Topic>,
    changed: BTreeSet<String>,
    told: BTreeMap<String, Instant>,
    beat: Instant,
    _place: OwnedSemaphorePermit,
}

/// Opens a stream.
pub(super) async fn stream(call: Call) -> Outcome {
    let Query { topics } = call.query()?;
    let wanted = topics
        .split(',')
        .map(str::trim)
        .filter(|name| is_name(name))
        .take(TOPICS)
        .map(str::to_owned);
    let place = Arc::clone(&call.plane.streams.0)
        .try_acquire_owned()
        .map_err(|_| {
            let why = "Too many pages are live at this time; this one is not.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", why).retry_after(BEAT)
        })?;
    let stream = Stream {
        wanted: wanted.collect(),
        heard: call.app().changes.listen(),
        changed: BTreeSet::new(),
        told: BTreeMap::new(),
        beat: Instant::now(),
        plane: Arc::clone(&call.plane),
        call,
        _place: place,
    };
    let pieces = stream::unfold(stream, |mut stream| async {
        Some((Ok(stream.next().await?), stream))
    });
    let mut response = Response::new(Body::stream(pieces));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

impl Stream {
    /// The next thing to say; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let now = Instant::now();
            if now >= self.beat {
                if !self.is_live() {
                    return None;
                }
                self.beat = now + BEAT;
                return Some(self.event("beat"));
            }
            let due = self.changed.iter().find(|name| self.due(name) <= now).cloned();
            if let Some(name) = due {
                self.changed.remove(&name);
                self.told.insert(name.clone(), now);
                return Some(self.event(&name));
            }
            let wake = self
                .changed
                .iter()
                .map(|name| self.due(name))
                .min()
                .unwrap_or(self.beat)
                .min(self.beat);
            let plane = Arc::clone(&self.plane);
            tokio::select! {
                () = plane.stop.cancelled() => return None,
                () = sleep_until(wake) => {}
                heard = self.heard.recv() => self.hear(heard)?,
            }
        }
    }

    fn hear(&mut self, heard: Result<Topic, RecvError>) -> Option<()> {
        match heard {
            Ok(topic) if self.may_hear(&topic) => {
                let name = topic.name();
                if self.wanted.contains(&name) {
                    self.note(name);
                }
            }
            Ok(_) => {}
            // What was missed may have been anything.
            Err(RecvError::Lagged(_)) => {
                for name in self.wanted.clone() {
                    self.note(name);
                }
            }
            Err(RecvError::Closed) => return None,
        }
        Some(())
    }

    /// Gathers: the first change of a topic starts the wait, later ones join it.
    fn note(&mut self, name: String) {
        if self.changed.insert(name.clone()) {
            let soon = Instant::now() + GATHER;
            let last = self.told.get(&name).map(|told| *told + PACE);
            let due = last.map_or(soon, |last| last.max(soon));
            self.told.insert(name, due - PACE);
        }
    }

    fn due(&self, name: &str) -> Instant {
        self.told.get(name).map_or_else(Instant::now, |told| *told + PACE)
    }

    fn may_hear(&self, topic: &Topic) -> bool {
        let permission = match topic {
            Topic::Agents
            | Topic::Agent(_)
            | Topic::Groups
            | Topic::Group(_)
            | Topic::Configs
            | Topic::Rollouts
            | Topic::Rollout(_) => Permission::ViewFleet,
            Topic::Enrolment => Permission::EnrolAgents,
        };
        self.call.actor.may(permission).is_ok()
    }

    /// Whether whoever opened the stream still may: a session that ended or lost its role ends it.
    fn is_live(&self) -> bool {
        let peer = crate::http::Peer {
            uid: self.call.local_uid(),
            ..crate::http::Peer::default()
        };
        let present = self.plane.identify(&self.call.parts.headers, &peer, true);
        present
            .actor()
            .is_some_and(|actor| actor.role == self.call.actor.role)
    }

    fn event(&self, name: &str) -> Bytes {
        format!("event: {name}\ndata: {}\n\n", self.call.now().millis()).into()
    }
}

/// Whether a text can be a topic's name, and so can't break out of its line.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/_-.".contains(&byte);
    !name.is_empty() && name.len() <= 100 && name.bytes().all(fits)
}
