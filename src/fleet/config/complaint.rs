//! What a real collector says of a configuration, made into problems of ours; and what it is shown instead of what only a
//! host can know.
//!
//! A collector resolves `${env:X}`, `${file:/x}` and the like itself. On our side these must neither be read (a file named
//! there would be ours) nor make it fail, so each is replaced by a stand-in. No one value fits every setting, so several
//! are tried: what the collector accepts with one of them passes, and only what it says with all of them, or of a component
//! without any, is an error.

use std::collections::BTreeSet;

use super::problem::{Position, Problem};
use super::yaml::{Node, Value};

/// The variable that stands for everything that only a host knows.
pub const STAND_IN: &str = "MUSTER_STAND_IN";
/// Its values, tried one after the other: a number, a truth value, a URL, a time.
pub const STAND_INS: [&str; 4] = ["1", "true", "http://localhost:1", "1s"];

/// How a problem begins that says why there is no verdict.
pub const UNVALIDATED: &str = "could not be validated";

/// The most bytes of texts in a document that is shown to a collector.
const LARGEST: usize = 4 << 20;
/// The longest text that is kept of one complaint, in characters.
const LONGEST: usize = 400;
/// The most complaints of one run that are kept.
const MOST: usize = 20;

/// The sections of a configuration.
const SECTIONS: [&str; 6] = [
    "receivers",
    "processors",
    "exporters",
    "connectors",
    "extensions",
    "service",
];

/// What collectors say of names, whatever the values are.
const ABOUT_NAMES: [&str; 3] = ["has invalid keys", "unknown type", "which is not configured"];

/// A document as a collector is shown it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The document, as JSON, which is YAML.
    pub text: String,
    /// Whether anything was replaced by a stand-in.
    pub open: bool,
}

/// One thing that a collector said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Where, from the outside in, as far as it was said.
    path: Vec<String>,
    /// What.
    text: String,
}

/// The document with a stand-in for each reference. Made from the tree and not from the text, in which a reference could
/// hide behind escapes. `None` when it is too large, with all that aliases repeat.
#[must_use]
pub fn shown(root: &Node) -> Option<Shown> {
    if weight(root) > LARGEST {
        return None;
    }
    let mut open = false;
    let text = json(root, &mut open).to_string();
    Some(Shown { text, open })
}

/// The bytes of all texts and keys.
fn weight(node: &Node) -> usize {
    match &node.value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => {
            let entries = entries.iter();
            entries.map(|entry| entry.key.len() + weight(&entry.value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
    }
}

fn json(node: &Node, open: &mut bool) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => i64::try_from(*value).map_or_else(|_| value.to_string().into(), Into::into),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => closed(text, open).into(),
        Value::List(items) => items.iter().map(|item| json(item, open)).collect(),
        Value::Map(entries) => {
            let entry = |entry: &super::yaml::Entry| (entry.key.clone(), json(&entry.value, open));
            entries.iter().map(entry).collect()
        }
    }
}

/// A text in which no reference is left but those to the stand-in, and those to variables that state a plain default.
fn closed(text: &str, open: &mut bool) -> String {
    let mut closed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        closed.push_str(before);
        let escaped = closed.ends_with('$');
        closed.truncate(closed.trim_end_matches('$').len());
        let (reference, behind) = until_closed(behind);
        if escaped {
            // `$${x}` is the text `${x}`; nothing hangs on which text it is.
            closed.push('1');
        } else if let Some(default) = reference.and_then(with_default) {
            closed.push_str(&default);
        } else {
            *open = true;
            closed.push_str("${env:");
            closed.push_str(STAND_IN);
            closed.push('}');
        }
        rest = behind;
    }
    closed.push_str(rest);
    closed
}

/// What stands before the brace that closes a reference, and what follows; all of it when none does.
fn until_closed(text: &str) -> (Option<&str>, &str) {
    let mut depth = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (text.get(..at), text.get(at + 1..).unwrap_or_default());
        }
    }
    (None, "")
}

/// A reference to a variable with a plain default: variables aren't set here, so the default holds.
fn with_default(reference: &str) -> Option<String> {
    let (name, default) = reference
        .strip_prefix("env:")
        .unwrap_or(reference)
        .split_once(":-")?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_plain = !default.is_empty() && !default.contains(['$', '{', '}']);
    (is_name && is_plain && name != STAND_IN).then(|| format!("${{env:{name}:-{default}}}"))
}

