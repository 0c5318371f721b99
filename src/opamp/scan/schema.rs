//! The part of the schema that an `AgentToServer` can reach, as the scan walks it. `tests` compares it with the
//! generated descriptors, so that it can't fall behind `proto/`.

/// A message type, an entry of a map being one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    AgentToServer,
    AgentDescription,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
    ComponentHealth,
    ComponentHealthMapEntry,
    EffectiveConfig,
    AgentConfigMap,
    ConfigMapEntry,
    AgentConfigObject,
    RemoteConfigStatus,
    PackageStatuses,
    PackagesEntry,
    PackageStatus,
    PackageDownloadDetails,
    AgentDisconnect,
    ConnectionSettingsRequest,
    OpAMPConnectionSettingsRequest,
    CertificateRequest,
    CustomCapabilities,
    CustomMessage,
    AvailableComponents,
    ComponentsEntry,
    ComponentDetails,
    SubComponentMapEntry,
    ConnectionSettingsStatus,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, a boolean or an enum.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Eight bytes, but a number from agents of OpAMP 0.11 (S-332).
    Rate,
    /// UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// A message.
    Message(Node),
}

#[expect(
    clippy::match_same_arms,
    reason = "reads along the schema, message by message"
)]
/// What field `number` of `node` holds; `None` when the schema has no such field.
pub(super) fn field(node: Node, number: u32) -> Option<Kind> {
    use Kind::{Bytes, Fixed64, Message, Rate, Text, Varint};
    use Node as N;

    let kind = match (node, number) {
        (N::AgentToServer, 1) => Bytes,
        (N::AgentToServer, 2 | 4 | 10) => Varint,
        (N::AgentToServer, 3) => Message(N::AgentDescription),
        (N::AgentToServer, 5) => Message(N::ComponentHealth),
        (N::AgentToServer, 6) => Message(N::EffectiveConfig),
        (N::AgentToServer, 7) => Message(N::RemoteConfigStatus),
        (N::AgentToServer, 8) => Message(N::PackageStatuses),
        (N::AgentToServer, 9) => Message(N::AgentDisconnect),
        (N::AgentToServer, 11) => Message(N::ConnectionSettingsRequest),
        (N::AgentToServer, 12) => Message(N::CustomCapabilities),
        (N::AgentToServer, 13) => Message(N::CustomMessage),
        (N::AgentToServer, 14) => Message(N::AvailableComponents),
        (N::AgentToServer, 15) => Message(N::ConnectionSettingsStatus),

        (N::AgentDescription, 1 | 2) => Message(N::KeyValue),
        (N::KeyValueList, 1) => Message(N::KeyValue),
        (N::KeyValue, 2) => Message(N::AnyValue),
        (N::ArrayValue, 1) => Message(N::AnyValue),
        (N::AnyValue, 1) => Text,
        (N::AnyValue, 2 | 3) => Varint,
        (N::AnyValue, 4) => Fixed64,
        (N::AnyValue, 5) => Message(N::ArrayValue),
        (N::AnyValue, 6) => Message(N::KeyValueList),
        (N::AnyValue, 7) => Bytes,

        (N::ComponentHealth, 1) => Varint,
        (N::ComponentHealth, 2 | 5) => Fixed64,
        (N::ComponentHealth, 3 | 4) => Text,
        (N::ComponentHealth, 6) => Message(N::ComponentHealthMapEntry),
        (N::ComponentHealth, 7) => Message(N::KeyValue),
        (N::ComponentHealthMapEntry, 2) => Message(N::ComponentHealth),

        (N::EffectiveConfig, 1) => Message(N::AgentConfigMap),
        (N::AgentConfigMap, 1) => Message(N::ConfigMapEntry),
        (N::ConfigMapEntry, 2) => Message(N::AgentConfigObject),
        (N::AgentConfigObject, 1) => Bytes,
        (N::AgentConfigObject, 2 | 3) => Text,

        (N::RemoteConfigStatus | N::ConnectionSettingsStatus, 1) => Bytes,
        (N::RemoteConfigStatus | N::ConnectionSettingsStatus, 2) => Varint,
        (N::RemoteConfigStatus | N::ConnectionSettingsStatus, 3) => Text,

        (N::PackageStatuses, 1) => Message(N::PackagesEntry),
        (N::PackageStatuses, 2) => Bytes,
        (N::PackageStatuses, 3) => Text,
        (N::PackagesEntry, 2) => Message(N::PackageStatus),
        (N::PackageStatus, 1 | 2 | 4 | 7) => Text,
        (N::PackageStatus, 3 | 5) => Bytes,
        (N::PackageStatus, 6) => Varint,
        (N::PackageStatus, 8) => Message(N::PackageDownloadDetails),
        (N::PackageDownloadDetails, 1) => Fixed64,
        (N::PackageDownloadDetails, 2) => Rate,

        (N::ConnectionSettingsRequest, 1) => Message(N::OpAMPConnectionSettingsRequest),
        (N::OpAMPConnectionSettingsRequest, 1) => Message(N::CertificateRequest),
        (N::CertificateRequest, 1) => Bytes,
        (N::CustomCapabilities, 1) | (N::CustomMessage, 1 | 2) => Text,
        (N::CustomMessage, 3) => Bytes,

        (N::AvailableComponents, 1) => Message(N::ComponentsEntry),
        (N::AvailableComponents, 2) => Bytes,
        (N::ComponentDetails, 1) => Message(N::KeyValue),
        (N::ComponentDetails, 2) => Message(N::SubComponentMapEntry),
        (N::ComponentsEntry | N::SubComponentMapEntry, 2) => Message(N::ComponentDetails),

        (
            N::KeyValue
            | N::ComponentHealthMapEntry
            | N::ConfigMapEntry
            | N::PackagesEntry
            | N::ComponentsEntry
            | N::SubComponentMapEntry,
            1,
        ) => Text,
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::field_descriptor_proto::Type;
    use prost_types::{DescriptorProto, FileDescriptorSet};

    use super::*;

    /// All messages of `proto/`, the entries of maps among them.
    fn messages() -> Vec<DescriptorProto> {
        let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/opamp.bin"));
        let set = FileDescriptorSet::decode(&bytes[..]).unwrap();
        let top: Vec<_> = set.file.into_iter().flat_map(|file| file.message_type).collect();
        let nested = top.iter().flat_map(|message| message.nested_type.clone());
        nested.chain(top.clone()).collect()
    }

    fn agrees(node: Node, messages: &[DescriptorProto], seen: &mut BTreeSet<String>) {
        let name = format!("{node:?}");
        if !seen.insert(name.clone()) {
            return;
        }
        let message = messages.iter().find(|message| message.name() == name);
        let fields = &message.unwrap_or_else(|| panic!("{name} is not in proto/")).field;
        for number in 0..=100 {
            let declared = fields.iter().find(|declared| declared.number() == number);
            let kind = field(node, u32::try_from(number).unwrap());
            let Some(declared) = declared else {
                assert_eq!(kind, None, "{name} has no field {number}");
                continue;
            };
            let ours = kind.unwrap_or_else(|| panic!("{name}.{} is not scanned", declared.name()));
            match (declared.r#type(), ours) {
                (Type::String, Kind::Text)
                | (Type::Bytes, Kind::Bytes)
                | (Type::Uint64 | Type::Int64 | Type::Bool | Type::Enum, Kind::Varint)
                | (Type::Fixed64, Kind::Fixed64)
                | (Type::Double, Kind::Fixed64 | Kind::Rate) => {}
                (Type::Message, Kind::Message(inner)) => {
                    let last = declared.type_name().rsplit('.').next();
                    assert_eq!(
                        last,
                        Some(format!("{inner:?}").as_str()),
                        "{name}.{}",
                        declared.name()
                    );
                    agrees(inner, messages, seen);
                }
                (declared, ours) => panic!("{name} {number}: {declared:?} is scanned as {ours:?}"),
            }
        }
    }

    #[test]
    fn the_scan_knows_every_field_that_an_agent_can_send() {
        let mut seen = BTreeSet::new();
        agrees(Node::AgentToServer, &messages(), &mut seen);
        assert_eq!(seen.len(), 28, "{seen:?}");
    }
}
