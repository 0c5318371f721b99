//! What memory returns to when the store can't keep up.

use std::sync::Arc;

use crate::app::live::Entry;
use crate::fleet::agent::{Agent, Contact, Pulse};

/// An agent as it was before a message or push: what memory returns to when the store can't keep up. Without that, a
/// verdict would be known here, never be written, and be forgotten by the next restart.
pub(super) struct Before {
    agent: Arc<Agent>,
    pulse: Pulse,
    contact: Contact,
}

impl Before {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            agent: Arc::clone(&entry.agent),
            pulse: entry.pulse,
            contact: entry.contact.clone(),
        }
    }

    /// Reported state stays: the number that goes back has the agent report it again.
    pub(super) fn restore(self, entry: &mut Entry) {
        Arc::make_mut(&mut entry.agent).delivery = self.agent.delivery.clone();
        entry.pulse = Pulse {
            last_seen: entry.pulse.last_seen,
            ..self.pulse
        };
        entry.contact = self.contact;
    }
}
