//! `proto/` says what the specification's tables say: same names, numbers, types, labels, counts and options.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message as _;
use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

fn files() -> Vec<FileDescriptorProto> {
    let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/opamp.bin"));
    FileDescriptorSet::decode(&bytes[..]).unwrap().file
}

/// The blocks of the corpus file: "message X" or "enum X" with their lines.
fn tables() -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = "";
    for line in include_str!("../corpus/opamp_schema.txt").lines() {
        if let Some(row) = line.strip_prefix("  ") {
            tables.entry(current.to_owned()).or_default().push(row.to_owned());
        } else if !line.starts_with('#') {
            current = line;
            tables.insert(current.to_owned(), Vec::new());
        }
    }
    tables
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn type_name(field: &FieldDescriptorProto) -> String {
    if field.type_name().is_empty() {
        format!("{:?}", field.r#type()).to_lowercase()
    } else {
        last(field.type_name()).to_owned()
    }
}

/// A field as the tables write it.
fn row(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = message
        .nested_type
        .iter()
        .find(|nested| nested.name() == last(field.type_name()));
    let kind = match (entry, field.label()) {
        (Some(entry), Label::Repeated) => {
            let [key, value] = &entry.field[..] else {
                panic!("an entry has a key and a value")
            };
            format!("map<{}, {}>", type_name(key), type_name(value))
        }
        (None, Label::Repeated) => format!("repeated {}", type_name(field)),
        (_, Label::Optional) => type_name(field),
        (_, Label::Required) => panic!("proto3 has no required fields"),
    };
    let mut row = format!("{} {} {kind}", field.number(), field.name());
    if let Some(oneof) = field.oneof_index {
        let oneof = message.oneof_decl[usize::try_from(oneof).unwrap()].name();
        write!(row, " oneof={oneof}").unwrap();
    }
    row
}

#[test]
fn messages_and_enums_are_those_of_the_tables() {
    let mut declared = BTreeMap::new();
    for file in files() {
        for message in &file.message_type {
            let rows = message
                .field
                .iter()
                .map(|field| row(message, field))
                .collect::<Vec<_>>();
            declared.insert(format!("message {}", message.name()), rows);
            assert!(
                message
                    .nested_type
                    .iter()
                    .all(|nested| nested.options.as_ref().unwrap().map_entry())
            );
            assert!(message.enum_type.is_empty() && message.reserved_range.is_empty());
        }
        for declaration in &file.enum_type {
            let values = declaration.value.iter();
            let rows = values
                .map(|value| format!("{} {}", value.number(), value.name()))
                .collect();
            declared.insert(format!("enum {}", declaration.name()), rows);
        }
    }
    let tables = tables();
    for (name, rows) in &tables {
        assert_eq!(declared.get(name), Some(rows), "{name}");
    }
    let names = |map: &BTreeMap<String, Vec<String>>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&declared), names(&tables));
}

#[test]
fn there_are_as_many_of_each_as_the_specification_counts() {
    let counts: BTreeMap<_, _> = files()
        .iter()
        .map(|file| {
            (
                file.name().to_owned(),
                (file.message_type.len(), file.enum_type.len()),
            )
        })
        .collect();
    let expected = [
        ("opamp/v1/anyvalue.proto", (4, 0)),
        ("opamp/v1/opamp.proto", (37, 10)),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, counts)| (name.to_owned(), counts)).into()
    );
}

#[test]
fn package_and_options_are_the_specifications() {
    for file in files() {
        let options = file.options.clone().unwrap();
        assert_eq!(file.syntax(), "proto3");
        assert_eq!(file.package(), "opamp.proto.v1");
        assert_eq!(
            options.go_package(),
            "github.com/open-telemetry/opamp-go/protobufs"
        );
        assert_eq!(options.csharp_namespace(), "OpAmp.Proto.V1");
        assert!(file.service.is_empty() && file.extension.is_empty());
    }
}
