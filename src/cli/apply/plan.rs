//! What has to be done so that a server has what a folder says. Pure: the same two give the same steps, and none when the
//! server has it already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::shown;
use super::super::tree::{AgentEntry, ConfigFile, GroupFile, Present, PresentGroup, Tree, lines};
use crate::app::agents::AgentAct;
use crate::app::configs::{ConfigEdit, NewConfig, NewRevision};
use crate::fleet::config::{ConfigMap, Diff};
use crate::fleet::selector::{Known, Selector};

/// One thing to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) change: Change,
    /// `config`, `group` or `agent`.
    pub(super) what: &'static str,
    pub(super) name: String,
    /// Where the folder says so; `None` for what is deleted.
    pub(super) file: Option<PathBuf>,
    /// What differs, line by line.
    pub(super) diff: Vec<String>,
    /// What a person is asked about before, as it takes something away.
    #[serde(skip)]
    pub(super) asks: Option<String>,
    #[serde(skip)]
    pub(super) act: Act,
}

/// What is done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Make,
    Edit,
    Delete,
}

/// What is sent for it.
#[derive(Clone, Debug)]
pub(super) enum Act {
    MakeConfig(NewConfig),
    /// A revision, a description, or both.
    ChangeConfig(Option<NewRevision>, Option<ConfigEdit>),
    MakeGroup(Map<String, Value>),
    /// With the revision that was looked at.
    ChangeGroup(Map<String, Value>, u64),
    /// To this agent, one after the other.
    Agent(String, Vec<AgentAct>),
    DeleteGroup(u64),
    DeleteConfig,
}

/// What is to be done, and what isn't.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// What the server has beyond the folder, and keeps.
    pub(super) kept: Vec<String>,
    /// What the folder says of what the server doesn't have.
    pub(super) passed_over: Vec<String>,
}

/// How it is done.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Delete what the folder doesn't have, of the parts that it has.
    pub(super) prune: bool,
    /// The message of new revisions.
    pub(super) message: String,
    /// A content that tells agents to run nothing is meant.
    pub(super) allow_blank: bool,
}

/// Compares.
///
/// # Errors
/// What the folder says and can't be, with file and line.
pub(super) fn plan(present: &Present, tree: &Tree, wish: &Wish) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    for (name, file) in tree.configs.iter().flatten() {
        plan.steps.extend(config(name, file, present, wish)?);
    }
    for (name, file) in tree.groups.iter().flatten() {
        check(file, present, tree)?;
        plan.steps.extend(group(name, file, present.groups.get(name))?);
    }
    for (id, entry) in tree.agents.iter().flatten() {
        agent(id, entry, present, wish, &mut plan);
    }
    if let Some(groups) = &tree.groups {
        for (name, group) in present
            .groups
            .iter()
            .filter(|(name, _)| !groups.contains_key(*name))
        {
            let told = match group.members {
                0 => "no agent is in it".to_owned(),
                1 => "its agent falls to another group, or to none, and keeps what it runs".to_owned(),
                n => format!("its {n} agents fall to other groups, or to none, and keep what they run"),
            };
            plan.beyond(wish, "group", name, told, Act::DeleteGroup(group.revision));
        }
    }
    if let Some(configs) = &tree.configs {
        for (name, config) in present
            .configs
            .iter()
            .filter(|(name, _)| !configs.contains_key(*name))
        {
            let told = format!("with all its revisions: {}", config.latest);
            plan.beyond(wish, "config", name, told, Act::DeleteConfig);
        }
    }
    Ok(plan)
}

impl Plan {
    /// What the server has beyond the folder.
    fn beyond(&mut self, wish: &Wish, what: &'static str, name: &str, told: String, act: Act) {
        if wish.prune {
            self.steps.push(Step {
                change: Change::Delete,
                what,
                name: name.to_owned(),
                file: None,
                diff: vec![told],
                asks: Some(format!("delete {what} {name}")),
                act,
            });
        } else {
            self.kept.push(format!("{what} {name}"));
        }
    }
}

