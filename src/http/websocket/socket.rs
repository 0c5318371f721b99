//! One WebSocket after its handshake, on either side.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};

use super::Settings;
use super::gate::Gate;
use crate::http::budget::{Budget, Share};
use crate::http::transport::Transport;

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A binary message, whole.
    Binary(Bytes),
    /// A text message. Its content is not looked at: nobody here speaks text (close with 1003).
    Text,
    /// A ping. The answer goes out by itself with the next read or write.
    Ping,
    /// The answer to a ping of ours.
    Pong,
    /// The peer is closing, with its code if it gave one. The answer goes out with the next [`Socket::recv`], which then
    /// says `None`.
    Close(Option<u16>),
}

/// Why a socket can't go on. [`Socket::close_for`] tells the peer where that makes sense.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A message or frame is above the limit: 1009.
    #[error("a message is larger than allowed")]
    TooLarge,
    /// The peer broke the protocol: 1002.
    #[error("the peer broke the WebSocket protocol: {0}")]
    Protocol(String),
    /// A message or a write took too long.
    #[error("the peer took too long")]
    TimedOut,
    /// The message doesn't fit into what is left for all connections: 1013.
    #[error("too many messages are in flight")]
    NoRoom,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
}

impl SocketError {
    /// The code to close with. `None` when the peer wouldn't hear it.
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::TooLarge => Some(1009),
            Self::Protocol(_) => Some(1002),
            Self::TimedOut => Some(1008),
            Self::NoRoom => Some(1013),
            Self::Io(_) => None,
        }
    }
}

/// A WebSocket. One task owns it for reading and writing. Every method may be cancelled between polls: what was read
/// stays, and what was to be sent is sent by the next call.
pub struct Socket<S = Transport> {
    stream: S,
    gate: Gate,
    context: WebSocketContext,
    role: Role,
    settings: Settings,
    /// The largest message that was sent since the buffers were new, in bytes.
    largest_sent: usize,
    /// The peer's bytes can't be followed any more.
    broken: bool,
    message_timer: Option<Pin<Box<Sleep>>>,
    budget: Option<Arc<Budget>>,
    /// What the message that arrives, or that arrived last, takes of the budget.
    share: Option<Share>,
}

