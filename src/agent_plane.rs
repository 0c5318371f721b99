//! The agent plane: what agents reach, and nothing else. Every request is authenticated before its body is read, but for
//! the join script, which is public; nothing here decides what an agent hears, see [`crate::app::exchange`].

mod answer;
mod enrol;
mod entry;
mod joining;
mod polling;
mod throttle;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Method;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::join::System;
use crate::app::{App, offers};
use crate::http::router::Lookup;
use crate::http::{Budget, Peer, Problem, Request, Response, Router, RouterError, problem};
use crate::opamp;

/// What the agent plane can be set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much one message may ask of us.
    pub message: opamp::Limits,
    /// How many messages a minute one agent may send.
    pub messages_per_minute: u32,
    /// What all messages that are being received and read may take together, in bytes.
    pub messages_in_flight: usize,
    /// How often a silent WebSocket is pinged; it is closed when two pings in a row go unanswered.
    pub ping: Duration,
    /// How long a write may take.
    pub write_deadline: Duration,
    /// How long a WebSocket may be open without a first message.
    pub first_message_deadline: Duration,
    /// How long a request's body may take, or a message on a WebSocket once it has begun.
    pub body_deadline: Duration,
    /// The authority that the join script tells hosts to trust, as PEM.
    pub ca_pem: String,
}

/// The agent plane.
#[derive(Debug)]
pub struct AgentPlane {
    app: Arc<App>,
    settings: Settings,
    router: Router<Route>,
    throttle: throttle::Throttle,
    budget: Arc<Budget>,
    offers: answer::Offers,
    tracker: TaskTracker,
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Poll,
    Connect,
    Enrol,
    Standing,
    Rewrite,
    JoinScript(System),
}

impl AgentPlane {
    /// The plane over `app`. Connections run in `tracker` and end with `stop`.
    ///
    /// # Errors
    /// When the table of routes contradicts itself.
    pub fn new(
        app: Arc<App>,
        settings: Settings,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, RouterError> {
        let router = Router::new([
            (Method::POST, "/v1/opamp", Route::Poll),
            (Method::GET, "/v1/opamp", Route::Connect),
            (Method::POST, "/v1/enroll", Route::Enrol),
            (Method::GET, "/v1/agent", Route::Standing),
            (Method::POST, "/v1/rotate", Route::Rewrite),
            (
                Method::GET,
                System::Linux.path(),
                Route::JoinScript(System::Linux),
            ),
            (
                Method::GET,
                System::MacOs.path(),
                Route::JoinScript(System::MacOs),
            ),
            (
                Method::GET,
                System::Windows.path(),
                Route::JoinScript(System::Windows),
            ),
        ])?;
        let throttle = throttle::Throttle::per_minute(settings.messages_per_minute);
        let shown = app.metrics.messages_in_flight.clone();
        let budget = Budget::new(settings.messages_in_flight, shown);
        let offers = answer::Offers::default();
        Ok(Arc::new(Self {
            app,
            settings,
            router,
            throttle,
            budget,
            offers,
            tracker,
            stop,
        }))
    }

    /// Answers one request.
    pub async fn serve(self: Arc<Self>, request: Request, peer: Peer) -> Response {
        let route = match self.router.find(request.method(), request.uri().path()) {
            Lookup::Found { value, .. } => *value,
            Lookup::NotFound => return problem::not_found().into_response(),
            Lookup::MethodNotAllowed { allow } => return problem::method_not_allowed(allow).into_response(),
        };
        if request.headers().contains_key(http::header::ORIGIN) {
            let why = "agents send no Origin; pages of other sites have no business here";
            return Problem::new(http::StatusCode::FORBIDDEN, "origin", why).into_response();
        }
        let address = peer.address.map(|address| address.ip());
        let answered = match route {
            Route::Enrol => self.enrol(request, address).await,
            Route::Poll => self.poll(request, address).await,
            Route::Connect => self.connect(request, address),
            Route::Standing => self.standing(&request, address),
            Route::Rewrite => self.rewrite(&request, address).await,
            Route::JoinScript(system) => self.join_script(&request, system),
        };
        answered.unwrap_or_else(Problem::into_response)
    }

    /// Runs an act to its end, whoever waits for it. A request whose peer hangs up is dropped where it stands: what was
    /// made durable would never reach memory, and what could not be would never be taken back. An act that is over at
    /// once, as most heartbeats are, takes no task.
    async fn to_the_end<T: Send + 'static>(
        &self,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut act = Box::pin(act);
        let at_once = std::future::poll_fn(|context| Poll::Ready(act.as_mut().poll(context)));
        if let Poll::Ready(done) = at_once.await {
            return Ok(done);
        }
        self.tracker.spawn(act).await.map_err(|error| {
            tracing::error!(error = %error, "a request of an agent failed inside");
            problem::internal()
        })
    }

    /// The agent behind a request's bearer token, before anything else of the request is looked at.
    fn authenticate(
        &self,
        request: &Request,
        address: Option<IpAddr>,
    ) -> Result<crate::app::identities::Speaker, Problem> {
        let secret = bearer(request).ok_or_else(unauthenticated)?;
        let host = request.headers().get(http::header::HOST);
        let authority = host.and_then(|host| offers::authority(host.to_str().ok()?));
        self.app
            .authenticate(secret, address, authority)
            .map_err(|refusal| {
                tracing::debug!(reason = %refusal, "an agent's credential was refused");
                self.app
                    .metrics
                    .refused
                    .inc(crate::observability::metrics::RefusalReason::Credential);
                unauthenticated()
            })
    }
}

/// The bearer token of a request.
fn bearer(request: &Request) -> Option<&str> {
    let header = request
        .headers()
        .get(http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The same for every credential that isn't accepted.
fn unauthenticated() -> Problem {
    let why = "a bearer token of an enrolled agent is needed; enrol with a token from the page Add agents";
    Problem::new(http::StatusCode::UNAUTHORIZED, "unauthenticated", why)
        .header("www-authenticate", "Bearer realm=\"muster\"")
}
