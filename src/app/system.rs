//! The server itself: what it counts, and how the whole fleet stands.

use super::App;
use super::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;

impl App {
    /// Our own metrics, as OpenMetrics text.
    ///
    /// # Errors
    /// When the actor may not, or the store can't be read.
    pub fn metrics_page(&self, actor: &Actor) -> Result<String, Error> {
        actor.may(Permission::ViewFleet)?;
        Ok(self.metrics.render(self.store.statistics()))
    }
}
