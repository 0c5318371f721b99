//! The join script on a host whose collector runs as a service. Small scripts play systemd; collector, Supervisor and
//! server are genuine. Joining never stops a host's telemetry.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::MutexGuard;

use muster::app::join::{Joining, System};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use crate::api::{config_is, healthy};
use crate::go_client::{GoClient, enrol};
use crate::lab::Lab;
use crate::patience::{LONG, SOON, until};
use crate::peer::program;
use crate::supervisor::{free_port, listens, one_at_a_time, receiving_on};

const OLD: &str = "otelcol-contrib.service";
const NEW: &str = "muster-agent.service";

/// A host on which a collector receives on `port`.
struct Host {
    prefix: PathBuf,
    units: PathBuf,
    path: PathBuf,
    port: u16,
    _turn: MutexGuard<'static, ()>,
}

impl Host {
    fn with_collector(lab: &Lab) -> Self {
        Self::with_service(lab, "")
    }

    /// Its collector's service has these settings, too.
    fn with_service(lab: &Lab, settings: &str) -> Self {
        let turn = one_at_a_time();
        let at = |name: &str| {
            let folder = lab.folder().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let host = Self {
            prefix: at("host"),
            units: at("units"),
            path: at("path"),
            port: free_port(),
            _turn: turn,
        };
        let played = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/systemctl");
        symlink(played, host.path.join("systemctl")).unwrap();
        let journal = format!("#!/bin/sh\ncat \"$UNITS/{NEW}.log\"\n");
        executable(&host.path.join("journalctl"), &journal);
        let config = host.units.join("config.yaml");
        fs::write(&config, host.config()).unwrap();
        let command = format!("{} --config={}", program("otelcol").display(), config.display());
        let service = format!(
            "[Service]\nExecStart={command}\nEnvironment=PORT={}\n{settings}",
            host.port
        );
        fs::write(host.units.join(OLD), service).unwrap();
        assert!(
            host.with_played(Command::new(host.path.join("systemctl")).args(["start", OLD]))
                .status
                .success()
        );
        host.receives("the old collector receives");
        host
    }

    /// What the collector runs: it finds its port in the environment of its service.
    fn config(&self) -> String {
        receiving_on(self.port).replace(&self.port.to_string(), "${env:PORT}")
    }

    fn with_played(&self, command: &mut Command) -> Output {
        let path = std::env::var("PATH").unwrap();
        let output = command
            .env("PATH", format!("{}:{path}", self.path.display()))
            .env("UNITS", &self.units)
            .env("PREFIX", &self.prefix)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        println!("{}", String::from_utf8_lossy(&text));
        output
    }

    /// Runs the script; whether it succeeded, and what it said.
    fn join(&self, lab: &Lab, options: &[&str]) -> (bool, String) {
        let joins = !["--resume", "--uninstall", "--rotate"]
            .iter()
            .any(|mode| options.contains(mode));
        let token = joins.then(|| lab.api.enrolment_token());
        self.join_with(lab, options, token.as_deref())
    }

    /// The same with this token.
    fn join_with(&self, lab: &Lab, options: &[&str], token: Option<&str>) -> (bool, String) {
        let authority = fs::read_to_string(lab.ca()).unwrap();
        let joining = Joining::new("localhost", lab.port(), &authority).unwrap();
        let (script, base) = (self.units.join("join.sh"), self.units.join("base.yaml"));
        fs::write(&script, joining.script(System::Linux)).unwrap();
        fs::write(&base, "service: {telemetry: {metrics: {level: none}}}\n").unwrap();
        let mut command = Command::new("sh");
        command
            .arg(script)
            .arg("--prefix")
            .arg(&self.prefix)
            .arg("--with-service")
            .args(["--name", "edge-1", "--apply-timeout", "5"])
            .args(options);
        if !options.contains(&"--force") {
            command.arg("--base").arg(base);
        }
        if let Some(token) = token {
            command.env("MUSTER_TOKEN", token);
        }
        let output = self.with_played(&mut command);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn agent_id(&self) -> String {
        let text = fs::read_to_string(self.prefix.join("etc/muster-agent/agent_id")).unwrap();
        text.trim().to_owned()
    }

    fn pid(&self, unit: &str) -> Option<Pid> {
        let text = fs::read_to_string(self.units.join(format!("{unit}.pid"))).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    fn runs(&self, unit: &str) -> bool {
        self.pid(unit)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }

    #[track_caller]
    fn receives(&self, what: &str) {
        until(what, LONG, || listens(self.port).then_some(()));
    }

    /// What systemd was told that changes something, in order.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.units.join("calls")).unwrap();
        let calls = text.lines().filter_map(|line| line.split_once(' '));
        let changing = |call: &&str| !call.starts_with("is-active") && !call.starts_with("show");
        calls
            .map(|(_, call)| call)
            .filter(changing)
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for pid in [OLD, NEW].into_iter().filter_map(|unit| self.pid(unit)) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_collector_service_is_replaced_by_an_agent_that_runs_the_same_and_comes_back_when_that_is_removed() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let supervisor = ["--supervisor", supervisor.to_str().unwrap()];

    // A rehearsal changes nothing.
    let before = host.calls();
    let (done, said) = host.join(&lab, &[&supervisor[..], &["--dry-run"]].concat());
    assert!(done && said.contains("would enrol"), "{said}");
    assert!(host.calls() == before && !host.prefix.join("etc").exists() && lab.api.agents().is_empty());

    // Collector and configuration are found; the old service goes only after the server holds the configuration.
    let (done, said) = host.join(&lab, &supervisor);
    assert!(done, "{said}");
    let id = host.agent_id();
    lab.api.await_agent(&id, "healthy with what ran", LONG, |agent| {
        healthy(agent) && config_is(agent, "in_sync")
    });
    assert!(host.runs(NEW) && !host.runs(OLD));
    host.receives("the new collector receives where the old one did");
    let named = &lab.api.agent(&id)["registration"]["name"];
    assert_eq!(named, "edge-1", "as --name said");
    let adopted = lab.api.get("/api/v1/configs/edge-1/revisions/1");
    assert_eq!(adopted["content"]["yaml"], host.config());
    let calls = host.calls();
    let place = |call: &str| calls.iter().position(|told| told.starts_with(call)).unwrap();
    assert!(
        place(&format!("stop {OLD}")) < place(&format!("restart {NEW}")),
        "{calls:?}"
    );
    assert!(
        place(&format!("restart {NEW}")) < place(&format!("disable --quiet {OLD}")),
        "{calls:?}"
    );
    let kept = said.find("kept        by the server").unwrap();
    assert!(kept < said.find("waiting").unwrap());

    // Removed: the host is as it was.
    let (done, said) = host.join(&lab, &["--uninstall"]);
    assert!(done && said.contains("runs again"), "{said}");
    assert!(host.runs(OLD) && !host.runs(NEW));
    host.receives("the old collector receives again");
    assert!(!host.prefix.join("etc/muster-agent").exists());
}

#[test]
fn a_host_is_given_back_to_its_old_collector_when_the_new_agent_does_not_come_up() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let (broken, mended) = (host.path.join("broken-supervisor"), host.path.join("mended"));
    let script = format!(
        "#!/bin/sh\n[ -e {} ] && exec {} \"$@\"\necho 'this machine is not mine'\nexec sleep 4\n",
        mended.display(),
        program("opampsupervisor").display()
    );
    executable(&broken, &script);

    let (done, said) = host.join(&lab, &["--supervisor", broken.to_str().unwrap(), "--wait", "3"]);
    assert!(!done);
    assert!(
        said.contains("Usual causes") && said.contains("runs again"),
        "{said}"
    );
    assert!(host.runs(OLD) && !host.runs(NEW));
    host.receives("the old collector receives again");

    // Mended, it goes on with what it enrolled as.
    let id = host.agent_id();
    fs::write(&mended, "").unwrap();
    let (done, said) = host.join(&lab, &["--resume"]);
    assert!(done, "{said}");
    lab.api.await_agent(&id, "healthy", LONG, healthy);
    assert_eq!(lab.api.agents().len(), 1);
    assert!(host.runs(NEW) && !host.runs(OLD));
}

#[test]
fn a_host_whose_name_a_living_agent_has_waits_for_an_operator_and_goes_on_collecting() {
    let lab = Lab::start();
    let other = enrol(&lab, "edge-1");
    let mut go = GoClient::start(&lab, &lab.endpoint("wss"), &other.secret, &[]);
    go.hear("connected");
    lab.api
        .await_agent(&other.agent, "the other is there", SOON, healthy);

    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let (done, said) = host.join(&lab, &["--supervisor", supervisor.to_str().unwrap()]);
    assert!(!done && said.contains("an operator has to look"), "{said}");
    assert!(host.runs(OLD) && !host.runs(NEW));

    let id = host.agent_id();
    assert_ne!(id, other.agent);
    lab.api.act(&id, &json!({"act": "approve"}));
    let (done, said) = host.join(&lab, &["--resume"]);
    assert!(done, "{said}");
    lab.api.await_agent(&id, "healthy", LONG, healthy);
    assert!(host.runs(NEW) && !host.runs(OLD));
    host.receives("the new collector receives where the old one did");
}

#[test]
fn a_host_that_is_enrolled_again_keeps_what_the_replaced_service_had_and_goes_on_collecting() {
    let lab = Lab::start();
    let host = Host::with_service(&lab, "User=collects\nGroup=collects\nSupplementaryGroups=adm\n");
    let supervisor = program("opampsupervisor");
    let (done, said) = host.join(&lab, &["--supervisor", supervisor.to_str().unwrap()]);
    assert!(
        done && said.contains("collects, as otelcol-contrib.service had it"),
        "{said}"
    );
    let first = host.agent_id();
    let etc = host.prefix.join("etc");
    let dropin = etc.join("systemd/system/muster-agent.service.d/replaced.conf");
    let taken_over = fs::read_to_string(&dropin).unwrap();
    assert!(taken_over.contains("SupplementaryGroups=adm") && taken_over.contains("Environment=PORT="));
    let files = fs::read_to_string(etc.join("muster-agent/supervisor.yaml")).unwrap();
    assert!(files.contains("base.yaml"));

    let (done, said) = host.join(&lab, &["--force"]);
    assert!(done && said.contains("as before"), "{said}");
    let again = host.agent_id();
    assert_ne!(again, first);
    lab.api
        .await_agent(&again, "healthy with what it had", LONG, healthy);
    host.receives("its collector receives where it did");
    assert_eq!(fs::read_to_string(&dropin).unwrap(), taken_over);
    let same = fs::read_to_string(etc.join("muster-agent/supervisor.yaml")).unwrap();
    assert_eq!(same, files);

    let (done, said) = host.join(&lab, &["--uninstall"]);
    assert!(done && said.contains("runs again"), "{said}");
    host.receives("the old collector receives again");
}

#[test]
fn a_host_that_is_enrolled_again_under_a_living_name_runs_on_until_an_operator_has_looked() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let (done, said) = host.join(&lab, &["--supervisor", supervisor.to_str().unwrap()]);
    assert!(done, "{said}");
    let first = host.agent_id();
    let other = enrol(&lab, "edge-1");
    lab.api.act(&other.agent, &json!({"act": "approve"}));
    let mut go = GoClient::start(&lab, &lab.endpoint("wss"), &other.secret, &[]);
    go.hear("connected");
    lab.api
        .await_agent(&other.agent, "the other is there", SOON, healthy);

    let (done, said) = host.join(&lab, &["--force"]);
    assert!(
        !done && said.contains("runs on, with its old credential"),
        "{said}"
    );
    assert!(host.runs(NEW) && host.agent_id() == first);
    lab.api.await_agent(&first, "healthy as before", LONG, healthy);
    host.receives("the collector receives as before");

    let agents = lab.api.agents();
    let waiting = agents
        .iter()
        .map(|agent| agent["id"].as_str().unwrap())
        .find(|id| ![first.as_str(), other.agent.as_str()].contains(id))
        .unwrap()
        .to_owned();
    lab.api.act(&waiting, &json!({"act": "approve"}));
    let (done, said) = host.join(&lab, &["--resume"]);
    assert!(done, "{said}");
    assert_eq!(host.agent_id(), waiting);
    lab.api.await_agent(&waiting, "healthy", LONG, healthy);
    host.receives("the collector receives under its new record");
}

#[test]
fn a_token_that_lets_nobody_in_changes_nothing_on_the_host() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let token = lab.api.enrolment_token();
    let tokens = lab.api.get("/api/v1/enrolment-tokens");
    let id = tokens["tokens"][0]["id"].as_str().unwrap();
    lab.api.delete(&format!("/api/v1/enrolment-tokens/{id}"));
    let before = host.calls();
    let authority = fs::read_to_string(lab.ca()).unwrap();
    let script = host.units.join("join.sh");
    fs::write(
        &script,
        Joining::new("localhost", lab.port(), &authority)
            .unwrap()
            .script(System::Linux),
    )
    .unwrap();
    let mut command = Command::new("sh");
    command
        .arg(&script)
        .args(["--with-service", "--supervisor"])
        .arg(supervisor)
        .arg("--prefix")
        .arg(&host.prefix)
        .env("MUSTER_TOKEN", token);
    let output = host.with_played(&mut command);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("doesn't take this token"));
    assert!(host.calls() == before && host.runs(OLD) && !host.prefix.join("etc").exists());
    assert!(lab.api.agents().is_empty());
}

