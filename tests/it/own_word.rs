//! What agents say of themselves: it proposes groups, it is no key to secrets, and what is confirmed is what was shown.

use muster::app::agents::AgentAct;
use muster::app::error::Error;
use muster::app::groups::GroupEdit;
use muster::app::secrets::{HiddenText, SetSecret};
use muster::fleet::agent::{HoldReason, Intent};
use muster::fleet::config::Content;
use muster::fleet::group::Because;
use muster::fleet::name::Name;
use muster::fleet::selector::Known;
use muster::fleet::target::{Blocker, Effect, LayerRef};
use muster::observability::Secret;

use crate::harness::{Agent, World, admin, collector, text};

const PASSWORD: &str = "correct-horse";

impl World {
    /// A group that takes whoever says that it runs on this system.
    async fn takes(&self, group: &str, system: &str, by_facts: bool) {
        if !self.app.intentions.has_group(&Name::slug(group)) {
            self.group(group).await;
        }
        let edit = GroupEdit {
            selectors: Some(vec![format!("fact.os.type = {system}")]),
            joins_by_facts: Some(by_facts),
            ..GroupEdit::default()
        };
        let ada = admin();
        let edited = self
            .app
            .intentions
            .edit_group(&ada, group, edit, None, |_| Known::Neither);
        edited.await.unwrap();
    }

    /// Publishes a document with a secret in it.
    async fn sends_a_secret(&self, group: &str) {
        let set = SetSecret {
            value: Some(HiddenText(Secret::new(PASSWORD.into()))),
            description: None,
        };
        self.app.intentions.set_secret(&admin(), "pw", set).await.unwrap();
        self.wants_content(group, Content::Yaml(with_secret())).await;
    }

    fn placed(&self, agent: &Agent) -> (String, Option<String>) {
        let registration = self.look(agent.id()).registration;
        let proposed = registration.proposed_group.map(|group| group.to_string());
        (registration.group.to_string(), proposed)
    }

    fn gets(&self, agent: &Agent) -> Intent<muster::fleet::agent::Offer> {
        let registration = self.look(agent.id()).registration;
        self.app.intentions.desired(&registration).config
    }
}

fn with_secret() -> String {
    collector("vault:4317").replace("debug: {}", "debug:\n    x: ${muster:secret.pw}")
}

fn proposes(group: &str) -> (String, Option<String>) {
    ("unassigned".to_owned(), Some(group.to_owned()))
}

#[tokio::test]
async fn a_group_that_sends_secrets_takes_nobody_by_its_own_word() {
    let world = World::start();
    world.takes("vault", "linux", true).await;
    world.sends_a_secret("vault").await;
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    assert_eq!(answer.remote_config, None);
    assert_eq!(world.placed(&agent), proposes("vault"));
    assert_eq!(world.gets(&agent), Intent::Unmanaged);
    assert!(
        world
            .app
            .intentions
            .group(&admin(), "vault", &[])
            .unwrap()
            .summary
            .sends_secrets
    );
    let group = Name::slug("vault");
    world
        .app
        .act(&admin(), agent.id(), &AgentAct::ConfirmGroup { group })
        .await
        .unwrap();
    let (content, _) = line.hear().await.remote_config.unwrap();
    let body = String::from_utf8(content.files[""].body.clone()).unwrap();
    assert!(body.contains(PASSWORD), "whoever was confirmed has it: {body}");
}

#[tokio::test]
async fn who_came_by_its_own_word_falls_out_when_secrets_are_published_and_is_proposed() {
    let world = World::start();
    world.takes("vault", "linux", true).await;
    world.wants("vault", "open").await;
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    let answer = line.ask(&agent.full()).await;
    assert!(answer.remote_config.is_some());
    let registration = world.look(agent.id()).registration;
    assert!(matches!(registration.because, Because::Fact(_)));

    // What would happen is told before it does.
    world.sends_a_secret_of_nobody().await;
    let layers = vec![LayerRef {
        config: Name::slug("sealed"),
        revision: 1,
    }];
    let preview = world.app.impact(&admin(), "vault", &layers).unwrap();
    let held = Effect::Blocked {
        because: Blocker::Held {
            hold: HoldReason::OwnWord,
        },
    };
    assert_eq!(preview.impact.agents[0].effect, held);

    world.sends_a_secret("vault").await;
    // From that moment on, also before memberships are looked at again.
    let offered = world.app.intentions.desired(&registration).config;
    assert_eq!(offered, Intent::Hold(HoldReason::OwnWord));
    let rollout = world
        .app
        .intentions
        .index()
        .rollouts()
        .next_back()
        .unwrap()
        .rollout
        .members;
    assert_eq!(rollout, 0, "it is no member of the rollout");
    world
        .until("it is proposed", || world.placed(&agent) == proposes("vault"))
        .await;
    assert_eq!(world.gets(&agent), Intent::Unmanaged);
    assert_eq!(line.ask(&agent.compressed()).await.remote_config, None);
}

#[tokio::test]
async fn what_is_confirmed_is_what_was_shown() {
    let world = World::start();
    world.takes("edge", "linux", false).await;
    world.takes("vault", "plan9", false).await;
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    assert_eq!(world.placed(&agent), proposes("edge"));
    // It says something else while somebody looks at the page.
    let mut other = agent.compressed();
    let mut description = agent.description();
    description.non_identifying = vec![text("os.type", "plan9")];
    other.parts.description = Some(description);
    line.ask(&other).await;
    assert_eq!(world.placed(&agent), proposes("vault"));
    let group = Name::slug("edge");
    let confirmed = world
        .app
        .act(&admin(), agent.id(), &AgentAct::ConfirmGroup { group })
        .await;
    let Err(Error::Conflict(why)) = confirmed else {
        panic!("{confirmed:?}")
    };
    assert!(why.contains("vault by now, not edge"), "{why}");
    assert_eq!(world.placed(&agent), proposes("vault"), "it is where it was");
    let group = Name::slug("vault");
    world
        .app
        .act(&admin(), agent.id(), &AgentAct::ConfirmGroup { group })
        .await
        .unwrap();
    assert_eq!(world.placed(&agent), ("vault".to_owned(), None));
}

impl World {
    /// A config with a secret in it that is published nowhere.
    async fn sends_a_secret_of_nobody(&self) {
        let new = muster::app::configs::NewConfig {
            name: "sealed".into(),
            description: String::new(),
            content: Content::Yaml(with_secret()),
            message: String::new(),
            allow_blank: false,
        };
        self.app.intentions.create_config(&admin(), new).await.unwrap();
    }
}
