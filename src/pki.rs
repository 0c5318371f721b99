//! Keys and certificates: the authority of this installation, the certificate that its listeners show, and the TLS
//! settings that both sides of a connection use.
//!
//! Knows files, keys and certificates. Knows nothing of agents, HTTP or the store. Time is an argument.

mod authority;
mod certificate;
mod files;
mod fingerprint;
mod names;
mod server_cert;
mod tls;

pub use authority::{Authority, AuthorityError};
pub use fingerprint::{FingerprintError, fingerprint_pairs, parse_fingerprint};
pub use names::{InvalidName, Names};
pub use server_cert::{Resolver, ServerCertificate, ServerCertificateError};
pub use tls::{TlsError, client_config, pinned_client_config, server_config};
