//! Configurations of agents: content, revisions, checks.

mod content;
mod diff;
pub mod lint;
mod problem;
mod revision;
pub mod yaml;

pub use content::{ConfigFile, ConfigMap, ContentError};
pub use diff::{Change, Diff, FileDiff, Hunk, Line};
pub use problem::{Position, Problem, Severity};
pub use revision::{Config, Content, Kind, Revision};
