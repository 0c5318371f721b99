//! Secrets that Muster hands out: one shape for all of them, told apart by their prefix.
//!
//! `mst_agent_` and 40 letters and digits: 160 random bits, then 40 bits of a checksum over prefix and randomness. The
//! checksum tells a typo or a truncated copy from a secret that is not (or no longer) valid, without asking the store.
//! Only [`Secret::digest`] is ever kept; a secret that has to be sent again is derived again ([`Secret::derived`]).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::fleet::hash::{Digest, HashKey};

/// What a secret is for. Its prefix says it, so that scanners find leaked ones and people see what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// An agent's credential.
    Agent,
    /// An enrolment token.
    Enrolment,
    /// An API token of an account.
    Api,
    /// The one-time token that claims a fresh server.
    Setup,
    /// A browser session: the value of its cookie.
    Session,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Agent,
        Self::Enrolment,
        Self::Api,
        Self::Setup,
        Self::Session,
    ];

    /// What secrets of this kind begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "mst_agent_",
            Self::Enrolment => "mst_enrol_",
            Self::Api => "mst_api_",
            Self::Setup => "mst_setup_",
            Self::Session => "mst_session_",
        }
    }

    /// The words for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Agent => "an agent's credential",
            Self::Enrolment => "an enrolment token",
            Self::Api => "an API token",
            Self::Setup => "a setup token",
            Self::Session => "a session",
        }
    }
}

/// Why a text is not a secret of the kind that was asked for. None of these says anything about valid secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretError {
    /// It begins with no prefix of ours.
    #[error("this is not {}; those begin with {}", .0.words(), .0.prefix())]
    Foreign(SecretKind),
    /// It is a secret of ours for something else.
    #[error("this is {}, but {} is needed", found.words(), wanted.words())]
    OtherKind {
        /// What it is.
        found: SecretKind,
        /// What was asked for.
        wanted: SecretKind,
    },
    /// Its length or its checksum is wrong.
    #[error("{} was mistyped or cut off; copy it again, whole", .0.words())]
    Mistyped(SecretKind),
}

/// A secret, in its only form: text. `Display` and `Debug` print its kind and nothing else of it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret {
    #[zeroize(skip)]
    kind: SecretKind,
    text: String,
}

/// The letters of the text: no `0 1 8 9`, which people take for others.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHECKSUM_BYTES: usize = 5;
const BODY_CHARACTERS: usize = (Secret::RANDOM_BYTES + CHECKSUM_BYTES) * 8 / 5;

impl Secret {
    /// The randomness in a secret, in bytes.
    pub const RANDOM_BYTES: usize = 20;

    /// Makes a secret of fresh randomness.
    #[must_use]
    pub fn new(kind: SecretKind, random: [u8; Self::RANDOM_BYTES]) -> Self {
        let mut text = String::with_capacity(kind.prefix().len() + BODY_CHARACTERS);
        text.push_str(kind.prefix());
        encode(&random, &mut text);
        encode(&checksum(kind, &random), &mut text);
        Self { kind, text }
    }

    /// Makes the secret that belongs to `owner` and `salt`: the same each time, and unknown to whoever lacks the key. For
    /// secrets that have to be sent again, so that they need not be kept.
    #[must_use]
    pub fn derived(kind: SecretKind, key: &HashKey, owner: &[u8; 16], salt: &Digest) -> Option<Self> {
        let mut content = b"secret of ".to_vec();
        content.extend(kind.prefix().as_bytes());
        content.extend(owner);
        content.extend(salt.0);
        let mut bytes = key.mark(&content)?.0;
        let secret = bytes.first_chunk().map(|random| Self::new(kind, *random));
        bytes.zeroize();
        secret
    }

    /// Reads a secret of the wanted kind; blanks around it don't matter.
    ///
    /// # Errors
    /// [`ParseSecretError`] says what the text is instead.
    pub fn parse(wanted: SecretKind, text: &str) -> Result<Self, ParseSecretError> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(wanted.prefix()) else {
            let found = SecretKind::ALL
                .into_iter()
                .find(|kind| text.starts_with(kind.prefix()));
            return Err(match found {
                Some(found) => ParseSecretError::OtherKind { found, wanted },
                None => ParseSecretError::Foreign(wanted),
            });
        };
        let mistyped = ParseSecretError::Mistyped(wanted);
        let mut bytes = decode(body).ok_or(mistyped)?;
        let intact = bytes
            .split_first_chunk::<{ Self::RANDOM_BYTES }>()
            .is_some_and(|(random, sum)| checksum(wanted, random) == *sum);
        bytes.zeroize();
        if intact {
            Ok(Self {
                kind: wanted,
                text: text.to_owned(),
            })
        } else {
            Err(mistyped)
        }
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> SecretKind {
        self.kind
    }

