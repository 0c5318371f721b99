//! What changed, for browsers: names only. A page that hears its topic fetches itself again.

use tokio::sync::broadcast;

use crate::fleet::ids::{AgentId, RolloutId};
use crate::fleet::name::Name;

/// Something that a page may show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The list of agents.
    Agents,
    /// One agent.
    Agent(AgentId),
    /// The groups and their members.
    Groups,
    /// One group.
    Group(Name),
    /// The configs.
    Configs,
    /// Enrolment tokens and credentials.
    Enrolment,
    /// The rollouts.
    Rollouts,
    /// One rollout.
    Rollout(RolloutId),
}

impl Topic {
    /// The topic's name in the event stream.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Agents => "agents".into(),
            Self::Agent(id) => format!("agent-{id}"),
            Self::Groups => "groups".into(),
            Self::Group(name) => format!("group-{name}"),
            Self::Configs => "configs".into(),
            Self::Enrolment => "enrolment".into(),
            Self::Rollouts => "rollouts".into(),
            Self::Rollout(id) => format!("rollout-{id}"),
        }
    }
}

/// Tells listeners what changed. A listener that lags is told so and looks at everything again.
#[derive(Clone, Debug)]
pub struct Changes(broadcast::Sender<Topic>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(256))
    }
}

impl Changes {
    /// Says that `topic` changed.
    pub fn announce(&self, topic: Topic) {
        // Without listeners there is nobody to tell.
        let _ = self.0.send(topic);
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Topic> {
        self.0.subscribe()
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }
}
