//! The labels of metrics, each with a fixed set of values.

use crate::fleet::agent::{Staleness, Transport};

/// A label with few values.
pub trait Label: Copy + PartialEq + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// All its values.
    const ALL: &'static [Self];
    /// A value as text.
    fn text(self) -> &'static str;
}

/// What an agent's message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Nothing but its number.
    Heartbeat,
    /// Something new.
    Report,
    /// A goodbye.
    Disconnect,
    /// Not a message that we can read or allow.
    Invalid,
}

/// A listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Where agents connect.
    Agent,
    /// Where people and scripts connect.
    Admin,
}

/// Why an agent's connection or request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No credential, a wrong one, or one that may not do this.
    Credential,
    /// All connections are taken.
    Capacity,
    /// All connections of one address are taken.
    Address,
    /// Too many messages from one agent.
    Throttled,
    /// Not HTTP, WebSocket or TLS as it should be.
    Protocol,
    /// Larger than allowed.
    TooLarge,
    /// Larger than what is left for all messages in flight.
    InFlight,
    /// The server is starting or stopping.
    NotReady,
}

macro_rules! label {
    ($name:literal: $type:ident { $($value:ident = $text:literal),+ $(,)? }) => {
        impl Label for $type {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &[$(Self::$value),+];
            fn text(self) -> &'static str {
                match self {
                    $(Self::$value => $text),+
                }
            }
        }
    };
}

label!("kind": MessageKind { Heartbeat = "heartbeat", Report = "report", Disconnect = "disconnect", Invalid = "invalid" });
label!("plane": Plane { Agent = "agent", Admin = "admin" });
label!("transport": Transport { WebSocket = "websocket", Http = "http" });
label!("reason": Staleness { Gap = "gap", Unknown = "unknown" });
label!("reason": RefusalReason {
    Credential = "credential",
    Capacity = "capacity",
    Address = "address",
    Throttled = "throttled",
    Protocol = "protocol",
    TooLarge = "too_large",
    InFlight = "in_flight",
    NotReady = "not_ready",
});
