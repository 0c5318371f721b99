//! What an agent runs, made into a configuration of ours: without what its supervisor adds, and with a variable for each
//! secret that it hides.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drift::{is_added_extension, is_opamp, never_reported};
use super::problem::Problem;
use super::secrecy::{HIDDEN, REDACTED};
use super::yaml::{self, Entry, Limits, Node, Value};
use crate::fleet::attributes::Facts;
use crate::fleet::name::Name;

/// The port that collectors' health checks have unless somebody gives them another.
const USUAL_PORT: &str = ":13133";

/// What adopting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The document.
    pub yaml: String,
    /// What was left out: supervisors add it again.
    pub dropped: Vec<String>,
    /// The secrets that the report hides.
    pub secrets: Vec<Placeholder>,
    /// Settings that collectors don't report and that nobody knows: they are to be added.
    pub unreported: Vec<String>,
}

/// A variable that stands for a secret which nobody told us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placeholder {
    /// The name of the secret.
    pub secret: Name,
    /// Where it stands, such as `exporters.otlphttp.headers.authorization`.
    pub path: String,
}

impl Placeholder {
    /// The variable as it stands in the document.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("${{muster:secret.{}}}", self.secret)
    }
}

/// Makes a document of ours of one that an agent reports. `facts` are what the agent says of itself: a supervisor repeats
/// them in the collector's own telemetry. `known` is the document of ours that the agent acknowledged last: what collectors
/// never report is taken from it. A document in which nothing changes stays as it is, to the byte.
///
/// # Errors
/// The problems that keep it from being read.
pub fn adopt(
    yaml: &str,
    facts: &Facts,
    known: Option<&str>,
    limits: &Limits,
) -> Result<Adopted, Vec<Problem>> {
    let mut tree = yaml::parse(yaml.as_bytes(), limits)?;
    let known = known.and_then(|known| yaml::parse(known.as_bytes(), limits).ok());
    let mut dropped = Vec::new();
    let mut silent = Silent::default();
    if let Some(document) = map_of(&mut tree) {
        drop_extensions(document, &mut dropped);
        drop_telemetry(document, facts, &mut dropped);
        silent.complete(document, known.as_ref());
    }
    let mut secrets = Secrets::default();
    secrets.fill(&mut Vec::new(), &mut tree);
    let unchanged = dropped.is_empty() && secrets.found.is_empty() && !silent.completed;
    Ok(Adopted {
        yaml: if unchanged {
            yaml.to_owned()
        } else {
            tree.emit().text
        },
        dropped,
        secrets: secrets.found,
        unreported: silent.unknown,
    })
}

/// What collectors run and don't report.
#[derive(Default)]
struct Silent {
    /// Whether some of it was known, and put in.
    completed: bool,
    /// Where the rest would stand.
    unknown: Vec<String>,
}

impl Silent {
    fn complete(&mut self, document: &mut [Entry], known: Option<&Node>) {
        for section in document {
            let Some(components) = map_of(&mut section.value) else {
                continue;
            };
            for component in components {
                for key in never_reported(&section.key, &component.key) {
                    self.complete_one(&section.key, component, key, known);
                }
            }
        }
    }

    fn complete_one(&mut self, section: &str, component: &mut Entry, key: &str, known: Option<&Node>) {
        if component.value.entry(key).is_some() {
            return;
        }
        let known = known
            .and_then(|document| {
                document
                    .entry(section)?
                    .value
                    .entry(&component.key)?
                    .value
                    .entry(key)
            })
            .cloned();
        match (known, map_of(&mut component.value)) {
            (Some(entry), Some(settings)) => {
                settings.push(entry);
                self.completed = true;
            }
            _ => self.unknown.push(format!("{section}.{}.{key}", component.key)),
        }
    }
}

fn map_of(node: &mut Node) -> Option<&mut Vec<Entry>> {
    if let Value::Map(entries) = &mut node.value {
        Some(entries)
    } else {
        None
    }
}

fn inside<'a>(entries: &'a mut [Entry], key: &str) -> Option<&'a mut Node> {
    let entry = entries.iter_mut().find(|entry| entry.key == key);
    entry.map(|entry| &mut entry.value)
}

/// Removes an entry that was emptied.
fn remove_empty(entries: &mut Vec<Entry>, key: &str) {
    entries.retain(|entry| {
        let empty = match &entry.value.value {
            Value::Map(entries) => entries.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => false,
        };
        entry.key != key || !empty
    });
}

fn drop_extensions(document: &mut Vec<Entry>, dropped: &mut Vec<String>) {
    let mut gone = BTreeSet::new();
    if let Some(extensions) = inside(document, "extensions").and_then(map_of) {
        extensions.retain(|entry| {
            let is_added = is_opamp(&entry.key) || is_supervisors_health_check(entry);
            if is_added {
                dropped.push(format!("extensions.{}", entry.key));
                gone.insert(entry.key.clone());
            }
            !is_added
        });
    }
    if gone.is_empty() {
        return;
    }
    remove_empty(document, "extensions");
    if let Some(service) = inside(document, "service").and_then(map_of) {
        if let Some(Value::List(started)) = inside(service, "extensions").map(|node| &mut node.value) {
            started.retain(|item| item.text().is_none_or(|id| !gone.contains(id)));
        }
        remove_empty(service, "extensions");
    }
}

