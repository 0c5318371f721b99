//! The client of the API that online verbs use: over the local socket of a server on this machine, where no token is
//! needed, or over TLS.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::observability::Secret;
use crate::pki;
use crate::settings::{self, Environment, Settings};

mod refusal;
mod transport;

pub use refusal::Refusal;

/// How long a connection, and then an answer, may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// The same for an act on many agents: each of them is made durable.
const PATIENT: Duration = Duration::from_mins(30);

/// Where public authorities lie on common systems.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which server an online verb talks to.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Server")]
pub struct ClientArgs {
    /// The data folder of the server on this machine.
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        conflicts_with = "server",
        help = "Ask the server on this machine that has this data folder; also MUSTER_DATA [default: ./muster-data]"
    )]
    pub data: Option<PathBuf>,
    /// The URL of another server.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Ask the server at this address, as in https://muster.example.com:4321; also MUSTER_SERVER"
    )]
    pub server: Option<String>,
    /// The API token for that server.
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        help = "The API token for --server; better given as MUSTER_TOKEN, which other users don't see"
    )]
    pub token: Option<String>,
    /// A PEM file with the authorities to trust.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "ca_sha256",
        help = "Trust only the authorities in this PEM file; also MUSTER_CA [default: those of this system]"
    )]
    pub ca: Option<PathBuf>,
    /// The fingerprint of the authority to trust.
    #[arg(
        long,
        global = true,
        value_name = "HEX",
        help = "Trust only the authority with this SHA-256 fingerprint; also MUSTER_CA_SHA256"
    )]
    pub ca_sha256: Option<String>,
}

impl ClientArgs {
    /// The data folder of the server on this machine; `None` when another server is named.
    pub(super) fn data_folder(&self, environment: &Environment) -> Option<PathBuf> {
        if self.server.is_some() {
            return None;
        }
        let named = self.data.clone();
        let named = named.or_else(|| environment.value("DATA").map(PathBuf::from));
        Some(named.unwrap_or_else(|| Settings::default().data))
    }
}

