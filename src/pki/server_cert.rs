//! The certificate that a listener shows: issued by our authority and renewed by itself, or given as files and read
//! again when they change. Either way it changes without a restart and without dropping a connection.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::Duration;
use zeroize::Zeroizing;

use super::authority::Authority;
use super::certificate::{self, Facts};
use super::names::Names;
use super::{files, tls};
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

const KEY_FILE: &str = "server.key";
const CERTIFICATE_FILE: &str = "server.pem";
const LIFE: Duration = Duration::days(90);
const BACKDATED: Duration = Duration::hours(-1);

/// Why there is no certificate to show. One that is already in use stays in use.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// A file couldn't be read or written.
    #[error("reading or writing {path} of the server's certificate")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds no certificate.
    #[error(
        "{path} holds no certificate: expected PEM, the server's certificate first and its issuers after it"
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no key that can be used.
    #[error("{path} holds no usable private key: expected PEM, not encrypted (RSA, ECDSA or Ed25519)")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate are not a pair.
    #[error("the key in {key} does not belong to the first certificate in {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate in {path} expired at {at}")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When it ended.
        at: Timestamp,
    },
    /// The certificate's time hasn't come.
    #[error("the certificate in {path} is only valid from {at} on")]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When it begins.
        at: Timestamp,
    },
    /// There is no name to put into a certificate.
    #[error("a server's certificate needs at least one name or address")]
    NoNames,
    /// Issuing failed.
    #[error("issuing the server's certificate")]
    Issue(#[from] rcgen::Error),
    /// The operating system gave no randomness.
    #[error("no randomness for a serial number")]
    Randomness(#[from] getrandom::Error),
}

/// Gives each handshake the certificate of the moment.
#[derive(Debug)]
pub struct Resolver {
    current: ArcSwap<Shown>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    not_before: Timestamp,
    not_after: Timestamp,
    /// The digest of the files' contents: what tells a change.
    source: Digest,
}

#[derive(Debug)]
enum Source {
    Issued {
        authority: Arc<Authority>,
        folder: PathBuf,
        names: Names,
    },
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

/// A server's certificate and where it comes from.
#[derive(Debug)]
pub struct ServerCertificate {
    resolver: Arc<Resolver>,
    source: Source,
}

impl ServerCertificate {
    /// A certificate of our own `authority` for `names`, kept in `folder` (`server.key`, `server.pem`): P-256, 90 days.
    /// The one on disk is used again while it was issued by this authority, covers all names, and has more than a third
    /// of its life left; else a new one replaces it.
    ///
    /// # Errors
    ///
    /// [`ServerCertificateError`] when nothing can be issued or written.
    pub fn issued(
        authority: Arc<Authority>,
        folder: &Path,
        names: Names,
        now: Timestamp,
    ) -> Result<Self, ServerCertificateError> {
        let shown = match kept(&authority, folder, &names, now) {
            Some(shown) => shown,
            None => issue(&authority, folder, &names, now)?,
        };
        let source = Source::Issued {
            authority,
            folder: folder.to_owned(),
            names,
        };
        Ok(Self::new(shown, source))
    }

    /// The certificate chain in the file `certificate` with the private key in the file `key`, both PEM.
    ///
    /// # Errors
    ///
    /// [`ServerCertificateError`] says which file is wrong and how.
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        now: Timestamp,
    ) -> Result<Self, ServerCertificateError> {
        let shown = read_files(certificate, key, now, None)?;
        let source = Source::Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        // Without a known digest the files are always read.
        let shown = shown.ok_or(ServerCertificateError::NoCertificate {
            path: certificate.to_owned(),
        })?;
        Ok(Self::new(shown, source))
    }

    fn new(shown: Shown, source: Source) -> Self {
        let current = ArcSwap::from_pointee(shown);
        Self {
            resolver: Arc::new(Resolver { current }),
            source,
        }
    }

    /// What a TLS configuration asks for the certificate. It follows every renewal and reload.
    pub fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    /// When the certificate in use ends.
    pub fn expires(&self) -> Timestamp {
        self.resolver.current.load().not_after
    }

    /// The names and addresses in the certificate in use.
    pub fn names(&self) -> Names {
        let shown = self.resolver.current.load();
        let leaf = shown.key.end_entity_cert().ok();
        leaf.and_then(|der| certificate::read(der))
            .map_or_else(Names::default, |facts| Names::of(facts.dns, facts.addresses))
    }

    /// The SHA-256 of the certificate in use.
    pub fn fingerprint(&self) -> Digest {
        let shown = self.resolver.current.load();
        shown
            .key
            .end_entity_cert()
            .map_or(Digest([0; 32]), |der| Digest::of(der))
    }

    /// Issues a new certificate when a third or less of this one's life is left. `true` when it did; always `false` for
    /// given files.
    ///
    /// # Errors
    ///
    /// [`ServerCertificateError`] when issuing or writing fails; the old certificate stays in use.
    pub fn renew_if_due(&self, now: Timestamp) -> Result<bool, ServerCertificateError> {
        let Source::Issued {
            authority,
            folder,
            names,
        } = &self.source
        else {
            return Ok(false);
        };
        let shown = self.resolver.current.load();
        if lives_on(shown.not_before, shown.not_after, now) {
            return Ok(false);
        }
        self.resolver
            .current
            .store(Arc::new(issue(authority, folder, names, now)?));
        Ok(true)
    }

    /// Reads given files again when their content changed. `true` when another certificate is in use now; always
    /// `false` for an issued one.
    ///
    /// # Errors
    ///
    /// [`ServerCertificateError`] when the new content can't be used; the old certificate stays in use.
    pub fn reload_if_changed(&self, now: Timestamp) -> Result<bool, ServerCertificateError> {
        let Source::Files { certificate, key } = &self.source else {
            return Ok(false);
        };
        let known = self.resolver.current.load().source;
        let Some(shown) = read_files(certificate, key, now, Some(known))? else {
            return Ok(false);
        };
        self.resolver.current.store(Arc::new(shown));
        Ok(true)
    }
}

fn lives_on(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> bool {
    now >= not_before && not_after.since(now) > not_after.since(not_before) / 3
}

/// The certificate on disk, if it can go on. Anything wrong with it only means that a new one is issued.
fn kept(authority: &Authority, folder: &Path, names: &Names, now: Timestamp) -> Option<Shown> {
    let shown = read_files(&folder.join(CERTIFICATE_FILE), &folder.join(KEY_FILE), now, None).ok()??;
    let issuer = shown.key.cert.get(1)?;
    let facts = certificate::read(shown.key.end_entity_cert().ok()?)?;
    let covers = facts.dns.is_superset(names.dns()) && facts.addresses.is_superset(names.addresses());
    (issuer == authority.der() && covers && lives_on(shown.not_before, shown.not_after, now)).then_some(shown)
}

fn issue(
    authority: &Authority,
    folder: &Path,
    names: &Names,
    now: Timestamp,
) -> Result<Shown, ServerCertificateError> {
    let key = KeyPair::generate()?;
    let leaf = params(names, now)?.signed_by(&key, authority.issuer())?;
    let key_pem = Zeroizing::new(key.serialize_pem());
    // The authority travels along, so that a client which only knows its fingerprint can check the chain.
    let chain_pem = format!("{}{}", leaf.pem(), authority.ca_pem());
    for (name, content, mode) in [
        (KEY_FILE, key_pem.as_str(), files::PRIVATE),
        (CERTIFICATE_FILE, chain_pem.as_str(), files::PUBLIC),
    ] {
        files::write(folder, name, content.as_bytes(), mode).map_err(at(&folder.join(name)))?;
    }
    let (certificate_path, key_path) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
    assemble(&chain_pem, &key_pem, &certificate_path, &key_path)
}

fn params(names: &Names, now: Timestamp) -> Result<CertificateParams, ServerCertificateError> {
    let mut params = CertificateParams::default();
    for name in names.dns() {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into()?));
    }
    params
        .subject_alt_names
        .extend(names.addresses().iter().copied().map(SanType::IpAddress));
    if params.subject_alt_names.is_empty() {
        return Err(ServerCertificateError::NoNames);
    }
    // Clients read the alternative names; the common name is for people, and has at most 64 characters.
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Muster server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = certificate::date(now, BACKDATED);
    params.not_after = certificate::date(now, LIFE);
    params.serial_number = Some(certificate::serial()?);
    Ok(params)
}

