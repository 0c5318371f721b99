//! YAML as a tree in which everything has its place. Only this module knows the parser.
//!
//! It reads YAML as collectors do: `yes` and `012` are text, anchors, aliases and merge keys (`<<`) are resolved, one
//! document, every key a text of its own. What is too deep, too big or too tangled is refused before it costs anything.
//! The tree is built from the parser's events and not through serde: that recurses, and takes 40 KB of stack for each
//! level of a document in a debug build, so that sixty of them end the process.

mod build;
mod emit;
mod reason;
mod scalar;

pub(super) use emit::in_line;
pub use emit::{Emitted, Origin};

use super::problem::{Position, Problem};

/// What a document may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of the text, in bytes.
    pub bytes: usize,
    /// Values, keys and collections, with those that aliases repeat.
    pub nodes: usize,
    /// Uses of anchors.
    pub aliases: usize,
    /// Collections within collections.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            nodes: 20_000,
            aliases: 500,
            depth: 64,
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it is used: for an alias the place of the alias, for what stands inside the place of its definition.
    pub at: Position,
    /// What it is.
    pub value: Value,
    /// Whether it is a text in quotes or a block: what a variable in it becomes stays text.
    pub quoted: bool,
    /// What it asks of the layers below it; `None`: the usual.
    pub tag: Option<Tag>,
    /// The layer of a merged document that it comes from; 0 in a document alone.
    pub layer: u16,
}

/// What a value asks of the layers below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `!append`: a list that goes on where theirs ends.
    Append,
    /// `!remove`, with nothing behind it: what they have at this key is not to be there.
    Remove,
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub at: Position,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Node,
}

/// A value of YAML.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `null`, `~`, or no text at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Another number.
    Float(f64),
    /// Any other text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the text.
    Map(Vec<Entry>),
}

impl Node {
    /// A value at its place, written like most.
    #[must_use]
    pub fn new(at: Position, value: Value) -> Self {
        Self {
            at,
            value,
            quoted: false,
            tag: None,
            layer: 0,
        }
    }

    /// The document as text, from which the same values are read.
    #[must_use]
    pub fn emit(&self) -> Emitted {
        emit::emit(self)
    }

    /// The entries of a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value {
            Some(entries)
        } else {
            None
        }
    }

    /// The entry `key` of a map.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value {
            Some(items)
        } else {
            None
        }
    }

    /// The text of a text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value {
            Some(text)
        } else {
            None
        }
    }

    /// Whether it takes away what the layers below it have.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.tag == Some(Tag::Remove)
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

/// Reads one document. An empty one is [`Value::Null`].
///
/// # Errors
/// The problems that keep it from being read, at least one, in the order of the text.
pub fn parse(text: &[u8], limits: &Limits) -> Result<Node, Vec<Problem>> {
    let text = readable(text, limits.bytes).map_err(|problem| vec![problem])?;
    build::tree(text, limits)
}

/// A value that takes one line, as it is written; collections are told by their size.
#[must_use]
pub fn in_one_line(value: &Value) -> String {
    in_line(value)
}

/// What an unquoted word means.
pub(super) fn word(text: &str) -> Value {
    scalar::plain(text)
}

/// The bytes as text that a YAML document may consist of.
fn readable(bytes: &[u8], limit: usize) -> Result<&str, Problem> {
    if bytes.len() > limit {
        let message = format!(
            "the document has {} bytes; at most {limit} are taken",
            bytes.len()
        );
        return Err(Problem::error(Position::of(bytes, limit), message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = Position::of(bytes, error.valid_up_to());
        Problem::error(at, "this is not UTF-8 text")
    })?;
    let odd = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        c => c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'),
    };
    let Some((at, c)) = text.char_indices().find(|(_, c)| odd(*c)) else {
        return Ok(text);
    };
    let message = format!(
        "the character {} can't stand in YAML; in double quotes it can be escaped",
        c.escape_unicode()
    );
    Err(Problem::error(Position::of(bytes, at), message))
}

#[cfg(test)]
mod tests;
