//! Bodies of plain HTTP requests and answers: bare Protobuf, possibly gzipped (S-030 to S-034).

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// The media type of both directions.
pub const MEDIA_TYPE: &str = "application/x-protobuf";

/// How a request's body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// Gzip.
    Gzip,
}

/// Why a body can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// An encoding that we don't know: status 415.
    #[error("the body has an encoding other than gzip or identity")]
    UnknownEncoding,
    /// More than is taken, as it is or inflated: status 413.
    #[error("the body has more than {limit} bytes, or inflates beyond reason")]
    TooLarge {
        /// What it may have.
        limit: usize,
    },
    /// Not the gzip that it claims to be: status 400.
    #[error("the body is damaged gzip")]
    Damaged,
}

impl Encoding {
    /// Reads a `Content-Encoding` header; `None` when the request has none.
    ///
    /// # Errors
    /// [`BodyError::UnknownEncoding`] for anything but one gzip or identity.
    pub fn of(header: Option<&str>) -> Result<Self, BodyError> {
        let coding = header.unwrap_or_default().trim();
        if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
            Ok(Self::Identity)
        } else if is_gzip(coding) {
            Ok(Self::Gzip)
        } else {
            Err(BodyError::UnknownEncoding)
        }
    }
}

fn is_gzip(coding: &str) -> bool {
    coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip")
}

/// The Protobuf bytes of a body that was read whole, at most `limit` of them. Inflates no further than that, and no
/// further than a hundred times what came: beyond lie bombs, not reports.
///
/// # Errors
/// [`BodyError`] when it is too large or damaged.
pub fn open(body: &[u8], encoding: Encoding, limit: usize) -> Result<Cow<'_, [u8]>, BodyError> {
    const RATIO: usize = 100;
    /// Short messages may compress better than that.
    const ALWAYS_FINE: usize = 64 << 10;
    let too_large = BodyError::TooLarge { limit };
    if body.len() > limit {
        return Err(too_large);
    }
    if encoding == Encoding::Identity {
        return Ok(Cow::Borrowed(body));
    }
    let cap = body.len().saturating_mul(RATIO).max(ALWAYS_FINE).min(limit);
    let mut inflated = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take(cap as u64 + 1);
    match decoder.read_to_end(&mut inflated) {
        Ok(length) if length > cap => Err(too_large),
        Ok(_) => Ok(Cow::Owned(inflated)),
        Err(_) => Err(BodyError::Damaged),
    }
}

/// Whether an `Accept-Encoding` header asks for gzip: by name or by `*`, and not with a quality of 0. Without the header
/// answers stay as they are.
#[must_use]
pub fn accepts_gzip(header: Option<&str>) -> bool {
    let mut any = false;
    for item in header.unwrap_or_default().split(',') {
        let mut parameters = item.split(';').map(str::trim);
        let coding = parameters.next().unwrap_or_default();
        let quality = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(Ok(1.0), |(_, quality)| quality.trim().parse::<f32>());
        let wanted = quality.is_ok_and(|quality| quality > 0.0);
        if is_gzip(coding) {
            return wanted;
        }
        any |= coding == "*" && wanted;
    }
    any
}

/// An answer as gzip. A short one (a bare acknowledgement has 18 bytes) is only put into the envelope: packing it would
/// cost a compressor's memory and gain nothing.
#[must_use]
pub fn gzip(answer: &[u8]) -> Vec<u8> {
    const WORTH_PACKING: usize = 860;
    if answer.len() < WORTH_PACKING {
        return stored(answer);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(answer).and_then(|()| encoder.finish());
    packed.unwrap_or_else(|_| stored(answer))
}

/// Gzip (RFC 1952) around blocks that are stored, not packed (RFC 1951, 3.2.4).
fn stored(answer: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    const LAST: u8 = 1;
    let mut gzip = Vec::with_capacity(HEADER.len() + answer.len() + 16);
    gzip.extend_from_slice(&HEADER);
    for block in answer.chunks(usize::from(u16::MAX)) {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        gzip.push(0);
        gzip.extend_from_slice(&length.to_le_bytes());
        gzip.extend_from_slice(&(!length).to_le_bytes());
        gzip.extend_from_slice(block);
    }
    gzip.extend_from_slice(&[LAST, 0, 0, 0xff, 0xff]);
    let mut checksum = Crc::new();
    checksum.update(answer);
    gzip.extend_from_slice(&checksum.sum().to_le_bytes());
    gzip.extend_from_slice(&checksum.amount().to_le_bytes());
    gzip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_when_the_agent_asks_for_it() {
        for yes in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip;q=0.5",
            "*",
            "br;q=1.0, *;q=0.1",
            "gzip; q=1",
        ] {
            assert!(accepts_gzip(Some(yes)), "{yes}");
        }
        for no in [
            "",
            "identity",
            "gzip;q=0",
            "gzip; Q=0.0",
            "*;q=0",
            "*, gzip;q=0",
            "gzip;q=0, *",
            "gzip;q=x",
            "br",
        ] {
            assert!(!accepts_gzip(Some(no)), "{no}");
        }
        assert!(!accepts_gzip(None));
    }

    #[test]
    fn an_encoding_other_than_gzip_and_identity_is_named() {
        assert_eq!(Encoding::of(None), Ok(Encoding::Identity));
        assert_eq!(Encoding::of(Some("identity")), Ok(Encoding::Identity));
        assert_eq!(Encoding::of(Some(" Gzip ")), Ok(Encoding::Gzip));
        for other in ["br", "deflate", "gzip, gzip", "zstd"] {
            assert_eq!(Encoding::of(Some(other)), Err(BodyError::UnknownEncoding));
        }
    }

    #[test]
    fn answers_of_every_length_inflate_to_themselves() {
        for length in [0, 1, 18, 859, 860, 70_000] {
            let answer = vec![7; length];
            for packed in [gzip(&answer), stored(&answer)] {
                assert_eq!(open(&packed, Encoding::Gzip, 1 << 20).unwrap(), answer);
            }
        }
    }

    #[test]
    fn a_body_ends_at_the_limit_packed_or_not() {
        let limit = 1000;
        assert!(open(&[1; 1000], Encoding::Identity, limit).is_ok());
        assert_eq!(
            open(&[1; 1001], Encoding::Identity, limit),
            Err(BodyError::TooLarge { limit })
        );
        assert!(open(&gzip(&[1; 1000]), Encoding::Gzip, limit).is_ok());
        assert_eq!(
            open(&gzip(&[1; 1001]), Encoding::Gzip, limit),
            Err(BodyError::TooLarge { limit })
        );
    }

    #[test]
    fn gzip_in_several_members_is_one_body() {
        let body = [gzip(b"a"), gzip(b"b")].concat();
        assert_eq!(open(&body, Encoding::Gzip, 100).unwrap(), &b"ab"[..]);
    }
}
