//! From domain to wire: one `ServerToAgent`.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::wire;
use crate::fleet::agent::{Command, Offer, RefusalKind, Refused, Reply, Update};
use crate::fleet::config::ConfigMap;
use crate::fleet::connection_offer::{ConnectionOffer, ConnectionSettings, Header};
use crate::fleet::custom::CustomMessage;

/// What this server says it can do: the bits of `ServerToAgent.capabilities`. Only defined bits can be set (S-102).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerCapabilities(u64);

impl ServerCapabilities {
    /// Takes status reports; every server does.
    pub const ACCEPTS_STATUS: Self = Self(wire::ServerCapabilities::AcceptsStatus as u64);
    /// Offers remote configurations.
    pub const OFFERS_REMOTE_CONFIG: Self = Self(wire::ServerCapabilities::OffersRemoteConfig as u64);
    /// Takes effective configurations.
    pub const ACCEPTS_EFFECTIVE_CONFIG: Self = Self(wire::ServerCapabilities::AcceptsEffectiveConfig as u64);
    /// Offers packages.
    pub const OFFERS_PACKAGES: Self = Self(wire::ServerCapabilities::OffersPackages as u64);
    /// Takes the state of packages.
    pub const ACCEPTS_PACKAGES_STATUS: Self = Self(wire::ServerCapabilities::AcceptsPackagesStatus as u64);
    /// Offers connection settings.
    pub const OFFERS_CONNECTION_SETTINGS: Self =
        Self(wire::ServerCapabilities::OffersConnectionSettings as u64);
    /// Answers certificate requests.
    pub const ACCEPTS_CONNECTION_SETTINGS_REQUEST: Self =
        Self(wire::ServerCapabilities::AcceptsConnectionSettingsRequest as u64);

    /// What works here today: one bit per feature, and none that would be a lie (S-103).
    pub const SERVED: Self = Self::ACCEPTS_STATUS
        .with(Self::OFFERS_REMOTE_CONFIG)
        .with(Self::ACCEPTS_EFFECTIVE_CONFIG)
        .with(Self::OFFERS_CONNECTION_SETTINGS);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits as they go out.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// The Protobuf bytes of `reply` to the agent that calls itself `uid` (echoed as it came, S-082). `capabilities` are
/// stated where the reply asks for it, and beside every command, since that may be the first thing an agent hears.
#[must_use]
pub fn encode(uid: &[u8], reply: &Reply, capabilities: ServerCapabilities) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_with(&mut bytes, uid, reply, capabilities, |offer| encode_offer(offer));
    bytes
}

