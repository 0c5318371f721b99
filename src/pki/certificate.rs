//! What we read from a certificate.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::fleet::time::Timestamp;

/// The parts of a certificate that decide whether we can use it.
pub(super) struct Facts {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) public_key: Vec<u8>,
    pub(super) is_ca: bool,
    pub(super) dns: BTreeSet<String>,
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// Reads one certificate. `None` when the bytes are not a certificate.
pub(super) fn read(der: &[u8]) -> Option<Facts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut facts = Facts {
        not_before: point(certificate.validity().not_before.timestamp()),
        not_after: point(certificate.validity().not_after.timestamp()),
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        is_ca: certificate.is_ca(),
        dns: BTreeSet::new(),
        addresses: BTreeSet::new(),
    };
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        for name in &names.value.general_names {
            if let GeneralName::DNSName(name) = name {
                facts.dns.insert(name.to_ascii_lowercase());
            } else if let GeneralName::IPAddress(bytes) = name {
                facts.addresses.extend(address(bytes));
            }
        }
    }
    Some(facts)
}

/// The certificates of a PEM text, in order. `None` when it holds none or something that is not one.
pub(super) fn read_chain(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .ok()?;
    (!chain.is_empty()).then_some(chain)
}

/// The date that certificates use for `now` shifted by `shift`; dates stop at the year 9999.
pub(super) fn date(now: Timestamp, shift: Duration) -> OffsetDateTime {
    i64::try_from(now.seconds())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| at.checked_add(shift))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A random serial number: 127 bits, positive, as RFC 5280 wants it.
pub(super) fn serial() -> Result<rcgen::SerialNumber, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    // Positive, and never with a leading zero, which DER forbids to keep.
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(rcgen::SerialNumber::from_slice(&bytes))
}

fn point(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(u64::try_from(seconds).unwrap_or(0))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(bytes.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
