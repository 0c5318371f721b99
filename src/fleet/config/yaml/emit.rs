//! The tree as text. Every value is written so that any reader of YAML 1.1 or 1.2 takes it for what it is: a text that
//! could be read as something else is quoted. The same tree is always the same text.

use std::fmt::Write as _;

use super::{Entry, Node, Position, Value, scalar};

/// The longest key that may stand without a `?` before it, in bytes: readers look no further for the colon.
const LONGEST_SIMPLE_KEY: usize = 512;

/// A document as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// The text; empty for [`Value::Null`], else it ends in a line end.
    pub text: String,
    /// Where each line comes from.
    pub lines: Vec<Origin>,
}

/// Where something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The layer, from 0.
    pub layer: u16,
    /// The place in it.
    pub at: Position,
}

impl Node {
    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            layer: self.layer,
            at: self.at,
        }
    }
}

pub(super) fn emit(root: &Node) -> Emitted {
    let mut emitter = Emitter::default();
    match &root.value {
        Value::Null => {}
        Value::Map(entries) if !entries.is_empty() => emitter.map(entries, 0, None),
        Value::List(items) if !items.is_empty() => emitter.list(items, 0),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_) => {
            emitter.value("", root, root.origin(), 0);
        }
    }
    emitter.emitted
}

#[derive(Default)]
struct Emitter {
    emitted: Emitted,
}

impl Emitter {
    /// The entries of a map. The first goes on behind `opening` when there is one: the dash of an item.
    fn map(&mut self, entries: &[Entry], indent: usize, opening: Option<&str>) {
        let inner = " ".repeat(indent);
        for (at, entry) in entries.iter().enumerate() {
            let before = opening.filter(|_| at == 0).unwrap_or(&inner);
            let key = text(&entry.key);
            let origin = Origin {
                at: entry.at,
                ..entry.value.origin()
            };
            if key.len() > LONGEST_SIMPLE_KEY {
                self.line(&format!("{before}? {key}"), origin);
                self.value(&format!("{inner}:"), &entry.value, origin, indent);
            } else {
                self.value(&format!("{before}{key}:"), &entry.value, origin, indent);
            }
        }
    }

    fn list(&mut self, items: &[Node], indent: usize) {
        let dash = format!("{}-", " ".repeat(indent));
        for item in items {
            match &item.value {
                Value::Map(entries) if !entries.is_empty() => {
                    self.map(entries, indent + 2, Some(&format!("{dash} ")));
                }
                Value::Null => self.line(&format!("{dash} null"), item.origin()),
                Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Text(_)
                | Value::List(_)
                | Value::Map(_) => self.value(&dash, item, item.origin(), indent),
            }
        }
    }

    /// A value behind what leads to it, on that line or below it.
    fn value(&mut self, before: &str, node: &Node, origin: Origin, indent: usize) {
        let gap = if before.is_empty() { "" } else { " " };
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                self.line(before, origin);
                self.map(entries, indent + 2, None);
            }
            Value::List(items) if !items.is_empty() => {
                self.line(before, origin);
                self.list(items, indent + 2);
            }
            Value::Null => self.line(before, origin),
            Value::Map(_) => self.line(&format!("{before}{gap}{{}}"), origin),
            Value::List(_) => self.line(&format!("{before}{gap}[]"), origin),
            Value::Text(words) if fits_block(words) => {
                self.block(&format!("{before}{gap}"), origin, words, indent + 2);
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
                self.line(&format!("{before}{gap}{}", in_line(&node.value)), origin);
            }
        }
    }

    /// A text of several lines, as it is.
    fn block(&mut self, before: &str, origin: Origin, words: &str, indent: usize) {
        let body = words.trim_end_matches('\n');
        let ends = words.len() - body.len();
        let mark = match ends {
            0 => "|-",
            1 => "|",
            _ => "|+",
        };
        self.line(&format!("{before}{mark}"), origin);
        let indent = " ".repeat(indent);
        for line in body.split('\n') {
            let indent = if line.is_empty() { "" } else { &indent };
            self.line(&format!("{indent}{line}"), origin);
        }
        for _ in 1..ends {
            self.line("", origin);
        }
    }

    fn line(&mut self, text: &str, origin: Origin) {
        self.emitted.text.push_str(text);
        self.emitted.text.push('\n');
        self.emitted.lines.push(origin);
    }
}

/// A value that takes one line. Collections are told by their size.
pub(in crate::fleet::config) fn in_line(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::Text(words) => text(words),
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(entries) => format!("a map of {}", entries.len()),
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let shortest = format!("{value:?}");
    match shortest.split_once('e') {
        None => shortest,
        // Some readers want the point and the sign.
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    }
}

