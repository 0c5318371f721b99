//! From wire to domain. Every message is taken apart field by field, so that a new field of the schema does not compile
//! until someone decides what becomes of it.

use std::borrow::Cow;

use prost::Message as _;

use super::refusal::Refusal;
use super::scan::{Scan, scan};
use super::varint::{Cursor, Raw};
use super::{Limits, wire};
use crate::fleet::agent::report::{
    AvailableComponents, Component, ConnectionStatus, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus,
    Report,
};
use crate::fleet::attributes::{Attribute, Description, Value};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::{ConfigFile, ConfigMap};
use crate::fleet::custom::CustomMessage;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// Scans and decodes the Protobuf bytes of an `AgentToServer`.
///
/// # Errors
/// [`Refusal`] says what is wrong, in words for the agent, and whom to answer.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Report, Refusal> {
    scan(bytes, limits)?.decode()
}

/// A digest of a message's bytes, the same on every machine and for ever: tells a repetition from another message with
/// the same number.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let Digest(digest) = Digest::of(bytes);
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Scan<'_> {
    /// Decodes the scanned message. A heartbeat costs next to nothing.
    ///
    /// # Errors
    /// [`Refusal`] when the uid is faulty or a text is not UTF-8.
    pub fn decode(&self) -> Result<Report, Refusal> {
        let uid = self.uid()?;
        let parts = if self.is_heartbeat {
            Said::default()
        } else {
            Said::of(&self.decodable()).map_err(|error| Refusal {
                echo: self.echo,
                cause: error.into(),
            })?
        };
        Ok(Report {
            uid,
            sequence: self.sequence,
            fingerprint: fingerprint(self.bytes),
            capabilities: (self.capabilities != 0).then_some(Capabilities(self.capabilities)),
            parts: parts.parts,
            disconnect: parts.disconnect,
            requests_uid: self.flags & wire::AgentToServerFlags::RequestInstanceUid as u64 != 0,
        })
    }

    /// The bytes as the decoder takes them. It gives up on the whole message at one integer where the schema has a
    /// float, and agents of OpAMP 0.11 send that in a package status: that part is lost, the agent is not (S-332).
    fn decodable(&self) -> Cow<'_, [u8]> {
        const PACKAGE_STATUSES: u32 = 8;
        if !self.has_old_download_rate {
            return Cow::Borrowed(self.bytes);
        }
        let mut kept = Vec::with_capacity(self.bytes.len());
        let mut cursor = Cursor(self.bytes);
        while !cursor.is_empty() {
            let before = cursor.0;
            match cursor.field() {
                Ok((PACKAGE_STATUSES, Raw::Delimited(_))) => {}
                Ok(_) => {
                    kept.extend_from_slice(before.get(..before.len() - cursor.0.len()).unwrap_or_default());
                }
                // The scan read the same fields.
                Err(_) => break,
            }
        }
        Cow::Owned(kept)
    }
}

/// The part of a message that only decoding shows.
#[derive(Default)]
struct Said {
    parts: Parts,
    disconnect: bool,
}

impl Said {
    fn of(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        let wire::AgentToServer {
            // The scan has read these.
            instance_uid: _,
            sequence_num: _,
            capabilities: _,
            flags: _,
            agent_description,
            health,
            effective_config,
            remote_config_status,
            agent_disconnect,
            custom_capabilities,
            available_components,
            // Not served: the bits that invite them are not set, and agents send them regardless (S-103).
            package_statuses: _,
            connection_settings_request: _,
            custom_message,
            connection_settings_status,
        } = wire::AgentToServer::decode(bytes)?;
        let parts = Parts {
            description: agent_description.map(description),
            health: health.map(component_health),
            effective_config: effective_config
                .and_then(|wire::EffectiveConfig { config_map }| config_map)
                .map(config_map),
            remote_config_status: remote_config_status.map(status),
            connection_status: connection_settings_status.map(connection_status),
            available_components: available_components.map(components),
            custom_capabilities: custom_capabilities
                .map(|wire::CustomCapabilities { capabilities }| capabilities),
            custom_message: custom_message.map(custom),
        };
        Ok(Self {
            parts,
            disconnect: agent_disconnect.is_some_and(|wire::AgentDisconnect {}| true),
        })
    }
}

/// Also what a message to an agent carries, which our own client reads.
pub(super) fn custom(wire: wire::CustomMessage) -> CustomMessage {
    let wire::CustomMessage {
        capability,
        r#type: kind,
        data,
    } = wire;
    CustomMessage {
        capability,
        kind,
        data,
    }
}

