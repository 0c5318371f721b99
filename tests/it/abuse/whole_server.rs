//! Abuse of the program itself: what it does to memory, to the log, and to people at work meanwhile.

use std::time::Duration;

use muster::app::clock::Stopwatch;
use muster::fleet::agent::report::{Health, Parts};
use muster::fleet::attributes::Description;
use muster::opamp::client::Outgoing;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::conformance::gzip;
use crate::harness::{Answer, Program, Request, SOON, fresh_uid, text};

/// What a person at work may have to wait at most, in 99 of 100 cases.
const PATIENCE: Duration = Duration::from_millis(500);

/// How much memory abuse may take for a moment, in KiB.
const FLAT_KIB: u64 = 24 * 1024;

#[tokio::test]
async fn silent_sockets_above_the_cap_keep_nobody_from_working() {
    let caps = ["limits.connections = 100", "limits.connections_per_address = 100"];
    let program = Program::serve(&caps).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(program.agents).await.unwrap());
    }
    let mut waits = Vec::new();
    for _ in 0..200 {
        let watch = Stopwatch::start();
        assert_eq!(program.locally("GET", "/api/v1/agents", "").await.status, 200);
        waits.push(watch.elapsed());
    }
    waits.sort_unstable();
    assert!(waits[197] < PATIENCE, "{:?}", waits[197]);
}

#[tokio::test]
async fn bombs_and_bodies_without_end_leave_memory_flat() {
    let program = Program::serve(&[]).await;
    let credential = program.enrol("web-1").await;
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 128 << 10);
    let post = Request::posting(&credential, bomb).with("content-encoding", "gzip");
    // The first one takes what stays: buffers, and pages of the program.
    assert_eq!(post.send_on(&mut program.connect().await).await.status, 413);
    let before = program.peak_kib();
    for _ in 0..20 {
        assert_eq!(post.send_on(&mut program.connect().await).await.status, 413);
    }
    let chunk = [b"10000\r\n".as_slice(), &vec![0; 0x10000], b"\r\n"].concat();
    for _ in 0..3 {
        let mut stream = program.connect().await;
        let head = Request::posting(&credential, Vec::new()).head() + "transfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let feeding = async { while stream.write_all(&chunk).await.is_ok() {} };
        let cut_off = tokio::time::timeout(SOON, feeding).await;
        assert!(cut_off.is_ok(), "it takes whatever comes");
    }
    let mut stream = program.connect().await;
    let head = Request::posting(&credential, Vec::new()).head() + "content-length: 2147483648\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 413);
    let took = program.peak_kib() - before;
    assert!(took < FLAT_KIB, "{took} KiB");
}

#[tokio::test]
async fn what_agents_call_themselves_stays_one_line_of_the_log() {
    const NAME: &str =
        "web\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\n\u{1b}[2J\u{202e}\",\"forged\":\"1";
    let program = Program::serve(&["log.level = trace"]).await;
    let credential = program.enrol("web-1").await;
    let before = program.log().len();
    let message = Outgoing {
        uid: fresh_uid(),
        sequence: 1,
        capabilities: crate::harness::ALL.0,
        parts: Parts {
            description: Some(Description {
                identifying: vec![text("service.name", NAME)],
                non_identifying: vec![text("host.name", NAME)],
            }),
            health: Some(Health {
                last_error: NAME.into(),
                ..Health::default()
            }),
            ..Parts::default()
        },
        ..Outgoing::default()
    };
    let mut stream = program.connect().await;
    let answer = Request::poll(&credential, &message).send_on(&mut stream).await;
    assert_eq!(answer.message().error, None);
    let shown = program.locally("GET", "/api/v1/agents", "").await;
    let shown: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["agents"][0]["host_name"], NAME);
    let log = program.log();
    assert!(log.len() > before, "nothing was logged");
    for line in log {
        let read: Result<serde_json::Value, _> = serde_json::from_str(&line);
        let read = read.unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_ne!(read["message"], "forged", "{line}");
        assert!(read.get("forged").is_none(), "{line}");
        assert!(!line.contains(['\u{1b}', '\u{202e}', '\r']), "{line}");
    }
}

#[tokio::test]
async fn nothing_of_our_memory_and_no_key_is_left_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::serve(&[]).await;
    assert_eq!(
        program.limit("Max core file size"),
        ("0".to_owned(), "0".to_owned())
    );
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&program.data()), 0o700);
    let mut private = 0;
    for entry in std::fs::read_dir(program.data()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Certificates are shown to everybody.
        if path.is_file() && path.extension().is_none_or(|ending| ending != "pem") {
            assert_eq!(mode(&path) & 0o077, 0, "{name}");
            private += 1;
        }
    }
    assert!(private >= 4, "{private}");
}
