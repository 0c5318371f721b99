//! An agent that was enrolled, and what it says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use muster::app::enrolment::{Enrol, NewEnrolmentToken};
use muster::fleet::agent::report::{ConnectionStatus, Health, RemoteConfigOutcome, RemoteConfigStatus};
use muster::fleet::attributes::{Attribute, Description, Value};
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::ConfigMap;
use muster::fleet::ids::{AgentId, CredentialId};
use muster::fleet::name::Name;
use muster::opamp::client::{OfferedConnection, Outgoing};

use super::{Line, Request, World, admin};

/// What agents can do, by the names of the specification.
pub(crate) mod caps {
    pub(crate) use muster::fleet::capabilities::Capabilities as C;
}

/// Everything that an agent may be able to do and that we serve.
pub(crate) const ALL: Capabilities = Capabilities::REPORTS_STATUS
    .with(Capabilities::ACCEPTS_REMOTE_CONFIG)
    .with(Capabilities::REPORTS_EFFECTIVE_CONFIG)
    .with(Capabilities::REPORTS_REMOTE_CONFIG)
    .with(Capabilities::REPORTS_HEALTH)
    .with(Capabilities::REPORTS_HEARTBEAT)
    .with(Capabilities::ACCEPTS_RESTART_COMMAND)
    .with(Capabilities::REPORTS_AVAILABLE_COMPONENTS);

/// What an agent does that only lets itself be looked at.
pub(crate) const OBSERVED: Capabilities = Capabilities::REPORTS_STATUS.with(Capabilities::REPORTS_HEALTH);

static NEXT_UID: AtomicU64 = AtomicU64::new(1);

/// An agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) uid: Vec<u8>,
    pub(crate) credential: String,
    pub(crate) credential_id: CredentialId,
    /// Its record; `None` while it is one of many behind a credential.
    pub(crate) id: Option<AgentId>,
    pub(crate) sequence: u64,
    pub(crate) capabilities: Capabilities,
    pub(crate) host: String,
    pub(crate) status: RemoteConfigStatus,
    pub(crate) effective: ConfigMap,
}

impl World {
    /// An agent in no group.
    pub(crate) async fn agent(&self) -> Agent {
        self.enrolled(None, None).await
    }

    /// An agent that its token puts into a group.
    pub(crate) async fn agent_of(&self, group: &str) -> Agent {
        self.enrolled(Some(group), None).await
    }

    /// The first agent behind a gateway; [`Agent::sibling`] makes more.
    pub(crate) async fn gateway(&self, group: Option<&str>, most: u32) -> Agent {
        self.enrolled(group, Some(most)).await
    }

    async fn enrolled(&self, group: Option<&str>, many: Option<u32>) -> Agent {
        let wish = NewEnrolmentToken {
            group: group.map(Name::slug),
            many,
            ..NewEnrolmentToken::default()
        };
        let token = self.app.create_enrolment_token(&admin(), wish).await.unwrap();
        let uid = fresh_uid();
        let host = format!("host-{}", uid[15]);
        let wish = Enrol {
            host: host.clone(),
            ..Enrol::default()
        };
        let enrolled = self.app.enrol(&token.secret, wish, None).await.unwrap();
        Agent {
            uid,
            credential: enrolled.credential,
            credential_id: enrolled.credential_id,
            id: enrolled.agent_id,
            sequence: 0,
            capabilities: ALL,
            host,
            status: RemoteConfigStatus::default(),
            effective: ConfigMap::document("receivers: {}\n"),
        }
    }
}

/// A uid that nobody has.
pub(crate) fn fresh_uid() -> Vec<u8> {
    let number = NEXT_UID.fetch_add(1, Ordering::Relaxed);
    let mut uid = vec![1_u8; 8];
    uid.extend(number.to_be_bytes());
    uid
}

impl Agent {
    /// Its record's id.
    pub(crate) fn id(&self) -> AgentId {
        self.id.expect("an agent of its own credential")
    }

