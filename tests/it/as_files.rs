//! A fleet as a folder of files, both ways: `muster export` and `muster apply`, against a real server.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use muster::auth::password::Password;
use muster::auth::permission::Role;
use serde_json::Value;

use crate::verbs::{GOOD, Host, enrol};

/// All files under a folder with their texts, as one text.
fn all(folder: &Path) -> String {
    fn walk(folder: &Path, root: &Path, text: &mut String) {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                walk(&path, root, text);
            } else {
                let name = path.strip_prefix(root).unwrap().display();
                let body = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                write!(text, "---- {name}\n{body}").unwrap();
            }
        }
    }
    let mut text = String::new();
    walk(folder, folder, &mut text);
    text
}

/// A server with something of everything.
async fn busy() -> (Host, String) {
    let host = Host::start();
    let agent = enrol(&host, "web-1").await;
    fs::write(host.path().join("edge.yaml"), GOOD).unwrap();
    fs::write(host.path().join("raw.bin"), b"\xff\x00raw").unwrap();
    host.ok(&[
        "configs",
        "create",
        "edge",
        "-f",
        "edge.yaml",
        "--description",
        "What \"every\" host runs",
    ])
    .await;
    host.ok(&["configs", "create", "bare", "--starter", "memory-limiter"])
        .await;
    host.ok(&[
        "configs",
        "create",
        "app",
        "--entry",
        "conf.d/a b.toml=edge.yaml",
        "--entry",
        ".env=raw.bin",
        "--entry",
        "=edge.yaml",
    ])
    .await;
    host.ok(&[
        "groups",
        "create",
        "edge",
        "--selector",
        "label.site=zrh",
        "--selector",
        "label.a in (c, b)",
        "--priority",
        "7",
    ])
    .await;
    host.ok(&["groups", "create", "plain"]).await;
    host.ok(&["publish", "edge", "edge", "--confirm", "0"]).await;
    host.ok(&["agents", "label", &agent, "site=zrh", "note=a \"b\" c"])
        .await;
    host.ok(&["agents", "rename", &agent, "Web one"]).await;
    (host, agent)
}

#[tokio::test]
async fn what_is_exported_is_readable_stable_and_applied_again_is_nothing_to_do() {
    let (host, agent) = busy().await;
    let said = host.ok(&["export", "fleet"]).await;
    assert!(said.starts_with("fleet: "), "{said}");
    let first = all(&host.path().join("fleet")).replace(&agent, "AGENT");
    insta::assert_snapshot!(first.replace("\u{fffd}\0", "[bytes]"));
    let again = host.ok(&["export", "fleet"]).await;
    assert!(again.contains(" 0 of them changed, 0 removed"), "{again}");

    assert_eq!(host.ok(&["apply", "fleet", "--dry-run"]).await, "nothing to do\n");
    assert_eq!(
        host.ok(&["apply", "fleet", "--dry-run", "--prune"]).await,
        "nothing to do\n"
    );
    assert_eq!(host.ok(&["apply", "fleet"]).await, "nothing to do\n");
    let group = host.json(&["groups", "show", "edge", "--json"]).await;
    assert_eq!(
        group["published"]["content"]["layers"][0]["revision"], 1,
        "still published"
    );

    // Another server has all of it after one `apply`; the agent isn't there.
    let other = Host::start();
    let fleet = host.path().join("fleet").display().to_string();
    let pending = other.run(&["apply", &fleet, "--dry-run"]).await;
    assert_eq!(pending.code, 2, "{}{}", pending.out, pending.err);
    assert!(
        pending.out.ends_with("5 to make, 0 to change, 0 to delete\n"),
        "{}",
        pending.out
    );
    assert!(
        pending.err.contains("passed over: agents.toml:"),
        "{}",
        pending.err
    );
    assert_eq!(
        other.json(&["configs", "list", "--json"]).await,
        serde_json::json!([]),
        "nothing was done"
    );
    other.ok(&["apply", &fleet, "-m", "from the other"]).await;
    assert_eq!(other.ok(&["apply", &fleet]).await, "nothing to do\n");
    let config = other.json(&["configs", "show", "edge", "--json"]).await;
    assert_eq!(config["description"], "What \"every\" host runs");
    assert_eq!(config["newest"]["message"], "from the other");
    other.ok(&["export", "copy"]).await;
    let copy = all(&other.path().join("copy"));
    assert_eq!(
        copy.split("---- configs").nth(1),
        first.split("---- configs").nth(1)
    );
    host.server.stop().await.unwrap();
    other.server.stop().await.unwrap();
}

