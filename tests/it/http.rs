//! The listener and what stands on it, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use muster::fleet::time::Timestamp;
use muster::http::{
    Body, Counters, Limits, Listener, Lookup, Peer, Problem, Request, Response, Router, Security, Serving,
    body, drain, problem, serve, upgraded_io,
};
use muster::pki::{Authority, Names, ServerCertificate, client_config, server_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server with a few routes, in this process.
struct Server {
    address: Option<SocketAddr>,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    counters: Arc<Counters>,
}

impl Server {
    fn start(listener: Listener, security: Security, limits: Limits) -> Self {
        let server = Self {
            address: listener.address(),
            shutdown: CancellationToken::new(),
            tracker: TaskTracker::new(),
            counters: Arc::default(),
        };
        let table = Router::new([
            (Method::GET, "/hello", "hello"),
            (Method::GET, "/peer", "peer"),
            (Method::GET, "/panic", "panic"),
            (Method::GET, "/slow", "slow"),
            (Method::GET, "/upgrade", "upgrade"),
            (Method::POST, "/echo", "echo"),
        ]);
        let table = Arc::new(table.unwrap());
        let tracker = server.tracker.clone();
        server.tracker.spawn(serve(Serving {
            listener,
            security,
            limits,
            service: move |request, peer| answer(Arc::clone(&table), tracker.clone(), request, peer),
            shutdown: server.shutdown.clone(),
            tracker: server.tracker.clone(),
            counters: Arc::clone(&server.counters),
        }));
        server
    }

    fn plain(limits: Limits) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        Self::start(listener, Security::Plain, limits)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.unwrap()).await.unwrap()
    }

    /// Sends these bytes and reads to the end of the connection.
    async fn talk(&self, request: &str) -> String {
        let mut tcp = self.connect().await;
        tcp.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut tcp).await
    }
}

async fn read_to_end(io: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    let limit = tokio::time::timeout(Duration::from_secs(10), io.read_to_end(&mut text));
    // A reset after the answer is an end, too.
    let _ = limit.await.expect("the server has to end this connection");
    String::from_utf8_lossy(&text).into_owned()
}

async fn answer(
    table: Arc<Router<&'static str>>,
    tracker: TaskTracker,
    mut request: Request,
    peer: Peer,
) -> Response {
    let path = request.uri().path().to_owned();
    let name = match table.find(request.method(), &path) {
        Lookup::Found { value, .. } => *value,
        Lookup::NotFound => return problem::not_found().into_response(),
        Lookup::MethodNotAllowed { allow } => return problem::method_not_allowed(allow).into_response(),
    };
    match name {
        "hello" => Response::new("hello".into()),
        "peer" => Response::new(format!("{:?} {:?}", peer.address, peer.uid).into()),
        "panic" => panic!("a request that fails"),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Response::new("slow".into())
        }
        "upgrade" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tracker.spawn(async move {
                let (mut io, leftover) = upgraded_io(upgrade.await.unwrap()).unwrap();
                io.write_all(&leftover).await.unwrap();
                let mut more = [0; 4];
                io.read_exact(&mut more).await.unwrap();
                io.write_all(&more).await.unwrap();
                io.shutdown().await.unwrap();
            });
            let switching = http::Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "echo");
            switching.body(Body::empty()).unwrap()
        }
        _ => match body::read(request.into_body(), 64, Duration::from_millis(200)).await {
            Ok(bytes) => Response::new(bytes.into()),
            Err(error) => Problem::from(error).into_response(),
        },
    }
}

const CLOSE: &str = "host: a\r\nconnection: close\r\n";

