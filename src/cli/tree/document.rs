//! A TOML document, with the line of each of its keys.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A document as JSON, and where its keys stand.
#[derive(Debug)]
pub(super) struct Document {
    path: String,
    pub(super) fields: Map<String, Value>,
    /// By dotted name, two levels deep, with positions in lists: `files[1].path`.
    pub(super) lines: BTreeMap<String, usize>,
}

impl Document {
    pub(super) fn parse(path: &Path, text: &str) -> anyhow::Result<Self> {
        let path = path.display().to_string();
        let line = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        let wrong = |error: &toml::de::Error| {
            let line = line(error.span().map_or(0, |span| span.start));
            anyhow::anyhow!("{path}:{line}: {}", error.message())
        };
        let table = DeTable::parse(text).map_err(|error| wrong(&error))?;
        let mut lines = BTreeMap::new();
        collect(table.get_ref(), "", &line, &mut lines);
        let table: toml::Table = toml::from_str(text).map_err(|error| wrong(&error))?;
        let fields = match serde_json::to_value(table)? {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        Ok(Self { path, fields, lines })
    }

    /// A failure at a key.
    pub(super) fn wrong(&self, key: &str, why: impl std::fmt::Display) -> anyhow::Error {
        let line = self.lines.get(key).copied().unwrap_or(1);
        anyhow::anyhow!("{}:{line}: {why}", self.path)
    }

    /// Refuses keys of `fields` that aren't known; `prefix` is where these stand.
    pub(super) fn known(
        &self,
        fields: &Map<String, Value>,
        prefix: &str,
        known: &[&str],
    ) -> anyhow::Result<()> {
        let Some(key) = fields.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let nearest = known
            .iter()
            .min_by_key(|name| strsim::damerau_levenshtein(name, key));
        let nearest = nearest.filter(|name| strsim::damerau_levenshtein(name, key) <= 2);
        let hint = nearest.map_or_else(
            || format!("known are {}", known.join(", ")),
            |name| format!("did you mean {name}?"),
        );
        Err(self.wrong(
            &format!("{prefix}{key}"),
            format!("{key:?} is not known here; {hint}"),
        ))
    }

    /// The text under a key; `None` when it isn't there.
    pub(super) fn text(
        &self,
        fields: &Map<String, Value>,
        prefix: &str,
        key: &str,
    ) -> anyhow::Result<Option<String>> {
        match fields.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(&format!("{prefix}{key}"), format!("{key} is a text in quotes"))),
        }
    }
}

fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    line: &impl Fn(usize) -> usize,
    lines: &mut BTreeMap<String, usize>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        lines.insert(name.clone(), line(key.span().start));
        within(value, &name, line, lines);
    }
}

fn within(
    value: &Spanned<DeValue<'_>>,
    name: &str,
    line: &impl Fn(usize) -> usize,
    lines: &mut BTreeMap<String, usize>,
) {
    match value.get_ref() {
        DeValue::Table(inner) => collect(inner, &format!("{name}."), line, lines),
        DeValue::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let name = format!("{name}[{at}]");
                lines.insert(name.clone(), line(item.span().start));
                within(item, &name, line, lines);
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}
