//! The other end of the wire: what an agent writes and reads. For the simulator and for tests, which so exercise the
//! same schema without seeing a wire type.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;

use super::{encode, wire};
use crate::fleet::agent::report::{
    AvailableComponents, Component, ConnectionStatus, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus,
    Report,
};
use crate::fleet::agent::{RefusalKind, Refused};
use crate::fleet::attributes::{Attribute, Value};
use crate::fleet::config::ConfigMap;
use crate::fleet::connection_offer::{ConnectionSettings, Header};
use crate::fleet::custom::CustomMessage;
use crate::fleet::time::Timestamp;

/// One `AgentToServer` to be sent. Unlike a [`Report`] it may be wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// The uid: any bytes.
    pub uid: Vec<u8>,
    /// The number.
    pub sequence: u64,
    /// The capabilities; 0 says nothing.
    pub capabilities: u64,
    /// What is to be said.
    pub parts: Parts,
    /// Whether to say goodbye.
    pub disconnect: bool,
    /// Whether to ask for a uid.
    pub requests_uid: bool,
}

impl From<Report> for Outgoing {
    fn from(report: Report) -> Self {
        Self {
            uid: report.uid.0.to_vec(),
            sequence: report.sequence,
            capabilities: report.capabilities.map_or(0, |capabilities| capabilities.0),
            parts: report.parts,
            disconnect: report.disconnect,
            requests_uid: report.requests_uid,
        }
    }
}

/// One `ServerToAgent` as an agent understands it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incoming {
    /// Whom it is for.
    pub uid: Vec<u8>,
    /// What the server could not do.
    pub error: Option<Refused>,
    /// An offered configuration with its `config_hash`.
    pub remote_config: Option<(ConfigMap, Vec<u8>)>,
    /// Whether everything is asked for.
    pub full_state: bool,
    /// Whether the components are asked for.
    pub available_components: bool,
    /// The server's capabilities; 0 says nothing.
    pub capabilities: u64,
    /// The uid to use from now on.
    pub new_uid: Option<Vec<u8>>,
    /// Whether to restart.
    pub restart: bool,
    /// Offered settings of the agent's connection.
    pub connection: Option<OfferedConnection>,
    /// The server's custom capabilities, all of them.
    pub custom_capabilities: Option<Vec<String>>,
    /// A custom message.
    pub custom_message: Option<CustomMessage>,
    /// The field numbers of everything else that was present.
    pub other_fields: Vec<u32>,
}

/// Settings of the agent's connection, as an agent understands them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfferedConnection {
    /// The hash to report.
    pub hash: Vec<u8>,
    /// The settings. Without a certificate message the authorities are empty.
    pub settings: ConnectionSettings,
    /// What they carry beside that, by name: none of ours carries any of it.
    pub beside: Vec<&'static str>,
}

