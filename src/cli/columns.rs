//! What listings and cards show of an answer: fields of its JSON, by JSON pointer, as text.

use serde_json::Value;

use crate::fleet::rollout::Strategy;
use crate::fleet::target::{LayerRef, in_words};

/// One column of a listing or one line of a card.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) heading: &'static str,
    pointer: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Time,
    Layers,
    Strategy,
}

/// The field at `pointer` as it is.
pub(super) const fn field(heading: &'static str, pointer: &'static str) -> Column {
    Column {
        heading,
        pointer,
        kind: Kind::Plain,
    }
}

/// The time at `pointer`, to the second; nothing for the epoch, which means that it isn't known.
pub(super) const fn time(heading: &'static str, pointer: &'static str) -> Column {
    Column {
        heading,
        pointer,
        kind: Kind::Time,
    }
}

/// The layers at `pointer`, as in `base@3 + edge@7`.
pub(super) const fn layers(heading: &'static str, pointer: &'static str) -> Column {
    Column {
        heading,
        pointer,
        kind: Kind::Layers,
    }
}

/// The strategy at `pointer`, as it is written.
pub(super) const fn strategy(heading: &'static str, pointer: &'static str) -> Column {
    Column {
        heading,
        pointer,
        kind: Kind::Strategy,
    }
}

impl Column {
    /// What is shown of `row`; empty when the field is missing.
    pub(super) fn of(&self, row: &Value) -> String {
        let Some(value) = row.pointer(self.pointer) else {
            return String::new();
        };
        match self.kind {
            Kind::Plain => shown(value),
            Kind::Time => value.as_str().map(seconds).unwrap_or_default(),
            Kind::Layers => {
                let layers: Vec<LayerRef> = serde_json::from_value(value.clone()).unwrap_or_default();
                in_words(&layers)
            }
            Kind::Strategy => serde_json::from_value::<Strategy>(value.clone())
                .map(|strategy| strategy.to_string())
                .unwrap_or_default(),
        }
    }
}

/// A value in one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| format!("{key}={}", shown(value)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A time without the parts of its seconds.
fn seconds(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) if at == jiff::Timestamp::UNIX_EPOCH => String::new(),
        Ok(at) => format!("{at:.0}"),
        Err(_) => text.to_owned(),
    }
}

/// The text at `pointer`; empty when there is none.
pub(super) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at `pointer`; 0 when there is none.
pub(super) fn number_at(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// The entries of the list at `pointer`; none when there is no list.
pub(super) fn list_at<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_field_fits_into_a_cell() {
        let row = json!({
            "name": "edge",
            "labels": {"env": "prod", "site": "zrh"},
            "groups": ["a", "b"],
            "ok": true,
            "count": 3,
            "since": "2026-11-22T10:00:00.123456789Z",
            "never": "1970-01-01T00:00:00Z",
            "none": null,
            "layers": [{"config": "base", "revision": 3}, {"config": "edge", "revision": 7}],
        });
        let shown = |column: Column| column.of(&row);
        assert_eq!(shown(field("", "/name")), "edge");
        assert_eq!(shown(field("", "/labels")), "env=prod, site=zrh");
        assert_eq!(shown(field("", "/groups")), "a, b");
        assert_eq!(shown(field("", "/ok")), "yes");
        assert_eq!(shown(field("", "/count")), "3");
        assert_eq!(shown(time("", "/since")), "2026-11-22T10:00:00Z");
        assert_eq!(shown(time("", "/never")), "");
        assert_eq!(shown(field("", "/none")), "");
        assert_eq!(shown(layers("", "/layers")), "base@3 + edge@7");
        assert_eq!(shown(field("", "/missing/deep")), "");
    }
}