#[tokio::test]
async fn edited_files_are_shown_as_a_plan_and_done_once() {
    let (host, agent) = busy().await;
    host.ok(&["export", "fleet"]).await;
    let fleet = host.path().join("fleet");
    let edit = |name: &str, from: &str, to: &str| {
        let path = fleet.join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    edit("configs/edge.yaml", "debug", "debug/2");
    edit("configs/edge.toml", "every", "each");
    edit("groups/edge.toml", "priority = 7", "priority = 8");
    // Written otherwise, it means the same: no change.
    edit("groups/edge.toml", "label.site = zrh", "site=zrh");
    edit("agents.toml", "zrh", "gva");
    fs::write(fleet.join("groups/new.toml"), "layers = [\"bare\"]\n").unwrap();
    let pending = host.run(&["apply", "fleet", "--dry-run"]).await;
    assert_eq!((pending.code, pending.err.as_str()), (2, ""), "{}", pending.out);
    insta::assert_snapshot!(pending.out.replace(&agent, "AGENT"));
    let json = host.run(&["apply", "fleet", "--dry-run", "--json"]).await;
    let plan: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, plan["steps"].as_array().unwrap().len()), (2, 4));

    host.ok(&["apply", "fleet"]).await;
    assert_eq!(host.ok(&["apply", "fleet", "--dry-run"]).await, "nothing to do\n");
    let shown = host.json(&["agents", "show", &agent, "--json"]).await;
    assert_eq!(shown["labels"]["site"], "gva");
    assert_eq!(
        host.json(&["configs", "show", "edge", "--json"]).await["latest"],
        2
    );
    assert_eq!(
        host.json(&["groups", "show", "edge", "--json"]).await["priority"],
        8
    );
    host.ok(&["export", "fleet"]).await;
    assert!(
        fs::read_to_string(fleet.join("groups/edge.toml"))
            .unwrap()
            .contains("label.site = zrh")
    );
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_deleted_unless_it_is_said_and_confirmed() {
    let (host, agent) = busy().await;
    host.ok(&["export", "fleet"]).await;
    let fleet = host.path().join("fleet");
    for file in ["configs/bare.yaml", "groups/plain.toml"] {
        fs::remove_file(fleet.join(file)).unwrap();
    }
    let text = fs::read_to_string(fleet.join("agents.toml")).unwrap();
    fs::write(fleet.join("agents.toml"), text.replace("note = ", "other = ")).unwrap();
    let kept = host.run(&["apply", "fleet", "--dry-run"]).await;
    assert_eq!(kept.code, 2);
    assert!(
        kept.out.ends_with("0 to make, 1 to change, 0 to delete\n"),
        "{}",
        kept.out
    );
    for word in [
        "--prune deletes it",
        "config bare",
        "group plain",
        "label note of agent Web one",
    ] {
        assert!(kept.err.contains(word), "{}", kept.err);
    }
    let asked = host.run(&["apply", "fleet", "--prune"]).await;
    assert_eq!(asked.code, 1, "{}", asked.err);
    assert!(
        asked.err.contains(
            "Really remove labels of agent Web one: note; delete group plain; delete config bare? Add --yes"
        ),
        "{}",
        asked.err
    );
    assert_eq!(
        host.json(&["configs", "list", "--json"])
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let done = host.ok(&["apply", "fleet", "--prune", "--yes"]).await;
    assert!(
        done.contains("- config bare\n") && done.ends_with("done\n"),
        "{done}"
    );
    assert_eq!(
        host.json(&["configs", "list", "--json"])
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let labels = &host.json(&["agents", "show", &agent, "--json"]).await["labels"];
    assert!(
        labels.get("note").is_none() && labels["site"] == "zrh",
        "{labels}"
    );

    // The other way round: files of what is gone stay until that is said.
    host.ok(&["groups", "create", "brief"]).await;
    host.ok(&["export", "fleet"]).await;
    host.ok(&["groups", "delete", "brief", "--yes"]).await;
    let kept = host.run(&["export", "fleet"]).await;
    assert!(
        kept.err
            .contains("groups/brief.toml is not on the server any more"),
        "{}",
        kept.err
    );
    assert!(fleet.join("groups/brief.toml").exists());
    host.ok(&["export", "fleet", "--prune"]).await;
    assert!(!fleet.join("groups/brief.toml").exists());
    // A part that the folder lacks is left alone, also with --prune.
    fs::remove_dir_all(fleet.join("configs")).unwrap();
    fs::write(fleet.join("groups/edge.toml"), "priority = 7\n").unwrap();
    assert_eq!(host.ok(&["apply", "fleet", "--prune"]).await, "nothing to do\n");
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_told_with_file_and_line_before_anything_is_changed() {
    let host = Host::start();
    let fleet = host.path().join("fleet");
    for part in ["configs", "groups"] {
        fs::create_dir_all(fleet.join(part)).unwrap();
    }
    let good = fleet.join("configs/good.yaml");
    let cases = [
        (
            "configs/edge.yaml",
            "receivers:\n  otlp:\nservice: [\n",
            "configs/edge.yaml:",
        ),
        (
            "configs/Edge.yaml",
            GOOD,
            "configs/Edge.yaml: the file's name is no name",
        ),
        (
            "configs/edge.yml",
            GOOD,
            "configs/edge.yml: a config is a file NAME.yaml",
        ),
        ("configs/edge.yaml", " \n", "configs/edge.yaml:1: it is empty"),
        (
            "configs/lone.toml",
            "description = \"x\"\n",
            "configs/lone.toml:1: there is no lone.yaml beside it",
        ),
        (
            "configs/good.toml",
            "\ndescripton = \"x\"\n",
            "configs/good.toml:2: \"descripton\" is not known here; did you mean description?",
        ),
        (
            "configs/app.toml",
            "[[files]]\nname = \"a\"\npath = \"../../x\"\n",
            "configs/app.toml:3: path is inside configs/",
        ),
        (
            "configs/app.toml",
            "[[files]]\nname = \"a\"\npath = \"none\"\n",
            "configs/app.toml:3: cannot read configs/none",
        ),
        (
            "groups/edge.toml",
            "priority = 1\nselectors = [\n  \"a = \",\n]\n",
            "groups/edge.toml:3: ",
        ),
        (
            "groups/edge.toml",
            "\n\npriority = \"high\"\n",
            "groups/edge.toml:3: priority: ",
        ),
        (
            "groups/edge.toml",
            "layers = [\"nobody\"]\n",
            "groups/edge.toml:1: there is no config \"nobody\"",
        ),
        ("groups/edge.toml", "a = 1\na = 2\n", "groups/edge.toml:2: "),
        (
            "groups/edge.toml",
            "prioritee = 2\n",
            "groups/edge.toml:1: \"prioritee\" is not known here; did you mean priority?",
        ),
        (
            "agents.toml",
            "[web-1]\n",
            "agents.toml:1: \"web-1\" is not the id of an agent",
        ),
        (
            "muster.toml",
            "format = 2\n",
            "muster.toml:1: this version reads format 1",
        ),
    ];
    for (file, text, words) in cases {
        fs::write(&good, GOOD).unwrap();
        fs::write(fleet.join(file), text).unwrap();
        let said = host.run(&["apply", "fleet"]).await;
        assert_eq!(said.code, 1, "{file}: {}{}", said.out, said.err);
        assert!(said.err.contains(words), "{file}: {}", said.err);
        fs::remove_file(fleet.join(file)).unwrap();
    }
    assert_eq!(
        host.json(&["configs", "list", "--json"]).await,
        serde_json::json!([])
    );
    let nothing = host.run(&["apply", "data"]).await;
    assert_eq!(nothing.code, 1);
    assert!(
        nothing.err.contains("has neither configs/ nor groups/"),
        "{}",
        nothing.err
    );
    let other = host.run(&["export", "."]).await;
    assert_eq!(other.code, 1);
    assert!(other.err.contains("holds "), "{}", other.err);
    let unreachable = host.run(&["apply", "fleet", "--data", "nowhere"]).await;
    assert_eq!(unreachable.code, 3, "{}", unreachable.err);
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn both_work_from_elsewhere_with_a_token() {
    let (host, _) = busy().await;
    let accounts = &host.server.app.accounts;
    let setup = accounts.issue_setup_token(&crate::people::host()).await.unwrap();
    let visitor = crate::people::visitor(1);
    let signed_in = accounts
        .claim(
            setup.expose(),
            "anna",
            &Password::new(crate::people::PASSWORD),
            &visitor,
        )
        .await
        .unwrap();
    let wish = crate::people::token("ci", Role::Operator);
    let (made, _) = accounts.create_token(&signed_in.actor, wish).await.unwrap();
    let url = format!("https://localhost:{}", host.server.admin_address.port());
    let reach = [
        "--server",
        url.as_str(),
        "--ca",
        "data/ca.pem",
        "--token",
        made.expose(),
    ];
    let run = |verb: &[&'static str]| {
        let arguments: Vec<&str> = verb.iter().copied().chain(reach).collect();
        let host = &host;
        async move { host.ok(&arguments).await }
    };
    run(&["export", "fleet"]).await;
    assert_eq!(run(&["apply", "fleet"]).await, "nothing to do\n");
    fs::write(host.path().join("fleet/configs/more.yaml"), GOOD).unwrap();
    assert!(
        run(&["apply", "fleet"])
            .await
            .contains("+ config more  (configs/more.yaml)\n")
    );
    host.server.stop().await.unwrap();
}

/// Only one more exporter than what it is laid over.
const PART: &str =
    "exporters:\n  debug/more:\nservice:\n  pipelines:\n    traces:\n      exporters: !append [debug/more]\n";

#[tokio::test]
async fn a_part_of_a_configuration_is_checked_saved_exported_and_applied_as_what_it_is() {
    let host = Host::start();
    fs::write(host.path().join("part.yaml"), PART).unwrap();
    fs::write(host.path().join("edge.yaml"), GOOD).unwrap();
    let lacks = "part.yaml:5:5: incomplete: the pipeline \"traces\" has no receiver: another layer of the group must bring it\n";
    assert_eq!(host.ok(&["configs", "check", "-f", "part.yaml"]).await, lacks);
    let whole = host
        .run(&["configs", "check", "-f", "part.yaml", "--as", "whole"])
        .await;
    assert_eq!(whole.code, 1);
    assert_eq!(
        whole.out,
        "part.yaml:5:5: error: the pipeline \"traces\" has no receiver\n"
    );
    assert!(
        whole.err.contains("part.yaml can't be published; errors: 1"),
        "{}",
        whole.err
    );
    let saved = host.ok(&["configs", "create", "part", "-f", "part.yaml"]).await;
    assert_eq!(saved, format!("{lacks}saved part@1\n"));
    let shown = host.ok(&["configs", "show", "part"]).await;
    assert!(shown.contains("part:5:5: incomplete:"), "{shown}");

    host.ok(&["configs", "create", "edge", "-f", "edge.yaml"]).await;
    host.ok(&["groups", "create", "edge", "--layer", "edge", "--layer", "part"])
        .await;
    let alone = host
        .run(&["publish", "edge", "part", "edge", "--impact-only"])
        .await;
    assert_eq!(alone.code, 0, "the order of layers is free: {}", alone.err);
    host.ok(&["groups", "create", "other"]).await;
    let refused = host
        .fails(1, &["publish", "other", "part", "--confirm", "0"])
        .await;
    assert!(
        refused.contains("part@1 can't be published to group other: mend the errors"),
        "{refused}"
    );
    host.ok(&["publish", "edge", "--confirm", "0"]).await;

    host.ok(&["export", "fleet"]).await;
    assert_eq!(host.ok(&["apply", "fleet", "--dry-run"]).await, "nothing to do\n");
    let other = Host::start();
    let fleet = host.path().join("fleet").display().to_string();
    let applied = other.run(&["apply", &fleet]).await;
    assert_eq!(applied.code, 0, "{}", applied.err);
    assert!(
        applied.err.contains("incomplete: the pipeline"),
        "{}",
        applied.err
    );
    other.ok(&["publish", "edge", "--confirm", "0"]).await;
    for host in [host, other] {
        host.server.stop().await.unwrap();
    }
}
