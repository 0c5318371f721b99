//! Values of configurations as differences show them: in one line, and secrets never.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::config::secrecy::{HIDDEN, is_secret};
use crate::fleet::config::yaml::{Node, Value};

/// So much of a value is shown.
const CHARACTERS: usize = 240;

/// A value in one line, as in YAML's flow style. Where a secret stands, it has `***`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The value; cut when it is long.
    pub text: String,
    /// Whether it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Whether a secret is hidden in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

impl Shown {
    /// The value at a place, to which `path` leads from the outside to the inside.
    pub(super) fn of(path: &[&str], node: &Node) -> Self {
        let mut shown = Self {
            text: String::new(),
            cut: false,
            hidden: false,
        };
        let mut path = path.to_vec();
        shown.write(&mut path, node);
        if let Some((at, _)) = shown.text.char_indices().nth(CHARACTERS) {
            shown.text.truncate(at);
            shown.cut = true;
        }
        shown
    }

    fn write<'a>(&mut self, path: &mut Vec<&'a str>, node: &'a Node) {
        // What lies beyond is cut anyway.
        if self.text.len() > CHARACTERS * 4 {
            return;
        }
        if is_secret(path, node) {
            self.hidden = true;
            self.text.push_str(HIDDEN);
            return;
        }
        match &node.value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(value) => self.put(value),
            Value::Int(value) => self.put(value),
            Value::Float(value) => self.put(value),
            Value::Text(text) => self.text.push_str(text),
            Value::List(items) => {
                self.text.push('[');
                path.push("[]");
                for (at, item) in items.iter().enumerate() {
                    self.text.push_str(if at == 0 { "" } else { ", " });
                    self.write(path, item);
                }
                path.pop();
                self.text.push(']');
            }
            Value::Map(entries) => {
                self.text.push('{');
                for (at, entry) in entries.iter().enumerate() {
                    self.text.push_str(if at == 0 { "" } else { ", " });
                    self.text.push_str(&entry.key);
                    self.text.push_str(": ");
                    path.push(&entry.key);
                    self.write(path, &entry.value);
                    path.pop();
                }
                self.text.push('}');
            }
        }
    }

    fn put(&mut self, value: impl std::fmt::Display) {
        let _ = write!(self.text, "{value}");
    }
}
