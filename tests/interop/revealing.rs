//! Situations that showed most about servers, each by its name.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use muster::http::websocket::{Incoming, Settings, Socket, connect};
use muster::opamp::client::{self, Outgoing};
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::api::{healthy, online};
use crate::go_client::{GoClient, enrol};
use crate::lab::Lab;
use crate::patience::{SOON, never, until};
use crate::proxy::Proxy;

const CONFIG: &str = "receivers: {nop: {}}\nexporters: {nop: {}}\n\
    service: {pipelines: {traces: {receivers: [nop], exporters: [nop]}}}\n";

/// The server comes back knowing the credential and nothing else, as after a restored backup. The client, which says only
/// what changed, is asked for everything, once, and is whole again.
#[test]
fn the_server_restarts_with_wiped_state_under_the_go_websocket_client() {
    let mut lab = Lab::start();
    let enrolled = enrol(&lab, "go-host");
    lab.stop_server();
    let (store, before) = (lab.data().join("store.redb"), lab.folder().join("before.redb"));
    fs::copy(&store, &before).unwrap();
    lab.start_server();

    let mut go = GoClient::start(
        &lab,
        &lab.endpoint("wss"),
        &enrolled.secret,
        &["--components", "--attr", "shelf=7"],
    );
    go.hear("connected");
    lab.api.await_agent(&enrolled.agent, "healthy", SOON, healthy);
    assert_eq!(go.count("full_state_requested"), 0, "its first report was whole");

    lab.kill_server();
    fs::copy(&before, &store).unwrap();
    lab.start_server();
    go.hear_within(Duration::from_mins(1), "full_state_requested", |_| true);
    let agent = lab
        .api
        .await_agent(&enrolled.agent, "whole again", SOON, |agent| {
            healthy(agent) && agent["service_name"] == "interop"
        });
    assert!(agent["description"].to_string().contains("shelf"));
    never(
        "a second request for the full state",
        Duration::from_secs(3),
        || (go.count("full_state_requested") > 1).then_some("asked again"),
    );
}

/// The client drops a report that is answered with 500 for ever. Its next number shows that one is missing.
#[test]
fn http_500_then_recovery_under_the_go_http_client() {
    let lab = Lab::start();
    let proxy = Proxy::before(&lab);
    let enrolled = enrol(&lab, "go-host");
    let mut go = GoClient::start(&lab, &proxy.endpoint(), &enrolled.secret, &["--poll", "0.5"]);
    lab.api.await_agent(&enrolled.agent, "healthy", SOON, healthy);
    assert_eq!(go.count("full_state_requested"), 0);

    proxy.fail_with(Some(500));
    go.tell("attr shelf=7");
    until("a report is lost", SOON, || (proxy.failed() > 0).then_some(()));
    proxy.fail_with(None);
    go.hear("full_state_requested");
    lab.api
        .await_agent(&enrolled.agent, "the lost report is known", SOON, |agent| {
            agent["description"].to_string().contains("shelf")
        });
    let mut told = lab.api.timeline(&enrolled.agent);
    told.retain(|entry| entry["event"] == "report_lost" || entry.to_string().contains("report_lost"));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(go.count("full_state_requested"), 1);
}

