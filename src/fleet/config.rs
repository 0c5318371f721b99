//! Configurations of agents: content, revisions, checks.

mod adopt;
mod available;
mod check;
pub mod complaint;
mod content;
mod diff;
mod drift;
pub mod lint;
pub mod merge;
mod problem;
mod revision;
pub mod secrecy;
mod starter;
mod variables;
pub mod yaml;

pub use adopt::{Adopted, Placeholder, adopt};
pub use check::check;
pub(crate) use content::text_or_base64;
pub use content::{ConfigFile, ConfigMap, ContentError};
pub use diff::{Change, Diff, FileDiff, Hunk, Line, Mark};
pub use drift::{Comparison, Difference, Drift, Shown, drift};
pub use problem::{Position, Problem, Severity};
pub use revision::{Config, Content, Kind, Revision};
pub use starter::{STARTERS, Starter, StarterSummary};
pub use variables::{Insert, Variable, VariableError, resolve, variables};