fn description(wire: wire::AgentDescription) -> Description {
    let wire::AgentDescription {
        identifying_attributes,
        non_identifying_attributes,
    } = wire;
    Description {
        identifying: attributes(identifying_attributes),
        non_identifying: attributes(non_identifying_attributes),
    }
}

fn attributes(wire: Vec<wire::KeyValue>) -> Vec<Attribute> {
    let attribute = |wire::KeyValue { key, value: v }| Attribute {
        key,
        value: v.map(value).unwrap_or_default(),
    };
    wire.into_iter().map(attribute).collect()
}

fn value(wire: wire::AnyValue) -> Value {
    use wire::any_value::Value as Wire;
    let wire::AnyValue { value: member } = wire;
    match member {
        None => Value::Null,
        Some(Wire::StringValue(text)) => Value::String(text),
        Some(Wire::BoolValue(truth)) => Value::Bool(truth),
        Some(Wire::IntValue(number)) => Value::Int(number),
        Some(Wire::DoubleValue(number)) => Value::Double(number),
        Some(Wire::ArrayValue(wire::ArrayValue { values })) => {
            Value::Array(values.into_iter().map(value).collect())
        }
        Some(Wire::KvlistValue(wire::KeyValueList { values })) => Value::Object(attributes(values)),
        Some(Wire::BytesValue(bytes)) => Value::Bytes(bytes),
    }
}

fn component_health(wire: wire::ComponentHealth) -> Health {
    let wire::ComponentHealth {
        healthy,
        start_time_unix_nano,
        last_error,
        status,
        status_time_unix_nano,
        component_health_map,
        attributes: context,
    } = wire;
    let stated = |nanos: u64| (nanos != 0).then_some(Timestamp(nanos));
    Health {
        healthy,
        started_at: stated(start_time_unix_nano),
        last_error,
        status,
        status_at: stated(status_time_unix_nano),
        attributes: attributes(context),
        components: component_health_map
            .into_iter()
            .map(|(name, inner)| (name, component_health(inner)))
            .collect(),
    }
}

/// Also what an offer carries, which our own client reads.
pub(super) fn config_map(wire: wire::AgentConfigMap) -> ConfigMap {
    let wire::AgentConfigMap { config_map } = wire;
    let file = |wire| {
        let wire::AgentConfigObject {
            body,
            content_type,
            role,
        } = wire;
        ConfigFile {
            body,
            content_type,
            role,
        }
    };
    ConfigMap {
        files: config_map
            .into_iter()
            .map(|(name, object)| (name, file(object)))
            .collect(),
    }
}

fn status(wire: wire::RemoteConfigStatus) -> RemoteConfigStatus {
    use wire::RemoteConfigStatuses as Wire;
    let wire::RemoteConfigStatus {
        last_remote_config_hash,
        status,
        error_message,
    } = wire;
    RemoteConfigStatus {
        hash: last_remote_config_hash,
        outcome: match Wire::try_from(status) {
            Ok(Wire::Applied) => RemoteConfigOutcome::Applied,
            Ok(Wire::Applying) => RemoteConfigOutcome::Applying,
            Ok(Wire::Failed) => RemoteConfigOutcome::Failed,
            // A value of a newer specification says nothing to us (S-330).
            Ok(Wire::Unset) | Err(_) => RemoteConfigOutcome::Unset,
        },
        error: error_message,
    }
}

fn connection_status(wire: wire::ConnectionSettingsStatus) -> ConnectionStatus {
    use wire::ConnectionSettingsStatuses as Wire;
    let wire::ConnectionSettingsStatus {
        last_connection_settings_hash,
        status,
        error_message,
    } = wire;
    ConnectionStatus {
        hash: last_connection_settings_hash,
        outcome: match Wire::try_from(status) {
            Ok(Wire::Applied) => RemoteConfigOutcome::Applied,
            Ok(Wire::Applying) => RemoteConfigOutcome::Applying,
            Ok(Wire::Failed) => RemoteConfigOutcome::Failed,
            Ok(Wire::Unset) | Err(_) => RemoteConfigOutcome::Unset,
        },
        error: error_message,
    }
}

fn components(wire: wire::AvailableComponents) -> AvailableComponents {
    let wire::AvailableComponents { components, hash } = wire;
    AvailableComponents {
        hash,
        components: components
            .into_iter()
            .map(|(name, inner)| (name, component(inner)))
            .collect(),
    }
}

fn component(wire: wire::ComponentDetails) -> Component {
    let wire::ComponentDetails {
        metadata,
        sub_component_map,
    } = wire;
    Component {
        metadata: attributes(metadata),
        components: sub_component_map
            .into_iter()
            .map(|(name, inner)| (name, component(inner)))
            .collect(),
    }
}
