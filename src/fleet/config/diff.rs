//! What differs between two contents, line by line, and within lines.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{DiffTag, TextDiff};

use super::{ConfigFile, ConfigMap};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;
/// How long the smallest difference is looked for. After it a larger one is taken, as true as the smallest.
const PATIENCE: Duration = Duration::from_millis(200);
/// The most lines that are replaced at once for which the differing words are looked for.
const MOST_MARKED: usize = 40;

/// What differs between two contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// The entries that differ, in the order of their names.
    pub files: Vec<FileDiff>,
}

/// What differs in one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDiff {
    /// The entry's name; empty for the only document.
    pub name: String,
    /// What happened to it.
    pub change: Change,
    /// Whether either side is no text, so that no lines can be shown.
    pub binary: bool,
    /// Lines that were added.
    pub added: u32,
    /// Lines that were removed.
    pub removed: u32,
    /// The changed parts with some lines around them.
    pub hunks: Vec<Hunk>,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It differs.
    Changed,
}

/// Lines that lie together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hunk {
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Its number before, from 1; `None` when it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// Its number after, from 1; `None` when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// The text without its line end.
    pub text: String,
    /// The parts that differ from the line that this one replaces, or is replaced by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// A part of a line, in bytes of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// Where it begins.
    pub start: usize,
    /// Where it has ended.
    pub end: usize,
}

impl Line {
    /// The text in parts, each with whether it is marked.
    pub fn spans(&self) -> impl Iterator<Item = (&str, bool)> {
        let ends = self
            .marks
            .iter()
            .flat_map(|mark| [(mark.start, false), (mark.end, true)]);
        let ends = ends.chain([(self.text.len(), false)]);
        let spans = ends.scan(0, |start, (end, marked)| {
            let span = self.text.get(*start..end).unwrap_or_default();
            *start = end;
            Some((span, marked))
        });
        spans.filter(|(span, _)| !span.is_empty())
    }
}

impl Diff {
    /// What changed from `before` to `after`.
    #[must_use]
    pub fn between(before: &ConfigMap, after: &ConfigMap) -> Self {
        let names: BTreeSet<_> = before.files.keys().chain(after.files.keys()).collect();
        let files = names
            .into_iter()
            .filter(|name| before.files.get(*name) != after.files.get(*name))
            .map(|name| file(name, before.files.get(name), after.files.get(name)));
        Self {
            files: files.collect(),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

fn file(name: &str, before: Option<&ConfigFile>, after: Option<&ConfigFile>) -> FileDiff {
    let change = match (before, after) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(_), Some(_)) => Change::Changed,
    };
    let mut diff = FileDiff {
        name: name.to_owned(),
        change,
        binary: false,
        added: 0,
        removed: 0,
        hunks: Vec::new(),
    };
    let text = |file: Option<&ConfigFile>| match file {
        Some(file) => std::str::from_utf8(&file.body).ok().map(str::to_owned),
        None => Some(String::new()),
    };
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        diff.binary = true;
        return diff;
    };
    let lines = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(old.as_str(), new.as_str());
    for group in lines.grouped_ops(CONTEXT) {
        let mut hunk = Hunk { lines: Vec::new() };
        for operation in &group {
            let replaced = operation.old_range().len().max(operation.new_range().len());
            if operation.tag() == DiffTag::Replace && replaced <= MOST_MARKED {
                for line in lines.iter_inline_changes(operation) {
                    let (text, marks) = marked(line.values());
                    hunk.lines
                        .push(Line::of(line.old_index(), line.new_index(), &text, marks));
                }
            } else {
                for line in lines.iter_changes(operation) {
                    hunk.lines.push(Line::of(
                        line.old_index(),
                        line.new_index(),
                        line.value(),
                        Vec::new(),
                    ));
                }
            }
        }
        diff.added += count(&hunk, |line| line.before.is_none());
        diff.removed += count(&hunk, |line| line.after.is_none());
        diff.hunks.push(hunk);
    }
    diff
}

