//! A config and its revisions, as they are kept. The contents lie in the store under their digests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigFile, ConfigMap};
use crate::fleet::hash::Digest;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// A named document with numbered revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Its identity.
    pub name: Name,
    /// What it holds.
    pub kind: Kind,
    /// What it is for, in the operators' words.
    #[serde(default)]
    pub description: String,
    /// The number of the newest revision; revisions count from 1 without gaps.
    pub latest: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a revision was last added, or the description changed.
    pub updated_at: Timestamp,
}

/// What a config holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One YAML document for an OpenTelemetry Collector, under the empty name.
    Collector,
    /// Named files, passed through untouched.
    Files,
}

/// One immutable version of a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// The config.
    pub config: Name,
    /// Counts from 1 without gaps.
    pub number: u64,
    /// The digest of its content.
    pub digest: Digest,
    /// The size of its content, in bytes.
    pub size_bytes: u64,
    /// Who saved it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// Why, in the author's words; may be empty.
    #[serde(default)]
    pub message: String,
}

/// A content as people and scripts hand it in and get it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The document of a [`Kind::Collector`] config.
    Yaml(String),
    /// The entries of a [`Kind::Files`] config.
    Files(BTreeMap<String, ConfigFile>),
}

impl Content {
    /// The kind of config that such content is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Yaml(_) => Kind::Collector,
            Self::Files(_) => Kind::Files,
        }
    }

    /// What agents are sent, byte for byte.
    #[must_use]
    pub fn into_map(self) -> ConfigMap {
        match self {
            Self::Yaml(yaml) => ConfigMap::document(&yaml),
            Self::Files(files) => ConfigMap { files },
        }
    }

    /// The content of a config of this kind, read back. A document that is no text is shown as files.
    #[must_use]
    pub fn of(kind: Kind, map: ConfigMap) -> Self {
        if kind == Kind::Collector
            && let (1, Some(document)) = (map.files.len(), map.files.get(""))
            && let Ok(yaml) = std::str::from_utf8(&document.body)
        {
            return Self::Yaml(yaml.to_owned());
        }
        Self::Files(map.files)
    }

    /// Whether it tells an agent to run nothing: no entry, or nothing but white space in all of them. Sent to a
    /// Supervisor, it stops the collector.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Yaml(yaml) => yaml.trim().is_empty(),
            Self::Files(files) => files.values().all(|file| file.body.trim_ascii().is_empty()),
        }
    }

    /// The bytes of all of it together.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Yaml(yaml) => yaml.len(),
            Self::Files(files) => files
                .iter()
                .map(|(name, file)| name.len() + file.body.len() + file.content_type.len() + file.role.len())
                .sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Content {
        let file = |body: &str| ConfigFile {
            body: body.into(),
            ..ConfigFile::default()
        };
        let entries = entries
            .iter()
            .map(|(name, body)| ((*name).to_owned(), file(body)));
        Content::Files(entries.collect())
    }

    #[test]
    fn what_would_stop_a_collector_is_called_blank() {
        assert!(files(&[]).is_blank());
        assert!(files(&[("a", " \n"), ("b", "")]).is_blank());
        assert!(Content::Yaml("\n\t ".into()).is_blank());
        assert!(!files(&[("a", ""), ("b", "x")]).is_blank());
        assert!(!Content::Yaml("x: 1".into()).is_blank());
    }

    #[test]
    fn content_reads_back_as_it_was_handed_in() {
        for content in [Content::Yaml("x: 1\n".into()), files(&[("a", "1"), ("b", "2")])] {
            let kind = content.kind();
            assert_eq!(Content::of(kind, content.clone().into_map()), content);
        }
    }
}
