//! A layer of what is published, by its name.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::name::{Name, NameError};

/// One revision of one config: a layer of what is published. As text `edge@3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LayerRef {
    /// The config.
    pub config: Name,
    /// The number of the revision.
    pub revision: u64,
}

/// Why a text names no layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerRefError {
    /// There is no `@` with a number behind it.
    #[error("{0:?} names no revision; a layer is written like edge@3")]
    Revision(String),
    /// No config can have this name.
    #[error("no config is called {0:?}: {1}")]
    Config(String, #[source] NameError),
}

impl LayerRef {
    /// Layers from base to most specific, as [`in_words`] or commas separate them.
    ///
    /// # Errors
    /// [`LayerRefError`] for the first that is none.
    pub fn list(text: &str) -> Result<Vec<Self>, LayerRefError> {
        text.split([',', '+'])
            .map(str::trim)
            .filter(|layer| !layer.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl FromStr for LayerRef {
    type Err = LayerRefError;

    fn from_str(text: &str) -> Result<Self, LayerRefError> {
        let missing = || LayerRefError::Revision(text.to_owned());
        let (config, revision) = text.split_once('@').ok_or_else(missing)?;
        Ok(Self {
            config: Name::new(config).map_err(|error| LayerRefError::Config(config.to_owned(), error))?,
            revision: revision.parse().map_err(|_| missing())?,
        })
    }
}

impl fmt::Display for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.config, self.revision)
    }
}

/// Layers in one line: `base@3 + edge@7`.
#[must_use]
pub fn in_words(layers: &[LayerRef]) -> String {
    let words: Vec<_> = layers.iter().map(ToString::to_string).collect();
    words.join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_survive_their_line() {
        let layers = LayerRef::list("base@3, edge@7").unwrap();
        assert_eq!(in_words(&layers), "base@3 + edge@7");
        assert_eq!(LayerRef::list(&in_words(&layers)), Ok(layers));
        assert_eq!(LayerRef::list(" "), Ok(Vec::new()));
        for odd in ["edge", "edge@", "edge@x", "@3", "Edge@3"] {
            assert!(LayerRef::list(odd).is_err(), "{odd}");
        }
    }
}