/// Whether an extension is a health check by which a supervisor watches its collector: on the host itself, at a port that
/// the supervisor chose.
fn is_supervisors_health_check(entry: &Entry) -> bool {
    if !is_added_extension(&entry.key) {
        return false;
    }
    let settings = entry.value.entries().unwrap_or_default();
    let endpoint = entry.value.entry("endpoint").and_then(|entry| entry.value.text());
    settings.len() == 1
        && endpoint.is_some_and(|endpoint| {
            let local = ["localhost:", "127.0.0.1:", "[::1]:"];
            local.iter().any(|host| endpoint.starts_with(host)) && !endpoint.ends_with(USUAL_PORT)
        })
}

/// Leaves out what a supervisor tells its collector about itself.
fn drop_telemetry(document: &mut Vec<Entry>, facts: &Facts, dropped: &mut Vec<String>) {
    let Some(service) = inside(document, "service").and_then(map_of) else {
        return;
    };
    let Some(telemetry) = inside(service, "telemetry").and_then(map_of) else {
        return;
    };
    let before = dropped.len();
    if let Some(resource) = inside(telemetry, "resource").and_then(map_of) {
        resource.retain_mut(|entry| {
            if let ("attributes", Value::List(items)) = (entry.key.as_str(), &mut entry.value.value) {
                items.retain(|item| !is_attribute_of_its_own(item, facts, dropped));
                return !items.is_empty();
            }
            !is_of_its_own(&entry.key, &entry.value, facts, dropped)
        });
        remove_empty(telemetry, "resource");
    }
    // It comes with the resource, and never without a supervisor.
    if dropped.len() > before
        && let Some(logs) = inside(telemetry, "logs").and_then(map_of)
    {
        logs.retain(|entry| {
            let is_added = entry.key == "encoding" && entry.value.text() == Some("json");
            if is_added {
                dropped.push("service.telemetry.logs.encoding".to_owned());
            }
            !is_added
        });
        remove_empty(telemetry, "logs");
    }
    if dropped.len() > before {
        remove_empty(service, "telemetry");
        remove_empty(document, "service");
    }
}

/// As newer supervisors write it: an item of a list, with its name and value.
fn is_attribute_of_its_own(item: &Node, facts: &Facts, dropped: &mut Vec<String>) -> bool {
    let (name, value) = (item.entry("name"), item.entry("value"));
    let (Some(name), Some(value)) = (name.and_then(|entry| entry.value.text()), value) else {
        return false;
    };
    is_of_its_own(name, &value.value, facts, dropped)
}

