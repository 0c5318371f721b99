//! The token in every form: shows that the form came from a page of this session.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::secret::Secret;
use crate::fleet::hash::Digest;

/// The token for forms of the session with this secret: 64 hexadecimal digits. It can't be made without the secret, and
/// the secret can't be told from it.
#[must_use]
pub fn form_token(session: &Secret) -> String {
    mac(session).to_string()
}

/// Whether `token` belongs to the session with this secret, in constant time.
#[must_use]
pub fn is_form_token(session: &Secret, token: &str) -> bool {
    token
        .parse::<Digest>()
        .is_ok_and(|token| token.0.ct_eq(&mac(session).0).into())
}

fn mac(session: &Secret) -> Digest {
    // An HMAC takes keys of any length, so there always is one; without it the digest is as hard to guess.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(session.expose().as_bytes()) else {
        return Digest::of(session.digest().0.as_slice());
    };
    mac.update(b"muster form token, version 1");
    Digest(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::SecretKind;

    #[test]
    fn a_form_token_belongs_to_one_session() {
        let session = Secret::new(SecretKind::Session, [1; 20]);
        let other = Secret::new(SecretKind::Session, [2; 20]);
        let token = form_token(&session);
        assert!(is_form_token(&session, &token));
        assert!(!is_form_token(&other, &token));
        for wrong in [
            "",
            "0",
            token.split_at(1).1,
            &format!("{token}0"),
            &"0".repeat(64),
            &"é".repeat(32),
        ] {
            assert!(!is_form_token(&session, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_form_token_does_not_show_what_the_store_keeps() {
        let session = Secret::new(SecretKind::Session, [1; 20]);
        assert_ne!(form_token(&session), session.digest().to_string());
    }
}
