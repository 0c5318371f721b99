//! Sealing what must not lie open in the store, and telling secrets apart without showing them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::error::Error;
use super::randomness;
use crate::fleet::config::secrecy::telling_mark;
use crate::fleet::hash::{Digest, HashKey};

/// The keys that lie in the data folder, outside of the store.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Proves config hashes to be ours.
    pub hash: HashKey,
    /// Seals secrets.
    pub seal: SealKey,
}

/// The key that seals secrets. Without it they are lost.
#[derive(Clone, ZeroizeOnDrop)]
pub struct SealKey(pub [u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(***)")
    }
}

/// Something sealed: in base64 a nonce (24 bytes), and what XChaCha20-Poly1305 made of it. Bound to its table and key, so
/// that it opens nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(***)")
    }
}

const NONCE: usize = 24;

impl SealKey {
    /// Seals `plain` for one place of the store.
    pub(super) fn seal(&self, table: &str, key: &str, plain: &[u8]) -> Result<Sealed, Error> {
        let nonce: [u8; NONCE] = randomness::random()?;
        let bound = bound(table, key);
        let payload = Payload {
            msg: plain,
            aad: &bound,
        };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|error| Error::Unavailable(error.to_string()))?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(Sealed(STANDARD.encode(bytes)))
    }

    /// Opens what was sealed for this place; `None` when it was not, or not with this key.
    pub(super) fn open(&self, table: &str, key: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = STANDARD.decode(&sealed.0).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let bound = bound(table, key);
        let payload = Payload {
            msg: sealed,
            aad: &bound,
        };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
        Some(Zeroizing::new(opened))
    }

    /// A digest of content that holds secrets. Keyed, so that nobody can try out what they are.
    pub(super) fn digest(&self, content: &[u8]) -> Digest {
        Digest(self.keyed(b"content", content))
    }

    /// What stands for a secret where an agent reports it: the same for the same value, and telling nothing else.
    pub(super) fn mark(&self, value: &str) -> String {
        let digest = Digest(self.keyed(b"mark", value.as_bytes()));
        telling_mark(&digest.short())
    }

    fn keyed(&self, purpose: &[u8], bytes: &[u8]) -> [u8; 32] {
        // An HMAC takes keys of any length: the error can't happen, and would make all equal, never anything readable.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return [0; 32];
        };
        mac.update(purpose);
        mac.update(&[0]);
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

fn bound(table: &str, key: &str) -> Vec<u8> {
    [table.as_bytes(), &[0], key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_at_its_place_with_its_key() {
        let key = SealKey([3; 32]);
        let sealed = key.seal("secrets_v1", "token", b"hunter2!").unwrap();
        let open =
            |key: &SealKey, table: &str, at: &str| key.open(table, at, &sealed).map(|plain| plain.to_vec());
        assert_eq!(
            open(&key, "secrets_v1", "token").as_deref(),
            Some(&b"hunter2!"[..])
        );
        assert_eq!(open(&key, "secrets_v1", "other"), None);
        assert_eq!(open(&key, "sealed_v1", "token"), None);
        assert_eq!(open(&SealKey([4; 32]), "secrets_v1", "token"), None);
        assert_ne!(
            key.seal("secrets_v1", "token", b"hunter2!").unwrap(),
            sealed,
            "never twice the same"
        );
        assert!(!format!("{sealed:?} {key:?}").contains(&sealed.0));
    }

    #[test]
    fn a_mark_tells_equal_from_different_and_nothing_else() {
        let key = SealKey([3; 32]);
        assert_eq!(key.mark("a"), key.mark("a"));
        assert_ne!(key.mark("a"), key.mark("b"));
        assert_ne!(key.mark("a"), SealKey([4; 32]).mark("a"));
        assert_ne!(key.digest(b"a"), Digest::of(b"a"));
    }
}