impl<S> std::fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The server's side of `stream`, from which `leftover` was read already.
    pub fn server(stream: S, leftover: &[u8], settings: Settings) -> Self {
        Self::new(stream, leftover, Role::Server, settings)
    }

    /// The client's side of `stream`, from which `leftover` was read already.
    pub fn client(stream: S, leftover: &[u8], settings: Settings) -> Self {
        Self::new(stream, leftover, Role::Client, settings)
    }

    fn new(stream: S, leftover: &[u8], role: Role, settings: Settings) -> Self {
        Self {
            stream,
            gate: Gate::new(leftover.to_vec()),
            context: context(role, settings),
            role,
            settings,
            largest_sent: 0,
            broken: false,
            message_timer: None,
            budget: None,
            share: None,
        }
    }

    /// Has large messages count against a budget, from their first byte until the next [`Socket::recv`].
    #[must_use]
    pub fn within(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The next thing that the peer sends. `None` once the connection is closed in good order.
    ///
    /// # Errors
    ///
    /// [`SocketError`]; the socket is of no further use then, except for closing.
    pub async fn recv(&mut self) -> Result<Option<Incoming>, SocketError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Sends a binary message, and returns when the system has taken all of it.
    ///
    /// # Errors
    ///
    /// [`SocketError::TooLarge`] when it doesn't fit the write buffer (nothing was sent), `TimedOut` when the peer didn't
    /// take it within `deadline`, or `Io`.
    pub async fn send_binary(&mut self, message: Bytes, deadline: Duration) -> Result<(), SocketError> {
        self.largest_sent = self.largest_sent.max(message.len());
        self.send(Message::Binary(message), deadline).await
    }

    /// Asks the peer for a sign of life.
    ///
    /// # Errors
    ///
    /// As [`Socket::send_binary`].
    pub async fn ping(&mut self, deadline: Duration) -> Result<(), SocketError> {
        self.send(Message::Ping(Bytes::new()), deadline).await
    }

    /// Says goodbye with `code` and `reason` (cut at 123 bytes), waits for the answer, and closes; all within
    /// `deadline`. After the peer's own close it only answers that.
    pub async fn close(mut self, code: u16, reason: &str, deadline: Duration) {
        // The peer learns of it or doesn't: nothing is left to do about it.
        let _ = timeout(deadline, self.say_goodbye(code, reason)).await;
    }

    /// Closes with the code that fits `error`.
    pub async fn close_for(self, error: &SocketError, deadline: Duration) {
        if let Some(code) = error.close_code() {
            self.close(code, &error.to_string(), deadline).await;
        }
    }

    async fn send(&mut self, message: Message, deadline: Duration) -> Result<(), SocketError> {
        let mut message = Some(message);
        let sent = poll_fn(|cx| {
            if let Some(message) = message.take() {
                let written = self.with_io(cx, |context, io| context.write(io, message));
                // Would block: the message is in the buffer, and the flush below goes on with it.
                if let Poll::Ready(Err(error)) = written {
                    return Poll::Ready(Err(error));
                }
            }
            self.poll_flush(cx)
        });
        match timeout(deadline, sent).await {
            Ok(Err(Error::WriteBufferFull(_))) => Err(SocketError::TooLarge),
            Ok(Err(error)) => Err(explain(error)),
            Ok(Ok(())) => Ok(()),
            Err(_) => Err(SocketError::TimedOut),
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, SocketError>> {
        self.give_back(cx);
        if self.gate.is_between_messages() {
            self.share = None;
        }
        let read = self.with_io(cx, |context, io| context.read(io));
        // A message that is on the way, or whole just now: between messages nothing is taken.
        let counts = match &read {
            Poll::Pending => !self.gate.is_between_messages(),
            Poll::Ready(read) => matches!(read, Ok(Message::Binary(_))),
        };
        if counts && !self.has_room() {
            // What has arrived is let go at once, and so is its room.
            self.context = context(self.role, self.settings);
            self.share = None;
            self.broken = true;
            return Poll::Ready(Err(SocketError::NoRoom));
        }
        match read {
            Poll::Ready(Ok(message)) => {
                // A ping between the fragments of a message ends nothing.
                if self.gate.is_between_messages() {
                    self.message_timer = None;
                }
                self.give_back(cx);
                Poll::Ready(Ok(Some(incoming(message))))
            }
            Poll::Ready(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => {
                // Under TLS an end without a word would look like an attack. One try: the peer has said goodbye already.
                let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                Poll::Ready(Ok(None))
            }
            // Text that isn't UTF-8 is as unwelcome as text that is.
            Poll::Ready(Err(Error::Utf8(_))) => Poll::Ready(Ok(Some(Incoming::Text))),
            Poll::Ready(Err(error)) => {
                self.broken = true;
                Poll::Ready(Err(explain(error)))
            }
            Poll::Pending => self.poll_message_deadline(cx),
        }
    }

    /// Takes from the budget what the message needs that is on the way.
    fn has_room(&mut self) -> bool {
        let Some(budget) = &self.budget else { return true };
        // Whatever a frame claims, no more than that is ever taken.
        let size = self.gate.message_size().min(self.settings.max_message as u64);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size <= Budget::FREE {
            return true;
        }
        if let Some(share) = &mut self.share {
            return share.grow(size);
        }
        self.share = budget.share(size);
        self.share.is_some()
    }

    fn poll_message_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, SocketError>> {
        if self.gate.is_between_messages() {
            self.message_timer = None;
            return Poll::Pending;
        }
        let deadline = self.settings.message_deadline;
        let timer = self
            .message_timer
            .get_or_insert_with(|| Box::pin(sleep(deadline)));
        ready!(timer.as_mut().poll(cx));
        self.broken = true;
        Poll::Ready(Err(SocketError::TimedOut))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.with_io(cx, |context, io| context.flush(io))
    }

    /// Begins with new, small buffers after a large message, at a moment when the old ones are empty: tungstenite never
    /// gives back what one message took.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        let small = self.settings.read_buffer;
        let swollen = self.gate.largest() > small as u64 || self.largest_sent > small;
        let quiet = self.gate.is_between_messages() && self.context.can_write();
        if swollen && quiet && matches!(self.poll_flush(cx), Poll::Ready(Ok(()))) {
            self.context = context(self.role, self.settings);
            self.gate.settle();
            self.largest_sent = 0;
        }
    }

    async fn say_goodbye(&mut self, code: u16, reason: &str) -> Result<(), SocketError> {
        if self.context.can_write() {
            let reason = reason.get(..reason.floor_char_boundary(123)).unwrap_or_default();
            let frame = CloseFrame {
                code: code.into(),
                reason: reason.into(),
            };
            let mut frame = Some(frame);
            poll_fn(|cx| {
                if let Some(frame) = frame.take() {
                    let written = self.with_io(cx, |context, io| context.close(io, Some(frame)));
                    if written.is_ready() {
                        return written;
                    }
                }
                self.poll_flush(cx)
            })
            .await
            .map_err(explain)?;
        }
        while !self.broken && self.recv().await?.is_some() {}
        self.stream.shutdown().await.map_err(SocketError::Io)?;
        // Reading on keeps the kernel from throwing our last frame away with the peer's unread bytes.
        let mut waste = [0; 1024];
        while poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut waste);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            read.map(|read| read.is_ok() && !buffer.filled().is_empty())
        })
        .await
        {}
        Ok(())
    }

    /// Runs a step of tungstenite's on the stream; pending when the stream is.
    fn with_io<T>(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(&mut WebSocketContext, &mut Io<'_, '_, S>) -> Result<T, Error>,
    ) -> Poll<Result<T, Error>> {
        let mut io = Io {
            stream: &mut self.stream,
            gate: &mut self.gate,
            cx,
        };
        match step(&mut self.context, &mut io) {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            done => Poll::Ready(done),
        }
    }
}

