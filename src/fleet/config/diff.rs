//! What differs between two contents, line by line.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use super::{ConfigFile, ConfigMap};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    let lines = TextDiff::from_lines(&old, &new);
    for group in lines.grouped_ops(CONTEXT) {
        let changes = group.iter().flat_map(|operation| lines.iter_changes(operation));
        let mut hunk = Hunk { lines: Vec::new() };
        for line in changes {
            match line.tag() {
                ChangeTag::Delete => diff.removed += 1,
                ChangeTag::Insert => diff.added += 1,
                ChangeTag::Equal => {}
            }
            hunk.lines.push(Line {
                before: line.old_index().map(number),
                after: line.new_index().map(number),
                text: line.value().trim_end_matches(['\n', '\r']).to_owned(),
            });
        }
        diff.hunks.push(hunk);
    }
    diff
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
