//! Online verbs: the program as people start it, against a real server, over its local socket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use muster::admin_plane::{Face, described};
use muster::app::clock::Clock;
use muster::auth::password::Password;
use muster::auth::session::Visitor;
use muster::server::Server;
use muster::settings::Settings;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub(crate) const GOOD: &str = "receivers:\n  otlp:\n    protocols:\n      grpc:\nexporters:\n  debug:\nservice:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n";

/// A server with a folder, and people at its machine.
pub(crate) struct Host {
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

/// What a verb said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::with(|_| ())
    }

    /// A server with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            data: folder.path().join("data"),
            ..Settings::default()
        };
        settings.agent_plane.listen.set_port(0);
        settings.admin_plane.listen.set_port(0);
        change(&mut settings);
        let server = Server::start(&settings, &Clock::system()).unwrap();
        Self { server, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "").await
    }

    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("MUSTER_DATA", "data")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let done = child.wait_with_output().await.unwrap();
        Said {
            code: done.status.code().unwrap(),
            out: String::from_utf8(done.stdout).unwrap(),
            err: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// Runs a verb that must succeed.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
        said.out
    }

    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments).await).unwrap()
    }

    /// Runs a verb that must fail with `code`, and returns why.
    pub(crate) async fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {}{}", said.out, said.err);
        assert!(said.err.starts_with("error: "), "{}", said.err);
        said.err
    }
}

