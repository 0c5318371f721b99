//! The environment variables that begin with `MUSTER_`.

use std::collections::BTreeMap;

const PREFIX: &str = "MUSTER_";

/// Variables that other parts of the command line read: the client of the API, and hosts that an agent shares with us.
const OTHERS: [&str; 6] = ["SETTINGS", "SERVER", "TOKEN", "CA", "CA_SHA256", "AGENT_TOKEN"];

/// The variables that begin with `MUSTER_`, without that beginning. A value, so that tests bring their own.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    /// Names only: one of them is a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The process's own. Text that is not Unicode is kept with replacement characters, so that it is refused by name.
    #[must_use]
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))
    }

    /// Made of the pairs whose name begins with `MUSTER_`.
    #[must_use]
    pub fn from_pairs<N: AsRef<str>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let ours =
            |(name, value): (N, V)| Some((name.as_ref().strip_prefix(PREFIX)?.to_owned(), value.into()));
        Self(pairs.into_iter().filter_map(ours).collect())
    }

    /// The value of `MUSTER_<name>`, unless it is not set or empty.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables that claim to be settings, with their full name, their value, and the name without the prefix.
    pub(super) fn settings(&self) -> impl Iterator<Item = (String, &str, &str)> {
        self.0
            .iter()
            .filter(|(name, value)| {
                !value.is_empty() && !OTHERS.contains(&name.as_str()) && !set_by_kubernetes(name)
            })
            .map(|(name, value)| (format!("{PREFIX}{name}"), value.as_str(), name.as_str()))
    }
}

/// Kubernetes describes every Service to every container: one that is called `muster` yields `MUSTER_SERVICE_HOST`,
/// `MUSTER_PORT_4320_TCP_ADDR` and the like. They are not a misspelt setting.
fn set_by_kubernetes(name: &str) -> bool {
    name == "PORT"
        || name.starts_with("PORT_")
        || name.ends_with("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || name.contains("_PORT_")
}

/// The variable of a setting: `limits.message_size` becomes `MUSTER_LIMITS_MESSAGE_SIZE`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}
