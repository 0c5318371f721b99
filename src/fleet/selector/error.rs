//! What is wrong with a selector's text.

use super::pattern::PatternError;

/// A text that is no selector: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct SelectorError {
    /// The character at which reading stopped, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: SelectorProblem,
}

/// What is wrong at a place of a selector's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorProblem {
    /// Nothing was given: never the same as everything.
    #[error("an empty selector selects nothing on purpose; write `*` for every agent")]
    Empty,
    /// More bytes than a selector may have.
    #[error("a selector has at most {0} bytes")]
    TooLong(usize),
    /// More requirements than a selector may have.
    #[error("a selector has at most {0} requirements")]
    TooMany(usize),
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A wildcard where there is none.
    #[error("`*` stands alone, for every agent; in a value use `=~` with a pattern, or put it in quotes")]
    Wildcard,
    /// A quote that is never closed.
    #[error("this quote is not closed")]
    Unclosed,
    /// A backslash with something that has no meaning after it.
    #[error("in quotes, a backslash goes with one of \\\\ \\\" \\' \\n \\t \\u{{…}}")]
    Escape,
    /// The pattern after `=~`.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// The question that a bare key raises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguity {
    /// It exists as both kinds.
    #[error("{0:?} is a label and a fact: say label.{0} or fact.{0}")]
    Both(String),
    /// It exists as neither kind, so that nobody can guess which is meant.
    #[error("no agent has a label or a fact {0:?} yet: say label.{0} or fact.{0}")]
    Neither(String),
}
