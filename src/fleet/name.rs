//! Names that people give to groups and configs.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a group or a config: its identity in URLs, files and the API. 1 to 64 characters of `a-z 0-9 - _ .`,
/// beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name is needed")]
    Empty,
    /// More than 64 characters.
    #[error("a name has at most 64 characters; this one has {0}")]
    TooLong(usize),
    /// A character that names don't have.
    #[error(
        "a name has small letters, digits, '-', '_' and '.', and begins with a letter or digit; {0:?} doesn't fit"
    )]
    Character(char),
}

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with the text.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let length = text.chars().count();
        if length > 64 {
            return Err(NameError::TooLong(length));
        }
        if !first.is_ascii_lowercase() && !first.is_ascii_digit() {
            return Err(NameError::Character(first));
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        match text.chars().find(|c| !fits(*c)) {
            Some(odd) => Err(NameError::Character(odd)),
            None => Ok(Self(text.into())),
        }
    }

    /// The group of agents that no group claims. Reserved: it can't be made, and it sends nothing.
    #[must_use]
    pub fn unassigned() -> Self {
        Self("unassigned".into())
    }

    /// The name nearest to `text`: what a host name or title becomes when a name is made of it.
    #[must_use]
    pub fn slug(text: &str) -> Self {
        let mut slug = String::new();
        for c in text.chars().take(64) {
            match c.to_ascii_lowercase() {
                c if c.is_ascii_lowercase() || c.is_ascii_digit() => slug.push(c),
                '-' | '_' | '.' if !slug.is_empty() => slug.push(c),
                _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
                _ => {}
            }
        }
        if slug.is_empty() {
            Self("unnamed".into())
        } else {
            Self(slug.trim_end_matches('-').into())
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&Cow::<'_, str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(Name::new("edge-1.eu_west").is_ok());
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("-edge"), Err(NameError::Character('-')));
        assert_eq!(Name::new("Edge"), Err(NameError::Character('E')));
        assert_eq!(Name::new(&"a".repeat(65)), Err(NameError::TooLong(65)));
    }

    #[test]
    fn a_slug_is_always_a_name() {
        for text in [
            "Web 3",
            "",
            "--",
            "ÄÖ web",
            "HOST.example.com",
            "a / b",
            &"x ".repeat(90),
        ] {
            assert!(Name::new(Name::slug(text).as_str()).is_ok(), "{text:?}");
        }
        assert_eq!(Name::slug("Web 3 (old)").as_str(), "web-3-old");
    }
}
