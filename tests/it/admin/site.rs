//! A site: the plane on a port of this machine and on a local socket, claimed by `anna`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster::admin_plane::{self, AdminPlane, Need, described};
use muster::app::accounts::NewToken;
use muster::app::clock::Clock;
use muster::app::tasks::Tasks;
use muster::app::vault::{Keys, SealKey};
use muster::app::{self, App};
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::auth::secret::Secret;
use muster::fleet::hash::{Digest, HashKey};
use muster::fleet::time::Timestamp;
use muster::http::{Counters, Limits, Listener, Peer, Request, Security, Serving, serve};
use muster::observability::metrics::Metrics;
use muster::store::Store;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::openapi::conforms;
use crate::people::{self, PASSWORD};

/// The name in the site's certificate, if it had one.
pub(crate) const NAME: &str = "muster.example.com";

pub(crate) struct Site {
    pub(crate) app: Arc<App>,
    pub(crate) stop: CancellationToken,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) address: SocketAddr,
    pub(crate) session: Secret,
    tokens: BTreeMap<Role, Secret>,
    socket: PathBuf,
    document: Mutex<Option<Value>>,
    _folder: tempfile::TempDir,
    _tasks: Tasks,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The word of the problem that it is.
    pub(crate) fn problem(&self) -> String {
        let json = self.json();
        json["type"]
            .as_str()
            .unwrap()
            .trim_start_matches("urn:muster:problem:")
            .to_owned()
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let tasks = Tasks::new();
        let store = Store::in_memory().unwrap();
        let (settings, metrics) = (app::Settings::default(), Arc::new(Metrics::new()));
        let keys = Keys {
            hash: HashKey([7; 32]),
            seal: SealKey([9; 32]),
        };
        let app = App::load(store, clock, keys, settings, metrics, &tasks).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let ready = Arc::new(AtomicBool::new(true));
        let site = admin_plane::Site {
            name: "Test site".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
            ca_fingerprint: Digest([1; 32]),
            ca_expires: Timestamp::EPOCH,
            certificate_ends: Arc::default(),
            names: vec![NAME.to_owned(), "192.0.2.7".to_owned()],
            wildcards: vec!["*.example.org".to_owned()],
            agent_port: 4320,
            admin_port: 4321,
            message_limit_bytes: 1 << 20,
            data_folder: folder.path().to_owned(),
            manual: Arc::new(muster::server::manual()),
        };
        let tracker = TaskTracker::new();
        let plane = AdminPlane::new(admin_plane::Parts {
            app: Arc::clone(&app),
            site,
            tracker: tracker.clone(),
            stop: stop.clone(),
            ready: Arc::clone(&ready),
        });
        let plane = plane.unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let address = listener.address().unwrap();
        let socket = folder.path().join("muster.sock");
        for listener in [listener, Listener::bind_local(&socket).unwrap()] {
            let plane = Arc::clone(&plane);
            tracker.spawn(serve(Serving {
                listener,
                security: Security::Plain,
                limits: Limits::default(),
                service: move |request: Request, peer: Peer| Arc::clone(&plane).serve(request, peer),
                shutdown: stop.clone(),
                tracker: tracker.clone(),
                counters: Arc::new(Counters::default()),
            }));
        }
        let (session, tokens) = claim(&app).await;
        let document = Mutex::new(None);
        Self {
            app,
            stop,
            ready,
            address,
            session,
            tokens,
            socket,
            document,
            _folder: folder,
            _tasks: tasks,
        }
    }

    pub(crate) fn token(&self, role: Role) -> &str {
        self.tokens[&role].expose()
    }

    /// Begins a request.
    pub(crate) fn call(&self, method: Method, path: &str) -> Ask<'_> {
        let headers = vec![("host".to_owned(), NAME.to_owned())];
        Ask {
            site: self,
            method,
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
            local: false,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        self.call(Method::GET, path)
    }

    /// Holds an answer of the API to the document.
    async fn check(&self, method: &Method, path: &str, answer: &Answer) {
        if !path.starts_with("/api/") || !answer.status.is_success() || path.ends_with("openapi.json") {
            return;
        }
        let known = self.document.lock().unwrap().clone();
        let document = if let Some(document) = known {
            document
        } else {
            let asked = self.get("/api/v1/openapi.json").local();
            let document = Box::pin(asked.send()).await.json();
            self.document.lock().unwrap().insert(document).clone()
        };
        let path = path.split('?').next().unwrap();
        let is_at = |pattern: &str| {
            let fits = |(part, given): (&str, &str)| part.starts_with('{') || part == given;
            pattern.split('/').count() == path.split('/').count()
                && pattern.split('/').zip(path.split('/')).all(fits)
        };
        let paths = document["paths"].as_object().unwrap();
        let exact = paths.get(path).or_else(|| {
            paths
                .iter()
                .find(|(pattern, _)| is_at(pattern))
                .map(|(_, found)| found)
        });
        let operation =
            &exact.unwrap_or_else(|| panic!("{path} is not in the document"))[method.as_str().to_lowercase()];
        if answer.status == StatusCode::NO_CONTENT {
            assert!(
                operation["responses"]["204"].is_object(),
                "{method} {path} answers without a body"
            );
            return;
        }
        let responses = operation["responses"].as_object().unwrap();
        let (_, response) = responses
            .iter()
            .find(|(status, _)| status.starts_with("20"))
            .unwrap();
        let schema = &response["content"]["application/json"]["schema"];
        if let Err(why) = conforms(&document, schema, &answer.json(), "$") {
            panic!("{method} {path}: {why}\n{}", answer.text());
        }
    }
}

