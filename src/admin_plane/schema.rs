//! The schemas of the API: derived from what handlers take and give, so that they can't drift apart.

use std::collections::BTreeSet;

use http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::failure::Failure;
use crate::http::Problem;

/// The schemas of one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiSchema {
    pub(super) query: fn(&mut SchemaGenerator) -> Schema,
    pub(super) body: fn(&mut SchemaGenerator) -> Schema,
    pub(super) answer: fn(&mut SchemaGenerator) -> Schema,
}

impl ApiSchema {
    pub(super) fn of<Q: JsonSchema, B: JsonSchema, R: JsonSchema>() -> Self {
        Self {
            query: SchemaGenerator::subschema_for::<Q>,
            body: SchemaGenerator::subschema_for::<B>,
            answer: SchemaGenerator::subschema_for::<R>,
        }
    }

    /// The names that the query's and the body's fields can have.
    pub(super) fn known_fields(&self) -> (Fields, Fields) {
        let mut generator = of_requests();
        let query = Fields::of(&(self.query)(&mut generator));
        let body = Fields::of(&(self.body)(&mut generator));
        (query, body)
    }
}

/// Describes what is sent to us, without references.
pub(super) fn of_requests() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
}

/// Describes what we answer, by references into the document's components.
pub(super) fn of_answers() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator()
}

/// The names that fields of an object can have. `None`: any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields(Option<BTreeSet<String>>);

impl Fields {
    fn of(schema: &Schema) -> Self {
        let mut names = BTreeSet::new();
        let known = collect(schema.as_value(), &mut names);
        Self(known.then_some(names))
    }

    /// Refuses a name that no field has. serde can't where a struct is made of others by `flatten`.
    pub(super) fn check(&self, name: &str) -> Result<(), Failure> {
        let Some(known) = self.0.as_ref().filter(|known| !known.contains(name)) else {
            return Ok(());
        };
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let why = match known.as_slice() {
            [] => "is not known; nothing is, here".to_owned(),
            known => format!("is not known; known are {}", known.join(", ")),
        };
        let detail = format!("The field {:?} {why}.", shortened(name));
        let problem = Problem::new(StatusCode::BAD_REQUEST, "unknown-field", detail);
        Err(problem.field(shortened(name), why).into())
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Collects the names of an object's fields over all its variants. `false` when it can have any.
fn collect(schema: &Value, names: &mut BTreeSet<String>) -> bool {
    let Some(schema) = schema.as_object() else {
        return false;
    };
    let mut known = schema.get("type").and_then(Value::as_str) == Some("object");
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        names.extend(properties.keys().cloned());
        known = true;
    }
    if schema
        .get("additionalProperties")
        .is_some_and(|more| more != &Value::Bool(false))
    {
        return false;
    }
    for variants in ["allOf", "anyOf", "oneOf"] {
        for variant in schema
            .get(variants)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            // Every variant is an object; one that says nothing more of its fields leaves them as they are.
            known = collect(variant, names) || known;
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::agents::{AgentAct, AgentQuery};
    use crate::app::configs::NewConfig;

    fn fields<B: JsonSchema>() -> Fields {
        ApiSchema::of::<AgentQuery, B, ()>().known_fields().1
    }

    #[test]
    fn the_fields_of_variants_and_of_flattened_structs_are_known() {
        let config = fields::<NewConfig>();
        for known in ["name", "description", "message", "allow_blank", "yaml", "files"] {
            assert!(config.check(known).is_ok(), "{known} in {config:?}");
        }
        assert!(config.check("nmae").is_err());
        let act = fields::<AgentAct>();
        assert!(act.check("act").is_ok() && act.check("group").is_ok() && act.check("x").is_err());
        assert!(fields::<()>().check("anything").is_ok());
    }
}
