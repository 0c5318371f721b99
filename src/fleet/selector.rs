//! Selectors: which agents a group takes, a publication reaches, or a list shows.
//!
//! ```text
//! label.env = prod, fact.os.type in (linux, darwin), !exists label.retired, fact.host.name =~ web-[0-9]+
//! ```
//!
//! Requirements joined by commas must all hold; `*` is everything; an empty text is refused. Values and keys with other
//! characters than letters, digits and `- _ . / : @ + % # ~ & $ ;` are written in quotes, with `\"`, `\\`, `\n`, `\t`
//! and `\u{…}`. A pattern matches the whole value, in time linear in it.
//!
//! **An absent key** satisfies `!=`, `notin` and `!exists`, and nothing else: `label.env != prod` takes agents without
//! an `env` too, as Kubernetes has it. Who means "has one, and another" says `exists label.env, label.env != prod`.
//!
//! **A bare key** is neither a label nor a fact until it is resolved ([`Selector::resolve`]): what is stored says which.

mod error;
mod filter;
mod parse;
mod pattern;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::{Ambiguity, SelectorError, SelectorProblem};
pub use filter::Filter;
pub use pattern::{Pattern, PatternError};

use crate::fleet::attributes::Facts;

/// A parsed selector. Its text form is canonical: parsing what it prints gives an equal selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// All must hold. Empty only for `*`.
    requirements: Vec<Requirement>,
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What is looked at.
    pub key: Key,
    /// What must hold for it.
    pub test: Test,
}

/// A key of a selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Which kind was named; `None` for a bare key.
    pub source: Option<Source>,
    /// The key itself, such as `region` or `host.name`.
    pub name: String,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Operators, or the enrolment token, put it on the agent.
    Label,
    /// The agent reported it: a claim.
    Fact,
}

/// What must hold for a key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is this value.
    Is(String),
    /// It is absent, or another value.
    IsNot(String),
    /// It is one of these (sorted, no duplicates).
    In(Vec<String>),
    /// It is absent, or none of these (sorted, no duplicates).
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is absent.
    Absent,
    /// It matches as a whole.
    Matches(Pattern),
}

/// What a bare key is known as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Some agent has such a label, none such a fact.
    Label,
    /// Some agent reports such a fact, none has such a label.
    Fact,
    /// Both exist.
    Both,
    /// Neither exists.
    Neither,
    /// It names a column of the list that is filtered (`status`, `group`…); it stays bare.
    Field,
}

impl Selector {
    /// The selector that takes every agent: `*`.
    #[must_use]
    pub const fn everything() -> Self {
        Self {
            requirements: Vec::new(),
        }
    }