    /// The secret itself, to be shown once or sent.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is kept of it. An index may look it up without constant time: the digest of 160 random bits can't be
    /// approached step by step.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// Whether `digest` is this secret's, in constant time.
    #[must_use]
    pub fn matches(&self, digest: &Digest) -> bool {
        self.digest().0.ct_eq(&digest.0).into()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}***", self.kind.prefix())
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn checksum(kind: SecretKind, random: &[u8; Secret::RANDOM_BYTES]) -> [u8; CHECKSUM_BYTES] {
    let mut content = kind.prefix().as_bytes().to_vec();
    content.extend_from_slice(random);
    let digest = Digest::of(&content);
    content.zeroize();
    digest.0.first_chunk().copied().unwrap_or_default()
}

/// Five bytes become eight letters; `bytes` is a multiple of five.
fn encode(bytes: &[u8], text: &mut String) {
    for chunk in bytes.chunks_exact(5) {
        let bits = chunk
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            let index = usize::try_from(bits >> (at * 5) & 31).unwrap_or_default();
            text.push(ALPHABET.get(index).copied().map_or('a', char::from));
        }
    }
}

fn decode(body: &str) -> Option<[u8; Secret::RANDOM_BYTES + CHECKSUM_BYTES]> {
    if body.len() != BODY_CHARACTERS {
        return None;
    }
    let mut bytes = [0; Secret::RANDOM_BYTES + CHECKSUM_BYTES];
    for (chunk, letters) in bytes.chunks_exact_mut(5).zip(body.as_bytes().chunks_exact(8)) {
        let mut bits = 0_u64;
        for letter in letters {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            bits = bits << 5 | u64::try_from(value).ok()?;
        }
        chunk
            .iter_mut()
            .zip(bits.to_be_bytes().iter().skip(3))
            .for_each(|(to, from)| *to = *from);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANDOM: [u8; 20] = [
        0, 1, 2, 3, 250, 251, 252, 253, 254, 255, 9, 8, 7, 6, 5, 128, 64, 32, 16, 8,
    ];

    proptest! {
        #[test]
        fn a_secret_survives_its_text(random: [u8; 20], kind in proptest::sample::select(&SecretKind::ALL)) {
            let secret = Secret::new(kind, random);
            let again = Secret::parse(kind, &format!("  {}\n", secret.expose())).unwrap();
            prop_assert_eq!(again.expose(), secret.expose());
            prop_assert!(again.matches(&secret.digest()));
        }

        #[test]
        fn any_text_is_a_secret_or_an_error(text: String) {
            prop_assert!(Secret::parse(SecretKind::Api, &text).is_err());
            let prefixed = format!("mst_api_{text}");
            prop_assert!(Secret::parse(SecretKind::Api, &prefixed).is_err());
        }
    }

    #[test]
    fn a_typo_anywhere_is_told_from_a_wrong_secret() {
        let text = Secret::new(SecretKind::Agent, RANDOM).expose().to_owned();
        for at in "mst_agent_".len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let typo = String::from_utf8(bytes).unwrap();
            assert_eq!(
                Secret::parse(SecretKind::Agent, &typo).unwrap_err(),
                ParseSecretError::Mistyped(SecretKind::Agent),
                "letter {at}"
            );
        }
        let (cut, _) = text.split_at(text.len() - 1);
        assert_eq!(
            Secret::parse(SecretKind::Agent, cut).unwrap_err().to_string(),
            "an agent's credential was mistyped or cut off; copy it again, whole"
        );
    }

    #[test]
    fn a_derived_secret_is_the_same_each_time_and_depends_on_everything() {
        let (key, salt) = (HashKey([1; 32]), Digest([2; 32]));
        let secret = |kind, key: &HashKey, owner: u8, salt: Digest| {
            let secret = Secret::derived(kind, key, &[owner; 16], &salt).unwrap();
            secret.expose().to_owned()
        };
        let one = secret(SecretKind::Agent, &key, 3, salt);
        assert_eq!(one, secret(SecretKind::Agent, &key, 3, salt));
        assert!(Secret::parse(SecretKind::Agent, &one).is_ok());
        for other in [
            secret(SecretKind::Agent, &HashKey([9; 32]), 3, salt),
            secret(SecretKind::Agent, &key, 4, salt),
            secret(SecretKind::Agent, &key, 3, Digest([5; 32])),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_secret_of_another_kind_is_named() {
        let token = Secret::new(SecretKind::Enrolment, RANDOM);
        let error = Secret::parse(SecretKind::Api, token.expose()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this is an enrolment token, but an API token is needed"
        );
        // The checksum covers the prefix: exchanging it doesn't make a secret of another kind.
        let renamed = token.expose().replace("mst_enrol_", "mst_agent_");
        assert_eq!(
            Secret::parse(SecretKind::Agent, &renamed).unwrap_err(),
            ParseSecretError::Mistyped(SecretKind::Agent)
        );
    }

    #[test]
    fn a_secret_is_never_printed_by_accident() {
        let secret = Secret::new(SecretKind::Setup, RANDOM);
        assert_eq!(format!("{secret} {secret:?}"), "mst_setup_*** mst_setup_***");
        assert_eq!(secret.expose().len(), "mst_setup_".len() + 40);
    }
}
