//! What the genuine collector says of configurations: of each starter, and through the server that has it look at them.

use std::process::Command;

use muster::fleet::config::STARTERS;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::Lab;
use crate::peer::program;

/// What our collector lacks, each with the reason. Nothing else may be missing.
const MISSING: &[(&str, &str)] = &[(
    "journald",
    "the module of its receiver was not served at the release that the others have",
)];

#[test]
fn the_collector_takes_every_starter() {
    let folder = TempDir::new().unwrap();
    let mut missing = Vec::new();
    for starter in STARTERS {
        let file = folder.path().join(format!("{}.yaml", starter.name));
        std::fs::write(&file, starter.yaml).unwrap();
        let mut validate = Command::new(program("otelcol"));
        let done = validate
            .args(["validate", "--config"])
            .arg(&file)
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() {
            println!("{}: taken", starter.name);
            continue;
        }
        // Only what isn't built in may be wrong.
        let complaints = said
            .lines()
            .filter(|line| !line.is_empty() && !line.ends_with("error(s):"));
        for complaint in complaints {
            let (_, kind) = complaint
                .split_once("unknown type: \"")
                .unwrap_or_else(|| panic!("{}: {said}", starter.name));
            missing.push(kind.split('"').next().unwrap().to_owned());
        }
        println!("{}: not built in: {}", starter.name, missing.last().unwrap());
    }
    missing.sort();
    missing.dedup();
    let known: Vec<_> = MISSING
        .iter()
        .map(|(component, _)| (*component).to_owned())
        .collect();
    assert_eq!(missing, known);
}

#[test]
fn the_collector_has_its_say_in_what_is_saved_and_published() {
    let collector = format!("validation.collector={}", program("otelcol").display());
    let lab = Lab::with(&["--set", &collector]);
    let good = "\
receivers:
  otlp: {protocols: {grpc: {endpoint: \"${env:HOST}:${env:PORT:-4317}\"}}}
processors:
  memory_limiter: {check_interval: \"${env:EVERY}\", limit_mib: \"${env:MIB}\"}
exporters:
  otlphttp: {endpoint: \"${env:URL}\", timeout: \"${env:EVERY}\", headers: {authorization: \"Bearer ${file:/etc/otelcol/token}\"}}
  debug: {sampling_initial: \"${env:MIB}\"}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [memory_limiter], exporters: [otlphttp, debug]}
";
    let saved = lab
        .api
        .post("/api/v1/configs", &json!({"name": "good", "yaml": good}));
    assert_eq!(saved["warnings"], json!([]), "{saved}");

    // Values that only a host knows, of kinds that no one stand-in fits: told, and saved.
    let mixed = good.replace("timeout: \"${env:EVERY}\"", "tls: {insecure: \"${env:BARE}\"}");
    let saved = lab
        .api
        .post("/api/v1/configs", &json!({"name": "mixed", "yaml": mixed}));
    let words = saved["warnings"][0]["message"].as_str().unwrap();
    assert!(words.starts_with("could not be validated: it depends"), "{saved}");

    // What our own check can't know: the settings of components.
    for (from, to, line, words) in [
        ("sampling_initial", "sampling_inital", 7, "sampling_inital"),
        (
            "{check_interval: \"${env:EVERY}\", limit_mib: \"${env:MIB}\"}",
            "{limit_mib: 100}",
            4,
            "check_interval",
        ),
        (
            "debug: {sampling_initial: \"${env:MIB}\"}",
            "debug: {verbosity: loud}",
            7,
            "verbosity",
        ),
    ] {
        let bad = good.replace(from, to);
        let found = lab.api.post("/api/v1/config-check", &json!({"yaml": bad}));
        let problem = &found["problems"][0];
        assert_eq!(problem["severity"], "error", "{found}");
        assert_eq!(problem["line"], line, "{found}");
        let message = problem["message"].as_str().unwrap();
        assert!(
            message.starts_with("the collector says") && message.contains(words),
            "{message}"
        );
        let refused = lab
            .api
            .try_post("/api/v1/configs", &json!({"name": "bad", "yaml": bad}))
            .unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let listed = lab.api.get("/api/v1/configs");
    let names: Vec<&Value> = listed["configs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|config| &config["name"])
        .collect();
    assert_eq!(names, ["good", "mixed"]);
}