/// What a collector said, from what `validate` wrote. Empty when none of it is understood as a complaint.
#[must_use]
pub fn complaints(output: &str) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut component, mut within) = (Vec::new(), Vec::new());
    for line in output.lines() {
        let line: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let line = line.trim();
        let line = line.strip_prefix("Error: ").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        // What leads to a complaint: `'receivers' error reading configuration for "otlp": decoding failed due to …:`
        if line.ends_with("error(s):") {
            let words = quoted(line);
            if line.contains("error reading configuration for") {
                (component, within) = (words, Vec::new());
            } else {
                within.extend(words);
            }
            continue;
        }
        let mut path: Vec<String> = Vec::new();
        let text = match line.split_once(": ") {
            // `exporters::otlphttp: at least one endpoint must be specified`
            Some((place, text)) if place.contains("::") && !place.contains(' ') => {
                path.extend(place.split("::").map(str::to_owned));
                text
            }
            // `'extensions' unknown type: "x" for id: "x"`: about a section, whatever was complained of before.
            _ if quoted(line)
                .first()
                .is_some_and(|word| SECTIONS.contains(&word.as_str())) =>
            {
                line
            }
            _ => {
                path.extend(component.iter().chain(&within).cloned());
                line
            }
        };
        let complaint = Complaint {
            path,
            text: text.chars().take(LONGEST).collect(),
        };
        // Collectors say all of it twice.
        if seen.insert(complaint.clone()) && found.len() < MOST {
            found.push(complaint);
        }
    }
    found
}

