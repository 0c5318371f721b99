//! Contents of configurations, and what differs between them, as text.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use crate::fleet::config::merge::{Overlap, Said};
use crate::fleet::config::{Change, ConfigMap, Content, Diff, FileDiff, Problem, Severity};
use crate::fleet::target::LayerRef;
use crate::observability::plain::plain;

/// Prints the content of an answer that has one under `content`.
pub(super) fn content_of(session: &mut Session<'_>, answer: &Value) -> anyhow::Result<()> {
    if session.shape.json {
        return session.say(answer, String::new);
    }
    let text = content_text(answer)?;
    session.document(&text)
}

/// The content of an answer that has one under `content`, as text.
pub(super) fn content_text(answer: &Value) -> anyhow::Result<String> {
    let content = answer.get("content").cloned().unwrap_or_default();
    // Agents report entries; configs have a document or entries.
    let map = match serde_json::from_value::<Content>(content.clone()) {
        Ok(content) => content.into_map(),
        Err(_) => serde_json::from_value::<ConfigMap>(content)?,
    };
    Ok(text(&map))
}

/// All entries behind each other, with headings where there are several.
pub(super) fn text(map: &ConfigMap) -> String {
    let mut text = String::new();
    for (name, file) in &map.files {
        if map.files.len() > 1 {
            let _ = writeln!(text, "# ---- {}", plain(name));
        }
        text.push_str(&String::from_utf8_lossy(&file.body));
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

/// What differs, a line each: `+` was added, `-` was removed.
pub(super) fn diff(diff: &Diff) -> String {
    let mut text = String::new();
    for file in &diff.files {
        heading(&mut text, file);
        for hunk in &file.hunks {
            let first = hunk.lines.first();
            let number = first.and_then(|line| line.after.or(line.before)).unwrap_or(1);
            let _ = writeln!(text, "@@ line {number}");
            for line in &hunk.lines {
                let mark = match (line.before, line.after) {
                    (None, _) => '+',
                    (_, None) => '-',
                    (Some(_), Some(_)) => ' ',
                };
                let _ = writeln!(text, "{mark}{}", line.text);
            }
        }
    }
    text
}

fn heading(text: &mut String, file: &FileDiff) {
    let change = match file.change {
        Change::Added => "new",
        Change::Removed => "gone",
        Change::Changed => "changed",
    };
    let name = if file.name.is_empty() {
        "document".to_owned()
    } else {
        plain(&file.name)
    };
    let _ = writeln!(text, "{name}: {change}, +{} -{}", file.added, file.removed);
    if file.binary {
        text.push_str("not text\n");
    }
}

/// Prints what differs, or says that nothing does.
pub(super) fn print_diff(
    session: &mut Session<'_>,
    answer: &impl Serialize,
    found: &Diff,
) -> anyhow::Result<()> {
    if session.shape.json {
        session.say(answer, String::new)
    } else if found.files.is_empty() {
        session.output.line("nothing differs")
    } else {
        session.document(&diff(found))
    }
}

/// One finding, as compilers write it.
pub(super) fn problem(file: &str, problem: &Problem) -> String {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Incomplete => "incomplete",
        Severity::Warning => "warning",
    };
    let file = problem.file.as_deref().unwrap_or(file);
    format!(
        "{file}:{}:{}: {severity}: {}",
        problem.at.line, problem.at.column, problem.message
    )
}

/// Where layers contradict each other, in a line.
pub(super) fn overlap(layers: &[LayerRef], overlap: &Overlap) -> String {
    let layer = |said: &Said| match layers.get(usize::from(said.layer)) {
        Some(layer) => format!("{layer} line {}", said.at.line),
        None => "another layer".to_owned(),
    };
    let told = |said: &Said| {
        if said.removes() {
            format!("removed by {}", layer(said))
        } else {
            format!("{} of {}", plain(&said.value), layer(said))
        }
    };
    let lost: Vec<_> = overlap.lost.iter().map(told).collect();
    format!(
        "  {}: {}, over {}",
        plain(&overlap.path),
        told(&overlap.kept),
        lost.join(" and ")
    )
}

/// What layers come to: each line behind its layer.
pub(super) fn rendered(view: &Value) -> String {
    let layers: Vec<LayerRef> = at(view, "layers");
    let overlaps: Vec<Overlap> = at(view, "overlaps");
    let lines = view
        .get("lines")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let names: Vec<_> = layers.iter().map(ToString::to_string).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut told: Vec<_> = lines
        .iter()
        .map(|line| {
            let layer = line.get("layer").and_then(Value::as_u64).unwrap_or_default();
            let name = usize::try_from(layer).ok().and_then(|layer| names.get(layer));
            let text = line.get("text").and_then(Value::as_str).unwrap_or_default();
            format!("{:width$} | {}", name.map_or("", String::as_str), plain(text))
        })
        .collect();
    let files: Vec<String> = at(view, "files");
    told.extend(files.iter().map(|file| plain(file)));
    if !overlaps.is_empty() {
        told.push("\nLayers contradict each other:".to_owned());
        told.extend(overlaps.iter().map(|found| overlap(&layers, found)));
    }
    let missing: Vec<String> = at(view, "missing");
    if !missing.is_empty() {
        told.push(format!(
            "\nThese stand for nothing at the agent: {}",
            missing.join(", ")
        ));
    }
    let problems: Vec<Problem> = at(view, "problems");
    told.extend(problems.iter().map(|found| problem("rendered", found)));
    told.join("\n")
}

fn at<T: serde::de::DeserializeOwned + Default>(value: &Value, key: &str) -> T {
    let found = value.get(key).cloned().unwrap_or_default();
    serde_json::from_value(found).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_reads_like_a_patch() {
        let found = Diff::between(
            &ConfigMap::document("a: 1\nb: 2\n"),
            &ConfigMap::document("a: 1\nb: 3\n"),
        );
        assert_eq!(
            diff(&found),
            "document: changed, +1 -1\n@@ line 1\n a: 1\n-b: 2\n+b: 3\n"
        );
    }

    #[test]
    fn one_document_is_printed_as_it_is_and_several_with_headings() {
        assert_eq!(text(&ConfigMap::document("a: 1")), "a: 1\n");
        let mut two = ConfigMap::document("a: 1\n");
        two.files.insert("b.yaml".to_owned(), two.files[""].clone());
        assert_eq!(text(&two), "# ---- \na: 1\n# ---- b.yaml\na: 1\n");
    }
}
