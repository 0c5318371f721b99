//! An operator, and what is looked at.

use muster::app::agents::AgentDetail;
use muster::app::configs::{NewConfig, NewRevision};
use muster::app::groups::{GroupEdit, NewGroup};
use muster::app::publish::{IfRunning, Publish};
use muster::auth::actor::Actor;
use muster::fleet::agent::{Happening, Intent, Offer, Verdict};
use muster::fleet::config::Content;
use muster::fleet::ids::AgentId;
use muster::fleet::name::Name;
use muster::fleet::rollout::Strategy;
use muster::fleet::selector::Known;
use muster::fleet::target::LayerRef;
use std::sync::Arc;

use super::{Agent, World};

/// Somebody who may do everything.
pub(crate) fn admin() -> Actor {
    Actor {
        name: "ada".into(),
        ..Actor::muster()
    }
}

/// A configuration that a collector takes.
pub(crate) fn collector(endpoint: &str) -> String {
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {endpoint}\nexporters:\n  debug: {{}}\n\
         service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n"
    )
}

impl World {
    /// Makes a group.
    pub(crate) async fn group(&self, name: &str) {
        let new = NewGroup {
            name: name.into(),
            edit: GroupEdit::default(),
        };
        let ada = admin();
        let made = self.app.intentions.create_group(&ada, new, |_| Known::Neither);
        made.await.unwrap();
    }

    /// Has a group want a document, made of one word.
    pub(crate) async fn wants(&self, group: &str, word: &str) {
        self.wants_content(group, Content::Yaml(collector(&format!("{word}:4317"))))
            .await;
    }

    /// Has a group want a content. Groups and configs are made as needed, a config by the group's name and kind.
    pub(crate) async fn wants_content(&self, group: &str, content: Content) {
        if self.app.intentions.group(&admin(), group, &[]).is_err() {
            self.group(group).await;
        }
        let config = match &content {
            Content::Yaml(_) => group.to_owned(),
            Content::Files(_) => format!("{group}-files"),
        };
        let revision = match self.app.intentions.config(&admin(), &config) {
            Err(_) => {
                let new = NewConfig {
                    name: config.clone(),
                    description: String::new(),
                    content,
                    message: String::new(),
                    allow_blank: true,
                };
                self.app
                    .intentions
                    .create_config(&admin(), new)
                    .await
                    .unwrap()
                    .revision
            }
            Ok(known) => {
                let new = NewRevision {
                    base: known
                        .revisions
                        .iter()
                        .map(|revision| revision.number)
                        .max()
                        .unwrap(),
                    content,
                    message: String::new(),
                    allow_blank: true,
                };
                let ada = admin();
                let saved = self.app.intentions.save_revision(&ada, &config, new);
                saved.await.unwrap().revision
            }
        };
        let layers = vec![LayerRef {
            config: Name::slug(&config),
            revision: revision.number,
        }];
        let preview = self.app.impact(&admin(), group, &layers).unwrap();
        let publish = Publish {
            group: group.into(),
            layers,
            message: String::new(),
            expected_revision: None,
            confirm: preview.impact.confirmation.map(|confirmation| confirmation.count),
            allow_blank: true,
            strategy: Some(Strategy::all_at_once()),
            if_running: IfRunning::default(),
        };
        self.app.publish(&admin(), publish).await.unwrap();
    }

    /// What an operator sees of an agent.
    pub(crate) fn look(&self, id: AgentId) -> AgentDetail {
        self.app.agent(&admin(), id).unwrap()
    }

    /// What an operator sees of an agent's configuration.
    pub(crate) fn standing(&self, id: AgentId) -> Verdict {
        self.look(id).summary.config.state
    }

    pub(crate) fn is_online(&self, id: AgentId) -> bool {
        self.look(id).summary.presence.is_online()
    }

    /// The record that goes by a uid.
    pub(crate) fn record_of(&self, uid: &[u8]) -> Option<AgentId> {
        let mut fleet = self.app.fleet().into_iter();
        let agent = fleet.find(|agent| agent.registration.uid.is_some_and(|known| known.0 == uid));
        agent.map(|agent| agent.id())
    }

    /// What an agent is to have.
    pub(crate) fn wanted(&self, agent: &Agent) -> Arc<Offer> {
        let registration = self.look(agent.id()).registration;
        match self.app.intentions.desired(&registration).config {
            Intent::Want(offer) => offer,
            Intent::Unmanaged | Intent::Hold(_) => panic!("nothing is wanted"),
        }
    }

    /// What happened to an agent, oldest first.
    pub(crate) fn story(&self, id: AgentId) -> Vec<Happening> {
        let timeline = self.app.timeline(&admin(), id, 1000).unwrap();
        let mut story: Vec<_> = timeline
            .entries
            .into_iter()
            .map(|entry| entry.happening)
            .collect();
        story.reverse();
        story
    }

    /// The acts in the audit log, oldest first.
    pub(crate) fn acts(&self) -> Vec<String> {
        let records = self.store.audit(None, usize::MAX).unwrap();
        let acts = records.into_iter().map(|record| record.entry.action);
        acts.rev().collect()
    }
}

impl World {
    /// Has an agent be given a new credential.
    pub(crate) async fn rotate(&self, agent: &Agent) {
        let act = muster::app::agents::AgentAct::Rotate;
        self.app.act(&admin(), agent.id(), &act).await.unwrap();
    }

    /// How an agent gets in.
    pub(crate) fn identity(&self, agent: &Agent) -> muster::app::agents::AgentIdentity {
        self.app.agent_identity(&admin(), agent.id()).unwrap()
    }

    /// Orders a restart of an agent.
    pub(crate) async fn restart_agent(&self, agent: &Agent) {
        let act = muster::app::agents::AgentAct::Restart;
        self.app.act(&admin(), agent.id(), &act).await.unwrap();
    }
}
