//! Compares what every agent should have with what it said, and wakes the links of those that differ.

use crate::app::App;

impl App {
    /// Settles memberships, then nudges whoever lacks something.
    pub(in crate::app) async fn reconcile(&self) {
        if let Err(error) = self.intentions.refresh().await {
            tracing::error!(error = %error, "operators' intent could not be read again");
        }
        self.expire().await;
        self.settle_all().await;
        if let Err(error) = self.intentions.render_late(&self.fleet()).await {
            tracing::error!(error = %error, "newcomers could not be rendered what they are to have");
        }
        let lacking = self.live.collect(|entry| {
            let link = entry.route?;
            let desired = self.desired(&entry.agent.registration);
            let wants = desired.digest().is_some_and(|digest| {
                let offered = entry
                    .contact
                    .offered
                    .is_some_and(|(offered, _)| offered == digest);
                !entry.agent.delivery.settled_on(digest)
                    && !offered
                    && entry.agent.delivery.failure_of(digest).is_none()
            });
            (wants || entry.agent.delivery.has_orders()).then(|| (link, entry.agent.id()))
        });
        self.compare.activate();
        for (link, agent) in lacking {
            if let Some(link) = self.connections.get(link) {
                link.nudge(agent);
            }
        }
    }
}
