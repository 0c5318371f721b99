//! A simulated agent's connections: TCP from its own address, TLS, and on top a WebSocket or HTTP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::target::Target;
use crate::app::enrolment::{Enrol, Enrolled};
use crate::http::Transport;
use crate::http::websocket::{self, ConnectError, Socket};

/// How long each step of opening, and each answer, may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer taken.
const LARGEST: usize = 16 << 20;

/// Why a link can't be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection.
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// TLS could not be agreed on.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The server answered with another status than hoped for.
    #[error("the server refused with {status}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// How long to stay away, where it said so.
        retry_after: Option<Duration>,
    },
    /// The connection broke, or was closed.
    #[error("the connection ended")]
    Broken(#[source] io::Error),
    /// The server's answer makes no sense.
    #[error("the server's answer is not understood")]
    NotUnderstood,
    /// It took too long.
    #[error("the server took more than {} s", DEADLINE.as_secs())]
    TimedOut,
}

impl LinkError {
    /// The word to count it under.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Connect(..) => "connect",
            Self::Tls(_) => "tls",
            Self::Refused { .. } => "refused",
            Self::Broken(_) => "broken",
            Self::NotUnderstood => "not_understood",
            Self::TimedOut => "timed_out",
        }
    }

    pub(super) fn refused(status: StatusCode, headers: &HeaderMap) -> Self {
        let seconds = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        Self::Refused {
            status,
            retry_after: seconds
                .and_then(|text| text.trim().parse().ok())
                .map(Duration::from_secs),
        }
    }
}

/// Connects and agrees on TLS.
async fn open(target: &Target, source: Option<Ipv4Addr>) -> Result<Transport, LinkError> {
    let connect = async {
        match source {
            Some(source) if target.address.is_ipv4() => {
                let socket = TcpSocket::new_v4()?;
                socket.set_reuseaddr(true)?;
                socket.bind((source, 0).into())?;
                socket.connect(target.address).await
            }
            Some(_) | None => TcpStream::connect(target.address).await,
        }
    };
    let tcp = in_time(connect)
        .await?
        .map_err(|error| LinkError::Connect(target.address, error))?;
    tcp.set_nodelay(true)
        .map_err(|error| LinkError::Connect(target.address, error))?;
    let connector = TlsConnector::from(Arc::clone(&target.tls));
    let tls = in_time(connector.connect(target.name.clone(), tcp))
        .await?
        .map_err(LinkError::Tls)?;
    Ok(Transport::from(tls))
}

async fn in_time<F: Future>(work: F) -> Result<F::Output, LinkError> {
    timeout(DEADLINE, work).await.map_err(|_| LinkError::TimedOut)
}

/// Opens a WebSocket.
pub(super) async fn open_socket(
    target: &Target,
    source: Option<Ipv4Addr>,
    credential: &str,
) -> Result<Socket, LinkError> {
    let transport = open(target, source).await?;
    let settings = websocket::Settings {
        max_message: LARGEST,
        ..websocket::Settings::default()
    };
    let headers: Vec<(HeaderName, HeaderValue)> = vec![(header::AUTHORIZATION, bearer(credential)?)];
    let connect = websocket::connect(transport, &target.authority, "/v1/opamp", &headers, settings);
    in_time(connect).await?.map_err(|error| match error {
        ConnectError::Refused(refusal) => LinkError::refused(refusal.status, &refusal.headers),
        ConnectError::Malformed => LinkError::NotUnderstood,
        ConnectError::Io(error) => LinkError::Broken(error),
    })
}

/// An HTTP connection that is kept open. Nobody looks at it between two exchanges.
#[derive(Debug)]
pub(super) struct HttpLink {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: http1::Connection<TokioIo<Transport>, Full<Bytes>>,
}

impl HttpLink {
    pub(super) async fn open(target: &Target, source: Option<Ipv4Addr>) -> Result<Self, LinkError> {
        let transport = open(target, source).await?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(16 * 1024);
        let opened = builder.handshake(TokioIo::new(transport)).await;
        let (sender, connection) = opened.map_err(broken)?;
        Ok(Self { sender, connection })
    }

    /// Posts `body` to `path` and reads the whole answer. After an error the link is of no further use.
    pub(super) async fn post(
        &mut self,
        target: &Target,
        path: &str,
        credential: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Response<Bytes>, LinkError> {
        let mut request = Request::post(path)
            .header(header::HOST, &target.authority)
            .header(header::AUTHORIZATION, bearer(credential)?);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_| LinkError::NotUnderstood)?;
        let (sender, connection) = (&mut self.sender, &mut self.connection);
        let exchange = async {
            let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|error| LinkError::Broken(io::Error::other(error)))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let both = async {
            tokio::pin!(exchange);
            tokio::select! {
                biased;
                answer = &mut exchange => answer,
                // The connection has ended; what it had read by then may still be a whole answer.
                _ = connection => exchange.await,
            }
        };
        in_time(both).await?
    }
}

fn broken(error: hyper::Error) -> LinkError {
    LinkError::Broken(io::Error::other(error))
}

fn bearer(credential: &str) -> Result<HeaderValue, LinkError> {
    let mut value =
        HeaderValue::try_from(format!("Bearer {credential}")).map_err(|_| LinkError::NotUnderstood)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Exchanges an enrolment token for a credential.
pub(super) async fn enrol(
    target: &Target,
    source: Option<Ipv4Addr>,
    token: &str,
    wish: &Enrol,
) -> Result<Enrolled, LinkError> {
    let mut link = HttpLink::open(target, source).await?;
    let body = serde_json::to_vec(wish).map_err(|_| LinkError::NotUnderstood)?;
    let json = HeaderValue::from_static("application/json");
    let headers = [(header::CONTENT_TYPE, json)];
    let answer = link
        .post(target, "/v1/enroll", token, &headers, body.into())
        .await?;
    if answer.status() != StatusCode::CREATED {
        return Err(LinkError::refused(answer.status(), answer.headers()));
    }
    serde_json::from_slice(answer.body()).map_err(|_| LinkError::NotUnderstood)
}
