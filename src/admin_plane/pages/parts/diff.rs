//! Differences between two texts, line by line with the words that changed.

use maud::{Markup, html};

use super::text::visible;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffKind {
    /// In both texts.
    Same,
    /// Only in the new text.
    Added,
    /// Only in the old text.
    Removed,
    /// Lines that are left out; the spans say how many.
    Gap,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text, without its line end.
    pub text: String,
    /// Whether these are the words that changed within the line.
    pub marked: bool,
}

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// Where it stands.
    pub kind: DiffKind,
    /// Its number in the old text, from 1.
    pub old_no: Option<u64>,
    /// Its number in the new text, from 1.
    pub new_no: Option<u64>,
    /// The line in pieces.
    pub spans: Vec<Span>,
}

/// How a difference is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiffView {
    /// One column, removed lines above added ones.
    #[default]
    Unified,
    /// Old and new side by side, for wide screens.
    Split,
}

/// A unified difference between what `old` and `new` name ("revision 3", "what runs").
#[must_use]
pub fn diff(old: &str, new: &str, lines: &[DiffLine]) -> Markup {
    diff_with(old, new, lines, DiffView::Unified, None)
}

/// A difference in the given view; `switch` is the URL that shows the other view.
#[must_use]
pub fn diff_with(old: &str, new: &str, lines: &[DiffLine], view: DiffView, switch: Option<&str>) -> Markup {
    let counted = |kind| lines.iter().filter(|line| line.kind == kind).count();
    let (added, removed) = (counted(DiffKind::Added), counted(DiffKind::Removed));
    html! {
        div.diff.diff-split[view == DiffView::Split] {
            div.diff-head {
                span { "From " strong { (visible(old)) } " to " strong { (visible(new)) } }
                @if added + removed == 0 { span.quiet { "No difference" } }
                @else { span.added { "+" (added) " added" } span.removed { "−" (removed) " removed" } }
                @if let Some(switch) = switch {
                    span.views {
                        a href=(switch) { @if view == DiffView::Unified { "Side by side" } @else { "One column" } }
                    }
                }
            }
            @if !lines.is_empty() {
                table aria-label={ "Differences from " (old) " to " (new) } {
                    tbody { @match view { DiffView::Unified => (unified(lines)), DiffView::Split => (split(lines)) } }
                }
            }
        }
    }
}

fn unified(lines: &[DiffLine]) -> Markup {
    html! {
        @for line in lines {
            @match line.kind {
                DiffKind::Gap => tr.gap { td colspan="4" { (text(line)) } },
                DiffKind::Same | DiffKind::Added | DiffKind::Removed => tr.(class(line.kind)) {
                    (number(line.old_no, "")) (number(line.new_no, ""))
                    td.sign { (sign(line.kind)) }
                    td.text { (text(line)) }
                },
            }
        }
    }
}

fn split(lines: &[DiffLine]) -> Markup {
    html! {
        colgroup { col.no; col.sign; col; col.no; col.sign; col; }
        @for row in pair(lines) {
            tr.gap[matches!(row, Pair::Gap(_))] {
                @match row {
                    Pair::Gap(line) => td colspan="6" { (text(line)) },
                    Pair::Both(old, new) => {
                        (half(old, |line| line.old_no))
                        (half(new, |line| line.new_no))
                    }
                }
            }
        }
    }
}

enum Pair<'a> {
    Gap(&'a DiffLine),
    Both(Option<&'a DiffLine>, Option<&'a DiffLine>),
}

/// Puts removed lines beside the added ones that follow them.
fn pair(lines: &[DiffLine]) -> Vec<Pair<'_>> {
    let (mut rows, mut removed, mut added) = (Vec::new(), Vec::new(), Vec::new());
    let flush = |rows: &mut Vec<_>, removed: &mut Vec<_>, added: &mut Vec<_>| {
        let (mut left, mut right) = (removed.drain(..), added.drain(..));
        loop {
            match (left.next(), right.next()) {
                (None, None) => break,
                (old, new) => rows.push(Pair::Both(old, new)),
            }
        }
    };
    for line in lines {
        match line.kind {
            DiffKind::Removed => {
                if !added.is_empty() {
                    flush(&mut rows, &mut removed, &mut added);
                }
                removed.push(line);
            }
            DiffKind::Added => added.push(line),
            DiffKind::Same | DiffKind::Gap => {
                flush(&mut rows, &mut removed, &mut added);
                rows.push(if line.kind == DiffKind::Gap {
                    Pair::Gap(line)
                } else {
                    Pair::Both(Some(line), Some(line))
                });
            }
        }
    }
    flush(&mut rows, &mut removed, &mut added);
    rows
}

fn half(line: Option<&DiffLine>, no: impl Fn(&DiffLine) -> Option<u64>) -> Markup {
    html! {
        @if let Some(line) = line {
            (number(no(line), class(line.kind)))
            td.sign.(class(line.kind)) { (sign(line.kind)) }
            td.text.(class(line.kind)) { (text(line)) }
        } @else {
            td.no.void {} td.sign.void {} td.text.void {}
        }
    }
}

fn number(number: Option<u64>, class: &str) -> Markup {
    html! { td.no.(class) data-no=[number] {} }
}

fn text(line: &DiffLine) -> Markup {
    html! {
        @for span in &line.spans {
            @match (span.marked, line.kind) {
                (true, DiffKind::Added) => ins { (visible(&span.text)) },
                (true, DiffKind::Removed) => del { (visible(&span.text)) },
                _ => (visible(&span.text)),
            }
        }
    }
}

const fn class(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Added => "added",
        DiffKind::Removed => "removed",
        DiffKind::Same | DiffKind::Gap => "same",
    }
}

const fn sign(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Added => "+",
        DiffKind::Removed => "−",
        DiffKind::Same | DiffKind::Gap => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: DiffKind, old_no: Option<u64>, new_no: Option<u64>, text: &str) -> DiffLine {
        DiffLine {
            kind,
            old_no,
            new_no,
            spans: vec![Span {
                text: text.to_owned(),
                marked: false,
            }],
        }
    }

    #[test]
    fn removed_lines_stand_beside_the_added_ones_that_replace_them() {
        let lines = [
            line(DiffKind::Same, Some(1), Some(1), "a"),
            line(DiffKind::Removed, Some(2), None, "b"),
            line(DiffKind::Removed, Some(3), None, "c"),
            line(DiffKind::Added, None, Some(2), "B"),
        ];
        let rows: Vec<_> = pair(&lines)
            .into_iter()
            .map(|row| match row {
                Pair::Gap(_) => (None, None),
                Pair::Both(old, new) => (old.and_then(|l| l.old_no), new.and_then(|l| l.new_no)),
            })
            .collect();
        assert_eq!(rows, [(Some(1), Some(1)), (Some(2), Some(2)), (Some(3), None)]);
    }

    #[test]
    fn equal_texts_say_so() {
        assert!(
            diff("revision 1", "revision 2", &[])
                .into_string()
                .contains("No difference")
        );
    }
}
