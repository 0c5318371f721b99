//! Keys as bytes whose order is the order of the keys.

use std::fmt::Write as _;

use crate::fleet::hash::Digest;
use crate::fleet::ids::{
    AccountId, AgentId, CredentialId, EnrolmentTokenId, InstanceUid, RolloutId, SessionId, TargetId,
};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// The key of a record. The bytes sort as the keys do.
pub trait Key: Sized {
    /// The number of bytes of every key of this type; `None` when it varies.
    const WIDTH: Option<usize> = None;

    /// The key as bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads [`Key::to_bytes`] back. `None` when the bytes are not such a key.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! array_key {
    ($($name:ident: $width:literal),*) => {$(
        impl Key for $name {
            const WIDTH: Option<usize> = Some($width);
            fn to_bytes(&self) -> Vec<u8> {
                self.0.to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }
    )*};
}
array_key!(AgentId: 16, InstanceUid: 16, CredentialId: 16, EnrolmentTokenId: 16, AccountId: 16, SessionId: 16,
    TargetId: 16, Digest: 32);

/// The key of a table that holds one record.
impl Key for () {
    const WIDTH: Option<usize> = Some(0);
    fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}

impl Key for u64 {
    const WIDTH: Option<usize> = Some(8);
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for RolloutId {
    const WIDTH: Option<usize> = Some(8);
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        u64::from_bytes(bytes).map(Self)
    }
}

impl Key for Timestamp {
    const WIDTH: Option<usize> = Some(8);
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        u64::from_bytes(bytes).map(Self)
    }
}

impl Key for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl Key for Name {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(std::str::from_utf8(bytes).ok()?).ok()
    }
}

/// Sorts by the first, then by the second. A first part of varying width is escaped (0 becomes 0 255) and ends in 0 0, so
/// that a shorter text still sorts before a longer one that it begins.
impl<A: Key, B: Key> Key for (A, B) {
    const WIDTH: Option<usize> = match (A::WIDTH, B::WIDTH) {
        (Some(a), Some(b)) => Some(a + b),
        _ => None,
    };

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = first_part(&self.0);
        bytes.extend(self.1.to_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Some(width) = A::WIDTH {
            let (first, second) = bytes.split_at_checked(width)?;
            return Some((A::from_bytes(first)?, B::from_bytes(second)?));
        }
        let mut first = Vec::new();
        let mut rest = bytes;
        loop {
            match rest {
                [0, 255, tail @ ..] => {
                    first.push(0);
                    rest = tail;
                }
                [0, 0, second @ ..] => return Some((A::from_bytes(&first)?, B::from_bytes(second)?)),
                [byte, tail @ ..] if *byte != 0 => {
                    first.push(*byte);
                    rest = tail;
                }
                _ => return None,
            }
        }
    }
}

/// What every pair that begins with `first` begins with, and no other pair.
pub(super) fn first_part<A: Key>(first: &A) -> Vec<u8> {
    let plain = first.to_bytes();
    if A::WIDTH.is_some() {
        return plain;
    }
    let mut bytes = Vec::with_capacity(plain.len() + 2);
    for byte in plain {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(255);
        }
    }
    bytes.extend([0, 0]);
    bytes
}

/// A key for people: text where it is plain text, a number where it is eight bytes, hexadecimal otherwise.
pub(super) fn printable(bytes: &[u8]) -> String {
    if let Ok(number) = <[u8; 8]>::try_from(bytes)
        && number.first() == Some(&0)
    {
        return u64::from_be_bytes(number).to_string();
    }
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) {
        return bytes.iter().map(|byte| char::from(*byte)).collect();
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Pair = ((String, u64), String);

    proptest! {
        #[test]
        fn keys_survive_their_bytes_and_keep_their_order(
            a: ((String, u64), String), b: ((String, u64), String), same in any::<bool>()
        ) {
            let b = if same { ((a.0.0.clone(), b.0.1), b.1) } else { b };
            prop_assert_eq!(Pair::from_bytes(&a.to_bytes()), Some(a.clone()));
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
        }

        #[test]
        fn any_bytes_are_a_key_or_none(bytes: Vec<u8>) {
            if let Some(key) = Pair::from_bytes(&bytes) {
                prop_assert_eq!(key.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_first_part_ends_where_the_next_begins() {
        let a = first_part(&"a".to_owned());
        assert!(("a".to_owned(), 1).to_bytes().starts_with(&a));
        assert!(!("a\0".to_owned(), 1).to_bytes().starts_with(&a));
        assert!(!("ab".to_owned(), 1).to_bytes().starts_with(&a));
    }

    #[test]
    fn a_key_is_shown_as_people_know_it() {
        assert_eq!(printable(&Name::new("edge").unwrap().to_bytes()), "edge");
        assert_eq!(printable(&7u64.to_bytes()), "7");
        assert_eq!(printable(&AgentId([0xab; 16]).to_bytes()), "ab".repeat(16));
    }
}