/// A text in one line, quoted where it has to be.
fn text(words: &str) -> String {
    if is_plain(words) {
        words.to_owned()
    } else if words.chars().all(|c| is_printable(c) && c != '\'') {
        format!("'{words}'")
    } else {
        escaped(words)
    }
}

/// Whether every reader takes the unquoted words for just this text, outside of `[]` and `{}`.
fn is_plain(words: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-./:$={}()@+*,;<>~^[] ".contains(c);
    let Some(first) = words.chars().next() else {
        return false;
    };
    let begins = match first {
        '0'..='9' => is_no_number(words),
        first => first.is_ascii_alphabetic() || matches!(first, '_' | '/' | '$' | '('),
    };
    begins
        && words.chars().all(fits)
        && !words.contains(": ")
        && !words.ends_with([':', ' '])
        && !is_word_of_yaml(words)
        && matches!(scalar::plain(words), Value::Text(_))
}

/// Whether words that begin with a digit have a letter that no number, date or time of any YAML has, or are an address
/// with a port.
fn is_no_number(words: &str) -> bool {
    let dots = words.split(':').next().unwrap_or_default().matches('.').count();
    if dots == 3 && words.contains(':') {
        return true;
    }
    words
        .chars()
        .any(|c| "ghijklmnpqrsuvwy".contains(c.to_ascii_lowercase()))
}

/// Words that some reader takes for something else than text.
fn is_word_of_yaml(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    matches!(
        words.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "nan" | "inf"
    )
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~')
        || (c > '\u{a0}' && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
}

/// Whether words of several lines can stand as they are, indented.
fn fits_block(words: &str) -> bool {
    let blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    words.contains('\n')
        && !words.starts_with([' ', '\n', '\t'])
        && words.chars().all(|c| is_printable(c) || matches!(c, '\n' | '\t'))
        && !words.split('\n').any(blank)
}

fn escaped(words: &str) -> String {
    let mut quoted = String::with_capacity(words.len() + 2);
    quoted.push('"');
    for c in words.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => {
                let code = u32::from(c);
                // Writing into a text doesn't fail.
                let _ = match code {
                    0..=0xff => write!(quoted, "\\x{code:02X}"),
                    0x100..=0xffff => write!(quoted, "\\u{code:04X}"),
                    _ => write!(quoted, "\\U{code:08X}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_takes_for_something_else_stands_without_quotes() {
        for plain in [
            "otlp",
            "otlp/edge",
            "10s",
            "500MiB",
            "0.0.0.0:4317",
            "/var/log/*.log",
            "${env:HOST}:4317",
            "a b",
            "k8s.pod.name",
        ] {
            assert_eq!(text(plain), plain);
        }
        for quoted in [
            "",
            "yes",
            "No",
            "on",
            "null",
            "~",
            "1",
            "1.5",
            "1e3",
            "0x1F",
            "012",
            "12:30:45",
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            ".inf",
            "-",
            "- a",
            "a: b",
            "a:",
            " a",
            "a ",
            "#a",
            "a #b",
            "@a",
            "*a",
            "&a",
            "!a",
            "%a",
            "[a]",
            "{a}",
            "<<",
            "=",
            "?",
            "a\"b",
            "127.0.0.1",
            "---",
            "é",
        ] {
            assert_eq!(text(quoted), format!("'{quoted}'"));
        }
        assert_eq!(text("it's"), "\"it's\"");
        assert_eq!(
            text("a\u{1}\u{2028}\u{1f600}'\u{feff}"),
            "\"a\\x01\\u2028\u{1f600}'\\uFEFF\""
        );
    }

    #[test]
    fn numbers_stay_what_they_are() {
        for (value, words) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e20, "1.0e+20"),
            (-1.5e-7, "-1.5e-7"),
            (f64::INFINITY, ".inf"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(float(value), words);
            assert_eq!(scalar::plain(words), Value::Float(value));
        }
    }

    #[test]
    fn every_line_knows_where_it_comes_from() {
        let document = "a: 1\nb:\n  - x: |\n      one\n      two\n    z: 2\n  - []\nc:\n";
        let root = super::super::parse(document.as_bytes(), &super::super::Limits::default()).unwrap();
        let emitted = root.emit();
        assert_eq!(emitted.text, document);
        let lines: Vec<_> = emitted.lines.iter().map(|origin| origin.at.line).collect();
        assert_eq!(lines.len(), document.lines().count());
        assert_eq!(lines, [1, 2, 3, 3, 3, 6, 7, 8]);
    }
}
