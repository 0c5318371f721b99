//! On which terms operators decide something: as they ask for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::configs::short;
use super::error::Error;
use crate::auth::actor::Actor;
use crate::fleet::suspension::Terms;
use crate::fleet::time::Timestamp;

/// Why, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnTerms {
    /// Why; may be empty.
    pub reason: String,
    /// When it ends by itself. Left out: when somebody ends it.
    pub until: Option<Timestamp>,
}

impl OnTerms {
    /// These.
    #[must_use]
    pub fn of(reason: &str, until: Option<Timestamp>) -> Self {
        Self {
            reason: reason.trim().to_owned(),
            until,
        }
    }

    /// As they are recorded.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the reason is too long, or the end lies in the past.
    pub(super) fn terms(self, actor: &Actor, now: Timestamp) -> Result<Terms, Error> {
        short("reason", &self.reason)?;
        if self.until.is_some_and(|until| until <= now) {
            return Err(Error::invalid("until", "this time has passed already"));
        }
        Ok(Terms {
            reason: self.reason,
            by: actor.name.clone(),
            since: now,
            until: self.until,
        })
    }

    /// As the audit log tells them.
    pub(super) fn told(reason: &str, until: Option<Timestamp>) -> String {
        let until = until.map(|until| format!("until {until}"));
        let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        [reason, until]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; ")
    }
}
