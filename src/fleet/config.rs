//! Configurations of agents: content, revisions, checks.

mod content;
mod diff;
mod revision;

pub use content::{ConfigFile, ConfigMap, ContentError};
pub use diff::{Change, Diff, FileDiff, Hunk, Line};
pub use revision::{Config, Content, Kind, Revision};