/// Strict clients end their host process over less than this.
#[test]
fn replies_as_strict_clients_read_them() {
    let lab = Lab::start();
    let proxy = Proxy::before(&lab);
    let (first, second) = (enrol(&lab, "one"), enrol(&lab, "two"));
    let uid = "0195a5c0-0000-7000-8000-0000000000aa";
    let flags = ["--poll", "0.3", "--uid", uid];
    let one = GoClient::start(&lab, &proxy.endpoint(), &first.secret, &flags);
    lab.api.await_agent(&first.agent, "healthy", SOON, healthy);
    // A cloned image: its own credential, but the uid of the other.
    let mut two = GoClient::start(&lab, &proxy.endpoint(), &second.secret, &flags);
    let assigned = two.hear("identification");
    let new = assigned["uid"].as_str().unwrap().to_owned();
    let known = uuid::Uuid::parse_str(&new).unwrap();
    assert_ne!(new, uid);
    assert_eq!(
        (known.get_version_num(), known.get_variant()),
        (7, uuid::Variant::RFC4122)
    );
    lab.api
        .await_agent(&second.agent, "the clone is an agent of its own", SOON, |agent| {
            healthy(agent)
                && agent["instance_uid"]
                    .as_str()
                    .is_some_and(|uid| uuid::Uuid::parse_str(uid) == Ok(known))
        });
    lab.api.group_of("edge", &first.agent);
    let revision = lab.api.save("edge", CONFIG);
    lab.api.publish("edge", "edge", revision);
    lab.api.await_agent(&first.agent, "applied", SOON, |agent| {
        agent["config"]["state"] == "in_sync"
    });
    let kept = lab.api.agent(&first.agent);
    assert_eq!(
        uuid::Uuid::parse_str(kept["instance_uid"].as_str().unwrap()),
        uuid::Uuid::parse_str(uid)
    );

    let passed = until("a dozen of exchanges", SOON, || {
        let passed = proxy.passed();
        (passed.len() >= 12).then_some(passed)
    });
    for exchange in &passed {
        assert_eq!(exchange.status, StatusCode::OK);
        assert_eq!(exchange.headers[CONTENT_TYPE], "application/x-protobuf");
        assert!(
            !exchange.headers.contains_key(CONTENT_ENCODING),
            "nobody asked for gzip"
        );
        let answer = client::read(&exchange.body).unwrap();
        assert_eq!(answer.uid, exchange.sent_uid, "the uid that was sent is echoed");
        assert_eq!(answer.error, None);
        assert!(answer.new_uid.is_none_or(|uid| uid.len() == 16));
        assert!(exchange.took < Duration::from_secs(1), "{:?}", exchange.took);
    }
    assert_eq!(one.count("identification"), 0);
}

/// As the Java client over WebSocket, whose first frame gets lost on its side.
#[test]
fn a_websocket_peer_whose_first_frame_is_number_2_and_which_then_keeps_silent() {
    let lab = Lab::start();
    let enrolled = enrol(&lab, "java-host");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut line = runtime.block_on(open(&lab, &enrolled.secret));
    let uid = vec![0xab; 16];
    let first = Outgoing {
        uid: uid.clone(),
        sequence: 2,
        capabilities: 0x3,
        ..Outgoing::default()
    };
    runtime.block_on(async {
        let mut bytes = vec![0];
        bytes.extend(client::write(&first));
        line.send_binary(Bytes::from(bytes), SOON).await.unwrap();
    });
    let answer = runtime.block_on(hear(&mut line));
    assert_eq!(answer.uid, uid);
    assert!(answer.full_state, "it is asked who it is");
    assert_eq!(answer.error, None);

    // Kept, and shown under what is known of it.
    let agent = lab.api.await_agent(&enrolled.agent, "shown", SOON, online);
    assert_eq!(agent["name"], "java-host");
    assert!(agent.get("description").is_none_or(serde_json::Value::is_null));

    // Configurable without a word from it.
    let revision = lab.api.save("java", CONFIG);
    let path = format!("/api/v1/agents/{}/publish", enrolled.agent);
    lab.api
        .post(&path, &json!({"config": "java", "revision": revision}));
    let answer = runtime.block_on(hear(&mut line));
    let (content, _) = answer.remote_config.expect("an offer");
    assert_eq!(content.files[""].body, CONFIG.as_bytes());
    never("it is taken as gone", Duration::from_secs(2), || {
        let agent = lab.api.agent(&enrolled.agent);
        (!online(&agent)).then_some(agent)
    });
}

type Line = Socket<TlsStream<TcpStream>>;

async fn open(lab: &Lab, secret: &str) -> Line {
    let authority = fs::read_to_string(lab.ca()).unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::clone(&muster::pki::client_config(&authority).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", lab.port())).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tls.connect(name, stream).await.unwrap();
    let token = HeaderValue::from_str(&format!("Bearer {secret}")).unwrap();
    connect(
        stream,
        "localhost",
        "/v1/opamp",
        &[(AUTHORIZATION, token)],
        Settings::default(),
    )
    .await
    .unwrap()
}

async fn hear(line: &mut Line) -> client::Incoming {
    let reading = async {
        loop {
            if let Some(Incoming::Binary(bytes)) = line.recv().await.expect("a connection") {
                return client::read(&bytes[1..]).unwrap();
            }
        }
    };
    tokio::time::timeout(SOON, reading)
        .await
        .expect("an answer in time")
}