#[tokio::test]
async fn a_config_goes_from_a_file_to_a_group_and_into_the_audit_log() {
    let host = Host::start();
    std::fs::write(host.path().join("edge.yaml"), GOOD).unwrap();
    let made = host
        .ok(&["groups", "create", "edge", "--selector", "label.site = zrh"])
        .await;
    assert_eq!(made, "made group edge; agents in it: 0\n");
    let saved = host
        .ok(&[
            "configs",
            "create",
            "edge-config",
            "-f",
            "edge.yaml",
            "-m",
            "first",
        ])
        .await;
    assert!(saved.ends_with("saved edge-config@1\n"), "{saved}");

    let impact = host
        .ok(&["publish", "edge", "edge-config", "--impact-only"])
        .await;
    assert!(
        impact.starts_with("Group edge has nothing; this is edge-config@1.\n"),
        "{impact}"
    );
    assert!(impact.contains("+receivers:"), "{impact}");
    // Nobody is in the group: that has to be said by its number.
    let refused = host.fails(2, &["publish", "edge", "edge-config", "--yes"]).await;
    assert!(refused.contains("Add --confirm 0."), "{refused}");
    let refused = host
        .fails(4, &["publish", "edge", "edge-config", "--confirm", "7"])
        .await;
    assert!(refused.contains("type 0 to go on"), "{refused}");
    let done = host
        .ok(&["publish", "edge", "edge-config@1", "--confirm", "0", "--wait=5s"])
        .await;
    assert!(
        done.ends_with("published edge-config@1 to group edge in rollout 1\n0 took it\n"),
        "{done}"
    );

    let groups = host.json(&["groups", "list", "--json"]).await;
    let edge = groups
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["name"] == "edge");
    assert_eq!(edge.unwrap()["published"]["content"]["layers"][0]["revision"], 1);
    let audit = host.ok(&["audit", "list"]).await;
    let acts: Vec<_> = audit
        .lines()
        .map(|line| line.split('\t').nth(3).unwrap())
        .collect();
    assert_eq!(acts[..3], ["group.publish", "config.create", "group.create"]);
    assert!(host.ok(&["audit", "verify"]).await.starts_with("all "));

    let withdrawn = host.ok(&["groups", "withdraw", "edge", "--yes"]).await;
    assert_eq!(withdrawn, "nothing is sent to group edge any more\n");
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn revisions_are_saved_compared_and_downloaded() {
    let host = Host::start();
    let file = host.path().join("edge.yaml");
    std::fs::write(&file, GOOD).unwrap();
    host.ok(&["configs", "create", "edge", "-f", "edge.yaml"]).await;
    let same = host.ok(&["configs", "save", "edge", "-f", "edge.yaml"]).await;
    assert!(same.ends_with("edge@1 has this content already\n"), "{same}");
    std::fs::write(&file, GOOD.replace("debug", "debug/2")).unwrap();
    let saved = host.ok(&["configs", "save", "edge", "-f", "edge.yaml"]).await;
    assert!(saved.ends_with("saved edge@2\n"), "{saved}");
    let stale = host
        .fails(4, &["configs", "save", "edge", "-f", "edge.yaml", "--base", "1"])
        .await;
    assert!(stale.contains("changed by somebody else"), "{stale}");

    let diff = host.ok(&["configs", "diff", "edge"]).await;
    assert!(
        diff.contains("-  debug:\n") && diff.contains("+  debug/2:\n"),
        "{diff}"
    );
    assert_eq!(host.ok(&["configs", "download", "edge@1"]).await, GOOD);
    let revisions = host.json(&["configs", "revisions", "edge", "--json"]).await;
    assert_eq!(revisions[0]["number"], 2);

    let bad = host
        .run_with(&["configs", "check", "-f", "-"], "receivers:\n  otlp:\n bad")
        .await;
    assert_eq!(bad.code, 1, "{}", bad.err);
    assert!(bad.out.starts_with("standard input:"), "{}", bad.out);
    let refused = host
        .run_with(&["configs", "save", "edge", "-f", "-"], "a: [")
        .await;
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.err.contains("line 1"), "{}", refused.err);

    let asked = host.fails(2, &["configs", "delete", "edge"]).await;
    assert!(asked.contains("Add --yes"), "{asked}");
    host.ok(&["configs", "delete", "edge", "--yes"]).await;
    let gone = host.fails(4, &["configs", "show", "edge"]).await;
    assert!(gone.contains("no config \"edge\""), "{gone}");
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_are_shown_once_and_withdrawn_by_the_beginning_of_their_id() {
    let host = Host::start();
    let made = host
        .ok(&[
            "enroll",
            "create",
            "--note",
            "lab",
            "--host",
            "muster.example.com",
        ])
        .await;
    assert!(
        made.contains("https://muster.example.com:") && made.contains("/join.sh"),
        "{made}"
    );
    let tokens = host.json(&["enroll", "list", "--json"]).await;
    let id = tokens[0]["id"].as_str().unwrap();
    assert_eq!(tokens[0]["note"], "lab");
    host.ok(&["enroll", "withdraw", &beginning(id, 12)]).await;
    let tokens = host.json(&["enroll", "list", "--json"]).await;
    assert!(tokens[0]["withdrawn_at"].is_string());
    let unknown = host.fails(4, &["enroll", "withdraw", "ffffffffff"]).await;
    assert!(unknown.contains("There is no enrolment token"), "{unknown}");
    let refused = host.fails(4, &["enroll", "create", "--group", "nobodys"]).await;
    assert!(refused.contains("there is no group"), "{refused}");
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_of_nothing_says_so_beside_the_output() {
    let host = Host::start();
    for (verb, told) in [
        (&["agents", "list"][..], "no agents yet"),
        (&["agents", "list", "web"], "no agent is taken by this filter"),
        (&["rollouts", "list"], "no rollouts yet"),
        (&["secrets", "list"], "no secrets yet"),
    ] {
        let said = host.run(verb).await;
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{verb:?}");
        assert!(
            said.err.starts_with(told) && said.err.lines().count() == 1,
            "{}",
            said.err
        );
    }
    let said = host.run(&["agents", "list", "--json"]).await;
    assert_eq!((said.out.as_str(), said.err.as_str()), ("[]\n", ""));
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_labels_an_agent_is_told_where_it_went() {
    let host = Host::start();
    enrol(&host, "web-1").await;
    host.ok(&["groups", "create", "core"]).await;
    host.ok(&["groups", "create", "edge", "--selector", "label.env = prod"])
        .await;
    assert_eq!(
        host.ok(&["agents", "label", "web-1", "env=prod"]).await,
        "web-1 labelled; it moved from group unassigned to group edge\n"
    );
    assert_eq!(
        host.ok(&["agents", "label", "web-1", "site=zrh"]).await,
        "web-1 labelled\n"
    );
    assert_eq!(
        host.ok(&["agents", "pin", "web-1", "--group", "core"]).await,
        "web-1 pinned; it moved from group edge to group core\n"
    );
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn agents_are_named_by_what_is_clear_and_acted_on() {
    let host = Host::start();
    let agents = [enrol(&host, "web-1").await, enrol(&host, "web-2").await];
    let listed = host.ok(&["agents", "list"]).await;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert_eq!(
        host.ok(&["agents", "label", "web-1", "env=prod", "site=zrh"])
            .await,
        "web-1 labelled\n"
    );
    let shown = host.json(&["agents", "show", &agents[0], "--json"]).await;
    assert_eq!(shown["labels"]["env"], "prod");
    host.ok(&["agents", "rename", &agents[1], "db"]).await;
    let filtered = host.json(&["agents", "list", "label.env = prod", "--json"]).await;
    assert_eq!(filtered.as_array().unwrap().len(), 1);

    // Both are meant: their number has to be typed, or said beforehand.
    let asked = host.fails(2, &["agents", "hold", "--filter", ""]).await;
    assert!(asked.contains("takes 2 agents"), "{asked}");
    assert_eq!(
        host.ok(&["agents", "hold", "--filter", "", "--yes"]).await,
        "2 agents held\n"
    );
    // Neither said that it takes a restart.
    let refused = host.fails(1, &["agents", "restart", "web-1", "db"]).await;
    assert!(
        refused.contains("2 refused") && refused.contains("db: "),
        "{refused}"
    );

    // An agent's own configuration is wanted of it, whatever its group has; it runs nothing yet.
    let nothing = host.fails(4, &["agents", "config", "web-1", "--desired"]).await;
    assert!(nothing.contains("Nothing is to be run by web-1."), "{nothing}");
    std::fs::write(host.path().join("own.yaml"), GOOD).unwrap();
    host.ok(&["configs", "create", "own", "-f", "own.yaml"]).await;
    let alone = host.ok(&["publish", "--agent", "web-1", "own", "--yes"]).await;
    assert_eq!(alone, "published own@1 to web-1 alone\n");
    assert_eq!(host.ok(&["agents", "config", "web-1", "--desired"]).await, GOOD);
    host.fails(4, &["agents", "config", "web-1", "--diff"]).await;
    host.fails(4, &["agents", "config", "web-1"]).await;

    let unknown = host.fails(4, &["agents", "show", "mail"]).await;
    assert!(unknown.contains("There is no agent \"mail\"."), "{unknown}");
    let unclear = host
        .fails(2, &["agents", "show", &beginning(&agents[0], 4)])
        .await;
    assert!(unclear.contains("names 2 agents"), "{unclear}");
    let wrong = host.fails(2, &["agents", "list", "env ="]).await;
    assert!(wrong.contains("column"), "{wrong}");
    let never = host.fails(2, &["agents", "list", "status = purple"]).await;
    assert!(never.contains("down, degraded, unknown"), "{never}");
    // As pipes and pages spell what filters know by other words.
    let listed = host
        .ok(&["agents", "list", "config != in_sync, status != Offline"])
        .await;
    assert_eq!(listed.lines().count(), 2, "{listed}");

    host.ok(&["agents", "revoke", "db", "--yes"]).await;
    let credentials = host.json(&["credentials", "list", "--json"]).await;
    let states: BTreeSet<_> = credentials
        .as_array()
        .unwrap()
        .iter()
        .map(|credential| credential["state"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, BTreeSet::from(["active", "revoked"]));
    assert!(host.ok(&["overview"]).await.contains("Unknown   1\n"));
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn agents_that_wait_to_move_are_listed_with_what_they_wait_for() {
    let host = Host::start();
    std::fs::write(host.path().join("edge.yaml"), GOOD).unwrap();
    std::fs::write(host.path().join("own.yaml"), GOOD.replace("debug", "debug/2")).unwrap();
    host.ok(&["configs", "create", "edge", "-f", "edge.yaml"]).await;
    host.ok(&["configs", "create", "own", "-f", "own.yaml"]).await;
    host.ok(&["groups", "create", "edge", "--selector", "label.site = zrh"])
        .await;
    host.ok(&["publish", "edge", "edge", "--confirm", "0"]).await;
    enrol(&host, "web-1").await;
    host.ok(&["publish", "--agent", "web-1", "own", "--yes"]).await;
    let nobody = host.ok(&["groups", "moves", "edge"]).await;
    assert_eq!(nobody, "nobody waits to move into group edge\n");
    host.ok(&["agents", "label", "web-1", "site=zrh"]).await;
    let moves = host.ok(&["groups", "moves", "edge"]).await;
    assert!(
        moves.starts_with("Waiting to move, by: all at once\n  web-1  from unassigned  since "),
        "{moves}"
    );
    assert!(
        moves.ends_with("  it has a configuration of its own\n"),
        "{moves}"
    );
    let moves = host.json(&["groups", "moves", "edge", "--json"]).await;
    assert_eq!(moves["pending"][0]["title"], "web-1");
    let shown = host.ok(&["agents", "show", "web-1"]).await;
    assert!(
        shown.contains("it has a configuration of its own\n") && shown.contains("Waits to move"),
        "{shown}"
    );
    let groups = host.json(&["groups", "list", "--json"]).await;
    assert_eq!(
        (&groups[0]["moving"], &groups[0]["left_behind"]),
        (&1.into(), &0.into())
    );
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn the_operator_of_the_host_helps_people_and_sees_the_server() {
    let host = Host::start();
    assert!(host.ok(&["setup-token"]).await.contains("/setup?token="));
    assert_eq!(host.ok(&["users", "list"]).await, "");
    let nobody = host.fails(4, &["users", "reset-password", "ada"]).await;
    assert!(nobody.contains("no account \"ada\""), "{nobody}");
    let whose = host.fails(4, &["tokens", "create", "ci"]).await;
    assert!(whose.contains("whose token"), "{whose}");
    assert!(host.ok(&["account", "show"]).await.contains("Role  admin"));
    assert!(
        host.ok(&["system", "show"])
            .await
            .contains(env!("CARGO_PKG_VERSION"))
    );
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn the_operator_of_the_host_sees_and_revokes_what_somebody_signs_in_with() {
    let host = Host::start();
    let accounts = &host.server.app.accounts;
    let link = accounts
        .issue_setup_token(&crate::harness::admin())
        .await
        .unwrap();
    let password = Password::new("seven giraffes on a slow ferry".to_owned());
    accounts
        .claim(link.expose(), "ada", &password, &Visitor::default())
        .await
        .unwrap();
    host.ok(&["tokens", "create", "ci", "--account", "ada"]).await;

    for verb in [
        &["tokens", "list"][..],
        &["tokens", "revoke", "ci"],
        &["account", "sessions"],
        &["account", "end-session", "0"],
    ] {
        let whose = host.fails(2, verb).await;
        assert!(whose.contains("--account NAME"), "{whose}");
    }
    let found = host.json(&["tokens", "list", "--account", "ada", "--json"]).await;
    assert_eq!(found[0]["name"], "ci");
    let nobody = host.fails(4, &["tokens", "list", "--account", "bob"]).await;
    assert!(nobody.contains("no account \"bob\""), "{nobody}");
    let gone = host
        .fails(4, &["tokens", "revoke", "cd", "--account", "ada"])
        .await;
    assert!(gone.contains("no token \"cd\""), "{gone}");
    host.ok(&["tokens", "revoke", "ci", "--account", "ada"]).await;
    assert_eq!(host.ok(&["tokens", "list", "--account", "ada"]).await, "");

    let sessions = host
        .json(&["account", "sessions", "--account", "ada", "--json"])
        .await;
    let id = sessions[0]["id"].as_str().unwrap();
    host.ok(&["account", "end-session", id, "--account", "ada"]).await;
    assert_eq!(host.ok(&["account", "sessions", "--account", "ada"]).await, "");
    host.server.stop().await.unwrap();
}

fn beginning(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Enrols a host as its join script does, and returns the agent's id.
pub(crate) async fn enrol(host: &Host, name: &str) -> String {
    let made = host.json(&["enroll", "create", "--json"]).await;
    let wish = muster::app::enrolment::Enrol {
        host: name.to_owned(),
        ..muster::app::enrolment::Enrol::default()
    };
    let enrolled = host
        .server
        .app
        .enrol(made["secret"].as_str().unwrap(), wish, None)
        .await
        .unwrap();
    enrolled.agent_id.unwrap().to_string()
}

/// Each mutating route of the API with the verb that uses it.
const VERBS: &[(&str, &[&str])] = &[
    ("POST /api/v1/account/password", &["account", "password"]),
    ("DELETE /api/v1/account/sessions", &["account", "end-sessions"]),
    (
        "DELETE /api/v1/account/sessions/{id}",
        &["account", "end-session"],
    ),
    ("POST /api/v1/account/tokens", &["tokens", "create"]),
    ("DELETE /api/v1/account/tokens/{name}", &["tokens", "revoke"]),
    ("POST /api/v1/accounts", &["users", "create"]),
    ("DELETE /api/v1/accounts/{name}", &["users", "delete"]),
    ("POST /api/v1/accounts/{name}/acts", &["users", "promote"]),
    (
        "POST /api/v1/accounts/{name}/password",
        &["users", "reset-password"],
    ),
    (
        "DELETE /api/v1/accounts/{name}/tokens/{token}",
        &["tokens", "revoke"],
    ),
    ("POST /api/v1/agents/acts", &["agents", "label"]),
    ("POST /api/v1/agents/{id}/acts", &["agents", "restart"]),
    ("POST /api/v1/agents/{id}/adopt", &["agents", "adopt"]),
    ("POST /api/v1/agents/{id}/publish", &["publish"]),
    ("POST /api/v1/config-check", &["configs", "check"]),
    ("POST /api/v1/configs", &["configs", "create"]),
    ("DELETE /api/v1/configs/{name}", &["configs", "delete"]),
    ("PATCH /api/v1/configs/{name}", &["configs", "describe"]),
    ("POST /api/v1/configs/{name}/revisions", &["configs", "save"]),
    (
        "POST /api/v1/credentials/{id}/release",
        &["credentials", "release"],
    ),
    ("POST /api/v1/credentials/{id}/revoke", &["credentials", "revoke"]),
    ("POST /api/v1/enrolment-tokens", &["enroll", "create"]),
    ("DELETE /api/v1/enrolment-tokens/{id}", &["enroll", "withdraw"]),
    ("POST /api/v1/groups", &["groups", "create"]),
    ("DELETE /api/v1/groups/{name}", &["groups", "delete"]),
    ("PATCH /api/v1/groups/{name}", &["groups", "edit"]),
    ("POST /api/v1/groups/{name}/publish", &["publish"]),
    ("POST /api/v1/groups/{name}/hold", &["groups", "hold"]),
    ("POST /api/v1/groups/{name}/release", &["groups", "release"]),
    ("POST /api/v1/groups/{name}/withdraw", &["groups", "withdraw"]),
    ("POST /api/v1/rollouts/{id}/acts", &["rollouts", "pause"]),
    ("POST /api/v1/rollouts/{id}/decisions", &["rollouts", "approve"]),
    ("POST /api/v1/secrets/{name}", &["secrets", "set"]),
    ("DELETE /api/v1/secrets/{name}", &["secrets", "delete"]),
    ("POST /api/v1/setup-token", &["setup-token"]),
    ("POST /api/v1/system/release", &["system", "release"]),
    ("POST /api/v1/system/store/compact", &["system", "compact"]),
];

#[tokio::test]
async fn every_route_that_changes_something_has_a_verb() {
    let routes: BTreeSet<String> = described()
        .into_iter()
        .filter(|row| row.face == Face::Api && row.method != http::Method::GET)
        // Whoever comes with the command line has no session in which a password could be given again.
        .filter(|row| row.path != "/api/v1/account/prove")
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    let verbs: BTreeMap<&str, _> = VERBS.iter().copied().collect();
    let told: BTreeSet<String> = verbs.keys().map(|route| (*route).to_owned()).collect();
    assert_eq!(routes, told);
    for verb in verbs.values() {
        let help = Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(*verb)
            .arg("--help")
            .env_clear()
            .output()
            .await
            .unwrap();
        assert!(help.status.success(), "{verb:?}: {help:?}");
    }
}
