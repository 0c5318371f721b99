//! Configs to begin with. Their texts are in `templates/starters`; what is told of them stands in each one's header.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A collector config that people begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starter {
    /// Its name, which fits as a config's.
    pub name: &'static str,
    /// The document.
    pub yaml: &'static str,
}

/// What a starter's header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StarterSummary {
    /// Its name.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What it is for, in a sentence.
    pub summary: String,
    /// What it needs: components, permissions, mounts.
    pub needs: String,
    /// What to change before it is published.
    pub change: String,
}

macro_rules! starters {
    ($($name:literal),* $(,)?) => {
        /// All starters, the one that most people need first.
        pub const STARTERS: &[Starter] = &[$(Starter {
            name: $name,
            yaml: include_str!(concat!("../../../templates/starters/", $name, ".yaml")),
        }),*];
    };
}

starters!(
    "host-metrics",
    "container-logs",
    "journald",
    "file-logs",
    "otlp-in",
    "gateway",
    "prometheus-scrape",
    "memory-limiter",
);

impl Starter {
    /// The starter of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        STARTERS.iter().find(|starter| starter.name == name)
    }

    /// What its header says.
    #[must_use]
    pub fn summary(&self) -> StarterSummary {
        let paragraphs = header(self.yaml);
        let behind = |word: &str| {
            let found = paragraphs.iter().find_map(|text| text.strip_prefix(word));
            sentence(found.unwrap_or_default().trim())
        };
        let first = paragraphs.first().map_or("", String::as_str);
        let (title, summary) = first.split_once(": ").unwrap_or((first, ""));
        StarterSummary {
            name: self.name.to_owned(),
            title: title.to_owned(),
            summary: sentence(summary),
            needs: behind("Needs:"),
            change: behind("Change:"),
        }
    }
}

/// The text with a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// The paragraphs of the comment at the beginning, each in one line.
fn header(yaml: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in yaml.lines().map_while(|line| line.strip_prefix('#')) {
        match (line.trim(), paragraphs.last_mut()) {
            ("", _) => paragraphs.push(String::new()),
            (text, Some(paragraph)) if !paragraph.is_empty() => {
                paragraph.push(' ');
                paragraph.push_str(text);
            }
            (text, Some(paragraph)) => paragraph.push_str(text),
            (_, None) => {}
        }
    }
    paragraphs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::lint::{Judged, lint};
    use crate::fleet::config::yaml::{self, Limits};
    use crate::fleet::name::Name;

    #[test]
    fn each_passes_our_own_check_without_a_remark() {
        for starter in STARTERS {
            assert_eq!(
                lint(starter.yaml.as_bytes(), &Limits::default(), Judged::Whole),
                [],
                "{}",
                starter.name
            );
        }
    }

    #[test]
    fn each_says_what_it_is_for_what_it_needs_and_what_to_change() {
        for starter in STARTERS {
            Name::new(starter.name).unwrap();
            let said = starter.summary();
            for text in [&said.title, &said.summary, &said.needs, &said.change] {
                assert!(text.len() > 4, "{said:?}");
            }
            assert!(
                said.summary.ends_with('.') && !said.title.contains('.'),
                "{said:?}"
            );
        }
    }

    #[test]
    fn each_names_all_components_that_it_needs() {
        for starter in STARTERS {
            let root = yaml::parse(starter.yaml.as_bytes(), &Limits::default()).unwrap();
            let needs = starter.summary().needs;
            let words: Vec<_> = needs.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for section in ["receivers", "processors", "exporters", "extensions"] {
                let entry = root.entry(section);
                for component in entry.and_then(|entry| entry.value.entries()).unwrap_or_default() {
                    assert!(
                        words.contains(&component.key.as_str()),
                        "{}: {}",
                        starter.name,
                        component.key
                    );
                }
            }
        }
    }

    #[test]
    fn the_folder_holds_these_and_no_others() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/starters");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut known: Vec<_> = STARTERS
            .iter()
            .map(|starter| format!("{}.yaml", starter.name))
            .collect();
        known.sort();
        assert_eq!(files, known);
    }
}
