//! The rows of the table, asked of the program itself over TLS, on both transports where both have them.

use std::time::Duration;

use muster::app::clock::Stopwatch;
use muster::fleet::agent::RefusalKind;
use muster::opamp::client::{self, Outgoing};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Agent, Program, Raw, Request};
use crate::people::PASSWORD;

/// What an operator can see of an agent, whole.
async fn all_of(program: &Program, agent: &Agent) -> Vec<Value> {
    let mut all = Vec::new();
    for view in [
        "",
        "/timeline",
        "/configuration",
        "/effective-config",
        "/identity",
    ] {
        all.push(
            program
                .read(&format!("/api/v1/agents/{}{view}", agent.id()))
                .await,
        );
    }
    all
}

async fn refusal(program: &Program, agent: &Agent, message: &Outgoing) -> [RefusalKind; 2] {
    let mut line = program.line(&agent.credential).await.unwrap();
    let said = line.ask(message).await.error.expect("a refusal").kind;
    let answer = program.poll(&agent.credential, message).await;
    let posted = client::read(&answer.plain())
        .unwrap()
        .error
        .expect("a refusal")
        .kind;
    [said, posted]
}

#[tokio::test]
async fn nobody_speaks_for_another_on_either_transport() {
    let program = Program::serve(&[]).await;
    let (mut victim, mut attacker) = (program.agent("web-1").await, program.agent("web-2").await);
    for agent in [&mut victim, &mut attacker] {
        let full = agent.full();
        assert_eq!(program.poll(&agent.credential, &full).await.message().error, None);
    }
    let before = all_of(&program, &victim).await;
    for credential in ["", "nonsense", victim.credential.get(1..).unwrap()] {
        let polled = program.poll(credential, &victim.clone().compressed()).await;
        assert_eq!(polled.status, 401);
        let refused = program.line(credential).await.err().expect("a refusal");
        assert!(refused.to_string().contains("401"), "{refused}");
    }
    let forged = Outgoing {
        uid: victim.uid.clone(),
        disconnect: true,
        ..attacker.full()
    };
    assert_eq!(
        refusal(&program, &attacker, &forged).await,
        [RefusalKind::BadRequest; 2]
    );
    for websocket in [false, true] {
        let mut clone = program.agent(&format!("clone-{websocket}")).await;
        clone.uid.clone_from(&victim.uid);
        let full = clone.full();
        let answer = if websocket {
            program.line(&clone.credential).await.unwrap().ask(&full).await
        } else {
            program.poll(&clone.credential, &full).await.message()
        };
        assert_eq!((answer.uid, answer.error), (victim.uid.clone(), None));
        assert_ne!(answer.new_uid.expect("one of its own"), victim.uid);
    }
    let agents = program.read("/api/v1/agents").await["matching"].clone();
    let mut other = program.agent("web-3").await;
    for uid in [
        vec![],
        vec![1],
        vec![1; 15],
        vec![1; 17],
        vec![1; 1_000_000],
        vec![0; 16],
    ] {
        let message = Outgoing { uid, ..other.full() };
        assert_eq!(
            refusal(&program, &other, &message).await,
            [RefusalKind::BadRequest; 2]
        );
    }
    let now = program.read("/api/v1/agents").await["matching"].as_u64();
    assert_eq!(
        now,
        agents.as_u64().map(|agents| agents + 1),
        "the one that enrolled"
    );
    assert_eq!(all_of(&program, &victim).await, before);
    let audit = program.read("/api/v1/audit").await.to_string();
    assert_eq!(audit.matches("credential.foreign_uid").count(), 2);
}