    /// With other capabilities.
    pub(crate) fn able(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Uses the credential of connection settings that it was offered, and starts anew with it as a Supervisor's client.
    pub(crate) fn take(&mut self, offered: &OfferedConnection) {
        self.credential = bearer_of(offered);
        self.sequence = 0;
    }

    /// Its next message, saying what became of connection settings.
    pub(crate) fn says_of_connection(&mut self, hash: &[u8], outcome: RemoteConfigOutcome) -> Outgoing {
        let mut message = self.compressed();
        message.parts.connection_status = Some(ConnectionStatus {
            hash: hash.to_vec(),
            outcome,
            error: "no route to host".into(),
        });
        message
    }

    /// Another agent behind the same gateway.
    pub(crate) fn sibling(&self) -> Self {
        let uid = fresh_uid();
        Self {
            host: format!("host-{}", uid[15]),
            uid,
            id: None,
            sequence: 0,
            ..self.clone()
        }
    }

    /// Its next message, with nothing but uid, number and capabilities.
    pub(crate) fn compressed(&mut self) -> Outgoing {
        self.sequence += 1;
        self.at(self.sequence)
    }

    /// A message with this number; counting goes on from there.
    pub(crate) fn at(&mut self, sequence: u64) -> Outgoing {
        self.sequence = sequence;
        Outgoing {
            uid: self.uid.clone(),
            sequence,
            capabilities: self.capabilities.0,
            ..Outgoing::default()
        }
    }

    /// Its next message, with everything that its capabilities promise.
    pub(crate) fn full(&mut self) -> Outgoing {
        let mut message = self.compressed();
        let parts = &mut message.parts;
        parts.description = Some(self.description());
        if self.capabilities.has(Capabilities::REPORTS_HEALTH) {
            parts.health = Some(self.health(true));
        }
        if self.capabilities.has(Capabilities::REPORTS_EFFECTIVE_CONFIG) {
            parts.effective_config = Some(self.effective.clone());
        }
        if self.capabilities.has(Capabilities::REPORTS_REMOTE_CONFIG) {
            parts.remote_config_status = Some(self.status.clone());
        }
        message
    }

    /// Its next message, saying what became of a configuration.
    pub(crate) fn reports(&mut self, hash: &[u8], outcome: RemoteConfigOutcome) -> Outgoing {
        self.status = RemoteConfigStatus {
            hash: hash.to_vec(),
            outcome,
            error: String::new(),
        };
        let mut message = self.compressed();
        message.parts.remote_config_status = Some(self.status.clone());
        message
    }

    pub(crate) fn description(&self) -> Description {
        Description {
            identifying: vec![
                text("service.name", "collector"),
                text("service.version", "1.2.3"),
            ],
            non_identifying: vec![text("host.name", &self.host), text("os.type", "linux")],
        }
    }

    #[expect(clippy::unused_self, reason = "it reads as the agent's")]
    pub(crate) fn health(&self, healthy: bool) -> Health {
        Health {
            healthy,
            started_at: Some(muster::fleet::time::Timestamp::from_seconds(1_700_000_000)),
            status: "StatusOK".into(),
            components: BTreeMap::new(),
            ..Health::default()
        }
    }

    /// Opens a WebSocket.
    pub(crate) async fn connect(&self, world: &World) -> Line {
        Line::open(world, &self.credential).await.unwrap()
    }

    /// Opens a WebSocket, sends a full report and expects a quiet welcome.
    pub(crate) async fn online(&mut self, world: &World) -> Line {
        let mut line = self.connect(world).await;
        let answer = line.ask(&self.full()).await;
        assert_eq!(answer.error, None);
        line
    }

    /// Asks by HTTP.
    pub(crate) fn poll(&self, message: &Outgoing) -> Request {
        Request::poll(&self.credential, message)
    }
}

/// The secret in the headers of an offer.
pub(crate) fn bearer_of(offered: &OfferedConnection) -> String {
    let mut headers = offered.settings.headers.iter();
    let found = headers.find(|header| header.name.eq_ignore_ascii_case("authorization"));
    let value = &found.expect("a credential").value;
    value.strip_prefix("Bearer ").expect("a bearer token").to_owned()
}

pub(crate) fn text(key: &str, value: &str) -> Attribute {
    Attribute {
        key: key.into(),
        value: Value::String(value.into()),
    }
}

impl Agent {
    /// Opens a WebSocket, if it is let in.
    pub(crate) async fn connect_or_refusal(
        &self,
        world: &World,
    ) -> Result<Line, muster::http::websocket::ConnectError> {
        Line::open(world, &self.credential).await
    }
}
