//! A tree as text, in block style. Whoever reads it back gets the same tree.

use std::fmt::Write as _;

use super::scalar::plain;
use super::{Entry, Node, Value};

/// The document of a tree.
#[must_use]
pub fn write(node: &Node) -> String {
    let mut text = String::new();
    if let Some(entries) = full(node.entries()) {
        map(&mut text, entries, 0);
    } else if let Some(items) = full(node.items()) {
        list(&mut text, items, 0);
    } else {
        scalar(&mut text, &node.value, 0);
        text.push('\n');
    }
    text
}

/// What has something in it: an empty map or list is written in one line.
fn full<T>(inside: Option<&[T]>) -> Option<&[T]> {
    inside.filter(|inside| !inside.is_empty())
}

fn map(text: &mut String, entries: &[Entry], indent: usize) {
    for (at, entry) in entries.iter().enumerate() {
        // The first entry of an item stands beside its dash.
        if at > 0 || !text.ends_with("- ") {
            pad(text, indent);
        }
        string(text, &entry.key);
        text.push(':');
        below(text, &entry.value, indent);
    }
}

/// What stands behind a key.
fn below(text: &mut String, node: &Node, indent: usize) {
    if node.is_null() {
        text.push('\n');
    } else if let Some(entries) = full(node.entries()) {
        text.push('\n');
        map(text, entries, indent + 2);
    } else if let Some(items) = full(node.items()) {
        text.push('\n');
        list(text, items, indent + 2);
    } else {
        text.push(' ');
        scalar(text, &node.value, indent + 2);
        text.push('\n');
    }
}

fn list(text: &mut String, items: &[Node], indent: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 || !text.ends_with("- ") {
            pad(text, indent);
        }
        text.push_str("- ");
        if let Some(entries) = full(item.entries()) {
            map(text, entries, indent + 2);
        } else if let Some(items) = full(item.items()) {
            list(text, items, indent + 2);
        } else {
            scalar(text, &item.value, indent + 2);
            text.push('\n');
        }
    }
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

/// A value in one line, or a text in several that are indented by `indent`.
fn scalar(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => put(text, value),
        Value::Int(value) => put(text, value),
        Value::Float(value) if value.is_nan() => text.push_str(".nan"),
        Value::Float(value) if value.is_infinite() => {
            text.push_str(if *value > 0.0 { ".inf" } else { "-.inf" });
        }
        Value::Float(value) => {
            let _ = write!(text, "{value:?}");
        }
        Value::Text(lines) if is_block(lines) => block(text, lines, indent),
        Value::Text(word) => string(text, word),
        Value::List(_) => text.push_str("[]"),
        Value::Map(_) => text.push_str("{}"),
    }
}

fn put(text: &mut String, value: impl std::fmt::Display) {
    let _ = write!(text, "{value}");
}

