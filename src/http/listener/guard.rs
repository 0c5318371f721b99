//! Deadlines on a connection's reads and writes.
//!
//! hyper's own header timer also runs while a kept-alive connection is silent, so it can't allow silence of two minutes
//! and headers of ten seconds at once. These timers can, and cover writes too.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;
use crate::http::transport::Transport;

/// How long we read on after our last byte, so that the peer gets to see it: closing a socket with unread bytes makes
/// the kernel throw away what was sent.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Says when a request is being answered. Odd while one is, even while waiting for the next.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU32);

/// A request that is being answered; lives as long as its response's body.
#[derive(Debug)]
pub(in crate::http) struct Busy(Arc<Pace>);

impl Pace {
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.0.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Which deadline a read is under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The first request: headers are due from the start.
    First,
    /// Between requests: silence is fine for a while.
    Idle,
    /// Headers have begun.
    Headers,
    /// A body, or HTTP/2, which has its own pings.
    Free,
}

/// A transport under deadlines.
pub(in crate::http) struct Guarded {
    transport: Transport,
    pace: Arc<Pace>,
    seen: u32,
    reading: Reading,
    http2: bool,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
    header_deadline: Duration,
    idle_deadline: Duration,
    write_deadline: Duration,
}

impl Guarded {
    pub(super) fn new(transport: Transport, pace: Arc<Pace>, http2: bool, limits: &Limits) -> Self {
        Self {
            transport,
            pace,
            seen: 0,
            reading: Reading::First,
            http2,
            read_timer: Some(Box::pin(sleep(limits.header_deadline))),
            write_timer: None,
            linger: None,
            header_deadline: limits.header_deadline,
            idle_deadline: limits.idle_deadline,
            write_deadline: limits.write_deadline,
        }
    }

    pub(in crate::http) fn into_transport(self) -> Transport {
        self.transport
    }

    /// Notices that a request began or ended since the last read.
    fn follow(&mut self) {
        let now = self.pace.0.load(Ordering::Relaxed);
        if now == self.seen {
            return;
        }
        self.seen = now;
        self.read_timer = None;
        self.reading = if now % 2 == 1 {
            Reading::Free
        } else {
            Reading::Idle
        };
    }

    fn arrived(&mut self) {
        match self.reading {
            _ if self.http2 => {
                self.reading = Reading::Free;
                self.read_timer = None;
            }
            Reading::Idle => {
                self.reading = Reading::Headers;
                self.read_timer = None;
            }
            Reading::First | Reading::Headers | Reading::Free => {}
        }
    }

    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match self.reading {
            Reading::Free => return Poll::Pending,
            Reading::First | Reading::Headers => self.header_deadline,
            Reading::Idle => self.idle_deadline,
        };
        ready!(poll_timer(&mut self.read_timer, deadline, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_write_deadline<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.write_timer.is_some() {
                self.write_timer = None;
            }
            return written;
        }
        ready!(poll_timer(&mut self.write_timer, self.write_deadline, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn poll_timer(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Duration, cx: &mut Context<'_>) -> Poll<()> {
    timer
        .get_or_insert_with(|| Box::pin(sleep(deadline)))
        .as_mut()
        .poll(cx)
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.follow();
        let before = buffer.filled().len();
        match Pin::new(&mut self.transport).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.arrived();
                    // A trickle of bytes is always ready, and must not keep a late header alive.
                    if let Some(timer) = &self.read_timer
                        && timer.deadline() <= Instant::now()
                    {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_read_deadline(cx),
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.poll_write_deadline(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
        self.poll_write_deadline(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper doesn't read again after a response while its last read is still pending, but it flushes: the moment to
        // start the clock of the silence. When it runs out, the next read says so.
        self.follow();
        if self.reading == Reading::Idle {
            let deadline = self.idle_deadline;
            let _ = poll_timer(&mut self.read_timer, deadline, cx);
        }
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        self.poll_write_deadline(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let shut = Pin::new(&mut self.transport).poll_shutdown(cx);
            ready!(self.poll_write_deadline(cx, shut))?;
        }
        if poll_timer(&mut self.linger, LINGER, cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        // The peer may be gone already: that is an end like any other.
        self.transport.poll_discard(cx).map(|_| Ok(()))
    }
}
