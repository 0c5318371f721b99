//! The page that publishes, used as a browser without script uses it.

use http::StatusCode;
use muster::auth::permission::Role;
use muster::fleet::rollout::{Ended, OnFailure, State, Strategy};
use serde_json::{Value, json};

use super::fleet::join;
use super::site::{Answer, Site};

fn collector(endpoint: &str) -> String {
    format!(
        "receivers:\n  nop:\nexporters:\n  otlp:\n    endpoint: {endpoint}\nservice:\n  pipelines:\n    logs:\n      \
         receivers: [nop]\n      exporters: [otlp]\n"
    )
}

impl Site {
    async fn save(&self, config: &str, yaml: &str) {
        let path = format!("/api/v1/configs/{config}");
        let known = self.get(&path).role(Role::Admin).send().await;
        let (path, body) = if known.status == StatusCode::OK {
            let base = known.json()["latest"].clone();
            (format!("{path}/revisions"), json!({"base": base, "yaml": yaml}))
        } else {
            (
                "/api/v1/configs".to_owned(),
                json!({"name": config, "yaml": yaml}),
            )
        };
        let saved = self
            .call(http::Method::POST, &path)
            .json(&body)
            .role(Role::Admin)
            .send()
            .await;
        assert!(saved.status.is_success(), "{}", saved.text());
    }

    async fn read_group(&self) -> Value {
        self.get("/api/v1/groups/edge")
            .role(Role::Admin)
            .send()
            .await
            .json()
    }

    async fn strategy_of(&self, rollout: &str) -> Strategy {
        let path = format!("/api/v1{rollout}");
        let found = self.get(&path).role(Role::Admin).send().await.json();
        serde_json::from_value(found["strategy"].clone()).unwrap()
    }
}

/// A group `edge` of two agents, with the layers `base` and `more`, of which there are three and two revisions.
async fn edge() -> Site {
    let site = Site::start().await;
    for endpoint in ["one:4317", "two:4317", "three:4317"] {
        site.save("base", &collector(endpoint)).await;
    }
    for limit in ["1", "2"] {
        site.save(
            "more",
            &format!(
                "receivers:\n  nop:\nexporters:\n  otlp/more:\n    endpoint: more-{limit}:4317\nservice:\n  pipelines:\n    \
                 logs:\n      receivers: !append [nop]\n      exporters: !append [otlp/more]\n"
            ),
        )
        .await;
    }
    site.done(
        "/groups/-/new",
        &[
            ("name", "edge"),
            ("selectors", "label.region = eu"),
            ("priority", "1"),
            ("layers", "base\nmore"),
        ],
    )
    .await;
    join(&site, "web-1").await;
    join(&site, "web-2").await;
    site
}

/// What the form posts as it comes, with these layers looked at and chosen.
fn posted<'a>(shown: &'a str, base: &'a str, more: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("group", "edge"),
        ("layers", shown),
        ("layer", "base"),
        ("revision", base),
        ("layer", "more"),
        ("revision", more),
        ("other", ""),
        ("confirm", "2"),
    ]
}

fn with<'a>(mut fields: Vec<(&'a str, &'a str)>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    fields.extend(more);
    fields
}

