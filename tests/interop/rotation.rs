//! The exchange of a credential under the genuine Supervisor, which keeps what it is offered in memory only.

use std::fs;
use std::time::Duration;

use rustix::process::{Signal, kill_process_group};
use serde_json::{Value, json};

use crate::api::{config_is, healthy, online};
use crate::lab::Lab;
use crate::patience::{LONG, SOON, never, until};
use crate::supervisor::{APPLIED, Host, free_port, listens, receiving_on};

fn identity(lab: &Lab, id: &str) -> Value {
    lab.api.get(&format!("/api/v1/agents/{id}/identity"))
}

/// The credential that the agent's present connection shows.
fn in_use(lab: &Lab, id: &str) -> Option<String> {
    identity(lab, id)["in_use"].as_str().map(str::to_owned)
}

fn count(lab: &Lab, id: &str, kind: &str) -> usize {
    let all = lab.api.timeline(id);
    all.iter().filter(|entry| entry["kind"] == kind).count()
}

/// Waits until the agent is there with a credential; how often it was offered one until then.
fn await_credential(lab: &Lab, id: &str, what: &str, credential: &str) -> usize {
    until(what, LONG, || (in_use(lab, id)? == credential).then_some(()));
    lab.api.await_agent(id, what, SOON, online);
    count(lab, id, "connection_offered")
}

/// Whoever reconnects at every answer would be seen here.
fn stays(lab: &Lab, id: &str, offers: usize) {
    let connected = count(lab, id, "connected");
    never("it is offered or connects again", Duration::from_secs(5), || {
        let now = (count(lab, id, "connection_offered"), count(lab, id, "connected"));
        (now != (offers, connected)).then_some(now)
    });
}

#[test]
fn a_supervisor_is_given_a_new_credential_and_is_welcome_after_its_restart_with_that_of_its_file() {
    let mut lab = Lab::start();
    let host = Host::new(&lab);
    let port = free_port();
    let running = lab.folder().join("running.yaml");
    fs::write(&running, receiving_on(port)).unwrap();
    assert!(
        host.paste(&lab, &format!("--adopt {}", running.display()))
            .status
            .success()
    );
    let id = host.agent_id();
    let well = |agent: &Value| healthy(agent) && config_is(agent, "in_sync");
    let started = lab.api.await_agent(&id, "healthy", LONG, well)["started_at"].clone();
    let enrolled = in_use(&lab, &id).unwrap();

    // Given a new one: it reconnects with it, verified by our authority, and its collector never notices.
    lab.api.act(&id, &json!({"act": "rotate"}));
    let new = until("a candidate", SOON, || {
        let all = identity(&lab, &id)["credentials"].as_array().unwrap().clone();
        let mut ids = all.iter().map(|known| known["id"].as_str().unwrap().to_owned());
        ids.find(|known| *known != enrolled)
    });
    let offers = await_credential(&lab, &id, "it uses the new one", &new);
    assert_eq!(offers, 1);
    assert_eq!(identity(&lab, &id)["rotation"]["state"], "done");
    let agent = lab.api.await_agent(&id, "well", LONG, well);
    assert_eq!(agent["started_at"], started, "its collector ran on");
    stays(&lab, &id, offers);

    // With the new one it is configured as before.
    let port = configured(&lab, &id);

    // Stopped and started, it is back on its file's credential: still welcome, and given the new one again.
    host.interrupt();
    lab.api.await_agent(&id, "offline", SOON, |agent| !online(agent));
    host.resume();
    let offers = await_credential(&lab, &id, "back with the new one", &new);
    assert_eq!((offers, count(&lab, &id, "came_to_recover")), (2, 1));
    lab.api.await_agent(&id, "well", LONG, well);
    assert!(listens(port));
    stays(&lab, &id, offers);

    // Killed, with our own restart in between.
    kill_process_group(host.pid().unwrap(), Signal::KILL).unwrap();
    lab.kill_server();
    lab.start_server();
    host.resume();
    let before = count(&lab, &id, "connection_offered");
    let offers = await_credential(&lab, &id, "back after kills on both sides", &new);
    assert!(offers <= before + 1);
    lab.api.await_agent(&id, "well", LONG, well);
    configured(&lab, &id);

    // And once more: each rotation is whole, and the file's credential stays good for coming back.
    lab.api.act(&id, &json!({"act": "rotate"}));
    let third = until("another candidate", SOON, || {
        let all = identity(&lab, &id)["credentials"].as_array().unwrap().clone();
        let mut ids = all.iter().map(|known| known["id"].as_str().unwrap().to_owned());
        ids.find(|known| *known != enrolled && *known != new)
    });
    await_credential(&lab, &id, "it uses the third", &third);
    assert_eq!(lab.api.agents().len(), 1, "nobody enrolled anew");

    // Revoked, all of them are dead: it is out, and stays out after its restart.
    lab.api.act(&id, &json!({"act": "revoke"}));
    lab.api
        .await_agent(&id, "out", Duration::from_secs(2), |agent| !online(agent));
    host.interrupt();
    host.resume_only();
    never("it is let in", Duration::from_secs(5), || {
        online(&lab.api.agent(&id)).then_some(())
    });
}

/// Publishes something to the agent; the port that its collector then listens on.
fn configured(lab: &Lab, id: &str) -> u16 {
    let port = free_port();
    let name = format!("on-{port}");
    let revision = lab.api.save(&name, &receiving_on(port));
    let path = format!("/api/v1/agents/{id}/publish");
    lab.api
        .post(&path, &json!({"config": name, "revision": revision}));
    lab.api.await_agent(id, "applied", APPLIED, |agent| {
        config_is(agent, "in_sync") && healthy(agent)
    });
    until("its collector listens", SOON, || listens(port).then_some(()));
    port
}
