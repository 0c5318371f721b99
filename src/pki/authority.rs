//! The certificate authority of this installation: one key, one self-signed certificate, two files.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use time::Duration;
use zeroize::Zeroizing;

use super::{certificate, files};
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

const KEY_FILE: &str = "ca.key";
const CERTIFICATE_FILE: &str = "ca.pem";
/// The key while the pair is being made: it gets its name last, so that a crash in between is told from a loss.
const NEW_KEY_FILE: &str = "ca.key.new";
const LIFE: Duration = Duration::days(3650);
/// Clocks of agents may lag behind ours.
const BACKDATED: Duration = Duration::hours(-1);

/// Why there is no authority. Each says what to do; nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file couldn't be read or written.
    #[error("reading or writing {path} of the certificate authority")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate is there, its key is not.
    #[error(
        "{certificate} is there but its key {key} is missing: restore the key from a backup; only if no agent has ever \
         joined, remove {certificate} to begin anew"
    )]
    KeyMissing {
        /// The certificate's file.
        certificate: PathBuf,
        /// The missing file.
        key: PathBuf,
    },
    /// The key is there, its certificate is not.
    #[error(
        "{key} is there but its certificate {certificate} is missing: restore the certificate from a backup; only if \
         no agent has ever joined, remove {key} to begin anew"
    )]
    CertificateMissing {
        /// The missing file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The key's file holds no key.
    #[error(
        "{path} holds no readable private key: restore it, and {CERTIFICATE_FILE} with it, from a backup"
    )]
    KeyDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The certificate's file holds no certificate of an authority.
    #[error("{path} holds no readable certificate of an authority: restore it from a backup")]
    CertificateDamaged {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate are not a pair.
    #[error("{certificate} was not made for the key in {key}: restore both from the same backup")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Making the key or the certificate failed.
    #[error("making the certificate authority")]
    Make(#[from] rcgen::Error),
    /// The operating system gave no randomness.
    #[error("no randomness for a serial number")]
    Randomness(#[from] getrandom::Error),
}

/// The authority that agents and operators trust.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
    expires: Timestamp,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Reads the authority of `folder` (`ca.key`, `ca.pem`), or makes one called `name` (its common name) when neither
    /// file is there: P-256, ten years, may sign certificates and revocation lists, and no further authority.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] when files are unreadable, damaged, missing a half, or not a pair. They are never replaced.
    pub fn load_or_create(folder: &Path, name: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let key_path = folder.join(KEY_FILE);
        let certificate_path = folder.join(CERTIFICATE_FILE);
        let certificate_pem = read(&certificate_path)?;
        if certificate_pem.is_some() {
            finish_interrupted(folder, &key_path)?;
        }
        let key_pem = read(&key_path)?.map(Zeroizing::new);
        match (key_pem, certificate_pem) {
            (Some(key), Some(pem)) => Self::from_pair(&key, pem, &key_path, &certificate_path),
            (None, None) => Self::create(folder, name, now),
            (None, Some(_)) => Err(AuthorityError::KeyMissing {
                certificate: certificate_path,
                key: key_path,
            }),
            (Some(_), None) => Err(AuthorityError::CertificateMissing {
                certificate: certificate_path,
                key: key_path,
            }),
        }
    }

    /// The certificate in PEM: what clients get as the authority to trust.
    pub fn ca_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The SHA-256 of the certificate's DER: what people compare.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// When the certificate ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// What signs.
    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    fn from_pair(
        key_pem: &str,
        pem: String,
        key_path: &Path,
        certificate_path: &Path,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key_pem).map_err(|_| AuthorityError::KeyDamaged {
            path: key_path.to_owned(),
        })?;
        let damaged = || AuthorityError::CertificateDamaged {
            path: certificate_path.to_owned(),
        };
        let der = certificate::read_chain(&pem)
            .and_then(|chain| chain.into_iter().next())
            .ok_or_else(damaged)?;
        let facts = certificate::read(&der)
            .filter(|facts| facts.is_ca)
            .ok_or_else(damaged)?;
        if facts.public_key != key.public_key_raw() {
            return Err(AuthorityError::Mismatch {
                certificate: certificate_path.to_owned(),
                key: key_path.to_owned(),
            });
        }
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&der, key)?,
            pem,
            der,
            expires: facts.not_after,
        })
    }

    fn create(folder: &Path, name: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        let pem = params(name, now)?.self_signed(&key)?.pem();

        let (key_path, certificate_path) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
        files::write(folder, NEW_KEY_FILE, key_pem.as_bytes(), files::PRIVATE).map_err(at(&key_path))?;
        files::write(folder, CERTIFICATE_FILE, pem.as_bytes(), files::PUBLIC)
            .map_err(at(&certificate_path))?;
        finish_interrupted(folder, &key_path)?;
        Self::from_pair(&key_pem, pem, &key_path, &certificate_path)
    }
}

