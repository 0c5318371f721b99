//! Whatever bytes arrive: a report or a refusal, never a panic, and never more work than the bytes are worth.

use std::collections::BTreeMap;

use muster::fleet::agent::report::{
    AvailableComponents, Component, ConnectionStatus, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus,
    Report,
};
use muster::fleet::attributes::{Attribute, Description, Value};
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::{ConfigFile, ConfigMap};
use muster::fleet::custom::CustomMessage;
use muster::fleet::ids::InstanceUid;
use muster::fleet::packed::Packed;
use muster::fleet::time::Timestamp;
use muster::opamp::body::{self, BodyError, Encoding};
use muster::opamp::client::{self, Outgoing};
use muster::opamp::{Cause, Limits, decode, fingerprint, frame, scan};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        ".{0,8}".prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e9..1e9).prop_map(Value::Double),
        vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec(attribute(inner), 0..3).prop_map(Value::Object),
        ]
    })
}

fn attribute(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Attribute> {
    ("[a-z.]{0,6}", values).prop_map(|(key, value)| Attribute { key, value })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    vec(attribute(values()), 0..3)
}

fn times() -> impl Strategy<Value = Option<Timestamp>> {
    option::of((1..u64::MAX).prop_map(Timestamp))
}

fn healths() -> impl Strategy<Value = Health> {
    let leaf = (
        any::<bool>(),
        times(),
        ".{0,8}",
        "[A-Za-z]{0,8}",
        times(),
        attributes(),
    )
        .prop_map(
            |(healthy, started_at, last_error, status, status_at, attributes)| Health {
                healthy,
                started_at,
                last_error,
                status,
                status_at,
                attributes,
                components: BTreeMap::new(),
            },
        );
    leaf.prop_recursive(4, 12, 3, |inner| {
        (inner.clone(), btree_map("[a-z/]{0,5}", inner, 0..3))
            .prop_map(|(health, components)| Health { components, ..health })
    })
}

fn components() -> impl Strategy<Value = Component> {
    let leaf = attributes().prop_map(|metadata| Component {
        metadata,
        components: BTreeMap::new(),
    });
    leaf.prop_recursive(3, 8, 3, |inner| {
        (attributes(), btree_map("[a-z]{0,5}", inner, 0..3))
            .prop_map(|(metadata, components)| Component { metadata, components })
    })
}

fn config_maps() -> impl Strategy<Value = ConfigMap> {
    let file = (vec(any::<u8>(), 0..16), "[a-z/]{0,9}", "[a-z]{0,4}");
    let file = file.prop_map(|(body, content_type, role)| ConfigFile {
        body,
        content_type,
        role,
    });
    btree_map("[a-z.]{0,6}", file, 0..3).prop_map(|files| ConfigMap { files })
}

fn parts() -> impl Strategy<Value = Parts> {
    let outcomes = prop_oneof![
        Just(RemoteConfigOutcome::Unset),
        Just(RemoteConfigOutcome::Applied),
        Just(RemoteConfigOutcome::Applying),
        Just(RemoteConfigOutcome::Failed),
    ];
    let description = (attributes(), attributes()).prop_map(|(identifying, non_identifying)| Description {
        identifying,
        non_identifying,
    });
    let status = (vec(any::<u8>(), 0..60), outcomes, ".{0,8}");
    let status = status.prop_map(|(hash, outcome, error)| RemoteConfigStatus { hash, outcome, error });
    let connection = status
        .clone()
        .prop_map(|RemoteConfigStatus { hash, outcome, error }| ConnectionStatus { hash, outcome, error });
    let available = (
        vec(any::<u8>(), 0..8),
        btree_map("[a-z]{0,5}", components(), 0..3),
    );
    let available = available.prop_map(|(hash, components)| AvailableComponents { hash, components });
    (
        option::of(description),
        option::of(healths()),
        option::of(config_maps()),
        option::of(status),
        option::of(connection),
        option::of(available),
        option::of(vec("[a-z./]{0,8}", 0..3)),
        option::of(custom_messages()),
    )
        .prop_map(
            |(
                description,
                health,
                effective_config,
                remote_config_status,
                connection_status,
                available_components,
                custom_capabilities,
                custom_message,
            )| {
                Parts {
                    description,
                    health,
                    effective_config,
                    remote_config_status,
                    connection_status,
                    available_components,
                    custom_capabilities,
                    custom_message,
                }
            },
        )
}

fn custom_messages() -> impl Strategy<Value = CustomMessage> {
    let data = vec(any::<u8>(), 0..20);
    ("[a-z./]{0,8}", "[a-z]{0,8}", data).prop_map(|(capability, kind, data)| CustomMessage {
        capability,
        kind,
        data,
    })
}

fn outgoing() -> impl Strategy<Value = Outgoing> {
    let uid = any::<[u8; 16]>().prop_filter("zero is nobody", |uid| *uid != [0; 16]);
    (
        uid,
        any::<u64>(),
        any::<u64>(),
        parts(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(uid, sequence, capabilities, parts, disconnect, requests_uid)| Outgoing {
                uid: uid.to_vec(),
                sequence,
                capabilities,
                parts,
                disconnect,
                requests_uid,
            },
        )
}

/// Total, and scan and decoder agree: what the scan refuses is refused, what it reads at the top is what is decoded.
fn judge(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let decoded = decode(bytes, &limits);
    match scan(bytes, &limits) {
        Err(refusal) => prop_assert_eq!(decoded, Err(refusal)),
        Ok(scan) => match decoded {
            Ok(report) => {
                prop_assert_eq!(Ok(report.uid), scan.uid());
                prop_assert_eq!(report.sequence, scan.sequence);
                prop_assert_eq!(report.capabilities.map_or(0, |known| known.0), scan.capabilities);
                let silent = report.parts == Parts::default() && !report.disconnect && !report.requests_uid;
                prop_assert!(silent || !scan.is_heartbeat);
            }
            Err(refusal) => prop_assert!(
                matches!(refusal.cause, Cause::Uid(_) | Cause::Undecodable(_)),
                "the scan let pass what the decoder refused: {}",
                refusal
            ),
        },
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_an_agent_writes_is_what_we_read(outgoing in outgoing()) {
        let bytes = client::write(&outgoing);
        let report = decode(&bytes, &Limits::default()).unwrap();
        let expected = Report {
            uid: InstanceUid::from_wire(&outgoing.uid).unwrap(),
            sequence: outgoing.sequence,
            fingerprint: fingerprint(&bytes),
            capabilities: (outgoing.capabilities != 0).then_some(Capabilities(outgoing.capabilities)),
            parts: outgoing.parts,
            disconnect: outgoing.disconnect,
            requests_uid: outgoing.requests_uid,
        };
        prop_assert_eq!(report, expected);
    }

    #[test]
    fn every_beginning_of_a_message_is_judged(outgoing in outgoing()) {
        let bytes = client::write(&outgoing);
        for end in 0..bytes.len() {
            judge(&bytes[..end])?;
        }
    }

}

proptest! {
    // A case is some thousand messages.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_flipped_bit_is_judged(outgoing in outgoing()) {
        let mut bytes = client::write(&outgoing);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            judge(&bytes)?;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in vec(any::<u8>(), 0..200)) {
        judge(&bytes)?;
        let _ = client::read(&bytes);
        if let Ok((_, inner)) = frame::open(&bytes) {
            judge(inner)?;
        }
    }

    #[test]
    fn any_bytes_as_gzip_end_at_the_limit(bytes in vec(any::<u8>(), 0..200), limit in 0_usize..300) {
        for body in [bytes.clone(), body::gzip(&bytes)] {
            if let Ok(inflated) = body::open(&body, Encoding::Gzip, limit) {
                prop_assert!(inflated.len() <= limit);
            }
        }
    }

    #[test]
    fn any_header_is_read(header in ".{0,40}") {
        let _ = body::accepts_gzip(Some(&header));
        let _ = Encoding::of(Some(&header));
    }
}

/// A field of variable length: its tag, its length, its content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

fn refused(bytes: &[u8]) -> Cause {
    scan(bytes, &Limits::default()).unwrap_err().cause
}

#[test]
fn four_hundred_thousand_empty_attributes_are_refused_by_the_scan() {
    let description = field(3, &[0x0a, 0x00].repeat(400_000));
    let message = [field(1, &[1; 16]), description].concat();
    assert_eq!(refused(&message), Cause::TooMany { limit: 50_000 });
    let refusal = decode(&message, &Limits::default()).unwrap_err();
    assert_eq!(refusal.echo.as_bytes(), [1; 16]);
}

#[test]
fn a_value_nested_a_hundred_thousand_deep_is_refused_by_the_scan() {
    // Written from the innermost outwards into the end of a buffer, since copying would be quadratic.
    let mut reversed: Vec<u8> = Vec::new();
    let mut wrap = |tag: u8| {
        let mut length = reversed.len();
        let mut varint = Vec::new();
        while length >= 0x80 {
            varint.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        varint.push(u8::try_from(length).unwrap());
        reversed.extend(varint.iter().rev());
        reversed.push(tag);
    };
    for _ in 0..100_000 {
        // ArrayValue.values, AnyValue.array_value
        wrap(0x0a);
        wrap(0x2a);
    }
    // KeyValue.value, AgentDescription.identifying_attributes, AgentToServer.agent_description
    wrap(0x12);
    wrap(0x0a);
    wrap(0x1a);
    let message: Vec<u8> = reversed.into_iter().rev().collect();
    assert_eq!(
        refused(&message),
        Cause::TooDeep {
            limit: Limits::DEEPEST
        }
    );
}

fn nested_health(levels: usize) -> Outgoing {
    let outside = |inside: Health, level: usize| Health {
        components: BTreeMap::from([(format!("level {level}"), inside)]),
        ..Health::default()
    };
    Outgoing {
        uid: vec![1; 16],
        parts: Parts {
            health: Some((1..levels).fold(Health::default(), outside)),
            ..Parts::default()
        },
        ..Outgoing::default()
    }
}

#[test]
fn forty_levels_of_health_are_read_and_absurd_ones_refused() {
    for levels in [1, 40, 48] {
        let outgoing = nested_health(levels);
        let report = decode(&client::write(&outgoing), &Limits::default()).unwrap();
        assert_eq!(report.parts, outgoing.parts, "{levels}");
    }
    assert_eq!(
        refused(&client::write(&nested_health(50))),
        Cause::TooDeep { limit: 96 }
    );
}

#[test]
fn the_deepest_report_that_is_taken_can_be_kept() {
    // Kept as JSON, whose reader has a limit of its own; beyond it the health would silently be the default.
    let report = decode(&client::write(&nested_health(48)), &Limits::default()).unwrap();
    let health = report.parts.health.unwrap();
    assert_eq!(Packed::new(&health).unpack(), health);

    // The message, the attribute and its value take three levels; a list takes two more and an object three.
    let lists = (0..46).fold(Value::Null, |inside, _| Value::Array(vec![inside]));
    let objects = (0..31).fold(Value::Null, |value, _| {
        Value::Object(vec![Attribute {
            key: String::new(),
            value,
        }])
    });
    for value in [lists, objects] {
        let attribute = Attribute {
            key: "deep".into(),
            value,
        };
        let outgoing = Outgoing {
            uid: vec![1; 16],
            parts: Parts {
                description: Some(Description {
                    identifying: vec![attribute],
                    non_identifying: vec![],
                }),
                ..Parts::default()
            },
            ..Outgoing::default()
        };
        let report = decode(&client::write(&outgoing), &Limits::default()).unwrap();
        let description = report.parts.description.unwrap();
        assert_eq!(Some(&description), outgoing.parts.description.as_ref());
        assert_eq!(Packed::new(&description).unpack(), description);
    }
}

#[test]
fn no_limit_lets_a_message_reach_the_decoders_own() {
    let limits = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    let bytes = client::write(&nested_health(60));
    assert_eq!(
        decode(&bytes, &limits).unwrap_err().cause,
        Cause::TooDeep { limit: 96 }
    );
}

#[test]
fn texts_and_messages_end_at_their_limits_and_bodies_only_at_the_messages() {
    let with_error = |bytes: usize| field(5, &field(3, &vec![b'x'; bytes]));
    let limit = Limits::default().text_bytes;
    assert!(scan(&with_error(limit), &Limits::default()).is_ok());
    let bytes = limit + 1;
    assert_eq!(refused(&with_error(bytes)), Cause::TextTooLong { bytes, limit });

    let config = field(6, &field(1, &field(1, &field(2, &field(1, &vec![0; bytes])))));
    assert!(scan(&config, &Limits::default()).is_ok());

    let limit = Limits::default().bytes;
    let bytes = limit + 1;
    assert_eq!(refused(&vec![0; bytes]), Cause::TooLarge { bytes, limit });
}

#[test]
fn a_gzip_bomb_ends_at_the_cap() {
    // 65 KB that inflate to 64 MiB of zeros.
    let bomb = include_bytes!("../corpus/gzip_bomb.gz");
    let limit = 1 << 20;
    assert_eq!(
        body::open(bomb, Encoding::Gzip, limit),
        Err(BodyError::TooLarge { limit })
    );
    // Where a larger message would be fine, nothing that anybody reports packs a thousandfold.
    let limit = 128 << 20;
    assert_eq!(
        body::open(bomb, Encoding::Gzip, limit),
        Err(BodyError::TooLarge { limit })
    );
}

#[test]
fn a_truncated_or_damaged_gzip_is_damaged() {
    let whole = body::gzip(&vec![7; 5000]);
    for end in 0..whole.len() {
        let cut = body::open(&whole[..end], Encoding::Gzip, 1 << 20);
        assert_eq!(cut, Err(BodyError::Damaged), "{end}");
    }
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    assert_eq!(
        body::open(&flipped, Encoding::Gzip, 1 << 20),
        Err(BodyError::Damaged)
    );
}