/// Bytes that are no `ServerToAgent`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ServerToAgent message: {0}")]
pub struct NotAnAnswer(#[from] prost::DecodeError);

/// The Protobuf bytes of a message to the server.
#[must_use]
pub fn write(message: &Outgoing) -> Vec<u8> {
    let parts = &message.parts;
    let wire = wire::AgentToServer {
        instance_uid: message.uid.clone(),
        sequence_num: message.sequence,
        capabilities: message.capabilities,
        flags: if message.requests_uid {
            wire::AgentToServerFlags::RequestInstanceUid as u64
        } else {
            0
        },
        agent_description: parts
            .description
            .as_ref()
            .map(|description| wire::AgentDescription {
                identifying_attributes: attributes(&description.identifying),
                non_identifying_attributes: attributes(&description.non_identifying),
            }),
        health: parts.health.as_ref().map(health),
        effective_config: parts
            .effective_config
            .as_ref()
            .map(|content| wire::EffectiveConfig {
                config_map: Some(encode::config_map(content)),
            }),
        remote_config_status: parts.remote_config_status.as_ref().map(status),
        connection_settings_status: parts.connection_status.as_ref().map(connection_status),
        available_components: parts.available_components.as_ref().map(available_components),
        custom_capabilities: parts
            .custom_capabilities
            .as_ref()
            .map(|names| wire::CustomCapabilities {
                capabilities: names.clone(),
            }),
        custom_message: parts.custom_message.as_ref().map(encode::custom),
        agent_disconnect: message.disconnect.then_some(wire::AgentDisconnect {}),
        ..Default::default()
    };
    wire.encode_to_vec()
}

/// Reads the Protobuf bytes of a message from the server.
///
/// # Errors
/// [`NotAnAnswer`] when they are none.
pub fn read(bytes: &[u8]) -> Result<Incoming, NotAnAnswer> {
    let wire::ServerToAgent {
        instance_uid,
        error_response,
        remote_config,
        connection_settings,
        packages_available,
        flags,
        capabilities,
        agent_identification,
        command,
        custom_capabilities,
        custom_message,
    } = wire::ServerToAgent::decode(bytes)?;
    let of_others = connection_settings.as_ref().is_some_and(|offers| {
        offers.own_metrics.is_some()
            || offers.own_traces.is_some()
            || offers.own_logs.is_some()
            || !offers.other_connections.is_empty()
    });
    let others = [(4, of_others), (5, packages_available.is_some())];
    let asks = |flag: wire::ServerToAgentFlags| flags & flag as u64 != 0;
    Ok(Incoming {
        uid: instance_uid,
        error: error_response.map(refused),
        remote_config: remote_config.map(|wire::AgentRemoteConfig { config, config_hash }| {
            (
                config.map(super::decode::config_map).unwrap_or_default(),
                config_hash,
            )
        }),
        full_state: asks(wire::ServerToAgentFlags::ReportFullState),
        available_components: asks(wire::ServerToAgentFlags::ReportAvailableComponents),
        capabilities,
        new_uid: agent_identification.map(|wire::AgentIdentification { new_instance_uid }| new_instance_uid),
        restart: command.is_some_and(|command| command.r#type() == wire::CommandType::Restart),
        connection: connection_settings.and_then(connection),
        custom_capabilities: custom_capabilities
            .map(|wire::CustomCapabilities { capabilities }| capabilities),
        custom_message: custom_message.map(super::decode::custom),
        other_fields: others
            .into_iter()
            .filter_map(|(number, present)| present.then_some(number))
            .collect(),
    })
}

fn connection(wire: wire::ConnectionSettingsOffers) -> Option<OfferedConnection> {
    let opamp = wire.opamp?;
    let header = |wire::Header { key, value }| Header { name: key, value };
    let headers = opamp.headers.unwrap_or_default().headers;
    let wire::TlsCertificate {
        cert,
        private_key,
        ca_cert: authorities,
    } = opamp.certificate.unwrap_or_default();
    let beside = [
        ("certificate", !cert.is_empty()),
        ("private key", !private_key.is_empty()),
        ("tls", opamp.tls.is_some()),
        ("proxy", opamp.proxy.is_some()),
    ];
    Some(OfferedConnection {
        hash: wire.hash,
        settings: ConnectionSettings {
            endpoint: opamp.destination_endpoint,
            headers: headers.into_iter().map(header).collect(),
            ca_pem: String::from_utf8_lossy(&authorities).into_owned(),
            heartbeat_seconds: opamp.heartbeat_interval_seconds,
        },
        beside: beside
            .into_iter()
            .filter_map(|(name, present)| present.then_some(name))
            .collect(),
    })
}

fn refused(wire: wire::ServerErrorResponse) -> Refused {
    use wire::ServerErrorResponseType as Type;
    use wire::server_error_response::Details;
    Refused {
        kind: match wire.r#type() {
            Type::Unknown => RefusalKind::Unknown,
            Type::BadRequest => RefusalKind::BadRequest,
            Type::Unavailable => RefusalKind::Unavailable,
        },
        message: wire.error_message,
        retry_after: wire
            .details
            .map(|Details::RetryInfo(retry)| Duration::from_nanos(retry.retry_after_nanoseconds)),
    }
}

fn attributes(attributes: &[Attribute]) -> Vec<wire::KeyValue> {
    let key_value = |attribute: &Attribute| wire::KeyValue {
        key: attribute.key.clone(),
        value: Some(any_value(&attribute.value)),
    };
    attributes.iter().map(key_value).collect()
}

fn any_value(value: &Value) -> wire::AnyValue {
    use wire::any_value::Value as Wire;
    let member = match value {
        Value::Null => None,
        Value::String(text) => Some(Wire::StringValue(text.clone())),
        Value::Bool(truth) => Some(Wire::BoolValue(*truth)),
        Value::Int(number) => Some(Wire::IntValue(*number)),
        Value::Double(number) => Some(Wire::DoubleValue(*number)),
        Value::Array(values) => Some(Wire::ArrayValue(wire::ArrayValue {
            values: values.iter().map(any_value).collect(),
        })),
        Value::Object(pairs) => Some(Wire::KvlistValue(wire::KeyValueList {
            values: attributes(pairs),
        })),
        Value::Bytes(bytes) => Some(Wire::BytesValue(bytes.clone())),
    };
    wire::AnyValue { value: member }
}

fn health(health: &Health) -> wire::ComponentHealth {
    let nanos = |at: Option<Timestamp>| at.map_or(0, |at| at.0);
    wire::ComponentHealth {
        healthy: health.healthy,
        start_time_unix_nano: nanos(health.started_at),
        last_error: health.last_error.clone(),
        status: health.status.clone(),
        status_time_unix_nano: nanos(health.status_at),
        component_health_map: health
            .components
            .iter()
            .map(|(name, inner)| (name.clone(), self::health(inner)))
            .collect(),
        attributes: attributes(&health.attributes),
    }
}

fn status(status: &RemoteConfigStatus) -> wire::RemoteConfigStatus {
    use wire::RemoteConfigStatuses as Wire;
    let outcome = match status.outcome {
        RemoteConfigOutcome::Unset => Wire::Unset,
        RemoteConfigOutcome::Applied => Wire::Applied,
        RemoteConfigOutcome::Applying => Wire::Applying,
        RemoteConfigOutcome::Failed => Wire::Failed,
    };
    wire::RemoteConfigStatus {
        last_remote_config_hash: status.hash.clone(),
        status: outcome.into(),
        error_message: status.error.clone(),
    }
}

fn connection_status(status: &ConnectionStatus) -> wire::ConnectionSettingsStatus {
    use wire::ConnectionSettingsStatuses as Wire;
    let outcome = match status.outcome {
        RemoteConfigOutcome::Unset => Wire::Unset,
        RemoteConfigOutcome::Applied => Wire::Applied,
        RemoteConfigOutcome::Applying => Wire::Applying,
        RemoteConfigOutcome::Failed => Wire::Failed,
    };
    wire::ConnectionSettingsStatus {
        last_connection_settings_hash: status.hash.clone(),
        status: outcome.into(),
        error_message: status.error.clone(),
    }
}

fn available_components(available: &AvailableComponents) -> wire::AvailableComponents {
    wire::AvailableComponents {
        components: components(&available.components),
        hash: available.hash.clone(),
    }
}

fn components(components: &BTreeMap<String, Component>) -> BTreeMap<String, wire::ComponentDetails> {
    let details = |component: &Component| wire::ComponentDetails {
        metadata: attributes(&component.metadata),
        sub_component_map: self::components(&component.components),
    };
    components
        .iter()
        .map(|(name, component)| (name.clone(), details(component)))
        .collect()
}
