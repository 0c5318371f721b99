//! What of a configuration is nobody's business: values that look like secrets, and what stands in their place.

use super::yaml::{Node, Value};

/// What collectors show in the place of a secret.
pub const REDACTED: &str = "[REDACTED]";
/// What we show in the place of a secret.
pub const HIDDEN: &str = "***";

/// What a mark that tells one secret from another begins with; `]` ends it.
const TELLING: &str = "[secret ";

/// What stands in the place of a secret where two of them are compared: `digest` tells them apart, and nothing of them.
#[must_use]
pub fn telling_mark(digest: &str) -> String {
    format!("{TELLING}{digest}]")
}

/// The first telling mark in a text.
#[must_use]
pub fn find_telling_mark(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(TELLING)?;
    let digest = rest.split(']').next()?;
    let whole = rest.len() > digest.len() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let start = text.len() - rest.len() - TELLING.len();
    whole.then(|| text.get(start..start + TELLING.len() + digest.len() + 1))?
}

/// Whether a text stands in the place of a secret: the collectors' own mark, or ours.
#[must_use]
pub fn is_mark(text: &str) -> bool {
    text == REDACTED || text == HIDDEN
}

/// Whether the value at a place of a configuration is to be hidden. `path` leads there from the outside to the inside.
#[must_use]
pub fn is_secret(path: &[&str], value: &Node) -> bool {
    let text = match &value.value {
        Value::Text(text) => text.as_str(),
        Value::Int(_) => "",
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => return false,
    };
    let open = text.starts_with("${") && text.ends_with('}') && text.matches("${").count() == 1;
    let named = path
        .iter()
        .rev()
        .find(|name| **name != "[]")
        .is_some_and(|name| is_secret_name(name));
    // Whatever a header carries: the names of secret ones are the vendors' own.
    let within_headers = path
        .iter()
        .rev()
        .skip(1)
        .any(|name| name.eq_ignore_ascii_case("headers"));
    !open && (is_mark(text) || named || within_headers || has_password(text))
}

/// What the names of secrets have in them.
const SECRET: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "access_key",
    "private_key",
    "key_pem",
    "credential",
    "authorization",
    "connection_string",
];

/// Whether a look into a document pays: something in it may be the name of a secret, or hold one.
#[must_use]
pub fn may_hold_secrets(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    let words = ["headers", "@"];
    SECRET.iter().chain(&words).any(|word| text.contains(word))
}

/// Whether what goes by this name is usually a secret.
fn is_secret_name(name: &str) -> bool {
    /// These name where a secret lies, or what it is about.
    const ABOUT: [&str; 9] = [
        "_file",
        "_path",
        "_url",
        "_uri",
        "_name",
        "_type",
        "_endpoint",
        "_interval",
        "_ttl",
    ];
    let name: String = name
        .chars()
        .map(|c| match c {
            '-' | '.' | ' ' => '_',
            c => c.to_ascii_lowercase(),
        })
        .collect();
    SECRET.iter().any(|secret| name.contains(secret)) && !ABOUT.iter().any(|about| name.ends_with(about))
}

/// Whether an address carries a password, as in `https://user:password@host`.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':') && !user.contains("${"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::Position;

    fn text(text: &str) -> Node {
        Node::new(Position::START, Value::Text(text.into()))
    }

    #[test]
    fn a_telling_mark_is_found_where_it_stands() {
        assert_eq!(find_telling_mark(&telling_mark("ab12")), Some("[secret ab12]"));
        assert_eq!(find_telling_mark("Bearer [secret ab12] x"), Some("[secret ab12]"));
        for none in ["", "[secret", "[secret ab12", "[secret of mine]", "a ] b"] {
            assert_eq!(find_telling_mark(none), None, "{none}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_names_and_by_what_they_look_like() {
        for (path, value) in [
            (&["exporters", "a", "api-key"][..], "x"),
            (&["exporters", "a", "headers", "X-Team"], "x"),
            (&["receivers", "a", "password"], "x"),
            (&["extensions", "a", "client_secret"], "x"),
            (&["exporters", "a", "tokens", "[]"], "x"),
            (&["exporters", "a", "endpoint"], "https://me:pw@host/x?y"),
            (&["exporters", "a", "endpoint"], "[REDACTED]"),
        ] {
            assert!(is_secret(path, &text(value)), "{path:?} {value}");
        }
        for (path, value) in [
            (&["exporters", "a", "endpoint"][..], "https://host:4317/a@b"),
            (&["exporters", "a", "password_file"], "/etc/x"),
            (&["exporters", "a", "token"], "${env:TOKEN}"),
            (&["extensions", "oauth", "token_url"], "https://x"),
            (&["headers"], "x"),
        ] {
            assert!(!is_secret(path, &text(value)), "{path:?} {value}");
        }
        let yes = Node::new(Position::START, Value::Bool(true));
        assert!(!is_secret(&["use_token"], &yes));
    }
}
