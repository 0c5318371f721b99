//! Rollouts in stages over genuine agents: the first of them gets what it can't run, and the others never see it.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{config_is, healthy, online};
use crate::go_client::{GoClient, enrol};
use crate::lab::Lab;
use crate::patience::{LONG, SOON, until};
use crate::supervisor::{APPLIED, Host, free_port, listens, receiving_on};

/// How long a rollout of two agents may take with these stages, the Supervisor's own waits included.
const ROLLED_OUT: Duration = Duration::from_mins(2);

/// The canary by its label, then everybody.
fn strategy() -> Value {
    json!({
        "stages": [
            {"size": "label.ring = canary", "soak_seconds": 3, "deadline_seconds": 90},
            {"size": "all", "soak_seconds": 1, "deadline_seconds": 90},
        ],
        "silence_seconds": 60,
        "grace_seconds": 30,
    })
}

/// Makes the group `edge` of a canary and another agent.
fn edge(lab: &Lab, canary: &str, other: &str) {
    lab.api.group_of("edge", canary);
    lab.api.act(other, &json!({"act": "pin", "group": "edge"}));
    lab.api
        .act(canary, &json!({"act": "label", "set": {"ring": "canary"}}));
}

/// Publishes another revision to it; the number of the rollout.
fn publish(lab: &Lab, yaml: &str, strategy: &Value) -> u64 {
    let revision = lab.api.save("edge-config", yaml);
    let layers = json!([{"config": "edge-config", "revision": revision}]);
    let published = lab.api.post(
        "/api/v1/groups/edge/publish",
        &json!({"layers": layers, "strategy": strategy}),
    );
    published["rollout"].as_u64().unwrap()
}

/// Waits for the end of a rollout; how it ended.
fn ended(lab: &Lab, rollout: u64) -> Value {
    let path = format!("/api/v1/rollouts/{rollout}");
    until(&format!("rollout {rollout} has ended"), ROLLED_OUT, || {
        let found = lab.api.get(&path);
        assert_ne!(found["state"], "paused", "{found:#}");
        (found["state"] == "ended").then_some(found)
    })
}

fn count(lab: &Lab, id: &str, kind: &str) -> usize {
    let all = lab.api.timeline(id);
    all.iter().filter(|entry| entry["kind"] == kind).count()
}

/// What became of an agent in a rollout: its verdict and the reason.
fn became(rollout: &Value, id: &str) -> (String, String) {
    let all = rollout["agents"].as_array().unwrap();
    let found = all.iter().find(|agent| agent["id"] == id).unwrap();
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    (text("verdict"), text("reason"))
}

/// Who gives a Supervisor back what it ran.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BroughtBack {
    /// The rollout: the Supervisor stays down with what failed.
    ByTheRollout,
    /// The Supervisor, which reports FAILED for the new and then APPLIED for the old.
    ByItself,
}

#[test]
fn a_supervisor_that_fails_as_the_canary_is_brought_back_and_takes_the_mended_revision_with_everybody() {
    fails_as_the_canary(BroughtBack::ByTheRollout);
}

#[test]
fn a_supervisor_that_goes_back_by_itself_as_the_canary_is_told_nothing_and_takes_the_mended_revision() {
    fails_as_the_canary(BroughtBack::ByItself);
}

