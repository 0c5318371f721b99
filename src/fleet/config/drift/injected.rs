//! What supervisors add to the configuration of their collector.

/// Extensions that supervisors add to what a collector runs.
const ADDED_EXTENSIONS: [&str; 2] = ["opamp", "health_check"];

/// Whether an extension is one that supervisors add.
pub(in crate::fleet::config) fn is_added_extension(id: &str) -> bool {
    ADDED_EXTENSIONS.contains(&kind(id))
}

/// Whether an extension is the one by which a collector speaks to its supervisor.
pub(in crate::fleet::config) fn is_opamp(id: &str) -> bool {
    kind(id) == "opamp"
}

/// The kind of a component: what stands before the slash of its id.
pub(super) fn kind(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}
