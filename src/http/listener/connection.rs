//! One connection, from accept to its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Slot;
use super::bind::{Accepted, AcceptedIo};
use super::guard::{Guarded, LINGER, Pace};
use super::{Counters, Limits, Peer, Security};
use crate::http::problem::{self, Problem};
use crate::http::tls::TlsStream;
use crate::http::transport::Transport;
use crate::http::{Request, Response};

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// What all connections of a listener share.
pub(super) struct Context<S> {
    pub(super) service: S,
    pub(super) security: Security,
    pub(super) limits: Limits,
    pub(super) handshakes: Semaphore,
    pub(super) shutdown: CancellationToken,
    pub(super) tracker: TaskTracker,
    pub(super) counters: Arc<Counters>,
}

impl<S, F> Context<S>
where
    S: Fn(Request, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    /// Serves one connection to its end, or to the moment when it leaves HTTP.
    pub(super) async fn run(self: Arc<Self>, accepted: Accepted, slot: Slot) {
        let Accepted { io, mut peer } = accepted;
        let overloaded = slot.is_overflow();
        let (transport, http2) = match io {
            AcceptedIo::Ready(transport) => (transport, false),
            AcceptedIo::Tcp(tcp) => match self.secure(tcp, &mut peer).await {
                Some(secured) => secured,
                None => return,
            },
        };
        let transport = transport.with_slot(slot);
        // Boxed, because a task is as big as the biggest future it ever awaits.
        if http2 {
            Box::pin(self.http2(transport, peer, overloaded)).await;
        } else {
            Box::pin(self.http1(transport, peer, overloaded)).await;
        }
    }

    /// The transport, after the handshake if there has to be one, and whether HTTP/2 was agreed on.
    async fn secure(&self, tcp: TcpStream, peer: &mut Peer) -> Option<(Transport, bool)> {
        let Security::Tls(config) = &self.security else {
            return Some((tcp.into(), false));
        };
        let handshake = Box::pin(self.handshake(config.load_full(), tcp));
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return None,
            outcome = timeout(self.limits.handshake_deadline, handshake) => outcome,
        };
        match outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(tls) => {
                let session = tls.session();
                let http2 = session.alpn_protocol() == Some(b"h2");
                let certificate = session.peer_certificates().and_then(<[_]>::first);
                peer.certificate = certificate.map(|der| Arc::new(der.clone().into_owned()));
                Some((tls.into(), http2))
            }
            Err(error) => {
                self.counters.failed_handshakes.fetch_add(1, Relaxed);
                tracing::debug!(%error, address = ?peer.address, "a TLS handshake failed");
                None
            }
        }
    }

    async fn handshake(
        &self,
        config: Arc<rustls::ServerConfig>,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        // Silent sockets wait here, before they take one of the places.
        let mut first = [0; 1];
        if tcp.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
            return Err(refuse_plain_text(tcp, first).await);
        }
        // The semaphore is never closed; if it were, handshakes would be unlimited, not impossible.
        let _permit = self.handshakes.acquire().await;
        TlsStream::accept(tcp, config).await
    }

    async fn http1(self: Arc<Self>, transport: Transport, peer: Peer, overloaded: bool) {
        let pace = Arc::new(Pace::default());
        let io = TokioIo::new(Guarded::new(transport, Arc::clone(&pace), false, &self.limits));
        let context = Arc::clone(&self);
        let service = service_fn(move |request| {
            let busy = pace.begin();
            let answer = Arc::clone(&context).answer(request, peer.clone(), overloaded);
            async move {
                let mut response = answer.await;
                response.body_mut().hold(busy);
                Ok::<_, Infallible>(response)
            }
        });
        let head = self.limits.header_bytes.max(8192);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Ours knows the difference between late headers and a pause between requests.
            .header_read_timeout(None)
            .max_header_size(head)
            .max_buf_size(head + 8192)
            .keep_alive(!overloaded)
            .serve_connection(io, service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(self.limits.drain_deadline, connection).await.unwrap_or(Ok(()))
            }
        };
        report(outcome);
    }

    async fn http2(self: Arc<Self>, transport: Transport, peer: Peer, overloaded: bool) {
        let pace = Arc::new(Pace::default());
        let io = TokioIo::new(Guarded::new(transport, pace, true, &self.limits));
        let context = Arc::clone(&self);
        let service = service_fn(move |request| {
            let answer = Arc::clone(&context).answer(request, peer.clone(), overloaded);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http2::Builder::new(Tracked(self.tracker.clone()))
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            .max_concurrent_streams(self.limits.http2_streams)
            .max_header_list_size(u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_send_buf_size(256 * 1024)
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(self.limits.drain_deadline, connection).await.unwrap_or(Ok(()))
            }
        };
        report(outcome);
    }

    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        peer: Peer,
        overloaded: bool,
    ) -> Response {
        if overloaded {
            return too_many_connections();
        }
        let head_only = request.method() == Method::HEAD;
        // A service that panics before its first await panics inside, too.
        let service = AssertUnwindSafe(async { (self.service)(request, peer).await });
        let mut response = service.catch_unwind().await.unwrap_or_else(|_| {
            self.counters.panics.fetch_add(1, Relaxed);
            tracing::error!("a request panicked");
            problem::internal().into_response()
        });
        if head_only {
            strip_body(&mut response);
        }
        response
    }
}

/// Spawns what HTTP/2 has to run, tracked like everything else.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<T> hyper::rt::Executor<T> for Tracked
where
    T: Future + Send + 'static,
    T::Output: Send + 'static,
{
    fn execute(&self, task: T) {
        self.0.spawn(task);
    }
}

fn report(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The answer to `HEAD`: what `GET` would say, without saying it.
fn strip_body(response: &mut Response) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        response
            .headers_mut()
            .entry(header::CONTENT_LENGTH)
            .or_insert(HeaderValue::from(length));
    }
}

fn too_many_connections() -> Response {
    let detail = "The server has all the connections that it can take. Try again later.";
    let wait = Duration::from_secs(fastrand::u64(30..90));
    let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-connections", detail)
        .retry_after(wait)
        .into_response();
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Tells a browser or `curl` that forgot the `s`, instead of hanging up on it.
async fn refuse_plain_text(tcp: TcpStream, first: [u8; 1]) -> io::Error {
    if first.iter().all(u8::is_ascii_uppercase) {
        let text = "This port speaks HTTPS: use an address that begins with https://\n";
        let length = text.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{text}"
        );
        // Best effort: the peer is wrong here in any case.
        let mut transport = Transport::from(tcp);
        let _ = transport.write_all(answer.as_bytes()).await;
        let _ = transport.shutdown().await;
        let _ = timeout(LINGER, poll_fn(|cx| transport.poll_discard(cx))).await;
    }
    io::Error::other("not TLS")
}
