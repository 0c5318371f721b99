use super::*;
use crate::fleet::agent::report::Component;
use crate::fleet::config::problem::Severity;

const GOOD: &str = "\
receivers:
  otlp: {protocols: {grpc: {}}}
  hostmetrics/host:
processors:
  batch:
exporters:
  debug:
connectors:
  spanmetrics:
extensions:
  health_check:
service:
  extensions: [health_check]
  telemetry: {logs: {level: info}}
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [spanmetrics, debug]}
    metrics/edge: {receivers: [hostmetrics/host, spanmetrics], exporters: [debug]}
";

fn found(text: &str) -> Vec<String> {
    found_for(text, &Available::default())
}

fn found_for(text: &str, available: &Available) -> Vec<String> {
    let problems = lint_for(text.as_bytes(), &Limits::default(), available, Judged::Whole);
    problems.iter().map(shown).collect()
}

fn shown(p: &Problem) -> String {
    let mark = match p.severity {
        Severity::Error => "",
        Severity::Incomplete => "… ",
        Severity::Warning => "? ",
    };
    format!("{mark}{}:{} {}", p.at.line, p.at.column, p.message)
}

/// What is found in a layer.
fn found_in_layer(text: &str) -> Vec<String> {
    let problems = lint(text.as_bytes(), &Limits::default(), Judged::Layer);
    problems.iter().map(shown).collect()
}

/// What is found after `from` was replaced by `to`.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    found(&GOOD.replacen(from, to, 1))
}

#[test]
fn a_good_configuration_has_no_problem() {
    assert_eq!(found(GOOD), Vec::<String>::new());
}

#[test]
fn an_empty_document_and_one_that_is_no_map_are_refused() {
    for text in ["", "# nothing\n", "---\n"] {
        assert!(found(text)[0].contains("the document is empty"), "{text:?}");
    }
    assert_eq!(
        found("- a\n"),
        ["1:1 a configuration is a map of `key: value`, and this is not"]
    );
    assert!(found("receivers: [a]\nservice: {}\n")[0].starts_with("1:12 `receivers` is a map"));
}

#[test]
fn an_unknown_section_is_refused_at_its_key() {
    let problems = changed("processors:\n  batch:", "processors:\n  batch:\nprocessor:\n  x:");
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("6:1 collectors know no section \"processor\""),
        "{problems:?}"
    );
    assert!(changed("  telemetry:", "  telemetri:")[0].starts_with("14:3 `service` knows no \"telemetri\""));
    let problems = changed("processors: [batch]", "processor: [batch]");
    assert!(
        problems[1].contains("a pipeline knows no \"processor\""),
        "{problems:?}"
    );
}

#[test]
fn a_service_runs_at_least_one_pipeline_with_both_ends() {
    let head = "receivers: {otlp: }\nexporters: {debug: }\n";
    let errors = |text: &str| -> Vec<String> {
        let all = found(&format!("{head}{text}"));
        all.into_iter().filter(|p| !p.starts_with('?')).collect()
    };
    assert_eq!(
        errors(""),
        ["1:1 there is no `service`; it says which pipelines run"]
    );
    assert_eq!(
        errors("service: {}"),
        ["3:1 `service` has no pipelines, so that nothing would run"]
    );
    assert_eq!(
        errors("service: {pipelines: {}}"),
        ["3:11 there is no pipeline, so that nothing would run"]
    );
    assert_eq!(
        errors("service: {pipelines: {logs: {receivers: [otlp], exporters: []}}}"),
        ["3:23 the pipeline \"logs\" has no exporter"]
    );
    assert_eq!(
        errors("service: {pipelines: {logs: {exporters: [debug]}}}"),
        ["3:23 the pipeline \"logs\" has no receiver"]
    );
    assert!(
        errors("service: {pipelines: {log: {receivers: [otlp], exporters: [debug]}}}")[0]
            .contains("names no pipeline")
    );
    assert_eq!(
        errors("service: {pipelines: {logs: {receivers: otlp, exporters: [debug]}}}")[0],
        "3:23 the pipeline \"logs\" has no receiver"
    );
}

#[test]
fn references_have_to_be_defined() {
    assert_eq!(
        changed("receivers: [otlp]", "receivers: [otlp, filelog]"),
        ["16:32 the receiver \"filelog\" is not defined under `receivers` or `connectors`"]
    );
    assert_eq!(
        changed("extensions: [health_check]", "extensions: [health_check, zpages]"),
        ["13:30 the extension \"zpages\" is not defined under `extensions`"]
    );
    assert!(
        changed("processors: [batch]", "processors: [debug, batch]")[0]
            .contains("processor \"debug\" is not defined")
    );
}

