//! With programs in place of a collector: scripts that do what one does, and what none should.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

const GOOD: &str = "receivers: {nop: }\nexporters:\n  debug: {verbosity: \"${env:V}\"}\nservice: {pipelines: {logs: {receivers: [nop], exporters: [debug]}}}";
const PLAIN: &str = "receivers: {nop: }\nexporters:\n  debug:\nservice: {pipelines: {logs: {receivers: [nop], exporters: [debug]}}}";

/// A script in a folder that everybody may look into, since it may run as somebody else.
struct Fake {
    folder: TempDir,
    validator: Validator,
}

impl Fake {
    fn new(script: &str) -> Self {
        Self::with(script, Duration::from_secs(20))
    }

    fn with(script: &str, timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        open(folder.path(), 0o777);
        let collector = folder.path().join("collector");
        // Written under another name: a file that is open for writing can't be run.
        let draft = folder.path().join("draft");
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        open(&draft, 0o755);
        fs::rename(&draft, &collector).unwrap();
        let validator = Validator::new(Settings { collector, timeout });
        Self { folder, validator }
    }

    async fn says(&self, yaml: &str) -> Vec<Problem> {
        self.validator.check(&Content::Yaml(yaml.to_owned())).await
    }

    /// What the script wrote into this file.
    fn wrote(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn here(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn one(problems: &[Problem]) -> (bool, &str) {
    assert_eq!(problems.len(), 1, "{problems:?}");
    (problems[0].is_error(), problems[0].message.as_str())
}

#[tokio::test]
async fn what_it_accepts_is_no_problem_and_what_it_refuses_is_an_error_at_its_place() {
    assert_eq!(Fake::new("exit 0").says(GOOD).await, []);
    let found = Fake::new("echo 'Error: exporters::debug: unknown verbosity' >&2; exit 1")
        .says(PLAIN)
        .await;
    assert_eq!(
        one(&found),
        (true, "the collector says of exporters::debug: unknown verbosity")
    );
    assert_eq!((found[0].at.line, found[0].at.column), (3, 3));
}

#[tokio::test]
async fn it_sees_the_document_with_stand_ins_an_empty_folder_and_nothing_of_ours() {
    let fake = Fake::new("exit 0");
    let script = format!(
        "cat \"$3\" > {doc}; echo \"$1 $2\" > {args}; ls > {ls}; env | cut -d= -f1 | sort > {env}; pwd > {pwd}; ulimit -t > {cpu}; cat > {input}",
        doc = fake.here("doc"),
        args = fake.here("args"),
        ls = fake.here("ls"),
        env = fake.here("env"),
        pwd = fake.here("pwd"),
        cpu = fake.here("cpu"),
        input = fake.here("input"),
    );
    let inner = Fake::new(&script);
    assert_eq!(inner.says(GOOD).await, []);
    assert!(
        fake.wrote("doc").contains("${env:MUSTER_STAND_IN}"),
        "{}",
        fake.wrote("doc")
    );
    assert!(!fake.wrote("doc").contains("env:V"));
    assert_eq!(fake.wrote("args"), "validate --config\n");
    assert_eq!(fake.wrote("ls"), "config.yaml\n");
    let known = ["GOMAXPROCS", "GOMEMLIMIT", "HOME", "MUSTER_STAND_IN", "TMPDIR"];
    // A shell sets these itself.
    let given = fake.wrote("env");
    let given: Vec<_> = given
        .lines()
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    assert_eq!(given, known);
    assert_eq!(fake.wrote("input"), "");
    assert_eq!(fake.wrote("cpu"), "20\n");
    assert!(
        !Path::new(fake.wrote("pwd").trim()).exists(),
        "the folder is gone"
    );
}

#[tokio::test]
async fn a_reference_never_makes_it_fail_falsely_and_never_hides_what_is_wrong_anyway() {
    // Takes only a truth value, as `insecure: ${env:X}` does.
    let picky = "test \"$MUSTER_STAND_IN\" = true && exit 0; echo \"exporters::debug: not a bool: $MUSTER_STAND_IN\"; exit 1";
    assert_eq!(Fake::new(picky).says(GOOD).await, []);
    let always = "echo \"exporters::debug: gone\"; echo \"exporters::debug: odd: $MUSTER_STAND_IN\"; exit 1";
    let found = Fake::new(always).says(GOOD).await;
    assert_eq!(
        one(&found),
        (true, "the collector says of exporters::debug: gone")
    );
    let never = "echo \"exporters::debug: odd: $MUSTER_STAND_IN\"; exit 1";
    let found = Fake::new(never).says(GOOD).await;
    assert!(
        !one(&found).0 && one(&found).1.starts_with("could not be validated: "),
        "{found:?}"
    );
}

#[tokio::test]
async fn one_that_hangs_is_ended_with_all_that_it_started_and_stops_nobody() {
    let fake = Fake::new("exit 0");
    let alive = fake.here("alive");
    // The child holds the pipes open, too.
    let script = format!("(sleep 2; echo yes > {alive}) & wait");
    let found = Fake::with(&script, Duration::from_secs(1)).says(PLAIN).await;
    assert_eq!(
        one(&found),
        (
            false,
            "could not be validated: the collector gave no answer within 1 s"
        )
    );
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert_eq!(fake.wrote("alive"), "", "what it started went on");
}

#[tokio::test]
async fn one_that_is_missing_killed_or_no_collector_is_told_and_stops_nobody() {
    let missing = Validator::new(Settings {
        collector: "/nowhere/otelcol".into(),
        timeout: Duration::from_secs(5),
    });
    let found = missing.check(&Content::Yaml(PLAIN.to_owned())).await;
    let (is_error, words) = one(&found);
    assert!(
        !is_error && words.starts_with("could not be validated: /nowhere/otelcol can't be started"),
        "{words}"
    );
    for script in [
        "kill -9 $$",
        "exit 3",
        "echo 'Error: unknown command \"validate\"' >&2; exit 1",
        "echo 'panic: runtime error' >&2; exit 2",
        "while :; do :; done",
    ] {
        let found = Fake::with(script, Duration::from_secs(2)).says(PLAIN).await;
        let (is_error, words) = one(&found);
        assert!(
            !is_error && words.starts_with("could not be validated: the collector "),
            "{script}: {words}"
        );
    }
}

#[tokio::test]
async fn a_flood_is_cut_and_read_to_its_end() {
    let script = "yes 'exporters::debug: a long complaint' | head -c 3000000; exit 1";
    let found = Fake::new(script).says(PLAIN).await;
    // The one that is repeated, and what is left of the last.
    assert!(
        found.len() <= 2 && found.iter().all(Problem::is_error),
        "{found:?}"
    );
}

#[tokio::test]
async fn it_may_not_fill_the_disk() {
    let fake =
        Fake::new("head -c 3000000 /dev/zero > big && exit 0; echo 'receivers::nop: no room' >&2; exit 1");
    let found = fake.says(PLAIN).await;
    assert!(
        found.iter().any(|problem| problem.message.ends_with("no room")),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_runs_at_a_time_and_who_finds_the_queue_full_is_told_so() {
    let fake = Fake::new("sleep 0.05; exit 0");
    let checks = (0..QUEUE + 4).map(|_| fake.says(PLAIN));
    let found = futures_util::future::join_all(checks).await;
    let busy = found.iter().filter(|problems| !problems.is_empty());
    let busy: Vec<_> = busy.map(|problems| one(problems).1).collect();
    assert_eq!(
        busy,
        ["could not be validated: too many checks are waiting; try again"; 4]
    );
}
