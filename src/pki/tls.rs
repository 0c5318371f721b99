//! TLS settings of both sides: TLS 1.2 or newer, one provider, named explicitly.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion, version,
};

use super::certificate;
use crate::fleet::hash::Digest;

static VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// Why TLS settings couldn't be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text to trust holds no certificate.
    #[error("the certificate of the authority is not PEM, or none is in it")]
    NotPem,
    /// The TLS library refused.
    #[error("making TLS settings")]
    Tls(#[from] rustls::Error),
}

/// The settings of a listener: certificates from `resolver`, protocols offered in the order of `alpn` (such as `h2`,
/// `http/1.1`), and `tickets` session tickets per handshake. With 0 nothing is resumed.
///
/// # Errors
///
/// [`TlsError::Tls`] when the provider has no randomness for ticket keys.
pub fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
    alpn: &[&[u8]],
    tickets: usize,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&VERSIONS)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.send_tls13_tickets = tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if tickets > 0 {
        config.ticketer = aws_lc_rs::Ticketer::new()?;
    }
    Ok(Arc::new(config))
}

/// The settings of a client that trusts exactly the authorities in `ca_pem`.
///
/// # Errors
///
/// [`TlsError`] when `ca_pem` holds no certificate, or one that can't be an authority.
pub fn client_config(ca_pem: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for der in certificate::read_chain(ca_pem).ok_or(TlsError::NotPem)? {
        roots.add(der)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&VERSIONS)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The settings of a client that knows only the fingerprint of the authority: the server has to send that certificate
/// along (ours do), and everything else is checked as usual: chain, dates and host name.
///
/// # Errors
///
/// [`TlsError::Tls`] when the library refuses.
pub fn pinned_client_config(authority: Digest) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority { authority }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The one provider of this process. Never the process default, which another crate could install.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

#[derive(Debug)]
struct PinnedAuthority {
    authority: Digest,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates
            .iter()
            .find(|der| Digest::of(der) == self.authority)
            .ok_or(rustls::Error::InvalidCertificate(
                rustls::CertificateError::UnknownIssuer,
            ))?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
