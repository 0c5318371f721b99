//! One request over one connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Target;

/// The largest answer that is read: far above any page of a listing.
const ANSWER_LIMIT: usize = 64 << 20;

/// Connects, sends the request and reads the answer whole.
pub(super) async fn exchange(target: &Target, request: Request<Full<Bytes>>) -> io::Result<Response<Bytes>> {
    match target {
        Target::Local(socket) => over(UnixStream::connect(socket).await?, request).await,
        Target::Remote { host, port, tls } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
            let stream = TcpStream::connect((bare, *port)).await?;
            stream.set_nodelay(true)?;
            let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
            over(Box::new(stream), request).await
        }
    }
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<Response<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?
            .into_parts();
        let body = Limited::new(body, ANSWER_LIMIT)
            .collect()
            .await
            .map_err(io::Error::other)?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The connection has ended; what it had read by then may still be a whole answer.
        _ = &mut connection => exchange.await,
    }
}
