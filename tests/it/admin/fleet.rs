//! The pages about the fleet, used as a browser uses them.

use http::{Method, StatusCode};
use muster::app::enrolment::Enrol;
use muster::auth::form_token::form_token;
use muster::auth::permission::Role;

use super::site::{Answer, NAME, Site};

const YAML: &str = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    logs:\n      receivers: [nop]\n      exporters: [nop]\n";

impl Site {
    pub(super) async fn look(&self, path: &str) -> Answer {
        self.get(path).browser().send().await
    }

    /// A page that is there, as text.
    pub(super) async fn page(&self, path: &str) -> String {
        let answer = self.look(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.text().to_owned()
    }

    /// Posts a form as a page of ours does.
    pub(super) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = form_token(&self.session);
        let mut all = vec![("form_token", token.as_str())];
        all.extend(fields);
        let ask = self.call(Method::POST, path).browser();
        let ask = ask.header("origin", &format!("https://{NAME}"));
        ask.bare_form(&all).send().await
    }

    /// Posts a form that is done, and gives where it leads.
    pub(super) async fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.submit(path, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", answer.text());
        answer.header("location").to_owned()
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before).nth(1).unwrap().split(after).next().unwrap()
}

/// Makes a line to paste and enrols a host with it. The agent, and the page that waits for it.
pub(super) async fn join(site: &Site, host: &str) -> (String, String) {
    let fields = [
        ("way", "linux"),
        ("uses", "1"),
        ("valid_seconds", "3600"),
        ("labels", "region = eu"),
    ];
    let made = site.submit("/agents/add", &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let text = made.text();
    let secret = between(text, "&amp;&amp; echo mst_", " |");
    let waiting = between(text, "hx-get=\"/agents/add/", "?").to_owned();
    let wish = Enrol {
        host: host.to_owned(),
        running_config: Some(YAML.to_owned()),
        ..Enrol::default()
    };
    let enrolled = site
        .app
        .enrol(&format!("mst_{secret}"), wish, None)
        .await
        .unwrap();
    (
        enrolled.agent_id.unwrap().to_string(),
        format!("/agents/add/{waiting}"),
    )
}

#[tokio::test]
async fn the_first_hour_leads_from_an_empty_page_to_an_agent_that_appears() {
    let site = Site::start().await;
    for path in ["/", "/agents"] {
        let page = site.page(path).await;
        assert!(
            page.contains("No agents yet") && page.contains("href=\"/agents/add\""),
            "{path}"
        );
    }
    assert!(
        site.page("/agents/add?way=client")
            .await
            .contains("value=\"client\" checked")
    );
    let wrong = site
        .submit(
            "/agents/add",
            &[("uses", "many"), ("note", "kept"), ("valid_seconds", "60")],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.text().contains("value=\"kept\"") && wrong.text().contains("uses-error"),
        "{}",
        wrong.text()
    );

    let (id, waiting) = join(&site, "web-1").await;
    let page = site.page(&waiting).await;
    assert!(
        page.contains("web-1") && page.contains("used 1 of 1 time"),
        "{page}"
    );
    assert!(!page.contains("mst_enrol"), "the secret is shown once");
    assert!(site.page("/agents").await.contains(&format!("/agents/{id}\"")));
    assert!(site.page("/").await.contains("web-1"));
}

#[tokio::test]
async fn every_tab_of_an_agent_has_a_page_and_its_forms_do_what_they_say() {
    let site = Site::start().await;
    let (id, _) = join(&site, "web-1").await;
    let agent = format!("/agents/{id}");
    for tab in [
        "",
        "/configuration",
        "/configuration?view=wanted",
        "/configuration?view=runs",
        "/health",
        "/components",
        "/timeline",
        "/identity",
        "/edit",
        "/group",
        "/act/revoke",
    ] {
        let page = site.page(&format!("{agent}{tab}")).await;
        assert!(page.contains("web-1") && !page.contains("1970"), "{tab}");
    }
    assert!(
        site.page(&format!("{agent}/configuration?view=wanted"))
            .await
            .contains("exporters")
    );
    assert_eq!(
        site.look("/agents/00000000000000000000000000000009").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(site.look("/agents/web-1").await.status, StatusCode::NOT_FOUND);

    let edited = [("name", "front"), ("labels", "region = us\r\ntier = edge")];
    assert_eq!(site.done(&format!("{agent}/edit"), &edited).await, agent);
    let page = site.page(&agent).await;
    assert!(
        page.contains("front") && page.contains("tier") && !page.contains("region = eu"),
        "{page}"
    );
    let wrong = site
        .submit(
            &format!("{agent}/edit"),
            &[("name", "x"), ("labels", "region us")],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("labels-error") && wrong.text().contains("region us"));
    let wrong = site
        .submit(&format!("{agent}/group"), &[("group", "nowhere")])
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);

    assert_eq!(site.done(&format!("{agent}/act/hold"), &[]).await, agent);
    assert!(site.page(&agent).await.contains("Release this agent"));
    site.done(&format!("{agent}/act/release"), &[]).await;
    let refused = site.submit(&format!("{agent}/act/restart"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "it doesn't take a restart");
    let unconfirmed = site
        .submit(&format!("{agent}/act/revoke"), &[("confirm", "yes")])
        .await;
    assert_eq!(unconfirmed.status, StatusCode::UNPROCESSABLE_ENTITY);
    site.done(&format!("{agent}/act/revoke"), &[("confirm", "revoke")])
        .await;
    assert!(site.page(&agent).await.contains("Its credential was revoked"));
}

#[tokio::test]
async fn a_configuration_of_its_own_is_shown_before_it_is_published_to_one_agent() {
    let site = Site::start().await;
    let (id, _) = join(&site, "web-1").await;
    let (path, publish) = (format!("/agents/{id}"), format!("/agents/{id}/publish"));
    assert!(site.page(&path).await.contains(&publish), "the page leads there");
    let content = YAML.replace("logs", "traces");
    let made = site
        .submit(
            "/configs/-/new",
            &[("name", "special"), ("kind", "collector"), ("content", &content)],
        )
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    assert!(site.page(&publish).await.contains("<option value=\"special\">"));
    let asked = site.page(&format!("{publish}?config=special")).await;
    for part in [
        "traces",
        "Publish revision 1 of special to web-1",
        "name=\"revision\" value=\"1\"",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let nowhere = site.look(&format!("{publish}?config=special&revision=7")).await;
    assert_eq!(nowhere.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nowhere.text().contains("its newest is 1"), "{}", nowhere.text());

    let fields = [
        ("config", "special"),
        ("revision", "1"),
        ("reason", "a <try>"),
        ("ends", "soon"),
    ];
    let wrong = site.submit(&publish, &fields).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("a &lt;try&gt;"), "what was typed stays");
    let fields = [
        ("config", "special"),
        ("revision", "1"),
        ("reason", "a <try>"),
        ("ends", "4h"),
    ];
    assert_eq!(site.done(&publish, &fields).await, path);
    let page = site.page(&path).await;
    assert!(
        page.contains("It has a configuration of its own") && page.contains("a &lt;try&gt;"),
        "{page}"
    );
    assert!(
        site.page(&format!("{path}/configuration?view=wanted"))
            .await
            .contains("traces")
    );
}

#[tokio::test]
async fn saving_name_and_labels_leaves_what_others_changed_meanwhile() {
    let site = Site::start().await;
    let (id, _) = join(&site, "web-1").await;
    let (path, edit) = (format!("/agents/{id}"), format!("/agents/{id}/edit"));
    let opened = site.page(&edit).await;
    assert!(
        opened.contains("name=\"opened_labels\" value=\"region = eu\""),
        "{opened}"
    );
    // Somebody else sets a label and a name.
    site.done(&edit, &[("name", ""), ("labels", "region = eu\r\ntier = edge")])
        .await;
    let mine = |name: &'static str, labels: &'static str| {
        [
            ("opened", "1"),
            ("opened_name", ""),
            ("opened_labels", "region = eu"),
            ("name", name),
            ("labels", labels),
        ]
    };
    site.done(&edit, &mine("front", "region = eu")).await;
    let page = site.page(&path).await;
    assert!(page.contains("front") && page.contains("tier"), "{page}");

    // The same on both sides is asked about, and nothing that was typed is lost.
    let clash = site
        .submit(&edit, &mine("back", "region = eu\r\ntier = core\r\nx = y"))
        .await;
    assert_eq!(clash.status, StatusCode::CONFLICT);
    let text = clash.text().replace('\r', "");
    for part in [
        "tier = core\nx = y",
        "value=\"back\"",
        "tier is &quot;edge&quot;",
        "its name is &quot;front&quot;",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!site.page(&path).await.contains("core"), "nothing was saved");
    let again = [
        ("opened", "1"),
        ("opened_name", "front"),
        ("opened_labels", "region = eu\ntier = edge"),
        ("name", "back"),
        ("labels", "region = eu\r\ntier = core\r\nx = y"),
    ];
    site.done(&edit, &again).await;
    let page = site.page(&path).await;
    assert!(page.contains("back") && page.contains("core"), "{page}");
}

#[tokio::test]
async fn the_list_is_narrowed_by_its_url_and_says_what_is_wrong_with_a_filter() {
    let site = Site::start().await;
    join(&site, "web-1").await;
    join(&site, "db-1").await;
    let page = site.page("/agents?q=web&sort=name").await;
    assert!(page.contains(">web-1</a>") && !page.contains(">db-1</a>"));
    assert!(
        page.contains("1 agent") && page.contains("name=\"sort\" value=\"name\""),
        "{page}"
    );
    assert!(
        site.page("/agents?q=nothing-like-it")
            .await
            .contains("No agent matches")
    );
    let wrong = site.look("/agents?q=status%20%3D%20").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("id=\"filter-error\"") && wrong.text().contains("value=\"status =\""));
    let never = site.look("/agents?q=status%20%3D%20purple").await;
    assert_eq!(never.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = never.text();
    assert!(
        text.contains("id=\"filter-error\"") && text.contains("down, degraded, unknown"),
        "{text}"
    );
    let stale = site.look("/agents?q=web&after=x").await;
    assert_eq!(
        (stale.status, stale.header("location")),
        (StatusCode::SEE_OTHER, "/agents?q=web")
    );
    // Every number on the overview leads to as many agents.
    let overview = site.page("/").await;
    for href in overview.split("href=\"/agents?q=").skip(1) {
        let filter = href.split('"').next().unwrap();
        let page = site.page(&format!("/agents?q={filter}")).await;
        assert!(!page.contains("No agent matches"), "{filter}");
    }
}

#[tokio::test]
async fn acts_on_many_ask_first_and_count_those_that_match() {
    let site = Site::start().await;
    let (one, _) = join(&site, "web-1").await;
    let (two, _) = join(&site, "web-2").await;
    let asked = site
        .submit(
            "/agents/bulk/hold",
            &[("pick", &one), ("pick", &two), ("query", "web")],
        )
        .await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(
        asked.text().contains("Hold 2 agents") && asked.text().contains("web-2"),
        "{}",
        asked.text()
    );
    assert!(
        !site.page("/agents").await.contains(">held<"),
        "nothing is done yet"
    );

    let matching = [("matching", "1"), ("query", "web")];
    let asked = site.submit("/agents/bulk/hold", &matching).await;
    let expected = between(asked.text(), "name=\"expected\" value=\"", "\"").to_owned();
    let all = [("matching", "1"), ("query", "web"), ("go", "1")];
    // As many, and not the same.
    let others = between(
        site.submit("/agents/bulk/hold", &[("matching", "1"), ("query", "web-1")])
            .await
            .text(),
        "name=\"expected\" value=\"",
        "\"",
    )
    .to_owned();
    let changed = site
        .submit(
            "/agents/bulk/hold",
            &[all.as_slice(), &[("expected", others.as_str())]].concat(),
        )
        .await;
    assert_eq!(
        changed.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "the fleet changed meanwhile"
    );
    let done = site
        .done(
            "/agents/bulk/hold",
            &[all.as_slice(), &[("expected", expected.as_str())]].concat(),
        )
        .await;
    assert_eq!(done, "/agents?q=web");
    assert_eq!(site.page("/agents").await.matches(">held<").count(), 2);

    let refused = site
        .submit("/agents/bulk/restart", &[("pick", &one), ("go", "1")])
        .await;
    assert!(refused.text().contains("Not done"), "{}", refused.text());
    let untyped = [("pick", one.as_str()), ("go", "1"), ("confirm", "revoke")];
    assert_eq!(
        site.submit("/agents/bulk/revoke", &untyped).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    site.done(
        "/agents/bulk/revoke",
        &[("pick", &one), ("go", "1"), ("confirm", "revoke 1 agent")],
    )
    .await;
    assert!(site.page(&format!("/agents/{one}")).await.contains("revoked"));
    assert_eq!(
        site.done("/agents/bulk/hold", &[("query", "")]).await,
        "/agents",
        "nobody was picked"
    );
    assert_eq!(
        site.submit("/agents/bulk/explode", &[]).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_api_serves_nothing_of_the_secrets_of_credentials_and_tokens() {
    let site = Site::start().await;
    join(&site, "web-1").await;
    let made = site
        .call(Method::POST, "/api/v1/enrolment-tokens")
        .role(Role::Deployer);
    let made = made.json(&serde_json::json!({})).send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let nothing = "0".repeat(64);
    assert_eq!(made.json()["token"]["secret_digest"], nothing.as_str());
    let tokens = site
        .get("/api/v1/enrolment-tokens")
        .role(Role::Deployer)
        .send()
        .await
        .json();
    for token in tokens["tokens"].as_array().unwrap() {
        assert_eq!(token["secret_digest"], nothing.as_str());
    }
    let credentials = site
        .get("/api/v1/credentials")
        .role(Role::Deployer)
        .send()
        .await
        .json();
    for credential in credentials["credentials"].as_array().unwrap() {
        for field in ["secret_digest", "salt"] {
            assert!(
                credential.get(field).is_none_or(serde_json::Value::is_null),
                "{credential}"
            );
        }
    }
}

#[tokio::test]
async fn archived_agents_are_found_by_a_link_and_brought_back_together() {
    let site = Site::start().await;
    let (one, _) = join(&site, "web-1").await;
    let (two, _) = join(&site, "web-2").await;
    let archived = "/agents?q=standing%20%3D%20archived";
    assert!(!site.page("/agents").await.contains(archived), "there are none");
    // Also an agent whose credential was revoked, on its page.
    site.done(&format!("/agents/{one}/act/revoke"), &[("confirm", "revoke")])
        .await;
    assert!(
        site.page(&format!("/agents/{one}"))
            .await
            .contains("Archive this agent")
    );
    for id in [&one, &two] {
        site.done(&format!("/agents/{id}/act/archive"), &[]).await;
    }
    let page = site.page("/agents").await;
    assert!(
        page.contains(archived) && page.contains("All of them are archived"),
        "{page}"
    );
    let page = site.page(archived).await;
    assert!(
        page.contains(">web-1</a>") && page.contains("/agents/bulk/restore"),
        "{page}"
    );
    let matching = [("matching", "1"), ("query", "standing = archived")];
    let asked = site.submit("/agents/bulk/restore", &matching).await;
    assert!(asked.text().contains("Bring back 2 agents"), "{}", asked.text());
    let expected = between(asked.text(), "name=\"expected\" value=\"", "\"").to_owned();
    let go = [matching.as_slice(), &[("go", "1"), ("expected", &expected)]].concat();
    site.done("/agents/bulk/restore", &go).await;
    let page = site.page("/agents").await;
    assert!(page.contains(">web-1</a>") && page.contains(">web-2</a>") && !page.contains(archived));
    assert!(
        site.page(&format!("/agents/{one}"))
            .await
            .contains("Its credential was revoked")
    );
}

#[tokio::test]
async fn labels_that_nobody_can_have_are_told_at_their_field_before_anything_is_done() {
    let site = Site::start().await;
    let (one, _) = join(&site, "web-1").await;
    let fields = [
        ("pick", one.as_str()),
        ("go", "1"),
        ("set", "re gion = eu"),
        ("remove", "old"),
    ];
    let wrong = site.submit("/agents/bulk/label", &fields).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = wrong.text();
    assert!(
        text.contains("set-error") && text.contains("re gion = eu") && text.contains("value=\"old\""),
        "{text}"
    );
}

#[tokio::test]
async fn help_is_for_whoever_is_signed_in() {
    let site = Site::start().await;
    let list = site.page("/help").await;
    assert!(list.contains("href=\"/help/command-line\""));
    let page = site.page("/help/command-line/tokens").await;
    assert!(page.contains("<code>muster tokens revoke</code>"));
    for nothing in ["/help/nothing", "/help/command-line/nothing"] {
        assert_eq!(site.look(nothing).await.status, StatusCode::NOT_FOUND);
    }
    assert!(
        site.page("/agents").await.contains("href=\"/help\""),
        "the rail leads there"
    );
}
