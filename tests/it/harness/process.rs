//! The program itself as a child: what only a process of its own shows, such as its memory and its log.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use muster::fleet::agent::report::RemoteConfigStatus;
use muster::fleet::config::ConfigMap;
use muster::http::websocket::ConnectError;
use muster::opamp::client::Outgoing;

use super::{ALL, Agent, Answer, Line, Request, SOON, fresh_uid};

/// A server that was started as people start it.
pub(crate) struct Program {
    child: Child,
    folder: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
    /// Where agents connect.
    pub(crate) agents: SocketAddr,
    /// Where people connect.
    pub(crate) people: SocketAddr,
}

impl Program {
    /// Starts the program with these settings, and returns once it listens.
    pub(crate) async fn serve(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command
            .args(["serve", "--data", "data", "--agent-listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--set", "log.format = json"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let deadline = tokio::time::Instant::now() + SOON * 3;
        let said = loop {
            let said = log.lock().unwrap().iter().find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                line.get("agent_address").is_some().then_some(line)
            });
            if let Some(said) = said {
                break said;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{:?}",
                log.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let address = |name: &str| said[name].as_str().unwrap().parse().unwrap();
        Self {
            agents: address("agent_address"),
            people: address("admin_address"),
            child,
            folder,
            log,
        }
    }

    /// What it logged so far, line by line.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The most memory that it ever held, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// What the system allows it of something, by the words of `/proc/PID/limits`: what is in force, and the most.
    pub(crate) fn limit(&self, what: &str) -> (String, String) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    }

    /// A connection of an agent, over TLS.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_to(self.agents).await
    }

    /// A connection to one of its addresses, over TLS.
    pub(crate) async fn connect_to(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let ca = std::fs::read_to_string(self.data().join("ca.pem")).unwrap();
        let client = muster::pki::client_config(&ca).unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(client);
        connector
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap()
    }

    /// A request as the operator of the host.
    pub(crate) async fn locally(&self, method: &'static str, path: &str, body: &str) -> Answer {
        let request = Request {
            method,
            path: path.into(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        };
        let mut socket = UnixStream::connect(self.data().join("muster.sock"))
            .await
            .unwrap();
        request.send_on(&mut socket).await
    }

    /// A request of a person or of a page, over the network.
    pub(crate) async fn asks(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = self.connect_to(self.people).await;
        self.asks_on(&mut stream, method, path, headers, body).await
    }

    /// The same on an open connection.
    pub(crate) async fn asks_on(
        &self,
        stream: &mut TlsStream<TcpStream>,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.unwrap();
        Answer::read(stream).await
    }

    /// What the operator of the host reads.
    pub(crate) async fn read(&self, path: &str) -> serde_json::Value {
        let answer = self.locally("GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// A WebSocket of an agent.
    pub(crate) async fn line(&self, credential: &str) -> Result<Line<TlsStream<TcpStream>>, ConnectError> {
        Line::over(self.connect().await, credential).await
    }

    /// A message of an agent over HTTP.
    pub(crate) async fn poll(&self, credential: &str, message: &Outgoing) -> Answer {
        Request::poll(credential, message)
            .send_on(&mut self.connect().await)
            .await
    }

    /// An agent that has enrolled and not spoken yet.
    pub(crate) async fn agent(&self, host: &str) -> Agent {
        self.agent_by("{}", host).await
    }

    /// An agent that has enrolled with a token of this kind.
    pub(crate) async fn agent_by(&self, token: &str, host: &str) -> Agent {
        let enrolled = self.enrolled(token, host).await;
        let id = |name: &str| enrolled[name].as_str().map(str::to_owned);
        Agent {
            uid: fresh_uid(),
            credential: id("credential").unwrap(),
            credential_id: id("credential_id").unwrap().parse().unwrap(),
            id: id("agent_id").map(|id| id.parse().unwrap()),
            sequence: 0,
            capabilities: ALL,
            host: host.to_owned(),
            status: RemoteConfigStatus::default(),
            effective: ConfigMap::document("receivers: {}\n"),
        }
    }

    /// Enrols a host; the credential of its agent.
    pub(crate) async fn enrol(&self, host: &str) -> String {
        let enrolled = self.enrolled("{}", host).await;
        enrolled["credential"].as_str().unwrap().to_owned()
    }

    async fn enrolled(&self, token: &str, host: &str) -> serde_json::Value {
        let made = self.locally("POST", "/api/v1/enrolment-tokens", token).await;
        let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
        let request = Request {
            method: "POST",
            path: "/v1/enroll".into(),
            headers: vec![
                (
                    "authorization".into(),
                    format!("Bearer {}", made["secret"].as_str().unwrap()),
                ),
                ("content-type".into(), "application/json".into()),
            ],
            body: serde_json::json!({"host": host}).to_string().into_bytes(),
        };
        let answer = request.send_on(&mut self.connect().await).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
