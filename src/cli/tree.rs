//! A fleet as a folder of files that people can read, edit and keep under version control:
//!
//! ```text
//! muster.toml           format = 1
//! configs/edge.yaml     the newest content of a collector config
//! configs/edge.toml     what it is for, where that is said; the entries of a config of files
//! configs/edge/…        the bodies of those entries
//! groups/edge.toml      what a group is: selectors, priority, layers…
//! agents.toml           names and labels that operators gave to agents
//! ```
//!
//! What isn't stated stays as it is on the server. Fields of groups are those of the API's [`GroupEdit`], whatever these
//! are. Secrets are never in it: configs name them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::schema_for;
use serde_json::{Map, Value};

use crate::app::groups::GroupEdit;
use crate::fleet::config::Content;

mod document;
mod present;
mod read;
mod write;

pub(super) use present::{Present, PresentAgent, PresentConfig, PresentGroup};
pub(super) use read::read;
pub(super) use write::{files, lines};

/// The file at the top, which says what the folder is.
pub(super) const MARK: &str = "muster.toml";
/// What stands in it.
pub(super) const FORMAT: i64 = 1;

/// What a folder says. A part that it lacks says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) configs: Option<BTreeMap<String, ConfigFile>>,
    pub(super) groups: Option<BTreeMap<String, GroupFile>>,
    pub(super) agents: Option<BTreeMap<String, AgentEntry>>,
}

/// A config in a folder.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    /// Where it stands, relative to the folder.
    pub(super) path: PathBuf,
    /// What it is for; `None` = not stated.
    pub(super) description: Option<String>,
    pub(super) content: Content,
}

/// A group in a folder.
#[derive(Clone, Debug)]
pub(super) struct GroupFile {
    /// Where it stands, relative to the folder.
    pub(super) path: PathBuf,
    /// Fields of [`GroupEdit`].
    pub(super) fields: Map<String, Value>,
    /// The line of each.
    pub(super) lines: BTreeMap<String, usize>,
}

/// An agent in a folder.
#[derive(Clone, Debug)]
pub(super) struct AgentEntry {
    /// The line of `agents.toml`.
    pub(super) line: usize,
    /// What it is called; empty = as it calls itself; `None` = not stated.
    pub(super) name: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// The fields that a group has, in the order of their names.
pub(super) fn group_fields() -> Vec<String> {
    let schema = schema_for!(GroupEdit);
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut names: Vec<_> = properties.into_iter().flat_map(Map::keys).cloned().collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
