//! Looks after the store: the room that it has, and whether its records still are what was written.

use std::time::Duration;

use crate::app::App;
use crate::app::system::ScrubState;
use crate::store::{Place, ReadError};

/// What is read in a second, in bytes.
const BYTES_A_SECOND: u64 = 4 << 20;
/// From the end of one pass over all records to the beginning of the next.
const BETWEEN_PASSES: Duration = Duration::from_hours(24);

impl App {
    /// Has the writer look at the room that there is, and verifies some more records.
    pub(in crate::app) async fn tend_store(&self) {
        self.store.tend();
        if let Err(error) = self.scrub_some(BYTES_A_SECOND).await {
            tracing::error!(error = %error, "the records could not be verified");
            // From the beginning, a day later: what fails now fails in a second, too.
            let now = self.clock.now();
            let mut scrub = self.scrub();
            scrub.place = None;
            scrub.state.ended = Some(now);
        }
    }

    /// Verifies about so many bytes of records, once a pass is due or under way.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn scrub_some(&self, bytes: u64) -> Result<(), ReadError> {
        let now = self.clock.now();
        let place = {
            let mut scrub = self.scrub();
            if scrub.place.is_none() {
                let due = scrub
                    .state
                    .ended
                    .is_none_or(|ended| now.since(ended) >= BETWEEN_PASSES);
                if !due {
                    return Ok(());
                }
                scrub.place = Some(Place::default());
                scrub.state = ScrubState {
                    began: Some(now),
                    ..ScrubState::default()
                };
            }
            scrub.place.clone().unwrap_or_default()
        };
        let store = self.store.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let looked = store.scrub(&place, bytes)?;
            if looked.next.is_none() {
                // For the metrics.
                store.tables()?;
            }
            Ok::<_, ReadError>(looked)
        });
        let looked = looking
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let mut scrub = self.scrub();
        scrub.state.rows += looked.rows;
        scrub.state.bytes += looked.bytes;
        scrub.state.unreadable += looked.unreadable.len() as u64;
        if looked.next.is_none() {
            scrub.state.ended = Some(self.clock.now());
        }
        scrub.place = looked.next;
        Ok(())
    }
}
