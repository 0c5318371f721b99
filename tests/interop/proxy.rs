//! A plain HTTP door in front of the server, which looks at every answer and can fail on demand.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};

use crate::lab::Lab;

/// One exchange that passed.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) sent_uid: Vec<u8>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

/// The door. It closes with the value.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    server: u16,
    tls: Arc<rustls::ClientConfig>,
    /// The status to answer with instead of passing on; 0 = pass on.
    fault: AtomicU16,
    failed: Mutex<usize>,
    passed: Mutex<Vec<Passed>>,
}

impl Proxy {
    pub(crate) fn before(lab: &Lab) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let authority = std::fs::read_to_string(lab.ca()).unwrap();
        let state = Arc::new(State {
            server: lab.port(),
            tls: muster::pki::client_config(&authority).unwrap(),
            fault: AtomicU16::new(0),
            failed: Mutex::default(),
            passed: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(state.answer(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            address,
            state,
            _runtime: runtime,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/v1/opamp", self.address)
    }

    /// From now on answers with this status instead of passing on; `None` = passes on.
    pub(crate) fn fail_with(&self, status: Option<u16>) {
        self.state.fault.store(status.unwrap_or(0), Ordering::SeqCst);
    }

    /// How many requests were failed.
    pub(crate) fn failed(&self) -> usize {
        *self.state.failed.lock().unwrap()
    }

    /// What passed.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.state.passed.lock().unwrap().clone()
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let fault = self.fault.load(Ordering::SeqCst);
        if fault != 0 {
            *self.failed.lock().unwrap() += 1;
            return plain(StatusCode::from_u16(fault).unwrap());
        }
        let sent_uid = uid_of(&body);
        let start = Instant::now();
        let Ok((parts, body)) = self.pass_on(parts, body).await else {
            return plain(StatusCode::BAD_GATEWAY);
        };
        self.passed.lock().unwrap().push(Passed {
            sent_uid,
            status: parts.status,
            headers: parts.headers.clone(),
            body: body.clone(),
            took: start.elapsed(),
        });
        Response::from_parts(parts, Full::new(body))
    }

    async fn pass_on(
        &self,
        mut parts: http::request::Parts,
        body: Bytes,
    ) -> Result<(http::response::Parts, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(("127.0.0.1", self.server)).await?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector
            .connect(ServerName::try_from("localhost")?, stream)
            .await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        parts.headers.remove(http::header::TRANSFER_ENCODING);
        // As clients that can't unpack: then nothing may be packed.
        parts.headers.remove(http::header::ACCEPT_ENCODING);
        let answer = sender
            .send_request(Request::from_parts(parts, Full::new(body)))
            .await?;
        let (parts, body) = answer.into_parts();
        Ok((parts, body.collect().await?.to_bytes()))
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"from the proxy")));
    *response.status_mut() = status;
    response
}

/// The first field of an `AgentToServer`, which is its uid: tag, length, 16 bytes.
fn uid_of(body: &[u8]) -> Vec<u8> {
    match body {
        [0x0a, 16, rest @ ..] => rest.iter().take(16).copied().collect(),
        _ => Vec::new(),
    }
}