#[tokio::test]
async fn a_request_is_answered_and_a_head_says_the_same_without_a_body() {
    let server = Server::plain(Limits::default());
    let answer = server.talk(&format!("GET /hello HTTP/1.1\r\n{CLOSE}\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    let answer = server.talk(&format!("HEAD /hello HTTP/1.1\r\n{CLOSE}\r\n")).await;
    assert!(
        answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn another_method_is_refused_with_the_ones_that_fit() {
    let server = Server::plain(Limits::default());
    let answer = server
        .talk(&format!(
            "PUT /hello HTTP/1.1\r\n{CLOSE}content-length: 0\r\n\r\n"
        ))
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD\r\n"),
        "{answer}"
    );
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_body_above_the_cap_is_refused_before_it_is_sent() {
    let server = Server::plain(Limits::default());
    let announced = "content-length: 2147483648\r\n\r\n";
    let answer = server
        .talk(&format!("POST /echo HTTP/1.1\r\nhost: a\r\n{announced}"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let endless = format!(
        "transfer-encoding: chunked\r\n\r\n{}",
        "10\r\n0123456789abcdef\r\n".repeat(4000)
    );
    let answer = server
        .talk(&format!("POST /echo HTTP/1.1\r\nhost: a\r\n{endless}"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_runs_into_its_deadline() {
    let server = Server::plain(Limits::default());
    let answer = server
        .talk("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn late_headers_end_the_connection_while_pauses_between_requests_do_not() {
    let limits = Limits {
        header_deadline: Duration::from_millis(150),
        ..Limits::default()
    };
    let server = Server::plain(limits);
    // Nothing, a half, and a trickle.
    let mut silent = server.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    let mut trickle = server.connect().await;
    for byte in "GET /hello HTTP/1.1\r\nhost: ".repeat(3).bytes() {
        if trickle.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!read_to_end(&mut trickle).await.contains("200"));

    let mut patient = server.connect().await;
    let request = b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut answer = vec![0; 256];
    for _ in 0..2 {
        patient.write_all(request).await.unwrap();
        let length = patient.read(&mut answer).await.unwrap();
        assert!(answer[..length].ends_with(b"hello"));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // And a second request's headers are under the same deadline.
    patient.write_all(&request[..9]).await.unwrap();
    assert_eq!(read_to_end(&mut patient).await, "");
}

#[tokio::test]
async fn a_silent_connection_ends_after_its_idle_time() {
    let limits = Limits {
        idle_deadline: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::plain(limits);
    let mut tcp = server.connect().await;
    tcp.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut tcp).await.ends_with("hello"));
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let server = Server::plain(Limits::default());
    let answer = server
        .talk(&format!(
            "GET /hello HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            "y".repeat(40_000)
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_cap_are_told_to_come_back_and_the_rest_is_closed() {
    let limits = Limits {
        per_address: 1,
        overflow: 1,
        ..Limits::default()
    };
    let server = Server::plain(limits);
    let mut first = server.connect().await;
    first
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    first.read_u8().await.unwrap();
    let mut second = server.connect().await;
    let mut third = server.connect().await;
    assert_eq!(read_to_end(&mut third).await, "");
    second
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let answer = read_to_end(&mut second).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: "),
        "{answer}"
    );
    assert_eq!(server.counters.refused.load(Ordering::Relaxed), 2);
    drop((first, second, third));
    // Places come back when the server has seen the end of those connections.
    loop {
        let answer = server.talk(&format!("GET /hello HTTP/1.1\r\n{CLOSE}\r\n")).await;
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_panic_in_a_request_is_an_answer_and_the_connection_goes_on() {
    let server = Server::plain(Limits::default());
    let two = format!("GET /panic HTTP/1.1\r\nhost: a\r\n\r\nGET /hello HTTP/1.1\r\n{CLOSE}\r\n");
    let answer = server.talk(&two).await;
    assert!(
        answer.starts_with("HTTP/1.1 500") && answer.ends_with("hello"),
        "{answer}"
    );
    assert!(!answer.contains("a request that fails"));
    assert_eq!(server.counters.panics.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_drain_answers_open_requests_and_waits_for_upgraded_connections() {
    let server = Server::plain(Limits::default());
    let mut upgraded = server.connect().await;
    let request = b"GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly";
    upgraded.write_all(request).await.unwrap();
    let mut answer = [0; 512];
    let mut length = 0;
    while !answer[..length].ends_with(b"early") {
        length += upgraded.read(&mut answer[length..]).await.unwrap();
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));

    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    while server.counters.accepted.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.cancel();
    assert!(read_to_end(&mut slow).await.ends_with("slow"));
    assert!(TcpStream::connect(server.address.unwrap()).await.is_err());
    assert!(!drain(&server.tracker, Duration::from_millis(50)).await);
    upgraded.write_all(b"last").await.unwrap();
    assert!(read_to_end(&mut upgraded).await.ends_with("last"));
    drop((upgraded, slow));
    assert!(drain(&server.tracker, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_local_socket_says_which_user_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("muster.socket");
    let listener = Listener::bind_local(&path).unwrap();
    let server = Server::start(listener, Security::Plain, Limits::default());
    let mut unix = UnixStream::connect(&path).await.unwrap();
    unix.write_all(format!("GET /peer HTTP/1.1\r\n{CLOSE}\r\n").as_bytes())
        .await
        .unwrap();
    let uid = rustix::process::geteuid().as_raw();
    assert!(
        read_to_end(&mut unix)
            .await
            .ends_with(&format!("None Some({uid})"))
    );
    server.shutdown.cancel();
    assert!(drain(&server.tracker, Duration::from_secs(5)).await);
    assert!(!path.exists());
}

/// A server behind TLS, with a client that trusts it.
struct Secure {
    server: Server,
    client: Arc<rustls::ClientConfig>,
    _folder: tempfile::TempDir,
}

impl Secure {
    fn start(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seconds = jiff::Timestamp::now().as_second();
        let now = Timestamp::from_seconds(u64::try_from(seconds).unwrap());
        let authority = Arc::new(Authority::load_or_create(folder.path(), "test", now).unwrap());
        let client = client_config(authority.ca_pem()).unwrap();
        let mut names = Names::default();
        names.add("localhost").unwrap();
        let certificate = ServerCertificate::issued(authority, folder.path(), names, now).unwrap();
        let config = server_config(certificate.resolver(), &[b"h2", b"http/1.1"], 0).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let security = Security::Tls(Arc::new(ArcSwap::new(config)));
        Self {
            server: Server::start(listener, security, limits),
            client,
            _folder: folder,
        }
    }

    async fn connect(&self, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut config = (*self.client).clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = "localhost".try_into().unwrap();
        connector
            .connect(name, self.server.connect().await)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let secure = Secure::start(Limits::default());
    let mut tls = secure.connect(b"http/1.1").await;
    tls.write_all(format!("GET /hello HTTP/1.1\r\n{CLOSE}\r\n").as_bytes())
        .await
        .unwrap();
    assert!(read_to_end(&mut tls).await.ends_with("hello"));

    let io = TokioIo::new(secure.connect(b"h2").await);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let driver = secure.server.tracker.spawn(connection);
    let send = |method: Method, path: &str, body: &'static str| {
        http::Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap()
    };
    let response = client
        .send_request(send(Method::POST, "/echo", "over two"))
        .await
        .unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "over two"
    );
    let response = client
        .send_request(send(Method::HEAD, "/hello", ""))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
    let response = client
        .send_request(send(Method::GET, "/panic", ""))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    drop(client);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn silent_sockets_take_no_handshake_place_and_end_at_the_deadline() {
    let limits = Limits {
        handshakes: 1,
        handshake_deadline: Duration::from_millis(400),
        ..Limits::default()
    };
    let secure = Secure::start(limits);
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(secure.server.connect().await);
    }
    let mut tls = secure.connect(b"http/1.1").await;
    tls.write_all(format!("GET /hello HTTP/1.1\r\n{CLOSE}\r\n").as_bytes())
        .await
        .unwrap();
    assert!(read_to_end(&mut tls).await.ends_with("hello"));
    for mut tcp in silent {
        assert_eq!(read_to_end(&mut tcp).await, "");
    }
    assert_eq!(
        secure.server.counters.failed_handshakes.load(Ordering::Relaxed),
        5
    );
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let secure = Secure::start(Limits::default());
    let answer = secure.server.talk("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("https://"),
        "{answer}"
    );
}
