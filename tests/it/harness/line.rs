//! A WebSocket of an agent, and a socket on which bytes are made by hand.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use muster::http::websocket::{ConnectError, Incoming as Frame, Settings, Socket, connect};
use muster::opamp::client::{self, Incoming, Outgoing};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SOON, World};

/// A WebSocket of an agent.
pub(crate) struct Line<S = TcpStream> {
    socket: Socket<S>,
}

impl Line {
    pub(crate) async fn open(world: &World, credential: &str) -> Result<Self, ConnectError> {
        Self::over(TcpStream::connect(world.address).await.unwrap(), credential).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Opens a WebSocket on a connection.
    pub(crate) async fn over(stream: S, credential: &str) -> Result<Self, ConnectError> {
        let token = HeaderValue::from_str(&format!("Bearer {credential}")).unwrap();
        let settings = Settings {
            max_message: 64 << 20,
            ..Settings::default()
        };
        let headers = [(AUTHORIZATION, token)];
        let opening = connect(stream, "muster", "/v1/opamp", &headers, settings);
        let socket = timeout(SOON, opening).await.expect("a handshake in time")?;
        Ok(Self { socket })
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: &Outgoing) {
        let mut bytes = vec![0];
        bytes.extend(client::write(message));
        self.send(bytes).await;
    }

    /// Sends bytes as one binary message.
    pub(crate) async fn send(&mut self, bytes: Vec<u8>) {
        self.socket.send_binary(Bytes::from(bytes), SOON).await.unwrap();
    }

    /// Sends a message and waits for the next one that comes.
    pub(crate) async fn ask(&mut self, message: &Outgoing) -> Incoming {
        self.say(message).await;
        self.hear().await
    }

    /// The next message that comes, which must be well formed.
    pub(crate) async fn hear(&mut self) -> Incoming {
        let bytes = self.hear_bytes().await;
        assert_eq!(bytes.first(), Some(&0), "a header of 0");
        client::read(&bytes[1..]).unwrap()
    }

    /// The bytes of the next message.
    pub(crate) async fn hear_bytes(&mut self) -> Bytes {
        loop {
            let frame = timeout(SOON, self.socket.recv())
                .await
                .expect("a message in time");
            match frame.expect("a connection") {
                Some(Frame::Binary(bytes)) => return bytes,
                Some(Frame::Ping | Frame::Pong) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// Whatever comes within `time`.
    pub(crate) async fn hears_within(&mut self, time: Duration) -> Option<Incoming> {
        timeout(time, self.hear()).await.ok()
    }

    /// Reads until the server closes; the code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let reading = async {
            loop {
                match self.socket.recv().await {
                    Ok(Some(Frame::Close(code))) => return code,
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return None,
                }
            }
        };
        timeout(SOON, reading).await.expect("a close in time")
    }

    /// Says goodbye to the WebSocket as its protocol wants it.
    pub(crate) async fn close(self) {
        self.socket.close(1000, "", SOON).await;
    }
}

/// A connection on which a test writes bytes of its own.
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
}

impl Raw {
    pub(crate) async fn open(world: &World) -> Self {
        Self {
            stream: TcpStream::connect(world.address).await.unwrap(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Shakes hands for a WebSocket with further header lines; the head of the answer in small letters.
    pub(crate) async fn shake(&mut self, credential: &str, lines: &str) -> String {
        let head = format!(
            "GET /v1/opamp HTTP/1.1\r\nHost: muster\r\nAuthorization: Bearer {credential}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(timeout(SOON, self.stream.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(answer).unwrap().to_ascii_lowercase()
    }

    /// Sends one masked frame.
    pub(crate) async fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut bytes = vec![first];
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => bytes.push(0x80 | length),
            _ => {
                bytes.push(0xfe);
                bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(payload);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next frame: its first byte and its payload.
    pub(crate) async fn next_frame(&mut self) -> (u8, Vec<u8>) {
        let reading = async {
            let first = self.stream.read_u8().await.unwrap();
            let length = match self.stream.read_u8().await.unwrap() {
                126 => usize::from(self.stream.read_u16().await.unwrap()),
                127 => usize::try_from(self.stream.read_u64().await.unwrap()).unwrap(),
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.unwrap();
            (first, payload)
        };
        timeout(SOON, reading).await.expect("a frame in time")
    }

    /// The code of the close that comes next.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            let (first, payload) = self.next_frame().await;
            if first == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    /// Whether the other side ended the connection.
    pub(crate) async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        timeout(SOON, self.stream.read_to_end(&mut rest)).await.is_ok()
    }
}
