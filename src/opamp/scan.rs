//! A look at the raw bytes of a message before anything is allocated for it.
//!
//! Decoding amplifies: two bytes on the wire can become a hundred in memory, and nesting becomes stack. The scan walks
//! the fields along the schema once, in time linear in the bytes, counts, and refuses; it also tells a heartbeat, which
//! then needs no decoding at all.

mod schema;

use super::Limits;
use super::refusal::{Cause, Echo, Refusal, UidFault};
use super::varint::{Broken, Cursor, Raw};
use crate::fleet::ids::InstanceUid;
use schema::{Kind, Node};

/// A message that is safe to decode, and what it says at the top.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The message itself.
    pub(super) bytes: &'a [u8],
    /// Who it is from.
    pub uid: UidField,
    /// The uid as it came, for the answer.
    pub echo: Echo,
    /// Its number; 0 also when not stated.
    pub sequence: u64,
    /// The agent's capabilities; 0 when not stated.
    pub capabilities: u64,
    /// The bits of `AgentToServerFlags`.
    pub flags: u64,
    /// Whether it says nothing beyond uid, number and capabilities.
    pub is_heartbeat: bool,
    /// Messages inside messages, texts and byte strings altogether.
    items: usize,
    /// Whether a package status has the download rate of OpAMP 0.11, which the decoder would refuse.
    pub(super) has_old_download_rate: bool,
}

/// The `instance_uid` of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UidField {
    /// As it should be.
    Valid(InstanceUid),
    /// Not one that we take.
    Faulty(UidFault),
}

impl UidField {
    fn of(bytes: &[u8]) -> Self {
        match (InstanceUid::from_wire(bytes), bytes.len()) {
            (Some(uid), _) => Self::Valid(uid),
            (None, 0) => Self::Faulty(UidFault::Absent),
            (None, 16) => Self::Faulty(UidFault::Zero),
            (None, 26) if bytes.iter().all(u8::is_ascii_alphanumeric) => Self::Faulty(UidFault::Ulid),
            (None, length) => Self::Faulty(UidFault::Length(length)),
        }
    }
}

impl Scan<'_> {
    /// What the message takes once it is decoded, in bytes, about: its own, and for each item what holds it.
    #[must_use]
    pub fn memory(&self) -> usize {
        const ITEM: usize = 64;
        self.bytes.len() + self.items * ITEM
    }

    /// Who the message is from.
    ///
    /// # Errors
    /// [`Cause::Uid`] when it doesn't say so in 16 bytes.
    pub fn uid(&self) -> Result<InstanceUid, Refusal> {
        match self.uid {
            UidField::Valid(uid) => Ok(uid),
            UidField::Faulty(fault) => Err(Refusal {
                echo: self.echo,
                cause: fault.into(),
            }),
        }
    }
}

/// Scans the Protobuf bytes of an `AgentToServer`. A faulty uid is not refused here: see [`Scan::uid`].
///
/// # Errors
/// [`Refusal`] when the bytes break the schema or exceed a limit, with the uid where it stood in front of the fault.
pub fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Scan<'a>, Refusal> {
    let mut scan = Scan {
        bytes,
        uid: UidField::Faulty(UidFault::Absent),
        echo: Echo::default(),
        sequence: 0,
        capabilities: 0,
        flags: 0,
        is_heartbeat: true,
        items: 0,
        has_old_download_rate: false,
    };
    match scan.read(limits) {
        Ok(()) => Ok(scan),
        Err(cause) => Err(Refusal {
            echo: scan.echo,
            cause,
        }),
    }
}

impl Scan<'_> {
    fn read(&mut self, limits: &Limits) -> Result<(), Cause> {
        if self.bytes.len() > limits.bytes {
            return Err(Cause::TooLarge {
                bytes: self.bytes.len(),
                limit: limits.bytes,
            });
        }
        let mut walk = Walk {
            limits,
            depth: limits.depth.min(Limits::DEEPEST),
            items: 0,
            has_old_download_rate: false,
        };
        let mut cursor = Cursor(self.bytes);
        while !cursor.is_empty() {
            match cursor.field()? {
                (1, Raw::Delimited(uid)) => {
                    self.uid = UidField::of(uid);
                    self.echo = Echo::of(uid);
                }
                (2, Raw::Varint(sequence)) => self.sequence = sequence,
                (4, Raw::Varint(capabilities)) => self.capabilities = capabilities,
                (10, Raw::Varint(flags)) => self.flags = flags,
                (number, raw) => {
                    self.is_heartbeat &= schema::field(Node::AgentToServer, number).is_none();
                    walk.field(Node::AgentToServer, number, raw, 0)?;
                }
            }
        }
        self.is_heartbeat &= self.flags == 0;
        self.items = walk.items;
        self.has_old_download_rate = walk.has_old_download_rate;
        Ok(())
    }
}

/// One walk through a message with its counts.
struct Walk<'a> {
    limits: &'a Limits,
    depth: usize,
    items: usize,
    has_old_download_rate: bool,
}

impl Walk<'_> {
    /// The fields of a message inside others; recursion ends at the depth limit.
    fn message(&mut self, node: Node, bytes: &[u8], depth: usize) -> Result<(), Cause> {
        if depth > self.depth {
            return Err(Cause::TooDeep { limit: self.depth });
        }
        let mut cursor = Cursor(bytes);
        while !cursor.is_empty() {
            let (number, raw) = cursor.field()?;
            self.field(node, number, raw, depth)?;
        }
        Ok(())
    }

    fn field(&mut self, node: Node, number: u32, raw: Raw<'_>, depth: usize) -> Result<(), Cause> {
        let Some(kind) = schema::field(node, number) else {
            // A field of a newer specification: skipped (S-330).
            return Ok(());
        };
        if let Raw::Delimited(_) = raw {
            self.items += 1;
            if self.items > self.limits.items {
                return Err(Cause::TooMany {
                    limit: self.limits.items,
                });
            }
        }
        match (kind, raw) {
            (Kind::Message(inner), Raw::Delimited(bytes)) => self.message(inner, bytes, depth + 1),
            (Kind::Text, Raw::Delimited(text)) if text.len() > self.limits.text_bytes => {
                Err(Cause::TextTooLong {
                    bytes: text.len(),
                    limit: self.limits.text_bytes,
                })
            }
            (Kind::Text | Kind::Bytes, Raw::Delimited(_))
            | (Kind::Varint, Raw::Varint(_))
            | (Kind::Fixed64 | Kind::Rate, Raw::Fixed64) => Ok(()),
            (Kind::Rate, Raw::Varint(_)) => {
                self.has_old_download_rate = true;
                Ok(())
            }
            _ => Err(Broken::FieldType.into()),
        }
    }
}
