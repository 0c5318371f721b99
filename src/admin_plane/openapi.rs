//! The document that describes the API (OpenAPI 3.1), made of the table of routes.

use std::sync::LazyLock;

use ::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::failure::Outcome;
use super::routes::{Face, Row, Rule, table};
use super::schema::{of_answers, of_requests};
use crate::http;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document_of(&table()));

/// The document.
pub(super) async fn document(_: Call) -> Outcome {
    Ok(http::json::response(StatusCode::OK, &*DOCUMENT))
}

fn document_of(rows: &[Row]) -> Value {
    let mut requests = of_requests();
    let mut answers = of_answers();
    let problem = answers.subschema_for::<http::Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for row in rows.iter().filter(|row| row.face == Face::Api) {
        let Some(schema) = row.schema else { continue };
        let mut operation = Map::new();
        operation.insert("operationId".into(), operation_id(row).into());
        operation.insert("summary".into(), row.summary.into());
        operation.insert("tags".into(), json!([noun(row.path)]));
        operation.insert("description".into(), needs(row).into());
        let parameters = parameters(row, (schema.query)(&mut requests).as_value());
        if !parameters.is_empty() {
            operation.insert("parameters".into(), parameters.into());
        }
        let body = (schema.body)(&mut requests).to_value();
        if row.method != Method::GET && has_fields(&body) {
            let content = json!({"required": true, "content": {"application/json": {"schema": body}}});
            operation.insert("requestBody".into(), content);
        }
        let answer = (schema.answer)(&mut answers).to_value();
        let success = if answer.get("type") == Some(&"null".into()) {
            json!({"204": {"description": "Done"}})
        } else {
            let answer = json!({"description": "Done", "content": {"application/json": {"schema": answer}}});
            json!({ if row.repeats { "201" } else { "200" }: answer })
        };
        let mut responses = success;
        if let Some(responses) = responses.as_object_mut() {
            let content = json!({"application/problem+json": {"schema": problem}});
            responses.insert(
                "default".into(),
                json!({"description": "A problem (RFC 9457)", "content": content}),
            );
        }
        operation.insert("responses".into(), responses);
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(row.method.as_str().to_ascii_lowercase(), operation.into());
        }
    }
    let schemas: Map<String, Value> = answers.take_definitions(true).into_iter().collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Muster",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Over the local socket no token is needed; elsewhere an API token is sent as a bearer token.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    })
}

fn parameters(row: &Row, query: &Value) -> Vec<Value> {
    let in_path = row.path.split(['{', '}']).skip(1).step_by(2);
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let required = |name: &str| {
        let listed = query.get("required").and_then(Value::as_array);
        listed.is_some_and(|listed| listed.iter().any(|known| known == name))
    };
    for (name, schema) in query
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let mut schema = schema.clone();
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        parameters.push(json!({
            "name": name, "in": "query", "required": required(name), "schema": schema, "description": description,
        }));
    }
    let header = |name: &str, what: &str| json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}, "description": what});
    if row.repeats {
        parameters.push(header(
            "Idempotency-Key",
            "Repeating the request with the same key makes nothing twice.",
        ));
    }
    if row.versioned {
        parameters.push(header(
            "If-Match",
            "The ETag that was read; 412 when it has changed since.",
        ));
    }
    parameters
}

fn has_fields(body: &Value) -> bool {
    let properties = body.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| !properties.is_empty())
        || body.get("oneOf").is_some()
        || body.get("anyOf").is_some()
}

/// The noun that a path is about: `agents` of `/api/v1/agents/{id}`.
fn noun(path: &str) -> &str {
    path.trim_start_matches("/api/v1/")
        .split('/')
        .next()
        .unwrap_or_default()
}

/// A name for the operation, unique since method and path are: `get_agents_id_timeline`.
fn operation_id(row: &Row) -> String {
    let words = row
        .path
        .trim_start_matches("/api/v1/")
        .split(['/', '{', '}', '-', '.', '_']);
    words
        .filter(|word| !word.is_empty())
        .fold(row.method.as_str().to_ascii_lowercase(), |id, word| {
            id + "_" + word
        })
}

fn needs(row: &Row) -> String {
    match row.rule {
        Rule::Public => "For everybody.".to_owned(),
        Rule::SignedIn => "For everybody who is signed in.".to_owned(),
        Rule::Needs(permission) => format!("Needs the role {} or more.", permission.least_role().word()),
        Rule::Local => "Only over the local socket.".to_owned(),
    }
}
