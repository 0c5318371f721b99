//! Notices silence, and wakes links whose agents are due to be asked for something.

use std::time::Duration;

use crate::app::App;
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{Happening, Transport};
use crate::observability::metrics::Plane;

impl App {
    /// Takes agents that fell silent, or did not come back after the start, as gone, and nudges links of agents whose full
    /// state is to be asked for.
    pub(in crate::app) fn sweep(&self) {
        let now = self.clock.now();
        let threshold: Duration = self.settings.http_silence;
        let gone = self.live.collect(|entry| {
            let before = entry.presence;
            let borne = entry.agent.silence_borne(entry.contact.using.as_ref(), threshold);
            entry.presence = before.after_silence(entry.pulse.last_seen, borne, now)?;
            Some((entry.agent.id(), before.is_online()))
        });
        for (id, was_online) in gone {
            if was_online {
                let reason = "it stopped polling".into();
                self.happen(id, Happening::Disconnected { reason }, now);
            }
            self.announce_agent(id);
        }
        self.count_connected();
        let due = self.live.collect(|entry| {
            let due = entry.asking_at().is_some_and(|at| at <= now);
            entry.route.filter(|_| due).map(|link| (link, entry.agent.id()))
        });
        for (link, agent) in due {
            if let Some(link) = self.connections.get(link) {
                link.nudge(agent);
            }
        }
    }

    /// Counts connected agents and their links for the metrics.
    fn count_connected(&self) {
        let (mut connected, mut polling) = (0, 0);
        self.live.collect(|entry| {
            if let Presence::Online { transport, .. } = entry.presence {
                match transport {
                    Transport::WebSocket => connected += 1,
                    Transport::Http => polling += 1,
                }
            }
            None::<()>
        });
        self.metrics.agents_connected.set(Transport::WebSocket, connected);
        self.metrics.agents_connected.set(Transport::Http, polling);
        self.metrics.connections.set(Plane::Agent, self.connections.len());
    }
}
