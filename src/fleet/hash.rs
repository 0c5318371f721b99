//! Content digests, and the `config_hash` that agents hand back to us.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest. In JSON and URLs 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first 12 hexadecimal digits: what people compare.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }

    /// Upper-case pairs with colons, the way OpenSSL and browsers print fingerprints.
    #[must_use]
    pub fn pairs(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected {0} hexadecimal digits")]
pub struct ParseDigestError(usize);

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseDigestError> {
    let mut bytes = [0; N];
    if text.len() != N * 2 {
        return Err(ParseDigestError(N * 2));
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| ParseDigestError(N * 2))?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| ParseDigestError(N * 2))?;
    }
    Ok(bytes)
}

impl FromStr for Digest {
    type Err = ParseDigestError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self)
    }
}
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
    }
}

/// The key that proves that a `config_hash` is ours. Lives in the data folder, outside the store.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct HashKey(pub [u8; 32]);

impl HashKey {
    /// A keyed digest of `content`. What it is for belongs at the content's beginning: marks for different purposes must
    /// never be of the same content. `None` would be a key that HMAC can't take; it takes any.
    #[must_use]
    pub fn mark(&self, content: &[u8]) -> Option<Digest> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        Some(Digest(mac.chain_update(content).finalize().into_bytes().into()))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(***)")
    }
}

/// What an offer's `config_hash` says: which content, and when this store first knew it.
///
/// On the wire 56 bytes: digest (32), epoch (8, big endian), generation (8, big endian), and the first 8 bytes of an
/// HMAC-SHA-256 over those. Epoch and generation are assigned once per digest, so equal content keeps its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigHash {
    /// The digest of the offered content.
    pub digest: Digest,
    /// The life of the store that first offered it; a restore begins a new one.
    pub epoch: u64,
    /// The store-wide counter when it was first frozen.
    pub generation: u64,
}

impl ConfigHash {
    /// The length of a hash on the wire, in bytes.
    pub const LENGTH: usize = 56;

    /// The bytes that go out.
    #[must_use]
    pub fn to_wire(&self, key: &HashKey) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let (content, proof) = bytes.split_at_mut(48);
        content.copy_from_slice(&self.content());
        proof.copy_from_slice(&self.proof(key));
        bytes
    }

    /// Reads a hash that an agent reported. `None` when it proves nothing: another length, or not made with our key.
    #[must_use]
    pub fn from_wire(bytes: &[u8], key: &HashKey) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (generation, proof) = rest.split_first_chunk::<8>()?;
        let hash = Self {
            digest: Digest(*digest),
            epoch: u64::from_be_bytes(*epoch),
            generation: u64::from_be_bytes(*generation),
        };
        bool::from(subtle::ConstantTimeEq::ct_eq(proof, hash.proof(key).as_slice())).then_some(hash)
    }

    fn content(&self) -> [u8; 48] {
        let mut content = [0; 48];
        let (digest, rest) = content.split_at_mut(32);
        let (epoch, generation) = rest.split_at_mut(8);
        digest.copy_from_slice(&self.digest.0);
        epoch.copy_from_slice(&self.epoch.to_be_bytes());
        generation.copy_from_slice(&self.generation.to_be_bytes());
        content
    }

    fn proof(&self, key: &HashKey) -> [u8; 8] {
        // An HMAC takes keys of any length: the error can't happen, and an empty proof then never verifies content.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key.0) else {
            return [0; 8];
        };
        mac.update(&self.content());
        let mac = mac.finalize().into_bytes();
        let mut proof = [0; 8];
        proof
            .iter_mut()
            .zip(mac.iter())
            .for_each(|(to, from)| *to = *from);
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back_only_with_the_key_that_made_it() {
        let hash = ConfigHash {
            digest: Digest::of(b"a"),
            epoch: 3,
            generation: 9,
        };
        let key = HashKey([1; 32]);
        let wire = hash.to_wire(&key);
        assert_eq!(ConfigHash::from_wire(&wire, &key), Some(hash));
        assert_eq!(ConfigHash::from_wire(&wire, &HashKey([2; 32])), None);
        assert_eq!(ConfigHash::from_wire(&wire[..55], &key), None);
        for at in 0..wire.len() {
            let mut bent = wire;
            bent[at] ^= 1;
            assert_eq!(ConfigHash::from_wire(&bent, &key), None, "byte {at}");
        }
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest::of(b"muster");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("é".repeat(32).parse::<Digest>().is_err());
    }
}