#[test]
fn a_host_exchanges_the_credential_in_its_files_and_the_one_before_dies() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let supervisor = ["--supervisor", supervisor.to_str().unwrap()];
    let (done, said) = host.join(&lab, &supervisor);
    assert!(done, "{said}");
    let id = host.agent_id();
    let env = host.prefix.join("etc/muster-agent/env");
    let first = fs::read_to_string(&env).unwrap();

    // A second time, nothing happens; a rehearsal of the exchange changes nothing.
    let (done, said) = host.join(&lab, &supervisor);
    assert!(done && said.contains("enrolled already"), "{said}");
    let (done, said) = host.join(&lab, &["--rotate", "--dry-run"]);
    assert!(done && said.contains("would exchange"), "{said}");
    assert_eq!(fs::read_to_string(&env).unwrap(), first);

    for _ in 0..2 {
        let before = fs::read_to_string(&env).unwrap();
        let (done, said) = host.join(&lab, &["--rotate"]);
        assert!(done && said.contains("the credential before is dead"), "{said}");
        assert_ne!(fs::read_to_string(&env).unwrap(), before);
    }
    assert_eq!(host.agent_id(), id);
    assert!(!env.with_extension("before").exists());
    lab.api.await_agent(&id, "healthy with what ran", LONG, |agent| {
        healthy(agent) && config_is(agent, "in_sync")
    });
    host.receives("the collector receives as before");
    let known = lab.api.get(&format!("/api/v1/agents/{id}/identity"));
    let accepted = |credential: &&serde_json::Value| credential["state"]["state"] == "active";
    let credentials = known["credentials"].as_array().unwrap();
    assert_eq!(credentials.iter().filter(accepted).count(), 1, "{known}");

    let (done, said) = host.join(&lab, &["--uninstall"]);
    assert!(done && said.contains("runs again"), "{said}");
    let (done, said) = host.join(&lab, &["--uninstall"]);
    assert!(
        done && said.contains("nothing was changed"),
        "twice in a row: {said}"
    );
}

