//! Which link reaches an agent, and whether any does.

use std::sync::Arc;

use crate::app::App;
use crate::app::admission::Admitted;
use crate::app::changes::Topic;
use crate::app::connections::Link;
use crate::app::identities::{Speaker, holder};
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{Contact, Happening, Transport, Using};
use crate::fleet::ids::AgentId;
use crate::fleet::time::Timestamp;

/// How often the older of two links must speak on before its speaker counts as a second agent. Once may be a message
/// that was under way when the agent reconnected.
const TURNS_OF_A_CLONE: u8 = 2;
/// How many connections the credential of one agent may have.
const LINKS_OF_ONE: u32 = 64;

impl App {
    /// Makes `link` the agent's route. The newest wins; a late close of the older can't take it back. An agent that goes on
    /// speaking on the older one is a second agent. Whether a verdict changed: it shows what it was offered.
    pub(super) fn bind(&self, admitted: Admitted, link: Option<&Arc<Link>>, using: Using) -> bool {
        let now = self.clock.now();
        let id = admitted.agent;
        let (mut clones, mut arrived, mut recovers) = (false, false, false);
        let came = self.live.with(id, |entry| {
            let transport = if link.is_some() {
                Transport::WebSocket
            } else {
                Transport::Http
            };
            let was_online = entry.presence.is_online();
            let same = match link {
                Some(link) => entry.route == Some(link.id),
                None => entry.route.is_none() && entry.contact.transport == Transport::Http && was_online,
            };
            // With another credential it is another run of polls.
            let known = entry.contact.using.as_ref();
            let same = same && known.is_none_or(|known| known.credential == using.credential);
            if !same {
                let speaks_beside = link
                    .zip(entry.rival)
                    .is_some_and(|(link, (rival, _))| rival == link.id);
                if speaks_beside && was_online {
                    let times = entry.rival.map_or(0, |(_, times)| times) + 1;
                    entry.rival = link.map(|link| (link.id, times));
                    clones = times >= TURNS_OF_A_CLONE;
                    return None;
                }
                // Only two that stay connected can be two: a poll in between is the same agent by its other transport.
                let other = entry.route.filter(|_| was_online && link.is_some());
                entry.rival = other.map(|old| (old, 0));
                entry.route = link.map(|link| link.id);
                // What was asked stays asked: an agent whose answer is too large reconnects at once, again and again.
                let asking = entry.contact.asking;
                entry.contact = Contact {
                    asking,
                    ..Contact::new(transport)
                };
            }
            recovers = using.recovery && !same;
            entry.contact.using = Some(using);
            arrived = entry.subject().arrive(now);
            entry.contact.new_uid = admitted.new_uid;
            if !was_online || !same {
                entry.presence = Presence::Online {
                    transport,
                    since: now,
                };
            }
            (!was_online).then_some(transport)
        });
        if let Some(link) = link {
            link.carries(id);
        }
        if clones {
            self.part_connected_clones(id, now);
        }
        if let Some(Some(transport)) = came {
            self.happen(id, Happening::Connected { transport }, now);
            self.announce_agent(id);
            self.wake_rollouts(id);
        }
        if recovers {
            self.happen(id, Happening::CameToRecover, now);
        }
        arrived
    }

    /// The agent is gone, if it was reached by `link` (or polls and said goodbye).
    pub(in crate::app) fn say_goodbye(
        &self,
        id: AgentId,
        link: Option<&Arc<Link>>,
        reason: &str,
        now: Timestamp,
    ) {
        let mut planned = false;
        let gone = self.live.with(id, |entry| {
            let mine = match link {
                Some(link) => entry.route == Some(link.id),
                None => entry.route.is_none(),
            };
            if entry
                .rival
                .zip(link)
                .is_some_and(|((rival, _), link)| rival == link.id)
            {
                entry.rival = None;
            }
            if !mine || !entry.presence.is_online() {
                return false;
            }
            entry.presence = Presence::Offline { since: now };
            entry.route = None;
            planned = entry.agent.changes_over(now);
            true
        });
        if let Some(link) = link {
            link.forget(id);
        }
        if gone == Some(true) {
            let reason = if planned {
                "it reconnects with the credential that it was offered"
            } else {
                reason
            };
            self.happen(
                id,
                Happening::Disconnected {
                    reason: reason.to_owned(),
                },
                now,
            );
            self.announce_agent(id);
        }
    }

    /// A connection of agents was opened with an accepted credential.
    #[must_use]
    pub fn open_link(&self, speaker: &Speaker) -> Arc<Link> {
        self.connections.open(speaker.credential.id, speaker.address)
    }

    /// Whether the credential of one agent has too many connections with `more` of them: more than an agent ever opens.
    /// Those that it left half open are noticed after some pings.
    #[must_use]
    pub fn has_too_many_links(&self, speaker: &Speaker, more: u32) -> bool {
        let open = self.connections.count(speaker.credential.id);
        holder(&speaker.credential.scope).is_some() && open.saturating_add(more) > LINKS_OF_ONE
    }

    /// A connection ended: every agent on it is gone, unless it has a newer one.
    pub fn close_link(&self, link: &Arc<Link>, reason: &str) {
        self.connections.close(link.id);
        let now = self.clock.now();
        for agent in link.agents() {
            self.say_goodbye(agent, Some(link), reason, now);
        }
    }

    pub(in crate::app) fn announce_agent(&self, id: AgentId) {
        if self.changes.is_heard() {
            self.changes.announce(Topic::Agent(id));
            self.changes.announce(Topic::Agents);
        }
    }
}
