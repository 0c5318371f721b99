//! The bytes under HTTP and the WebSocket: a socket with or without TLS.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client;

use super::listener::{Guarded, Slot};
use super::tls::TlsStream;

/// A connection's socket. While it lives, it counts against its listener's caps and keeps the listener's tracker busy.
pub struct Transport {
    io: Io,
    /// Held for its drop.
    _slot: Option<Slot>,
}

/// TLS streams are boxed: they are big, and they move.
enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Server(Box<TlsStream<TcpStream>>),
    Client(Box<client::TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) fn with_slot(self, slot: Slot) -> Self {
        Self {
            _slot: Some(slot),
            ..self
        }
    }

    /// Throws away what the peer still sends, below TLS. Ready at its end.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waste = [MaybeUninit::uninit(); 8192];
        loop {
            let mut buffer = ReadBuf::uninit(&mut waste);
            ready!(match &mut self.io {
                Io::Tcp(tcp) => Pin::new(tcp).poll_read(cx, &mut buffer),
                Io::Unix(unix) => Pin::new(unix).poll_read(cx, &mut buffer),
                Io::Server(tls) => Pin::new(tls.socket_mut()).poll_read(cx, &mut buffer),
                Io::Client(tls) => Pin::new(tls.get_mut().0).poll_read(cx, &mut buffer),
            })?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl From<Io> for Transport {
    fn from(io: Io) -> Self {
        Self { io, _slot: None }
    }
}
impl From<TcpStream> for Transport {
    fn from(tcp: TcpStream) -> Self {
        Io::Tcp(tcp).into()
    }
}
impl From<UnixStream> for Transport {
    fn from(unix: UnixStream) -> Self {
        Io::Unix(unix).into()
    }
}
impl From<TlsStream<TcpStream>> for Transport {
    fn from(tls: TlsStream<TcpStream>) -> Self {
        Io::Server(Box::new(tls)).into()
    }
}
impl From<client::TlsStream<TcpStream>> for Transport {
    fn from(tls: client::TlsStream<TcpStream>) -> Self {
        Io::Client(Box::new(tls)).into()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.io {
            Io::Tcp(_) => "Transport(TCP)",
            Io::Unix(_) => "Transport(Unix)",
            Io::Server(_) | Io::Client(_) => "Transport(TLS)",
        })
    }
}

macro_rules! forward {
    ($transport:expr, $io:ident => $call:expr) => {
        match &mut $transport.get_mut().io {
            Io::Tcp(io) => {
                let $io = Pin::new(io);
                $call
            }
            Io::Unix(io) => {
                let $io = Pin::new(io);
                $call
            }
            Io::Server(io) => {
                let $io = Pin::new(io);
                $call
            }
            Io::Client(io) => {
                let $io = Pin::new(io);
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, io => io.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, io => io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, io => io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(io) => io.is_write_vectored(),
            Io::Unix(io) => io.is_write_vectored(),
            Io::Server(io) => io.is_write_vectored(),
            Io::Client(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, io => io.poll_shutdown(cx))
    }
}

/// An upgraded connection that none of our listeners accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upgraded connection is not one of this server's listeners")]
pub struct ForeignUpgrade;

/// The socket under a connection that left HTTP, and what the peer had already sent after its request. Nothing of the
/// HTTP side stays in memory.
///
/// # Errors
///
/// [`ForeignUpgrade`] when the connection came from elsewhere than [`serve`](super::serve).
pub fn upgraded_io(upgraded: Upgraded) -> Result<(Transport, Bytes), ForeignUpgrade> {
    let parts = upgraded
        .downcast::<TokioIo<Guarded>>()
        .map_err(|_| ForeignUpgrade)?;
    // A copy, because a slice would keep the whole read buffer alive for as long as the connection lives.
    let leftover = Bytes::copy_from_slice(&parts.read_buf);
    Ok((parts.io.into_inner().into_transport(), leftover))
}
