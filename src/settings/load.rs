//! Joins file, environment and flags.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Settings;
use super::environment::{Environment, variable_of};
use super::file::{self, FileEntry, FileValue};
use super::flags::SettingsFlags;
use super::keys::{ADMIN_LISTEN, AGENT_LISTEN, DATA, Draft, KEYS, Key};
use super::problem::{Origin, Problem, Problems};

/// Settings that hold, and where each value came from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The settings.
    pub settings: Settings,
    /// The settings file that was read.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

/// One line of the listing that `muster check` prints.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EffectiveRow {
    /// The setting's name in the file.
    pub name: &'static str,
    /// Its value as the file would say it; a list is joined by commas.
    pub value: String,
    /// Where the value came from.
    #[serde(rename = "from")]
    pub origin: String,
}

impl Effective {
    /// All settings in the order of the template.
    #[must_use]
    pub fn rows(&self) -> Vec<EffectiveRow> {
        let row = |key: &Key| EffectiveRow {
            name: key.name,
            value: (key.show)(&self.settings).join(", "),
            origin: self.origin(key.name).to_string(),
        };
        KEYS.iter().map(row).collect()
    }

    fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).cloned().unwrap_or(Origin::Default)
    }
}

/// One setting, for whoever wants to set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name in the file.
    pub name: &'static str,
    /// The environment variable that sets it.
    pub variable: String,
    /// What is allowed, as the end of a sentence.
    pub allowed: &'static str,
    /// Its default; a list is joined by commas.
    pub default: String,
}

/// All settings in the order of the template.
#[must_use]
pub fn described() -> Vec<Described> {
    let defaults = Settings::default();
    let describe = |key: &Key| Described {
        name: key.name,
        variable: variable_of(key.name),
        allowed: key.allowed,
        default: (key.show)(&defaults).join(", "),
    };
    KEYS.iter().map(describe).collect()
}

/// Reads the settings file, then the environment, then the flags; later ones win.
///
/// # Errors
/// Everything that is wrong, each with its place and with what is allowed there.
pub fn load(flags: &SettingsFlags, environment: &Environment) -> Result<Effective, Problems> {
    let mut reading = Reading::default();
    let file = reading.file(flags, environment);
    for (variable, value, name) in environment.settings() {
        let origin = Origin::Environment(variable.clone());
        if let Some(key) = KEYS.iter().find(|key| variable_of(key.name) == variable) {
            reading.set(key, &split(key, value), origin);
        } else {
            let nearest = nearest(
                name,
                KEYS.iter()
                    .map(|key| variable_of(key.name).split_off("MUSTER_".len())),
            );
            let nearest = nearest.map(|name| format!("MUSTER_{name}"));
            reading.problems.push(Problem::Unknown {
                origin,
                name: variable,
                nearest,
            });
        }
    }
    for entry in flags.entries() {
        let origin = Origin::Flag(entry.flag);
        match key_named(&entry.name) {
            // A list given with `--set` is one text; `--name` is already a list.
            Some(key) if entry.values.len() == 1 => {
                reading.set(key, &split(key, &entry.values.concat()), origin);
            }
            Some(key) => reading.set(key, &entry.values, origin),
            None => reading.unknown(entry.name, origin),
        }
    }
    reading.finish(file)
}

/// Reads the text of a settings file alone, without environment and flags. `path` is what problems call it.
///
/// # Errors
/// Everything that is wrong, each with its line and with what is allowed there.
pub fn read_text(path: &Path, text: &str) -> Result<Effective, Problems> {
    let mut reading = Reading::default();
    reading.entries(file::read(path, text), false);
    reading.finish(Some(path.to_owned()))
}

#[derive(Default)]
struct Reading {
    draft: Draft,
    origins: BTreeMap<&'static str, Origin>,
    problems: Vec<Problem>,
}

