//! The rows of the API, each used for what it is there for. Every answer is held to its schema on the way.

use http::{Method, StatusCode};
use muster::app::enrolment::Enrol;
use muster::auth::permission::Role;
use serde_json::{Value, json};

use super::site::{Answer, Site};

const YAML: &str = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    logs:\n      receivers: [nop]\n      exporters: [nop]\n";

impl Site {
    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).local().json(body).send().await
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).local().send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    /// An agent that has enrolled and not spoken yet.
    async fn enrolled(&self, host: &str) -> String {
        let made = self
            .post(
                "/api/v1/enrolment-tokens",
                &json!({"uses": 5, "labels": {"region": "eu"}}),
            )
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let secret = made.json()["secret"].as_str().unwrap().to_owned();
        let wish = Enrol {
            host: host.to_owned(),
            running_config: Some(YAML.to_owned()),
            ..Enrol::default()
        };
        let enrolled = self.app.enrol(&secret, wish, None).await.unwrap();
        enrolled.agent_id.unwrap().to_string()
    }
}

#[tokio::test]
async fn agents_are_listed_shown_and_acted_on() {
    let site = Site::start().await;
    let (one, two) = (site.enrolled("web-1").await, site.enrolled("web-2").await);
    let page = site.read("/api/v1/agents?sort=name&limit=1").await;
    assert_eq!(
        (page["agents"][0]["name"].as_str(), page["matching"].as_u64()),
        (Some("web-1"), Some(2))
    );
    let next = page["next"].as_str().unwrap();
    let page = site
        .read(&format!("/api/v1/agents?sort=name&limit=1&after={next}"))
        .await;
    assert_eq!(
        (page["agents"][0]["name"].as_str(), &page["next"]),
        (Some("web-2"), &Value::Null)
    );
    let refused = site
        .get("/api/v1/agents?filter=status%20%3D%20")
        .local()
        .send()
        .await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
    );

    let acts = format!("/api/v1/agents/{one}/acts");
    let named = site
        .post(&acts, &json!({"act": "rename", "name": "front"}))
        .await
        .json();
    assert_eq!(named["name"], "front");
    let detail = site.read(&format!("/api/v1/agents/{one}")).await;
    assert_eq!(
        (&detail["name"], &detail["labels"]["region"]),
        (&json!("front"), &json!("eu"))
    );
    let timeline = site.read(&format!("/api/v1/agents/{one}/timeline?limit=5")).await;
    assert!(!timeline["entries"].as_array().unwrap().is_empty());
    for silent in ["effective-config", "components"] {
        let answer = site
            .get(&format!("/api/v1/agents/{one}/{silent}"))
            .local()
            .send()
            .await;
        assert_eq!(answer.problem(), "not-found", "{silent}: it hasn't spoken");
    }
    let refused = site.post(&acts, &json!({"act": "restart"})).await;
    assert_eq!(refused.problem(), "conflict", "{}", refused.text());
    let refused = site
        .call(Method::POST, &acts)
        .role(Role::Operator)
        .json(&json!({"act": "revoke"}))
        .send()
        .await;
    assert_eq!(
        refused.problem(),
        "forbidden",
        "an operator acts, but doesn't revoke"
    );
    assert_eq!(
        site.post(&acts, &json!({"act": "explode"})).await.status,
        StatusCode::BAD_REQUEST
    );

    let hold = json!({"act": "hold"});
    let both = site
        .post("/api/v1/agents/acts", &json!({"act": hold, "ids": [one, two]}))
        .await
        .json();
    assert_eq!(both["done"].as_array().unwrap().len(), 2);
    let stale = json!({"act": hold, "filter": "label.region = eu", "count": 1});
    assert_eq!(
        site.post("/api/v1/agents/acts", &stale).await.problem(),
        "conflict"
    );
    let counted = json!({"act": {"act": "release"}, "filter": "label.region = eu", "count": 2});
    assert_eq!(
        site.post("/api/v1/agents/acts", &counted).await.json()["done"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        site.post("/api/v1/agents/acts", &json!({"act": hold}))
            .await
            .problem(),
        "invalid"
    );

    let adopted = site
        .post(&format!("/api/v1/agents/{two}/adopt"), &json!({"name": "kept"}))
        .await;
    assert_eq!(adopted.problem(), "conflict", "it reports no configuration");
    let publish = json!({"config": "web-1", "revision": 1});
    let own = site
        .post(&format!("/api/v1/agents/{two}/publish"), &publish)
        .await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.text());
    let overview = site.read("/api/v1/overview").await;
    assert_eq!(overview["configs"], 2);
}

