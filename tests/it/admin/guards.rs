//! What stands between a stranger's page and an act.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use muster::auth::permission::Role;
use serde_json::json;

use super::site::{NAME, Site};

#[tokio::test]
async fn a_name_that_is_not_ours_is_misdirected() {
    let site = Site::start().await;
    for (host, status) in [
        (NAME, 200),
        ("Muster.Example.com:4321", 200),
        ("localhost", 200),
        ("a.example.org:4321", 200),
        ("a.b.example.org", 421),
        ("example.org", 421),
        ("*.example.org", 421),
        ("198.51.100.1:4321", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("muster.example.com.evil.example", 421),
    ] {
        for path in ["/healthz", "/api/v1/agents"] {
            let answer = site
                .get(path)
                .role(Role::Viewer)
                .header("host", host)
                .send()
                .await;
            assert_eq!(answer.status.as_u16(), status, "{host} {path}");
        }
    }
    assert_eq!(
        site.get("/healthz")
            .header("host", "evil.example")
            .local()
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_names_of_a_given_certificate_are_ours_for_as_long_as_it_is_shown() {
    let site = Site::start().await;
    let status = |host: &'static str| {
        let ask = site.get("/healthz").header("host", host);
        async move { ask.send().await.status.as_u16() }
    };
    assert_eq!(status("muster.corp").await, 421);
    for (name, other) in [("muster.corp", "console.corp"), ("console.corp", "muster.corp")] {
        let mut names = muster::pki::Names::default();
        names.add(name).unwrap();
        let expires = site
            .app
            .clock()
            .now()
            .plus(std::time::Duration::from_hours(24 * 90));
        let given = muster::app::certificates::GivenCertificate { names, expires };
        site.app.note_given_certificate(given);
        assert_eq!((status(name).await, status(other).await), (200, 421));
        assert_eq!(status(NAME).await, 200);
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_with_somebodys_session() {
    let site = Site::start().await;
    let group = json!({"name": "edge"});
    let ask = |token: bool| {
        let ask = site.call(Method::POST, "/api/v1/groups").browser().json(&group);
        let secret = muster::auth::form_token::form_token(&site.session);
        if token {
            ask.header("x-form-token", &secret)
        } else {
            ask
        }
    };
    let own = format!("https://{NAME}");
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = ask(true).header(name, value).send().await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::FORBIDDEN, "cross-site"),
            "{name}: {value}"
        );
    }
    let answer = ask(false).header("origin", &own).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "without the token");
    let answer = ask(false).header("x-form-token", &"0".repeat(64)).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "with a made-up token");
    let groups = site.get("/api/v1/groups").role(Role::Viewer).send().await.json();
    assert_eq!(groups["groups"], json!([]));
    let answer = ask(true)
        .header("origin", &own)
        .header("sec-fetch-site", "same-origin")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_token_needs_no_form_token_and_the_local_socket_needs_nothing() {
    let site = Site::start().await;
    let make = |name: &str| {
        site.call(Method::POST, "/api/v1/groups")
            .json(&json!({ "name": name }))
    };
    assert_eq!(
        make("a").role(Role::Deployer).send().await.status,
        StatusCode::CREATED
    );
    assert_eq!(make("b").local().send().await.status, StatusCode::CREATED);
    let audit = site.get("/api/v1/audit").local().send().await.json();
    let actors: Vec<_> = audit["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["actor"].as_str().unwrap())
        .collect();
    assert!(actors.contains(&"anna (token deployer)"), "{actors:?}");
    assert!(
        actors.iter().any(|actor| actor.ends_with("on this host")),
        "{actors:?}"
    );
}

#[tokio::test]
async fn whoever_is_refused_for_their_role_is_in_the_audit_log_once_a_minute() {
    let site = Site::start().await;
    for _ in 0..20 {
        let ask = site
            .call(Method::POST, "/api/v1/groups/edge/publish")
            .role(Role::Viewer);
        let answer = ask.json(&json!({"layers": []})).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    site.app.audit.flush().await;
    let told = || async {
        let audit = site.get("/api/v1/audit").local().send().await.json();
        let records = audit["records"].as_array().unwrap().clone();
        let refused = records
            .into_iter()
            .filter(|record| record["action"] == "request.refused");
        refused.collect::<Vec<_>>()
    };
    let refused = told().await;
    assert_eq!(refused.len(), 2, "the first at once, then the count: {refused:?}");
    let details: Vec<_> = refused
        .iter()
        .map(|record| record["detail"].as_str().unwrap())
        .collect();
    let reason = "not a deployer: POST /api/v1/groups/{name}/publish";
    assert!(details.contains(&reason), "{details:?}");
    assert!(
        details.contains(&format!("{reason}, 19 times").as_str()),
        "{details:?}"
    );
    assert_eq!(refused[0]["actor"], "anna (token viewer)");
}

#[tokio::test]
async fn a_stale_tag_changes_nothing_and_a_tag_is_never_ignored() {
    let site = Site::start().await;
    let yaml = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    logs:\n      receivers: [nop]\n      exporters: [nop]\n";
    let new = json!({"name": "edge", "yaml": yaml});
    let made = site
        .call(Method::POST, "/api/v1/configs")
        .role(Role::Deployer)
        .json(&new)
        .send()
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let first = made.header("etag").to_owned();
    let path = "/api/v1/configs/edge";
    let describe = |tag: &str| {
        let ask = site.call(Method::PATCH, path).role(Role::Deployer);
        ask.header("if-match", tag)
            .json(&json!({"description": format!("under {tag}")}))
    };
    let described = describe(&first).send().await;
    assert_eq!(described.status, StatusCode::OK, "{}", described.text());
    assert_ne!(
        described.header("etag"),
        first,
        "what is said of it is part of it"
    );
    assert_eq!(
        describe(&first).send().await.status,
        StatusCode::PRECONDITION_FAILED
    );
    let delete = |tag: &str| {
        let ask = site.call(Method::DELETE, path).role(Role::Deployer);
        ask.header("if-match", tag)
    };
    assert_eq!(
        delete(&first).send().await.status,
        StatusCode::PRECONDITION_FAILED
    );
    let present = site.get(path).role(Role::Viewer).send().await;
    assert_eq!(present.header("etag"), described.header("etag"));
    // Where it counts for nothing it is refused.
    let ask = site
        .call(Method::POST, "/api/v1/agents/acts")
        .role(Role::Deployer);
    let ask = ask
        .header("if-match", "\"1\"")
        .json(&json!({"act": {"act": "restart"}, "ids": []}));
    let refused = ask.send().await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (StatusCode::BAD_REQUEST, "if-match")
    );
    assert_eq!(
        delete(present.header("etag")).send().await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn every_answer_carries_what_protects_it_and_says_its_request() {
    let site = Site::start().await;
    for path in ["/healthz", "/api/v1/agents", "/nothing", "/assets/app.css"] {
        let answer = site.get(path).send().await;
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 16, "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn probes_say_no_more_than_yes_or_no() {
    let site = Site::start().await;
    assert_eq!(site.get("/healthz").send().await.text(), "ok\n");
    assert_eq!(site.get("/readyz").send().await.text(), "ready\n");
    site.ready.store(false, Ordering::Release);
    let answer = site.get("/readyz").send().await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    );
    assert_eq!(site.get("/metrics").send().await.status, StatusCode::UNAUTHORIZED);
    let metrics = site.get("/metrics").role(Role::Viewer).send().await;
    assert!(metrics.text().contains("muster_http_requests_total") && metrics.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn bodies_are_refused_by_size_type_and_unknown_fields() {
    let site = Site::start().await;
    let post = || site.call(Method::POST, "/api/v1/groups").role(Role::Deployer);
    let answer = post().json(&json!({"name": "a", "selctors": ["*"]})).send().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::BAD_REQUEST, "unknown-field")
    );
    assert_eq!(answer.json()["errors"][0]["field"], "selctors");
    let answer = site
        .get("/api/v1/agents?fitler=x")
        .role(Role::Viewer)
        .send()
        .await;
    assert_eq!(answer.problem(), "unknown-field");
    let answer = post().bare_form(&[("name", "a")]).send().await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = post()
        .json(&json!({"name": "a", "description": "x".repeat(70_000)}))
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = post()
        .header("content-type", "application/json")
        .json(&json!("text"))
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let groups = site.get("/api/v1/groups").role(Role::Viewer).send().await.json();
    assert_eq!(groups["groups"], json!([]));
}
