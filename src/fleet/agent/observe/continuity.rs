//! How a message's number relates to the one before.

use crate::fleet::agent::Pulse;
use crate::fleet::agent::report::Report;

/// How a message's number relates to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuity {
    /// A poll that says nothing: no number.
    Bare,
    /// The last message once more.
    Repetition,
    /// The next number.
    Continues,
    /// The first message that we see.
    First,
    /// A lower number with a full report: a new process.
    Restart,
    /// Anything else.
    Gap,
}

impl Pulse {
    /// `answered` tells whether anything was said on the present link.
    pub(super) fn continuity(&self, report: &Report, answered: bool) -> Continuity {
        let Some(last) = self.sequence else {
            return Continuity::First;
        };
        if report.is_bare() {
            return Continuity::Bare;
        }
        let full = report.parts.description.is_some();
        let same = report.sequence == last && report.fingerprint == self.fingerprint;
        match report.sequence {
            // On a new link nothing was answered yet that could be repeated.
            _ if same && answered => Continuity::Repetition,
            _ if same && full => Continuity::Restart,
            _ if same => Continuity::Continues,
            number if number == last.wrapping_add(1) => Continuity::Continues,
            number if number < last && full => Continuity::Restart,
            _ => Continuity::Gap,
        }
    }
}
