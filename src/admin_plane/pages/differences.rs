//! Differences between two contents as pages show them: entry by entry.

use maud::{Markup, html};

use super::parts::{DiffKind, DiffLine, DiffView, Span, diff_with, visible};
use crate::fleet::config::{Diff, FileDiff, Line};

/// What differs from `old` to `new`, each entry under its name unless there is only the one document.
#[must_use]
pub fn differences(old: &str, new: &str, diff: &Diff, view: DiffView, switch: Option<&str>) -> Markup {
    html! {
        @if diff.is_empty() { (diff_with(old, new, &[], view, None)) }
        @for file in &diff.files {
            @if !file.name.is_empty() { h3 { code { (visible(&file.name)) } } }
            @if file.binary {
                p.soft { "It differs. It is no text, so that no lines can be shown." }
            } @else {
                (diff_with(old, new, &shown(file), view, switch))
            }
        }
    }
}

fn shown(file: &FileDiff) -> Vec<DiffLine> {
    let (mut lines, mut last) = (Vec::new(), 0);
    for hunk in &file.hunks {
        let first = hunk.lines.iter().find_map(|line| line.before);
        let skipped = first.map_or(0, |first| first.saturating_sub(last + 1));
        if skipped > 0 {
            let words = if skipped == 1 {
                "1 equal line".to_owned()
            } else {
                format!("{skipped} equal lines")
            };
            lines.push(DiffLine {
                kind: DiffKind::Gap,
                old_no: None,
                new_no: None,
                spans: vec![Span {
                    text: words,
                    marked: false,
                }],
            });
        }
        lines.extend(hunk.lines.iter().map(line));
        last = hunk
            .lines
            .iter()
            .rev()
            .find_map(|line| line.before)
            .unwrap_or(last);
    }
    lines
}

fn line(line: &Line) -> DiffLine {
    let kind = match (line.before, line.after) {
        (None, _) => DiffKind::Added,
        (_, None) => DiffKind::Removed,
        (Some(_), Some(_)) => DiffKind::Same,
    };
    let spans = line.spans().map(|(text, marked)| Span {
        text: text.to_owned(),
        marked,
    });
    DiffLine {
        kind,
        old_no: line.before.map(u64::from),
        new_no: line.after.map(u64::from),
        spans: spans.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::ConfigMap;

    #[test]
    fn lines_that_are_left_out_are_counted() {
        let before = (1..40).fold(String::new(), |text, n| format!("{text}line {n}\n"));
        let after = before
            .replace("line 2\n", "line two\n")
            .replace("line 30\n", "line thirty\n");
        let diff = Diff::between(&ConfigMap::document(&before), &ConfigMap::document(&after));
        let html = differences("a", "b", &diff, DiffView::Unified, None).into_string();
        // 6 to 26 are equal and not shown.
        assert!(html.contains("21 equal lines"), "{html}");
        assert!(
            html.contains("<del>2</del>") && html.contains("<ins>two</ins>"),
            "{html}"
        );
    }
}
