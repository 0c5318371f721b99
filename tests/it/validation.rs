//! A collector that looks at configurations, too: set, it is asked at every save, check and publication.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use muster::settings::Settings;

use crate::verbs::{GOOD, Host};

/// A script in the place of a collector, in a folder of its own: it may run as somebody else.
fn fake(folder: &Path, script: &str) -> PathBuf {
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(folder);
    let (draft, collector) = (folder.join("draft"), folder.join("collector"));
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    open(&draft);
    fs::rename(draft, &collector).unwrap();
    collector
}

fn with(collector: PathBuf) -> impl FnOnce(&mut Settings) {
    |settings| settings.validation.collector = Some(collector)
}

/// Refuses what names a component that it doesn't have.
const PICKY: &str =
    "grep -q debug/gone \"$3\" || exit 0; echo 'Error: exporters::debug/gone: no such thing' >&2; exit 1";

#[tokio::test]
async fn what_the_collector_refuses_is_neither_saved_nor_published() {
    let folder = tempfile::tempdir().unwrap();
    let collector = fake(folder.path(), "exit 0");
    let host = Host::with(with(collector));
    let bad = GOOD.replace("debug", "debug/gone");
    fs::write(host.path().join("good.yaml"), GOOD).unwrap();
    fs::write(host.path().join("bad.yaml"), &bad).unwrap();
    host.ok(&["groups", "create", "edge"]).await;
    host.ok(&["configs", "create", "good", "-f", "good.yaml"]).await;
    host.ok(&["configs", "create", "bad", "-f", "bad.yaml"]).await;

    fake(folder.path(), PICKY);
    for verb in [
        &["configs", "create", "x", "-f", "bad.yaml"][..],
        &["configs", "save", "good", "-f", "bad.yaml"],
    ] {
        let refused = host.fails(4, verb).await;
        assert!(
            refused.contains("the collector says of exporters::debug/gone: no such thing"),
            "{refused}"
        );
    }
    let checked = host.run(&["configs", "check", "-f", "bad.yaml"]).await;
    assert_eq!(checked.code, 1, "{}", checked.err);
    assert!(
        checked.out.starts_with("bad.yaml:6:3: error: the collector says"),
        "{}",
        checked.out
    );
    assert_eq!(
        host.ok(&["configs", "check", "-f", "good.yaml"]).await,
        "good.yaml: nothing found\n"
    );
    // It was saved before the collector looked.
    let refused = host.fails(4, &["publish", "edge", "bad", "--confirm", "0"]).await;
    assert!(refused.contains("no such thing"), "{refused}");
    host.ok(&["publish", "edge", "good", "--confirm", "0"]).await;
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn the_collector_sees_a_part_only_with_what_completes_it() {
    let folder = tempfile::tempdir().unwrap();
    // It finds fault with everything that it is shown.
    let collector = fake(folder.path(), "echo 'Error: exporters::debug: seen' >&2; exit 1");
    let host = Host::with(with(collector));
    let part = "exporters:\n  debug/more:\nservice:\n  pipelines:\n    traces:\n      exporters: !append [debug/more]\n";
    fs::write(host.path().join("part.yaml"), part).unwrap();
    fs::write(host.path().join("good.yaml"), GOOD).unwrap();
    let saved = host.ok(&["configs", "create", "part", "-f", "part.yaml"]).await;
    assert!(
        saved
            .starts_with("part.yaml:5:5: incomplete: the pipeline \"traces\" has no receiver: another layer"),
        "{saved}"
    );
    let refused = host
        .fails(4, &["configs", "create", "good", "-f", "good.yaml"])
        .await;
    assert!(
        refused.contains("the collector says of exporters::debug: seen"),
        "{refused}"
    );

    fake(folder.path(), "exit 0");
    host.ok(&["configs", "create", "good", "-f", "good.yaml"]).await;
    host.ok(&["groups", "create", "edge"]).await;
    fake(folder.path(), PICKY.replace("debug/gone", "debug/more").as_str());
    let refused = host
        .fails(4, &["publish", "edge", "good", "part", "--confirm", "0"])
        .await;
    assert!(
        refused.contains("the collector says of exporters::debug/more: no such thing"),
        "{refused}"
    );
    host.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_collector_that_can_not_be_asked_is_told_and_stops_nobody() {
    let host = Host::with(with("/nowhere/otelcol".into()));
    fs::write(host.path().join("good.yaml"), GOOD).unwrap();
    let saved = host.ok(&["configs", "create", "good", "-f", "good.yaml"]).await;
    assert!(
        saved
            .starts_with("good.yaml:1:1: warning: could not be validated: /nowhere/otelcol can't be started"),
        "{saved}"
    );
    assert!(saved.ends_with("saved good@1\n"), "{saved}");
    host.ok(&["groups", "create", "edge"]).await;
    host.ok(&["publish", "edge", "good", "--confirm", "0"]).await;
    let wrong = host
        .fails(1, &["check", "--set", "validation.collector=/nowhere/otelcol"])
        .await;
    assert!(
        wrong.contains("validation.collector: /nowhere/otelcol can't be run"),
        "{wrong}"
    );
    host.server.stop().await.unwrap();
}
