//! Where a value came from, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the settings file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name that no setting has.
    #[error("{origin}: {name:?} is not a setting{}", meant(.nearest.as_ref()))]
    Unknown {
        /// Where it stands.
        origin: Origin,
        /// The name as written.
        name: String,
        /// The name that was probably meant, in the same notation.
        nearest: Option<String>,
    },
    /// A value that the setting doesn't take.
    #[error("{origin}: {value:?} is not a value of {key}: {allowed}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The setting's name in the file.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Values that don't go together.
    #[error("{origin}: {why}")]
    Together {
        /// Where one of them stands.
        origin: Origin,
        /// What is wrong and what to do.
        why: String,
    },
    /// The file is not TOML.
    #[error("{origin}: {why}")]
    Syntax {
        /// Where reading ended.
        origin: Origin,
        /// What the parser says.
        why: String,
    },
    /// The file could not be read.
    #[error("cannot read the settings file {path}: {why}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        why: String,
    },
}

fn meant(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// Everything that is wrong with the settings, at least one thing; one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
