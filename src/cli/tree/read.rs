//! Reading a folder. Everything that is wrong in it is told with its file and line, before anything is sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::document::Document;
use super::{AgentEntry, ConfigFile, FORMAT, GroupFile, MARK, Tree, group_fields};
use crate::app::configs::too_large;
use crate::app::groups::GroupEdit;
use crate::fleet::config::{self, Content};
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;

/// What a folder says.
///
/// # Errors
/// The first thing that is wrong, with file and line.
pub(in crate::cli) fn read(folder: &Path) -> anyhow::Result<Tree> {
    let found = fs::metadata(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    anyhow::ensure!(found.is_dir(), "{} is no folder", folder.display());
    mark(folder)?;
    let tree = Tree {
        configs: part(folder, "configs")?
            .map(|files| configs(folder, files))
            .transpose()?,
        groups: part(folder, "groups")?
            .map(|files| groups(folder, files))
            .transpose()?,
        agents: agents(folder)?,
    };
    if tree.configs.is_none() && tree.groups.is_none() && tree.agents.is_none() {
        anyhow::bail!(
            "{} has neither configs/ nor groups/ nor agents.toml; `muster export` makes such a folder",
            folder.display()
        );
    }
    Ok(tree)
}

/// Refuses a folder of another format.
fn mark(folder: &Path) -> anyhow::Result<()> {
    let path = Path::new(MARK);
    if !folder.join(path).exists() {
        return Ok(());
    }
    let document = Document::parse(path, &text(folder, path)?)?;
    document.known(&document.fields, "", &["format"])?;
    match document.fields.get("format").and_then(Value::as_i64) {
        Some(FORMAT) => Ok(()),
        _ => Err(document.wrong("format", format!("this version reads format {FORMAT}"))),
    }
}

/// The files of a part, relative to the folder, in the order of their names; `None` when there is no such part. Hidden
/// files and notes (`*.md`) are left alone.
fn part(folder: &Path, name: &str) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let path = folder.join(name);
    if !path.is_dir() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
        let file = entry?.file_name();
        let shown = file.to_string_lossy();
        if !shown.starts_with('.') && !shown.ends_with(".md") {
            files.push(Path::new(name).join(&file));
        }
    }
    files.sort();
    Ok(Some(files))
}

fn bytes(folder: &Path, path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(folder.join(path)).with_context(|| format!("cannot read {}", path.display()))
}

fn text(folder: &Path, path: &Path) -> anyhow::Result<String> {
    String::from_utf8(bytes(folder, path)?).map_err(|error| {
        let at = config::Position::of(error.as_bytes(), error.utf8_error().valid_up_to());
        anyhow::anyhow!(
            "{}:{}:{}: this is not UTF-8 text",
            path.display(),
            at.line,
            at.column
        )
    })
}

/// The name of the thing in a file, which is the file's without its ending.
fn named(path: &Path) -> anyhow::Result<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = Name::new(&stem).with_context(|| format!("{}: the file's name is no name", path.display()))?;
    Ok(name.to_string())
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

fn configs(folder: &Path, files: Vec<PathBuf>) -> anyhow::Result<BTreeMap<String, ConfigFile>> {
    let mut configs = BTreeMap::new();
    let (documents, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| has_ending(path, "yaml"));
    for path in documents {
        let config = ConfigFile {
            content: Content::Yaml(text(folder, &path)?),
            description: None,
            path: path.clone(),
        };
        configs.insert(named(&path)?, config);
    }
    for path in others {
        if folder.join(&path).is_dir() {
            continue;
        }
        if !has_ending(&path, "toml") {
            anyhow::bail!(
                "{}: a config is a file NAME.yaml, with a NAME.toml beside it where there is more to say",
                path.display()
            );
        }
        let (name, document) = (named(&path)?, Document::parse(&path, &text(folder, &path)?)?);
        document.known(&document.fields, "", &["description", "files"])?;
        let description = document.text(&document.fields, "", "description")?;
        match (configs.get_mut(&name), document.fields.get("files")) {
            (Some(config), None) => config.description = description,
            (None, Some(files)) => {
                let content = entries(folder, &document, files)?;
                let config = ConfigFile {
                    path,
                    description,
                    content,
                };
                configs.insert(name, config);
            }
            (Some(_), Some(_)) => {
                let why = format!("{name}.yaml stands beside it: a config has a document or files, not both");
                return Err(document.wrong("files", why));
            }
            (None, None) => return Err(document.wrong("", format!("there is no {name}.yaml beside it"))),
        }
    }
    for config in configs.values() {
        if let Some(why) = too_large(&config.content) {
            anyhow::bail!("{}: {why}", config.path.display());
        }
    }
    Ok(configs)
}