async fn claim(app: &App) -> (Secret, BTreeMap<Role, Secret>) {
    let setup = app.accounts.issue_setup_token(&people::host()).await.unwrap();
    let password = Password::new(PASSWORD);
    let signed_in = app
        .accounts
        .claim(setup.expose(), "anna", &password, &people::visitor(1))
        .await
        .unwrap();
    let mut tokens = BTreeMap::new();
    for role in [Role::Viewer, Role::Operator, Role::Deployer, Role::Admin] {
        let wanted = NewToken {
            name: role.word().to_owned(),
            role,
            days: 1,
            account: None,
        };
        let (secret, _) = app.accounts.create_token(&signed_in.actor, wanted).await.unwrap();
        tokens.insert(role, secret);
    }
    (signed_in.secret, tokens)
}

pub(crate) struct Ask<'a> {
    site: &'a Site,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    local: bool,
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Over the local socket, as the user that runs the tests.
    pub(crate) fn local(mut self) -> Self {
        self.local = true;
        self
    }

    pub(crate) fn bearer(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    pub(crate) fn role(self, role: Role) -> Self {
        let secret = self.site.token(role).to_owned();
        self.bearer(&secret)
    }

    /// With the session of `anna`, as a browser sends it.
    pub(crate) fn browser(self) -> Self {
        let cookie = format!("__Host-muster_session={}", self.site.session.expose());
        self.header("cookie", &cookie).header("accept", "text/html")
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = serde_json::to_vec(body).unwrap().into();
        self.header("content-type", "application/json")
    }

    pub(crate) fn bare_form(mut self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body = body.into();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// With these very bytes as its body.
    pub(crate) fn bytes(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// With what every form of `anna`'s browser carries.
    pub(crate) fn own_form(self) -> Self {
        let token = muster::auth::form_token::form_token(&self.site.session);
        self.browser()
            .header("origin", &format!("https://{NAME}"))
            .header("x-form-token", &token)
    }

    /// Sends it and reads no more than the head of the answer.
    pub(crate) async fn open(&self) -> http::Response<Incoming> {
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body.clone())).unwrap();
        if self.local {
            let stream = UnixStream::connect(&self.site.socket).await.unwrap();
            exchange(TokioIo::new(stream), request).await
        } else {
            exchange(
                TokioIo::new(TcpStream::connect(self.site.address).await.unwrap()),
                request,
            )
            .await
        }
    }

    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.open().await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        };
        self.site.check(&self.method, &self.path, &answer).await;
        answer
    }
}

/// Drives the connections of all sites.
static CONNECTIONS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

async fn exchange<T>(io: T, request: http::Request<Full<Bytes>>) -> http::Response<Incoming>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    CONNECTIONS.spawn(connection);
    sender.send_request(request).await.unwrap()
}

/// Whether a role may use a route.
pub(crate) fn may(role: Role, need: Need) -> bool {
    match need {
        Need::Nothing | Need::SignedIn => true,
        Need::Permission(permission) => role.may(permission),
        Need::LocalSocket => false,
    }
}

/// The rows of the table, with their parameters filled in.
pub(crate) fn filled_rows() -> Vec<(admin_plane::Described, String)> {
    let fill = |path: &str| {
        let parts = path.split('/').map(|part| match part {
            "{id}" => "00000000000000000000000000000001",
            "{number}" | "{revision}" => "1",
            part if part.starts_with('{') => "nobody",
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    };
    described()
        .into_iter()
        .map(|row| (row.clone(), fill(row.path)))
        .collect()
}
