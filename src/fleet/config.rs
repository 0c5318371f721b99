//! Configurations of agents: content, revisions, checks.

mod content;

pub use content::{ConfigFile, ConfigMap, ContentError};
