//! The published Go client, over WebSocket and HTTP: it joins, is described, configured, refused, restarted and revoked.

use std::time::Duration;

use serde_json::json;

use crate::api::{config_is, healthy, online};
use crate::go_client::{GoClient, enrol};
use crate::lab::Lab;
use crate::patience::{SOON, never};

const FIRST: &str = "receivers: {otlp: {protocols: {grpc: {}}}}\nexporters: {debug: {}}\n\
    service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n";

#[test]
fn the_go_client_is_seen_configured_and_revoked_over_websocket() {
    is_seen_configured_and_revoked("wss", &["--components"]);
}

#[test]
fn the_go_client_is_seen_configured_and_revoked_over_http() {
    is_seen_configured_and_revoked("https", &["--components", "--poll", "0.5", "--gzip"]);
}

fn is_seen_configured_and_revoked(scheme: &str, more: &[&str]) {
    let lab = Lab::start();
    let endpoint = lab.endpoint(scheme);
    let enrolled = enrol(&lab, "go-host");
    let id = enrolled.agent.as_str();

    // It connects, and says who it is. Until something is published it hears of no configuration.
    let mut client = GoClient::start(&lab, &endpoint, &enrolled.secret, more);
    client.hear("connected");
    let agent = lab.api.await_agent(id, "healthy", SOON, healthy);
    assert_eq!(agent["service_name"], "interop");
    assert_eq!(agent["host_name"], "interop-0");
    assert_eq!(agent["os_type"], "linux");
    lab.api
        .await_agent(id, "its components are asked for", SOON, |_| {
            let components = lab.api.try_get(&format!("/api/v1/agents/{id}/components"));
            components.is_ok_and(|known| known["components"]["receivers"].is_object())
        });
    never(
        "a configuration for an unmanaged agent",
        Duration::from_secs(1),
        || (client.count("remote_config") > 0).then_some("offered"),
    );

    // A configuration is published to its group, applied, and followed by the effective one.
    lab.api.group_of("edge", id);
    let first = lab.api.save("edge", FIRST);
    lab.api.publish("edge", "edge", first);
    let offered = client.hear("remote_config");
    assert_eq!(offered["entries"][0]["body"], FIRST);
    assert_eq!(offered["entries"][0]["name"], "");
    lab.api
        .await_agent(id, "applied", SOON, |agent| config_is(agent, "in_sync"));
    let effective = lab.api.get(&format!("/api/v1/agents/{id}/effective-config"));
    assert_eq!(effective["content"][""]["body"], FIRST);

    // One that it refuses is said to have failed, with its reason, and is never offered again by itself.
    let second = lab.api.save("edge", &format!("{FIRST}# FAIL\n"));
    lab.api.publish("edge", "edge", second);
    let agent = lab
        .api
        .await_agent(id, "failed", SOON, |agent| config_is(agent, "failed"));
    assert!(agent["config"]["error"].as_str().unwrap().contains("FAIL"));
    client.skip();
    client.tell("attr shelf=3");
    client.tell("health bad the disk is full");
    let agent = lab.api.await_agent(id, "its health follows", SOON, |agent| {
        agent["health"]["healthy"] == false
    });
    assert!(agent.to_string().contains("the disk is full"));
    client.tell("health good");
    let offers = client.count("remote_config");
    assert_eq!(offers, 2, "one offer of each");

    // A later good revision heals.
    let third = lab.api.save("edge", &format!("{FIRST}# mended\n"));
    lab.api.publish("edge", "edge", third);
    lab.api.await_agent(id, "healed", SOON, |agent| {
        config_is(agent, "in_sync") && healthy(agent)
    });

    // A restart is sent once.
    lab.api.act(id, &json!({"act": "restart"}));
    let command = client.hear("command");
    assert_eq!(command["type"], "CommandType_Restart");
    assert_eq!(client.count("command"), 1);

    // Once its credential is revoked it is gone within 2 s, and stays out.
    client.skip();
    lab.api.post(
        &format!("/api/v1/credentials/{}/revoke", enrolled.credential_id),
        &json!({}),
    );
    client.hear_401(Duration::from_secs(2));
    lab.api
        .await_agent(id, "gone", Duration::from_secs(2), |agent| !online(agent));
    assert_eq!(client.count("error"), 0);
}

#[test]
fn a_go_client_without_a_credential_is_refused_and_leaves_no_trace() {
    for scheme in ["wss", "https"] {
        let lab = Lab::start();
        let mut client = GoClient::start(&lab, &lab.endpoint(scheme), "mst_agent_none", &["--poll", "0.5"]);
        client.hear_401(SOON);
        assert_eq!(client.count("connected"), 0);
        assert!(lab.api.agents().is_empty());
    }
}

#[test]
fn an_orderly_stop_of_a_go_client_is_seen_at_once() {
    let lab = Lab::start();
    let enrolled = enrol(&lab, "go-host");
    let mut client = GoClient::start(&lab, &lab.endpoint("wss"), &enrolled.secret, &[]);
    client.hear("connected");
    lab.api.await_agent(&enrolled.agent, "online", SOON, online);
    client.quit();
    lab.api
        .await_agent(&enrolled.agent, "offline", Duration::from_secs(2), |agent| {
            !online(agent)
        });
}