/// Whether a text of several lines can be written as it is.
fn is_block(text: &str) -> bool {
    let readable = |c: char| {
        c == '\n' || (!c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'))
    };
    let ends = text.trim_end_matches('\n');
    text.contains('\n')
        && !ends.is_empty()
        && text.len() - ends.len() <= 1
        && !text.starts_with([' ', '\n'])
        && text.chars().all(readable)
        && text.lines().all(|line| !line.ends_with(' '))
}

fn block(text: &mut String, lines: &str, indent: usize) {
    text.push_str(if lines.ends_with('\n') { "|" } else { "|-" });
    for line in lines.lines() {
        text.push('\n');
        if !line.is_empty() {
            pad(text, indent);
            text.push_str(line);
        }
    }
}

/// A text in one line: as it is where it means itself, else in quotes.
fn string(text: &mut String, word: &str) {
    if is_plain(word) {
        text.push_str(word);
        return;
    }
    text.push('"');
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            c if c.is_control()
                || matches!(
                    c,
                    '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                let _ = write!(text, "\\U{:08x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

fn is_plain(word: &str) -> bool {
    let first = word.chars().next();
    let begins = first
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '$' | '(' | '^' | '+' | '<'));
    let fits = |c: char| {
        !c.is_control()
            && !matches!(
                c,
                '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            )
    };
    begins
        && word.chars().all(fits)
        && !word.contains(": ")
        && !word.contains(" #")
        && !word.ends_with([':', ' '])
        && !word.starts_with("...")
        && word != "<<"
        // A word that others read as something else is put in quotes, too.
        && !matches!(word.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n")
        && plain(word) == Value::Text(word.to_owned())
        && !word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+'))
        || is_number_like(word)
}

/// What begins as a number and is none to any reader, such as `0.0.0.0:4317`, `10s` and `1.2.3`.
fn is_number_like(word: &str) -> bool {
    let digits = word.starts_with(|c: char| c.is_ascii_digit());
    let tame = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/'));
    let unit = word.ends_with(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'));
    let hexadecimal = word.len() > 1
        && word
            .as_bytes()
            .get(1)
            .is_some_and(|b| matches!(b, b'x' | b'o' | b'b' | b'X' | b'O' | b'B'));
    let dotted = word.matches('.').count() > 1;
    digits
        && tame
        && (unit || dotted)
        && !hexadecimal
        && !word.ends_with(':')
        && plain(word) == Value::Text(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::Position;
    use crate::fleet::config::yaml::{Limits, parse};

    /// The tree with all places alike: only they differ in what was written.
    fn placeless(node: &Node) -> Node {
        let at = Position::START;
        let value = match &node.value {
            Value::List(items) => Value::List(items.iter().map(placeless).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| Entry {
                        at,
                        key: entry.key.clone(),
                        value: placeless(&entry.value),
                    })
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
                node.value.clone()
            }
        };
        Node { at, value }
    }

    fn again(yaml: &str) -> String {
        let tree = parse(yaml.as_bytes(), &Limits::default()).unwrap();
        let text = write(&tree);
        let read = parse(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(placeless(&read), placeless(&tree), "{text}");
        text
    }

    #[test]
    fn a_tree_is_written_as_people_write_it() {
        let text = again(
            "{a: {b: [1, {c: x, d: [[z], []]}], e: {}, f: }, g: '0.0.0.0:4317', h: 10s, i: 'yes', j: \"a\\nb\\n\", k: 1.0}",
        );
        let expected = "\
a:
  b:
    - 1
    - c: x
      d:
        - - z
        - []
  e: {}
  f:
g: 0.0.0.0:4317
h: 10s
i: \"yes\"
j: |
  a
  b
k: 1.0
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let words = [
            "",
            " ",
            "~",
            "null",
            "true",
            "yes",
            "1",
            "1.5",
            "012",
            "0x1f",
            "1e3",
            "12:30:45",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "a:",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'",
            "\"",
            "\\",
            "{",
            "}",
            "[a]",
            "a, b",
            "|",
            ">",
            "?",
            "? a",
            "...",
            "---",
            "<<",
            ".inf",
            "${env:X}:1",
            "a\nb",
            "a\n\n",
            "\na",
            " a\nb",
            "a \nb",
            "a\tb",
            "\u{1}",
            "é",
            "\u{85}",
            "a\r\nb",
            "a\n\nb\n",
            "0.0.0.0:4317",
            "1.2.3",
            "10s",
            "=",
            "+1",
            ".5",
            "(?P<x>.*)",
            "\u{feff}x",
        ];
        for word in words {
            for value in [
                Value::Text(word.to_owned()),
                Value::List(vec![Node {
                    at: Position::START,
                    value: Value::Text(word.to_owned()),
                }]),
                Value::Map(vec![Entry {
                    at: Position::START,
                    key: "k".to_owned(),
                    value: Node {
                        at: Position::START,
                        value: Value::Text(word.to_owned()),
                    },
                }]),
            ] {
                let tree = Node {
                    at: Position::START,
                    value,
                };
                let text = write(&tree);
                let read = parse(text.as_bytes(), &Limits::default());
                assert_eq!(read.map(|read| placeless(&read)), Ok(tree), "{word:?}: {text:?}");
            }
        }
    }

    #[test]
    fn numbers_and_keys_survive() {
        for yaml in [
            "[.inf, -.inf, 1e300, -0.5, 18446744073709551615, true, null]",
            "{'a: b': 1, '': 2, '- x': 3, 'true': 4, otlp/2: 5}",
            "- {a: 1}\n- []\n- [[1]]\n",
            "just text",
            "",
        ] {
            again(yaml);
        }
    }
}
