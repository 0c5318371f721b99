//! Variables of layers: what stands for something that differs from agent to agent.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fleet::name::Name;

/// What a variable stands for. As text `label.region`, `fact.host.name`, `secret.token`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// A label of the agent.
    Label(String),
    /// What the agent reports.
    Fact(String),
    /// A secret.
    Secret(Name),
}

/// Why a text names no variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// It begins with none of the three kinds.
    #[error("a variable is label.KEY, fact.KEY or secret.NAME; {0:?} is none of them")]
    Kind(String),
    /// Nothing after the kind.
    #[error("a name is missing after {0:?}")]
    Empty(String),
    /// No name that a secret could have.
    #[error("no secret can have this name: {0}")]
    Secret(#[from] crate::fleet::name::NameError),
}

impl FromStr for Variable {
    type Err = VariableError;

    fn from_str(text: &str) -> Result<Self, VariableError> {
        let (kind, key) = text
            .split_once('.')
            .ok_or_else(|| VariableError::Kind(text.to_owned()))?;
        if !matches!(kind, "label" | "fact" | "secret") {
            return Err(VariableError::Kind(text.to_owned()));
        }
        if key.is_empty() {
            return Err(VariableError::Empty(text.to_owned()));
        }
        Ok(match kind {
            "label" => Self::Label(key.to_owned()),
            "fact" => Self::Fact(key.to_owned()),
            _ => Self::Secret(Name::new(key)?),
        })
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label.{key}"),
            Self::Fact(key) => write!(f, "fact.{key}"),
            Self::Secret(name) => write!(f, "secret.{name}"),
        }
    }
}

impl Serialize for Variable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Variable {
    fn schema_name() -> Cow<'static, str> {
        "Variable".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(label|fact|secret)\\..+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_survives_its_text() {
        for text in ["label.region", "fact.host.name", "secret.token-1"] {
            assert_eq!(text.parse::<Variable>().unwrap().to_string(), text);
        }
        for text in ["foo", "label", "label.", "env.X", "secret.Not A Name"] {
            assert!(text.parse::<Variable>().is_err(), "{text}");
        }
    }
}
