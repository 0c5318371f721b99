//! Contents that are too large, no text, or come at the same moment, by the API and by the pages.

use http::{Method, StatusCode};
use muster::auth::permission::Role;
use muster::fleet::config::Content;
use serde_json::json;

use super::site::{Answer, Ask, Site};
use crate::harness::admin;

const YAML: &str = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    logs:\n      receivers: [nop]\n      exporters: [nop]\n";
const FORM: &str = "application/x-www-form-urlencoded";
const TEN_MEGABYTES: usize = 10 << 20;

fn api<'a>(site: &'a Site, path: &str) -> Ask<'a> {
    site.call(Method::POST, path).role(Role::Operator)
}

fn page<'a>(site: &'a Site, path: &str) -> Ask<'a> {
    site.call(Method::POST, path).own_form()
}

/// A site with a config `base`.
async fn site() -> Site {
    let site = Site::start().await;
    let base = json!({"name": "base", "yaml": YAML});
    let made = api(&site, "/api/v1/configs").json(&base).send().await;
    assert_eq!(made.status, StatusCode::CREATED);
    site
}

fn configs(site: &Site) -> usize {
    site.app.intentions.configs(&admin()).unwrap().len()
}

/// How many revisions `base` has, and the newest content.
fn newest(site: &Site) -> (usize, String) {
    let detail = site.app.intentions.config(&admin(), "base").unwrap();
    let Content::Yaml(yaml) = detail.content else {
        panic!("files")
    };
    (detail.revisions.len(), yaml)
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_refused_by_the_api_and_the_page_and_nothing_is_saved() {
    let site = site().await;
    let json = [b"{\"name\": \"odd\", \"yaml\": \"a: '\xff'\"}".as_slice()].concat();
    let answer = api(&site, "/api/v1/configs")
        .bytes("application/json", json)
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::BAD_REQUEST, "invalid-json")
    );
    // A browser escapes what it sends; others may send the bytes as they are.
    for content in [b"a%3A+%FF".as_slice(), b"a%3A+\xff", b"%ED%A0%80", b"%C3"] {
        let form = [b"name=odd&kind=collector&message=&content=".as_slice(), content].concat();
        let answer = page(&site, "/configs/-/new")
            .bytes(FORM, form.clone())
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let text = answer.text();
        assert!(text.contains("UTF-8") && text.contains("content"), "{text}");
        let edit = [b"base=1&".as_slice(), &form].concat();
        let answer = page(&site, "/configs/base/edit").bytes(FORM, edit).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let check = page(&site, "/configs/-/check").bytes("text/plain", b"a: \xff".to_vec());
    assert_eq!(check.send().await.status, StatusCode::BAD_REQUEST);
    assert_eq!((configs(&site), newest(&site)), (1, (1, YAML.to_owned())));
    // What is not text may be a file of another kind of agent, which is sent as it is.
    let files = json!({"name": "files", "files": {"app.bin": {"body": "base64:/w=="}}});
    let made = api(&site, "/api/v1/configs").json(&files).send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
}

#[tokio::test]
async fn a_10_mb_config_is_refused_by_the_api_and_the_page_with_the_limit() {
    let site = site().await;
    let large = |bytes: usize| format!("{YAML}# {}\n", "x".repeat(bytes));
    for path in [
        "/api/v1/configs",
        "/api/v1/configs/base/revisions",
        "/api/v1/config-check",
    ] {
        let body = json!({"name": "big", "base": 1, "yaml": large(TEN_MEGABYTES)});
        let answer = api(&site, path).json(&body).send().await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            "{path}"
        );
        assert!(answer.text().contains("bytes"), "{}", answer.text());
    }
    for path in ["/configs/-/new", "/configs/base/edit", "/configs/-/check"] {
        let form = form("big", 1, &large(TEN_MEGABYTES));
        let answer = page(&site, path).bytes(FORM, form).send().await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(answer.text().contains("larger than"), "{}", answer.text());
    }
    // Smaller than what is read at all, and still larger than what fits into a message.
    let body = json!({"name": "big", "yaml": large(2 << 20)});
    let answer = api(&site, "/api/v1/configs").json(&body).send().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
    );
    assert!(
        answer.text().contains("at most 983040 bytes"),
        "{}",
        answer.text()
    );
    let answer = page(&site, "/configs/-/new")
        .bytes(FORM, form("big", 0, &large(2 << 20)))
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("at most 983040 bytes"));
    assert_eq!((configs(&site), newest(&site)), (1, (1, YAML.to_owned())));
}

#[tokio::test]
async fn of_two_operators_saving_at_once_one_is_saved_and_the_other_is_told() {
    let site = site().await;
    let text = |word: &str| format!("# {word}\n{YAML}");
    let save = |word: &str| {
        let body = json!({"base": 1, "yaml": text(word)});
        api(&site, "/api/v1/configs/base/revisions").json(&body)
    };
    let (one, two) = tokio::join!(save("one").send(), save("two").send());
    let told = |answer: &Answer| answer.status.as_u16();
    let mut statuses = [told(&one), told(&two)];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
    let (lost, won) = if told(&one) == 201 {
        (two, "one")
    } else {
        (one, "two")
    };
    assert_eq!(lost.problem(), "stale");
    assert_eq!(newest(&site), (2, text(won)));

    let save = |word: &str| {
        let form = form("base", 2, &text(word));
        page(&site, "/configs/base/edit").bytes(FORM, form)
    };
    let (three, four) = tokio::join!(save("three").send(), save("four").send());
    let (lost, word, won) = if told(&three) == 303 {
        (four, "four", "three")
    } else {
        (three, "three", "four")
    };
    assert_eq!(lost.status, StatusCode::CONFLICT);
    let page = lost.text();
    assert!(page.contains("was saved by anna meanwhile"), "{page}");
    assert!(page.contains(&format!("# {word}\n")), "what was typed is kept");
    assert_eq!(newest(&site), (3, text(won)));
}

fn form(name: &str, base: u64, content: &str) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("name", name)
        .append_pair("kind", "collector")
        .append_pair("base", &base.to_string())
        .append_pair("content", content);
    form.finish().into_bytes()
}
