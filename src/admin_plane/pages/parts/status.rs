//! Status: a shape, a colour and a word, never one of them alone.

use maud::{Markup, html};

use super::text::grouped;

/// How something is doing. The word of a badge may be more exact ("Refused", "Offline"); the shape is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// ✕: down or failed.
    Down,
    /// ▲: works, with something wrong.
    Degraded,
    /// ◐: under way.
    InProgress,
    /// ○: unknown, or not reported.
    Unknown,
    /// ●: as it should be.
    Healthy,
}

impl Status {
    /// The word that stands beside the shape unless a more exact one is given.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Down => "Down",
            Self::Unknown => "Unknown",
            Self::InProgress => "In progress",
        }
    }

    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Healthy => "status-healthy",
            Self::Degraded => "status-degraded",
            Self::Down => "status-down",
            Self::Unknown => "status-unknown",
            Self::InProgress => "status-progress",
        }
    }
}

/// The shape alone, for places where the word stands elsewhere. Hidden from screen readers.
#[must_use]
pub fn shape(status: Status) -> Markup {
    html! {
        svg.shape viewBox="0 0 12 12" aria-hidden="true" {
            @match status {
                Status::Healthy => circle cx="6" cy="6" r="4.5" {},
                Status::Degraded => path d="M6 1.2 11.4 10.8H.6z" {},
                Status::Down => path.stroke d="m2 2 8 8M10 2l-8 8" {},
                Status::Unknown => circle.stroke cx="6" cy="6" r="4.2" {},
                Status::InProgress => {
                    circle.stroke cx="6" cy="6" r="4.2" {}
                    path d="M6 1.8a4.2 4.2 0 0 0 0 8.4z" {}
                }
            }
        }
    }
}

/// Shape and word: ● Healthy. `word` replaces the usual word by a more exact one.
#[must_use]
pub fn badge(status: Status, word: Option<&str>) -> Markup {
    html! {
        span.status.(status.class()) {
            (shape(status))
            span { (word.unwrap_or(status.word())) }
        }
    }
}

/// The line on top of a detail page: status, why, and since when. `why` is a sentence without a full stop; `age` is
/// what [`super::since`] or [`super::ago`] made.
#[must_use]
pub fn status_line(status: Status, word: Option<&str>, why: &Markup, age: &Markup) -> Markup {
    html! {
        p.status-line { (badge(status, word)) span.reason { (why) } span.quiet { (age) } }
    }
}

/// Counts by status, each a link to what it counts: (status, word, count, href).
#[must_use]
pub fn tally(counts: &[(Status, &str, u64, &str)]) -> Markup {
    html! {
        ul.tally {
            @for (status, word, number, href) in counts {
                li { a href=(href) { b { (grouped(*number)) } " " (badge(*status, Some(word))) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_shape_and_word() {
        let all = [
            Status::Healthy,
            Status::Degraded,
            Status::Down,
            Status::Unknown,
            Status::InProgress,
        ];
        for (at, one) in all.iter().enumerate() {
            for other in all.iter().skip(at + 1) {
                assert_ne!(shape(*one).into_string(), shape(*other).into_string());
                assert_ne!(one.word(), other.word());
            }
            assert!(badge(*one, None).into_string().contains(one.word()));
        }
    }

    #[test]
    fn the_worst_sorts_first() {
        let mut all = [Status::Healthy, Status::Unknown, Status::Down, Status::Degraded];
        all.sort();
        assert_eq!(
            all,
            [Status::Down, Status::Degraded, Status::Unknown, Status::Healthy]
        );
    }
}