/// The option that a select of revisions has chosen, by the place of its layer.
fn chosen(page: &str, at: usize) -> String {
    let select = page.split(&format!("id=\"revision-{at}\"")).nth(1).unwrap();
    let select = select.split("</select>").next().unwrap();
    let option = select
        .split("<option")
        .find(|option| option.contains(" selected"))
        .unwrap();
    let text = option.split('>').nth(1).unwrap();
    text.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_newest_revisions_are_offered_and_what_is_in_force_is_marked() {
    let site = edge().await;
    let page = site.page("/publish?group=edge").await;
    assert_eq!(
        (chosen(&page, 0), chosen(&page, 1)),
        ("3, newest".into(), "2, newest".into())
    );
    assert!(page.contains("not published yet"), "{page}");
    let fields = with(posted("base@2 + more@2", "2", "2"), &[("how", "at_once")]);
    site.done("/publish", &fields).await;
    let page = site.page("/publish?group=edge").await;
    assert_eq!(chosen(&page, 0), "3, newest");
    assert!(page.contains(">2, in force<"), "{page}");
    assert_eq!(chosen(&page, 1), "2, newest, in force");
}

#[tokio::test]
async fn all_that_a_publication_can_say_is_said_on_the_page() {
    let site = edge().await;
    let fields = with(
        posted("base@2 + more@1", "2", "1"),
        &[
            ("message", "with care"),
            ("how", "stages"),
            ("size", "label.ring = canary"),
            ("soak", "2m"),
            ("deadline", "1h"),
            ("size", "50%"),
            ("soak", ""),
            ("deadline", ""),
            ("size", ""),
            ("soak", ""),
            ("deadline", ""),
            ("size", "all"),
            ("soak", "90s"),
            ("deadline", "20m"),
            ("at_risk", "1+10%"),
            ("tolerate", "1"),
            ("on_failure", "pause"),
            ("silence", "5m"),
            ("grace", "45s"),
        ],
    );
    let first = site.done("/publish", &fields).await;
    let mut expected: Strategy = "label.ring = canary for 2m; 50%; all for 90s".parse().unwrap();
    (
        expected.stages[0].deadline_seconds,
        expected.stages[2].deadline_seconds,
    ) = (3600, 1200);
    (expected.at_risk, expected.tolerated_failures) = ("1+10%".parse().unwrap(), "1".parse().unwrap());
    (expected.silence_seconds, expected.grace_seconds) = (300, 45);
    expected.on_failure = OnFailure::Pause;
    assert_eq!(site.strategy_of(&first).await, expected);

    // It isn't over: the next is refused at the field that says what to do, waits, or takes its place.
    let next = with(
        posted("base@3 + more@1", "3", "1"),
        &[("how", "stages"), ("size", "all"), ("soak", "1m")],
    );
    let refused = site.submit("/publish", &next).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(
        refused.text().contains("href=\"#if_running\""),
        "{}",
        refused.text()
    );
    assert!(refused.text().contains("value=\"1m\""), "what was typed is kept");
    let waits = site
        .done("/publish", &with(next.clone(), &[("if_running", "queue")]))
        .await;
    assert_eq!(
        site.get(&format!("/api/v1{waits}"))
            .role(Role::Admin)
            .send()
            .await
            .json()["state"],
        "queued"
    );
    let replaces = site
        .done("/publish", &with(next, &[("if_running", "replace")]))
        .await;
    assert_ne!(replaces, waits);
    let superseded = State::Ended {
        how: Ended::Superseded,
    };
    let state = site
        .get(&format!("/api/v1{first}"))
        .role(Role::Admin)
        .send()
        .await
        .json();
    assert_eq!(state["how"], serde_json::to_value(superseded).unwrap()["how"]);
}

#[tokio::test]
async fn other_layers_than_those_of_the_group_are_published_once_they_were_looked_at() {
    let site = edge().await;
    let other = |act| {
        let mut fields = posted("base@3 + more@2", "3", "2");
        fields.retain(|(name, _)| *name != "other");
        let typed = [
            ("other", "more@1\nbase@1"),
            ("message", "the other way round"),
            ("act", act),
        ];
        with(fields, &typed)
    };
    // Sending what was not looked at shows it first.
    let seen = site.submit("/publish", &other("")).await;
    assert_eq!(seen.status, StatusCode::CONFLICT);
    assert_eq!(site.read_group().await["published"], Value::Null);
    let looked = site.submit("/publish", &other("look")).await;
    assert_eq!(looked.status, StatusCode::OK);
    for answer in [&seen, &looked] {
        let page = answer.text();
        assert!(
            page.contains("name=\"layers\" value=\"more@1 + base@1\""),
            "{page}"
        );
        assert!(page.contains("the other way round"));
        assert!(chosen(page, 0).starts_with('1') && chosen(page, 1).starts_with('1'));
    }
    let fields = [
        ("group", "edge"),
        ("layers", "more@1 + base@1"),
        ("layer", "more"),
        ("revision", "1"),
        ("layer", "base"),
        ("revision", "1"),
        ("confirm", "2"),
    ];
    site.done("/publish", &fields).await;
    assert_eq!(site.read_group().await["layers"], json!(["more", "base"]));
}

fn at(answer: &Answer, field: &str) {
    let page = answer.text();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains(&format!("href=\"#{field}\"")), "{field}: {page}");
    assert!(page.contains(&format!("id=\"{field}\"")), "{field}: {page}");
    assert!(page.contains("typed by me"), "what was typed is kept");
}