/// The words in quotes.
fn quoted(text: &str) -> Vec<String> {
    let parts = text.split(['\'', '"']).skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The problems in what a collector said in each of several runs with different stand-ins, none of which it accepted.
#[must_use]
pub fn judged(runs: &[Vec<Complaint>], root: &Node) -> Vec<Problem> {
    let all: BTreeSet<_> = runs.iter().flatten().collect();
    let holds = |complaint: &&&Complaint| {
        runs.iter().all(|run| run.contains(complaint)) || complaint.is_of_what_is_known(root)
    };
    let mut problems: Vec<_> = all
        .iter()
        .filter(holds)
        .map(|complaint| complaint.problem(root))
        .collect();
    if problems.is_empty()
        && let Some(said) = runs.first().and_then(|run| run.first())
    {
        let message = format!(
            "{UNVALIDATED}: it depends on variables that only hosts have; with stand-ins {}",
            said.words()
        );
        problems.push(Problem::warning(said.place(root), message));
    }
    problems.sort();
    problems
}

impl Complaint {
    fn problem(&self, root: &Node) -> Problem {
        Problem::error(self.place(root), self.words())
    }

    fn words(&self) -> String {
        if self.path.is_empty() {
            format!("the collector says: {}", self.text)
        } else {
            format!("the collector says of {}: {}", self.path.join("::"), self.text)
        }
    }

    /// Whether no stand-in can have a part in it: it is about a name, or about a component in which none stands. (A
    /// collector looks no further in a section after its first complaint, so that others may not have said it.)
    fn is_of_what_is_known(&self, root: &Node) -> bool {
        if ABOUT_NAMES.iter().any(|words| self.text.contains(words)) {
            return true;
        }
        let (Some(section), Some(id)) = (self.path.first(), self.path.get(1)) else {
            return false;
        };
        let component = root.entry(section).and_then(|section| section.value.entry(id));
        component.is_some_and(|component| {
            let mut open = false;
            json(&component.value, &mut open);
            !open
        })
    }

    /// Where in the document, as far as its words lead in.
    fn place(&self, root: &Node) -> Position {
        let (mut node, mut at) = (root, root.at);
        let unknown = self.text.rsplit_once(": ").map(|(_, keys)| keys);
        let words = quoted(&self.text).into_iter().chain(unknown.map(str::to_owned));
        for word in self.path.iter().cloned().chain(words) {
            let parts: Vec<_> = if node.entry(&word).is_some() {
                vec![word.as_str()]
            } else {
                word.split(['.', ',', ' '])
                    .filter(|part| !part.is_empty())
                    .collect()
            };
            for part in parts {
                if let Some(entry) = node.entry(part) {
                    (node, at) = (&entry.value, entry.at);
                }
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::yaml::{Limits, parse};

    const CONFIG: &str = "\
receivers:
  otlp:
    protocols: {grpc: {endpoint: a, foo: 1}}
exporters:
  otlphttp:
    timeout: abc
service:
  extensions: [nope]
";

    fn root(text: &str) -> Node {
        parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn shown_text(value: &str) -> (String, bool) {
        let node = Node::new(Position::START, Value::Text(value.to_owned()));
        let shown = shown(&node).unwrap();
        (serde_json::from_str(&shown.text).unwrap(), shown.open)
    }

    #[test]
    fn whatever_only_a_host_knows_is_replaced_and_nothing_of_ours_is_ever_read() {
        let stand_in = "${env:MUSTER_STAND_IN}";
        for reference in [
            "${env:X}",
            "${X}",
            "${file:/etc/shadow}",
            "${http://x/y}",
            "${muster:secret.key}",
            "${yaml:a: ${file:/x}}",
            "${env:X:-${file:/x}}",
            "${env:X:-$${file:/x}}",
            "${file:/x",
            "${MUSTER_STAND_IN:-x}",
        ] {
            let (text, open) = shown_text(&format!("a{reference}"));
            assert_eq!(
                (text.as_str(), open),
                (format!("a{stand_in}").as_str(), true),
                "{reference}"
            );
        }
        assert_eq!(shown_text("$${file:/x} $$1 $"), ("1 $$1 $".to_owned(), false));
        assert_eq!(shown_text("$$${file:/x}").0, "1");
        assert_eq!(shown_text("${X:-4317}"), ("${env:X:-4317}".to_owned(), false));
        assert_eq!(
            shown_text("${env:A}:${env:B}").0,
            format!("{stand_in}:{stand_in}")
        );
        // A reference behind escapes is one for the collector, too.
        let hidden = shown(&root("a: \"\\x24{file:/etc/\\\n  shadow}\"\n")).unwrap();
        assert_eq!(hidden.text, format!("{{\"a\":\"{stand_in}\"}}"));
    }

    #[test]
    fn complaints_stand_where_their_words_lead() {
        let output = "\
Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):

'receivers' error reading configuration for \"otlp\": decoding failed due to the following error(s):

'protocols.grpc' decoding failed due to the following error(s):

'configgrpc.ServerConfig' has invalid keys: foo
'exporters' error reading configuration for \"otlphttp\": decoding failed due to the following error(s):

'timeout' time: invalid duration
failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):

'exporters' error reading configuration for \"otlphttp\": decoding failed due to the following error(s):

'timeout' time: invalid duration
service::extensions: references extension \"nope\" which is not configured
'exporters' unknown type: \"otlphttp\" for id: \"otlphttp\" (valid values: [debug])
";
        let found = judged(&[complaints(output)], &root(CONFIG));
        let told: Vec<_> = found
            .iter()
            .map(|p| (p.at.line, p.at.column, p.message.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    3,
                    37,
                    "the collector says of receivers::otlp::protocols.grpc: 'configgrpc.ServerConfig' has invalid keys: foo"
                ),
                (
                    5,
                    3,
                    "the collector says: 'exporters' unknown type: \"otlphttp\" for id: \"otlphttp\" (valid values: [debug])"
                ),
                (
                    6,
                    5,
                    "the collector says of exporters::otlphttp: 'timeout' time: invalid duration"
                ),
                (
                    8,
                    3,
                    "the collector says of service::extensions: references extension \"nope\" which is not configured"
                ),
            ]
        );
    }

    #[test]
    fn only_what_can_not_hang_on_a_stand_in_is_an_error() {
        let open = root(
            "exporters: {debug: {v: \"${env:V}\"}}\nreceivers:\n  otlp: {a: 1}\n  nop: {b: \"${env:B}\"}\n",
        );
        let run = |texts: &[&str]| complaints(&texts.join("\n"));
        let (always, once, known) = (
            "exporters::debug: bad",
            "receivers::nop: expected type 'bool'",
            "receivers::otlp: never",
        );
        let said = |runs: &[Vec<Complaint>]| {
            let found = judged(runs, &open);
            assert_eq!(found.len(), 1, "{found:?}");
            (found[0].is_error(), found[0].message.clone())
        };
        let error = (true, "the collector says of exporters::debug: bad".to_owned());
        assert_eq!(said(&[run(&[always, once]), run(&[always])]), error);
        // With other values it may not even have come to this: but there is no value in it.
        let error = (true, "the collector says of receivers::otlp: never".to_owned());
        assert_eq!(said(&[run(&[known]), run(&[once])]), error);
        let name = "exporters::debug: 'Config' has invalid keys: v";
        assert!(said(&[run(&[name]), run(&[once])]).0);
        let (is_error, words) = said(&[run(&[once]), run(&[always])]);
        assert!(
            !is_error && words.contains("variables") && words.ends_with("'bool'"),
            "{words}"
        );
    }

    #[test]
    fn any_output_is_bounded_and_of_one_line_each() {
        let output = format!("{}\n\u{1b}[31mred\n", "x".repeat(10_000)) + &"line\n".repeat(50);
        let found = complaints(&output);
        assert_eq!(found.len(), 3);
        assert!(
            found
                .iter()
                .all(|c| c.text.chars().count() <= LONGEST && !c.text.contains('\u{1b}'))
        );
    }
}
