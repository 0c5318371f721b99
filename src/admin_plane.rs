//! The admin plane: what people and scripts reach. Pages for people, the API for scripts, the event stream, and the
//! files that a browser needs.
//!
//! Everything derives from one table of rows, `routes`: what is routed, who may, how requests are protected, and the
//! document that describes the API. A handler parses, calls one use case and renders; it decides nothing.

mod api;
pub mod assets;
mod call;
mod events;
mod failure;
mod guard;
mod identity;
mod openapi;
mod own;
pub mod pages;
mod proof;
mod rate;
mod repeats;
mod routes;
mod schema;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, IF_MATCH, TRANSFER_ENCODING};
use http::request;
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use call::{Call, Visit, is_fragment};
use failure::{Failure, Outcome};
use identity::Who;
use pages::scene::Errors;
use routes::{Handler, Row, Rule};

use crate::app::App;
use crate::app::accounts::SETUP_LINK_FILE;
use crate::app::audit::missing_role;
use crate::app::clock::Stopwatch;
use crate::app::error::Error;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;
use crate::http::body;
use crate::http::headers::protect_page;
use crate::http::router::Lookup;
use crate::http::{Peer, Request, RequestId, Response, Router, RouterError};
use crate::observability::metrics::Plane;

pub use routes::{Described, Face, Need, described};

/// How long a request's body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What the plane is made of.
#[derive(Debug)]
pub struct Parts {
    /// The use cases.
    pub app: Arc<App>,
    /// What is known of this installation.
    pub site: Site,
    /// Where acts run that nobody may cut in two by hanging up.
    pub tracker: TaskTracker,
    /// Ends the event streams.
    pub stop: CancellationToken,
    /// Whether requests should come here: from the end of the start to the beginning of the stop.
    pub ready: Arc<AtomicBool>,
}

/// What pages and API say of this installation.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name, from the settings.
    pub name: String,
    /// The certificate of the authority that hosts have to trust.
    pub ca_pem: String,
    /// The SHA-256 of that certificate.
    pub ca_fingerprint: Digest,
    /// When that certificate ends.
    pub ca_expires: Timestamp,
    /// When the server's own certificate ends, in nanoseconds since 1970; whoever renews it sets this.
    pub certificate_ends: Arc<AtomicU64>,
    /// The names and addresses in the server's certificate: what `Host` may say. The first one goes into links.
    pub names: Vec<String>,
    /// Names with `*.` in front, which stand for others: they are answered to, and never go into links.
    pub wildcards: Vec<String>,
    /// The port of the agent plane.
    pub agent_port: u16,
    /// The port of the admin plane.
    pub admin_port: u16,
    /// The largest message that agents may send, in bytes.
    pub message_limit_bytes: usize,
    /// Where everything is kept.
    pub data_folder: PathBuf,
    /// What the program says of its verbs and settings.
    pub manual: Arc<pages::help::Manual>,
}

/// The admin plane.
#[derive(Debug)]
pub struct AdminPlane {
    app: Arc<App>,
    site: Site,
    tracker: TaskTracker,
    stop: CancellationToken,
    ready: Arc<AtomicBool>,
    router: Router<Row>,
    hosts: guard::Hosts,
    rates: rate::Rates,
    repeats: repeats::Repeats,
    streams: events::Streams,
    /// The user that this server runs as.
    own_uid: u32,
}

/// What the log says of a request.
#[derive(Default)]
struct Told {
    route: Option<&'static str>,
    actor: Option<String>,
    quiet: bool,
}

impl AdminPlane {
    /// The plane over these parts.
    ///
    /// # Errors
    /// When the table of routes contradicts itself.
    pub fn new(parts: Parts) -> Result<Arc<Self>, RouterError> {
        let Parts {
            app,
            site,
            tracker,
            stop,
            ready,
        } = parts;
        let rows = routes::table().into_iter();
        let router = Router::new(rows.map(|row| (row.method.clone(), row.path, row)))?;
        Ok(Arc::new(Self {
            hosts: guard::Hosts::new(site.names.iter().chain(&site.wildcards)),
            app,
            site,
            tracker,
            stop,
            ready,
            router,
            rates: rate::Rates::default(),
            repeats: repeats::Repeats::default(),
            streams: events::Streams::default(),
            own_uid: rustix::process::geteuid().as_raw(),
        }))
    }

    /// Answers one request, of a listener on the network or of the local socket.
    pub async fn serve(self: Arc<Self>, request: Request, peer: Peer) -> Response {
        let id = RequestId::new();
        let (parts, body) = request.into_parts();
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let address = peer.address.map(|address| address.ip());
        let mut told = Told::default();
        let watch = Stopwatch::start();
        let mut response = self.answer(parts, body, &peer, id, &mut told).await;
        protect_page(response.headers_mut());
        if let Ok(id) = id.to_string().parse() {
            response.headers_mut().insert("x-request-id", id);
        }
        self.app.metrics.http_request(Plane::Admin, response.status());
        let Told { route, actor, quiet } = told;
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (address, actor) = (address.map(|address| address.to_string()), actor.as_deref());
        if quiet && status < 400 {
            tracing::debug!(%method, path, route, status, duration_ms, actor, address, request_id = %id, "answered");
        } else {
            tracing::info!(%method, path, route, status, duration_ms, actor, address, request_id = %id, "answered");
        }
        response
    }

