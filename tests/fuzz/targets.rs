//! What is done with bytes that nobody vouches for, a function for each reader of them. The fuzzer calls them with what it
//! makes up; `tests/it/fuzz_corpus.rs` calls them with what it found worth keeping. Each asserts what has to hold of
//! whatever was read, beside that nothing panics.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "each target is a program of its own, and one that can't go on has found something"
)]

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderMap, HeaderValue};
use muster::app::accounts::NewToken;
use muster::app::agents::AgentAct;
use muster::app::enrolment::{Enrol, NewEnrolmentToken};
use muster::app::publish::Publish;
use muster::auth::form_token::{form_token, is_form_token};
use muster::auth::secret::{Secret, SecretKind};
use muster::fleet::attributes::Facts;
use muster::fleet::config::merge::merge;
use muster::fleet::config::yaml::{self, Limits, Node, Value};
use muster::fleet::config::{ConfigMap, Diff, Insert, adopt, drift, lint, resolve, variables};
use muster::fleet::selector::Selector;
use muster::http::headers::{cookie, prefers_html, set_cookie};
use muster::http::{form, json};
use muster::opamp::body::{Encoding, accepts_gzip, gzip, open};
use muster::opamp::client::{self, Outgoing};
use muster::opamp::{self, frame as wire_frame};
use muster::settings;

/// A message on a WebSocket: the header, then what is behind it.
pub fn frame(bytes: &[u8]) {
    if let Ok((_, inside)) = wire_frame::open(bytes) {
        assert!(bytes.ends_with(inside));
        message(inside);
    }
}

/// The body of a poll, packed or not.
pub fn body(bytes: &[u8]) {
    const LIMIT: usize = 256 << 10;
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (accepts_gzip(Some(text)), Encoding::of(Some(text)));
    }
    if let Ok(inflated) = open(bytes, Encoding::Gzip, LIMIT) {
        assert!(inflated.len() <= LIMIT.min((bytes.len() * 100).max(64 << 10)));
    }
    let packed = gzip(bytes);
    if bytes.len() <= LIMIT && packed.len() <= LIMIT && bytes.len() <= packed.len() * 100 {
        assert_eq!(open(&packed, Encoding::Gzip, LIMIT).unwrap(), bytes);
    }
}

/// An `AgentToServer`: what is read of it is what an agent would say by it.
pub fn message(bytes: &[u8]) {
    let limits = opamp::Limits::default();
    let scanned = opamp::scan(bytes, &limits);
    let Ok(report) = opamp::decode(bytes, &limits) else {
        return;
    };
    let scanned = scanned.expect("what is decoded was scanned");
    assert_eq!(scanned.uid().unwrap(), report.uid);
    let said = Outgoing::from(report);
    let again = client::write(&said);
    let heard = opamp::decode(&again, &limits).expect("what we read can be said");
    // Not by `==`: what is not a number isn't itself.
    assert_eq!(format!("{said:?}"), format!("{:?}", Outgoing::from(heard)));
    let _ = client::read(bytes);
}

/// A selector: it can be said again as it was understood.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(selector) = Selector::parse(text) else {
        return;
    };
    let said = selector.to_string();
    assert_eq!(Selector::parse(&said).as_ref(), Ok(&selector), "{said}");
    let labels = BTreeMap::from([("region".to_owned(), text.chars().take(64).collect())]);
    let _ = selector.matches(&labels, &Facts::default());
}

/// Two layers, divided by a line `%%`: read, checked, merged, filled in, written, compared, adopted.
pub fn yaml(bytes: &[u8]) {
    let limits = Limits {
        bytes: 64 << 10,
        nodes: 2_000,
        ..Limits::default()
    };
    let divided = bytes.windows(4).position(|four| four == b"\n%%\n");
    let (base, overlay) = divided.map_or((bytes, &b""[..]), |at| (&bytes[..=at], &bytes[at + 4..]));
    let _ = lint::lint(base, &limits, lint::Judged::Layer);
    let _ = lint::lint(base, &limits, lint::Judged::Whole);
    if let Ok(root) = yaml::parse(base, &limits) {
        let _ = variables(&root);
        written_and_read(&root);
        let filled = resolve(&root, &|_| Some(Insert::Value("${env:X} 'y' # z".to_owned())));
        written_and_read(&filled.expect("every variable is known"));
        let text = std::str::from_utf8(base).unwrap();
        if let Ok(adopted) = adopt(text, &Facts::default(), None, &limits) {
            yaml::parse(adopted.yaml.as_bytes(), &Limits::default()).expect("what is adopted can be read");
        }
    }
    let Ok(merged) = merge(&[base, overlay], &limits) else {
        return;
    };
    written_and_read(&merged.root);
    let text = merged.root.emit().text;
    let (before, after) = (ConfigMap::document(&text), ConfigMap::document("receivers: {}\n"));
    let _ = Diff::between(&before, &after);
    let _ = drift(&before, &after, &Limits::default());
    assert!(Diff::between(&before, &before).is_empty());
    let canonical = before.to_canonical();
    assert_eq!(ConfigMap::from_canonical(&canonical).unwrap(), before);
    let _ = ConfigMap::from_canonical(bytes);
}

