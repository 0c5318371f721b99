//! Filters of lists: words to search for, and requirements, in one text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Ambiguity, Known, Selector, SelectorError, parse};
use super::{Key, parse::Word};

/// What a list is narrowed to: `web-3 status = failing, label.region in (eu, us)`. A word without an operator is
/// searched for as a part of names, ASCII letters in either case; the rest is a [`Selector`]. Here commas may be left
/// out, and an empty text shows everything: nothing is sent to what a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Words that must all be found.
    pub words: Vec<String>,
    /// What must hold besides.
    pub selector: Selector,
}

impl Filter {
    /// The filter that shows everything.
    #[must_use]
    pub const fn everything() -> Self {
        Self {
            words: Vec::new(),
            selector: Selector::everything(),
        }
    }

    /// Parses a filter.
    ///
    /// # Errors
    /// [`SelectorError`] says in which column what was expected.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let (mut words, requirements) = parse::filter(text)?;
        words.retain(|word| !word.is_empty());
        let selector = Selector { requirements };
        Ok(Self { words, selector })
    }

    /// Whether it shows everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.words.is_empty() && self.selector.is_everything()
    }

    /// Whether a row is shown: each word is a part of one of `texts`, and the requirements hold for what `value` finds.
    pub fn matches_with<'a>(&self, texts: &[&str], value: impl Fn(&Key) -> Option<&'a str>) -> bool {
        let found = |word: &String| texts.iter().any(|text| contains(text, word));
        self.words.iter().all(found) && self.selector.matches_with(value)
    }

    /// The same filter with every bare key saying which kind it means, where one does: a key that nobody has stays
    /// bare, since a list may come out empty.
    ///
    /// # Errors
    /// [`Ambiguity::Both`] is the question to ask.
    pub fn resolve(&self, known: impl Fn(&str) -> Known) -> Result<Self, Ambiguity> {
        let lenient = |key: &str| match known(key) {
            Known::Neither => Known::Field,
            known @ (Known::Label | Known::Fact | Known::Both | Known::Field) => known,
        };
        let selector = self.selector.resolve(lenient)?;
        let words = self.words.clone();
        Ok(Self { words, selector })
    }
}

/// Whether `word` is a part of `text`, ASCII letters in either case. Allocates nothing.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    word.is_empty()
        || text
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
}

impl Default for Filter {
    fn default() -> Self {
        Self::everything()
    }
}
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for word in &self.words {
            // An operator as the first word would read as one.
            if word == "exists" {
                f.write_str(comma)?;
                parse::quoted(f, word)?;
            } else {
                write!(f, "{comma}{}", Word(word))?;
            }
            comma = ", ";
        }
        if self.selector.is_everything() {
            return Ok(());
        }
        write!(f, "{comma}{}", self.selector)
    }
}
impl FromStr for Filter {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Cow::<'_, str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Filter {
    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Words to search for and requirements, joined by commas or blanks",
            "examples": ["web-3, status = failing, label.region in (eu, us)"]
        })
    }
}
