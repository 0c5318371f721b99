//! What an agent is to run, what it said about that, and what it runs: side by side.

use schemars::JsonSchema;
use serde::Serialize;

use super::view::EffectiveView;
use crate::app::App;
use crate::app::error::Error;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::agent::{HoldReason, Intent};
use crate::fleet::config::yaml::Limits;
use crate::fleet::config::{ConfigMap, Diff, Drift, drift};
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::target::{LayerRef, Target};
use crate::fleet::time::Timestamp;

/// The configuration of an agent from all sides.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentConfiguration {
    /// What it is to run, also while that is held; `None` when nobody decided.
    pub wanted: Option<Wanted>,
    /// Why nothing is sent, where that is so by intent.
    pub hold: Option<HoldReason>,
    /// What it last said about a configuration; `None` = nothing yet.
    pub said: Option<Said>,
    /// What it reports to run; `None` = not reported, or not to be seen.
    pub effective: Option<EffectiveView>,
    /// Whether whoever asks may not see what it runs.
    pub effective_hidden: bool,
    /// How what it runs compares with what is wanted; `None` when one of them isn't known.
    pub drift: Option<Drift>,
    /// What differs from what is wanted to what it runs; `None` as for `drift`.
    pub diff: Option<Diff>,
}

/// What an agent is to run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Wanted {
    /// Where it comes from; `None` when its record can't be read.
    pub target: Option<Target>,
    /// Whether it is the agent's own, not its group's.
    pub own: bool,
    /// The digest of the content.
    pub digest: Digest,
    /// The content.
    pub content: ConfigMap,
}

/// What an agent said about a configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Said {
    /// The layers of the content that it named; none when it isn't one of ours.
    pub layers: Vec<LayerRef>,
    /// What became of it.
    pub outcome: RemoteConfigOutcome,
    /// The reason of a failure, in the agent's words.
    pub error: String,
    /// When it first said so.
    pub at: Timestamp,
}

impl App {
    /// What an agent is to run, what it said about it, and what it runs.
    ///
    /// # Errors
    /// When the actor may not, there is no such agent, or the store can't be read.
    pub fn agent_configuration(&self, actor: &Actor, id: AgentId) -> Result<AgentConfiguration, Error> {
        actor.may(Permission::ViewFleet)?;
        let snapshot = self.snapshot_of(id)?;
        let registration = &snapshot.agent.registration;
        let held = match self.desired(registration).config {
            Intent::Hold(reason) => Some(reason),
            Intent::Unmanaged | Intent::Want(_) => None,
        };
        let desired = self.intentions.behind_holds(registration);
        let origins = self.origins();
        let wanted = match &desired.config {
            Intent::Unmanaged | Intent::Hold(_) => None,
            Intent::Want(offer) => {
                let wanted = Wanted {
                    target: origins.target(registration, offer.stamp.digest).cloned(),
                    own: desired.own,
                    digest: offer.stamp.digest,
                    content: (*offer.shown).clone(),
                };
                Some(wanted)
            }
        };
        let delivery = &snapshot.agent.delivery;
        let said = delivery.acknowledged.as_ref().map(|said| Said {
            layers: said
                .digest
                .map(|digest| origins.layers(registration, digest))
                .unwrap_or_default(),
            outcome: said.outcome,
            error: said.error.clone(),
            at: said.at,
        });
        let effective_hidden = actor.may(Permission::ViewEffectiveConfig).is_err();
        let effective = if effective_hidden {
            None
        } else {
            self.effective_config(actor, id)?
        };
        // What agents report is kept with marks, so what is compared with it has to have them too.
        let marked = |content: &ConfigMap| self.intentions.masked(content.clone());
        let both = wanted.as_ref().zip(effective.as_ref());
        let both = both.map(|(wanted, runs)| (marked(&wanted.content), marked(&runs.content)));
        Ok(AgentConfiguration {
            drift: both
                .as_ref()
                .map(|(wanted, runs)| drift(wanted, runs, &Limits::default())),
            diff: both
                .as_ref()
                .map(|(wanted, runs)| Diff::between(wanted, &renamed(wanted, runs))),
            wanted,
            hold: delivery.hold.or(held),
            said,
            effective,
            effective_hidden,
        })
    }
}

/// What the agent runs under the name that we gave it: an agent with one document may call it what it likes.
fn renamed(wanted: &ConfigMap, runs: &ConfigMap) -> ConfigMap {
    let (ours, theirs) = (&wanted.files, &runs.files);
    if let (1, 1, Some((name, our_file)), Some(their_file)) = (
        ours.len(),
        theirs.len(),
        ours.iter().next(),
        theirs.values().next(),
    ) {
        let mut file = their_file.clone();
        // Only the text is compared here.
        file.content_type.clone_from(&our_file.content_type);
        file.role.clone_from(&our_file.role);
        return ConfigMap {
            files: [(name.clone(), file)].into(),
        };
    }
    runs.clone()
}
