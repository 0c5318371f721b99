//! Keeping secrets out of what agents report, before it is stored: a mark stands where a secret stood. Those are secrets
//! that we know, wherever they stand, and whatever else by its name looks like one.

use super::intentions::{Index, Intentions};
use crate::fleet::config::secrecy::{find_telling_mark, is_mark, is_secret, may_hold_secrets};
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
        let files = content.files.into_iter();
        let masked = files.map(|(name, file)| (name, secrets.mask(file)));
        ConfigMap {
            files: masked.collect(),
        }
    }

    /// A text with the variables of the secrets whose marks stand in it.
    #[must_use]
    pub fn unmasked(&self, text: &str) -> String {
        let index = self.index();
        let marked = index.secrets().flat_map(|head| {
            let values = head.value.iter().chain(&head.before);
            values.map(|value| (self.seal_key().mark(value.reveal()), &head.record.name))
        });
        marked.fold(text.to_owned(), |text, (mark, name)| {
            // A mark alone is written in quotes, which a variable can keep.
            text.replace(&mark, &format!("${{muster:secret.{name}}}"))
        })
    }
}

/// Values with their marks, longest first, and how others are marked.
struct Secrets<M> {
    known: Vec<(String, String)>,
    mark: M,
}

impl<M: Fn(&str) -> String> Secrets<M> {
    fn of(index: &Index, mark: M) -> Self {
        let heads = index.secrets();
        let values = heads.flat_map(|head| head.value.iter().chain(&head.before));
        let mut all: Vec<_> = values
            .map(|value| (value.reveal().clone(), mark(value.reveal())))
            .collect();
        all.sort_by(|a, b| (b.0.len(), &a.0).cmp(&(a.0.len(), &b.0)));
        all.dedup();
        Self { known: all, mark }
    }

    fn mask(&self, file: ConfigFile) -> ConfigFile {
        let Ok(text) = std::str::from_utf8(&file.body) else {
            return file;
        };
        if !may_hold_secrets(text) && !self.known.iter().any(|(value, _)| may_hold(text, value)) {
            return file;
        }
        let root = yaml::parse(&file.body, &Limits::default());
        let masked = root.ok().and_then(|mut root| {
            let found = self.mask_tree(&mut root, &mut Vec::new());
            found.then(|| root.emit().text)
        });
        // What is no YAML, or holds secrets only in its comments.
        let body = masked.unwrap_or_else(|| self.replaced(text).unwrap_or_else(|| text.to_owned()));
        ConfigFile {
            body: body.into_bytes(),
            ..file
        }
    }

    /// Whether anything was masked. `path` leads to the node.
    fn mask_tree<'a>(&self, node: &'a mut Node, path: &mut Vec<&'a str>) -> bool {
        let by_name = is_secret(path, node);
        if let Value::Int(_) | Value::Float(_) = node.value {
            let number = yaml::in_one_line(&node.value);
            let masked = self
                .replaced(&number)
                .or_else(|| by_name.then(|| (self.mark)(&number)));
            let found = masked.is_some();
            if let Some(mark) = masked {
                node.value = Value::Text(mark);
            }
            return found;
        }
        match &mut node.value {
            Value::Text(text) => {
                let masked = self.replaced(text).or_else(|| {
                    // What a variable fills in is not here, and what is a mark already stays one.
                    let bare = !is_mark(text) && !text.contains("${") && find_telling_mark(text).is_none();
                    (by_name && bare && !text.is_empty()).then(|| (self.mark)(text))
                });
                let found = masked.is_some();
                *text = masked.unwrap_or_else(|| std::mem::take(text));
                found
            }
            // All of them, whatever the first says.
            Value::List(items) => {
                path.push("[]");
                let mask = |found, item| self.mask_tree(item, path) | found;
                let found = items.iter_mut().fold(false, mask);
                path.pop();
                found
            }
            Value::Map(entries) => entries.iter_mut().fold(false, |found, entry| {
                let Entry { key, value, .. } = entry;
                path.push(key);
                let masked = self.mask_tree(value, path);
                path.pop();
                masked | found
            }),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
        }
    }

    /// A text with marks in it; `None` when there is no secret in it.
    fn replaced(&self, text: &str) -> Option<String> {
        if let Some((_, mark)) = self
            .known
            .iter()
            .find(|(value, _)| value.trim_end() == text.trim_end())
        {
            return Some(mark.clone());
        }
        let mut masked: Option<String> = None;
        for (value, mark) in &self.known {
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
        let secrets = Secrets {
            known: all
                .map(|(at, value)| ((*value).to_owned(), format!("[mark {at}]")))
                .collect(),
            mark: |value: &str| format!("[secret {:x}]", value.len()),
        };
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
    fn what_looks_like_a_secret_is_masked_though_nobody_told_us() {
        for (body, expected) in [
            ("a: {password: abc}\n", "a:\n  password: '[secret 3]'\n"),
            (
                "e: {headers: {x-team: infra}}\n",
                "e:\n  headers:\n    x-team: '[secret 5]'\n",
            ),
            ("tokens: [a, bb]\n", "tokens:\n- '[secret 1]'\n- '[secret 2]'\n"),
            ("api_key: 12\n", "api_key: '[secret 2]'\n"),
        ] {
            let found = masked(&[], body);
            let (found, expected) = (found.replace(' ', ""), expected.replace(' ', ""));
            assert_eq!(found, expected);
            assert_eq!(masked(&[], &found), found, "once");
        }
        for body in [
            "token: ${env:TOKEN}\n",
            "headers: {authorization: 'Bearer ${env:TOKEN}'}\n",
            "token: '[REDACTED]'\n",
            "password: ''\n",
            "password_file: /etc/pw\n",
            "authorization: Bearer [secret ab12]\n",
        ] {
            assert_eq!(masked(&[], body), body);
        }
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
