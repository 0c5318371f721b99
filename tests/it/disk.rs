//! A server with too little room: agents are served, changes are refused with the reason, and are taken again by themselves.

use muster::app::error::Error;
use muster::app::groups::{GroupEdit, NewGroup};
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::selector::Known;
use muster::store::{Settings, Store};

use crate::harness::{OBSERVED, Plan, Program, World, admin, clock_of};

/// A server whose data folder may hold 8 MiB, and the file that takes more than that.
fn with_quota() -> (World, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        low_water_bytes: 0,
        quota_bytes: Some(8 << 20),
        ..Settings::default()
    };
    let clock = clock_of(&Plan::default());
    let store = Store::open(folder.path(), &settings, clock.now()).unwrap();
    let filler = folder.path().join("filler");
    (World::on(store, clock, Plan::default(), Some(folder)), filler)
}

#[tokio::test]
async fn agents_are_served_and_their_verdicts_kept_while_nothing_else_is_written() {
    let (world, filler) = with_quota();
    world.wants("edge", "one").await;
    let mut agent = world.agent_of("edge").await.able(OBSERVED);
    let mut line = agent.online(&world).await;
    let (_, hash) = line.ask(&agent.full()).await.remote_config.expect("an offer");
    std::fs::write(&filler, vec![1; 9 << 20]).unwrap();

    let answer = line
        .ask(&agent.reports(&hash, RemoteConfigOutcome::Applied))
        .await;
    assert!(answer.error.is_none(), "{answer:?}");
    let hold = world.app.read_only().expect("too little room").to_string();
    assert!(hold.contains("may hold 8 MiB"), "{hold}");
    let new = NewGroup {
        name: "west".into(),
        edit: GroupEdit::default(),
    };
    let ada = admin();
    let making = world.app.intentions.create_group(&ada, new, |_| Known::Neither);
    let refused = making.await.unwrap_err();
    assert!(matches!(refused, Error::ReadOnly(_)), "{refused:?}");
    assert!(refused.to_string().contains(&hold), "{refused}");
    let troubles = serde_json::to_string(&world.app.overview(&admin()).unwrap().troubles).unwrap();
    assert!(troubles.contains("\"read_only\""), "{troubles}");

    std::fs::remove_file(&filler).unwrap();
    world.group("west").await;
    assert!(world.app.read_only().is_none());
    line.close().await;
    let id = agent.id();
    let world = world.restart().await;
    assert!(world.look(id).delivery.applied.is_some(), "the verdict was kept");
}

#[tokio::test]
async fn the_program_says_why_it_changes_nothing() {
    let program = Program::serve(&["disk.low_water = 1024 GiB"]).await;
    let refused = program
        .locally("POST", "/api/v1/groups", "{\"name\": \"edge\"}")
        .await;
    assert_eq!(refused.status, 507);
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["type"], "urn:muster:problem:read-only");
    assert!(
        problem["detail"].as_str().unwrap().contains("have to stay free"),
        "{problem}"
    );
    assert!(refused.header("retry-after").is_some());
    let ready = program.locally("GET", "/readyz", "").await;
    assert_eq!(ready.status, 200, "agents go on being served");
    let said = String::from_utf8(ready.body).unwrap();
    assert!(
        said.starts_with("ready, read-only: ") && said.contains("1024 GiB"),
        "{said}"
    );
    let system = program.locally("GET", "/api/v1/system", "").await;
    let system: serde_json::Value = serde_json::from_slice(&system.body).unwrap();
    assert!(system["read_only"].is_string(), "{system}");
    let store = program.locally("GET", "/api/v1/system/store", "").await;
    let store: serde_json::Value = serde_json::from_slice(&store.body).unwrap();
    assert!(
        store["tables"]
            .as_array()
            .is_some_and(|tables| !tables.is_empty()),
        "{store}"
    );
    let metrics = program.locally("GET", "/metrics", "").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("muster_store_read_only 1"), "{metrics}");
    assert!(program.log().iter().any(|line| line.contains("read-only")));
}