#[tokio::test]
async fn mistakes_are_told_at_their_fields_and_nothing_that_was_typed_is_lost() {
    let site = edge().await;
    let wrong = |more: &[(&'static str, &'static str)]| {
        with(
            with(posted("base@3 + more@2", "3", "2"), more),
            &[("message", "typed by me"), ("how", "stages")],
        )
    };
    for (fields, field) in [
        (wrong(&[("size", "some")]), "size-0"),
        (
            wrong(&[("size", "1"), ("soak", "soon"), ("size", "all")]),
            "soak-0",
        ),
        (wrong(&[("size", "1"), ("size", "10%")]), "size-1"),
        (wrong(&[("size", "all"), ("at_risk", "0")]), "at_risk"),
        (wrong(&[("size", "all"), ("tolerate", "few")]), "tolerate"),
        (wrong(&[("size", "all"), ("silence", "9")]), "silence"),
    ] {
        at(&site.submit("/publish", &fields).await, field);
    }
    // Layers that aren't there, or are none: what was shown before is shown again.
    for (other, act) in [("base@77", "look"), ("nothing@1", ""), ("base", "look")] {
        let mut fields = wrong(&[("size", "all")]);
        fields.retain(|(name, _)| *name != "other");
        let answer = site
            .submit("/publish", &with(fields, &[("other", other), ("act", act)]))
            .await;
        at(&answer, "other");
        assert!(answer.text().contains(other), "{other}");
        assert!(
            answer
                .text()
                .contains("name=\"layers\" value=\"base@3 + more@2\"")
        );
    }
    assert_eq!(site.read_group().await["published"], Value::Null);
    // More rows for stages keep what is there.
    let more = site
        .submit(
            "/publish",
            &wrong(&[("size", "3"), ("size", "all"), ("act", "rows")]),
        )
        .await;
    assert_eq!(more.status, StatusCode::OK);
    assert!(more.text().contains("id=\"size-6\"") && more.text().contains("value=\"3\""));
}

#[tokio::test]
async fn a_held_group_says_so_before_something_is_published_to_it() {
    let site = edge().await;
    assert!(
        !site
            .page("/publish?group=edge")
            .await
            .contains("The group is held")
    );
    site.done("/groups/edge/hold", &[("reason", "the disk is full")])
        .await;
    let page = site.page("/publish?group=edge").await;
    assert!(
        page.contains("The group is held") && page.contains("the disk is full"),
        "{page}"
    );
}

#[tokio::test]
async fn editing_a_group_keeps_the_budgets_of_its_strategy() {
    let site = edge().await;
    let mut careful: Strategy = "1 for 5m; all".parse().unwrap();
    (careful.at_risk, careful.on_failure) = ("3+2%".parse().unwrap(), OnFailure::Pause);
    let edit = json!({"strategy": careful});
    let before = site.get("/api/v1/groups/edge").role(Role::Admin).send().await;
    let edited = site
        .call(http::Method::PATCH, "/api/v1/groups/edge")
        .header("if-match", before.header("etag"))
        .json(&edit)
        .role(Role::Admin)
        .send()
        .await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.text());
    let page = site.page("/groups/edge/edit").await;
    let revision = site.read_group().await["revision"].to_string();
    // As a browser posts it: all that stands in the fields.
    let mut fields = fields_of(&page);
    for (name, value) in &mut fields {
        match name.as_str() {
            "description" => "another word".clone_into(value),
            "revision" => value.clone_from(&revision),
            _ => {}
        }
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    site.done("/groups/edge/edit", &fields).await;
    let after = site.read_group().await;
    assert_eq!(after["description"], "another word");
    assert_eq!(
        serde_json::from_value::<Strategy>(after["strategy"].clone()).unwrap(),
        careful
    );
}

