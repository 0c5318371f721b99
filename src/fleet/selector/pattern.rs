//! Patterns: regular expressions without backtracking, bounded in text, memory and time.

use std::fmt;

use regex_automata::meta::{BuildError, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;

use super::parse;

/// The longest pattern, in bytes.
const LONGEST: usize = 256;
/// The longest value that a pattern is tried on, in bytes: longer ones match nothing.
const LONGEST_VALUE: usize = 4096;
/// The memory that one compiled pattern may take, in bytes. Room for a few Unicode classes.
const PROGRAM: usize = 256 * 1024;
/// The memory of a search, in bytes; beyond it the search goes on more slowly, in the same linear time.
const CACHE: usize = 256 * 1024;

/// A pattern that matches whole values. Equal when the texts are.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing to match.
    #[error("an empty pattern matches only an empty value; write = \"\" for that")]
    Empty,
    /// More than 256 bytes.
    #[error("a pattern has at most {LONGEST} bytes")]
    TooLong,
    /// It would take too much memory, as `(a{{100}}){{100}}` does.
    #[error("the pattern repeats too much to be tried on every agent")]
    TooBig,
    /// It is malformed, or uses what linear time does not allow (back-references, look-around).
    #[error("not a pattern: {0}")]
    Syntax(String),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] says what is wrong.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > LONGEST {
            return Err(PatternError::TooLong);
        }
        // Alone first: `a)|(b` must not become two halves of the wrapped one.
        syntax::parse_with(text, &syntax_config())
            .map_err(|error| PatternError::Syntax(first_cause(&error)))?;
        let config = Regex::config()
            .nfa_size_limit(Some(PROGRAM))
            .hybrid_cache_capacity(CACHE)
            .which_captures(WhichCaptures::None);
        let regex = Regex::builder()
            .configure(config)
            .syntax(syntax_config())
            .build(&format!("^(?:{text})$"))
            .map_err(|error| refusal(&error))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `value` matches. Values of more than 4096 bytes don't.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        value.len() <= LONGEST_VALUE && self.regex.is_match(value)
    }
}

fn syntax_config() -> syntax::Config {
    syntax::Config::new().nest_limit(32)
}

fn refusal(error: &BuildError) -> PatternError {
    match error.syntax_error() {
        Some(error) => PatternError::Syntax(first_cause(error)),
        None => PatternError::TooBig,
    }
}

/// The parser draws the pattern with a mark below it; its last line says what is wrong.
fn first_cause(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Pattern {}
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

/// Bare where that reads back the same, else in quotes.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_bare_pattern(&self.text) {
            f.write_str(&self.text)
        } else {
            parse::quoted(f, &self.text)
        }
    }
}