#[test]
fn what_is_not_used_is_worth_a_look() {
    assert_eq!(
        changed("processors: [batch], ", ""),
        ["? 5:3 the processor \"batch\" is defined, but not used in a pipeline"]
    );
    assert_eq!(
        changed("  extensions: [health_check]\n", ""),
        ["? 11:3 the extension \"health_check\" is defined, but not used in `service.extensions`"]
    );
}

#[test]
fn a_repeated_reference_is_named() {
    assert_eq!(
        changed("[batch]", "[batch, batch]"),
        ["16:53 the processor \"batch\" stands here a second time"]
    );
    assert_eq!(
        changed("receivers: [otlp]", "receivers: [otlp, otlp]"),
        ["? 16:32 the receiver \"otlp\" stands here a second time"]
    );
}

#[test]
fn a_connector_joins_two_pipelines() {
    let problems = changed("[hostmetrics/host, spanmetrics]", "[hostmetrics/host]");
    assert_eq!(
        problems,
        ["16:66 no pipeline has the connector \"spanmetrics\" as a receiver, so that data ends here"]
    );
    let problems = changed("[spanmetrics, debug]", "[debug]");
    assert_eq!(
        problems,
        ["17:50 no pipeline has the connector \"spanmetrics\" as an exporter, so that no data comes"]
    );
}

#[test]
fn a_component_that_the_agents_lack_is_named() {
    let component = |types: &[&str]| Component {
        components: types
            .iter()
            .map(|t| ((*t).to_owned(), Component::default()))
            .collect(),
        ..Component::default()
    };
    let agent = |receivers: &[&str]| {
        let sections = [
            ("receivers", component(receivers)),
            ("exporters", component(&["debug"])),
        ];
        Available::of(&sections.map(|(name, section)| (name.to_owned(), section)).into())
    };
    assert_eq!(
        found_for(GOOD, &agent(&["otlp", "hostmetrics"])),
        Vec::<String>::new()
    );
    let both = agent(&["otlp", "hostmetrics"]).and(&agent(&["otlp", "filelog"]));
    assert_eq!(
        found_for(GOOD, &both),
        ["3:3 there is no `hostmetrics` receiver in what these agents report"]
    );
    let problems = lint_for(GOOD.as_bytes(), &Limits::default(), &both, Judged::Whole);
    let absent: Vec<_> = problems.iter().filter_map(absent_component).collect();
    assert_eq!(absent, ["`hostmetrics` receiver"]);
    let newer = GOOD.replace("hostmetrics", "host_metrics");
    assert_eq!(
        found_for(&newer, &agent(&["otlp", "hostmetrics"])),
        [
            "3:3 there is no `host_metrics` receiver in what these agents report, which know it by its former name \
          `hostmetrics`"
        ]
    );
    let problems = lint_for(
        newer.as_bytes(),
        &Limits::default(),
        &agent(&["otlp", "hostmetrics"]),
        Judged::Whole,
    );
    assert_eq!(
        problems.iter().find_map(absent_component),
        Some("`host_metrics` receiver")
    );
    assert_eq!(
        found_for(GOOD, &agent(&["otlp", "host_metrics"])),
        Vec::<String>::new()
    );
    let unknown = Available::of(&[("receivers".to_owned(), Component::default())].into());
    assert_eq!(found_for(GOOD, &unknown), Vec::<String>::new());
}

#[test]
fn what_only_the_collector_can_resolve_is_left_to_it() {
    for (from, to) in [
        ("receivers: [otlp]", "receivers: [otlp, \"${env:EXTRA}\"]"),
        (
            "telemetry: {logs: {level: info}}",
            "telemetry: ${file:telemetry.yaml}",
        ),
        ("processors: [batch]", "processors: [batch, '${env:X}']"),
        ("processors:\n  batch:\n", "processors: ${file:processors.yaml}\n"),
    ] {
        assert_eq!(changed(from, to), Vec::<String>::new(), "{to}");
    }
    assert_eq!(found("service: ${file:service.yaml}\n"), Vec::<String>::new());
}

