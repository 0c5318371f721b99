//! The WebSocket (RFC 6455): the handshake on both sides, and a socket that is small while nothing happens.
//!
//! No extension and no subprotocol is ever agreed on. The peer's frames are read by tungstenite behind a gate of ours,
//! which never hands it more than one frame: so its buffers are known to be empty after a message, and can be given back.

mod gate;
mod handshake;
mod socket;

pub use handshake::{ConnectError, Refusal, accept, connect, is_upgrade, upgraded};
pub use socket::{Incoming, Socket, SocketError};

use std::time::Duration;

/// Limits of one WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What a silent connection keeps for reading, in bytes. Larger messages take more while they arrive.
    pub read_buffer: usize,
    /// The largest message taken, in bytes, and the largest frame.
    pub max_message: usize,
    /// What may wait to be written, in bytes; so also the largest message that can be sent.
    pub max_write_buffer: usize,
    /// How long a message that has begun may take to arrive.
    pub message_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_buffer: 512,
            max_message: 1024 * 1024,
            max_write_buffer: 16 * 1024 * 1024,
            message_deadline: Duration::from_secs(30),
        }
    }
}
