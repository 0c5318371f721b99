//! Passwords: what is kept of them, and which are too weak.

use std::fmt;

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::fleet::name::Name;

/// A password as somebody typed it. Never printed, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

/// What is kept of a password: Argon2id with 19 MiB, two passes, one lane, as a PHC string.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

/// What comparing a password with a hash says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another password.
    Wrong,
    /// The password.
    Right {
        /// Whether the hash was made with other parameters than today's and should be made again.
        needs_rehash: bool,
    },
}

/// Why a password is not good enough. There are no rules about kinds of characters: length is what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer than [`Password::MINIMUM`] characters.
    #[error("a password needs at least 12 characters; this one has {0}. A few words make a good one")]
    TooShort(usize),
    /// More than [`Password::MAXIMUM`] characters.
    #[error("a password has at most 256 characters; this one has {0}")]
    TooLong(usize),
    /// The account's name with little else.
    #[error("the password is little more than the account's name; choose something else")]
    AccountName,
    /// On everybody's list, or one pattern repeated.
    #[error("this is one of the passwords that are tried first; choose something else")]
    Common,
}

/// A password can't be hashed: the library refused our parameters or found no memory.
#[derive(Debug, thiserror::Error)]
#[error("can't hash a password: {0}")]
pub struct HashError(argon2::password_hash::Error);

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const OUTPUT_BYTES: usize = 32;

/// Long enough to pass the length rule, and still on top of every list. Compared without case, blanks and punctuation.
const COMMON: &str = "
    123456789012 1234567890123 12345678901234 123456789012345 1234567890123456 012345678901 0123456789012
    123456123456 1234567891011 123123123123 12345678910 0987654321098 987654321098 1qaz2wsx3edc
    1qaz2wsx3edc4rfv 1q2w3e4r5t6y 1q2w3e4r5t6y7u8i q1w2e3r4t5y6 zaq12wsxcde3 qwertyuiop12 qwertyuiop123
    qwertyuiopasdf qwertyuiopasdfghjkl qwertyuiopasdfghjklzxcvbnm qwerty123456 qwerty1234567 asdfghjkl123
    asdfghjklzxcvbnm abcdefghijkl abcdefghijklm abcdefghijklmnopqrstuvwxyz abcd12345678 abc123456789
    a1b2c3d4e5f6 aa123456789012 password1234 password12345 password123456 password1234567 password12345678
    passw0rd1234 p4ssw0rd1234 mypassword123 mypassword1234 newpassword123 changeme1234 changeme12345
    changemenow123 pleasechangeme defaultpassword defaultpassword1 temporarypassword letmein12345
    letmein123456 letmeinplease welcome12345 welcome123456 welcometomuster iloveyou1234 iloveyou12345
    iloveyouforever administrator administrator1 administrator123 administrateur admin1234567 admin12345678
    admin123456789 adminpassword adminpassword1 adminpassword123 rootpassword rootpassword1 secretpassword
    supersecret1 supersecret123 supersecretpassword correcthorsebatterystaple thisismypassword
    trustno1trustno1 football1234 princess1234 sunshine1234 dragon123456 monkey123456 superman1234
    opentelemetry opentelemetry1 musterpassword
";

impl Password {
    /// The fewest characters of a password.
    pub const MINIMUM: usize = 12;
    /// The most characters of a password.
    pub const MAXIMUM: usize = 256;

    /// A password as typed: nothing is trimmed or folded.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it is good enough for the account `name`.
    ///
    /// # Errors
    /// The [`Weakness`] that it has.
    pub fn check(&self, name: &Name) -> Result<(), Weakness> {
        let length = self.0.chars().count();
        if length < Self::MINIMUM {
            return Err(Weakness::TooShort(length));
        }
        if length > Self::MAXIMUM {
            return Err(Weakness::TooLong(length));
        }
        let lower = self.0.to_lowercase();
        if name.as_str().len() >= 3 && lower.replace(name.as_str(), "").chars().count() < 4 {
            return Err(Weakness::AccountName);
        }
        let all: Vec<char> = lower.chars().collect();
        let folded: Vec<char> = lower.chars().filter(|c| c.is_alphanumeric()).collect();
        let text: String = folded.iter().collect();
        let is_common = COMMON.split_whitespace().any(|common| common == text);
        if is_common || is_one_pattern_repeated(&folded) || is_one_pattern_repeated(&all) {
            return Err(Weakness::Common);
        }
        Ok(())
    }

    /// Whether comparing it with a hash is worth the work: what is longer than any password is none.
    fn is_plausible(&self) -> bool {
        self.0.len() <= Self::MAXIMUM * 4
    }
}

/// `aaaa…`, `abcabc…`, `passwordpassword`: at most eight characters over and over.
fn is_one_pattern_repeated(text: &[char]) -> bool {
    let has_period = |period: usize| text.iter().zip(text.iter().skip(period)).all(|(a, b)| a == b);
    (1..=8).any(|length| text.len() >= length * 2 && has_period(length))
}

