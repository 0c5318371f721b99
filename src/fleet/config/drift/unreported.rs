//! What collectors run and don't report.

use crate::fleet::config::available::are_one;

/// Settings that components keep elsewhere than where their report is written from: section, kind and key.
const NEVER_REPORTED: [(&str, &str, &str); 2] = [
    ("receivers", "hostmetrics", "scrapers"),
    ("receivers", "receiver_creator", "receivers"),
];

/// Whether collectors leave a setting of a component out of their report, whatever it is.
pub(in crate::fleet::config) fn is_never_reported(section: &str, id: &str, key: &str) -> bool {
    never_reported(section, id).any(|known| known == key)
}

/// The settings that collectors leave out of the report of a component.
pub(in crate::fleet::config) fn never_reported(
    section: &str,
    id: &str,
) -> impl Iterator<Item = &'static str> + use<> {
    let kind = super::injected::kind(id).to_owned();
    let section = section.to_owned();
    NEVER_REPORTED
        .iter()
        .filter(move |(known, of, _)| *known == section && are_one(known, of, &kind))
        .map(|(_, _, key)| *key)
}
