//! The published Go client, driven by lines and heard by lines of JSON.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::patience::{SOON, until};
use crate::peer::{Group, program};

/// One process of the Go client, with one agent.
pub(crate) struct GoClient {
    group: Group,
    input: Option<ChildStdin>,
    events: Arc<Mutex<Vec<Value>>>,
    /// Events before this one were looked at.
    read: usize,
}

/// What an agent got when it enrolled.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    pub(crate) agent: String,
    pub(crate) credential_id: String,
    pub(crate) secret: String,
}

/// Enrols an agent as any client does: one request over TLS, with the authority pinned.
pub(crate) fn enrol(lab: &Lab, host: &str) -> Enrolled {
    let token = lab.api.enrolment_token();
    let rc = lab.folder().join("curlrc");
    fs::write(&rc, format!("header = \"Authorization: Bearer {token}\"\n")).unwrap();
    let output = Command::new("curl")
        .args([
            "-sS",
            "--fail-with-body",
            "-H",
            "Content-Type: application/json",
            "-K",
        ])
        .arg(&rc)
        .arg("--cacert")
        .arg(lab.ca())
        .args(["-d", &json!({"host": host}).to_string()])
        .arg(format!("https://localhost:{}/v1/enroll", lab.port()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Enrolled {
        agent: text("agent_id"),
        credential_id: text("credential_id"),
        secret: text("credential"),
    }
}

impl GoClient {
    /// Starts one that speaks to `endpoint` with this credential.
    pub(crate) fn start(lab: &Lab, endpoint: &str, secret: &str, more: &[&str]) -> Self {
        let mut command = Command::new(program("opamp-client"));
        command
            .args(["--endpoint", endpoint, "--effective", "--fail-on", "FAIL", "--ca"])
            .arg(lab.ca())
            .args(["--header", &format!("Authorization=Bearer {secret}")])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut group = Group::start(&mut command);
        let input = group.child.stdin.take();
        let output = group.child.stdout.take().unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event =
                    serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "text", "text": line}));
                heard.lock().unwrap().push(event);
            }
        });
        Self {
            group,
            input,
            events,
            read: 0,
        }
    }

    /// Writes a line for it to obey.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for the next event of a kind that `fits`; events before it are passed over.
    #[track_caller]
    pub(crate) fn hear_within(
        &mut self,
        limit: Duration,
        kind: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        let (events, from) = (Arc::clone(&self.events), self.read);
        let (at, event) = until(&format!("the Go client says {kind}"), limit, || {
            let events = events.lock().unwrap();
            let mut new = events.iter().enumerate().skip(from);
            new.find(|(_, event)| event["event"] == kind && fits(event))
                .map(|(at, event)| (at, event.clone()))
        });
        self.read = at + 1;
        event
    }

    #[track_caller]
    pub(crate) fn hear(&mut self, kind: &str) -> Value {
        self.hear_within(SOON, kind, |_| true)
    }

    /// Waits until it tells, in whatever words, that it was refused for want of a credential.
    #[track_caller]
    pub(crate) fn hear_401(&mut self, limit: Duration) {
        let (events, from) = (Arc::clone(&self.events), self.read);
        until("the Go client is refused with 401", limit, || {
            let events = events.lock().unwrap();
            let mut new = events.iter().skip(from);
            new.any(|event| {
                let words = [&event["text"], &event["message"]];
                words
                    .iter()
                    .any(|text| text.as_str().is_some_and(|text| text.contains("401")))
            })
            .then_some(())
        });
    }

    /// How many events of a kind there were from the start.
    pub(crate) fn count(&self, kind: &str) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event["event"] == kind).count()
    }

    /// Passes over everything so far.
    pub(crate) fn skip(&mut self) {
        self.read = self.events.lock().unwrap().len();
    }

    /// Ends it as an orderly stop does.
    pub(crate) fn quit(&mut self) {
        self.tell("quit");
        let group = &mut self.group;
        until("the Go client has ended", SOON, || {
            group.has_ended().then_some(())
        });
    }
}

impl Drop for GoClient {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the Go client said");
            for event in self.events.lock().unwrap().iter() {
                println!("{event}");
            }
        }
    }
}
