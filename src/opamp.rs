//! OpAMP's wire: bytes of agents in, domain values out, and back.
//!
//! Mistrust lives here. A message is stripped of its transport ([`frame`], [`body`]), scanned without allocating
//! ([`scan`]), and only then decoded into a [`Report`](crate::fleet::agent::report::Report); whatever can't be one is
//! a [`Refusal`] that says why. Generated types never leave this module, and nothing here decides what an agent
//! should hear.

pub mod body;
pub mod client;
mod decode;
mod encode;
pub mod frame;
mod refusal;
mod scan;
mod varint;

pub use decode::{decode, fingerprint};
pub use encode::{ServerCapabilities, encode, encode_offer, encode_with};
pub use refusal::{Cause, Echo, Refusal, UidFault};
pub use scan::{Scan, UidField, scan};
pub use varint::Broken;

/// How much one message may ask of us. Checked before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole message, after inflating and without the WebSocket header.
    pub bytes: usize,
    /// Sub-messages inside one another, an entry of a map counting as one: two per level of the health tree. Never more
    /// than [`Limits::DEEPEST`] in effect.
    pub depth: usize,
    /// Sub-messages, texts and byte strings altogether: each may cost an allocation.
    pub items: usize,
    /// Bytes of one text: a key, an attribute's value, an error. Bodies of configurations are bytes and not counted.
    pub text_bytes: usize,
}

impl Limits {
    /// The deepest nesting that can be asked for. The decoder stops at 100.
    pub const DEEPEST: usize = 96;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            depth: Self::DEEPEST,
            items: 50_000,
            text_bytes: 64 << 10,
        }
    }
}

/// The generated messages.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::pedantic,
    clippy::enum_variant_names,
    clippy::use_self,
    clippy::str_to_string,
    reason = "generated code is not held to our style"
)]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/opamp.proto.v1.rs"));
}
