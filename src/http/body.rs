//! Bodies: what we send, and reading what peers send without trusting its size or its pace.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::listener::Busy;

/// A response's body.
#[derive(Default)]
pub struct Body {
    kind: Kind,
    /// Tells the listener when the response is over.
    busy: Option<Busy>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send>>),
}

impl Body {
    /// A body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let kind = if bytes.is_empty() {
            Kind::Empty
        } else {
            Kind::Full(bytes)
        };
        Self { kind, busy: None }
    }

    /// A body of unknown length, sent piece by piece: server-sent events, downloads. An error cuts the response off.
    pub fn stream(pieces: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static) -> Self {
        Self {
            kind: Kind::Stream(Box::pin(pieces)),
            busy: None,
        }
    }

    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    pub(super) fn hold(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::full(bytes)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Kind::Stream(pieces) = &mut self.kind {
            return pieces
                .as_mut()
                .poll_next(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data)));
        }
        let Kind::Full(bytes) = std::mem::take(&mut self.kind) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// Why a request's body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More than `cap` bytes, announced or sent: 413.
    #[error("the body is larger than {cap} bytes")]
    TooLarge {
        /// The limit in bytes.
        cap: usize,
    },
    /// It didn't arrive in time: 408.
    #[error("the body did not arrive within {} seconds", deadline.as_secs())]
    TimedOut {
        /// How long we waited.
        deadline: Duration,
    },
    /// It broke off or was malformed: 400.
    #[error("the body broke off or is malformed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads a whole body of at most `cap` bytes within `deadline`. An announced length above the cap is refused at once,
/// and nothing is allocated ahead of what has arrived.
///
/// # Errors
///
/// [`BodyError`] says which limit was hit.
pub async fn read<B>(mut body: B, cap: usize, deadline: Duration) -> Result<Bytes, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.size_hint().lower() > cap as u64 {
        return Err(BodyError::TooLarge { cap });
    }
    let collect = async {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| BodyError::Broken(error.into()))?;
            // Trailers say nothing that we use.
            let Ok(data) = frame.into_data() else { continue };
            if first.len() + rest.len() + data.len() > cap {
                return Err(BodyError::TooLarge { cap });
            }
            // Most bodies come in one piece, which is then not copied.
            if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    };
    tokio::time::timeout(deadline, collect)
        .await
        .unwrap_or(Err(BodyError::TimedOut { deadline }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const SECOND: Duration = Duration::from_secs(1);

    fn pieces(list: &[&'static str]) -> Body {
        let list: Vec<_> = list
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
            .collect();
        Body::stream(stream::iter(list))
    }

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_its_cap() {
        assert_eq!(
            read(pieces(&["ab", "", "cd", "e"]), 5, SECOND).await.unwrap(),
            "abcde"
        );
        assert_eq!(read(Body::empty(), 0, SECOND).await.unwrap(), "");
        assert!(matches!(
            read(pieces(&["ab", "cd"]), 3, SECOND).await,
            Err(BodyError::TooLarge { cap: 3 })
        ));
    }

    #[tokio::test]
    async fn an_announced_length_above_the_cap_is_refused_before_anything_is_read() {
        assert!(matches!(
            read(Body::full("abcd"), 3, SECOND).await,
            Err(BodyError::TooLarge { cap: 3 })
        ));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_runs_into_the_deadline() {
        let endless = Body::stream(stream::pending());
        assert!(matches!(
            read(endless, 3, Duration::from_millis(20)).await,
            Err(BodyError::TimedOut { .. })
        ));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told_from_one_that_ends() {
        let broken = Body::stream(stream::iter([
            Ok(Bytes::from_static(b"a")),
            Err(io::Error::other("cut")),
        ]));
        assert!(matches!(read(broken, 3, SECOND).await, Err(BodyError::Broken(_))));
    }
}
