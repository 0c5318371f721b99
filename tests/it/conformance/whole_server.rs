//! Duties of the whole server, as it listens in production.

use std::sync::Arc;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use muster::app::clock::Clock;
use muster::app::enrolment::{Enrol, NewEnrolmentToken};
use muster::http::websocket::{self, connect};
use muster::pki::client_config;
use muster::server::Server;
use muster::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::admin;

fn server() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings {
        data: folder.path().join("data"),
        ..Settings::default()
    };
    settings.agent_plane.listen = "127.0.0.1:0".parse().unwrap();
    settings.admin_plane.listen = "127.0.0.1:0".parse().unwrap();
    (Server::start(&settings, &Clock::system()).unwrap(), folder)
}

#[tokio::test]
async fn s_006_a_websocket_opens_over_tls_with_and_without_alpn() {
    let (server, _folder) = server();
    let token = server
        .app
        .create_enrolment_token(&admin(), NewEnrolmentToken::default())
        .await
        .unwrap();
    let enrolled = server
        .app
        .enrol(&token.secret, Enrol::default(), None)
        .await
        .unwrap();
    let client = client_config(server.authority.ca_pem()).unwrap();
    for alpn in [None, Some(b"http/1.1".to_vec())] {
        let mut client = (*client).clone();
        client.alpn_protocols = alpn.into_iter().collect();
        let tcp = TcpStream::connect(server.agent_address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let tls = connector
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap();
        let token = HeaderValue::from_str(&format!("Bearer {}", enrolled.credential)).unwrap();
        let headers = [(AUTHORIZATION, token)];
        let settings = websocket::Settings::default();
        let socket = connect(tls, "localhost", "/v1/opamp", &headers, settings).await;
        assert!(socket.is_ok(), "{:?}", socket.err());
    }
}

#[tokio::test]
async fn s_323_agents_reach_nothing_without_tls() {
    let (server, _folder) = server();
    let mut tcp = TcpStream::connect(server.agent_address).await.unwrap();
    tcp.write_all(b"GET /v1/opamp HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(server.agent_url().starts_with("wss://"));
}