#[tokio::test]
async fn bytes_that_are_no_message_are_answered_and_the_program_goes_on() {
    let program = Program::serve(&["limits.messages_per_minute = 1000000"]).await;
    let mut pool = program.agent_by(r#"{"many": 10000}"#, "pool").await;
    let credential = pool.credential.clone();
    let valid = client::write(&pool.full());
    let status = async |body: Vec<u8>, stream: &mut _| {
        Request::posting(&credential, body).send_on(stream).await.status
    };
    let mut stream = program.connect().await;
    let mut line = program.line(&credential).await.unwrap();
    let cases = (0..valid.len()).map(|end| valid[..end].to_vec());
    let flips = (0..valid.len() * 8).map(|bit| {
        let mut bent = valid.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        bent
    });
    let mut unread = 0;
    for (at, bytes) in cases.chain(flips).enumerate() {
        let status = status(bytes.clone(), &mut stream).await;
        assert!(matches!(status, 200 | 400), "{at}: {status}");
        line.send([&[0], bytes.as_slice()].concat()).await;
        assert_eq!(line.hear_bytes().await.first(), Some(&0), "{at}");
        // Whoever sends nothing that can be read is let go after a few; this isn't about that.
        unread += usize::from(status == 400);
        if unread == 8 {
            line = program.line(&credential).await.unwrap();
            unread = 0;
        }
    }
    let wide = described(&pool, &[0x0a, 0x00].repeat(400_000));
    let deep = described(&pool, &nested(100_000));
    for hostile in [wide, deep] {
        let watch = Stopwatch::start();
        assert_eq!(status(hostile.clone(), &mut stream).await, 400);
        let mut line = program.line(&credential).await.unwrap();
        line.send([&[0], hostile.as_slice()].concat()).await;
        assert_eq!(line.hear().await.error.unwrap().kind, RefusalKind::BadRequest);
        assert!(watch.elapsed() < Duration::from_secs(2));
    }
    let posted = Request::posting(&credential, valid.clone());
    let wrong = posted.clone().by("PUT").send_on(&mut stream).await;
    assert_eq!(
        (wrong.status, wrong.header("allow")),
        (405, Some("GET, HEAD, POST"))
    );
    let wrong = posted
        .clone()
        .with("content-type", "text/plain")
        .send_on(&mut program.connect().await)
        .await;
    assert_eq!(wrong.status, 415);
    let wrong = posted
        .with("origin", "https://a.example")
        .send_on(&mut program.connect().await)
        .await;
    assert_eq!(wrong.status, 403);
    let huge = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    for (bytes, code) in [
        (vec![0x81, 0x80, 0, 0, 0, 0], 1003),
        (vec![0x82, 0x02, 0, 0], 1002),
        (huge, 1009),
    ] {
        let mut raw = Raw {
            stream: program.connect().await,
        };
        assert!(raw.shake(&credential, "").await.starts_with("http/1.1 101"));
        raw.stream.write_all(&bytes).await.unwrap();
        assert_eq!(raw.close_code().await, code);
    }
    let mut line = program.line(&credential).await.unwrap();
    line.send([&[5], valid.as_slice()].concat()).await;
    assert_eq!(line.hear().await.error.unwrap().kind, RefusalKind::BadRequest);
    assert_eq!(line.ask(&pool.full()).await.error, None, "it goes on");
    let faults = program
        .log()
        .into_iter()
        .filter(|line| line.contains("\"ERROR\""));
    assert_eq!(
        faults.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "a peer's fault is none of ours"
    );
}

/// A message of this agent with these bytes as its description.
fn described(agent: &Agent, description: &[u8]) -> Vec<u8> {
    let mut bytes = client::write(&agent.clone().compressed());
    bytes.push(0x1a);
    super::push_length(&mut bytes, description.len());
    bytes.extend(description);
    bytes
}

/// Lists inside lists, written from the inside out.
fn nested(depth: usize) -> Vec<u8> {
    let mut reversed: Vec<u8> = Vec::new();
    for level in 0..depth * 2 {
        let mut length = Vec::new();
        super::push_length(&mut length, reversed.len());
        reversed.extend(length.into_iter().rev());
        // An array inside a value, a value inside an array.
        reversed.push(if level % 2 == 0 { 0x2a } else { 0x0a });
        if reversed.len() > 900_000 {
            break;
        }
    }
    let mut value = Vec::from([0x12]);
    super::push_length(&mut value, reversed.len());
    value.extend(reversed.into_iter().rev());
    let mut attribute = Vec::from([0x0a]);
    super::push_length(&mut attribute, value.len());
    attribute.extend(value);
    attribute
}

#[tokio::test]
async fn a_flood_on_either_transport_is_slowed_down_and_a_neighbour_is_not() {
    let program = Program::serve(&["limits.messages_per_minute = 100"]).await;
    let mut neighbour = program.agent("quiet").await;
    let mut quiet = program.line(&neighbour.credential).await.unwrap();
    assert_eq!(quiet.ask(&neighbour.full()).await.error, None);
    let mut loud = program.agent("loud").await;
    let mut line = program.line(&loud.credential).await.unwrap();
    let mut slowed = 0;
    for _ in 0..1_000 {
        if let Some(error) = line.ask(&loud.compressed()).await.error {
            assert_eq!(error.kind, RefusalKind::Unavailable);
            assert!(error.retry_after.unwrap() >= Duration::from_secs(30));
            slowed += 1;
        }
    }
    assert!(slowed > 800, "{slowed}");
    let again = loud.compressed();
    let answer = program.poll(&loud.credential, &again).await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 30);
    let watch = Stopwatch::start();
    assert_eq!(quiet.ask(&neighbour.compressed()).await.error, None);
    assert!(watch.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_revoked_agent_is_out_within_two_seconds_and_a_token_for_one_use_is_used_once() {
    let program = Program::serve(&[]).await;
    let mut agent = program.agent("web-1").await;
    let mut line = program.line(&agent.credential).await.unwrap();
    assert_eq!(line.ask(&agent.full()).await.error, None);
    let revoke = format!("/api/v1/credentials/{}/revoke", agent.credential_id);
    assert!(program.locally("POST", &revoke, "").await.status < 300);
    let closed = tokio::time::timeout(Duration::from_secs(2), line.closed()).await;
    assert_eq!(closed, Ok(Some(1008)));
    assert_eq!(
        program
            .poll(&agent.credential, &agent.clone().compressed())
            .await
            .status,
        401
    );
    assert!(program.line(&agent.credential).await.is_err());

    let made = program.locally("POST", "/api/v1/enrolment-tokens", "{}").await;
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    let request = Request {
        path: "/v1/enroll".into(),
        ..Request::posting(made["secret"].as_str().unwrap(), b"{}".to_vec())
            .with("content-type", "application/json")
    };
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(program.connect().await);
    }
    let uses = streams.iter_mut().map(|stream| request.send_on(stream));
    let answers = super::futures_of(uses).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(401)), (1, 99));
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one person and one server for all of it")]
async fn pages_of_others_wrong_names_and_guessed_passwords_get_nowhere() {
    let program = Program::serve(&[]).await;
    let setup = program.locally("POST", "/api/v1/setup-token", "").await;
    let setup: Value = serde_json::from_slice(&setup.body).unwrap();
    let token = setup["url"]
        .as_str()
        .unwrap()
        .rsplit_once('=')
        .unwrap()
        .1
        .to_owned();
    let password = PASSWORD.replace(' ', "+");
    let claim = format!("token={token}&name=anna&password={password}&again={password}");
    let claimed = program.asks("POST", "/setup", &[FORM], &claim).await;
    assert_eq!(claimed.status, 303);
    let cookies: Vec<_> = claimed
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .collect();
    let session = cookies
        .iter()
        .find(|(_, value)| value.starts_with("__Host-muster_session="))
        .unwrap();
    for word in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(session.1.contains(word), "{word}");
    }
    let cookie = session.1.split(';').next().unwrap();
    let group = r#"{"name":"edge"}"#;
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[],
    ] {
        let all = [&[("cookie", cookie), JSON], headers].concat();
        let answer = program.asks("POST", "/api/v1/groups", &all, group).await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    assert_eq!(program.read("/api/v1/groups").await["groups"], json!([]));
    let seen = program
        .asks("GET", "/api/v1/groups", &[("cookie", cookie)], "")
        .await;
    assert_eq!(seen.status, 200, "it is a session all the same");
    let named = program
        .asks(
            "GET",
            "/api/v1/groups",
            &[("cookie", cookie), ("host", "evil.example")],
            "",
        )
        .await;
    assert_eq!(named.status, 421);

    let made = program.locally("POST", "/api/v1/groups", group).await;
    assert_eq!(made.status, 201);
    let tag = ("if-match", "\"77\"");
    let token = json!({"name": "ci", "role": "admin", "days": 1, "account": "anna"}).to_string();
    let token = program.locally("POST", "/api/v1/account/tokens", &token).await;
    let token: Value = serde_json::from_slice(&token.body).unwrap();
    let bearer = format!("Bearer {}", token["secret"].as_str().unwrap());
    let bearer = ("authorization", bearer.as_str());
    let stale = program
        .asks(
            "PATCH",
            "/api/v1/groups/edge",
            &[bearer, JSON, tag],
            r#"{"description":"x"}"#,
        )
        .await;
    assert_eq!(stale.status, 412);
    let key = ("idempotency-key", "one-and-the-same");
    let first = program
        .asks("POST", "/api/v1/enrolment-tokens", &[bearer, JSON, key], "{}")
        .await;
    let second = program
        .asks("POST", "/api/v1/enrolment-tokens", &[bearer, JSON, key], "{}")
        .await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let tokens = program.read("/api/v1/enrolment-tokens").await;
    assert_eq!(tokens["tokens"].as_array().map(Vec::len), Some(1), "{tokens}");

    let wrong = "name=anna&password=not+the+password";
    let mut streams = Vec::new();
    // Few enough to be there at the same time, before the first of them has waited too long.
    for _ in 0..40 {
        streams.push(program.connect_to(program.people).await);
    }
    let guesses = streams
        .iter_mut()
        .map(|stream| program.asks_on(stream, "POST", "/login", &[FORM], wrong));
    let answers = super::futures_of(guesses).await;
    let verified = answers.iter().filter(|answer| answer.status == 422).count();
    let slowed = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(
        verified + slowed,
        40,
        "{:?}",
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    );
    assert!(verified < 10, "{verified} were looked at");
}

