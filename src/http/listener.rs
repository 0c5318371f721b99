//! Accepting connections and speaking HTTP on them, within limits: caps before TLS, deadlines for handshakes, headers
//! and writes, a tracked task per connection, and a drain that waits for upgraded connections too.

mod admission;
mod bind;
mod connection;
mod guard;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use admission::Slot;
pub use bind::Listener;
pub(super) use guard::{Busy, Guarded};

use self::admission::Admission;
use self::bind::Accepted;
use self::connection::Context;
use super::{Request, Response};

/// Who is at the other end.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The address, with IPv4 addresses as such. `None` on a local socket.
    pub address: Option<SocketAddr>,
    /// The user that opened the local socket. `None` on the network.
    pub uid: Option<u32>,
    /// The certificate that the client proved to own. `None` without one.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
}

/// How a listener's connections are protected. The configuration is looked up for each connection, so it may be
/// swapped.
#[derive(Clone, Debug)]
pub enum Security {
    /// Plain HTTP/1.1: local sockets, or behind a proxy.
    Plain,
    /// TLS. HTTP/2 for clients that negotiate `h2`, HTTP/1.1 for all others.
    Tls(Arc<ArcSwap<rustls::ServerConfig>>),
}

/// What one listener grants. The defaults suit the agent plane on a small machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once, upgraded ones included.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64).
    pub per_address: usize,
    /// Connections beyond these caps that still get a 503 with `Retry-After`; all others are closed at once.
    pub overflow: usize,
    /// TLS handshakes at once. Those that wait hold no more than a socket.
    pub handshakes: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_deadline: Duration,
    /// From a request's first byte (for the first request: from accept) to the end of its headers.
    pub header_deadline: Duration,
    /// How long a kept-alive HTTP/1.1 connection may stay silent between requests.
    pub idle_deadline: Duration,
    /// How long a write may make no progress.
    pub write_deadline: Duration,
    /// How long open requests may go on after shutdown was asked for.
    pub drain_deadline: Duration,
    /// Request line and headers together, in bytes; at least 8192.
    pub header_bytes: usize,
    /// Requests at once on one HTTP/2 connection.
    pub http2_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            per_address: 2_000,
            overflow: 128,
            handshakes: 256,
            handshake_deadline: Duration::from_secs(10),
            header_deadline: Duration::from_secs(10),
            idle_deadline: Duration::from_mins(2),
            write_deadline: Duration::from_secs(30),
            drain_deadline: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            http2_streams: 64,
        }
    }
}

/// What happened on a listener, since its start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted within the caps.
    pub accepted: AtomicU64,
    /// Connections beyond the caps, whether they got a 503 or nothing.
    pub refused: AtomicU64,
    /// TLS handshakes that failed or took too long.
    pub failed_handshakes: AtomicU64,
    /// Requests whose service panicked.
    pub panics: AtomicU64,
}

/// All that it takes to serve.
#[derive(Debug)]
pub struct Serving<S> {
    /// Where connections come from.
    pub listener: Listener,
    /// How they are protected.
    pub security: Security,
    /// What they may cost.
    pub limits: Limits,
    /// Answers requests: `async fn(Request, Peer) -> Response`. A panic becomes a 500.
    pub service: S,
    /// Ends the accepting, then the connections, once their open requests are answered.
    pub shutdown: CancellationToken,
    /// Where each connection's task is spawned; upgraded sockets keep it busy too.
    pub tracker: TaskTracker,
    /// What happened.
    pub counters: Arc<Counters>,
}

/// Accepts and serves until `shutdown` is cancelled. Returns when nothing is accepted any more; connections may still
/// be open then, see [`drain`].
pub async fn serve<S, F>(serving: Serving<S>)
where
    S: Fn(Request, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let Serving {
        listener,
        security,
        limits,
        service,
        shutdown,
        tracker,
        counters,
    } = serving;
    let admission = Admission::new(&limits, tracker.clone());
    let context = Arc::new(Context {
        service,
        security,
        handshakes: Semaphore::new(limits.handshakes),
        limits,
        shutdown,
        tracker,
        counters,
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = context.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => admit(&context, &admission, accepted),
            Err(error) => {
                // Out of descriptors or memory: accepting at full speed would only burn the processor.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn admit<S, F>(context: &Arc<Context<S>>, admission: &Arc<Admission>, accepted: Accepted)
where
    S: Fn(Request, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    use std::sync::atomic::Ordering::Relaxed;
    let Some(slot) = admission.admit(accepted.peer.address.map(|address| address.ip())) else {
        context.counters.refused.fetch_add(1, Relaxed);
        return;
    };
    let counter = if slot.is_overflow() {
        &context.counters.refused
    } else {
        &context.counters.accepted
    };
    counter.fetch_add(1, Relaxed);
    let connection = Arc::clone(context).run(accepted, slot);
    context.tracker.spawn(connection);
}

/// Waits until every connection of `tracker` is over, upgraded ones included, for at most `deadline`. `false` when some
/// were still open. Closes the tracker.
pub async fn drain(tracker: &TaskTracker, deadline: Duration) -> bool {
    tracker.close();
    tokio::time::timeout(deadline, tracker.wait()).await.is_ok()
}