#[tokio::test]
async fn a_group_is_made_edited_by_its_revision_published_to_and_deleted() {
    let site = Site::start().await;
    site.enrolled("web-1").await;
    let new = json!({"name": "edge", "selectors": ["label.region = eu"]});
    let made = site.post("/api/v1/groups", &new).await;
    assert_eq!(
        (made.status, made.header("location")),
        (StatusCode::CREATED, "/api/v1/groups/edge")
    );
    assert_eq!(site.post("/api/v1/groups", &new).await.problem(), "conflict");
    let patch = |tag: &str, body: Value| {
        let ask = site
            .call(Method::PATCH, "/api/v1/groups/edge")
            .local()
            .json(&body);
        if tag.is_empty() {
            ask
        } else {
            ask.header("if-match", tag)
        }
    };
    let first = made.header("etag").to_owned();
    let edited = patch(&first, json!({"description": "at the edge"})).send().await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.text());
    let second = edited.header("etag").to_owned();
    assert_ne!(first, second);
    for stale in [first.as_str(), "\"x\"", "W/\"1\""] {
        let refused = patch(stale, json!({"description": "lost"})).send().await;
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (StatusCode::PRECONDITION_FAILED, "stale"),
            "{stale}"
        );
    }
    let wrong = patch("", json!({"selectors": ["", "a ="]})).send().await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["errors"][0]["field"], "selectors[0]");
    let known = site
        .get("/api/v1/groups/edge")
        .local()
        .header("if-none-match", &second)
        .send()
        .await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));

    let saved = site
        .post("/api/v1/configs", &json!({"name": "base", "yaml": YAML}))
        .await;
    assert_eq!(saved.status, StatusCode::CREATED, "{}", saved.text());
    let impact = site.read("/api/v1/groups/edge/impact?layers=base@1").await;
    let confirm = impact["impact"]["confirmation"]["count"].clone();
    let publish = |tag: &str| {
        let body = json!({"layers": [{"config": "base", "revision": 1}], "confirm": confirm});
        site.call(Method::POST, "/api/v1/groups/edge/publish")
            .local()
            .json(&body)
            .header("if-match", tag)
    };
    assert_eq!(publish(&first).send().await.problem(), "stale");
    let published = publish(&second).send().await;
    assert_eq!(published.status, StatusCode::OK, "{}", published.text());
    let list = site.read("/api/v1/groups").await;
    assert_eq!(
        list["groups"][0]["published"]["content"]["layers"][0]["config"],
        "base"
    );
    let refused = site
        .call(Method::DELETE, "/api/v1/configs/base")
        .local()
        .send()
        .await;
    assert_eq!(refused.problem(), "conflict", "a group uses it");
    let withdrawn = site
        .post("/api/v1/groups/edge/withdraw", &json!({"message": "wrong"}))
        .await;
    assert_eq!(withdrawn.status, StatusCode::OK, "{}", withdrawn.text());
    let deleted = site
        .call(Method::DELETE, "/api/v1/groups/edge?with_members=true")
        .local()
        .send()
        .await;
    assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.text());
    assert_eq!(
        site.get("/api/v1/groups/edge").local().send().await.problem(),
        "not-found"
    );
}