#[tokio::test]
async fn configurations_that_would_tie_us_up_are_refused_with_their_place() {
    let program = Program::serve(&[]).await;
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        let line = format!("a{level}: &a{level} [{uses}]\n");
        bomb.push_str(&line);
    }
    let deep = format!("{}1{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let lines: Vec<_> = (0..1_200)
        .map(|level| format!("{}k:\n", " ".repeat(level)))
        .collect();
    let indented = lines.concat();
    for (what, yaml) in [
        ("aliases", bomb.as_str()),
        ("nested in brackets", &deep),
        ("nested by indent", &indented),
        ("the same key twice", "receivers: {}\nreceivers: {}\n"),
        ("a NUL", "receivers:\n  \0: {}\n"),
        ("a NUL, escaped", "receivers: \"\u{0}\"\n"),
    ] {
        let body = json!({"name": "bomb", "yaml": yaml}).to_string();
        let watch = Stopwatch::start();
        let answer = program.locally("POST", "/api/v1/configs", &body).await;
        let took = watch.elapsed();
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 422, "{what}: {said}");
        assert!(
            said.contains("line ") && said.contains("column "),
            "{what}: {said}"
        );
        assert!(took < Duration::from_secs(1), "{what}: {took:?}");
    }
    let long = json!({"name": "long", "yaml": format!("# {}\n", "x".repeat(5 << 20))}).to_string();
    let answer = program.locally("POST", "/api/v1/configs", &long).await;
    assert!(matches!(answer.status, 413 | 422), "{}", answer.status);
    assert_eq!(program.read("/api/v1/configs").await["configs"], json!([]));
}
