//! The audit log over the table of routes: every route of the API that changes something is used, and leaves exactly one
//! record; looking leaves none, and so does what was refused, but that it was.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use muster::admin_plane::{Face, described};
use muster::app::enrolment::Enrol;
use serde_json::{Value, json};

use super::site::{Answer, Site, filled_rows};
use crate::people;

/// Routes that can't succeed here, with what shows them.
const ELSEWHERE: [(&str, &str); 6] = [
    (
        "/api/v1/system/release",
        "holds come from a store that went back in time: `clean_up`, `s09_offers`",
    ),
    (
        "/api/v1/setup-token",
        "only before the server is somebody's: `setup`",
    ),
    (
        "/api/v1/credentials/{id}/release",
        "only after three foreign uids: `abuse`",
    ),
    (
        "/api/v1/agents/{id}/adopt",
        "takes an agent that speaks: `canary`",
    ),
    (
        "/api/v1/system/store/compact",
        "takes a store on a disk: `store::room`",
    ),
    (
        "/api/v1/rollouts/{id}/decisions",
        "takes a second person and a protected group: `approvals`",
    ),
];

const YAML: &str = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    logs:\n      receivers: [nop]\n      exporters: [nop]\n";

struct Walk {
    site: Site,
    done: BTreeSet<(String, String)>,
}

impl Walk {
    fn records(&self) -> usize {
        self.site
            .app
            .audit
            .page(&people::host(), None, 10_000)
            .unwrap()
            .len()
    }

    /// Uses a route as `anna`, in her browser, and counts.
    async fn does(
        &mut self,
        method: &str,
        pattern: &str,
        path: &str,
        body: Value,
        expected: usize,
    ) -> Answer {
        let before = self.records();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let ask = self.site.call(method.clone(), path).own_form();
        let ask = if body.is_null() { ask } else { ask.json(&body) };
        let answer = ask.header("accept", "application/json").send().await;
        let what = format!("{method} {path}: {}", answer.status);
        assert!(answer.status.is_success(), "{what} {}", answer.text());
        self.site.app.audit.flush().await;
        let log = self.site.app.audit.page(&people::host(), None, 3).unwrap();
        assert_eq!(self.records() - before, expected, "{what}: {log:?}");
        if expected > 0 {
            assert_eq!(log[0].entry.actor, "anna", "{what}: {log:?}");
        }
        self.done.insert((method.to_string(), pattern.to_owned()));
        answer
    }

    async fn id_of(&self, path: &str, list: &str, name: &str) -> String {
        let found = self.site.get(path).local().send().await.json();
        let found = found[list].as_array().unwrap().clone();
        let one = found
            .iter()
            .find(|one| one.to_string().contains(name))
            .unwrap_or_else(|| panic!("{name}: {found:?}"));
        one["id"].to_string().trim_matches('"').to_owned()
    }
}

#[tokio::test]
async fn every_change_over_the_api_leaves_one_record() {
    let site = Site::start().await;
    let mut walk = Walk {
        site,
        done: BTreeSet::new(),
    };
    configs_and_groups(&mut walk).await;
    agents(&mut walk).await;
    people_and_secrets(&mut walk).await;
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(path, _)| *path).collect();
    let mut missing = Vec::new();
    for row in described() {
        let known = (row.method.to_string(), row.path.to_owned());
        let shown = elsewhere.contains(row.path) || walk.done.contains(&known);
        if row.face == Face::Api && row.method != Method::GET && !shown {
            missing.push(known);
        }
    }
    assert!(
        missing.is_empty(),
        "use these here, and say how many records they leave: {missing:?}"
    );
    assert!(walk.done.len() > 30, "{}", walk.done.len());
}

