//! Labels: they move agents between groups, so whose they are counts.

use muster::app::agents::AgentAct;
use muster::app::error::Error;
use muster::app::groups::GroupEdit;
use muster::auth::actor::Actor;
use muster::auth::permission::Role;
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::Content;
use muster::fleet::name::Name;
use muster::fleet::selector::Known;

use crate::harness::{World, admin, collector};

fn labels(set: &[(&str, &str)], remove: &[&str]) -> AgentAct {
    AgentAct::Label {
        set: set
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
        remove: remove.iter().map(|key| (*key).into()).collect(),
    }
}

fn with(role: Role) -> Actor {
    Actor {
        name: role.word().into(),
        role,
        ..admin()
    }
}

#[tokio::test]
async fn an_operator_labels_agents_but_moves_none_to_another_group() {
    let world = World::start();
    world.group("vault").await;
    let edit = GroupEdit {
        selectors: Some(vec!["label.role = vault".to_owned()]),
        ..GroupEdit::default()
    };
    let ada = admin();
    let edited = world
        .app
        .intentions
        .edit_group(&ada, "vault", edit, None, |_| Known::Neither);
    edited.await.unwrap();
    let id = world.agent().await.id();
    let (operator, deployer) = (with(Role::Operator), with(Role::Deployer));

    let harmless = labels(&[("region", "eu"), ("role", "web")], &[]);
    world.app.act(&operator, id, &harmless).await.unwrap();
    let moving = labels(&[("role", "vault")], &[]);
    let refused = world.app.act(&operator, id, &moving).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
    let registration = world.look(id).registration;
    assert_eq!(
        (registration.group.as_str(), registration.labels["role"].as_str()),
        ("unassigned", "web")
    );
    world
        .until("it is in the audit log", || {
            world.acts().contains(&"agent.label.refused".to_owned())
        })
        .await;

    world.app.act(&deployer, id, &moving).await.unwrap();
    assert_eq!(world.look(id).registration.group.as_str(), "vault");
    // Nor out of it.
    let leaving = labels(&[], &["role"]);
    let refused = world.app.act(&operator, id, &leaving).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
    world
        .app
        .act(&operator, id, &labels(&[("region", "us")], &[]))
        .await
        .unwrap();
    let result = world.app.act_on_many(&operator, &[id], &leaving).await.unwrap();
    assert_eq!((result.done.len(), result.refused.len()), (0, 1));
}

#[tokio::test]
async fn an_operator_supplies_no_variable_that_an_agent_waits_for_to_move() {
    let world = World::start();
    world.wants("edge", "first").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
    line.ask(&agent.reports(&hash, RemoteConfigOutcome::Applied))
        .await;
    let yaml = collector("${muster:label.address}:4317");
    world.wants_content("core", Content::Yaml(yaml)).await;
    let pin = AgentAct::Pin {
        group: Name::slug("core"),
        reason: String::new(),
        until: None,
    };
    let id = agent.id();
    world.app.act(&admin(), id, &pin).await.unwrap();
    let supplying = labels(&[("address", "10.0.0.9")], &[]);
    let refused = world
        .app
        .act(&with(Role::Operator), id, &supplying)
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
    world
        .app
        .act(&with(Role::Deployer), id, &supplying)
        .await
        .unwrap();
}