/// A stream for the length of one poll, in the blocking shape that tungstenite takes.
struct Io<'a, 'w, S> {
    stream: &'a mut S,
    gate: &'a mut Gate,
    cx: &'a mut Context<'w>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: AsyncRead + Unpin> Read for Io<'_, '_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let early = self.gate.take_surplus(bytes);
        if early > 0 {
            return Ok(early);
        }
        let mut buffer = ReadBuf::new(bytes);
        or_would_block(Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer))?;
        Ok(self.gate.keep_surplus(buffer.filled()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Io<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_would_block(Pin::new(&mut *self.stream).poll_flush(self.cx))
    }
}

fn context(role: Role, settings: Settings) -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(settings.read_buffer)
        .write_buffer_size(0)
        .max_write_buffer_size(settings.max_write_buffer.max(1))
        .max_message_size(Some(settings.max_message))
        .max_frame_size(Some(settings.max_message));
    WebSocketContext::new(role, Some(config))
}

fn incoming(message: Message) -> Incoming {
    match message {
        Message::Binary(bytes) => Incoming::Binary(bytes),
        Message::Ping(_) => Incoming::Ping,
        Message::Pong(_) => Incoming::Pong,
        Message::Close(frame) => Incoming::Close(frame.map(|frame| frame.code.into())),
        // Raw frames are never read.
        Message::Text(_) | Message::Frame(_) => Incoming::Text,
    }
}

fn explain(error: Error) -> SocketError {
    match error {
        Error::Io(error) => SocketError::Io(error),
        Error::Capacity(_) => SocketError::TooLarge,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => SocketError::Io(io::ErrorKind::UnexpectedEof.into()),
        other @ (Error::Protocol(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::WriteBufferFull(_)
        | Error::Tls(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_)) => SocketError::Protocol(other.to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests;
