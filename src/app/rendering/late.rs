//! Rendering for agents that came after something was published.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value_for;
use crate::app::changes::Topic;
use crate::app::error::Error;
use crate::app::intentions::{Index, Intentions};
use crate::app::publish::{of_agents, put_renderings};
use crate::fleet::agent::{Agent, HoldReason, Intent};
use crate::fleet::config::Variable;
use crate::fleet::ids::TargetId;
use crate::fleet::name::Name;
use crate::fleet::rollout::State;
use crate::fleet::target::{Rendering, Target};
use crate::store::Batch;

impl Intentions {
    /// Renders for the agents that came after what they are to have was published, from the frozen layers, and records it:
    /// what their group has, and what a rollout is about to bring them. Those for which a variable stands for nothing stay
    /// held.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn render_late(&self, agents: &[Arc<Agent>]) -> Result<(), Error> {
        if waiting(&self.index(), agents).is_empty() {
            return Ok(());
        }
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let mut any = false;
        for (id, agents) in waiting(&index, agents) {
            let Some(Rendering::PerAgent { sources, .. }) = index.document_of(id) else {
                continue;
            };
            let layers = index.target(id).and_then(|target| target.content.as_ref());
            let layers = layers.map_or([].as_slice(), |content| content.layers.as_slice());
            let draft = match self.draft_again(layers, sources) {
                Ok(draft) => draft,
                Err(error) => {
                    tracing::error!(target = %id, error = %error, "what was published can't be rendered for newcomers");
                    continue;
                }
            };
            let rendered = draft.render(&index, self.seal_key(), agents);
            if rendered.contents.is_empty() || self.fits(rendered.largest()).is_err() {
                continue;
            }
            let mut batch = Batch::new();
            batch.expect_present::<Target>(&id);
            self.freeze_contents(&mut batch, &rendered)?;
            put_renderings(&mut batch, id, &rendered);
            let committed = writing.commit(batch).await?;
            index.put_renderings(id, of_agents(&rendered));
            index.put_offers(self.offers(rendered, &committed));
            any = true;
        }
        // Whoever can't be rendered is no news: it would be looked at again at once, for ever.
        if any {
            writing.install(index, [Topic::Groups], true);
        }
        Ok(())
    }
}

/// The agents that have no rendering of what they are to have, by that.
fn waiting<'a>(index: &Index, agents: &'a [Arc<Agent>]) -> BTreeMap<TargetId, Vec<&'a Agent>> {
    let coming = coming(index);
    let mut waiting: BTreeMap<TargetId, Vec<&Agent>> = BTreeMap::new();
    for agent in agents {
        let registration = &agent.registration;
        let of_group = || index.group(&registration.group)?.group.target;
        let now = registration.own_target.or_else(of_group);
        let soon = coming.get(&registration.group).into_iter().flatten().copied();
        for id in now.into_iter().chain(soon) {
            let intent = index.target_intent(id, agent.id());
            if intent == Some(Intent::Hold(HoldReason::NotRendered)) {
                waiting.entry(id).or_default().push(agent);
            }
        }
    }
    waiting
}

/// What rollouts that haven't begun will bring, by their groups.
fn coming(index: &Index) -> BTreeMap<&Name, Vec<TargetId>> {
    let mut coming: BTreeMap<&Name, Vec<TargetId>> = BTreeMap::new();
    for head in index.rollouts() {
        let rollout = &head.rollout;
        if matches!(rollout.state, State::Queued | State::AwaitingApproval) {
            coming.entry(&rollout.group).or_default().push(rollout.target);
        }
    }
    coming
}

/// The variables of a target that stand for nothing at an agent.
pub(in crate::app) fn missing(index: &Index, target: TargetId, agent: &Agent) -> Vec<Variable> {
    let content = index.target(target).and_then(|target| target.content.as_ref());
    let variables = content.map_or([].as_slice(), |content| content.variables());
    let missing = |variable: &&Variable| value_for(index, agent, variable).is_none();
    variables.iter().filter(missing).cloned().collect()
}
