use super::*;

#[track_caller]
fn merged(layers: &[&str]) -> Merged {
    let layers: Vec<_> = layers.iter().map(|layer| layer.as_bytes()).collect();
    merge(&layers, &Limits::default()).unwrap()
}

#[track_caller]
fn text(layers: &[&str]) -> String {
    merged(layers).root.emit().text
}

#[test]
fn maps_merge_and_everything_else_is_replaced() {
    let base = "exporters:\n  otlp:\n    endpoint: a:4317\n    headers: {x: 1}\n";
    let more = "exporters:\n  otlp:\n    endpoint: b:4317\n    headers: {z: 2}\n  debug:\n";
    let expected =
        "exporters:\n  debug:\n  otlp:\n    endpoint: b:4317\n    headers:\n      x: 1\n      z: 2\n";
    assert_eq!(text(&[base, more]), expected);
    assert_eq!(text(&["a: [1, 2]", "a: [3]"]), "a:\n  - 3\n");
}

#[test]
fn nothing_over_a_map_leaves_it_as_it_is_and_over_anything_else_takes_its_place() {
    for (below, above, expected) in [
        (
            "receivers: {otlp: {x: 1}}",
            "receivers: {otlp: }",
            "receivers:\n  otlp:\n    x: 1\n",
        ),
        (
            "receivers: {otlp: {x: 1}}",
            "receivers: ~",
            "receivers:\n  otlp:\n    x: 1\n",
        ),
        (
            "a: {b: {c: {d: 1}}}",
            "a: {b: {c: }}",
            "a:\n  b:\n    c:\n      d: 1\n",
        ),
        (
            "receivers: {otlp: }",
            "receivers: {otlp: }",
            "receivers:\n  otlp:\n",
        ),
        (
            "receivers: {otlp: }",
            "receivers: {otlp: {x: 1}}",
            "receivers:\n  otlp:\n    x: 1\n",
        ),
        (
            "service: {extensions: [a]}",
            "service: {extensions: }",
            "service:\n  extensions:\n    - a\n",
        ),
    ] {
        let merged = merged(&[below, above]);
        assert_eq!(merged.root.emit().text, expected, "{above}");
        assert!(
            merged.overlaps.is_empty(),
            "they don't contradict each other: {above}"
        );
    }
    for (below, above, expected) in [
        ("a: {b: 1}", "a: {b: }", "a:\n  b:\n"),
        ("a: {b: [1]}", "a: {b: ~}", "a:\n  b:\n"),
        (
            "service: {pipelines: {logs: {processors: [a]}}}",
            "service: {pipelines: {logs: {processors: }}}",
            "service:\n  pipelines:\n    logs:\n      processors:\n",
        ),
    ] {
        let merged = merged(&[below, above]);
        assert_eq!(merged.root.emit().text, expected, "{above}");
        assert_eq!(merged.overlaps[0].kept.value, "null");
    }
}