#[test]
fn a_configuration_that_the_collector_refuses_costs_no_token() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let broken = host.units.join("broken.yaml");
    fs::write(
        &broken,
        "receivers: {nosuch: }\nservice: {pipelines: {logs: {receivers: [nosuch]}}}\n",
    )
    .unwrap();
    let adopt = ["--adopt", broken.to_str().unwrap()];
    let before = host.calls();
    let (done, said) = host.join(
        &lab,
        &[&["--supervisor", supervisor.to_str().unwrap()], &adopt[..]].concat(),
    );
    assert!(!done && said.contains("the token wasn't used"), "{said}");
    assert!(host.calls() == before && host.runs(OLD) && !host.prefix.join("etc").exists());
    let tokens = lab.api.get("/api/v1/enrolment-tokens");
    assert_eq!(tokens["tokens"][0]["uses"], 0);
    assert!(lab.api.agents().is_empty());
}

#[test]
fn a_host_that_has_to_be_approved_waits_for_that_and_goes_on_collecting() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let supervisor = program("opampsupervisor");
    let wish = json!({"by_hand": true, "valid_seconds": 3600});
    let made = lab.api.post("/api/v1/enrolment-tokens", &wish);
    let token = made["secret"].as_str().unwrap();
    let supervisor = ["--supervisor", supervisor.to_str().unwrap(), "--wait", "3"];
    let (done, said) = host.join_with(&lab, &supervisor, Some(token));
    assert!(!done && said.contains("nobody has approved it yet"), "{said}");
    assert!(host.runs(OLD) && !host.runs(NEW));
    let (done, said) = host.join(&lab, &["--resume"]);
    assert!(!done && said.contains("nobody has decided"), "{said}");
    assert!(host.runs(OLD) && !host.runs(NEW));

    let id = host.agent_id();
    let waiting = lab.api.get("/api/v1/waiting-agents");
    assert_eq!(waiting["agents"][0]["agent"]["id"], id.as_str());
    lab.api.act(&id, &json!({"act": "approve"}));
    let (done, said) = host.join(&lab, &["--resume"]);
    assert!(done, "{said}");
    lab.api.await_agent(&id, "healthy", LONG, healthy);
    assert!(host.runs(NEW) && !host.runs(OLD));

    // Refused, it is told so, and doesn't pretend to have joined.
    lab.api.act(&id, &json!({"act": "revoke"}));
    let (done, said) = host.join(&lab, &["--resume"]);
    assert!(
        !done && said.contains("doesn't accept this host's credential"),
        "{said}"
    );
}

/// Releases of collectors up to 0.149 say so of what newer Supervisors add.
const CAN_NOT_READ: &str =
    "'service.telemetry.resource[attributes]' expected type 'string', got unconvertible type";

#[test]
fn a_supervisor_that_is_newer_than_its_collector_understands_is_refused_before_anything_changes() {
    let lab = Lab::start();
    let host = Host::with_collector(&lab);
    let older = host.units.join("older-otelcol");
    let otelcol = program("otelcol");
    executable(
        &older,
        &format!(
            "#!/bin/sh\ncase $1 in\nvalidate) echo \"{CAN_NOT_READ}\" >&2 && exit 1 ;;\n*) exec {} \"$@\" ;;\nesac\n",
            otelcol.display()
        ),
    );
    let supervisor = program("opampsupervisor");
    let programs = [
        "--collector",
        older.to_str().unwrap(),
        "--supervisor",
        supervisor.to_str().unwrap(),
    ];
    let (joined, said) = host.join(&lab, &programs);
    assert!(
        !joined && said.contains("this Supervisor is newer than"),
        "{said}"
    );
    assert!(lab.api.agents().is_empty(), "nobody was enrolled");
    assert!(
        host.runs(OLD) && listens(host.port),
        "the old collector was left alone"
    );
}
