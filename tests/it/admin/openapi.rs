//! The document that describes the API.

use std::collections::BTreeSet;

use muster::admin_plane::{Face, described};
use serde_json::Value;

use super::site::Site;

/// Whether `value` is as `schema` says, as far as our schemas say anything.
pub(crate) fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return Ok(());
    };
    let list = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let found = document.pointer(reference.trim_start_matches('#'));
        conforms(
            document,
            found.ok_or_else(|| format!("{at}: {reference} leads nowhere"))?,
            value,
            at,
        )?;
    }
    for part in list("allOf") {
        conforms(document, part, value, at)?;
    }
    for variants in ["anyOf", "oneOf"] {
        let all: Vec<_> = list(variants)
            .iter()
            .map(|one| conforms(document, one, value, at))
            .collect();
        if !all.is_empty() && all.iter().all(Result::is_err) {
            return Err(format!("{at}: fits none of {variants}: {all:?}"));
        }
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{at}: is not the constant {}", schema["const"]));
    }
    if schema.contains_key("enum") && !list("enum").contains(value) {
        return Err(format!("{at}: {value} is none of {:?}", list("enum")));
    }
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    };
    let types: Vec<_> = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is(name)) {
        return Err(format!("{at}: {value} is no {types:?}"));
    }
    if let Some(object) = value.as_object() {
        for name in list("required").iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return Err(format!("{at}: has no {name}"));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            let own = properties.and_then(|properties| properties.get(name));
            if let Some(schema) = own.or_else(|| schema.get("additionalProperties")) {
                conforms(document, schema, value, &format!("{at}.{name}"))?;
            }
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (index, value) in values.iter().enumerate() {
            conforms(document, items, value, &format!("{at}[{index}]"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_document_has_every_route_of_the_api_and_leads_nowhere_else() {
    let site = Site::start().await;
    let document = site.get("/api/v1/openapi.json").local().send().await.json();
    let mut named = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            named.insert((method.to_uppercase(), path.clone()));
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{method} {path}"
            );
            assert!(
                !operation["summary"].as_str().unwrap().is_empty(),
                "{method} {path}"
            );
        }
    }
    let api = described()
        .into_iter()
        .filter(|row| row.face == Face::Api && !row.path.ends_with("openapi.json"));
    let rows: BTreeSet<_> = api
        .map(|row| (row.method.to_string(), row.path.to_owned()))
        .collect();
    assert_eq!(named, rows);
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    insta::assert_snapshot!(outline(&document));
}

/// The document without its words: what breaks callers when it changes.
fn outline(document: &Value) -> String {
    let fields = |schema: &Value| {
        let mut names = BTreeSet::new();
        let mut open = vec![schema];
        while let Some(schema) = open.pop() {
            names.extend(
                schema["properties"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone()),
            );
            let parts = ["allOf", "anyOf", "oneOf"]
                .into_iter()
                .filter_map(|name| schema[name].as_array());
            open.extend(parts.flatten());
        }
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let mut lines = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let named = parameters.iter().filter(|parameter| parameter["in"] != "path");
            let named: Vec<_> = named
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let body = fields(&operation["requestBody"]["content"]["application/json"]["schema"]);
            let responses = operation["responses"].as_object().unwrap();
            let (status, response) = responses
                .iter()
                .find(|(status, _)| status.starts_with('2'))
                .unwrap();
            let answer = response["content"]["application/json"]["schema"]["$ref"]
                .as_str()
                .unwrap_or_default();
            let answer = answer.rsplit('/').next().unwrap();
            lines.push(format!(
                "{} {path} ?{} {{{body}}} -> {status} {answer}",
                method.to_uppercase(),
                named.join(", ")
            ));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        lines.push(format!("{name}: {}", fields(schema)));
    }
    lines.join("\n")
}

#[test]
fn what_does_not_fit_its_schema_is_noticed() {
    let document = serde_json::json!({"defs": {"n": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}});
    let schema = serde_json::json!({"type": "array", "items": {"$ref": "#/defs/n"}});
    let check = |value: Value| conforms(&document, &schema, &value, "$");
    assert_eq!(check(serde_json::json!([{"a": 1}])), Ok(()));
    for wrong in [
        serde_json::json!([{}]),
        serde_json::json!([{"a": "1"}]),
        serde_json::json!({}),
    ] {
        assert!(check(wrong.clone()).is_err(), "{wrong}");
    }
}