impl Line {
    fn of(before: Option<usize>, after: Option<usize>, text: &str, mut marks: Vec<Mark>) -> Self {
        let text = text.trim_end_matches(['\n', '\r']);
        // A line end that differs is not to be seen.
        for mark in &mut marks {
            mark.end = mark.end.min(text.len());
        }
        marks.retain(|mark| mark.start < mark.end);
        Self {
            before: before.map(number),
            after: after.map(number),
            text: text.to_owned(),
            marks,
        }
    }
}

/// The text of a line that comes in parts, and which of them differ.
fn marked(parts: &[(bool, &str)]) -> (String, Vec<Mark>) {
    let (mut text, mut marks) = (String::new(), Vec::new());
    for (differs, part) in parts {
        let start = text.len();
        text.push_str(part);
        if *differs {
            marks.push(Mark {
                start,
                end: text.len(),
            });
        }
    }
    (text, marks)
}

fn count(hunk: &Hunk, which: impl Fn(&Line) -> bool) -> u32 {
    u32::try_from(hunk.lines.iter().filter(|line| which(line)).count()).unwrap_or(u32::MAX)
}

fn number(index: usize) -> u32 {
    u32::try_from(index).map_or(u32::MAX, |index| index.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_told_with_both_its_numbers_and_its_surroundings() {
        let before = ConfigMap::document("a\nb\nc\nd\ne\nf\ng\nh\ni\n");
        let after = ConfigMap::document("a\nb\nc\nd\nX\nf\ng\nh\ni\n");
        let diff = Diff::between(&before, &after);
        let file = &diff.files[0];
        assert_eq!((file.added, file.removed, file.hunks.len()), (1, 1, 1));
        let lines: Vec<_> = file.hunks[0]
            .lines
            .iter()
            .map(|line| (line.before, line.after, line.text.as_str()))
            .collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[0], (Some(2), Some(2), "b"));
        assert_eq!(lines[3], (Some(5), None, "e"));
        assert_eq!(lines[4], (None, Some(5), "X"));
    }

    #[test]
    fn the_words_that_differ_are_marked() {
        let before = ConfigMap::document("a: 1\nendpoint: localhost:4317\n");
        let after = ConfigMap::document("a: 1\nendpoint: localhost:4318 # é\n");
        let diff = Diff::between(&before, &after);
        let lines = &diff.files[0].hunks[0].lines;
        assert_eq!(lines[0].marks, []);
        for line in lines {
            let joined: String = line.spans().map(|(span, _)| span).collect();
            assert_eq!(joined, line.text);
        }
        let marked = |line: &Line| -> String {
            line.spans()
                .filter(|(_, marked)| *marked)
                .map(|(span, _)| span)
                .collect()
        };
        assert!(!marked(&lines[1]).is_empty() && !marked(&lines[1]).contains("endpoint"));
        assert!(marked(&lines[2]).contains('é') && !marked(&lines[2]).contains("endpoint"));
    }

    #[test]
    fn large_contents_that_have_nothing_in_common_are_still_compared() {
        let lines = |mark: char| {
            (0..20_000)
                .map(|n| format!("{mark}{}", n % 7919))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let diff = Diff::between(
            &ConfigMap::document(&lines('a')),
            &ConfigMap::document(&lines('b')),
        );
        assert_eq!((diff.files[0].added, diff.files[0].removed), (20_000, 20_000));
    }

    #[test]
    fn equal_contents_differ_in_nothing_and_bytes_that_are_no_text_are_said_to_be() {
        let one = ConfigMap::document("a\n");
        assert!(Diff::between(&one, &one).is_empty());
        let mut bytes = one.clone();
        bytes.files.get_mut("").unwrap().body = vec![0xff];
        assert!(Diff::between(&one, &bytes).files[0].binary);
    }

    #[test]
    fn entries_that_come_and_go_are_told_by_name() {
        let (none, one) = (ConfigMap::default(), ConfigMap::document("a\n"));
        assert_eq!(Diff::between(&none, &one).files[0].change, Change::Added);
        assert_eq!(Diff::between(&one, &none).files[0].change, Change::Removed);
    }
}