/// The entries of a config of files.
fn entries(folder: &Path, document: &Document, files: &Value) -> anyhow::Result<Content> {
    let wrong = || document.wrong("files", "files is a list of tables: [[files]] with name and path");
    let mut content = BTreeMap::new();
    for (at, file) in files.as_array().ok_or_else(wrong)?.iter().enumerate() {
        let file = file.as_object().ok_or_else(wrong)?;
        let prefix = format!("files[{at}].");
        document.known(file, &prefix, &["name", "path", "content_type", "role"])?;
        let field = |key: &str| document.text(file, &prefix, key);
        let missing = |key: &str| document.wrong(&format!("files[{at}]"), format!("{key} is missing"));
        let name = field("name")?.ok_or_else(|| missing("name"))?;
        let path = PathBuf::from(field("path")?.ok_or_else(|| missing("path"))?);
        let inside = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside {
            let why = "path is inside configs/, without .. and without a slash in front";
            return Err(document.wrong(&format!("{prefix}path"), why));
        }
        let body = bytes(folder, &Path::new("configs").join(path));
        let entry = config::ConfigFile {
            body: body.map_err(|error| document.wrong(&format!("{prefix}path"), error))?,
            content_type: field("content_type")?.unwrap_or_default(),
            role: field("role")?.unwrap_or_default(),
        };
        if content.insert(name.clone(), entry).is_some() {
            return Err(document.wrong(&format!("{prefix}name"), format!("there are two files {name:?}")));
        }
    }
    Ok(Content::Files(content))
}

fn groups(folder: &Path, files: Vec<PathBuf>) -> anyhow::Result<BTreeMap<String, GroupFile>> {
    let known = group_fields();
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let mut groups = BTreeMap::new();
    for path in files {
        if !has_ending(&path, "toml") {
            anyhow::bail!("{}: a group is a file NAME.toml", path.display());
        }
        let (name, document) = (named(&path)?, Document::parse(&path, &text(folder, &path)?)?);
        document.known(&document.fields, "", &known)?;
        for (key, value) in &document.fields {
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            serde_json::from_value::<GroupEdit>(alone)
                .map_err(|error| document.wrong(key, format!("{key}: {error}")))?;
        }
        let Document { fields, lines, .. } = document;
        groups.insert(name, GroupFile { path, fields, lines });
    }
    Ok(groups)
}

fn agents(folder: &Path) -> anyhow::Result<Option<BTreeMap<String, AgentEntry>>> {
    let path = Path::new("agents.toml");
    if !folder.join(path).exists() {
        return Ok(None);
    }
    let document = Document::parse(path, &text(folder, path)?)?;
    let mut agents = BTreeMap::new();
    for (id, fields) in &document.fields {
        let prefix = format!("{id}.");
        let parsed = id.parse::<AgentId>();
        let parsed = parsed.map_err(|_| document.wrong(id, format!("{id:?} is not the id of an agent")))?;
        let fields = fields.as_object();
        let fields = fields.ok_or_else(|| document.wrong(id, "an agent is a table with name and labels"))?;
        document.known(fields, &prefix, &["name", "labels"])?;
        let mut labels = BTreeMap::new();
        if let Some(given) = fields.get("labels") {
            let wrong = |key: &str| document.wrong(key, "labels is a table of texts: { env = \"prod\" }");
            let at = format!("{prefix}labels");
            for (key, value) in given.as_object().ok_or_else(|| wrong(&at))? {
                let value = value.as_str().ok_or_else(|| wrong(&format!("{at}.{key}")))?;
                labels.insert(key.clone(), value.to_owned());
            }
        }
        let entry = AgentEntry {
            line: document.lines.get(id).copied().unwrap_or(1),
            name: document.text(fields, &prefix, "name")?,
            labels,
        };
        agents.insert(parsed.to_string(), entry);
    }
    Ok(Some(agents))
}
