//! The WebSocket over the real listener, with our own client and with bytes made by hand.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use muster::http::websocket::{ConnectError, Incoming, Settings, Socket, accept, connect, upgraded};
use muster::http::{Limits, Listener, Peer, Request, Response, Security, Serving, drain, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const SOON: Duration = Duration::from_secs(5);

/// A server that sends every binary message back, and closes with 1003 on text.
struct Echo {
    address: SocketAddr,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Echo {
    fn start() -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let echo = Self {
            address: listener.address().unwrap(),
            shutdown: CancellationToken::new(),
            tracker: TaskTracker::new(),
        };
        let (tracker, shutdown) = (echo.tracker.clone(), echo.shutdown.clone());
        echo.tracker.spawn(serve(Serving {
            listener,
            security: Security::Plain,
            limits: Limits::default(),
            service: move |request, _: Peer| ready(answer(&tracker, shutdown.clone(), request)),
            shutdown: echo.shutdown.clone(),
            tracker: echo.tracker.clone(),
            counters: Arc::default(),
        }));
        echo
    }

    async fn connect(&self) -> Result<Socket<TcpStream>, ConnectError> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        connect(tcp, "muster", "/v1/opamp", &[], Settings::default()).await
    }

    /// Sends a handshake made of these header lines; the status line and headers of the answer.
    async fn shake(&self, lines: &str) -> (TcpStream, String) {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n").as_bytes())
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.unwrap());
        }
        (tcp, String::from_utf8(head).unwrap().to_ascii_lowercase())
    }
}

fn answer(tracker: &TaskTracker, shutdown: CancellationToken, mut request: Request) -> Response {
    match accept(&mut request) {
        Ok((response, upgrade)) => {
            tracker.spawn(async move {
                let socket = upgraded(upgrade, Settings::default()).await.unwrap();
                echo(socket, shutdown).await;
            });
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn echo(mut socket: Socket, shutdown: CancellationToken) {
    loop {
        let incoming = tokio::select! {
            incoming = socket.recv() => incoming,
            () = shutdown.cancelled() => return socket.close(1001, "going away", SOON).await,
        };
        match incoming {
            Ok(Some(Incoming::Binary(bytes))) => socket.send_binary(bytes, SOON).await.unwrap(),
            Ok(Some(Incoming::Text)) => return socket.close(1003, "binary only", SOON).await,
            Ok(Some(Incoming::Ping | Incoming::Pong | Incoming::Close(_))) => {}
            Ok(None) => return,
            Err(error) => return socket.close_for(&error, SOON).await,
        }
    }
}

const UPGRADE: &str = "connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n";
const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn messages_of_all_sizes_come_back() {
    let echo = Echo::start();
    let mut socket = echo.connect().await.unwrap();
    for size in [0, 1, 125, 126, 1024, 65_536, 1024 * 1024, 3] {
        let message = Bytes::from(vec![9; size]);
        socket.send_binary(message.clone(), SOON).await.unwrap();
        assert_eq!(
            socket.recv().await.unwrap(),
            Some(Incoming::Binary(message)),
            "{size}"
        );
    }
    socket.close(1000, "", SOON).await;
    assert!(drain(&echo.tracker, Duration::from_millis(1)).await || echo.tracker.len() == 1);
}

#[tokio::test]
async fn no_extension_and_no_subprotocol_is_agreed_on() {
    let echo = Echo::start();
    let offers = "sec-websocket-extensions: permessage-deflate; client_no_context_takeover\r\n\
                  sec-websocket-protocol: opamp\r\n";
    let (_tcp, head) = echo
        .shake(&format!("{UPGRADE}{KEY}sec-websocket-version: 13\r\n{offers}"))
        .await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
        "{head}"
    );
    assert!(
        !head.contains("sec-websocket-extensions") && !head.contains("sec-websocket-protocol"),
        "{head}"
    );
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused_before_any_upgrade() {
    let echo = Echo::start();
    let (_tcp, head) = echo
        .shake(&format!("{UPGRADE}{KEY}sec-websocket-version: 8\r\n"))
        .await;
    assert!(
        head.starts_with("http/1.1 426") && head.contains("sec-websocket-version: 13\r\n"),
        "{head}"
    );
    let (_tcp, head) = echo.shake("").await;
    assert!(
        head.starts_with("http/1.1 426") && head.contains("upgrade: websocket\r\n"),
        "{head}"
    );
    let (_tcp, head) = echo
        .shake(&format!("{UPGRADE}sec-websocket-version: 13\r\n"))
        .await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
}

#[tokio::test]
async fn a_message_above_the_limit_is_answered_with_1009_even_while_it_is_sent() {
    let echo = Echo::start();
    let mut socket = echo.connect().await.unwrap();
    let large = Bytes::from(vec![0; 8 * 1024 * 1024]);
    // The write may or may not get through; the close has to.
    let _ = socket.send_binary(large, SOON).await;
    assert_eq!(socket.recv().await.unwrap(), Some(Incoming::Close(Some(1009))));
}

#[tokio::test]
async fn text_is_answered_with_1003_and_an_unmasked_frame_with_1002() {
    let echo = Echo::start();
    for (frame, code) in [(&[0x81, 0x80, 0, 0, 0, 0][..], 1003_u16), (&[0x82, 0x00], 1002)] {
        let (mut tcp, _) = echo
            .shake(&format!("{UPGRADE}{KEY}sec-websocket-version: 13\r\n"))
            .await;
        tcp.write_all(frame).await.unwrap();
        let mut close = [0; 4];
        tcp.read_exact(&mut close).await.unwrap();
        assert_eq!((close[0], &close[2..]), (0x88, &code.to_be_bytes()[..]));
    }
}

#[tokio::test]
async fn a_shutdown_says_goodbye_and_the_drain_waits_for_it() {
    let echo = Echo::start();
    let mut socket = echo.connect().await.unwrap();
    socket.send_binary(Bytes::from_static(b"a"), SOON).await.unwrap();
    assert!(socket.recv().await.unwrap().is_some());
    echo.shutdown.cancel();
    let part = async {
        assert_eq!(socket.recv().await.unwrap(), Some(Incoming::Close(Some(1001))));
        assert_eq!(socket.recv().await.unwrap(), None);
        drop(socket);
    };
    let (drained, ()) = tokio::join!(drain(&echo.tracker, SOON), part);
    assert!(drained);
}

#[tokio::test]
async fn a_client_learns_why_it_was_refused() {
    let echo = Echo::start();
    let tcp = TcpStream::connect(echo.address).await.unwrap();
    let wrong = [(
        http::header::SEC_WEBSOCKET_KEY,
        http::HeaderValue::from_static("second"),
    )];
    let refused = connect(tcp, "a", "/", &wrong, Settings::default())
        .await
        .unwrap_err();
    let ConnectError::Refused(refusal) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    assert_eq!(refusal.headers["content-type"], "application/problem+json");
}
