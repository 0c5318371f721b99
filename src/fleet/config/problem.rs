//! What a check of a configuration finds.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in a text: lines and columns are counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in that line.
    pub column: u32,
}

/// One finding, at the place that has to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The entry that it is in; `None` in a configuration of one document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where.
    #[serde(flatten)]
    pub at: Position,
    /// Whether it stops a publication.
    pub severity: Severity,
    /// What is wrong, and where possible what to do.
    pub message: String,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Agents would refuse it, or not run as meant: it can't be published.
    Error,
    /// A part is missing that another layer has to bring: it can be saved, and published with that layer.
    Incomplete,
    /// Worth a look.
    Warning,
}

impl Position {
    /// The beginning of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place of the byte `at` in `bytes`, which need not be UTF-8.
    #[must_use]
    pub fn of(bytes: &[u8], at: usize) -> Self {
        let before = bytes.get(..at).unwrap_or(bytes);
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |newline| newline + 1);
        let line = before.split(|b| *b == b'\n').count();
        let this_line = before.get(line_start..).unwrap_or_default();
        // Bytes that continue a character don't count.
        let column = this_line.iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
        Self {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

impl Problem {
    /// A finding that stops a publication.
    #[must_use]
    pub fn error(at: Position, message: impl Into<String>) -> Self {
        Self {
            file: None,
            at,
            severity: Severity::Error,
            message: message.into(),
        }
    }

    /// A finding worth a look.
    #[must_use]
    pub fn warning(at: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(at, message)
        }
    }

    /// That a part is missing which another layer has to bring.
    #[must_use]
    pub fn incomplete(at: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Incomplete,
            ..Self::error(at, message)
        }
    }

    /// Whether a part is missing that another layer has to bring.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.severity == Severity::Incomplete
    }

    /// Whether it stops a publication.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file:?}, ")?;
        }
        write!(f, "{}: {}", self.at, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_from_one() {
        let text = "aé\nüb\0".as_bytes();
        let at = text.iter().position(|b| *b == 0).unwrap();
        assert_eq!(Position::of(text, at), Position { line: 2, column: 3 });
        assert_eq!(Position::of(text, 0), Position::START);
        assert_eq!(Position::of(b"a\n", 2), Position { line: 2, column: 1 });
    }

    #[test]
    fn a_problem_is_flat_in_json() {
        let problem = Problem::warning(Position { line: 2, column: 3 }, "x");
        let json = r#"{"line":2,"column":3,"severity":"warning","message":"x"}"#;
        assert_eq!(serde_json::to_string(&problem).unwrap(), json);
        assert_eq!(serde_json::from_str::<Problem>(json).unwrap(), problem);
    }
}
