//! What an operator does, by the API over the local socket.

use std::path::Path;
use std::time::Duration;

use http::Method;
use muster::cli::client::{Client, ClientError};
use muster::settings::Environment;
use serde_json::{Value, json};

use crate::patience::until;

/// The operator of the server's host.
pub(crate) struct Api {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Api {
    pub(crate) fn new(data: &Path) -> Self {
        let nothing = Environment::from_pairs(Vec::<(String, String)>::new());
        Self {
            client: Client::local(Some(data), &nothing),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn try_get(&self, path: &str) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.get(path))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.try_get(path)
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.runtime.block_on(self.client.post(path, body))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("POST {path}: {error} {error:?}"))
    }

    pub(crate) fn delete(&self, path: &str) {
        let answer = self
            .runtime
            .block_on(self.client.send(Method::DELETE, path, None, None));
        answer.unwrap_or_else(|error| panic!("DELETE {path}: {error}"));
    }

    /// One number of the metrics page, 0 when it isn't there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = self
            .runtime
            .block_on(self.client.send(Method::GET, "/metrics", None, None));
        let text = String::from_utf8(answer.unwrap().body().to_vec()).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// How often full states were asked for since the server's start.
    pub(crate) fn full_state_requests(&self) -> f64 {
        self.metric("muster_full_state_requests_total")
    }

    /// The secret of a new enrolment token.
    pub(crate) fn enrolment_token(&self) -> String {
        let made = self.post("/api/v1/enrolment-tokens", &json!({"note": "interop", "uses": 1}));
        made["secret"].as_str().unwrap().to_owned()
    }

    /// All agents.
    pub(crate) fn agents(&self) -> Vec<Value> {
        self.get("/api/v1/agents")["agents"].as_array().unwrap().clone()
    }

    pub(crate) fn agent(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/agents/{id}"))
    }

    /// Waits until the agent is as `like` wants it; the agent.
    #[track_caller]
    pub(crate) fn await_agent(
        &self,
        id: &str,
        what: &str,
        limit: Duration,
        like: impl Fn(&Value) -> bool,
    ) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(what, limit, || {
                let agent = self.agent(id);
                let fits = like(&agent);
                last.replace(agent.clone());
                fits.then_some(agent)
            })
        }));
        seen.unwrap_or_else(|_| {
            let timeline = self.try_get(&format!("/api/v1/agents/{id}/timeline"));
            panic!("{what}: the agent was last {:#}\n{timeline:#?}", last.borrow())
        })
    }

    pub(crate) fn act(&self, id: &str, act: &Value) {
        self.post(&format!("/api/v1/agents/{id}/acts"), act);
    }

    /// The kinds of events in an agent's timeline, oldest first.
    pub(crate) fn timeline(&self, id: &str) -> Vec<Value> {
        let timeline = self.get(&format!("/api/v1/agents/{id}/timeline?limit=1000"));
        let mut entries = timeline["entries"].as_array().unwrap().clone();
        entries.reverse();
        entries
    }

    /// Keeps `yaml` as the config `name`, as its first revision or its next; the revision's number.
    pub(crate) fn save(&self, name: &str, yaml: &str) -> u64 {
        let saved = match self.try_get(&format!("/api/v1/configs/{name}")) {
            Err(_) => self.post("/api/v1/configs", &json!({"name": name, "yaml": yaml})),
            Ok(config) => {
                let base = config["latest"].as_u64().unwrap();
                let path = format!("/api/v1/configs/{name}/revisions");
                self.post(&path, &json!({"base": base, "yaml": yaml}))
            }
        };
        saved["revision"]["number"].as_u64().unwrap()
    }

    /// Publishes a revision to a group.
    pub(crate) fn publish(&self, group: &str, config: &str, revision: u64) {
        let path = format!("/api/v1/groups/{group}/publish");
        self.post(
            &path,
            &json!({"layers": [{"config": config, "revision": revision}], "strategy": "all at once"}),
        );
    }

    /// Publishes a revision of which the server says that its one agent lacks something.
    pub(crate) fn publish_although_something_is_lacking(&self, group: &str, config: &str, revision: u64) {
        let path = format!("/api/v1/groups/{group}/publish");
        let layers = json!([{"config": config, "revision": revision}]);
        let wish = json!({"layers": layers, "strategy": "all at once"});
        let refused = self.try_post(&path, &wish).expect_err("a question first");
        assert!(refused.to_string().contains("lack components"), "{refused}");
        self.post(
            &path,
            &json!({"layers": layers, "confirm": 1, "strategy": "all at once"}),
        );
    }

    /// Makes a group and puts the agent into it.
    pub(crate) fn group_of(&self, group: &str, agent: &str) {
        self.post("/api/v1/groups", &json!({"name": group}));
        self.act(agent, &json!({"act": "pin", "group": group}));
    }
}

/// Whether an agent is there.
pub(crate) fn online(agent: &Value) -> bool {
    agent["presence"]["state"] == "online"
}

/// Whether an agent is there and well.
pub(crate) fn healthy(agent: &Value) -> bool {
    online(agent) && agent["status"]["condition"] == "healthy"
}

/// Where its configuration stands.
pub(crate) fn config_is(agent: &Value, state: &str) -> bool {
    agent["config"]["state"] == state
}
