//! The reference for measurements: a bare TLS WebSocket server with our sockets and nothing behind them. To every
//! message it answers at once with the uid that the message begins with, which is what the shortest OpAMP
//! acknowledgement is: so `muster simulate` drives it as it drives a real server.
//!
//! `cargo run --release --example echo -- 127.0.0.1:4330` prints the address, and the file with its authority, which lies
//! in the system's temporary folder unless a second argument names another. Drive it with `muster simulate --server
//! https://localhost:4330 --ca FILE --token mst_agent_any`.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use muster::app::clock::Clock;
use muster::http::websocket::{self, Incoming, Socket};
use muster::http::{Counters, Limits, Listener, Request, Response, Security, Serving, serve};
use muster::pki::{Authority, Names, ServerCertificate, server_config};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The header byte, the tag and length of the uid, and the uid.
const ACKNOWLEDGEMENT: usize = 19;
const DEADLINE: Duration = Duration::from_secs(20);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4330".to_owned());
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&address, folder.join("echo")))
}

async fn run(address: &str, folder: PathBuf) -> anyhow::Result<()> {
    std::fs::create_dir_all(&folder)?;
    let now = Clock::system().now();
    let authority = Arc::new(Authority::load_or_create(&folder, "Echo", now)?);
    let certificate = ServerCertificate::issued(Arc::clone(&authority), &folder, Names::of_this_host(), now)?;
    let ca = folder.join("echo-ca.pem");
    std::fs::write(&ca, authority.ca_pem())?;
    let listener = Listener::bind(address.parse()?, 4096)?;
    let bound = listener.address().map(|address| address.to_string());
    println!("{} {}", bound.unwrap_or_default(), ca.display());
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let tls = server_config(certificate.resolver(), &[b"http/1.1"], 0)?;
    let sockets = tracker.clone();
    let serving = serve(Serving {
        listener,
        security: Security::Tls(Arc::new(ArcSwap::new(tls))),
        limits: Limits {
            connections: 20_000,
            per_address: 20_000,
            ..Limits::default()
        },
        service: move |request: Request, _| std::future::ready(answer(&sockets, request)),
        shutdown: stop.clone(),
        tracker: tracker.clone(),
        counters: Arc::new(Counters::default()),
    });
    tokio::select! {
        () = serving => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

fn answer(sockets: &TaskTracker, mut request: Request) -> Response {
    let (response, upgrade) = match websocket::accept(&mut request) {
        Ok(accepted) => accepted,
        Err(problem) => return problem.into_response(),
    };
    let tracker = sockets.clone();
    sockets.spawn(async move {
        if let Ok(socket) = websocket::upgraded(upgrade, websocket::Settings::default()).await {
            tracker.spawn(echo(socket));
        }
    });
    response
}

async fn echo(mut socket: Socket) {
    loop {
        match socket.recv().await {
            Ok(Some(Incoming::Binary(message))) => {
                let answer = message.slice(..ACKNOWLEDGEMENT.min(message.len()));
                if socket.send_binary(answer, DEADLINE).await.is_err() {
                    return;
                }
            }
            Ok(Some(Incoming::Text | Incoming::Ping | Incoming::Pong | Incoming::Close(_))) => {}
            Ok(None) | Err(_) => return,
        }
    }
}
