//! Fingerprints as people read and type them.

use crate::fleet::hash::Digest;

/// A text that is not a SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 fingerprint: expected 64 hexadecimal digits, with or without a colon after each pair")]
pub struct FingerprintError;

/// The fingerprint as upper-case pairs with colons, the way OpenSSL and browsers print it.
pub fn fingerprint_pairs(digest: &Digest) -> String {
    digest.pairs()
}

/// Reads a fingerprint in either form: plain digits (any case), or pairs with colons, with or without a leading
/// `sha256:`.
///
/// # Errors
///
/// [`FingerprintError`] when the text is neither.
pub fn parse_fingerprint(text: &str) -> Result<Digest, FingerprintError> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_prefix("sha256:").unwrap_or(&text);
    let plain = match text.split(':').collect::<Vec<_>>() {
        one if one.len() == 1 => text.to_owned(),
        pairs if pairs.iter().all(|pair| pair.len() == 2) => pairs.concat(),
        _ => return Err(FingerprintError),
    };
    plain.parse().map_err(|_| FingerprintError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_in_the_forms_that_people_copy() {
        let digest = Digest::of(b"ca");
        let pairs = fingerprint_pairs(&digest);
        assert_eq!(pairs.len(), 95);
        assert_eq!(parse_fingerprint(&pairs), Ok(digest));
        assert_eq!(parse_fingerprint(&digest.to_string()), Ok(digest));
        assert_eq!(parse_fingerprint(&format!(" sha256:{digest}\n")), Ok(digest));
        for wrong in [
            "",
            "ab",
            &pairs.replacen(':', "", 1),
            &format!("{pairs}:"),
            &"é".repeat(32),
        ] {
            assert_eq!(parse_fingerprint(wrong), Err(FingerprintError), "{wrong}");
        }
    }
}