impl Reading {
    /// Reads the settings file, if there is one.
    fn file(&mut self, flags: &SettingsFlags, environment: &Environment) -> Option<PathBuf> {
        let named = flags
            .settings
            .clone()
            .or_else(|| environment.value("SETTINGS").map(PathBuf::from));
        let path = named
            .clone()
            .unwrap_or_else(|| data_folder(flags, environment).join("muster.toml"));
        let entries = match fs::read_to_string(&path) {
            Ok(text) => file::read(&path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return None,
            Err(error) => Err(Problem::Unreadable {
                path: path.clone(),
                why: error.to_string(),
            }),
        };
        self.entries(entries, named.is_none());
        Some(path)
    }

    fn entries(&mut self, entries: Result<Vec<FileEntry>, Problem>, in_data_folder: bool) {
        match entries {
            Ok(entries) => entries
                .into_iter()
                .for_each(|entry| self.file_entry(entry, in_data_folder)),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn file_entry(&mut self, entry: FileEntry, in_data_folder: bool) {
        let FileEntry { name, value, origin } = entry;
        let Some(key) = key_named(&name) else {
            // An empty table that only opens a section is harmless.
            let opens_section = matches!(value, FileValue::Table) && is_section(&name);
            if !opens_section {
                self.unknown(name, origin);
            }
            return;
        };
        if key.name == DATA && in_data_folder {
            let why =
                "a settings file inside the data folder cannot move the data folder; use --data".to_owned();
            self.problems.push(Problem::Together { origin, why });
            return;
        }
        match value {
            FileValue::One(value) if !key.list => self.set(key, &[value], origin),
            FileValue::Many(values) if key.list => self.set(key, &values, origin),
            FileValue::One(value) => self.refuse(key, value, origin),
            FileValue::Many(values) => self.refuse(key, format!("[{}]", values.join(", ")), origin),
            FileValue::Table => self.refuse(key, "{}".to_owned(), origin),
        }
    }

    fn set(&mut self, key: &Key, values: &[String], origin: Origin) {
        match (key.set)(&mut self.draft, values) {
            Some(()) => {
                self.origins.insert(key.name, origin);
            }
            None => self.refuse(key, values.join(", "), origin),
        }
    }

    fn refuse(&mut self, key: &Key, value: String, origin: Origin) {
        let allowed = if key.list {
            format!("a list of {}", key.allowed)
        } else {
            key.allowed.to_owned()
        };
        self.problems.push(Problem::Value {
            origin,
            key: key.name,
            value,
            allowed,
        });
    }

    fn unknown(&mut self, name: String, origin: Origin) {
        let nearest = nearest(&name, KEYS.iter().map(|key| key.name.to_owned()));
        self.problems.push(Problem::Unknown {
            origin,
            name,
            nearest,
        });
    }

    fn finish(self, file: Option<PathBuf>) -> Result<Effective, Problems> {
        let Self {
            draft,
            origins,
            mut problems,
        } = self;
        let origin = |name: &str| origins.get(name).cloned().unwrap_or(Origin::Default);
        let settings = match draft.finish() {
            Ok(settings) => settings,
            Err(name) => {
                let why = "tls_cert and tls_key go together: give both, or neither".to_owned();
                problems.push(Problem::Together {
                    origin: origin(name),
                    why,
                });
                return Err(Problems(problems));
            }
        };
        if settings.agent_plane.listen == settings.admin_plane.listen
            && settings.agent_plane.listen.port() != 0
        {
            let why =
                format!("{AGENT_LISTEN} and {ADMIN_LISTEN} are the same; the two planes need a port each");
            let origin = origin(ADMIN_LISTEN).max(origin(AGENT_LISTEN));
            problems.push(Problem::Together { origin, why });
        }
        if problems.is_empty() {
            Ok(Effective {
                settings,
                file,
                origins,
            })
        } else {
            Err(Problems(problems))
        }
    }
}

/// The data folder as far as it is known before the file is read.
pub(super) fn data_folder(flags: &SettingsFlags, environment: &Environment) -> PathBuf {
    let named = flags.data.as_deref().or_else(|| environment.value("DATA"));
    named.map_or_else(|| Settings::default().data, |path| Path::new(path).to_owned())
}

fn key_named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| {
        key.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// A value that came as one text: a list is separated by commas.
fn split(key: &Key, value: &str) -> Vec<String> {
    if key.list {
        value
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        vec![value.to_owned()]
    }
}

/// The known name that `name` was probably meant to be, if one is near.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |candidate: &String| {
        // A right name in the wrong section is nearer than any misspelling.
        if last(candidate) == last(name) {
            0
        } else {
            strsim::damerau_levenshtein(name, candidate)
        }
    };
    let (distance, candidate) = known.map(|candidate| (distance(&candidate), candidate)).min()?;
    (distance <= 2.max(name.chars().count() / 3)).then_some(candidate)
}

#[cfg(test)]
mod tests;