fn config(name: &str, file: &ConfigFile, present: &Present, wish: &Wish) -> anyhow::Result<Option<Step>> {
    let known = present.configs.get(name);
    let before = known.map_or_else(ConfigMap::default, |config| config.content.clone().into_map());
    let after = file.content.clone().into_map();
    let description = file
        .description
        .as_ref()
        .filter(|text| known.is_none_or(|known| known.description != **text));
    let differs = known.is_none() || before != after;
    if !differs && description.is_none() {
        return Ok(None);
    }
    let path = file.path.display();
    if differs && file.content.is_blank() && !wish.allow_blank {
        anyhow::bail!(
            "{path}:1: it is empty, which stops the agents that get it; --allow-blank says that this is meant"
        );
    }
    if known.is_some_and(|known| known.content.kind() != file.content.kind()) {
        anyhow::bail!(
            "{path}:1: the config {name} is of the other kind; a config keeps its kind, a document or files"
        );
    }
    let mut diff = Vec::new();
    if let Some(text) = description {
        let old = known
            .map(|known| known.description.as_str())
            .filter(|old| !old.is_empty());
        diff.extend(old.map(|old| format!("-description = {old:?}")));
        diff.push(format!("+description = {text:?}"));
    }
    if differs {
        let text = shown::diff(&Diff::between(&before, &after));
        diff.extend(text.lines().map(str::to_owned));
    }
    let act = match known {
        None => Act::MakeConfig(NewConfig {
            name: name.to_owned(),
            description: file.description.clone().unwrap_or_default(),
            content: file.content.clone(),
            message: wish.message.clone(),
            allow_blank: wish.allow_blank,
        }),
        Some(known) => {
            let revision = differs.then(|| NewRevision {
                base: known.latest,
                content: file.content.clone(),
                message: wish.message.clone(),
                allow_blank: wish.allow_blank,
            });
            let edit = description.map(|text| ConfigEdit {
                description: Some(text.clone()),
            });
            Act::ChangeConfig(revision, edit)
        }
    };
    Ok(Some(step(known.is_none(), "config", name, &file.path, diff, act)))
}

fn step(is_new: bool, what: &'static str, name: &str, path: &Path, diff: Vec<String>, act: Act) -> Step {
    Step {
        change: if is_new { Change::Make } else { Change::Edit },
        what,
        name: name.to_owned(),
        file: Some(path.to_owned()),
        diff,
        asks: None,
        act,
    }
}

