//! The server's side of TLS, without buffers while nothing is under way.
//!
//! rustls's own buffers keep 4 KiB for reading as long as a connection lives: more than all else that a silent connection
//! of an agent needs. Here a read goes through the stack, and what has to wait lies in vectors that go with it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once.
const READ: usize = 8 * 1024;
/// Bytes that are taken for writing at once: one record's.
const WRITE: usize = 16 * 1024;
/// What their record adds, with a key update in front of it.
const OVERHEAD: usize = 256;
/// What may wait for its end: a handshake message, and the record that its last part is in.
const INCOMPLETE: usize = 0xffff + WRITE + 2048;

/// A connection under TLS, on the server's side.
pub(super) struct TlsStream<S> {
    socket: S,
    session: UnbufferedServerConnection,
    /// The beginning of a record, or of a message in several.
    incoming: Vec<u8>,
    /// Decrypted and not yet read.
    plain: Waiting,
    /// Encrypted and not yet written.
    outgoing: Waiting,
    /// The peer said that nothing follows.
    peer_closed: bool,
    /// We said so.
    closed: bool,
}

/// What a session is to say once it may.
#[derive(Clone, Copy)]
enum Saying<'a> {
    Nothing,
    Content(&'a [u8]),
    Goodbye,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// The connection on `socket` after its handshake. Put a deadline around it.
    ///
    /// # Errors
    /// When the peer doesn't speak TLS as we do, which it was told, or `socket` fails.
    pub(super) async fn accept(socket: S, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut stream = Self {
            socket,
            session: UnbufferedServerConnection::new(config).map_err(io::Error::other)?,
            incoming: Vec::new(),
            plain: Waiting::default(),
            outgoing: Waiting::default(),
            peer_closed: false,
            closed: false,
        };
        std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// What was agreed on in the handshake.
    pub(super) fn session(&self) -> &CommonState {
        &self.session
    }

    /// The socket below TLS.
    pub(super) fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.peer_closed || !ready!(self.poll_receive(cx))? {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads once from the socket and takes in what came. `false` at the socket's end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [MaybeUninit::uninit(); READ];
        let mut read = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        let fresh = read.filled_mut();
        if fresh.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let taken = if self.incoming.is_empty() {
            let taken = self.process(fresh, Saying::Nothing);
            let rest = taken.as_ref().ok().and_then(|taken| fresh.get(*taken..));
            self.incoming.extend_from_slice(rest.unwrap_or_default());
            taken.map(|_| ())
        } else {
            self.incoming.extend_from_slice(fresh);
            self.process_waiting(Saying::Nothing)
        };
        if let Err(error) = taken {
            // Tells the peer what is wrong, if it still listens.
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(error));
        }
        if self.incoming.len() > INCOMPLETE {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(true))
    }

    fn process_waiting(&mut self, saying: Saying<'_>) -> io::Result<()> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let taken = self.process(&mut incoming, saying)?;
        if taken < incoming.len() {
            incoming.drain(..taken);
            self.incoming = incoming;
        }
        Ok(())
    }

    /// Takes in the records in `incoming`, which follow on each other's, until the session has nothing to do but to wait
    /// or to write. How many bytes are done with.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the states of a connection may become more, and an unknown one ends it"
    )]
    fn process(&mut self, incoming: &mut [u8], saying: Saying<'_>) -> io::Result<usize> {
        let mut taken = 0;
        let mut failure = None;
        let mut said = matches!(saying, Saying::Nothing);
        loop {
            let left = incoming.get_mut(taken..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(left);
            taken += discard;
            let state = match state {
                Ok(state) => state,
                // The first time, an alert for the peer may have to be fetched.
                Err(error) if failure.is_none() => {
                    failure = Some(error);
                    continue;
                }
                Err(_) => break,
            };
            match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        taken += record.discard;
                        self.plain.bytes.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut encoding) => {
                    if let Err(EncodeError::InsufficientSize(short)) = encoding.encode(&mut []) {
                        let room = self.outgoing.room(short.required_size);
                        encoding.encode(room).map_err(io::Error::other)?;
                    }
                    // That was the alert. What failed must not be looked at again.
                    if failure.is_some() {
                        break;
                    }
                }
                // It is in `outgoing`, which nothing overtakes.
                ConnectionState::TransmitTlsData(transmission) => transmission.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    let start = self.outgoing.bytes.len();
                    let written = match saying {
                        Saying::Nothing => Ok(0),
                        Saying::Content(content) => {
                            traffic.encrypt(content, self.outgoing.room(content.len() + OVERHEAD))
                        }
                        Saying::Goodbye => traffic.queue_close_notify(self.outgoing.room(OVERHEAD)),
                    };
                    self.outgoing
                        .bytes
                        .truncate(start + written.as_ref().copied().unwrap_or(0));
                    written.map_err(io::Error::other)?;
                    said = true;
                    break;
                }
                ConnectionState::BlockedHandshake | ConnectionState::Closed => break,
                other => return Err(io::Error::other(format!("unexpected state of TLS: {other:?}"))),
            }
        }
        match failure {
            Some(failure) => Err(invalid(failure)),
            None if said => Ok(taken),
            // Both sides have said goodbye.
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, self.outgoing.rest()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.forget(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.plain.is_empty() {
            if self.peer_closed {
                return Poll::Ready(Ok(()));
            }
            // An end without a goodbye may be somebody's cut.
            if !ready!(self.poll_receive(cx))? {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let rest = self.plain.rest();
        let fits = rest.get(..buffer.remaining()).unwrap_or(rest);
        buffer.put_slice(fits);
        let count = fits.len();
        self.plain.forget(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let content = bytes.get(..WRITE).unwrap_or(bytes);
        if content.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.process_waiting(Saying::Content(content))?;
        // It counts as written: what the socket doesn't take now goes before anything else.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(content.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            self.closed = true;
            self.process_waiting(Saying::Goodbye)?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Bytes that wait, the first of them gone already. Without memory while there are none.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    gone: usize,
}

impl Waiting {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.gone..).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn forget(&mut self, count: usize) {
        self.gone += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// So many bytes more, to be written over.
    fn room(&mut self, count: usize) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.resize(start + count, 0);
        self.bytes.get_mut(start..).unwrap_or_default()
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