#[tokio::test]
async fn configs_keep_revisions_that_can_be_read_compared_and_checked() {
    let site = Site::start().await;
    site.post(
        "/api/v1/configs",
        &json!({"name": "base", "yaml": YAML, "message": "first"}),
    )
    .await;
    let other = format!("# changed\n{YAML}");
    let revise = |base: u64| json!({"base": base, "yaml": other, "message": "second"});
    let saved = site.post("/api/v1/configs/base/revisions", &revise(1)).await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (StatusCode::CREATED, "/api/v1/configs/base/revisions/2")
    );
    let again = site.post("/api/v1/configs/base/revisions", &revise(2)).await;
    assert_eq!(
        (again.status, again.json()["created"].as_bool()),
        (StatusCode::OK, Some(false))
    );
    assert_eq!(
        site.post("/api/v1/configs/base/revisions", &revise(1))
            .await
            .problem(),
        "stale"
    );
    let config = site.read("/api/v1/configs/base").await;
    assert_eq!(config["revisions"].as_array().unwrap().len(), 2);
    assert_eq!(
        site.read("/api/v1/configs/base/revisions/1").await["content"]["yaml"],
        YAML
    );
    let diff = site.read("/api/v1/configs/base/diff?from=1&to=2").await;
    assert_eq!(diff["files"].as_array().unwrap().len(), 1);
    let broken = json!({"yaml": "receivers: ["});
    let found = site.post("/api/v1/config-check", &broken).await.json();
    assert!(found["problems"][0]["line"].is_u64(), "{found}");
    let part = json!({"yaml": "exporters: {debug: }"});
    for (path, severity) in [
        ("/api/v1/config-check", "incomplete"),
        ("/api/v1/config-check?as=layer", "incomplete"),
        ("/api/v1/config-check?as=whole", "error"),
    ] {
        let found = site.post(path, &part).await.json();
        assert_eq!(found["problems"][0]["severity"], severity, "{path}");
    }
    let refused = site
        .post(
            "/api/v1/configs",
            &json!({"name": "broken", "yaml": "receivers: ["}),
        )
        .await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid-config")
    );
    assert_eq!(
        site.read("/api/v1/configs").await["configs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let deleted = site
        .call(Method::DELETE, "/api/v1/configs/base")
        .local()
        .send()
        .await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_repeated_key_makes_nothing_twice_and_gives_the_same_answer() {
    let site = Site::start().await;
    let make = |note: &str, key: &str| {
        let ask = site
            .call(Method::POST, "/api/v1/enrolment-tokens")
            .role(Role::Deployer);
        ask.json(&json!({ "note": note })).header("idempotency-key", key)
    };
    let all = futures_util::future::join_all((0..8).map(|_| make("a", "k1").send())).await;
    let bodies: std::collections::BTreeSet<_> = all
        .iter()
        .map(|answer| (answer.status.as_u16(), answer.body.clone()))
        .collect();
    assert_eq!(bodies.len(), 1, "all got the same answer");
    assert_eq!(
        all.iter()
            .filter(|answer| answer.header("idempotent-replayed").is_empty())
            .count(),
        1
    );
    assert_eq!(make("other", "k1").send().await.problem(), "idempotency-key");
    assert_eq!(make("a", "k2").send().await.status, StatusCode::CREATED);
    let tokens = site.read("/api/v1/enrolment-tokens").await;
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 2);
    let failed = site
        .call(Method::POST, "/api/v1/enrolment-tokens")
        .local()
        .header("idempotency-key", "k3");
    assert_eq!(failed.json(&json!({"uses": 0})).send().await.problem(), "invalid");
    let mended = site
        .call(Method::POST, "/api/v1/enrolment-tokens")
        .local()
        .header("idempotency-key", "k4");
    assert_eq!(
        mended.json(&json!({"uses": 1})).send().await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn enrolment_tokens_are_withdrawn_and_credentials_revoked() {
    let site = Site::start().await;
    let agent = site.enrolled("web-1").await;
    let tokens = site.read("/api/v1/enrolment-tokens").await;
    let token = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
    let withdrawn = site
        .call(Method::DELETE, &format!("/api/v1/enrolment-tokens/{token}"))
        .local()
        .send()
        .await;
    assert_eq!(withdrawn.status, StatusCode::NO_CONTENT);
    let credentials = site.read("/api/v1/credentials").await;
    let id = credentials["credentials"][0]["id"].as_str().unwrap().to_owned();
    let released = site
        .post(&format!("/api/v1/credentials/{id}/release"), &json!({}))
        .await;
    assert_eq!(released.problem(), "conflict", "it isn't quarantined");
    let revoked = site
        .post(&format!("/api/v1/credentials/{id}/revoke"), &Value::Null)
        .await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.text());
    let detail = site.read(&format!("/api/v1/agents/{agent}")).await;
    assert!(
        detail["registration"]["standing"].to_string().contains("revoked"),
        "{detail}"
    );
    let gone = site
        .call(Method::DELETE, "/api/v1/enrolment-tokens/nothing")
        .local()
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn people_manage_their_own_account_with_their_session() {
    let site = Site::start().await;
    let me = site.get("/api/v1/account").browser().send().await.json();
    assert_eq!((&me["name"], &me["role"]), (&json!("anna"), &json!("admin")));
    let secret = muster::auth::form_token::form_token(&site.session);
    let session =
        |method: Method, path: &str| site.call(method, path).browser().header("x-form-token", &secret);
    let made = session(Method::POST, "/api/v1/account/tokens")
        .json(&json!({"name": "ci", "role": "viewer", "days": 7}))
        .send()
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let token = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        site.get("/api/v1/agents").bearer(&token).send().await.status,
        StatusCode::OK
    );
    let other = site
        .call(Method::POST, "/api/v1/account/tokens")
        .role(Role::Admin);
    let refused = other
        .json(&json!({"name": "more", "role": "viewer", "days": 7}))
        .send()
        .await;
    assert_eq!(refused.problem(), "not-allowed", "a token makes no tokens");
    let tokens = session(Method::GET, "/api/v1/account/tokens").send().await.json();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 5);
    let revoked = session(Method::DELETE, "/api/v1/account/tokens/ci").send().await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(
        site.get("/api/v1/agents").bearer(&token).send().await.status,
        StatusCode::UNAUTHORIZED
    );

    let change =
        |present: &str| json!({"present_password": present, "new_password": "five quite other small words"});
    let wrong = session(Method::POST, "/api/v1/account/password")
        .json(&change("guess"))
        .send()
        .await;
    assert_eq!(wrong.json()["errors"][0]["field"], "present_password");
    let changed = session(Method::POST, "/api/v1/account/password")
        .json(&change(crate::people::PASSWORD))
        .send()
        .await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.text());
    let reset = json!({"new_password": "six really very other small words"});
    assert_eq!(
        site.post("/api/v1/accounts/anna/password", &reset).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        site.read("/api/v1/accounts").await["accounts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let site = Site::start().await;
    let password = muster::auth::password::Password::new(crate::people::PASSWORD);
    site.app
        .accounts
        .login("anna", &password, &crate::people::visitor(2), None)
        .await
        .unwrap();
    let secret = muster::auth::form_token::form_token(&site.session);
    let session =
        |method: Method, path: &str| site.call(method, path).browser().header("x-form-token", &secret);
    let list = session(Method::GET, "/api/v1/account/sessions")
        .send()
        .await
        .json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 2);
    let ended = session(Method::DELETE, "/api/v1/account/sessions")
        .send()
        .await
        .json();
    assert_eq!(ended["ended"], 1);
    let list = session(Method::GET, "/api/v1/account/sessions")
        .send()
        .await
        .json();
    let own = list["sessions"][0]["id"].as_str().unwrap().to_owned();
    let ended = session(Method::DELETE, &format!("/api/v1/account/sessions/{own}"))
        .send()
        .await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(
        site.get("/api/v1/account").browser().send().await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_server_tells_of_itself_and_its_log_holds() {
    let site = Site::start().await;
    let system = site.read("/api/v1/system").await;
    assert_eq!(
        (&system["name"], &system["agent_port"]),
        (&json!("Test site"), &json!(4320))
    );
    let page = site.read("/api/v1/audit?limit=2").await;
    let next = page["next"].as_u64().unwrap();
    let older = site.read(&format!("/api/v1/audit?limit=500&before={next}")).await;
    assert_eq!(older["records"][0]["number"], next - 1);
    assert_eq!(older["next"], Value::Null);
    assert_eq!(site.read("/api/v1/audit/verify").await["verdict"], "intact");
    assert_eq!(
        site.post("/api/v1/system/release", &Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let setup = site.post("/api/v1/setup-token", &Value::Null).await;
    assert_eq!(setup.problem(), "conflict", "somebody has claimed it");
}
