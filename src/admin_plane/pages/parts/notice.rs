//! Banners, empty states and the progress of long work.

use maud::{Markup, html};

use super::status::{Status, badge};
use super::text::grouped;

/// What a banner is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BannerKind {
    /// Something was done as asked.
    Done,
    /// Something to know.
    Note,
    /// Something to look at soon.
    Warning,
    /// Something did not work.
    Failed,
}

/// A notice across the page: the result of the last act, or a state of the whole site.
#[derive(Debug)]
pub struct Banner<'a> {
    /// What it is about.
    pub kind: BannerKind,
    /// One sentence, and what to do.
    pub words: Markup,
    /// A link that helps: its words and where it leads.
    pub link: Option<(&'a str, &'a str)>,
}

/// A banner with its shape and word.
#[must_use]
pub fn banner(banner: &Banner<'_>) -> Markup {
    let (class, role) = match banner.kind {
        BannerKind::Done => ("banner-done", "status"),
        BannerKind::Note => ("banner-note", "status"),
        BannerKind::Warning => ("banner-warning", "status"),
        BannerKind::Failed => ("banner-failed", "alert"),
    };
    html! {
        div.banner.(class) role=(role) {
            @match banner.kind {
                BannerKind::Done => (badge(Status::Healthy, Some("Done"))),
                BannerKind::Note => {},
                BannerKind::Warning => (badge(Status::Degraded, Some("Warning"))),
                BannerKind::Failed => (badge(Status::Down, Some("Failed"))),
            }
            span { (banner.words) }
            @if let Some((words, href)) = banner.link { a href=(href) { (words) } }
        }
    }
}

/// What stands where nothing is yet.
#[derive(Debug)]
pub struct Empty<'a> {
    /// What would be here: "No agents yet".
    pub title: &'a str,
    /// What goes here and how it gets here.
    pub words: Markup,
    /// The command (see [`super::code_block`]) or button that fills it.
    pub fill: Option<Markup>,
}

/// An empty state.
#[must_use]
pub fn empty(empty: &Empty<'_>) -> Markup {
    html! {
        div.empty {
            p.title { (empty.title) }
            p { (empty.words) }
            @if let Some(fill) = &empty.fill { div.buttons { (fill) } }
        }
    }
}

/// One part of a progress line: how many are in which state, in which word.
#[derive(Clone, Copy, Debug)]
pub struct ProgressPart<'a> {
    /// The state, for colour and shape.
    pub status: Status,
    /// The word: "applied", "waiting".
    pub word: &'a str,
    /// How many.
    pub count: u64,
}

/// A line of work under way: a bar whose parts add up to the whole, with counts in words and an estimate.
#[must_use]
pub fn progress(label: &str, parts: &[ProgressPart<'_>], estimate: Option<&str>) -> Markup {
    let total: u64 = parts.iter().map(|part| part.count).sum();
    let mut from = 0_u64;
    // In thousandths of the whole, each part's edges rounded alike so that no gap opens between neighbours.
    let edges: Vec<(Status, u64, u64)> = parts
        .iter()
        .map(|part| {
            let start = scaled(from, total);
            from = from.saturating_add(part.count);
            (part.status, start, scaled(from, total).saturating_sub(start))
        })
        .collect();
    html! {
        div.progress role="group" aria-label=(label) {
            div.progress-words {
                @for part in parts {
                    @if part.count > 0 { (badge(part.status, Some(&format!("{} {}", grouped(part.count), part.word)))) }
                }
                span.quiet { "of " (grouped(total)) }
                @if let Some(estimate) = estimate { span.estimate { (estimate) } }
            }
            svg.progress-bar viewBox="0 0 1000 6" preserveAspectRatio="none" aria-hidden="true" {
                rect x="0" y="0" width="1000" height="6" {}
                @for (status, start, width) in edges {
                    @if width > 0 { rect.(part_class(status)) x=(start) y="0" width=(width) height="6" {} }
                }
            }
        }
    }
}

fn scaled(count: u64, total: u64) -> u64 {
    u64::try_from(u128::from(count) * 1000 / u128::from(total.max(1))).unwrap_or(1000)
}

const fn part_class(status: Status) -> &'static str {
    match status {
        Status::Healthy => "part-healthy",
        Status::Degraded => "part-degraded",
        Status::Down => "part-down",
        Status::Unknown => "part-unknown",
        Status::InProgress => "part-progress",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(status: Status, count: u64) -> ProgressPart<'static> {
        ProgressPart {
            status,
            word: "w",
            count,
        }
    }

    #[test]
    fn the_parts_of_a_bar_fill_it_without_gaps() {
        let parts = [
            part(Status::Healthy, 1),
            part(Status::InProgress, 1),
            part(Status::Down, 1),
        ];
        let html = progress("Publish", &parts, None).into_string();
        assert!(
            html.contains("class=\"part-healthy\" x=\"0\" y=\"0\" width=\"333\""),
            "{html}"
        );
        assert!(
            html.contains("class=\"part-progress\" x=\"333\" y=\"0\" width=\"333\""),
            "{html}"
        );
        assert!(
            html.contains("class=\"part-down\" x=\"666\" y=\"0\" width=\"334\""),
            "{html}"
        );
    }

    #[test]
    fn nothing_to_do_is_an_empty_bar() {
        let html = progress("Publish", &[part(Status::Healthy, 0)], None).into_string();
        assert!(html.contains("of 0") && !html.contains("part-healthy"), "{html}");
        assert!(
            !progress("x", &[part(Status::Down, u64::MAX)], None)
                .into_string()
                .is_empty()
        );
    }
}
