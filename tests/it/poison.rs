//! A record of each table is damaged: the server starts all the same, says so, and does everything else.

use std::path::Path;

use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::store::{Settings, Store};

use crate::harness::{OBSERVED, Plan, World, admin, clock_of};

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The tables that have rows, the store's own notes aside: without them nothing of it can be believed.
fn tables(folder: &Path) -> Vec<String> {
    use redb::{ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};
    let database = redb::Database::open(folder.join("store.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    let names = transaction
        .list_tables()
        .unwrap()
        .map(|table| table.name().to_owned());
    let names: Vec<String> = names.filter(|name| name != "meta_v1").collect();
    let filled = names.into_iter().filter(|name| {
        let definition: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new(name);
        transaction.open_table(definition).unwrap().len().unwrap() > 0
    });
    filled.collect()
}

/// Puts something else in place of the first row of a table.
fn poison(folder: &Path, name: &str) {
    use redb::ReadableTable as _;
    let database = redb::Database::open(folder.join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let definition: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new(name);
        let mut table = transaction.open_table(definition).unwrap();
        let key = table.first().unwrap().unwrap().0.value().to_vec();
        table
            .insert(key.as_slice(), b"not what was written".as_slice())
            .unwrap();
    }
    transaction.commit().unwrap();
}

/// A server with something in most tables, closed.
async fn furnished() -> tempfile::TempDir {
    let world = World::on_disk(Plan::default());
    world.wants("edge", "one").await;
    let mut agent = world.agent_of("edge").await.able(OBSERVED);
    let mut line = agent.online(&world).await;
    let told = line.ask(&agent.full()).await;
    if let Some((_, hash)) = told.remote_config {
        let applied = agent.reports(&hash, RemoteConfigOutcome::Applied);
        line.ask(&applied).await;
    }
    world.wants("edge", "two").await;
    line.close().await;
    world.down().await
}

#[tokio::test]
async fn a_damaged_record_of_any_table_is_named_and_stops_nothing() {
    let base = furnished().await;
    let names = tables(base.path());
    for expected in [
        "agents_v1",
        "groups_v1",
        "targets_v1",
        "credentials_v1",
        "audit_v1",
        "bodies_v1",
    ] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} is empty: {names:?}"
        );
    }
    for name in names {
        let folder = tempfile::tempdir().unwrap();
        copy(base.path(), folder.path());
        poison(folder.path(), &name);
        let clock = clock_of(&Plan::default());
        let store = Store::open(folder.path(), &Settings::default(), clock.now()).unwrap();
        let world = World::on(store, clock, Plan::default(), Some(folder));
        world.app.scrub_some(u64::MAX).await.unwrap();

        let state = world.app.server_state(&admin()).await.unwrap();
        assert!(
            state.unreadable.iter().any(|row| row.table == name),
            "{name}: {:?}",
            state.unreadable
        );
        let troubles = world.app.overview(&admin()).unwrap().troubles;
        let told = serde_json::to_string(&troubles).unwrap();
        assert!(
            told.contains("\"unreadable\"") && told.contains(&name),
            "{name}: {told}"
        );
        world.app.audit.page(&admin(), None, 100).unwrap();
        world.app.intentions.groups(&admin(), &[]).unwrap();
        world.app.intentions.configs(&admin()).unwrap();
        // Somebody new is still welcome, and everything else is written.
        world.group("other").await;
        let mut agent = world.agent_of("other").await;
        let mut line = agent.online(&world).await;
        line.ask(&agent.full()).await;
        let found = world.store.unreadable();
        // The pulses of all agents are written anew whenever one speaks: they say nothing that it doesn't.
        assert!(
            name == "pulses_v1" || found.iter().any(|row| row.table == name),
            "{name} was repaired in silence"
        );
        line.close().await;
        world.down().await;
    }
}