/// Reads and checks a pair of files. `None` when their content is the `known` one.
fn read_files(
    certificate_path: &Path,
    key_path: &Path,
    now: Timestamp,
    known: Option<Digest>,
) -> Result<Option<Shown>, ServerCertificateError> {
    let chain_pem = std::fs::read_to_string(certificate_path).map_err(at(certificate_path))?;
    let key_pem = Zeroizing::new(std::fs::read_to_string(key_path).map_err(at(key_path))?);
    if known == Some(digest_of(&chain_pem, &key_pem)) {
        return Ok(None);
    }
    let shown = assemble(&chain_pem, &key_pem, certificate_path, key_path)?;
    let path = certificate_path.to_owned();
    if shown.not_after <= now {
        let at = shown.not_after;
        return Err(ServerCertificateError::Expired { path, at });
    }
    if shown.not_before > now {
        let at = shown.not_before;
        return Err(ServerCertificateError::NotYetValid { path, at });
    }
    Ok(Some(shown))
}

fn assemble(
    chain_pem: &str,
    key_pem: &str,
    certificate_path: &Path,
    key_path: &Path,
) -> Result<Shown, ServerCertificateError> {
    let no_certificate = || ServerCertificateError::NoCertificate {
        path: certificate_path.to_owned(),
    };
    let no_key = || ServerCertificateError::NoKey {
        path: key_path.to_owned(),
    };
    let chain = certificate::read_chain(chain_pem).ok_or_else(no_certificate)?;
    let facts = leaf_facts(&chain).ok_or_else(no_certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| no_key())?;
    let signing = tls::provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| no_key())?;
    let key = CertifiedKey::new(chain, signing);
    key.keys_match().map_err(|_| ServerCertificateError::Mismatch {
        certificate: certificate_path.to_owned(),
        key: key_path.to_owned(),
    })?;
    Ok(Shown {
        key: Arc::new(key),
        not_before: facts.not_before,
        not_after: facts.not_after,
        source: digest_of(chain_pem, key_pem),
    })
}

fn leaf_facts(chain: &[CertificateDer<'static>]) -> Option<Facts> {
    certificate::read(chain.first()?)
}

fn digest_of(chain_pem: &str, key_pem: &str) -> Digest {
    let parts = [
        Digest::of(chain_pem.as_bytes()).0,
        Digest::of(key_pem.as_bytes()).0,
    ];
    Digest::of(parts.as_flattened())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ServerCertificateError {
    move |source| ServerCertificateError::Io {
        path: path.to_owned(),
        source,
    }
}
