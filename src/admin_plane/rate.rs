//! How often somebody may ask, by what it costs. Logins have a count of their own besides.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use super::identity::Who;
use crate::app::error::Error;
use crate::auth::throttle::{Throttle, origin};
use crate::fleet::time::Timestamp;

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// From somebody who need not be known.
    Stranger,
    /// Reads memory.
    Look,
    /// Writes.
    Change,
    /// Takes a while.
    Heavy,
}

/// The counts, by rate and actor, or address where there is none.
#[derive(Debug)]
pub(super) struct Rates(Mutex<[Throttle<String>; 4]>);

impl Default for Rates {
    fn default() -> Self {
        Self(Mutex::new([
            Throttle::new(200, Duration::from_millis(50)),
            Throttle::new(1000, Duration::from_millis(5)),
            Throttle::new(200, Duration::from_millis(50)),
            Throttle::new(20, Duration::from_millis(500)),
        ]))
    }
}

impl Rates {
    /// Counts a request. The operator of the host isn't counted.
    pub(super) fn permit(
        &self,
        rate: Rate,
        who: &Who,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let key = match (who, address) {
            (Who::Local(_), _) => return Ok(()),
            (Who::Session(actor, _) | Who::Token(actor), _) => actor.name.clone(),
            (Who::Nobody, Some(address)) => origin(address).to_string(),
            (Who::Nobody, None) => "local".to_owned(),
        };
        let mut throttles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [stranger, look, change, heavy] = &mut *throttles;
        let throttle = match rate {
            Rate::Stranger => stranger,
            Rate::Look => look,
            Rate::Change => change,
            Rate::Heavy => heavy,
        };
        let attempt = throttle.attempt(&key, now);
        attempt.map_err(|throttled| {
            Error::TooMany {
                retry_after: throttled.retry_after,
            }
            .into()
        })
    }
}