/// Whether a supervisor told this to its collector: the uid, and what the agent reports of itself.
fn is_of_its_own(key: &str, value: &Node, facts: &Facts, dropped: &mut Vec<String>) -> bool {
    let known = facts.get(key).map(String::as_str);
    let is_added = key == "service.instance.id" || (known.is_some() && known == scalar(value).as_deref());
    if is_added {
        dropped.push(format!("service.telemetry.resource.{key}"));
    }
    is_added
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The secrets of a document as they are found.
#[derive(Default)]
struct Secrets {
    found: Vec<Placeholder>,
    names: BTreeSet<Name>,
}

impl Secrets {
    fn fill(&mut self, path: &mut Vec<String>, node: &mut Node) {
        match &mut node.value {
            Value::Map(entries) => {
                for entry in entries {
                    path.push(entry.key.clone());
                    self.fill(path, &mut entry.value);
                    path.pop();
                }
            }
            Value::List(items) => {
                path.push("[]".to_owned());
                for item in items {
                    self.fill(path, item);
                }
                path.pop();
            }
            Value::Text(text) => {
                let marks = [REDACTED, HIDDEN];
                // Three stars may also be a text of somebody's own: only a whole value of them is a mark.
                let Some(mark) = marks
                    .into_iter()
                    .find(|mark| text == mark || (*mark == REDACTED && text.contains(mark)))
                else {
                    return;
                };
                let placeholder = Placeholder {
                    secret: self.name(path),
                    path: path.join(".").replace(".[]", "[]"),
                };
                *text = text.replace(mark, &placeholder.variable());
                self.found.push(placeholder);
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
        }
    }

    /// A name for the secret at a place: by the component and the last words of its place.
    fn name(&mut self, path: &[String]) -> Name {
        let words: Vec<&str> = path
            .iter()
            .map(String::as_str)
            .filter(|word| *word != "[]")
            .collect();
        // What the kind of the component is called says nothing: `exporters`, `receivers`.
        let words = words.get(1..).filter(|rest| !rest.is_empty()).unwrap_or(&words);
        let plain = Name::slug(&words.join("-").replace('.', "-"));
        let stem: String = plain.as_str().chars().take(58).collect();
        let mut name = plain;
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = Name::slug(&format!("{stem}-{number}"));
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(yaml: &str) -> Adopted {
        let facts: Facts = [("host.name", "web-1"), ("service.name", "otelcol")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        adopt(yaml, &facts, None, &Limits::default()).unwrap()
    }

    /// What supervisors tell of themselves, as older and as newer releases write it.
    const RESOURCES: [&str; 2] = [
        "{service.instance.id: x, host.name: web-1, service.name: otelcol}",
        "{attributes: [{name: service.instance.id, value: x}, {name: host.name, value: web-1}, {name: service.name, \
         value: otelcol}]}",
    ];

    #[test]
    fn what_supervisors_add_is_left_out() {
        for resource in RESOURCES {
            left_out(resource);
        }
    }

    fn left_out(resource: &str) {
        let found = adopted(&format!(
            "\
receivers: {{nop: }}
extensions:
  opamp: {{server: {{ws: {{endpoint: 'ws://127.0.0.1:5000'}}}}}}
  health_check: {{endpoint: 'localhost:43211'}}
service:
  extensions: [opamp, health_check]
  telemetry:
    logs: {{encoding: json}}
    resource: {resource}
  pipelines: {{traces: {{receivers: [nop]}}}}
"
        ));
        let expected =
            "receivers:\n  nop:\nservice:\n  pipelines:\n    traces:\n      receivers:\n        - nop\n";
        assert_eq!(found.yaml, expected);
        assert_eq!(
            found.dropped,
            [
                "extensions.opamp",
                "extensions.health_check",
                "service.telemetry.resource.service.instance.id",
                "service.telemetry.resource.host.name",
                "service.telemetry.resource.service.name",
                "service.telemetry.logs.encoding",
            ]
        );
    }

    #[test]
    fn what_is_the_hosts_own_stays_to_the_byte() {
        for own in [
            "extensions: {health_check: {endpoint: '0.0.0.0:13133'}} # mine\nservice: {extensions: [health_check]}\n",
            "extensions: {health_check: {endpoint: 'localhost:13133'}}\n",
            "extensions: {health_check: }\n",
            "service: {telemetry: {logs: {encoding: json}, resource: {host.name: other}}}\n",
            "service: {telemetry: {resource: {attributes: [{name: host.name, value: other}, {name: x}]}}}\n",
            "",
            "[1, 2]",
        ] {
            let found = adopted(own);
            assert_eq!((found.yaml.as_str(), found.dropped.len()), (own, 0));
        }
    }

    #[test]
    fn each_hidden_secret_becomes_a_variable_of_its_own() {
        let found = adopted(
            "\
exporters:
  otlphttp/a: {headers: {authorization: 'Bearer [REDACTED]'}, tokens: ['[REDACTED]', '[REDACTED]']}
  otlphttp/b: {headers: {authorization: '***', stars: 'a *** b'}}
",
        );
        let names: Vec<_> = found
            .secrets
            .iter()
            .map(|found| (found.secret.as_str(), found.path.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                (
                    "otlphttp-a-headers-authorization",
                    "exporters.otlphttp/a.headers.authorization"
                ),
                ("otlphttp-a-tokens", "exporters.otlphttp/a.tokens[]"),
                ("otlphttp-a-tokens-2", "exporters.otlphttp/a.tokens[]"),
                (
                    "otlphttp-b-headers-authorization",
                    "exporters.otlphttp/b.headers.authorization"
                ),
            ]
        );
        assert!(
            found
                .yaml
                .contains("authorization: Bearer ${muster:secret.otlphttp-a-headers-authorization}\n"),
            "{}",
            found.yaml
        );
        assert!(!found.yaml.contains(REDACTED) && found.yaml.contains("a *** b"));
    }

    #[test]
    fn what_can_not_be_read_is_refused_with_its_place() {
        assert!(adopt("a: [", &Facts::new(), None, &Limits::default()).is_err());
    }

    #[test]
    fn what_collectors_never_report_is_taken_from_what_they_acknowledged_or_named() {
        let reported = "receivers:\n  hostmetrics:\n    timeout: 0s\n  hostmetrics/slow:\n    timeout: 1s\n";
        let known = "receivers:\n  hostmetrics:\n    scrapers:\n      cpu:\n";
        let adopted = adopt(reported, &Facts::new(), Some(known), &Limits::default()).unwrap();
        let tree = yaml::parse(adopted.yaml.as_bytes(), &Limits::default()).unwrap();
        let receivers = &tree.entry("receivers").unwrap().value;
        let scrapers = |id: &str| receivers.entry(id).unwrap().value.entry("scrapers").is_some();
        assert!(scrapers("hostmetrics") && !scrapers("hostmetrics/slow"));
        assert_eq!(adopted.unreported, ["receivers.hostmetrics/slow.scrapers"]);
    }
}
