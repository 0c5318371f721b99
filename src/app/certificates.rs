//! The certificate that was given for the admin plane: nobody renews it but who gave it.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::changes::Topic;
use crate::fleet::time::Timestamp;
use crate::pki::Names;

/// How long before its end a certificate is worth a look.
pub const WORTH_A_LOOK: Duration = Duration::from_hours(24 * 14);

/// What a given certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenCertificate {
    /// The names and addresses that it is for: people may call the admin plane by them.
    pub names: Names,
    /// When it ends.
    pub expires: Timestamp,
}

impl App {
    /// The certificate that was given for the admin plane; `None` while it shows the server's own.
    #[must_use]
    pub fn given_certificate(&self) -> Option<Arc<GivenCertificate>> {
        self.given_certificate.load_full()
    }

    /// Notes the certificate that was given, or another that took its place.
    pub fn note_given_certificate(&self, given: GivenCertificate) {
        self.given_certificate.store(Some(Arc::new(given)));
        self.changes.announce(Topic::Agents);
    }
}
