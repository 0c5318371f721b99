//! Opening a WebSocket: the server's answer to an upgrade, and the client's request for one.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Settings, Socket};
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::transport::upgraded_io;
use crate::http::{Request, Response};

/// The longest answer to a client's handshake, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024;

/// Whether a request asks for a WebSocket, well or badly.
pub fn is_upgrade(request: &Request) -> bool {
    has_token(request.headers(), &header::UPGRADE, "websocket")
}

/// The answer to an upgrade: the 101 to return, and what becomes the socket (see [`upgraded`]) once it was sent. Nothing
/// that the client offers is agreed on: no extension, no subprotocol.
///
/// # Errors
///
/// The refusal to return: 405, 426 for another version or no upgrade at all, 400 for a malformed one.
pub fn accept(request: &mut Request) -> Result<(Response, OnUpgrade), Problem> {
    if request.method() != Method::GET {
        return Err(crate::http::problem::method_not_allowed("GET"));
    }
    let headers = request.headers();
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if request.version() != Version::HTTP_11
        || !is_upgrade(request)
        || !has_token(headers, &header::CONNECTION, "upgrade")
        || version.is_none_or(|version| version != "13")
    {
        let detail = "This address takes WebSocket connections of version 13 over HTTP/1.1.";
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", detail);
        return Err(problem
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-version", "13"));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        // 16 bytes in base64.
        (Some(key), None) if key.len() == 24 && key.as_bytes().ends_with(b"==") => key,
        _ => {
            let detail = "The WebSocket handshake has no valid Sec-WebSocket-Key.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-handshake", detail));
        }
    };
    let proof = derive_accept_key(key.as_bytes());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(proof) = HeaderValue::from_str(&proof) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, proof);
    }
    Ok((response, hyper::upgrade::on(request)))
}

/// The socket, once the 101 was sent. Spawn a task that awaits this and then runs the connection, so that nothing of
/// HTTP stays in memory.
///
/// # Errors
///
/// When the connection ended before the upgrade, or is not of [`serve`](crate::http::serve).
pub async fn upgraded(upgrade: OnUpgrade, settings: Settings) -> io::Result<Socket> {
    let upgraded = upgrade.await.map_err(io::Error::other)?;
    let (transport, leftover) = upgraded_io(upgraded).map_err(io::Error::other)?;
    Ok(Socket::server(transport, &leftover, settings))
}

/// Another answer than the upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The headers, such as `Retry-After`.
    pub headers: HeaderMap,
}

/// Why a client has no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server answered, but not with an upgrade.
    #[error("the server refused the WebSocket with {}", .0.status)]
    Refused(Box<Refusal>),
    /// The answer is not one to a WebSocket handshake.
    #[error("the server's answer is not one to a WebSocket handshake")]
    Malformed,
    /// The connection broke.
    #[error("the connection broke during the WebSocket handshake")]
    Io(#[from] io::Error),
}

/// Opens a WebSocket on a connected `stream`, as a client: `host` for the `Host` header, `path` with its query, and
/// further headers such as `Authorization`.
///
/// # Errors
///
/// [`ConnectError`]. Put a deadline around it.
pub async fn connect<S>(
    mut stream: S,
    host: &str,
    path: &str,
    headers: &[(HeaderName, HeaderValue)],
    settings: Settings,
) -> Result<Socket<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let key = generate_key();
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    )
    .into_bytes();
    for (name, value) in headers {
        let parts = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
        request.extend(parts.concat());
    }
    request.extend(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;

    let mut read = Vec::with_capacity(512);
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if read.len() > LONGEST_ANSWER {
            return Err(ConnectError::Malformed);
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    };
    let head = read
        .get(..end)
        .and_then(parse_answer)
        .ok_or(ConnectError::Malformed)?;
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(ConnectError::Refused(Box::new(head)));
    }
    let proof = head.headers.get(header::SEC_WEBSOCKET_ACCEPT);
    let agreed_on_more = head.headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        || head.headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    if proof.is_none_or(|proof| *proof != derive_accept_key(key.as_bytes())) || agreed_on_more {
        return Err(ConnectError::Malformed);
    }
    let leftover = read.get(end + 4..).unwrap_or_default();
    Ok(Socket::client(stream, leftover, settings))
}

fn parse_answer(head: &[u8]) -> Option<Refusal> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut status_line = lines.next()?.splitn(3, ' ');
    status_line
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    let status = StatusCode::from_bytes(status_line.next()?.as_bytes()).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value.trim()).ok()?,
        );
    }
    Some(Refusal { status, headers })
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
