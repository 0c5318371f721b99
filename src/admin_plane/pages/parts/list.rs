//! Lists in time and by weight: the timeline of an object, the problems on the overview.

use maud::{Markup, html};

use super::status::{Status, badge, shape};
use super::time::ago;
use crate::fleet::time::Timestamp;

/// One entry of a timeline.
#[derive(Debug)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// How it weighs.
    pub status: Status,
    /// What happened, one sentence.
    pub what: Markup,
    /// More about it, in smaller type.
    pub detail: Option<Markup>,
}

/// What happened, newest first (the caller sorts).
#[must_use]
pub fn timeline(events: &[Event], now: Timestamp) -> Markup {
    html! {
        ol.timeline {
            @for event in events {
                li {
                    (ago(event.at, now))
                    span.status.(event.status.class()) {
                        (shape(event.status)) span.hush { (event.status.word()) ": " }
                    }
                    div {
                        p.what { (event.what) }
                        @if let Some(detail) = &event.detail { p.detail { (detail) } }
                    }
                }
            }
        }
    }
}

/// One problem: a sentence that is a link, how bad it is, and since when.
#[derive(Debug)]
pub struct Problem<'a> {
    /// How bad it is.
    pub status: Status,
    /// The word beside the shape, if not the usual one.
    pub word: Option<&'a str>,
    /// The sentence; it contains a link to where the problem can be dealt with.
    pub sentence: Markup,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Problems, worst first (the caller sorts).
#[must_use]
pub fn problems(problems: &[Problem<'_>], now: Timestamp) -> Markup {
    html! {
        ul.problems {
            @for problem in problems {
                li {
                    (badge(problem.status, problem.word))
                    span.sentence { (problem.sentence) }
                    span.when { @if let Some(at) = problem.since { (ago(at, now)) } }
                }
            }
        }
    }
}
