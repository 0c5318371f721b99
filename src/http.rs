//! What both planes share: listeners with limits, routing by a table, bodies with caps, problems, and the WebSocket.
//!
//! Knows nothing of agents, accounts or pages: what a request means is decided by the service that a plane passes in.

pub mod body;
pub mod budget;
pub mod form;
pub mod headers;
pub mod json;
pub mod listener;
pub mod problem;
pub mod router;
mod tls;
pub mod transport;
pub mod websocket;

pub use body::{Body, BodyError};
pub use budget::{Budget, Share};
pub use headers::RequestId;
pub use listener::{Counters, Limits, Listener, Peer, Security, Serving, drain, serve};
pub use problem::{FieldError, Problem};
pub use router::{Lookup, Params, Router, RouterError};
pub use transport::{Transport, upgraded_io};

/// A request as the planes get it.
pub type Request = http::Request<hyper::body::Incoming>;
/// A response as the planes give it.
pub type Response = http::Response<Body>;