/// The fields of the form on a page with what stands in them, without its token.
fn fields_of(page: &str) -> Vec<(String, String)> {
    let main = page.split("<main").nth(1).unwrap();
    let form = main
        .split("<form")
        .nth(1)
        .unwrap()
        .split("</form>")
        .next()
        .unwrap();
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
        Some(rest.split('"').next().unwrap().to_owned())
    };
    let mut fields = Vec::new();
    for tag in form.split('<') {
        let Some(name) = attribute(tag, "name").filter(|name| name != "form_token") else {
            continue;
        };
        let kind = attribute(tag, "type").unwrap_or_default();
        if tag.starts_with("input")
            && (!["checkbox", "radio"].contains(&kind.as_str()) || tag.contains(" checked"))
        {
            fields.push((name, attribute(tag, "value").unwrap_or_default()));
        } else if tag.starts_with("textarea") {
            let text = tag.split_once('>').unwrap().1.trim_start_matches('\n');
            fields.push((name, text.to_owned()));
        } else if tag.starts_with("select") {
            let rest = form.split(tag).nth(1).unwrap();
            let select = rest.split("</select>").next().unwrap();
            let option = select.split('<').find(|option| option.contains(" selected"));
            fields.push((
                name,
                option
                    .and_then(|option| attribute(option, "value"))
                    .unwrap_or_default(),
            ));
        }
    }
    fields
}

#[tokio::test]
async fn the_overview_tells_of_inputs_that_changed_and_of_rollouts_that_wait_for_somebody() {
    let site = edge().await;
    let regional = collector("${muster:label.region}:4317");
    site.save("base", &regional).await;
    let fields = with(posted("base@4 + more@2", "4", "2"), &[("how", "at_once")]);
    site.done("/publish", &fields).await;
    assert!(!site.page("/").await.contains("Inputs changed"));
    let (web, _) = join(&site, "web-3").await;
    let labels = [("name", ""), ("labels", "region = eu\nteam = shop")];
    site.done(&format!("/agents/{web}/edit"), &labels).await;
    assert!(
        !site.page("/").await.contains("Inputs changed"),
        "no layer uses that label"
    );
    let found = site.get("/api/v1/agents").role(Role::Admin).send().await.json();
    let first = found["agents"].as_array().unwrap();
    let first = first.iter().find(|agent| agent["id"] != json!(web)).unwrap();
    let path = format!("/api/v1/agents/{}/acts", first["id"].as_str().unwrap());
    let act = json!({"act": "pin", "group": "edge"});
    site.call(http::Method::POST, &path)
        .role(Role::Admin)
        .json(&act)
        .send()
        .await;
    let act = json!({"act": "label", "set": {"region": "us"}});
    site.call(http::Method::POST, &path)
        .role(Role::Admin)
        .json(&act)
        .send()
        .await;
    let page = site.page("/").await;
    assert!(page.contains("Inputs changed"), "{page}");
    assert!(
        page.contains("href=\"/publish?group=edge&amp;layers=base%404%2Cmore%402\""),
        "{page}"
    );

    let staged = [("how", "stages"), ("size", "1"), ("size", "all")];
    let rollout = site
        .done("/publish", &with(posted("base@2 + more@2", "2", "2"), &staged))
        .await;
    assert!(!site.page("/").await.contains("waits for a decision"));
    site.done(&format!("{rollout}/acts/pause"), &[("reason", "lunch")])
        .await;
    let page = site.page("/").await;
    assert!(
        page.contains("waits for a decision") && page.contains(&rollout),
        "{page}"
    );
}

#[tokio::test]
async fn a_layer_is_saved_as_a_part_and_the_pages_say_where_the_rest_must_come_from() {
    let site = edge().await;
    let part = "exporters: {otlp: {endpoint: 'part:4317'}}\n";
    site.done(
        "/configs/-/new",
        &[("name", "part"), ("kind", "collector"), ("content", part)],
    )
    .await;
    let page = site.page("/configs/part/edit").await;
    assert!(
        page.contains("Incomplete") && page.contains("There is no `service`: another layer"),
        "{page}"
    );
    let page = site.page("/configs/part").await;
    assert!(page.contains("Incomplete"), "{page}");

    let page = site.page("/publish?group=edge&layers=part%401").await;
    assert!(
        page.contains("What stops it") && page.contains("the errors above stop it"),
        "{page}"
    );
    assert!(!page.contains("Send revision 1 of part"), "{page}");
    let page = site.page("/groups/edge/rendered?layers=part%401").await;
    assert!(
        page.contains("What stops it from being published") && page.contains("href=\"#L1\""),
        "{page}"
    );

    let page = site.page("/publish?group=edge&layers=base%401%2Cpart%401").await;
    assert!(
        page.contains("Send base@1 + part@1") && !page.contains("What stops it"),
        "{page}"
    );
}
