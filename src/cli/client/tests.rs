use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

fn local(data: &Path) -> Client {
    let args = ClientArgs {
        data: Some(data.to_owned()),
        ..ClientArgs::default()
    };
    Client::new(&args, &Environment::default()).unwrap()
}

/// Answers one request on the local socket of `data` with these bytes, and returns what was asked.
async fn answer_once(data: &Path, answer: &str) -> String {
    let listener = UnixListener::bind(settings::socket_in(data)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        asked.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&asked);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap_or("0");
            if body.len() == length.parse::<usize>().unwrap() {
                break;
            }
        }
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(asked).unwrap()
}

#[tokio::test]
async fn a_call_over_the_local_socket_carries_json_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let client = local(folder.path());
    let server = answer_once(
        folder.path(),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"id\":7}",
    );
    let body = serde_json::json!({"name": "edge"});
    let call =
        client.change::<_, serde_json::Value>(Method::PATCH, "/api/v1/groups/edge", &body, Some("\"3\""));
    let (asked, answer) = tokio::join!(server, call);
    assert_eq!(answer.unwrap()["id"], 7);
    assert!(
        asked.starts_with("PATCH /api/v1/groups/edge HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("\r\nif-match: \"3\"\r\n") && asked.contains("\r\ncontent-type: application/json\r\n")
    );
    assert!(asked.ends_with("\r\n\r\n{\"name\":\"edge\"}"), "{asked}");
    assert!(
        !asked.contains("authorization"),
        "the local socket needs no token"
    );
}

#[tokio::test]
async fn a_problem_document_becomes_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let problem = r#"{"type":"about:blank","title":"Invalid","status":422,"detail":"the group is not valid",
        "errors":[{"field":"selector","why":"an empty selector selects nothing"}]}"#;
    let answer = format!(
        "HTTP/1.1 422 Unprocessable Content\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{problem}",
        problem.len()
    );
    let client = local(folder.path());
    let (_, refused) = tokio::join!(
        answer_once(folder.path(), &answer),
        client.post::<_, ()>("/api/v1/groups", &())
    );
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused(refusal) if refusal.status == 422),
        "{refused:?}"
    );
    assert_eq!(
        refused.to_string(),
        "the group is not valid\nselector: an empty selector selects nothing"
    );
}

#[tokio::test]
async fn an_empty_answer_is_unit_and_a_wrong_one_names_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let client = local(folder.path());
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    let (_, done) = tokio::join!(
        answer_once(folder.path(), empty),
        client.post::<_, ()>("/api/v1/x", &1)
    );
    done.unwrap();
    fs::remove_file(settings::socket_in(folder.path())).unwrap();
    let page = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n<p>";
    let (_, odd) = tokio::join!(answer_once(folder.path(), page), client.get::<u64>("/api/v1/x"));
    assert!(odd.unwrap_err().to_string().contains("/api/v1/x"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = local(folder.path()).get::<()>("/api/v1/x").await.unwrap_err();
    assert!(matches!(&error, ClientError::NotRunning { .. }), "{error:?}");
    assert!(error.to_string().contains("--data"), "{error}");
}

#[test]
fn flags_beat_the_environment_and_a_data_folder_means_the_local_server() {
    let environment = Environment::from_pairs([
        ("MUSTER_SERVER", "https://[::1]:4321/"),
        ("MUSTER_TOKEN", "from-environment"),
        ("MUSTER_CA_SHA256", "00".repeat(32).as_str()),
    ]);
    let remote = Client::new(&ClientArgs::default(), &environment).unwrap();
    assert_eq!(remote.host(), "[::1]:4321");
    assert_eq!(remote.token.as_ref().unwrap().reveal(), "from-environment");
    assert!(!format!("{remote:?}").contains("from-environment"));
    let args = ClientArgs {
        token: Some("flag".to_owned()),
        ..ClientArgs::default()
    };
    assert_eq!(
        Client::new(&args, &environment).unwrap().token.unwrap().reveal(),
        "flag"
    );
    let args = ClientArgs {
        data: Some("/data".into()),
        ..ClientArgs::default()
    };
    let local = Client::new(&args, &environment).unwrap();
    assert!(matches!(&local.target, Target::Local(socket) if socket == Path::new("/data/muster.sock")));
    assert!(local.token.is_none());
}

#[test]
fn only_an_https_address_is_a_server() {
    assert_eq!(
        parse_server("https://muster.example.com").unwrap(),
        ("muster.example.com".to_owned(), 443)
    );
    for wrong in [
        "muster.example.com",
        "http://muster:4321",
        "https://",
        "https://a/b",
        "https://a?b",
        "",
    ] {
        assert!(
            matches!(parse_server(wrong), Err(ClientError::Arguments(_))),
            "{wrong}"
        );
    }
}

#[test]
fn a_segment_cannot_leave_its_place() {
    assert_eq!(segment("edge-1.eu"), "edge-1.eu");
    assert_eq!(segment("../users"), "..%2Fusers");
    assert_eq!(segment(".."), "%2E%2E");
    assert_eq!(segment("a?b#c d%"), "a%3Fb%23c%20d%25");
}
