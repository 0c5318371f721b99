//! What is handed out and can't be run here: units, scripts of other systems, manifests. Their text is checked.

use std::io::Write as _;
use std::process::{Command, Stdio};

use muster::app::join::{Joining, SERVER_UNIT, System};
use muster::fleet::config::yaml::{Limits, parse};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n";

fn joining() -> Joining {
    Joining::new("muster.example.net", 4320, PEM).unwrap()
}

/// The agent's unit, with programs that are on every machine.
fn agents_unit() -> String {
    joining().unit().replace("/usr/bin/opampsupervisor", "/bin/sh")
}

/// What `systemd-analyze` says of a unit, where it is installed. The runner of all checks installs it.
fn analyzed(name: &str, unit: &str, verb: &[&str]) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, unit).unwrap();
    let output = Command::new("systemd-analyze")
        .args(verb)
        .arg(&path)
        .output()
        .ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

/// How exposed a unit is, from 0 to 10.
fn exposure(said: &str) -> f64 {
    let (_, found) = said.rsplit_once("Overall exposure level for").unwrap();
    let (_, level) = found.split_once(": ").unwrap();
    level.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_units_are_well_formed_and_as_tight_as_what_they_run_can_bear() {
    let server = SERVER_UNIT.replace("/usr/local/bin/muster", "/bin/sh");
    for (name, unit, most) in [
        ("muster.service", server, 2.5),
        ("muster-agent.service", agents_unit(), 5.0),
    ] {
        for line in [
            "NoNewPrivileges=yes",
            "RestrictNamespaces=yes",
            "SystemCallArchitectures=native",
        ] {
            assert!(unit.lines().any(|known| known == line), "{name}: {line}");
        }
        if let Some((well, said)) = analyzed(name, &unit, &["verify"]) {
            assert!(well && said.trim().is_empty(), "{said}");
        }
        if let Some((_, said)) = analyzed(name, &unit, &["security", "--offline=true", "--no-pager"]) {
            assert!(exposure(&said) <= most, "{said}");
        }
    }
    // A Supervisor leaves its collector behind on any other signal.
    assert!(agents_unit().contains("KillSignal=SIGINT"));
}

#[test]
fn the_scripts_of_shells_are_ones_that_sh_reads() {
    for system in [System::Linux, System::MacOs] {
        let script = joining().script(system);
        let mut sh = Command::new("sh")
            .arg("-n")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success(), "{system:?}");
    }
}

#[test]
fn every_script_pins_the_authority_and_gives_no_secret_to_a_command_line() {
    for system in [System::Linux, System::MacOs, System::Windows] {
        let script = joining().script(system);
        assert!(script.contains("https://muster.example.net:4320") && script.contains(PEM.trim()));
        assert!(script.contains("--cacert"), "{system:?}");
        for word in [
            "--insecure",
            " -k ",
            "SkipCertificateCheck",
            "ServerCertificateValidation",
            "--ssl-no-revoke",
        ] {
            assert!(!script.contains(word), "{system:?}: {word}");
        }
        for line in script.lines().filter(|line| line.contains("Bearer")) {
            assert!(
                !line.contains("curl ") && !line.contains("curl.exe"),
                "{system:?}: {line}"
            );
        }
        for mode in ["rotate", "uninstall", "enroll"] {
            assert!(script.to_lowercase().contains(mode), "{system:?}: {mode}");
        }
        for gone in ["'@SERVER@'", "\n@CA_PEM@", "\n@SUPERVISOR_YAML@"] {
            assert!(!script.contains(gone), "{system:?}: {gone}");
        }
    }
}

/// PowerShell isn't to be had here: what opens is closed again, outside of texts and comments.
#[test]
fn what_opens_in_the_script_for_powershell_is_closed_again() {
    let script = joining().script(System::Windows);
    assert_eq!(script.matches("= @'\n").count(), 2);
    assert_eq!(script.lines().filter(|line| *line == "'@").count(), 2);
    let (mut open, mut in_text) = (Vec::new(), false);
    for line in script.lines() {
        if line.ends_with("= @'") || line == "'@" {
            in_text = line != "'@";
            continue;
        }
        if in_text || line.starts_with('#') {
            continue;
        }
        let mut quote = None;
        let mut signs = line.chars();
        while let Some(sign) = signs.next() {
            match (quote, sign) {
                (Some('"') | None, '`') => drop(signs.next()),
                (None, '\'' | '"') => quote = Some(sign),
                (Some(open), sign) if open == sign => quote = None,
                (None, '(' | '{' | '[') => open.push(sign),
                (None, ')' | '}' | ']') => {
                    let opened = open.pop();
                    let pair = matches!(
                        (opened, sign),
                        (Some('('), ')') | (Some('{'), '}') | (Some('['), ']')
                    );
                    assert!(pair, "{sign} in {line}");
                }
                _ => {}
            }
        }
        assert_eq!(quote, None, "a text that doesn't end: {line}");
    }
    assert!(open.is_empty(), "{open:?}");
    for function in [
        "Join-Host",
        "Update-Credential",
        "Remove-Agent",
        "Wait-ForAgent",
        "Invoke-Server",
    ] {
        assert!(script.contains(&format!("function {function}")), "{function}");
    }
}

#[test]
fn the_manifests_are_yaml_and_hold_the_authority_and_no_credential() {
    for (manifest, kinds) in [
        (
            joining().kubernetes(),
            vec!["Namespace", "ConfigMap", "DaemonSet"],
        ),
        (joining().kubernetes_bridge(), vec!["ConfigMap", "OpAMPBridge"]),
    ] {
        let documents: Vec<&str> = manifest.split("\n---\n").collect();
        assert_eq!(documents.len(), kinds.len());
        for (document, kind) in documents.iter().zip(kinds) {
            assert!(
                parse(document.as_bytes(), &Limits::default()).is_ok(),
                "{document}"
            );
            assert!(
                document.lines().any(|line| line == format!("kind: {kind}")),
                "{document}"
            );
        }
        assert!(
            manifest.contains("    MIIB\n    AAAA\n") && manifest.contains("wss://muster.example.net:4320")
        );
        assert!(!manifest.contains("mst_") && !manifest.contains("insecure"));
    }
}
