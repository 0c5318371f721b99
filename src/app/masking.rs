//! Keeping secrets out of what agents report, before it is stored: a mark stands where a secret stood.

use super::intentions::{Index, Intentions};
use crate::fleet::config::yaml::{self, Entry, Limits, Node, Value};
use crate::fleet::config::{ConfigFile, ConfigMap};

/// From this length on a secret is also looked for inside of other text.
const TELLING_BYTES: usize = 6;

impl Intentions {
    /// A content with marks in the place of the secrets that are known, as agents report it. The same content when there
    /// are none in it.
    #[must_use]
    pub fn masked(&self, content: ConfigMap) -> ConfigMap {
        let index = self.index();
        let secrets = Secrets::of(&index, |value| self.seal_key().mark(value));
        if secrets.0.is_empty() {
            return content;
        }
        let files = content.files.into_iter();
        let masked = files.map(|(name, file)| (name, secrets.mask(file)));
        ConfigMap {
            files: masked.collect(),
        }
    }
}

/// Values with their marks, longest first.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn of(index: &Index, mark: impl Fn(&str) -> String) -> Self {
        let heads = index.secrets();
        let values = heads.flat_map(|head| head.value.iter().chain(&head.before));
        let mut all: Vec<_> = values
            .map(|value| (value.reveal().clone(), mark(value.reveal())))
            .collect();
        all.sort_by(|a, b| (b.0.len(), &a.0).cmp(&(a.0.len(), &b.0)));
        all.dedup();
        Self(all)
    }

    fn mask(&self, file: ConfigFile) -> ConfigFile {
        let Ok(text) = std::str::from_utf8(&file.body) else {
            return file;
        };
        if !self.0.iter().any(|(value, _)| may_hold(text, value)) {
            return file;
        }
        let root = yaml::parse(&file.body, &Limits::default());
        let masked = root.ok().and_then(|mut root| {
            let found = self.mask_tree(&mut root);
            found.then(|| root.emit().text)
        });
        // What is no YAML, or holds secrets only in its comments.
        let body = masked.unwrap_or_else(|| self.replaced(text).unwrap_or_else(|| text.to_owned()));
        ConfigFile {
            body: body.into_bytes(),
            ..file
        }
    }

    /// Whether anything was masked.
    fn mask_tree(&self, node: &mut Node) -> bool {
        match &mut node.value {
            Value::Text(text) => {
                let masked = self.replaced(text);
                let found = masked.is_some();
                *text = masked.unwrap_or_else(|| std::mem::take(text));
                found
            }
            Value::Int(_) | Value::Float(_) => {
                let masked = self.replaced(&yaml::in_one_line(&node.value));
                let found = masked.is_some();
                if let Some(mark) = masked {
                    node.value = Value::Text(mark);
                }
                found
            }
            // All of them, whatever the first says.
            Value::List(items) => items
                .iter_mut()
                .fold(false, |found, item| self.mask_tree(item) | found),
            Value::Map(entries) => entries
                .iter_mut()
                .fold(false, |found, Entry { value, .. }| self.mask_tree(value) | found),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// A text with marks in it; `None` when there is no secret in it.
    fn replaced(&self, text: &str) -> Option<String> {
        if let Some((_, mark)) = self
            .0
            .iter()
            .find(|(value, _)| value.trim_end() == text.trim_end())
        {
            return Some(mark.clone());
        }
        let mut masked: Option<String> = None;
        for (value, mark) in &self.0 {
            for form in forms(value) {
                let now = masked.as_deref().unwrap_or(text);
                if form.len() >= TELLING_BYTES && now.contains(&form) {
                    masked = Some(now.replace(&form, mark));
                }
            }
        }
        masked
    }
}

/// A value as it may stand in a configuration: as it is, and with its `$` doubled for collectors.
fn forms(value: &str) -> Vec<String> {
    let value = value.trim_end();
    let doubled = value.replace('$', "$$");
    if doubled == value {
        vec![doubled]
    } else {
        vec![doubled, value.to_owned()]
    }
}

/// Whether a look into the document pays: some part of the value that is written alike everywhere is there.
fn may_hold(text: &str, value: &str) -> bool {
    let telling = |c: char| !c.is_alphanumeric();
    let longest = value
        .split(telling)
        .max_by_key(|part| part.len())
        .unwrap_or_default();
    text.contains(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(values: &[&str], body: &str) -> String {
        let all = values.iter().enumerate();
        let secrets = Secrets(
            all.map(|(at, value)| ((*value).to_owned(), format!("[mark {at}]")))
                .collect(),
        );
        let file = ConfigFile {
            body: body.into(),
            ..ConfigFile::default()
        };
        String::from_utf8(secrets.mask(file).body).unwrap()
    }

    #[test]
    fn a_secret_is_masked_however_it_is_written() {
        for body in [
            "a: hunter22\n",
            "a: \"hunter22\"\n",
            "a: \"\\x68unter22\"\n",
            "a: |\n  hunter22\n",
        ] {
            let found = masked(&["hunter22"], body);
            assert!(
                found.starts_with("a: '[mark 0]'") || found == body && body.contains("\\x"),
                "{found}"
            );
        }
        assert_eq!(
            masked(&["hunter22"], "a: Bearer hunter22"),
            "a: Bearer [mark 0]\n"
        );
        assert_eq!(masked(&["12345678"], "a: 12345678"), "a: '[mark 0]'\n");
        assert_eq!(masked(&["pa$$word"], "a: pa$$$$word"), "a: '[mark 0]'\n");
        let pem = "-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----\n";
        let block = "tls:\n  key_pem: |\n    -----BEGIN KEY-----\n    abcdefgh\n    -----END KEY-----\n";
        assert_eq!(masked(&[pem], block), "tls:\n  key_pem: '[mark 0]'\n");
    }

    #[test]
    fn what_holds_none_stays_byte_for_byte() {
        for body in ["# about\na:   1\n", "a: [", ""] {
            assert_eq!(masked(&["hunter22"], body), body);
        }
        assert_eq!(masked(&["hunter22"], "[a: hunter22"), "[a: [mark 0]", "no YAML");
        assert_eq!(
            masked(&["abcd"], "a: xabcdx\nb: abcd\n"),
            "a: xabcdx\nb: '[mark 0]'\n",
            "short ones whole only"
        );
    }
}