/// As [`encode`], behind what is already in `bytes` (a header, see [`frame::start`](super::frame::start)), and with the
/// offer's bytes from `offer`: callers keep what [`encode_offer`] made, since a fleet is offered few contents.
pub fn encode_with(
    bytes: &mut Vec<u8>,
    uid: &[u8],
    reply: &Reply,
    capabilities: ServerCapabilities,
    offer: impl FnOnce(&Arc<Offer>) -> Bytes,
) {
    // Messages behind one another are one message: the offer's bytes go in between as they are.
    let mut tail = wire::ServerToAgent::default();
    let mut spliced = Bytes::new();
    match reply {
        Reply::Error(refused) => tail.error_response = Some(error_response(refused)),
        Reply::Command(Command::Restart) => {
            tail.capabilities = capabilities.bits();
            let r#type = wire::CommandType::Restart.into();
            tail.command = Some(wire::ServerToAgentCommand { r#type });
        }
        Reply::Update(Update {
            full_state,
            available_components,
            capabilities: stated,
            new_uid,
            remote_config,
            connection,
            custom_capabilities,
            custom_message,
        }) => {
            if *full_state {
                tail.flags |= wire::ServerToAgentFlags::ReportFullState as u64;
            }
            if *available_components {
                tail.flags |= wire::ServerToAgentFlags::ReportAvailableComponents as u64;
            }
            if *stated {
                tail.capabilities = capabilities.bits();
            }
            tail.agent_identification = new_uid.map(|uid| wire::AgentIdentification {
                new_instance_uid: uid.0.to_vec(),
            });
            tail.connection_settings = connection.as_deref().map(connection_settings);
            tail.custom_capabilities = custom_capabilities
                .as_ref()
                .map(|names| wire::CustomCapabilities {
                    capabilities: names.to_vec(),
                });
            tail.custom_message = custom_message.as_deref().map(custom);
            spliced = remote_config.as_ref().map(offer).unwrap_or_default();
        }
    }
    bytes.reserve(uid.len() + 3 + spliced.len() + tail.encoded_len());
    let head = wire::ServerToAgent {
        instance_uid: uid.to_vec(),
        ..Default::default()
    };
    for message in [&head, &tail] {
        // Writing into a `Vec` grows it; prost's error is for buffers that can't.
        let _ = message.encode(bytes);
        bytes.extend_from_slice(&std::mem::take(&mut spliced));
    }
}

/// The `remote_config` field of an offer, tag and length included, as [`encode_with`] splices it in.
#[must_use]
pub fn encode_offer(offer: &Offer) -> Bytes {
    let message = wire::ServerToAgent {
        remote_config: Some(wire::AgentRemoteConfig {
            // Present even when empty: an empty map is an instruction (S-141).
            config: Some(config_map(&offer.content)),
            config_hash: offer.hash.to_vec(),
        }),
        ..Default::default()
    };
    message.encode_to_vec().into()
}

/// The whole of the connection's settings, and nothing about others, which so stay as they are (S-206).
fn connection_settings(offer: &ConnectionOffer) -> wire::ConnectionSettingsOffers {
    let ConnectionSettings {
        endpoint,
        headers,
        ca_pem,
        heartbeat_seconds,
    } = &offer.settings;
    let header = |header: &Header| wire::Header {
        key: header.name.clone(),
        value: header.value.clone(),
    };
    wire::ConnectionSettingsOffers {
        hash: offer.hash.0.to_vec(),
        opamp: Some(wire::OpAmpConnectionSettings {
            destination_endpoint: endpoint.clone(),
            headers: Some(wire::Headers {
                headers: headers.iter().map(header).collect(),
            }),
            // Without it a Supervisor verifies nothing any more (T-09). There is no client certificate.
            certificate: Some(wire::TlsCertificate {
                ca_cert: ca_pem.as_bytes().to_vec(),
                ..Default::default()
            }),
            heartbeat_interval_seconds: *heartbeat_seconds,
            // Absent is unchanged (S-242).
            tls: None,
            proxy: None,
        }),
        ..Default::default()
    }
}

/// Also what a message of an agent carries, which our own client writes.
pub(super) fn custom(message: &CustomMessage) -> wire::CustomMessage {
    wire::CustomMessage {
        capability: message.capability.clone(),
        r#type: message.kind.clone(),
        data: message.data.clone(),
    }
}

/// Also what an effective configuration carries, which our own client writes.
pub(super) fn config_map(content: &ConfigMap) -> wire::AgentConfigMap {
    let files = content.files.iter().map(|(name, file)| {
        let object = wire::AgentConfigObject {
            body: file.body.clone(),
            content_type: file.content_type.clone(),
            role: file.role.clone(),
        };
        (name.clone(), object)
    });
    wire::AgentConfigMap {
        config_map: files.collect(),
    }
}

fn error_response(refused: &Refused) -> wire::ServerErrorResponse {
    use wire::ServerErrorResponseType as Type;
    use wire::server_error_response::Details;
    let (kind, waits) = match refused.kind {
        RefusalKind::Unknown => (Type::Unknown, false),
        RefusalKind::BadRequest => (Type::BadRequest, false),
        RefusalKind::Unavailable => (Type::Unavailable, true),
    };
    let wait = refused.retry_after.filter(|_| waits);
    wire::ServerErrorResponse {
        r#type: kind.into(),
        error_message: refused.message.clone(),
        details: wait.map(|wait| {
            Details::RetryInfo(wire::RetryInfo {
                retry_after_nanoseconds: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
            })
        }),
    }
}
