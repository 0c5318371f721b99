//! Variables of layers: what stands for something that differs from agent to agent.
//!
//! `${muster:label.region}` stands in values, never in keys. Everything else in `${}` is the collectors' and stays as it
//! is, and so does what `$$` takes the meaning from. What is put in is text to the collector too: a `$` in it is doubled.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::{Position, Problem};
use super::yaml::{Node, Value, word};
use crate::fleet::name::Name;

/// What a variable begins with.
const OPENING: &str = "${muster:";

/// What a variable stands for. As text `label.region`, `fact.host.name`, `secret.token`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// A label of the agent.
    Label(String),
    /// What the agent reports.
    Fact(String),
    /// A secret.
    Secret(Name),
}

/// Why a text names no variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// It begins with none of the three kinds.
    #[error("a variable is label.KEY, fact.KEY or secret.NAME; {0:?} is none of them")]
    Kind(String),
    /// Nothing after the kind.
    #[error("a name is missing after {0:?}")]
    Empty(String),
    /// No name that a secret could have.
    #[error("no secret can have this name: {0}")]
    Secret(#[from] crate::fleet::name::NameError),
}

/// What takes the place of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert {
    /// This value.
    Value(String),
    /// The variable itself: it isn't to be seen what it stands for.
    Itself,
}

/// The variables of a document.
///
/// # Errors
/// What begins like a variable and is none, or stands where none can.
pub fn variables(root: &Node) -> Result<BTreeSet<Variable>, Vec<Problem>> {
    let mut found = Found::default();
    found.look(root);
    if found.problems.is_empty() {
        Ok(found.variables)
    } else {
        found.problems.sort();
        Err(found.problems)
    }
}

/// The document with what its variables stand for. An unquoted word that is one variable becomes a number or a boolean
/// when it looks like one, as with collectors' own variables; secrets stay text.
///
/// # Errors
/// The variables for which `value_of` knows nothing.
pub fn resolve(
    root: &Node,
    value_of: &impl Fn(&Variable) -> Option<Insert>,
) -> Result<Node, BTreeSet<Variable>> {
    let mut missing = BTreeSet::new();
    let resolved = resolved(root, value_of, &mut missing);
    if missing.is_empty() {
        Ok(resolved)
    } else {
        Err(missing)
    }
}

fn resolved(
    node: &Node,
    value_of: &impl Fn(&Variable) -> Option<Insert>,
    missing: &mut BTreeSet<Variable>,
) -> Node {
    let value = match &node.value {
        Value::Text(text) if text.contains(OPENING) => filled(text, node.quoted, value_of, missing),
        Value::List(items) => Value::List(
            items
                .iter()
                .map(|item| resolved(item, value_of, missing))
                .collect(),
        ),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|entry| super::yaml::Entry {
                    at: entry.at,
                    key: entry.key.clone(),
                    value: resolved(&entry.value, value_of, missing),
                })
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => node.value.clone(),
    };
    Node {
        value,
        at: node.at,
        quoted: node.quoted,
        tag: node.tag,
        layer: node.layer,
    }
}

fn filled(
    text: &str,
    quoted: bool,
    value_of: &impl Fn(&Variable) -> Option<Insert>,
    missing: &mut BTreeSet<Variable>,
) -> Value {
    let parts = parts(text);
    let alone = parts.len() == 1 && !quoted;
    let mut all = String::with_capacity(text.len());
    for (_, part) in parts {
        let (name, variable) = match part {
            Part::Text(text) | Part::Unfinished(text) => {
                all.push_str(text);
                continue;
            }
            Part::Variable(name) => (name, name.parse::<Variable>()),
        };
        let Ok(variable) = variable else {
            // A document with these is not published.
            continue;
        };
        match value_of(&variable) {
            None => {
                missing.insert(variable);
            }
            Some(Insert::Itself) => {
                all.push_str(OPENING);
                all.push_str(name);
                all.push('}');
            }
            Some(Insert::Value(value)) => {
                if alone && !matches!(variable, Variable::Secret(_)) {
                    match word(&value) {
                        value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) => return value,
                        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => {}
                    }
                }
                all.push_str(&value.replace('$', "$$"));
            }
        }
    }
    Value::Text(all)
}

