//! Secrets that can be recognised, put wherever a secret goes, and looked for wherever none may come out: the program as
//! people run it, logging all that it can, with everything that it keeps, says and shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use muster::admin_plane::{Face, described};
use muster::fleet::agent::report::RemoteConfigOutcome;
use muster::fleet::config::ConfigMap;
use serde_json::{Value, json};

use crate::harness::{ALL, Program, bearer_of, caps::C};

/// A secret that was put somewhere, or that was shown once.
#[derive(Clone, Debug)]
struct Canary {
    what: &'static str,
    text: String,
}

/// Everything that came out, by where.
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<u8>>);

impl Seen {
    fn note(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.entry(place.into()).or_default().extend(bytes.into());
    }

    /// The places in which a secret stands, in one of the ways in which it may be written.
    fn places(&self, canary: &Canary) -> Vec<&str> {
        let bytes = canary.text.as_bytes();
        let mut forms = vec![
            canary.text.clone(),
            STANDARD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ];
        let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push(pairs.concat());
        forms.push(form_urlencoded::byte_serialize(bytes).collect());
        // Every way of Base64 that it may take inside of something longer.
        forms.extend((0..3).map(|shift| {
            let shifted = STANDARD.encode([&vec![b' '; shift][..], bytes].concat());
            let from = if shift == 0 { 0 } else { 4 };
            shifted.get(from..shifted.len() - 4).unwrap().to_owned()
        }));
        let stands = |place: &&String| {
            let text = &self.0[*place];
            forms
                .iter()
                .any(|form| text.windows(form.len()).any(|part| part == form.as_bytes()))
        };
        self.0.keys().filter(stands).map(String::as_str).collect()
    }
}

fn files(folder: &Path, seen: &mut Seen) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, seen);
        } else if path.is_file() {
            seen.note(
                format!("file {}", path.file_name().unwrap().display()),
                std::fs::read(&path).unwrap(),
            );
        }
    }
}

const CONFIG: &str = "\
receivers:
  nop: {}
exporters:
  otlphttp:
    endpoint: https://visible-to-all.example
    headers:
      authorization: Bearer ${muster:secret.upstream}
service:
  pipelines:
    logs:
      receivers: [nop]
      exporters: [otlphttp]