impl PasswordHash {
    /// The hash of `password`. Takes some 25 ms and 19 MiB: not on a thread that serves others.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn new(password: &Password, salt: [u8; 16]) -> Result<Self, HashError> {
        let params =
            Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).map_err(|e| HashError(e.into()))?;
        let mut output = [0; OUTPUT_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.0.as_bytes(), &salt, &mut output)
            .map_err(|error| HashError(error.into()))?;
        let hash = Self::assemble(&salt, &output);
        output.zeroize();
        hash
    }

    /// A hash that no password fits, of the same cost: what the password of an unknown account is compared with. The
    /// randomness is its salt and its output.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn decoy(random: [u8; 48]) -> Result<Self, HashError> {
        let (salt, output) = random.split_at(16);
        Self::assemble(salt, output)
    }

    fn assemble(salt: &[u8], output: &[u8]) -> Result<Self, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.into()))?;
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(HashError)?,
            salt: Some(Salt::new(salt).map_err(|error| HashError(error.into()))?),
            hash: Some(Output::new(output).map_err(|error| HashError(error.into()))?),
        };
        Ok(Self(hash.to_string()))
    }

    /// Compares, in constant time and at the cost of [`PasswordHash::new`]. A damaged hash fits no password.
    #[must_use]
    pub fn verify(&self, password: &Password) -> Verdict {
        let Ok(hash) = phc::PasswordHash::new(&self.0) else {
            return Verdict::Wrong;
        };
        if !password.is_plausible()
            || Argon2::default()
                .verify_password(password.0.as_bytes(), &hash)
                .is_err()
        {
            return Verdict::Wrong;
        }
        let today = Params::try_from(&hash).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
        });
        let today = today && hash.algorithm == Algorithm::Argon2id.ident();
        Verdict::Right { needs_rehash: !today }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

#[cfg(test)]
mod tests {
    use argon2::CustomizedPasswordHasher;

    use super::*;

    fn weakness(password: &str) -> Option<Weakness> {
        Password::new(password)
            .check(&Name::new("margarethe").unwrap())
            .err()
    }

    #[test]
    fn a_password_fits_its_hash_and_no_other_does() {
        let password = Password::new("six small words, no rules");
        let hash = PasswordHash::new(&password, [7; 16]).unwrap();
        assert!(
            hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.0
        );
        assert_eq!(hash.verify(&password), Verdict::Right { needs_rehash: false });
        assert_eq!(
            hash.verify(&Password::new("six small words, no rule")),
            Verdict::Wrong
        );
        assert_ne!(
            hash,
            PasswordHash::new(&password, [8; 16]).unwrap(),
            "the salt is part of it"
        );
    }

    #[test]
    fn a_decoy_has_the_parameters_of_a_real_hash_and_fits_no_password() {
        let decoy = PasswordHash::decoy([3; 48]).unwrap();
        let real = PasswordHash::new(&Password::new("six small words"), [7; 16]).unwrap();
        assert_eq!(decoy.0.len(), real.0.len());
        assert_eq!(decoy.0.rsplit('$').nth(2), real.0.rsplit('$').nth(2));
        assert_eq!(decoy.verify(&Password::new("")), Verdict::Wrong);
    }

    #[test]
    fn a_hash_with_older_parameters_is_right_and_made_again() {
        let weaker = Params::new(64, 1, 1, None).unwrap();
        let old = Argon2::default()
            .hash_password_customized(b"six small words", &[1; 16], Some("argon2id"), None, weaker)
            .unwrap();
        let verdict = PasswordHash(old.to_string()).verify(&Password::new("six small words"));
        assert_eq!(verdict, Verdict::Right { needs_rehash: true });
    }

    #[test]
    fn a_damaged_hash_fits_no_password() {
        for text in [
            "",
            "$argon2id$",
            "plain",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$",
        ] {
            assert_eq!(
                PasswordHash(text.to_owned()).verify(&Password::new("plain")),
                Verdict::Wrong,
                "{text}"
            );
        }
    }

    #[test]
    fn length_is_what_counts() {
        assert_eq!(weakness("only eleven"), Some(Weakness::TooShort(11)));
        assert_eq!(weakness("just twelve."), None);
        assert_eq!(weakness("zwölf äöüß€!"), None, "characters count, not bytes");
        assert_eq!(weakness(&"two words ".repeat(26)), Some(Weakness::TooLong(260)));
    }

    #[test]
    fn the_account_name_and_what_is_tried_first_are_refused() {
        assert_eq!(weakness("Margarethe12!"), Some(Weakness::AccountName));
        assert_eq!(weakness("margarethe margarethe"), Some(Weakness::AccountName));
        assert_eq!(weakness("margarethe likes apples"), None);
        for common in [
            "Password-1234",
            "passwordpassword",
            "aaaaaaaaaaaa",
            "abc abc abc abc",
            "correct horse battery staple",
        ] {
            assert_eq!(weakness(common), Some(Weakness::Common), "{common}");
        }
        assert_eq!(
            weakness("////////////////"),
            Some(Weakness::Common),
            "nothing is left to guess"
        );
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = Password::new("six small words");
        let hash = PasswordHash::new(&password, [7; 16]).unwrap();
        assert_eq!(
            format!("{password:?} {hash:?}"),
            "Password(***) PasswordHash(***)"
        );
    }
}
