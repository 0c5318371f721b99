//! The settings file: TOML flattened to dotted names, each with its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};

/// One value of a file.
#[derive(Debug)]
pub(super) struct FileEntry {
    /// The dotted name.
    pub(super) name: String,
    pub(super) value: FileValue,
    pub(super) origin: Origin,
}

/// A value as it was written.
#[derive(Debug)]
pub(super) enum FileValue {
    /// A text, number or truth value, as text.
    One(String),
    /// A list of such.
    Many(Vec<String>),
    /// A table that a name of ours may hold, or nothing: only the name counts.
    Table,
}

/// Reads the text of a file.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<FileEntry>, Problem> {
    let at = |offset: usize| Origin::File {
        path: path.to_owned(),
        line: line_at(text, offset),
    };
    let table = DeTable::parse(text).map_err(|error| Problem::Syntax {
        origin: at(error.span().map_or(0, |span| span.start)),
        why: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    flatten(table.get_ref(), "", &at, &mut entries);
    entries.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(entries)
}

fn flatten(table: &DeTable<'_>, prefix: &str, at: &impl Fn(usize) -> Origin, entries: &mut Vec<FileEntry>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        let origin = at(key.span().start);
        let value = match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => {
                flatten(inner, &name, at, entries);
                continue;
            }
            DeValue::Table(_) => FileValue::Table,
            DeValue::Array(items) => {
                FileValue::Many(items.iter().map(Spanned::get_ref).map(scalar).collect())
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => FileValue::One(scalar(value.get_ref())),
        };
        entries.push(FileEntry { name, value, origin });
    }
}

fn scalar(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