/// Why the server didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The flags or variables that name the server make no sense.
    #[error("{0}")]
    Arguments(String),
    /// There is no local socket.
    #[error(
        "no server is running on {}; start one there, name its data folder with --data, or name another server with --server",
        socket.display()
    )]
    NotRunning {
        /// Where the socket would be.
        socket: PathBuf,
    },
    /// No connection, or it broke.
    #[error("cannot reach the server at {server}")]
    Unreachable {
        /// The socket or the URL.
        server: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The server understood and said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request couldn't be written.
    #[error("the request is not valid")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what this version expects.
    #[error("the server's answer to {path} is not understood; is it another version?")]
    Answer {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// A client of one server. Each call is one connection.
#[derive(Clone, Debug)]
pub struct Client {
    target: Target,
    token: Option<Secret<String>>,
    deadline: Duration,
}

#[derive(Clone, Debug)]
enum Target {
    Local(PathBuf),
    Remote {
        host: String,
        port: u16,
        tls: Arc<ClientConfig>,
    },
}

impl Client {
    /// Whether the server takes us for the operator of its host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.target, Target::Local(_)) && self.token.is_none()
    }

    /// The client that flags and environment describe; flags win. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Arguments`] says what is wrong with them.
    pub fn new(args: &ClientArgs, environment: &Environment) -> Result<Self, ClientError> {
        let ClientArgs {
            data,
            server,
            token,
            ca,
            ca_sha256,
        } = args;
        let or_variable = |flag: &Option<String>, name| {
            flag.clone()
                .or_else(|| environment.value(name).map(str::to_owned))
        };
        let or_path = |flag: &Option<PathBuf>, name| {
            flag.clone()
                .or_else(|| environment.value(name).map(PathBuf::from))
        };
        // A data folder that was named means the local server, whatever the environment says.
        let server = if data.is_some() {
            None
        } else {
            or_variable(server, "SERVER")
        };
        let Some(server) = server else {
            return Ok(Self::local(data.as_deref(), environment));
        };
        let (host, port) = parse_server(&server)?;
        // The fingerprint in the environment must not beat a file that was named, nor the other way round.
        let (ca, pin) = match (ca, ca_sha256) {
            (None, None) => (or_path(&None, "CA"), or_variable(&None, "CA_SHA256")),
            (ca, pin) => (ca.clone(), pin.clone()),
        };
        let tls = trust(ca, pin)?;
        let token = or_variable(token, "TOKEN").map(Secret::new);
        Ok(Self {
            target: Target::Remote { host, port, tls },
            token,
            deadline: DEADLINE,
        })
    }

    /// The same client, for what may take long.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self {
            deadline: PATIENT,
            ..self.clone()
        }
    }

    /// The client of the server on this machine that has the data folder `data`, or the one that `MUSTER_DATA` names, or
    /// the default one.
    #[must_use]
    pub fn local(data: Option<&Path>, environment: &Environment) -> Self {
        let data = data.or_else(|| environment.value("DATA").map(Path::new));
        let socket = data.map_or_else(|| Settings::default().socket(), settings::socket_in);
        Self {
            target: Target::Local(socket),
            token: None,
            deadline: DEADLINE,
        }
    }

    /// Reads the resource at `path` (with its query).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        decode(path, &self.send(Method::GET, path, None, None).await?)
    }

    /// Sends `body` as JSON and reads the answer; `()` where there is none to read.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        self.change(Method::POST, path, body, None).await
    }

    /// Sends `body` as JSON with `method`, only if the resource still has the entity tag `if_match`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn change<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
        if_match: Option<&str>,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Request(error.into()))?;
        decode(path, &self.send(method, path, Some(body.into()), if_match).await?)
    }

    /// Sends one request and reads the whole answer, which is a success.
    ///
    /// # Errors
    /// See [`ClientError`]; a status from 300 on is [`ClientError::Refused`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        json: Option<Bytes>,
        if_match: Option<&str>,
    ) -> Result<Response<Bytes>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.host())
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(header::USER_AGENT, concat!("muster/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            let mut value =
                header::HeaderValue::try_from(format!("Bearer {}", token.reveal())).map_err(|_| {
                    ClientError::Arguments("the token holds characters that no token has".to_owned())
                })?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(tag) = if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(json.unwrap_or_default()))
            .map_err(|error| ClientError::Request(error.into()))?;
        let answer = tokio::time::timeout(self.deadline, transport::exchange(&self.target, request))
            .await
            .unwrap_or_else(|_| {
                let why = format!("no answer within {} s", self.deadline.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            })
            .map_err(|source| self.unreachable(source))?;
        if answer.status() < StatusCode::MULTIPLE_CHOICES {
            Ok(answer)
        } else {
            Err(Refusal::read(&answer).into())
        }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        match &self.target {
            Target::Local(socket)
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                ClientError::NotRunning {
                    socket: socket.clone(),
                }
            }
            Target::Local(socket) => ClientError::Unreachable {
                server: socket.display().to_string(),
                source,
            },
            Target::Remote { .. } => ClientError::Unreachable {
                server: format!("https://{}", self.host()),
                source,
            },
        }
    }

    /// The `Host` header: over the socket a name that the server's list of hosts always holds.
    fn host(&self) -> String {
        match &self.target {
            Target::Local(_) => "localhost".to_owned(),
            Target::Remote { host, port: 443, .. } => host.clone(),
            Target::Remote { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

/// One segment of a path: `text` with everything escaped that could end or bend it.
#[must_use]
pub fn segment(text: &str) -> String {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'~');
    const KEPT_WITH_DOT: percent_encoding::AsciiSet = KEPT.remove(b'.');
    // A segment of dots alone would be resolved away.
    let dots = text.bytes().all(|byte| byte == b'.');
    let set = if dots { &KEPT } else { &KEPT_WITH_DOT };
    percent_encoding::utf8_percent_encode(text, set).to_string()
}

fn decode<T: DeserializeOwned>(path: &str, answer: &Response<Bytes>) -> Result<T, ClientError> {
    // An answer without a body (204) reads as `null`, which is `()`.
    let body: &[u8] = if answer.body().is_empty() {
        b"null"
    } else {
        answer.body()
    };
    serde_json::from_slice(body).map_err(|source| ClientError::Answer {
        path: path.to_owned(),
        source,
    })
}

fn parse_server(server: &str) -> Result<(String, u16), ClientError> {
    let wrong = || {
        let why =
            format!("{server:?} is not the address of a server, such as https://muster.example.com:4321");
        ClientError::Arguments(why)
    };
    let uri: Uri = server.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(host)) if bare && !host.is_empty() => {
            Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
        }
        _ => Err(wrong()),
    }
}

/// What to trust: the authorities in a file, the one with this fingerprint, or those of the system.
pub(super) fn trust(ca: Option<PathBuf>, pin: Option<String>) -> Result<Arc<ClientConfig>, ClientError> {
    if let Some(pin) = pin {
        let digest = pki::parse_fingerprint(&pin)
            .map_err(|error| ClientError::Arguments(format!("--ca-sha256: {error}")))?;
        return pki::pinned_client_config(digest).map_err(|error| ClientError::Arguments(error.to_string()));
    }
    let Some(path) = ca.or_else(|| {
        SYSTEM_AUTHORITIES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    }) else {
        let why = "this system has no list of authorities; name the server's with --ca or --ca-sha256";
        return Err(ClientError::Arguments(why.to_owned()));
    };
    let wrong = |why: String| ClientError::Arguments(format!("{}: {why}", path.display()));
    let pem = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    pki::client_config(&pem).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests;