    async fn answer(
        self: &Arc<Self>,
        parts: request::Parts,
        body: hyper::body::Incoming,
        peer: &Peer,
        id: RequestId,
        told: &mut Told,
    ) -> Response {
        let by_itself = is_fragment(&parts.headers) || parts.uri.path() == "/events";
        let who = self.identify(&parts.headers, peer, by_itself);
        told.actor = who.actor().map(|actor| actor.name.clone());
        let mut visit = Visit {
            plane: Arc::clone(self),
            params: crate::http::Params::default(),
            body: Bytes::new(),
            id,
            address: peer.address.map(|address| address.ip()),
            session: who.session_secret(),
            parts,
        };
        let given = self.app.given_certificate();
        let given = |name: &str| given.as_ref().is_some_and(|given| given.names.cover(name));
        if let Err(problem) = self.hosts.check(&visit.parts, peer.uid.is_some(), given) {
            return problem.request(id).into_response();
        }
        let path = visit.parts.uri.path().to_owned();
        let row = match self.router.find(&visit.parts.method, &path) {
            Lookup::Found { value, params } => {
                visit.params = params;
                value
            }
            Lookup::NotFound => {
                let failure = crate::http::problem::not_found().into();
                return failure::answer(failure, &visit, &who, visit.wants_page());
            }
            Lookup::MethodNotAllowed { allow } => {
                let failure = crate::http::problem::method_not_allowed(allow).into();
                return failure::answer(failure, &visit, &who, visit.wants_page());
            }
        };
        told.route = Some(row.path);
        told.quiet = matches!(row.face, Face::Asset | Face::Probe);
        let page = matches!(row.face, Face::Page | Face::Form) && !visit.is_fragment();
        let failed = visit.clone();
        match self.run(row, visit, &who, body).await {
            Ok(response) => response,
            Err(failure) => failure::answer(failure, &failed, &who, page),
        }
    }

    /// Everything that has to hold before a handler runs, in the order of what costs least.
    async fn run(
        self: &Arc<Self>,
        row: &Row,
        mut visit: Visit,
        who: &Who,
        body: hyper::body::Incoming,
    ) -> Outcome {
        let mutates = !matches!(visit.parts.method, Method::GET | Method::HEAD);
        self.rates
            .permit(row.rate, who, visit.address, self.app.clock().now())?;
        if mutates && !row.versioned && visit.parts.headers.contains_key(IF_MATCH) {
            let why = "If-Match counts for nothing here, so nothing was done; leave it out.";
            return Err(crate::http::Problem::new(StatusCode::BAD_REQUEST, "if-match", why).into());
        }
        if mutates {
            guard::same_site(&visit.parts.headers, who, visit.host())?;
        }
        let actor = match row.rule {
            Rule::Public => None,
            rule @ (Rule::SignedIn | Rule::Needs(_) | Rule::Local) => {
                let permitted = who.permitted(rule);
                if permitted.is_err() {
                    self.tell_refused(row, who);
                }
                Some(permitted?)
            }
        };
        if mutates
            || visit.parts.headers.contains_key(CONTENT_LENGTH)
            || visit.parts.headers.contains_key(TRANSFER_ENCODING)
        {
            visit.body = body::read(body, row.body_bytes, BODY_DEADLINE)
                .await
                .map_err(crate::http::Problem::from)?;
        }
        if mutates {
            visit.body = guard::form_token(&visit, who)?;
        }
        let mut again = None;
        let work = match (&row.handler, actor) {
            (Handler::Open(handler), _) => handler(visit),
            (Handler::Known(handler), Some(actor)) => {
                let mut call = Call { actor, visit };
                if row.face == Face::Form {
                    if let Some(wrong) = proof::take(&mut call).await? {
                        return Ok(wrong);
                    }
                    again = Some(call.clone());
                }
                if row.repeats {
                    self.repeatable(call, Arc::clone(handler))
                } else {
                    handler(call)
                }
            }
            (Handler::Known(_), None) => return Err(Failure::unauthenticated()),
        };
        if !mutates {
            return work.await;
        }
        // Somebody who hangs up must not cut an act in two.
        let outcome = self.tracker.spawn(work).await.map_err(Failure::internal)?;
        match (outcome, again) {
            (Err(Failure::App(Error::Unproven)), Some(call)) => Ok(proof::ask(&call, &Errors::default())),
            (outcome, _) => outcome,
        }
    }

    /// Counts for the audit log that somebody who is known may not use a route.
    fn tell_refused(&self, row: &Row, who: &Who) {
        let Some(actor) = who.actor() else { return };
        let missing = match row.rule {
            Rule::Needs(permission) => missing_role(permission),
            Rule::Local => "not on this host",
            Rule::Public | Rule::SignedIn => return,
        };
        let reason = format!("{missing}: {} {}", row.method, row.path);
        self.app
            .audit
            .refused(&actor.name, actor.address, "request", reason);
    }

    /// Whether requests should come here.
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Removes the file with the setup link: it opens nothing any more, and looks like a secret.
    fn forget_setup_link(&self) {
        let path = self.site.data_folder.join(SETUP_LINK_FILE);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, file = %path.display(), "the used setup link can't be removed");
        }
    }

    /// The name under which links lead here.
    fn authority(&self) -> String {
        let name = self.site.names.first().map_or("localhost", String::as_str);
        let is_v6 = name.parse::<std::net::Ipv6Addr>().is_ok();
        let name = if is_v6 {
            format!("[{name}]")
        } else {
            name.to_owned()
        };
        format!("{name}:{}", self.site.admin_port)
    }
}

/// A plain text answer.
fn text(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(crate::http::Body::full(text.into()));
    *response.status_mut() = status;
    let value = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    response
}
