//! A genuine Collector under the genuine Supervisor, joined by our own script with the command that the page shows.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster::app::join::{Joining, System};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use serde_json::{Value, json};

use crate::api::{config_is, healthy, online};
use crate::lab::Lab;
use crate::patience::{LONG, SOON, never, until};
use crate::peer::program;

/// The first collector that a Supervisor starts takes a port that is the same for all of them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How long a configuration has to stay healthy here to count as applied.
const APPLY_SECONDS: u64 = 3;
pub(crate) const APPLIED: Duration = Duration::from_secs(APPLY_SECONDS + 20);

/// Waits for one's turn to start a Supervisor.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host with a folder in the place of its root.
pub(crate) struct Host {
    prefix: PathBuf,
    script: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Host {
    pub(crate) fn new(lab: &Lab) -> Self {
        let turn = one_at_a_time();
        let prefix = lab.folder().join("host");
        fs::create_dir_all(&prefix).unwrap();
        Self {
            script: lab.folder().join("join.sh"),
            prefix,
            _turn: turn,
        }
    }

    /// Runs the command that the page Add agents shows, as a person pastes it, in a host's folder.
    pub(crate) fn paste(&self, lab: &Lab, options: &str) -> Output {
        let authority = fs::read_to_string(lab.ca()).unwrap();
        let joining = Joining::new("localhost", lab.port(), &authority).unwrap();
        let base = lab.folder().join("base.yaml");
        fs::write(&base, "service: {telemetry: {metrics: {level: none}}}\n").unwrap();
        let options = format!(
            "--prefix {} --supervisor {} --collector {} --base {} --apply-timeout {APPLY_SECONDS} --wait 60 --name edge-1 {options}",
            self.prefix.display(),
            program("opampsupervisor").display(),
            program("otelcol").display(),
            base.display(),
        );
        let line = joining.line(&lab.api.enrolment_token(), &options);
        // In its folder nobody needs to be root.
        let line = line.replace("sudo ", "");
        let output = run(Command::new("sh").args(["-c", &line]));
        let fetched = joining.script(System::Linux);
        fs::write(&self.script, fetched).unwrap();
        output
    }

    /// Runs the script again with further options.
    fn script(&self, options: &[&str]) -> Output {
        run(Command::new("sh")
            .arg(&self.script)
            .args(["--prefix"])
            .arg(&self.prefix)
            .args(options))
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.prefix.join("run/muster-agent.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    pub(crate) fn agent_id(&self) -> String {
        let text = fs::read_to_string(self.prefix.join("etc/muster-agent/agent_id")).unwrap();
        text.trim().to_owned()
    }

    /// Starts the Supervisor again the way the script does.
    pub(crate) fn resume(&self) {
        let output = self.script(&["--resume"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// The same, whether or not the server lets it in.
    pub(crate) fn resume_only(&self) {
        self.script(&["--resume", "--wait", "5"]);
    }

    /// Whether the Supervisor goes back by itself to what it ran when a configuration fails.
    pub(crate) fn has_its_own_rollback(&self) -> bool {
        let text = fs::read_to_string(self.settings()).unwrap();
        text.contains(ITS_OWN_ROLLBACK)
    }

    /// Starts the Supervisor again without that.
    pub(crate) fn without_its_own_rollback(&self) {
        assert!(self.has_its_own_rollback());
        let text = fs::read_to_string(self.settings()).unwrap();
        let off = ITS_OWN_ROLLBACK.replace("true", "false");
        fs::write(self.settings(), text.replace(ITS_OWN_ROLLBACK, &off)).unwrap();
        self.interrupt();
        self.resume();
    }

    fn settings(&self) -> PathBuf {
        self.prefix.join("etc/muster-agent/supervisor.yaml")
    }

    /// Ends the Supervisor as systemd does by the unit.
    pub(crate) fn interrupt(&self) {
        let pid = self.pid().unwrap();
        kill_process(pid, Signal::INT).unwrap();
        until("the Supervisor has ended", SOON, || {
            test_kill_process(pid).is_err().then_some(())
        });
    }
}

/// The line of its settings.
const ITS_OWN_ROLLBACK: &str = "automatic_config_rollback: true";

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        if std::thread::panicking() {
            for file in ["var/log/muster-agent.log", "var/lib/muster-agent/agent.log"] {
                let text = fs::read_to_string(self.prefix.join(file)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                println!(
                    "--- {file}\n{}",
                    lines[lines.len().saturating_sub(40)..].join("\n")
                );
            }
        }
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.env_remove("MUSTER_TOKEN").output().unwrap();
    println!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A configuration that receives OTLP on `port`.
pub(crate) fn receiving_on(port: u16) -> String {
    format!(
        "# what this host runs\nreceivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: \"127.0.0.1:{port}\"\n  \
         hostmetrics:\n    scrapers:\n      memory:\nexporters:\n  debug: {{}}\nservice:\n  telemetry: \
         {{metrics: {{level: none}}}}\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n    \
         metrics:\n      receivers: [hostmetrics]\n      exporters: [debug]\n"
    )
}

pub(crate) fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn failures(lab: &Lab, id: &str) -> usize {
    let all = lab.api.timeline(id);
    all.iter()
        .filter(|entry| entry.to_string().contains("config_failed"))
        .count()
}

fn offers(lab: &Lab, id: &str) -> usize {
    let all = lab.api.timeline(id);
    all.iter()
        .filter(|entry| entry.to_string().contains("config_offered"))
        .count()
}

#[test]
fn a_collector_joins_goes_on_with_what_it_ran_and_is_configured_refused_healed_restarted_and_stopped() {
    let mut lab = Lab::start();
    let host = Host::new(&lab);
    let port = free_port();
    let running = lab.folder().join("running.yaml");
    fs::write(&running, receiving_on(port)).unwrap();

    // Joined by the pasted command: what ran before is the first thing that it gets, and it runs again.
    let output = host.paste(&lab, &format!("--adopt {}", running.display()));
    assert!(output.status.success());
    let id = host.agent_id();
    let agent = lab
        .api
        .await_agent(&id, "healthy with what it ran", LONG, |agent| {
            healthy(agent) && config_is(agent, "in_sync")
        });
    assert!(listens(port), "the host's telemetry is received again");
    assert_eq!(offers(&lab, &id), 1, "nothing but that was offered");
    let adopted = lab.api.get("/api/v1/configs/edge-1/revisions/1");
    assert_eq!(adopted["content"]["yaml"], receiving_on(port));
    let secret = host.prefix.join("etc/muster-agent/env");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);

    described(&lab, &id, &agent);
    twice_is_once(&host, &lab);
    configured(&lab, &id);
    refused_and_healed(&lab, &id);
    restarted(&lab, &id);
    server_restarted(&mut lab, &id);

    // Disconnected.
    host.interrupt();
    lab.api
        .await_agent(&id, "offline", Duration::from_secs(5), |agent| !online(agent));

    // The Supervisor is back on its file's credential, and still welcome with what it had.
    let offered = offers(&lab, &id);
    host.resume();
    lab.api.await_agent(&id, "back", LONG, |agent| {
        healthy(agent) && config_is(agent, "in_sync")
    });
    assert_eq!(lab.api.agents().len(), 1, "nobody enrolled anew");
    assert_eq!(offers(&lab, &id), offered, "it has what is wanted");

    // Resumed while it runs, it makes way for the new one.
    let before = host.pid().unwrap();
    host.resume();
    assert!(test_kill_process(before).is_err() && host.pid() != Some(before));

    // Removed.
    assert!(host.script(&["--uninstall"]).status.success());
    assert!(!host.prefix.join("etc/muster-agent").exists());
    lab.api
        .await_agent(&id, "offline", Duration::from_secs(5), |agent| !online(agent));
}

fn described(lab: &Lab, id: &str, agent: &Value) {
    assert_eq!(agent["service_name"], "otelcol-interop");
    assert_eq!(agent["os_type"], "linux");
    assert_ne!(agent["host_name"], "");
    assert!(agent["health"]["components"].is_object(), "{}", agent["health"]);
    let known = until("its components are listed", SOON, || {
        let known = lab.api.try_get(&format!("/api/v1/agents/{id}/components")).ok()?;
        known["components"].is_object().then_some(known)
    });
    for (kind, name) in [
        ("receivers", "otlp"),
        ("exporters", "debug"),
        ("extensions", "opamp"),
    ] {
        let all = known["components"][kind].to_string();
        assert!(all.contains(&format!("\"{name}\"")), "{kind} {all}");
    }
}

fn twice_is_once(host: &Host, lab: &Lab) {
    let output = host.script(&[]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("enrolled already"));
    assert_eq!(lab.api.agents().len(), 1);
}

fn configured(lab: &Lab, id: &str) {
    // Published to its group, once it gave up the configuration that it came with.
    let port = free_port();
    lab.api.group_of("edge", id);
    let revision = lab.api.save("edge", &receiving_on(port));
    lab.api.publish("edge", "edge", revision);
    lab.api.act(id, &json!({"act": "unpublish"}));
    lab.api.await_agent(id, "applied", APPLIED, |agent| {
        config_is(agent, "in_sync") && healthy(agent)
    });
    assert!(listens(port));
    until("the effective configuration follows", SOON, || {
        let effective = lab.api.get(&format!("/api/v1/agents/{id}/effective-config"));
        effective["content"]
            .to_string()
            .contains(&port.to_string())
            .then_some(())
    });
}

fn refused_and_healed(lab: &Lab, id: &str) {
    // Bad YAML doesn't get past our own door.
    let base = lab.api.get("/api/v1/configs/edge")["latest"].clone();
    let bad = json!({"base": base, "yaml": "receivers: {otlp: \n  - ["});
    let refused = lab.api.try_post("/api/v1/configs/edge/revisions", &bad);
    println!("refused at our door: {}", refused.unwrap_err());

    // An exporter that this collector lacks.
    let unknown = receiving_on(free_port()).replace("debug", "no_such_exporter");
    let failed = publish_and_fail(lab, id, &unknown, true);
    assert!(failed.contains("no_such_exporter"), "{failed}");

    // A port that another process holds.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let failed = publish_and_fail(lab, id, &receiving_on(taken.local_addr().unwrap().port()), false);
    println!("its words: {failed}");

    // A later good revision heals.
    let port = free_port();
    let revision = lab.api.save("edge", &receiving_on(port));
    lab.api.publish("edge", "edge", revision);
    lab.api.await_agent(id, "healed", APPLIED, |agent| {
        config_is(agent, "in_sync") && healthy(agent)
    });
    assert!(listens(port));
}

/// Publishes what can't run: it is said to have failed, once, and never offered again by itself. The agent's reason.
fn publish_and_fail(lab: &Lab, id: &str, yaml: &str, lacking: bool) -> String {
    let (failed, offered) = (failures(lab, id), offers(lab, id));
    let revision = lab.api.save("edge", yaml);
    if lacking {
        lab.api
            .publish_although_something_is_lacking("edge", "edge", revision);
    } else {
        lab.api.publish("edge", "edge", revision);
    }
    let agent = lab
        .api
        .await_agent(id, "failed", APPLIED, |agent| config_is(agent, "failed"));
    never(
        "it is offered again",
        Duration::from_secs(APPLY_SECONDS + 3),
        || {
            let now = offers(lab, id);
            (now > offered + 1).then_some(now)
        },
    );
    assert_eq!(failures(lab, id), failed + 1);
    agent["config"]["error"].as_str().unwrap().to_owned()
}

fn restarted(lab: &Lab, id: &str) {
    let before = lab.api.agent(id)["started_at"].clone();
    lab.api.act(id, &json!({"act": "restart"}));
    lab.api.await_agent(id, "restarted", LONG, |agent| {
        healthy(agent) && agent["started_at"] != before && !agent["started_at"].is_null()
    });
    let sent = lab.api.timeline(id);
    let sent = sent
        .iter()
        .filter(|entry| entry.to_string().contains("restart_sent"));
    assert_eq!(sent.count(), 1);
}

fn server_restarted(lab: &mut Lab, id: &str) {
    let offered = offers(lab, id);
    // After a clean stop it is known again, and not asked for anything.
    lab.stop_server();
    lab.start_server();
    lab.api.await_agent(id, "back after a clean stop", LONG, healthy);
    never("it is asked for its full state", Duration::from_secs(3), || {
        let asked = lab.api.full_state_requests();
        (asked > 0.0).then_some(asked)
    });
    // After a kill at most once.
    lab.kill_server();
    lab.start_server();
    lab.api.await_agent(id, "back after a kill", LONG, |agent| {
        healthy(agent) && config_is(agent, "in_sync")
    });
    never("it is asked again", Duration::from_secs(3), || {
        let asked = lab.api.full_state_requests();
        (asked > 1.0).then_some(asked)
    });
    assert_eq!(lab.api.agents().len(), 1, "nobody enrolled anew");
    assert_eq!(offers(lab, id), offered, "what it has is not offered again");
}
