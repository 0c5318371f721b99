//! Background loops. Each takes no input, compares what is with what should be, and may run twice.

mod compare;
mod expiry;
mod flush;
mod memberships;
mod presence;
mod reconcile;
mod retention;
mod store;

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::tasks::Tasks;

impl App {
    /// Starts the loops.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let app = Arc::clone(self);
        tasks.spawn_loop(
            "reconcile",
            self.reconcile.clone(),
            Duration::from_secs(30),
            move || {
                let app = Arc::clone(&app);
                async move { app.reconcile().await }
            },
        );
        let app = Arc::clone(self);
        tasks.spawn_loop(
            "rollouts",
            self.rollouts.clone(),
            Duration::from_secs(1),
            move || {
                let app = Arc::clone(&app);
                async move { app.advance_rollouts().await }
            },
        );
        let app = Arc::clone(self);
        tasks.spawn_loop("flush", self.flush.clone(), Duration::from_secs(2), move || {
            let app = Arc::clone(&app);
            async move { app.flush_reported().await }
        });
        let app = Arc::clone(self);
        tasks.spawn_loop(
            "compare",
            self.compare.clone(),
            Duration::from_secs(30),
            move || {
                let app = Arc::clone(&app);
                async move { app.compare().await }
            },
        );
        let app = Arc::clone(self);
        tasks.spawn_loop(
            "presence",
            super::tasks::Activation::new(),
            Duration::from_secs(1),
            move || {
                let app = Arc::clone(&app);
                async move { app.sweep() }
            },
        );
        let app = Arc::clone(self);
        tasks.spawn_loop(
            "pulses",
            super::tasks::Activation::new(),
            Duration::from_secs(10),
            move || {
                let app = Arc::clone(&app);
                async move { app.flush_pulses_if_due().await }
            },
        );
        let app = Arc::clone(self);
        tasks.spawn_mending("retention", Duration::from_hours(1), move || {
            let app = Arc::clone(&app);
            async move { app.retire().await }
        });
        let app = Arc::clone(self);
        tasks.spawn_mending("store", Duration::from_secs(1), move || {
            let app = Arc::clone(&app);
            async move { app.tend_store().await }
        });
    }

    /// Writes all that is written late; after this and a clean stop every agent's number is known.
    pub async fn flush_all(&self) {
        self.flush_reported().await;
        self.flush_pulses().await;
        self.audit.flush().await;
        if let Err(error) = self.accounts.upkeep().await {
            tracing::error!(error = %error, "when sessions were last used could not be stored");
        }
    }
}