fn fails_as_the_canary(back: BroughtBack) {
    let lab = Lab::start();
    let host = Host::new(&lab);
    assert!(host.paste(&lab, "--no-adopt").status.success());
    let supervised = host.agent_id();
    if back == BroughtBack::ByTheRollout {
        host.without_its_own_rollback();
    } else {
        assert!(
            host.has_its_own_rollback(),
            "this release of the Supervisor has one"
        );
    }
    lab.api.await_agent(&supervised, "online", LONG, online);
    let enrolled = enrol(&lab, "go-host");
    let mut client = GoClient::start(&lab, &lab.endpoint("wss"), &enrolled.secret, &[]);
    client.hear("connected");
    edge(&lab, &supervised, &enrolled.agent);
    let well = |agent: &Value| healthy(agent) && config_is(agent, "in_sync");
    let both_well = |what: &str| {
        for id in [&supervised, &enrolled.agent] {
            lab.api.await_agent(id, what, APPLIED, well);
        }
    };

    let port = free_port();
    ended(&lab, publish(&lab, &receiving_on(port), &json!("all at once")));
    both_well("they run the first revision");
    assert!(listens(port));
    let (offered, heard) = (
        count(&lab, &supervised, "config_offered"),
        client.count("remote_config"),
    );

    // It starts and ends at once: another process has the port.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = receiving_on(taken.local_addr().unwrap().port());
    let rollout = ended(&lab, publish(&lab, &bad, &strategy()));
    assert_eq!(rollout["how"], "rolled_back", "{rollout:#}");
    let (verdict, reason) = became(&rollout, &supervised);
    assert!(
        verdict == "failed" && reason.ends_with("brought back"),
        "{rollout:#}"
    );
    assert_eq!(became(&rollout, &enrolled.agent).0, "waiting");
    assert_eq!(count(&lab, &supervised, "config_failed"), 1);
    both_well("they run the first revision again");
    assert!(listens(port), "the host's telemetry is received again");
    let (offers, why) = match back {
        BroughtBack::ByTheRollout => (2, "the bad one once, and the first again"),
        BroughtBack::ByItself => (1, "the bad one once; it has the first already"),
    };
    assert_eq!(
        count(&lab, &supervised, "config_offered"),
        offered + offers,
        "{why}"
    );
    assert_eq!(client.count("remote_config"), heard, "the other never saw it");

    let mended = free_port();
    let rollout = ended(&lab, publish(&lab, &receiving_on(mended), &strategy()));
    assert_eq!(rollout["how"], "succeeded", "{rollout:#}");
    both_well("they run the mended revision");
    assert!(listens(mended) && !listens(port));
    assert_eq!(client.count("remote_config"), heard + 1);
    assert_eq!(
        count(&lab, &supervised, "config_failed"),
        1,
        "what failed was never tried again"
    );
}

const FIRST: &str = "receivers: {otlp: {protocols: {grpc: {}}}}\nexporters: {debug: {}}\n\
    service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n";

/// The sequence of a Supervisor with a rollback of its own: FAILED for the new, then APPLIED for the old.
#[test]
fn a_client_that_goes_back_by_itself_as_the_canary_is_told_nothing_and_takes_the_mended_revision() {
    for scheme in ["wss", "https"] {
        let lab = Lab::start();
        let (canary, other) = (enrol(&lab, "canary-host"), enrol(&lab, "other-host"));
        let endpoint = lab.endpoint(scheme);
        let mut first = GoClient::start(&lab, &endpoint, &canary.secret, &["--goes-back", "--poll", "0.5"]);
        let mut second = GoClient::start(&lab, &endpoint, &other.secret, &["--poll", "0.5"]);
        first.hear("connected");
        second.hear("connected");
        edge(&lab, &canary.agent, &other.agent);
        let both_in_sync = |what: &str| {
            for id in [&canary.agent, &other.agent] {
                lab.api
                    .await_agent(id, what, SOON, |agent| config_is(agent, "in_sync"));
            }
        };
        ended(&lab, publish(&lab, FIRST, &json!("all at once")));
        both_in_sync("they run the first revision");

        let rollout = ended(&lab, publish(&lab, &format!("{FIRST}# FAIL\n"), &strategy()));
        assert_eq!(rollout["how"], "rolled_back", "{rollout:#}");
        let reported = |status: &'static str| move |event: &Value| event["status"] == status;
        first.hear_within(SOON, "status_sent", reported("FAILED"));
        first.hear_within(SOON, "status_sent", reported("APPLIED"));
        both_in_sync("they run the first revision again");
        assert_eq!(
            first.count("remote_config"),
            2,
            "it is back by itself: the first revision isn't offered again"
        );
        assert_eq!(
            second.count("remote_config"),
            1,
            "the other never saw the bad one"
        );

        let rollout = ended(&lab, publish(&lab, &format!("{FIRST}# mended\n"), &strategy()));
        assert_eq!(rollout["how"], "succeeded", "{rollout:#}");
        both_in_sync("they run the mended revision");
        assert_eq!(
            (first.count("remote_config"), second.count("remote_config")),
            (3, 2)
        );
    }
}
