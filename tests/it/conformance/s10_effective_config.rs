//! What agents say that they run.

use muster::auth::actor::Actor;
use muster::auth::permission::Role;
use muster::fleet::agent::Verdict;
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::{ConfigFile, ConfigMap};

use super::s04_exchange::is_bare;
use crate::harness::{OBSERVED, World, admin};

fn files(names: &[&str]) -> ConfigMap {
    let file = |name: &&str| {
        let file = ConfigFile {
            body: name.as_bytes().to_vec(),
            content_type: format!("text/{name}"),
            role: String::new(),
        };
        ((*name).to_owned(), file)
    };
    ConfigMap {
        files: names.iter().map(file).collect(),
    }
}

#[tokio::test]
async fn s_150_without_the_bit_none_is_expected() {
    let world = World::start();
    let mut agent = world.agent().await.able(OBSERVED);
    let answer = agent.connect(&world).await.ask(&agent.full()).await;
    assert!(!answer.full_state && answer.capabilities & 0x04 != 0);
    assert!(
        world
            .app
            .effective_config(&admin(), agent.id())
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn s_151_a_report_replaces_all_files_and_none_is_no_statement() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    for names in [&["a", "b"][..], &["a"]] {
        let mut message = agent.compressed();
        message.parts.effective_config = Some(files(names));
        line.ask(&message).await;
    }
    let seen = || {
        world
            .app
            .effective_config(&admin(), agent.id())
            .unwrap()
            .unwrap()
            .content
    };
    assert_eq!(seen(), files(&["a"]));
    let mut bytes = vec![0];
    bytes.extend(muster::opamp::client::write(&agent.clone().compressed()));
    bytes.extend([0x32, 0x00]); // effective_config without a map
    line.send(bytes).await;
    assert!(is_bare(&line.hear().await));
    assert_eq!(seen(), files(&["a"]));
}

#[tokio::test]
async fn s_152_what_runs_is_never_compared_with_what_was_offered() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
    let mut applied = agent.reports(&hash, RemoteConfigOutcome::Applied);
    applied.parts.effective_config = Some(files(&["merged"]));
    assert!(is_bare(&line.ask(&applied).await));
    // It informs whoever looks, and nothing else.
    assert_eq!(world.standing(agent.id()), Verdict::Drifted);
    assert!(
        world
            .look(agent.id())
            .delivery
            .runs(world.wanted(&agent).stamp.digest)
    );
}

#[tokio::test]
async fn s_153_who_may_only_look_at_the_fleet_does_not_see_what_runs() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.online(&world).await;
    let viewer = Actor {
        role: Role::Viewer,
        ..admin()
    };
    let may = Role::Viewer.may(muster::auth::permission::Permission::ViewEffectiveConfig);
    assert_eq!(world.app.effective_config(&viewer, agent.id()).is_ok(), may);
    assert!(world.app.agent(&viewer, agent.id()).is_ok());
}

#[tokio::test]
async fn s_154_the_content_type_is_shown_as_reported() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.effective = files(&["yaml"]);
    agent.online(&world).await;
    let seen = world.app.effective_config(&admin(), agent.id()).unwrap().unwrap();
    assert_eq!(seen.content.files["yaml"].content_type, "text/yaml");
}