#[derive(Default)]
struct Found {
    variables: BTreeSet<Variable>,
    problems: Vec<Problem>,
}

impl Found {
    fn look(&mut self, node: &Node) {
        if let Value::Text(text) = &node.value {
            self.look_at_text(text, node);
        }
        for entry in node.entries().unwrap_or_default() {
            if entry.key.contains(OPENING) {
                let message = "a variable can't stand in a key, only in values";
                self.problems.push(Problem::error(entry.at, message));
            }
            self.look(&entry.value);
        }
        for item in node.items().unwrap_or_default() {
            self.look(item);
        }
    }

    fn look_at_text(&mut self, text: &str, node: &Node) {
        if !text.contains(OPENING) {
            return;
        }
        for (at, part) in parts(text) {
            let name = match part {
                Part::Text(_) => continue,
                Part::Unfinished(_) => {
                    let message = "a variable that begins here has no end; it ends in `}`";
                    self.problems.push(Problem::error(place(node, text, at), message));
                    continue;
                }
                Part::Variable(name) => name,
            };
            match name.parse() {
                Ok(variable) => {
                    self.variables.insert(variable);
                }
                Err(error) => {
                    let message = format!("${{muster:{name}}}: {error}");
                    self.problems.push(Problem::error(place(node, text, at), message));
                }
            }
        }
    }
}

/// Where the byte `at` of a text stands; where it begins when it has several lines.
fn place(node: &Node, text: &str, at: usize) -> Position {
    if node.quoted || text.contains('\n') {
        return node.at;
    }
    let before = text.get(..at).unwrap_or_default().chars().count();
    Position {
        column: node.at.column.saturating_add(u32::try_from(before).unwrap_or(0)),
        ..node.at
    }
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Text(&'a str),
    /// What stands behind the colon.
    Variable(&'a str),
    /// The rest of a text in which a variable has no end.
    Unfinished(&'a str),
}

/// The parts of a text with the byte at which each begins.
fn parts(text: &str) -> Vec<(usize, Part<'_>)> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('$')) {
        at += found;
        let rest = text.get(at..).unwrap_or_default();
        let Some(name) = rest.strip_prefix(OPENING) else {
            // `$$` is a sign of its own, whatever follows.
            at += if rest.starts_with("$$") { 2 } else { 1 };
            continue;
        };
        if let Some(before) = text.get(from..at).filter(|before| !before.is_empty()) {
            parts.push((from, Part::Text(before)));
        }
        let Some((name, _)) = name.split_once('}') else {
            parts.push((at, Part::Unfinished(rest)));
            return parts;
        };
        parts.push((at, Part::Variable(name)));
        at += OPENING.len() + name.len() + 1;
        from = at;
    }
    if let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        parts.push((from, Part::Text(rest)));
    }
    parts
}

impl FromStr for Variable {
    type Err = VariableError;

    fn from_str(text: &str) -> Result<Self, VariableError> {
        let (kind, key) = text
            .split_once('.')
            .ok_or_else(|| VariableError::Kind(text.to_owned()))?;
        if !matches!(kind, "label" | "fact" | "secret") {
            return Err(VariableError::Kind(text.to_owned()));
        }
        if key.is_empty() {
            return Err(VariableError::Empty(text.to_owned()));
        }
        Ok(match kind {
            "label" => Self::Label(key.to_owned()),
            "fact" => Self::Fact(key.to_owned()),
            _ => Self::Secret(Name::new(key)?),
        })
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label.{key}"),
            Self::Fact(key) => write!(f, "fact.{key}"),
            Self::Secret(name) => write!(f, "secret.{name}"),
        }
    }
}

