//! Attributes: what agents say about themselves, in OpenTelemetry's value model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One attribute value: OpenTelemetry's `AnyValue`. In JSON tagged by kind, so that every value comes back as it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// No value at all.
    #[default]
    Null,
    /// Text.
    String(String),
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating point number; infinities and NaN are kept as text in JSON.
    Double(
        #[serde(with = "finite_or_text")]
        #[schemars(with = "f64")]
        f64,
    ),
    /// A list.
    Array(Vec<Self>),
    /// A nested object, in the order in which it was reported.
    Object(Vec<Attribute>),
    /// Raw bytes, in JSON as a list of numbers.
    Bytes(Vec<u8>),
}

/// One key with its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attribute {
    /// The attribute's name, such as `host.name`.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// An agent's description of itself: OpAMP's `AgentDescription`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// What identifies the agent: `service.name`, `service.version`, `service.instance.id`…
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifying: Vec<Attribute>,
    /// What describes it and its host: `host.name`, `os.type`…
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_identifying: Vec<Attribute>,
}

/// Facts: reported attributes as flat text, for selectors and search. Nested values are left out.
pub type Facts = BTreeMap<String, String>;

impl Description {
    /// The attributes with plain values as text. Identifying ones win over others of the same name.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let attributes = self.non_identifying.iter().chain(&self.identifying);
        attributes
            .filter_map(|a| Some((a.key.clone(), a.value.text()?)))
            .collect()
    }

    /// The text of the attribute `key`, if it was reported with a plain value.
    #[must_use]
    pub fn fact(&self, key: &str) -> Option<String> {
        let mut attributes = self.identifying.iter().chain(&self.non_identifying);
        attributes.find(|a| a.key == key).and_then(|a| a.value.text())
    }
}

impl Value {
    /// The value as plain text; `None` for null, lists, objects and bytes.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Double(value) => Some(value.to_string()),
            Self::Null | Self::Array(_) | Self::Object(_) | Self::Bytes(_) => None,
        }
    }
}

/// JSON has no infinities and no NaN: they travel as text.
mod finite_or_text {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.collect_str(value)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Number::deserialize(deserializer)? {
            Number::Finite(value) => Ok(value),
            Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_survives_json() {
        let values = vec![
            Value::Null,
            Value::String("x".into()),
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Double(1.5),
            Value::Double(f64::INFINITY),
            Value::Array(vec![Value::Null, Value::Int(1)]),
            Value::Object(vec![Attribute {
                key: "a".into(),
                value: Value::Bytes(vec![0, 255]),
            }]),
        ];
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&json).unwrap(), values);
    }

    #[test]
    fn an_identifying_attribute_wins_over_a_describing_one() {
        let attribute = |key: &str, text: &str| Attribute {
            key: key.into(),
            value: Value::String(text.into()),
        };
        let description = Description {
            identifying: vec![attribute("a", "1")],
            non_identifying: vec![attribute("a", "2")],
        };
        assert_eq!(description.facts().get("a").map(String::as_str), Some("1"));
        assert_eq!(description.fact("a").as_deref(), Some("1"));
    }
}
