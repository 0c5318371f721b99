//! Requests of agents over HTTP, well formed or not.

use std::io::Read;

use muster::opamp::client::{self, Incoming, Outgoing};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SOON, World};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A message as an agent posts it.
    pub(crate) fn poll(credential: &str, message: &Outgoing) -> Self {
        Self::posting(credential, client::write(message))
    }

    /// Bytes as an agent posts them.
    pub(crate) fn posting(credential: &str, body: Vec<u8>) -> Self {
        Self {
            method: "POST",
            path: "/v1/opamp".into(),
            headers: vec![
                ("authorization".into(), format!("Bearer {credential}")),
                ("content-type".into(), "application/x-protobuf".into()),
            ],
            body,
        }
    }

    /// With a header, instead of another of that name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// With another method.
    pub(crate) fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: muster\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head
    }

    /// Sends it on a connection of its own.
    pub(crate) async fn send(&self, world: &World) -> Answer {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        self.send_on(&mut stream).await
    }

    /// Sends it on an open connection, which stays open.
    pub(crate) async fn send_on(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Answer {
        let head = format!("{}content-length: {}\r\n\r\n", self.head(), self.body.len());
        let _ = stream.write_all(&[head.as_bytes(), &self.body].concat()).await;
        Answer::read(stream).await
    }
}

impl Answer {
    /// Reads one answer.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        timeout(SOON, Self::read_now(stream))
            .await
            .expect("an answer in time")
    }

    async fn read_now(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        Self {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The message of a 200.
    pub(crate) fn message(&self) -> Incoming {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        client::read(&self.plain()).unwrap()
    }

    /// The body, inflated.
    pub(crate) fn plain(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice())
            .read_to_end(&mut plain)
            .unwrap();
        plain
    }
}
