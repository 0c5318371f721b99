//! Whether a content may be kept and published as a config of its kind.

use super::lint::{Available, Judged, lint_for};
use super::yaml::Limits;
use super::{ConfigMap, Kind, Position, Problem};

/// The most entries of a config of files.
const MOST_FILES: usize = 256;
/// The longest name of an entry, type and role, in bytes.
const LONGEST_NAME: usize = 256;

/// The problems of a content, as a config of this kind, for agents that have these components. No error among them: a layer
/// may be saved, and a whole be published. Files are whole by themselves.
#[must_use]
pub fn check(
    kind: Kind,
    content: &ConfigMap,
    limits: &Limits,
    available: &Available,
    judged: Judged,
) -> Vec<Problem> {
    match kind {
        Kind::Collector => collector(content, limits, available, judged),
        Kind::Files => files(content, limits),
    }
}

fn collector(content: &ConfigMap, limits: &Limits, available: &Available, judged: Judged) -> Vec<Problem> {
    match (content.files.len(), content.files.get("")) {
        (1, Some(document)) => lint_for(&document.body, limits, available, judged),
        _ => vec![error(
            None,
            "a collector takes one document, under the empty name",
        )],
    }
}

fn files(content: &ConfigMap, limits: &Limits) -> Vec<Problem> {
    let mut problems = Vec::new();
    if content.is_empty() {
        problems.push(error(
            None,
            "there is no file; agents take that as an instruction to run nothing",
        ));
    }
    if content.files.len() > MOST_FILES {
        problems.push(error(
            None,
            format!(
                "there are {} files; at most {MOST_FILES} are taken",
                content.files.len()
            ),
        ));
    }
    if content.size() > limits.bytes {
        let message = format!(
            "the files have {} bytes together; at most {} are taken",
            content.size(),
            limits.bytes
        );
        problems.push(error(None, message));
    }
    for (name, file) in &content.files {
        let texts = [
            ("name", name),
            ("content type", &file.content_type),
            ("role", &file.role),
        ];
        for (what, text) in texts {
            if text.len() > LONGEST_NAME {
                problems.push(error(
                    Some(name),
                    format!("a {what} has at most {LONGEST_NAME} bytes"),
                ));
            }
            if text.chars().any(char::is_control) {
                problems.push(error(Some(name), format!("a {what} has no control characters")));
            }
        }
        if file.body.is_empty() {
            let message = "this file is empty; some agents refuse that";
            problems.push(Problem {
                file: Some(name.clone()),
                ..Problem::warning(Position::START, message)
            });
        }
    }
    problems
}

/// A problem of a whole entry, or of all of them together.
fn error(file: Option<&String>, message: impl Into<String>) -> Problem {
    Problem {
        file: file.cloned(),
        ..Problem::error(Position::START, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::ConfigFile;

    fn errors(kind: Kind, content: &ConfigMap) -> Vec<String> {
        let problems = check(
            kind,
            content,
            &Limits::default(),
            &Available::default(),
            Judged::Whole,
        );
        problems
            .iter()
            .filter(|p| p.is_error())
            .map(|p| p.message.clone())
            .collect()
    }

    fn named(names: &[&str]) -> ConfigMap {
        let file = ConfigFile {
            body: b"x".to_vec(),
            ..ConfigFile::default()
        };
        ConfigMap {
            files: names
                .iter()
                .map(|name| ((*name).to_owned(), file.clone()))
                .collect(),
        }
    }

    #[test]
    fn a_collector_takes_one_good_document_under_the_empty_name() {
        let good = "receivers: {nop: }\nexporters: {nop: }\nservice: {pipelines: {logs: {receivers: [nop], exporters: [nop]}}}";
        assert_eq!(
            errors(Kind::Collector, &ConfigMap::document(good)),
            Vec::<String>::new()
        );
        assert_eq!(errors(Kind::Collector, &ConfigMap::document("a: [")).len(), 1);
        for names in [&[][..], &["a"], &["", "a"]] {
            let found = errors(Kind::Collector, &named(names));
            assert_eq!(
                found,
                ["a collector takes one document, under the empty name"],
                "{names:?}"
            );
        }
    }

    #[test]
    fn files_pass_untouched_within_limits() {
        assert_eq!(
            errors(Kind::Files, &named(&["", "a", "ns/name"])),
            Vec::<String>::new()
        );
        assert_eq!(errors(Kind::Files, &named(&[])).len(), 1);
        assert_eq!(
            errors(Kind::Files, &named(&["a\nb"])),
            ["a name has no control characters"]
        );
        assert_eq!(
            errors(Kind::Files, &named(&[&"a".repeat(257)])),
            ["a name has at most 256 bytes"]
        );
        let mut big = named(&["a"]);
        big.files.get_mut("a").unwrap().body = vec![b'x'; 1 << 20];
        assert_eq!(errors(Kind::Files, &big).len(), 1);
        big.files.get_mut("a").unwrap().body.clear();
        let problems = check(
            Kind::Files,
            &big,
            &Limits::default(),
            &Available::default(),
            Judged::Whole,
        );
        assert_eq!((problems.len(), problems[0].is_error()), (1, false));
        assert_eq!(problems[0].file.as_deref(), Some("a"));
    }
}