#[test]
fn an_id_is_a_type_or_a_type_and_a_name() {
    for (id, kind) in [
        ("otlp", Some("otlp")),
        ("otlp/a b/c", Some("otlp")),
        ("k8s_cluster", Some("k8s_cluster")),
        ("otlp/", None),
        ("/a", None),
        ("8s", None),
        ("a-b", None),
    ] {
        assert_eq!(component_type(id), kind, "{id}");
    }
}

#[test]
fn a_layer_may_lack_what_others_bring_and_says_what_they_have_to() {
    assert_eq!(found_in_layer(GOOD), Vec::<String>::new());
    for (layer, expected) in [
        (
            "# nothing yet\n",
            vec!["… 1:1 this says nothing: another layer of the group must bring the configuration"],
        ),
        (
            "exporters: {debug: }\n",
            vec![
                "… 1:1 there is no `service`: another layer of the group must bring it, with the pipelines that run",
            ],
        ),
        (
            "service: {telemetry: {logs: {level: debug}}}\n",
            vec!["… 1:1 `service` has no pipelines: another layer of the group must bring them"],
        ),
        (
            "service: {pipelines: }\n",
            vec!["… 1:11 there is no pipeline: another layer of the group must bring those that run"],
        ),
        (
            "exporters: {debug: }\nservice: {pipelines: {logs: {exporters: !append [debug]}}}\n",
            vec!["… 2:23 the pipeline \"logs\" has no receiver: another layer of the group must bring it"],
        ),
        (
            "service: {extensions: [zpages], pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}\n",
            vec![
                "… 1:24 the extension \"zpages\" is not defined here: another layer of the group must define it under \
                 `extensions`",
                "… 1:64 the receiver \"otlp\" is not defined here: another layer of the group must define it under \
                 `receivers` or `connectors`",
                "… 1:83 the exporter \"debug\" is not defined here: another layer of the group must define it under \
                 `exporters` or `connectors`",
            ],
        ),
        (
            "receivers: {a: }\nconnectors: {count: }\nservice: {pipelines: {logs: {receivers: [a], exporters: [count]}}}\n",
            vec![
                "… 3:58 no pipeline here has the connector \"count\" as a receiver: one of another layer of the group \
                 must",
            ],
        ),
    ] {
        assert_eq!(found_in_layer(layer), expected, "{layer}");
    }
}

#[test]
fn what_is_wrong_in_any_configuration_is_wrong_in_a_layer() {
    for (layer, expected) in [
        (
            "exporter: {debug: }\n",
            "1:1 collectors know no section \"exporter\"",
        ),
        ("exporters: [debug]\n", "1:12 `exporters` is a map"),
        ("exporters: {8: }\n", "1:13 a key has to be text"),
        (
            "exporters: {a: }\nexporters: {b: }\n",
            "2:1 the key \"exporters\" stands here",
        ),
        ("service: {pipeline: }\n", "1:11 `service` knows no \"pipeline\""),
        (
            "service: {pipelines: {log: }}\n",
            "1:23 \"log\" names no pipeline",
        ),
        (
            "processors: {a: }\nservice: {pipelines: {logs: {processors: [a, a]}}}\n",
            "2:46 the processor \"a\" stands here a second time",
        ),
    ] {
        let found = found_in_layer(layer);
        assert!(found.iter().any(|found| found.starts_with(expected)), "{found:?}");
    }
}

#[test]
fn a_layer_is_told_of_what_is_unused_only_where_it_could_have_used_it() {
    let layer = "exporters: {debug: }\nextensions: {zpages: }\nservice: {pipelines: {logs: {receivers: [a], exporters: [b]}}}\n";
    let unused: Vec<_> = found_in_layer(layer)
        .into_iter()
        .filter(|found| found.starts_with('?'))
        .collect();
    assert_eq!(
        unused,
        ["? 1:13 the exporter \"debug\" is defined, but not used in a pipeline"]
    );
}

#[test]
fn a_layer_does_not_use_what_it_removes() {
    let layer = "exporters: {debug: !remove }\nservice: {pipelines: {traces: !remove , logs: {receivers: [a], exporters: [debug]}}}\n";
    let errors: Vec<_> = found_in_layer(layer)
        .into_iter()
        .filter(|found| !found.starts_with('…'))
        .collect();
    assert_eq!(
        errors,
        ["2:76 the exporter \"debug\" is removed in this very text, and can't be used here"]
    );
    assert_eq!(
        found_in_layer("connectors: !remove\nservice: {pipelines: {traces: !remove }}\n"),
        Vec::<String>::new()
    );
}
