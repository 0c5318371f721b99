//! On which terms something is decided: asked for in forms, and told.

use std::time::Duration;

use maud::{Markup, html};

use super::parts::{Choice, Field, ago, field, select_field, visible};
use super::scene::Errors;
use crate::app::terms::OnTerms;
use crate::fleet::suspension::Terms;
use crate::fleet::time::Timestamp;

/// How long something may be decided for, by the word that forms post.
const LENGTHS: [(&str, &str, Duration); 6] = [
    ("1h", "In 1 hour", Duration::from_hours(1)),
    ("4h", "In 4 hours", Duration::from_hours(4)),
    ("1d", "In 1 day", Duration::from_hours(24)),
    ("3d", "In 3 days", Duration::from_hours(72)),
    ("7d", "In 7 days", Duration::from_hours(168)),
    ("30d", "In 30 days", Duration::from_hours(720)),
];

/// What was typed about the terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsForm {
    /// Why.
    pub reason: String,
    /// When it ends: one of the lengths, or empty for "when somebody ends it".
    pub ends: String,
}

impl TermsForm {
    /// What was posted.
    #[must_use]
    pub fn of(typed: &[(String, String)]) -> Self {
        let value = |wanted: &str| {
            let found = typed.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        Self {
            reason: value("reason"),
            ends: value("ends"),
        }
    }

    /// What the use case is asked.
    ///
    /// # Errors
    /// At `ends`, when that is no length of ours.
    pub fn asked(&self, now: Timestamp) -> Result<OnTerms, Errors> {
        let until = match LENGTHS.iter().find(|(word, ..)| *word == self.ends) {
            Some((_, _, length)) => Some(now.plus(*length)),
            None if self.ends.is_empty() => None,
            None => return Err(Errors::at("ends", "choose when it ends")),
        };
        Ok(OnTerms::of(&self.reason, until))
    }

    /// The fields. `ends_when` says when it ends otherwise.
    #[must_use]
    pub fn fields(&self, ends_when: &str, errors: &Errors) -> Markup {
        let choices: Vec<Choice<'_>> = std::iter::once(Choice {
            value: "",
            label: ends_when,
            help: "",
        })
        .chain(LENGTHS.iter().map(|(value, label, _)| Choice {
            value,
            label,
            help: "",
        }))
        .collect();
        html! {
            (field(&Field {
                name: "reason",
                label: "Why",
                value: &self.reason,
                help: "Others see it on the agent and in the audit log.",
                error: errors.field("reason"),
                optional: true,
                ..Field::default()
            }))
            (select_field(&Field {
                name: "ends",
                label: "Ends",
                value: &self.ends,
                error: errors.field("ends").or_else(|| errors.field("until")),
                ..Field::default()
            }, &choices))
        }
    }
}

/// "by ada 3 min ago: the disk is full. It ends in 57 min."
#[must_use]
pub fn told(terms: &Terms, now: Timestamp) -> Markup {
    html! {
        "by " (visible(&terms.by)) " " (ago(terms.since, now))
        @if !terms.reason.is_empty() { ": " (visible(&terms.reason)) }
        @if !terms.reason.ends_with(['.', '!', '?']) { "." }
        @if let Some(until) = terms.until { " It ends by itself " (ago(until, now)) "." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_is_a_time_from_now_and_anything_else_is_refused() {
        let now = Timestamp::from_seconds(1_000);
        let form = |ends: &str| TermsForm {
            reason: " x ".into(),
            ends: ends.into(),
        };
        assert_eq!(form("").asked(now).unwrap(), OnTerms::of("x", None));
        for (word, _, length) in LENGTHS {
            assert_eq!(form(word).asked(now).unwrap().until, Some(now.plus(length)));
        }
        assert!(form("2h").asked(now).unwrap_err().field("ends").is_some());
    }
}