async fn configs_and_groups(walk: &mut Walk) {
    let (configs, config) = ("/api/v1/configs", "/api/v1/configs/{name}");
    let new = json!({"name": "edge", "yaml": YAML});
    walk.does("POST", configs, configs, new, 1).await;
    walk.does("POST", configs, configs, json!({"name": "gone", "yaml": YAML}), 1)
        .await;
    walk.does(
        "PATCH",
        config,
        "/api/v1/configs/edge",
        json!({"description": "x"}),
        1,
    )
    .await;
    let next = json!({"base": 1, "yaml": format!("# next\n{YAML}")});
    walk.does(
        "POST",
        "/api/v1/configs/{name}/revisions",
        "/api/v1/configs/edge/revisions",
        next,
        1,
    )
    .await;
    walk.does("DELETE", config, "/api/v1/configs/gone", Value::Null, 1)
        .await;
    walk.does(
        "POST",
        "/api/v1/config-check",
        "/api/v1/config-check",
        json!({"yaml": YAML}),
        0,
    )
    .await;

    let (groups, group) = ("/api/v1/groups", "/api/v1/groups/{name}");
    walk.does("POST", groups, groups, json!({"name": "edge"}), 1)
        .await;
    walk.does("POST", groups, groups, json!({"name": "gone"}), 1)
        .await;
    walk.does(
        "PATCH",
        group,
        "/api/v1/groups/edge",
        json!({"description": "x"}),
        1,
    )
    .await;
    walk.does("DELETE", group, "/api/v1/groups/gone", Value::Null, 1)
        .await;
    let layers =
        json!({"layers": [{"config": "edge", "revision": 1}], "strategy": "all at once", "confirm": 0});
    walk.does(
        "POST",
        "/api/v1/groups/{name}/publish",
        "/api/v1/groups/edge/publish",
        layers,
        1,
    )
    .await;
    let why = json!({"reason": "x"});
    walk.does(
        "POST",
        "/api/v1/groups/{name}/hold",
        "/api/v1/groups/edge/hold",
        why,
        1,
    )
    .await;
    walk.does(
        "POST",
        "/api/v1/groups/{name}/release",
        "/api/v1/groups/edge/release",
        Value::Null,
        1,
    )
    .await;
}

async fn agents(walk: &mut Walk) {
    let tokens = "/api/v1/enrolment-tokens";
    let made = walk
        .does("POST", tokens, tokens, json!({"uses": 5, "group": "edge"}), 1)
        .await
        .json();
    let mut ids = Vec::new();
    for host in ["web-1", "web-2", "web-3"] {
        let wish = Enrol {
            host: host.to_owned(),
            ..Enrol::default()
        };
        let before = walk.records();
        let enrolled = walk
            .site
            .app
            .enrol(made["secret"].as_str().unwrap(), wish, None)
            .await
            .unwrap();
        assert_eq!(walk.records() - before, 1, "{host} enrols");
        ids.push(enrolled.agent_id.unwrap().to_string());
    }
    let token = format!("{tokens}/{}", made["token"]["id"].as_str().unwrap());
    walk.does("DELETE", "/api/v1/enrolment-tokens/{id}", &token, Value::Null, 1)
        .await;
    let path = |act: &str| format!("/api/v1/agents/{}/{act}", ids[0]);
    let rename = json!({"act": "rename", "name": "front"});
    walk.does("POST", "/api/v1/agents/{id}/acts", &path("acts"), rename, 1)
        .await;
    let hold = json!({"act": {"act": "hold"}, "ids": [ids[0], ids[1]]});
    // One for each agent that it reaches.
    walk.does("POST", "/api/v1/agents/acts", "/api/v1/agents/acts", hold, 2)
        .await;
    let own = json!({"config": "edge", "revision": 1});
    // What it gets, and that the agent takes it.
    walk.does("POST", "/api/v1/agents/{id}/publish", &path("publish"), own, 2)
        .await;

    let staged =
        json!({"layers": [{"config": "edge", "revision": 2}], "strategy": "1 for 1h; all", "confirm": 2});
    let publish = ("/api/v1/groups/{name}/publish", "/api/v1/groups/edge/publish");
    walk.does("POST", publish.0, publish.1, staged, 1).await;
    let rollout = walk.id_of("/api/v1/rollouts", "rollouts", "edge").await;
    let acts = format!("/api/v1/rollouts/{rollout}/acts");
    walk.does(
        "POST",
        "/api/v1/rollouts/{id}/acts",
        &acts,
        json!({"act": "pause"}),
        1,
    )
    .await;
    walk.does(
        "POST",
        "/api/v1/rollouts/{id}/acts",
        &acts,
        json!({"act": "abort"}),
        1,
    )
    .await;
    let withdraw = "/api/v1/groups/edge/withdraw";
    walk.does("POST", "/api/v1/groups/{name}/withdraw", withdraw, Value::Null, 1)
        .await;

    let credential = walk.site.get("/api/v1/credentials").local().send().await.json();
    let credential = credential["credentials"][0]["id"].as_str().unwrap().to_owned();
    let revoke = format!("/api/v1/credentials/{credential}/revoke");
    // The credential, and the agent that it was of.
    walk.does("POST", "/api/v1/credentials/{id}/revoke", &revoke, Value::Null, 2)
        .await;
}