/// Refuses selectors that are none, and layers that nobody has.
fn check(file: &GroupFile, present: &Present, tree: &Tree) -> anyhow::Result<()> {
    let texts = |key: &str| -> Vec<&str> {
        let list = file.fields.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let wrong = |key: &str, at: usize, why: String| {
        let line = file.lines.get(&format!("{key}[{at}]")).copied().unwrap_or(1);
        Err(anyhow::anyhow!("{}:{line}: {why}", file.path.display()))
    };
    for (at, text) in texts("selectors").into_iter().enumerate() {
        if let Err(error) = Selector::parse(text) {
            return wrong("selectors", at, error.to_string());
        }
    }
    for (at, layer) in texts("layers").into_iter().enumerate() {
        let in_folder = tree
            .configs
            .as_ref()
            .is_some_and(|configs| configs.contains_key(layer));
        if !in_folder && !present.configs.contains_key(layer) {
            return wrong(
                "layers",
                at,
                format!("there is no config {layer:?}, here or on the server"),
            );
        }
    }
    Ok(())
}

fn group(name: &str, file: &GroupFile, known: Option<&PresentGroup>) -> anyhow::Result<Option<Step>> {
    let Some(known) = known else {
        let diff = added('+', &file.fields)?;
        return Ok(Some(step(
            true,
            "group",
            name,
            &file.path,
            diff,
            Act::MakeGroup(file.fields.clone()),
        )));
    };
    let (mut before, mut after) = (Map::new(), Map::new());
    for (key, value) in &file.fields {
        let old = known.fields.get(key);
        if old.is_none_or(|old| old != value && !(key == "selectors" && means_the_same(old, value))) {
            before.extend(old.map(|old| (key.clone(), old.clone())));
            after.insert(key.clone(), value.clone());
        }
    }
    if after.is_empty() {
        return Ok(None);
    }
    let mut diff = added('-', &before)?;
    diff.extend(added('+', &after)?);
    let loses_its_last = after
        .get("layers")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    let withdraws = loses_its_last && known.in_force;
    if withdraws {
        diff.push(format!(
            "withdraws what is published to it; hosts keep what they run: {}",
            known.members
        ));
    }
    let act = Act::ChangeGroup(after, known.revision);
    Ok(Some(Step {
        asks: withdraws.then(|| format!("withdraw what is published to group {name}")),
        ..step(false, "group", name, &file.path, diff, act)
    }))
}

fn added(sign: char, fields: &Map<String, Value>) -> anyhow::Result<Vec<String>> {
    Ok(lines(fields)?
        .lines()
        .map(|line| format!("{sign}{line}"))
        .collect())
}

/// Whether lists of selectors are the same but for how they are written: the server keeps the canonical text, and says of
/// a bare key whether it is a label or a fact.
fn means_the_same(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_array(), new.as_array()) else {
        return false;
    };
    let same = |(old, new): (&Value, &Value)| {
        let (old, new) = (old.as_str().unwrap_or_default(), new.as_str().unwrap_or_default());
        let resolved = [Known::Label, Known::Fact].into_iter().any(|known| {
            let parsed = Selector::parse(new).ok();
            parsed
                .and_then(|selector| selector.resolve(|_| known).ok())
                .is_some_and(|new| new.to_string() == old)
        });
        old == new || resolved
    };
    old.len() == new.len() && old.iter().zip(new).all(same)
}

fn agent(id: &str, entry: &AgentEntry, present: &Present, wish: &Wish, plan: &mut Plan) {
    let Some(known) = present.agents.get(id) else {
        plan.passed_over.push(format!(
            "agents.toml:{}: there is no agent {id} on this server",
            entry.line
        ));
        return;
    };
    let (mut acts, mut diff) = (Vec::new(), Vec::new());
    if let Some(name) = &entry.name {
        let given = known.given.clone().unwrap_or_default();
        if *name != given && (name.is_empty() || *name != known.title) {
            diff.push(format!("-name = {:?}", known.title));
            diff.push(format!("+name = {name:?}"));
            acts.push(AgentAct::Rename { name: name.clone() });
        }
    }
    let set: BTreeMap<_, _> = entry
        .labels
        .iter()
        .filter(|(key, value)| known.labels.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let beyond: Vec<_> = known
        .labels
        .keys()
        .filter(|key| !entry.labels.contains_key(*key))
        .cloned()
        .collect();
    let remove = if wish.prune {
        beyond
    } else {
        plan.kept.extend(
            beyond
                .iter()
                .map(|key| format!("label {key} of agent {}", known.title)),
        );
        Vec::new()
    };
    for key in set.keys().chain(&remove) {
        diff.extend(known.labels.get(key).map(|old| format!("-label {key} = {old:?}")));
        diff.extend(set.get(key).map(|new| format!("+label {key} = {new:?}")));
    }
    let asks = (!remove.is_empty())
        .then(|| format!("remove labels of agent {}: {}", known.title, remove.join(", ")));
    if !set.is_empty() || !remove.is_empty() {
        acts.push(AgentAct::Label { set, remove });
    }
    if !acts.is_empty() {
        let act = Act::Agent(id.to_owned(), acts);
        plan.steps.push(Step {
            asks,
            ..step(false, "agent", &known.title, Path::new("agents.toml"), diff, act)
        });
    }
}

#[cfg(test)]
mod tests;