#[test]
fn what_layers_below_have_is_removed_at_any_key_and_told_with_both_places() {
    let base = "exporters:\n  debug: {x: 1}\n  otlp: {endpoint: a, headers: {k: v}}\nservice: {pipelines: {logs: {exporters: [debug]}, traces: }}\n";
    let more =
        "exporters:\n  debug: !remove\n  otlp: {headers: !remove}\nservice: {pipelines: {logs: !remove}}\n";
    let merged = merged(&[base, more]);
    assert_eq!(
        merged.root.emit().text,
        "exporters:\n  otlp:\n    endpoint: a\nservice:\n  pipelines:\n    traces:\n"
    );
    assert!(merged.idle.is_empty());
    let told: Vec<_> = merged
        .overlaps
        .iter()
        .map(|overlap| {
            assert!(overlap.kept.removes() && !overlap.lost[0].removes());
            (
                overlap.path.as_str(),
                overlap.kept.layer,
                overlap.kept.at.line,
                overlap.lost[0].at.line,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("exporters.debug", 1, 2, 2),
            ("exporters.otlp.headers", 1, 3, 3),
            ("service.pipelines.logs", 1, 4, 4)
        ]
    );
    assert_eq!(text(&[base, "service: !remove", "exporters: !remove"]), "{}\n");
}

#[test]
fn what_was_removed_begins_anew_when_a_layer_above_says_it_again() {
    let base = "exporters: {otlp: {endpoint: a, retry: 1}}";
    let gone = "exporters: {otlp: !remove}";
    let merged = merged(&[base, gone, "exporters: {otlp: {endpoint: b}}"]);
    assert_eq!(merged.root.emit().text, "exporters:\n  otlp:\n    endpoint: b\n");
    let overlap = &merged.overlaps[0];
    assert_eq!(
        (overlap.kept.layer, overlap.kept.value.as_str()),
        (2, "a map of 1")
    );
    let lost: Vec<_> = overlap
        .lost
        .iter()
        .map(|said| (said.layer, said.removes()))
        .collect();
    assert_eq!(lost, [(0, false), (1, true)]);
    assert_eq!(
        text(&[base, gone, "exporters: {otlp: }"]),
        "exporters:\n  otlp:\n"
    );
}

#[test]
fn removing_what_no_layer_below_has_does_nothing_and_is_told() {
    for layers in [
        &["a: {b: 1}", "a: {c: !remove}"][..],
        &["a: {b: 1}", "d: {e: {f: !remove}}"],
        &["a: {b: 1, c: !remove}"],
        &["d: !remove", "a: {b: 1}"],
        &["a: {b: 1}", "a: {b: {c: !remove}}"],
    ] {
        let merged = merged(layers);
        assert_eq!(merged.root.emit().text, "a:\n  b: 1\n", "{layers:?}");
        assert_eq!(merged.idle.len(), 1, "{layers:?}");
        assert!(!merged.idle[0].problem.is_error());
    }
    let idle = merged(&["a: {b: 1}", "a:\n  c: !remove\n"]).idle;
    assert_eq!((idle[0].layer, idle[0].problem.at.line), (1, 2));
    assert_eq!(
        idle[0].problem.message,
        "no layer below this one has `a.c`, so `!remove` does nothing"
    );
}

#[test]
fn a_removal_where_it_makes_no_sense_is_refused_with_its_place() {
    for (layer, expected) in [
        ("!remove\n", "stands behind a key"),
        ("a: [!remove x]\n", "stands behind a key"),
        ("a: [{b: !remove }]\n", "stands behind a key"),
        ("a: !remove {b: 1}\n", "nothing stands behind it"),
        ("a: !remove b\n", "nothing stands behind it"),
        ("a: !remove [b]\n", "nothing stands behind it"),
        ("service: {extensions: !append }\n", "can be appended to"),
    ] {
        let refused = merge(&[b"x: 1", layer.as_bytes()], &Limits::default()).unwrap_err();
        assert!(
            refused[0].layer == 1 && refused[0].problem.message.contains(expected),
            "{layer}: {refused:?}"
        );
    }
}

#[test]
fn an_empty_layer_says_nothing() {
    for empty in ["", "# nothing\n", "{}"] {
        assert_eq!(text(&["a: 1", empty]), "a: 1\n", "{empty:?}");
        assert_eq!(text(&[empty, "a: 1"]), "a: 1\n", "{empty:?}");
    }
}

#[test]
fn extensions_are_appended_and_never_twice() {
    let base = "service: {extensions: [health_check, pprof]}";
    let more = "service: {extensions: [zpages, pprof]}";
    assert_eq!(
        text(&[base, more]),
        "service:\n  extensions:\n    - health_check\n    - pprof\n    - zpages\n"
    );
}

#[test]
fn a_pipeline_goes_on_where_a_layer_asks_for_it() {
    let base = "service: {pipelines: {logs: {receivers: [a], exporters: [x, y]}}}";
    let more = "service: {pipelines: {logs: {receivers: !append [b, a], exporters: [z]}}}";
    assert_eq!(
        text(&[base, more]),
        "service:\n  pipelines:\n    logs:\n      receivers:\n        - a\n        - b\n      exporters:\n        - z\n"
    );
    // Over a layer that has no such list, it goes on with what comes below it later.
    let none = "service: {pipelines: {logs: {exporters: [y]}}}";
    assert!(text(&[base, none, more]).contains("- a\n        - b"));
}

#[test]
fn appending_elsewhere_is_refused_with_its_place() {
    let refused = merge(&[b"a: 1", b"b:\n  c: !append [1]\n"], &Limits::default()).unwrap_err();
    assert_eq!((refused.len(), refused[0].layer), (1, 1));
    assert_eq!(refused[0].problem.at, Position { line: 2, column: 14 });
}

#[test]
fn every_line_knows_its_layer() {
    let base = "exporters:\n  otlp:\n    endpoint: a\n    tls: {insecure: true}\n";
    let more = "exporters:\n  otlp:\n    endpoint: b\nreceivers:\n  otlp:\n";
    let emitted = merged(&[base, more]).root.emit();
    let layers: Vec<_> = emitted.lines.iter().map(|line| line.layer).collect();
    let lines: Vec<_> = emitted.text.lines().collect();
    assert_eq!(
        lines,
        [
            "receivers:",
            "  otlp:",
            "exporters:",
            "  otlp:",
            "    endpoint: b",
            "    tls:",
            "      insecure: true"
        ]
    );
    assert_eq!(layers, [1, 1, 0, 0, 1, 0, 0]);
}

#[test]
fn overlaps_name_what_is_kept_and_all_that_is_lost() {
    let overlaps = merged(&["a: {b: 1, c: 1}", "a: {b: 2, c: 1}", "a: {b: 3}"]).overlaps;
    assert_eq!(overlaps.len(), 1, "the same value twice is no overlap");
    let told = |said: &Said| (said.layer, said.value.clone());
    assert_eq!(overlaps[0].path, "a.b");
    assert_eq!(told(&overlaps[0].kept), (2, "3".into()));
    let lost: Vec<_> = overlaps[0].lost.iter().map(told).collect();
    assert_eq!(lost, [(0, "1".into()), (1, "2".into())]);
    let replaced = merged(&["a: {b: 1}", "a: {b: 2}", "a: [x, z]"]).overlaps;
    let paths: Vec<_> = replaced.iter().map(|overlap| overlap.path.as_str()).collect();
    assert_eq!(paths, ["a"]);
    assert_eq!(replaced[0].kept.value, "[x, z]");
}

#[test]
fn anchors_and_merge_keys_are_resolved_before_layers_meet() {
    let base = "x: &d {retry: 1, size: 2}\nexporters:\n  a: *d\n  b:\n    <<: *d\n    size: 3\n";
    let merged = text(&[base, "exporters: {a: {size: 9}}"]);
    assert_eq!(
        merged,
        "exporters:\n  a:\n    retry: 1\n    size: 9\n  b:\n    retry: 1\n    size: 3\nx:\n  retry: 1\n  size: 2\n"
    );
}

#[test]
fn duplicate_keys_and_bytes_that_are_no_text_are_told_with_their_layer() {
    let refused = merge(&[b"a: 1\na: 2\n", b"b: \xff"], &Limits::default()).unwrap_err();
    let layers: Vec<_> = refused.iter().map(|found| found.layer).collect();
    assert_eq!(layers, [0, 1]);
}

/// A golden rendering: a new version of Muster must offer nothing by itself. Change this only when agents may restart.
#[test]
fn upgrading_the_binary_renders_nothing_anew() {
    let base = "receivers:\n  otlp:\n    protocols: {grpc: {endpoint: '0.0.0.0:4317'}}\nprocessors:\n  batch:\n    timeout: 200ms\n\
                exporters:\n  otlphttp: {endpoint: 'https://a.example'}\nservice:\n  extensions: [health_check]\n  pipelines:\n    \
                logs: {receivers: [otlp], processors: [batch], exporters: [otlphttp]}\nextensions: {health_check: }\n";
    let more = "exporters: {otlphttp: {endpoint: \"https://b.example\", retry: {enabled: yes, ratio: 1.0, after: 1e3}}}\n\
                processors: {transform: {log_statements: ['set(body, \"x\")', \"two\\nlines\\n\"]}}\n\
                service: {extensions: [zpages], pipelines: {logs: {processors: !append [transform]}}}\nextensions: {zpages: {}}\n";
    insta::assert_snapshot!(text(&[base, more]));
}