async fn people_and_secrets(walk: &mut Walk) {
    let (secret, path) = ("/api/v1/secrets/{name}", "/api/v1/secrets/upstream");
    walk.does("POST", secret, path, json!({"value": "long enough"}), 1)
        .await;
    walk.does("DELETE", secret, path, Value::Null, 1).await;

    let tokens = "/api/v1/account/tokens";
    for name in ["ci", "other"] {
        let wish = json!({"name": name, "role": "viewer", "days": 1});
        walk.does("POST", tokens, tokens, wish, 1).await;
    }
    walk.does(
        "DELETE",
        "/api/v1/account/tokens/{name}",
        "/api/v1/account/tokens/ci",
        Value::Null,
        1,
    )
    .await;
    let of = "/api/v1/accounts/{name}/tokens/{token}";
    walk.does("DELETE", of, "/api/v1/accounts/anna/tokens/other", Value::Null, 1)
        .await;

    let (password, visitor) = (
        muster::auth::password::Password::new(people::PASSWORD),
        people::visitor(2),
    );
    for _ in 0..2 {
        let before = walk.records();
        walk.site
            .app
            .accounts
            .login("anna", &password, &visitor, None)
            .await
            .unwrap();
        assert_eq!(walk.records() - before, 1, "signing in");
    }
    let sessions = "/api/v1/account/sessions";
    let list = walk
        .site
        .get(sessions)
        .own_form()
        .header("accept", "application/json")
        .send()
        .await
        .json();
    let list = list["sessions"].as_array().unwrap();
    assert_eq!(list.len(), 3);
    let other = list
        .iter()
        .find(|one| one["address"] == "192.0.2.2")
        .expect("signed in from elsewhere");
    let path = format!("{sessions}/{}", other["id"].as_str().unwrap());
    walk.does("DELETE", "/api/v1/account/sessions/{id}", &path, Value::Null, 1)
        .await;
    walk.does("DELETE", sessions, sessions, Value::Null, 1).await;
    let (accounts, account) = ("/api/v1/accounts", "/api/v1/accounts/{name}");
    let bert = json!({"name": "bert", "role": "viewer"});
    walk.does("POST", accounts, accounts, bert, 1).await;
    let acts = ("/api/v1/accounts/{name}/acts", "/api/v1/accounts/bert/acts");
    walk.does("POST", acts.0, acts.1, json!({"act": "disable"}), 1)
        .await;
    let reset = json!({"new_password": people::OTHER});
    let passwords = (
        "/api/v1/accounts/{name}/password",
        "/api/v1/accounts/bert/password",
    );
    walk.does("POST", passwords.0, passwords.1, reset, 1).await;
    walk.does("DELETE", account, "/api/v1/accounts/bert", Value::Null, 1)
        .await;
    let prove = ("/api/v1/account/prove", json!({"password": people::PASSWORD}));
    walk.does("POST", prove.0, prove.0, prove.1, 1).await;
    let change = json!({"present_password": people::PASSWORD, "new_password": people::OTHER});
    let password = "/api/v1/account/password";
    walk.does("POST", password, password, change, 1).await;
}

#[tokio::test]
async fn looking_leaves_no_record() {
    let site = Site::start().await;
    let records = || site.app.audit.page(&people::host(), None, 10_000).unwrap().len();
    let before = records();
    let mut looked = 0;
    for (row, path) in filled_rows() {
        if row.method != Method::GET || row.face == Face::Stream {
            continue;
        }
        let answer = site.get(&path).local().open().await;
        looked += usize::from(answer.status() == StatusCode::OK);
    }
    site.app.audit.flush().await;
    assert_eq!(records(), before);
    assert!(looked > 30, "{looked}");
}