";

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the first secret to the last look"
)]
#[expect(
    clippy::similar_names,
    reason = "a line to the server and a line of its log are called what they are"
)]
async fn no_secret_comes_out_where_none_belongs() {
    let program = Program::serve(&["log.level = debug", "names = muster"]).await;
    let mut canaries = Vec::new();
    let mut seen = Seen::default();
    let mut plant = |what, text: &str| {
        canaries.push(Canary {
            what,
            text: text.to_owned(),
        });
    };

    // People: a link to claim the server, a password, one that is wrong, sessions, API tokens.
    let link = program.locally("POST", "/api/v1/setup-token", "").await;
    let link: Value = serde_json::from_slice(&link.body).unwrap();
    let setup = link["url"]
        .as_str()
        .unwrap()
        .rsplit_once('=')
        .unwrap()
        .1
        .to_owned();
    plant("the setup token", &setup);
    let shown = program
        .asks("GET", &format!("/setup?token={setup}"), &[], "")
        .await;
    assert_eq!(shown.status, 200);
    let (password, wrong, next) = (
        "canary-password-of-anna",
        "canary-wrong-password",
        "canary-next-password",
    );
    for (what, text) in [
        ("a password", password),
        ("a wrong password", wrong),
        ("the next password", next),
    ] {
        plant(what, text);
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    let claim = format!("token={setup}&name=anna&password={password}&again={password}");
    let claimed = program.asks("POST", "/setup", &[form], &claim).await;
    assert_eq!(claimed.status, 303);
    let refused = program
        .asks("POST", "/login", &[form], &format!("name=anna&password={wrong}"))
        .await;
    seen.note("the answer to a wrong password", refused.body);
    let signed_in = program
        .asks(
            "POST",
            "/login",
            &[form],
            &format!("name=anna&password={password}"),
        )
        .await;
    assert_eq!(signed_in.status, 303);
    let mut sessions = Vec::new();
    for answer in [&claimed, &signed_in] {
        let set = answer
            .headers
            .iter()
            .find(|(name, value)| name == "set-cookie" && value.starts_with("__Host-muster_session"));
        let cookie = set.unwrap().1.split(';').next().unwrap().to_owned();
        plant("a session", cookie.split_once('=').unwrap().1);
        sessions.push(cookie);
    }
    let cookie = ("cookie", sessions[1].as_str());
    let wish = json!({"name": "ci", "role": "admin", "days": 1, "account": "anna"}).to_string();
    let made = program.locally("POST", "/api/v1/account/tokens", &wish).await;
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    let api_token = made["secret"].as_str().unwrap().to_owned();
    plant("an API token", &api_token);
    let bearer = format!("Bearer {api_token}");

    // Agents: enrolment tokens, a credential, the next one, secrets in a configuration and in what agents report.
    let value = "canary-config-secret";
    plant("a secret of a configuration", value);
    let secret = json!({"value": value, "description": "upstream"}).to_string();
    assert!(
        program
            .locally("POST", "/api/v1/secrets/upstream", &secret)
            .await
            .status
            < 300
    );
    let made = program
        .locally("POST", "/api/v1/enrolment-tokens", r#"{"uses": 3}"#)
        .await;
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    plant("an enrolment token", made["secret"].as_str().unwrap());
    for (path, body) in [
        ("/api/v1/groups", json!({"name": "edge"})),
        ("/api/v1/configs", json!({"name": "edge", "yaml": CONFIG})),
    ] {
        let answer = program.locally("POST", path, &body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
    let mut agent = program
        .agent("visible-host")
        .await
        .able(ALL.with(C::ACCEPTS_OPAMP_CONNECTION_SETTINGS));
    plant("an agent's credential", &agent.credential);
    let mut line = program.line(&agent.credential).await.unwrap();
    assert_eq!(line.ask(&agent.full()).await.error, None);
    let acts = format!("/api/v1/agents/{}/acts", agent.id());
    let pin = json!({"act": "pin", "group": "edge"}).to_string();
    let pinned = program.locally("POST", &acts, &pin).await;
    assert!(pinned.status < 300, "{}", String::from_utf8_lossy(&pinned.body));
    let layers =
        json!({"layers": [{"config": "edge", "revision": 1}], "strategy": "all at once", "confirm": 1});
    let published = program
        .locally("POST", "/api/v1/groups/edge/publish", &layers.to_string())
        .await;
    assert!(
        published.status < 300,
        "{}",
        String::from_utf8_lossy(&published.body)
    );
    let (content, hash) = line.hear().await.remote_config.expect("what was published");
    let body = String::from_utf8(content.files.values().next().unwrap().body.clone()).unwrap();
    assert!(body.contains(value), "the agent itself is told: {body}");
    // What it runs has that secret, and others that nobody told us; it drifted, and it says the secret in an error.
    let unknown = "canary-of-the-host-alone";
    plant("a secret that only the host knew", unknown);
    let drifted =
        format!("{body}extensions:\n  basicauth:\n    client_auth: {{username: me, password: {unknown}}}\n");
    agent.effective = ConfigMap::document(&drifted);
    let mut message = agent.full();
    message.parts.remote_config_status = agent
        .reports(&hash, RemoteConfigOutcome::Applied)
        .parts
        .remote_config_status;
    message.sequence = agent.sequence;
    assert_eq!(line.ask(&message).await.error, None);
    let rotate = json!({"act": "rotate"}).to_string();
    assert!(program.locally("POST", &acts, &rotate).await.status < 300);
    let offered = line.hear().await.connection.expect("the next credential");
    plant("the next credential", &bearer_of(&offered));
    agent.credential = bearer_of(&offered);
    drop(line);
    let mut line = program.line(&agent.credential).await.unwrap();
    agent.sequence = 0;
    assert_eq!(line.ask(&agent.full()).await.error, None);
    let adopted = program
        .locally("POST", &format!("/api/v1/agents/{}/adopt", agent.id()), "{}")
        .await;
    assert_eq!(adopted.status, 201, "{}", String::from_utf8_lossy(&adopted.body));
    seen.note("the answer to adopting", adopted.body);

    // What can go wrong: secrets where others are needed, in paths, and in bodies that are none.
    for text in [
        api_token.as_str(),
        agent.credential.as_str(),
        setup.as_str(),
        "canary-nonsense",
    ] {
        let header = format!("Bearer {text}x");
        let answer = program
            .asks("GET", "/api/v1/agents", &[("authorization", &header)], "")
            .await;
        assert_eq!(answer.status, 401);
        seen.note("an answer to a stranger", answer.body);
        let refused = program.line(&format!("{text}x")).await.err().unwrap();
        seen.note("an answer to a stranger", refused.to_string());
    }
    let broken = format!("{{\"value\": \"{value}\", \"descr");
    let answer = program.locally("POST", "/api/v1/secrets/upstream", &broken).await;
    assert_eq!(answer.status, 400);
    seen.note("the answer to a body that is none", answer.body);
    let answer = program
        .locally(
            "POST",
            "/api/v1/secrets/upstream",
            &json!({"value": {"x": value}}).to_string(),
        )
        .await;
    assert!(answer.status >= 400);
    seen.note("the answer to a body of another kind", answer.body);

    look_at_everything(
        &program,
        &agent.id().to_string(),
        (cookie, bearer.as_str()),
        &mut seen,
    )
    .await;
    let reset = json!({"new_password": next}).to_string();
    let reset = program
        .locally("POST", "/api/v1/accounts/anna/password", &reset)
        .await;
    assert_eq!(reset.status, 204, "{}", String::from_utf8_lossy(&reset.body));
    let exported = tempfile::tempdir().unwrap();
    for verb in [
        &["export", "fleet"][..],
        &["agents", "list"],
        &["secrets", "list"],
        &["audit"],
        &["users", "list"],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_muster"));
        command
            .args(verb)
            .arg("--data")
            .arg(program.data())
            .current_dir(exported.path());
        let output = command.output().unwrap();
        seen.note(
            format!("muster {}", verb.join(" ")),
            [output.stdout, output.stderr].concat(),
        );
    }
    files(exported.path(), &mut seen);
    files(&program.data(), &mut seen);
    seen.note("the log", program.log().join("\n"));

    // That it is seen where it stands: what isn't secret came out.
    let visible = |text: &str| {
        let canary = Canary {
            what: "",
            text: text.to_owned(),
        };
        seen.places(&canary)
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let (host, endpoint) = (visible("visible-host"), visible("visible-to-all.example"));
    for place in ["file store.redb", "GET /api/v1/agents", "GET /agents"] {
        assert!(host.contains(place), "{place}: {host:?}");
    }
    for place in [
        "file store.redb",
        "GET /api/v1/configs/edge",
        "GET /configs/edge",
        "file edge.yaml",
    ] {
        assert!(endpoint.contains(place), "{place}: {endpoint:?}");
    }
    assert!(visible("muster_agents_connected").contains("GET /metrics"));
    assert!(
        visible("agent.rotate").contains("GET /api/v1/audit")
            && visible("\"level\":\"DEBUG\"").contains("the log")
    );
    assert!(
        visible("[secret ")
            .iter()
            .any(|place| place.ends_with("effective-config")),
        "marks are kept"
    );
    assert_eq!(canaries.len(), 12);
    for canary in canaries {
        assert!(canary.text.len() >= 16, "{canary:?}");
        let places = seen.places(&canary);
        let line = program.log().into_iter().find(|line| line.contains(&canary.text));
        assert!(
            places.is_empty(),
            "{} stands in {places:?}: {line:?}",
            canary.what
        );
    }
}

/// Every page and every answer of the API that only looks.
async fn look_at_everything(program: &Program, agent: &str, as_who: ((&str, &str), &str), seen: &mut Seen) {
    let (cookie, bearer) = as_who;
    let rollouts = program.read("/api/v1/rollouts").await;
    let rollout = rollouts["rollouts"][0]["id"]
        .to_string()
        .trim_matches('"')
        .to_owned();
    let tokens = program.read("/api/v1/enrolment-tokens").await;
    let token = tokens["tokens"][0]["id"].as_str().unwrap_or("none").to_owned();
    let mut looked = 0;
    for row in described() {
        if row.method != http::Method::GET || matches!(row.face, Face::Stream | Face::Asset) {
            continue;
        }
        let parts = row.path.split('/').map(|part| match part {
            "{id}" if row.path.contains("rollouts") => rollout.as_str(),
            "{id}" if row.path.contains("token") => token.as_str(),
            "{id}" => agent,
            "{name}" if row.path.contains("secrets") => "upstream",
            "{name}" if row.path.contains("accounts") => "anna",
            "{number}" | "{revision}" => "1",
            "{token}" => token.as_str(),
            "{topic}" => "security",
            "{verb}" => "serve",
            "{act}" => "restart",
            part if part.starts_with('{') => "edge",
            part => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let path = if row.path.ends_with("/diff") {
            path + "?from=1&to=1"
        } else {
            path
        };
        let who = if row.face == Face::Api {
            ("authorization", bearer)
        } else {
            cookie
        };
        let answer = program
            .asks(
                "GET",
                &path,
                &[who, ("accept", "text/html, application/json;q=0.5")],
                "",
            )
            .await;
        looked += usize::from(answer.status == 200);
        let headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let headers = headers.concat();
        seen.note(
            format!("GET {path}"),
            [headers.as_bytes(), &answer.plain()].concat(),
        );
    }
    assert!(looked > 50, "{looked} of them are there");
}
