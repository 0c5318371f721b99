use super::*;

const OFFERED: &str = "\
receivers: {otlp: {protocols: {grpc: {endpoint: '${env:IP}:4317'}}}}
processors: {batch: }
exporters: {debug: {verbosity: basic, token: secret, ratio: 1}}
extensions: {zpages: {}}
service:
  extensions: [zpages]
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}
";

const EFFECTIVE: &str = "\
exporters: {debug: {token: '[REDACTED]', verbosity: basic, ratio: 1.0}}
extensions:
  health_check: {endpoint: 'localhost:1'}
  opamp: {instance_uid: x}
  zpages:
processors: {batch: {}}
receivers: {otlp: {protocols: {grpc: {endpoint: '10.0.0.1:4317'}}}}
service:
  extensions: [health_check, opamp, zpages]
  pipelines: {traces: {exporters: [debug], processors: [batch], receivers: [otlp]}}
  telemetry: {resource: {service.name: x}}
";

fn compared(offered: &str, effective: &str) -> Drift {
    let (offered, effective) = (ConfigMap::document(offered), ConfigMap::document(effective));
    drift(&offered, &effective, &Limits::default())
}

/// The paths that differ after `from` was replaced by `to` in what the agent reports.
fn paths(from: &str, to: &str) -> Vec<String> {
    assert!(EFFECTIVE.contains(from), "{from}");
    places(compared(OFFERED, &EFFECTIVE.replacen(from, to, 1)))
}

fn places(drift: Drift) -> Vec<String> {
    differences(drift).into_iter().map(|found| found.path).collect()
}

fn differences(drift: Drift) -> Vec<Difference> {
    match drift {
        Drift::InSync => Vec::new(),
        Drift::Differs { differences } => differences,
        Drift::CannotVerify { reason } => panic!("{reason}"),
    }
}

#[test]
fn what_supervisors_add_and_how_collectors_write_is_no_drift() {
    assert_eq!(compared(OFFERED, EFFECTIVE), Drift::InSync);
    let without = "receivers: {nop: }\nservice: {pipelines: {}}\n";
    let added =
        "receivers: {nop: }\nextensions: {opamp: {}}\nservice: {extensions: [opamp], pipelines: {}}\n";
    assert_eq!(compared(without, added), Drift::InSync);
}

#[test]
fn a_real_difference_is_told_by_its_path() {
    assert_eq!(
        paths("verbosity: basic", "verbosity: normal"),
        ["exporters.debug.verbosity"]
    );
    assert_eq!(
        paths("processors: {batch: {}}", "processors: {}"),
        ["processors.batch"]
    );
    assert_eq!(paths("zpages:\n", "zpages:\n  pprof:\n"), ["extensions.pprof"]);
    assert_eq!(
        paths("[health_check, opamp, zpages]", "[opamp]"),
        ["service.extensions"]
    );
    assert_eq!(
        paths("[health_check, opamp, zpages]", "[zpages, pprof]"),
        ["service.extensions"]
    );
    assert_eq!(
        paths("[debug]", "[debug, otlp]"),
        ["service.pipelines.traces.exporters"]
    );
    assert_eq!(paths("[debug]", "[otlp]"), ["service.pipelines.traces.exporters"]);
    assert_eq!(paths("batch: {}", "batch: [a]"), ["processors.batch"]);
}

#[test]
fn what_nobody_offered_is_drift_unless_a_supervisor_adds_it() {
    let without = "receivers: {nop: }\nservice: {pipelines: {}}\n";
    let added =
        "receivers: {nop: }\nextensions: {pprof: {}}\nservice: {extensions: [pprof], pipelines: {}}\n";
    assert_eq!(
        places(compared(without, added)),
        ["extensions.pprof", "service.extensions"]
    );
}

#[test]
fn what_can_not_be_read_is_never_in_sync() {
    for effective in ["a: [", "a: 1\na: 1\n", "\0"] {
        let found = compared(OFFERED, effective);
        assert!(
            matches!(found, Drift::CannotVerify { .. }),
            "{effective:?}: {found:?}"
        );
    }
    let nothing = drift(
        &ConfigMap::document(OFFERED),
        &ConfigMap::default(),
        &Limits::default(),
    );
    assert!(matches!(nothing, Drift::CannotVerify { .. }));
    assert!(matches!(compared(OFFERED, ""), Drift::Differs { .. }));
}

#[test]
fn named_entries_are_compared_by_name() {
    let map = |entries: &[(&str, &str)]| {
        let file = |body: &str| ConfigFile {
            body: body.into(),
            ..ConfigFile::default()
        };
        let files = entries
            .iter()
            .map(|(name, body)| ((*name).to_owned(), file(body)));
        ConfigMap {
            files: files.collect(),
        }
    };
    let offered = map(&[("a", "x = 1"), ("b", "y: 1")]);
    let limits = Limits::default();
    assert_eq!(
        drift(
            &offered,
            &map(&[("a", "x = 1"), ("b", "y:  1"), ("c", "")]),
            &limits
        ),
        Drift::InSync
    );
    let found = drift(&offered, &map(&[("a", "x = 2"), ("c", "")]), &limits);
    assert_eq!(places(found), ["a", "b"]);
}

