//! The components that agents are built with, under the names that they have now and had before.
//!
//! Collectors rename their components to words with underscores, release by release: `filelog` becomes `file_log`. Newer
//! ones report only the present name and go on taking the former; older ones know only the former.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::agent::report::Component;

/// Types of components by section (`receivers` → `otlp`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Available {
    types: BTreeMap<String, BTreeSet<String>>,
}

/// Whether agents have a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Has<'a> {
    /// They do, and take it by this name.
    Yes,
    /// They do, and take it only by the name that it had before: this one.
    ByItsFormerName(&'a str),
    /// They don't.
    No,
    /// They say nothing about this section.
    Unknown,
}

impl Available {
    /// What one agent reports. A section that it doesn't report is not known to be empty.
    #[must_use]
    pub fn of(components: &BTreeMap<String, Component>) -> Self {
        let sections = components
            .iter()
            .filter(|(_, section)| !section.components.is_empty());
        let types =
            sections.map(|(name, section)| (name.clone(), section.components.keys().cloned().collect()));
        Self {
            types: types.collect(),
        }
    }

    /// What both take. A section that only one reports is taken from that one.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (section, theirs) in &other.types {
            let both = self.types.get(section).map_or_else(
                || theirs.clone(),
                |ours| {
                    let taken = |name: &&String| takes(section, ours, name) && takes(section, theirs, name);
                    ours.union(theirs).filter(taken).cloned().collect()
                },
            );
            self.types.insert(section.clone(), both);
        }
        self
    }

    pub(super) fn has(&self, section: &str, component: &str) -> Has<'_> {
        let Some(types) = self.types.get(section) else {
            return Has::Unknown;
        };
        if takes(section, types, component) {
            return Has::Yes;
        }
        let former = types
            .iter()
            .find(|known| is_former_name(section, known, component));
        former.map_or(Has::No, |former| Has::ByItsFormerName(former))
    }
}

fn takes(section: &str, types: &BTreeSet<String>, component: &str) -> bool {
    types.contains(component)
        || types
            .iter()
            .any(|present| is_former_name(section, component, present))
}

/// Whether two names are those of one component, before and after it was renamed.
pub(super) fn are_one(section: &str, a: &str, b: &str) -> bool {
    a == b || is_former_name(section, a, b) || is_former_name(section, b, a)
}

/// Whether a component had this name before it was given the present one.
fn is_former_name(section: &str, former: &str, present: &str) -> bool {
    let without_underscores = present.chars().filter(|c| *c != '_');
    let squeezed = present.contains('_') && without_underscores.eq(former.chars());
    squeezed || (section, former, present) == ("exporters", "otlp", "otlp_grpc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(types: &[&str]) -> Available {
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        Available {
            types: [("receivers".to_owned(), types)].into(),
        }
    }

    #[test]
    fn newer_agents_take_former_names_and_older_ones_only_those() {
        let (newer, older) = (receivers(&["file_log", "otlp"]), receivers(&["filelog", "otlp"]));
        assert_eq!(newer.has("receivers", "file_log"), Has::Yes);
        assert_eq!(newer.has("receivers", "filelog"), Has::Yes);
        assert_eq!(older.has("receivers", "filelog"), Has::Yes);
        assert_eq!(
            older.has("receivers", "file_log"),
            Has::ByItsFormerName("filelog")
        );
        assert_eq!(older.has("receivers", "file_logs"), Has::No);
        assert_eq!(older.has("exporters", "otlp"), Has::Unknown);
        for both in [newer.clone().and(&older), older.clone().and(&newer)] {
            assert_eq!(both.has("receivers", "filelog"), Has::Yes);
            assert_eq!(both.has("receivers", "file_log"), Has::ByItsFormerName("filelog"));
            assert_eq!(both.has("receivers", "otlp"), Has::Yes);
            assert_eq!(both.has("receivers", "prometheus"), Has::No);
        }
        assert_eq!(newer.clone().and(&newer), newer);
    }

    #[test]
    fn one_component_has_names_and_others_are_others() {
        for (section, former, present) in [
            ("receivers", "hostmetrics", "host_metrics"),
            ("exporters", "otlphttp", "otlp_http"),
            ("exporters", "otlp", "otlp_grpc"),
            ("processors", "k8sattributes", "k8s_attributes"),
        ] {
            assert!(is_former_name(section, former, present) && !is_former_name(section, present, former));
            assert!(are_one(section, former, present) && are_one(section, present, former));
        }
        assert!(
            !are_one("receivers", "otlp", "otlp_grpc"),
            "it was one of the exporters"
        );
        assert!(!are_one("receivers", "tcplog", "udp_log"));
        assert!(are_one("receivers", "otlp", "otlp"));
    }
}