fn params(name: &str, now: Timestamp) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = certificate::date(now, BACKDATED);
    params.not_after = certificate::date(now, LIFE);
    params.serial_number = Some(certificate::serial()?);
    Ok(params)
}

/// Gives a new key its name: the last step of making the pair, repeated when a crash came before it.
fn finish_interrupted(folder: &Path, key_path: &Path) -> Result<(), AuthorityError> {
    let new_key = folder.join(NEW_KEY_FILE);
    if !key_path.exists() && new_key.exists() {
        fs::rename(&new_key, key_path)
            .and_then(|()| files::sync_folder(folder))
            .map_err(at(key_path))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<String>, AuthorityError> {
    files::read_if_there(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> AuthorityError {
    move |source| AuthorityError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn load(folder: &Path) -> Result<Authority, AuthorityError> {
        Authority::load_or_create(folder, "Muster", NOW)
    }

    #[test]
    fn an_authority_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let made = load(folder.path()).unwrap();
        let found = load(folder.path()).unwrap();
        assert_eq!(made.fingerprint(), found.fingerprint());
        assert_eq!(made.ca_pem(), found.ca_pem());
        assert_eq!(made.expires().seconds(), NOW.seconds() + 3650 * 86_400);
        let bits = |name: &str| {
            fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((bits("ca.key"), bits("ca.pem")), (0o600, 0o644));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_crash_while_the_pair_is_made_is_mended_at_any_point() {
        let folder = tempfile::tempdir().unwrap();
        // Before the certificate was written: the key has served nothing and is replaced.
        fs::write(folder.path().join(NEW_KEY_FILE), "half").unwrap();
        let made = load(folder.path()).unwrap();
        // Before the key got its name.
        fs::rename(folder.path().join(KEY_FILE), folder.path().join(NEW_KEY_FILE)).unwrap();
        assert_eq!(load(folder.path()).unwrap().fingerprint(), made.fingerprint());
    }

    #[test]
    fn a_lost_or_damaged_half_is_an_error_and_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        load(folder.path()).unwrap();
        let (key, pem) = (folder.path().join(KEY_FILE), folder.path().join(CERTIFICATE_FILE));
        let (key_text, pem_text) = (fs::read(&key).unwrap(), fs::read(&pem).unwrap());

        fs::remove_file(&key).unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(AuthorityError::KeyMissing { .. })
        ));
        assert!(!key.exists());
        fs::write(&key, "not a key").unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(AuthorityError::KeyDamaged { .. })
        ));
        fs::write(&key, &key_text).unwrap();

        fs::remove_file(&pem).unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(AuthorityError::CertificateMissing { .. })
        ));
        fs::write(&pem, &pem_text[..pem_text.len() / 2]).unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(AuthorityError::CertificateDamaged { .. })
        ));

        let other = tempfile::tempdir().unwrap();
        load(other.path()).unwrap();
        fs::copy(other.path().join(CERTIFICATE_FILE), &pem).unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(matches!(error, AuthorityError::Mismatch { .. }));
        assert!(error.to_string().contains("restore both"));
        assert_eq!(fs::read(&key).unwrap(), key_text);
    }
}