#[test]
fn a_difference_shows_both_values_and_no_secret() {
    let found = |from: &str, to: &str| {
        let drift = compared(OFFERED, &EFFECTIVE.replacen(from, to, 1));
        let mut found = differences(drift);
        assert_eq!(found.len(), 1, "{found:?}");
        let Difference {
            change,
            offered,
            runs,
            ..
        } = found.remove(0);
        let text = |shown: Option<Shown>| shown.map(|shown| shown.text).unwrap_or_default();
        (change, text(offered), text(runs))
    };
    let told = |change, offered: &str, runs: &str| (change, offered.to_owned(), runs.to_owned());
    assert_eq!(
        found("verbosity: basic", "verbosity: normal"),
        told(Change::Changed, "basic", "normal")
    );
    assert_eq!(
        found("processors: {batch: {}}", "processors: {}"),
        told(Change::Removed, "null", "")
    );
    assert_eq!(
        found("{batch: {}}", "{batch: {}, more: {password: x, y: [1, true]}}"),
        told(Change::Added, "", "{password: ***, y: [1, true]}")
    );
    assert_eq!(
        found("'[REDACTED]'", "other"),
        told(Change::Changed, "***", "***")
    );
    let long = found("verbosity: basic", &format!("verbosity: {}", "é".repeat(1000)));
    assert_eq!(long.2.chars().count(), 240);
}

#[test]
fn the_order_of_names_says_nothing_where_collectors_give_it_no_meaning() {
    let of = |receivers: &str, processors: &str, exporters: &str| {
        format!(
            "service: {{pipelines: {{traces: {{receivers: [{receivers}], processors: [{processors}], exporters: [{exporters}]}}}}}}"
        )
    };
    let ours = of("a, b", "c, d", "e, f");
    assert_eq!(compared(&ours, &of("b, a", "c, d", "f, e")), Drift::InSync);
    assert_eq!(
        places(compared(&ours, &of("a, b", "d, c", "e, f"))),
        ["service.pipelines.traces.processors[]"; 2]
    );
}

#[test]
fn what_supervisors_do_to_telemetry_and_to_their_own_extension_is_no_drift() {
    let ours = "\
extensions: {opamp: {server: {ws: {endpoint: 'wss://mine'}}}, health_check: {endpoint: '0.0.0.0:13133'}}
service:
  telemetry: {logs: {level: warn}, metrics: {readers: [{pull: {exporter: x}}]}}
  extensions: [opamp, health_check]
";
    let theirs = ours
        .replace("wss://mine", "ws://127.0.0.1:5000")
        .replace(
            "logs: {level: warn}",
            "logs: {encoding: json, level: warn}, resource: {a: b}",
        )
        .replace(
            "[{pull: {exporter: x}}]",
            "[{periodic: {exporter: y}}, {pull: {exporter: x}}]",
        );
    assert_eq!(compared(ours, &theirs), Drift::InSync);
    assert_eq!(
        places(compared(ours, &theirs.replace("level: warn", "level: debug"))),
        ["service.telemetry.logs.level"]
    );
    assert_eq!(
        places(compared(ours, &theirs.replace("0.0.0.0:13133", "0.0.0.0:1"))),
        ["extensions.health_check.endpoint"]
    );
    assert_eq!(
        places(compared(
            ours,
            &theirs.replace("{pull: {exporter: x}}", "{pull: {exporter: z}}")
        )),
        ["service.telemetry.metrics.readers"]
    );
}

/// What a collector of ours reported under its Supervisor, shortened.
const REPORTED: &str = "\
connectors: {}
exporters:
    debug: {output_paths: [], sampling_initial: 2, sending_queue: null, use_internal_logger: true}
extensions:
    opamp: {instance_uid: x, ppid: 14794, ppid_poll_interval: 5s, server: {ws: {endpoint: 'ws://127.0.0.1:1/v1/opamp'}}}
processors: {}
receivers:
    otlp:
        protocols:
            grpc: null
            http: {cors: null, endpoint: '127.0.0.1:4318', idle_timeout: 0s, read_timeout: 1m0s, transport: tcp}
service:
    extensions: [opamp]
    pipelines:
        traces: {exporters: [debug], processors: [], receivers: [otlp]}
    telemetry:
        logs: {encoding: json, level: info}
        metrics: {level: None, readers: [{pull: {exporter: {prometheus: {port: 8888}}}}]}
        resource: {host.name: vm}
";

#[test]
fn a_collector_that_reports_its_defaults_is_in_sync() {
    let ours = "\
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:4318', read_timeout: 60s}}}}
exporters: {debug: {}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
";
    assert_eq!(compared(ours, REPORTED), Drift::InSync);
    for (from, to, place) in [
        (
            "127.0.0.1:4318",
            "0.0.0.0:4318",
            "receivers.otlp.protocols.http.endpoint",
        ),
        ("1m0s", "2m0s", "receivers.otlp.protocols.http.read_timeout"),
        (
            "processors: {}",
            "processors: {batch: {timeout: 1s}}",
            "processors",
        ),
        ("connectors: {}", "connectors: {count: {x: 1}}", "connectors"),
        (
            "processors: []",
            "processors: [batch]",
            "service.pipelines.traces.processors",
        ),
        ("level: None", "level: Basic", "service.telemetry.metrics.level"),
    ] {
        assert!(REPORTED.contains(from));
        assert_eq!(places(compared(ours, &REPORTED.replacen(from, to, 1))), [place]);
    }
}

#[test]
fn what_collectors_never_report_is_no_drift() {
    let offered =
        "receivers:\n  hostmetrics/disk:\n    scrapers:\n      disk:\n  otlp:\n    protocols:\n      http:\n";
    let reported = "receivers:\n  hostmetrics/disk:\n    timeout: 0s\n  otlp:\n    protocols:\n      http:\n";
    assert_eq!(compared(offered, reported), Drift::InSync);
    let without = reported.replace("    protocols:\n      http:\n", "    timeout: 0s\n");
    assert_eq!(places(compared(offered, &without)), ["receivers.otlp.protocols"]);
}
