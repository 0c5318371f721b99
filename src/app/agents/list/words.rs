//! The words that filters compare columns with, and what else may be typed for them.

use crate::app::error::Error;
use crate::fleet::agent::health::Condition;
use crate::fleet::agent::presence::Presence;
use crate::fleet::agent::{Standing, Verdict};
use crate::fleet::selector::{Filter, Key};
use crate::fleet::suspension::SuspensionKind;

/// What may be typed for a word of a column: what pages and lists show in its place.
const ALSO: [(&str, &str, &str); 5] = [
    ("status", "offline", "down"),
    ("status", "in progress", "applying"),
    ("config", "refused", "failed"),
    ("config", "not capable", "takes no configuration"),
    ("config", "observed", "observe only"),
];

pub(super) fn of_presence(presence: Presence) -> &'static str {
    match presence {
        Presence::NeverSeen => "never seen",
        Presence::Online { .. } => "online",
        Presence::Awaited { .. } => "awaited",
        Presence::Offline { .. } => "offline",
    }
}

pub(super) fn of_standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Pending => "pending",
        Standing::Conflict { .. } => "conflict",
        Standing::Archived { .. } => "archived",
        Standing::Revoked { .. } => "revoked",
    }
}

pub(super) fn of_health(healthy: Option<bool>) -> &'static str {
    match healthy {
        None => "not reported",
        Some(true) => "healthy",
        Some(false) => "unhealthy",
    }
}

pub(super) fn of_suspension(kind: SuspensionKind) -> &'static str {
    match kind {
        SuspensionKind::Held => "held",
        SuspensionKind::Detached => "detached",
    }
}

/// The words of a column that has only these.
fn of_column(column: &str) -> Option<Vec<&'static str>> {
    Some(match column {
        "status" => Condition::ALL.iter().map(|condition| condition.word()).collect(),
        "config" => Verdict::ALL.iter().map(|verdict| verdict.words()).collect(),
        "presence" => vec!["online", "awaited", "offline", "never seen"],
        "standing" => vec!["active", "pending", "conflict", "archived", "revoked"],
        "health" => vec!["healthy", "unhealthy", "not reported"],
        "suspended" => vec!["held", "detached"],
        _ => return None,
    })
}

/// A filter with the words that columns have, however they were spelt: `in_sync`, `In sync` and `in-sync` are one.
///
/// # Errors
/// A column never has such a word.
pub(super) fn understood(filter: Filter) -> Result<Filter, Error> {
    let word = |key: &Key, typed: &str| {
        let column = key.name.as_str();
        let Some(words) = key.source.is_none().then(|| of_column(column)).flatten() else {
            return Ok(typed.to_owned());
        };
        let plain = spelt(typed);
        let also = ALSO
            .iter()
            .find(|(of, other, _)| *of == column && *other == plain);
        let wanted = also.map_or(plain.as_str(), |(.., word)| word);
        match words.iter().find(|word| spelt(word) == spelt(wanted)) {
            Some(word) => Ok((*word).to_owned()),
            None => Err(Error::invalid(
                "filter",
                format!("{column} is never {typed:?}; it is one of: {}", words.join(", ")),
            )),
        }
    };
    let selector = filter.selector.with_values(word)?;
    Ok(Filter { selector, ..filter })
}

fn spelt(word: &str) -> String {
    let blank = |letter: char| if matches!(letter, '_' | '-') { ' ' } else { letter };
    word.trim()
        .chars()
        .map(blank)
        .collect::<String>()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let filter = Filter::parse(text).unwrap();
        understood(filter)
            .map(|filter| filter.to_string())
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_word_is_understood_as_pages_and_pipes_spell_it() {
        for (typed, meant) in [
            ("config = in_sync", "config = \"in sync\""),
            ("config = in-sync", "config = \"in sync\""),
            (
                "config in (self_reverted, Failed)",
                "config in (failed, self-reverted)",
            ),
            ("status = Offline", "status = down"),
            ("status != in_progress", "status != applying"),
            ("presence = never_seen", "presence = \"never seen\""),
            // Two spellings of one.
            ("status notin (offline, down)", "status notin (down)"),
            // What has no list of words is left alone, and so are labels of such a name.
            ("name = in_sync", "name = in_sync"),
            ("label.status = purple", "label.status = purple"),
        ] {
            assert_eq!(read(typed), Ok(meant.to_owned()), "{typed}");
        }
    }

    #[test]
    fn a_word_that_a_column_never_has_is_refused_with_those_that_there_are() {
        for (typed, told) in [
            ("status = purple", "down, degraded, unknown, applying, healthy"),
            ("config in (drifted, purple)", "failed, self-reverted, drifted"),
            ("presence != purple", "online, awaited, offline, never seen"),
            (
                "standing = purple",
                "active, pending, conflict, archived, revoked",
            ),
        ] {
            let refused = read(typed).unwrap_err();
            assert!(refused.contains("purple") && refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn every_word_that_a_column_may_have_can_be_typed() {
        for column in ["status", "config", "presence", "standing", "health", "suspended"] {
            for word in of_column(column).unwrap() {
                let text = format!("{column} = {word:?}");
                assert!(read(&text).is_ok_and(|read| read.contains(word)), "{text}");
            }
        }
    }
}