    /// Parses a selector.
    ///
    /// # Errors
    /// [`SelectorError`] says in which column what was expected.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text).map(|requirements| Self { requirements })
    }

    /// The requirements, all of which must hold. Empty for `*`.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether it takes every agent.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether anything but labels decides. A bare key counts as a fact: it could be satisfied by a claim.
    #[must_use]
    pub fn uses_facts(&self) -> bool {
        self.requirements
            .iter()
            .any(|r| r.key.source != Some(Source::Label))
    }

    /// Whether an agent with these labels and facts is taken. A bare key reads the label, else the fact.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>, facts: &Facts) -> bool {
        self.matches_with(|key| {
            let label = || labels.get(&key.name).map(String::as_str);
            let fact = || facts.get(&key.name).map(String::as_str);
            match key.source {
                Some(Source::Label) => label(),
                Some(Source::Fact) => fact(),
                None => label().or_else(fact),
            }
        })
    }

    /// Whether all requirements hold for the values that `value` finds. For lists whose bare keys may also name columns.
    pub fn matches_with<'a>(&self, value: impl Fn(&Key) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|r| r.test.holds(value(&r.key)))
    }

    /// The same selector with other values in comparisons: `value` names the one to use in the place of one.
    ///
    /// # Errors
    /// The first that `value` fails with.
    pub fn with_values<E>(&self, value: impl Fn(&Key, &str) -> Result<String, E>) -> Result<Self, E> {
        let changed = |requirement: &Requirement| {
            let key = &requirement.key;
            let all = |set: &[String]| {
                let mut set: Vec<String> = set.iter().map(|one| value(key, one)).collect::<Result<_, E>>()?;
                set.sort_unstable();
                set.dedup();
                Ok(set)
            };
            let test = match &requirement.test {
                Test::Is(one) => Test::Is(value(key, one)?),
                Test::IsNot(one) => Test::IsNot(value(key, one)?),
                Test::In(set) => Test::In(all(set)?),
                Test::NotIn(set) => Test::NotIn(all(set)?),
                Test::Exists | Test::Absent | Test::Matches(_) => requirement.test.clone(),
            };
            let key = key.clone();
            Ok(Requirement { key, test })
        };
        let requirements = self.requirements.iter().map(changed).collect::<Result<_, E>>()?;
        Ok(Self { requirements })
    }

    /// The same selector with every bare key saying which kind it means.
    ///
    /// # Errors
    /// [`Ambiguity`] is the question to ask: the key exists as both kinds, or as neither.
    pub fn resolve(&self, known: impl Fn(&str) -> Known) -> Result<Self, Ambiguity> {
        let resolved = |requirement: &Requirement| {
            let mut requirement = requirement.clone();
            let key = &mut requirement.key;
            if key.source.is_none() {
                key.source = match known(&key.name) {
                    Known::Label => Some(Source::Label),
                    Known::Fact => Some(Source::Fact),
                    Known::Field => None,
                    Known::Both => return Err(Ambiguity::Both(key.name.clone())),
                    Known::Neither => return Err(Ambiguity::Neither(key.name.clone())),
                };
            }
            Ok(requirement)
        };
        let requirements = self.requirements.iter().map(resolved).collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }
}

impl Test {
    /// Whether the value (`None` when the key is absent) passes.
    #[must_use]
    pub fn holds(&self, value: Option<&str>) -> bool {
        let is_in = |set: &[String], value: &str| set.binary_search_by(|v| v.as_str().cmp(value)).is_ok();
        match self {
            Self::Is(wanted) => value == Some(wanted),
            Self::IsNot(unwanted) => value != Some(unwanted),
            Self::In(set) => value.is_some_and(|value| is_in(set, value)),
            Self::NotIn(set) => !value.is_some_and(|value| is_in(set, value)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Matches(pattern) => value.is_some_and(|value| pattern.is_match(value)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requirements.is_empty() {
            return f.write_char('*');
        }
        for (at, requirement) in self.requirements.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let set = |f: &mut fmt::Formatter<'_>, operator: &str, values: &[String]| {
            write!(f, "{key} {operator} (")?;
            for (at, value) in values.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{}", parse::Word(value))?;
            }
            f.write_char(')')
        };
        match &self.test {
            Test::Is(value) => write!(f, "{key} = {}", parse::Word(value)),
            Test::IsNot(value) => write!(f, "{key} != {}", parse::Word(value)),
            Test::In(values) => set(f, "in", values),
            Test::NotIn(values) => set(f, "notin", values),
            Test::Exists => write!(f, "exists {key}"),
            Test::Absent => write!(f, "!exists {key}"),
            Test::Matches(pattern) => write!(f, "{key} =~ {pattern}"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            Some(Source::Label) => write!(f, "label.{}", parse::Word(&self.name)),
            Some(Source::Fact) => write!(f, "fact.{}", parse::Word(&self.name)),
            // What would read as a keyword or as another kind of key is told apart by its quotes.
            None if parse::needs_quotes_as_key(&self.name) => parse::quoted(f, &self.name),
            None => write!(f, "{}", parse::Word(&self.name)),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Cow::<'_, str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Requirements joined by commas, or `*` for every agent",
            "examples": ["label.env = prod, fact.os.type in (linux, darwin)"]
        })
    }
}

#[cfg(test)]
mod tests;
