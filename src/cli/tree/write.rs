//! The files that say what a server has: the same for the same state, byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{FORMAT, MARK, Present, PresentAgent, PresentConfig};
use crate::cli::client::segment;
use crate::fleet::config::{ConfigFile, Content};
use crate::observability::plain::plain;

/// The files by their paths within the folder.
pub(in crate::cli) fn files(present: &Present) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mark = format!("# Written by `muster export`, read by `muster apply`.\nformat = {FORMAT}\n");
    files.insert(PathBuf::from(MARK), mark.into_bytes());
    for (name, config) in &present.configs {
        of_config(name, config, &mut files);
    }
    for (name, group) in &present.groups {
        files.insert(
            format!("groups/{name}.toml").into(),
            lines(&group.fields)?.into_bytes(),
        );
    }
    files.insert("agents.toml".into(), agents(&present.agents)?.into_bytes());
    Ok(files)
}

fn of_config(name: &str, config: &PresentConfig, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let mut about = String::new();
    if !config.description.is_empty() {
        let _ = writeln!(about, "description = {}", toml_text(&config.description));
    }
    match &config.content {
        Content::Yaml(yaml) => {
            files.insert(format!("configs/{name}.yaml").into(), yaml.clone().into_bytes());
        }
        Content::Files(entries) => {
            if entries.is_empty() {
                about.push_str("files = []\n");
            }
            for (entry, file) in entries {
                let path = format!("{name}/{}", file_name(entry));
                about.push_str(&listed(entry, &path, file));
                files.insert(format!("configs/{path}").into(), file.body.clone());
            }
        }
    }
    if !about.is_empty() {
        let about = about.trim_start().as_bytes().to_vec();
        files.insert(format!("configs/{name}.toml").into(), about);
    }
}

/// An entry of a config of files, as its table.
fn listed(entry: &str, path: &str, file: &ConfigFile) -> String {
    let mut table = format!(
        "\n[[files]]\nname = {}\npath = {}\n",
        toml_text(entry),
        toml_text(path)
    );
    for (key, value) in [("content_type", &file.content_type), ("role", &file.role)] {
        if !value.is_empty() {
            let _ = writeln!(table, "{key} = {}", toml_text(value));
        }
    }
    table
}

/// A name for the file of an entry, whose own name may be anything. No two entries get the same.
fn file_name(entry: &str) -> String {
    match entry {
        // What stands for these is never the name of another: `@` and a dot in front are escaped there.
        "" => "@".to_owned(),
        _ if entry.starts_with('.') => format!("%2E{}", segment(entry.strip_prefix('.').unwrap_or_default())),
        _ => segment(entry),
    }
}

fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Fields as `key = value`, a line each. What has no value isn't written.
pub(in crate::cli) fn lines(fields: &Map<String, Value>) -> anyhow::Result<String> {
    let mut text = String::new();
    for (key, value) in fields {
        if !value.is_null() {
            // In one line each: a table with a heading would swallow the keys behind it.
            let _ = writeln!(text, "{key} = {}", toml::Value::try_from(stated(value))?);
        }
    }
    Ok(text)
}

/// A value without what has no value, which TOML can't say.
fn stated(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(stated).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(key, value)| (key.clone(), stated(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Names and labels that operators gave. Agents without either aren't listed.
fn agents(agents: &BTreeMap<String, PresentAgent>) -> anyhow::Result<String> {
    let mut text =
        "# Names and labels that operators gave to agents. An agent is known by its id.\n".to_owned();
    for (id, agent) in agents {
        if agent.given.is_none() && agent.labels.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n# {}\n[{id}]", plain(&agent.title));
        if let Some(name) = &agent.given {
            let _ = writeln!(text, "name = {}", toml_text(name));
        }
        if !agent.labels.is_empty() {
            let _ = writeln!(text, "labels = {}", toml::Value::try_from(&agent.labels)?);
        }
    }
    Ok(text)
}