fn written_and_read(root: &Node) {
    let text = root.emit().text;
    // Writing resolves what aliases repeat, so it may be longer and hold more than what was read.
    let wide = Limits {
        bytes: 64 << 20,
        nodes: 1_000_000,
        depth: 256,
        ..Limits::default()
    };
    let again = yaml::parse(text.as_bytes(), &wide).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    assert_eq!(plain(root), plain(&again), "\n{text}");
}

/// A document's values without their places.
fn plain(node: &Node) -> String {
    match &node.value {
        Value::List(items) => {
            items
                .iter()
                .fold("[".to_owned(), |said, item| said + &plain(item) + ",")
                + "]"
        }
        Value::Map(entries) => {
            let entry = |said: String, entry: &yaml::Entry| {
                said + &format!("{:?}:{},", entry.key, plain(&entry.value))
            };
            entries.iter().fold("{".to_owned(), entry) + "}"
        }
        other => format!("{other:?}"),
    }
}

/// Bearer tokens, cookies and form tokens.
pub fn secrets(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(http::header::COOKIE, value.clone());
            headers.append(http::header::ACCEPT, value);
        }
    }
    if let Some(value) = cookie(&headers, "__Host-muster_session") {
        let set = set_cookie("__Host-muster_session", value, std::time::Duration::ZERO);
        assert!(set.is_some(), "a cookie that we believe is one that we can set");
    }
    let _ = prefers_html(&headers);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = SecretKind::ALL.map(|kind| Secret::parse(kind, text));
    assert!(read.iter().filter(|read| read.is_ok()).count() <= 1);
    for secret in read.into_iter().flatten() {
        assert_eq!(secret.expose(), text.trim());
        assert!(secret.matches(&secret.digest()));
    }
    let session = Secret::new(SecretKind::Session, [7; Secret::RANDOM_BYTES]);
    assert_eq!(is_form_token(&session, text), text == form_token(&session));
}

/// The settings file: what is taken is shown as it is.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match settings::read_text(Path::new("muster.toml"), text) {
        Ok(effective) => assert_eq!(effective.rows().len(), settings::described().len()),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

/// Bodies of the API and of forms: what is read can be said again.
pub fn requests(bytes: &[u8]) {
    let _ = json::parse::<serde_json::Value>(bytes);
    if let Ok(publish) = json::parse::<Publish>(bytes) {
        json::parse::<Publish>(&serde_json::to_vec(&publish).unwrap()).unwrap();
    }
    if let Ok(act) = json::parse::<AgentAct>(bytes) {
        let again = serde_json::to_vec(&act).unwrap();
        assert_eq!(json::parse::<AgentAct>(&again).unwrap(), act);
    }
    if let Ok(wish) = json::parse::<NewEnrolmentToken>(bytes) {
        json::parse::<NewEnrolmentToken>(&serde_json::to_vec(&wish).unwrap()).unwrap();
    }
    let _ = json::parse::<Enrol>(bytes);
    let _ = json::parse::<NewToken>(bytes);
    let _ = form::parse::<Enrol>(bytes);
    let _ = form::parse::<NewToken>(bytes);
    let _ = form::parse::<BTreeMap<String, Vec<String>>>(bytes);
    if let Ok(uri) = std::str::from_utf8(bytes)
        .unwrap_or_default()
        .parse::<http::Uri>()
    {
        let _ = form::parse_query::<NewEnrolmentToken>(&uri);
    }
}