impl Serialize for Variable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Variable {
    fn schema_name() -> Cow<'static, str> {
        "Variable".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(label|fact|secret)\\..+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        super::super::yaml::parse(text.as_bytes(), &super::super::yaml::Limits::default()).unwrap()
    }

    fn value_of(variable: &Variable) -> Option<Insert> {
        let value = |text: &str| Some(Insert::Value(text.to_owned()));
        match variable.to_string().as_str() {
            "label.region" => value("eu"),
            "label.port" => value("4317"),
            "label.odd" => value("a: {b\n- c} ${env:X} # '\""),
            "secret.pin" => value("0815"),
            "secret.number" => value("815"),
            "secret.hidden" => Some(Insert::Itself),
            _ => None,
        }
    }

    #[track_caller]
    fn rendered(text: &str) -> Node {
        resolve(&tree(text), &value_of).unwrap()
    }

    fn at<'a>(root: &'a Node, key: &str) -> &'a Value {
        &root.entry(key).unwrap().value.value
    }

    #[test]
    fn variables_are_put_in_as_text_that_stays_in_its_value() {
        let root = rendered("a: x-${muster:label.region}-y\nb: ${muster:label.odd}\n");
        assert_eq!(at(&root, "a"), &Value::Text("x-eu-y".into()));
        let odd = "a: {b\n- c} $${env:X} # '\"";
        assert_eq!(at(&root, "b"), &Value::Text(odd.into()));
        let again = tree(&root.emit().text);
        assert_eq!(
            at(&again, "b"),
            &Value::Text(odd.into()),
            "also once it is written"
        );
    }

    #[test]
    fn an_unquoted_variable_may_be_a_number_but_a_secret_never_is() {
        let root = rendered(
            "a: ${muster:label.port}\nb: \"${muster:label.port}\"\nc: ${muster:secret.number}\nd: 0:${muster:label.port}\n",
        );
        assert_eq!(at(&root, "a"), &Value::Int(4317));
        assert_eq!(at(&root, "b"), &Value::Text("4317".into()));
        assert_eq!(at(&root, "c"), &Value::Text("815".into()));
        assert_eq!(at(&root, "d"), &Value::Text("0:4317".into()));
    }

    #[test]
    fn what_is_the_collectors_is_left_alone() {
        for text in [
            "${env:HOST}:4317",
            "$${muster:label.region}",
            "${file:/a}",
            "$5",
            "a$",
            "${",
        ] {
            let root = rendered(&format!("a: '{text}'"));
            assert_eq!(at(&root, "a"), &Value::Text(text.into()));
            assert!(variables(&root).unwrap().is_empty(), "{text}");
        }
        let three = rendered("a: $$${muster:label.region}");
        assert_eq!(at(&three, "a"), &Value::Text("$$eu".into()));
    }

    #[test]
    fn a_secret_that_is_not_to_be_seen_stays_its_name() {
        let root = rendered("a: Bearer ${muster:secret.hidden}");
        assert_eq!(
            at(&root, "a"),
            &Value::Text("Bearer ${muster:secret.hidden}".into())
        );
    }

    #[test]
    fn what_is_missing_is_told() {
        let root = tree("a: [\"${muster:label.x} ${muster:fact.os.type}\"]\nb: ${muster:label.region}");
        let missing = resolve(&root, &value_of).unwrap_err();
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(missing, ["label.x", "fact.os.type"]);
        assert_eq!(variables(&root).unwrap().len(), 3);
    }

    #[test]
    fn an_unknown_form_is_a_problem_with_line_and_column() {
        let refused = |text: &str| {
            let problems = variables(&tree(text)).unwrap_err();
            (
                problems[0].at.line,
                problems[0].at.column,
                problems[0].message.clone(),
            )
        };
        let (line, column, message) = refused("a: 1\nb: x ${muster:foo}\n");
        assert_eq!((line, column), (2, 6));
        assert!(message.contains("label.KEY"), "{message}");
        assert_eq!(refused("a: ${muster:label.x").0, 1);
        assert_eq!(
            refused("${muster:label.x}: 1").2,
            "a variable can't stand in a key, only in values"
        );
    }

    #[test]
    fn a_variable_survives_its_text() {
        for text in ["label.region", "fact.host.name", "secret.token-1"] {
            assert_eq!(text.parse::<Variable>().unwrap().to_string(), text);
        }
        for text in ["foo", "label", "label.", "env.X", "secret.Not A Name"] {
            assert!(text.parse::<Variable>().is_err(), "{text}");
        }
    }
}
