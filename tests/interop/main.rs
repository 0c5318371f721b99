//! Real agents that others wrote, against the real server: `MUSTER_INTEROP_BIN=FOLDER cargo test --test interop`, with
//! the programs that `build.sh FOLDER` makes. Everything that an operator does goes through the API, by its local socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that can't go on fails, and it measures what other programs do in real time"
)]

mod api;
mod go_client;
mod joined;
mod lab;
mod patience;
mod peer;
mod proxy;
mod revealing;
mod rotation;
mod script;
mod staged;
mod supervisor;
mod validate;
