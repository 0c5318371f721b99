//! Facts as a definition list, labels, and tabs.

use maud::{Markup, html};

use super::text::{grouped, visible, visible_text};

/// One row of a definition list.
#[derive(Debug)]
pub struct Fact<'a> {
    /// What it is.
    pub term: &'a str,
    /// What is known; `None` leaves the row out.
    pub value: Option<Markup>,
}

impl<'a> Fact<'a> {
    /// A fact whose value is ready markup.
    #[must_use]
    pub const fn new(term: &'a str, value: Markup) -> Self {
        Self {
            term,
            value: Some(value),
        }
    }

    /// A fact whose value is a string that somebody else chose. Unknown or empty: the row is left out.
    #[must_use]
    pub fn text(term: &'a str, value: Option<&str>) -> Self {
        Self {
            term,
            value: value.filter(|text| !text.is_empty()).map(visible),
        }
    }
}

/// A definition list. What is unknown is left out, not shown as a dash.
#[must_use]
pub fn facts(rows: &[Fact<'_>]) -> Markup {
    html! {
        dl.facts {
            @for fact in rows {
                @if let Some(value) = &fact.value {
                    div { dt { (visible(fact.term)) } dd { (value) } }
                }
            }
        }
    }
}

/// One label or fact as `key | value`.
#[must_use]
pub fn label(key: &str, value: &str) -> Markup {
    let title = format!("{} = {}", visible_text(key), visible_text(value));
    html! { span.label title=(title) { span { (visible(key)) } span { (visible(value)) } } }
}

/// Several labels side by side.
#[must_use]
pub fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    html! { span.labels { @for (key, value) in pairs { (label(key, value)) } } }
}

/// One tab: a link with a URL of its own.
#[derive(Debug)]
pub struct Tab<'a> {
    /// Its words.
    pub words: &'a str,
    /// Where it leads.
    pub href: &'a str,
    /// How many things are behind it, where that helps.
    pub count: Option<u64>,
    /// Whether it is the one that is shown.
    pub current: bool,
}

/// A row of tabs. `about` names what they are about, for screen readers.
#[must_use]
pub fn tabs(about: &str, tabs: &[Tab<'_>]) -> Markup {
    html! {
        nav aria-label=(about) {
            ul.tabs {
                @for tab in tabs {
                    li {
                        a href=(tab.href) aria-current=[tab.current.then_some("page")] {
                            (tab.words)
                            @if let Some(count) = tab.count { " " span.count { (grouped(count)) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_out() {
        let html = facts(&[
            Fact::text("Host", Some("web-01")),
            Fact::text("OS", None),
            Fact::text("Arch", Some("")),
        ]);
        assert_eq!(
            html.into_string(),
            "<dl class=\"facts\"><div><dt>Host</dt><dd>web-01</dd></div></dl>"
        );
    }
}
