//! Small things in headers: request ids, cookies, what a client wants to read, and what protects a page.

use std::fmt;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Names one request in answers and in the log. 64 random bits as 16 hexadecimal digits; not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// A new id.
    #[expect(
        clippy::new_without_default,
        reason = "each one is another: there is no default id"
    )]
    pub fn new() -> Self {
        Self(fastrand::u64(..))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The value of the cookie `name` (RFC 6265). `None` when it isn't sent, has a value that no server of ours sets, or is
/// sent twice with different values: then somebody else planted one, and neither is believed.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    for line in headers.get_all(header::COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            let Some((known, value)) = pair.trim_matches([' ', '\t']).split_once('=') else {
                continue;
            };
            if known != name {
                continue;
            }
            if found.is_some_and(|other| other != value) || !value.bytes().all(is_cookie_byte) {
                return None;
            }
            found = Some(value);
        }
    }
    found
}

/// A `Set-Cookie` for this host only: `Secure`, `HttpOnly`, `SameSite=Lax`, the whole site, for `life` (zero removes it).
/// Give it a name that begins with `__Host-`. `None` when `name` or `value` has bytes that cookies can't carry.
pub fn set_cookie(name: &str, value: &str, life: Duration) -> Option<HeaderValue> {
    if name.is_empty() || !name.bytes().all(is_token_byte) || !value.bytes().all(is_cookie_byte) {
        return None;
    }
    let seconds = life.as_secs();
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether the client would rather read a page than JSON, by its `Accept`. Only one that asks for HTML by name does.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0, 0);
    for line in headers.get_all(header::ACCEPT) {
        for range in line.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1000, thousandths);
            match media.as_str() {
                "text/html" | "application/xhtml+xml" => html = html.max(weight),
                "application/json" | "application/problem+json" => json = json.max(weight),
                _ => {}
            }
        }
    }
    html > json
}

/// Puts on the headers that every page carries: nothing from elsewhere, nothing inline, no framing, no sniffing, no
/// caching (unless the response already says how).
pub fn protect_page(headers: &mut HeaderMap) {
    for (name, value) in PAGE_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

const PAGE_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// A quality such as `0.8` in thousandths; nonsense counts as nothing.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match whole {
        "1" => 1000,
        "0" => format!("{fraction:0<3}")
            .get(..3)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0),
        _ => 0,
    }
}

/// RFC 6265 `cookie-octet`.
fn is_cookie_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// RFC 9110 `tchar`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        let headers = with(&header::COOKIE, &["a=1; __Host-s=x=y", "b=2;c", "bad=\"q\""]);
        assert_eq!(cookie(&headers, "__Host-s"), Some("x=y"));
        assert_eq!(cookie(&headers, "b"), Some("2"));
        for missing in ["s", "", "c", "bad", "A"] {
            assert_eq!(cookie(&headers, missing), None, "{missing}");
        }
    }

    #[test]
    fn a_planted_second_cookie_makes_both_worthless() {
        assert_eq!(cookie(&with(&header::COOKIE, &["s=1; s=2"]), "s"), None);
        assert_eq!(cookie(&with(&header::COOKIE, &["s=1", "s=1"]), "s"), Some("1"));
    }

    proptest! {
        #[test]
        fn any_cookie_header_is_read_without_failing(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert(header::COOKIE, value);
            }
            if let Some(value) = cookie(&headers, "s") {
                prop_assert!(value.bytes().all(is_cookie_byte));
            }
        }

        #[test]
        fn a_cookie_that_we_set_comes_back_the_same(value in "[!#-+\\--:<-\\[\\]-~]{0,40}", other in "[a-z]{1,5}") {
            let set = set_cookie("__Host-s", &value, Duration::from_mins(1)).unwrap();
            let pair = set.to_str().unwrap().split("; ").next().unwrap().to_owned();
            let headers = with(&header::COOKIE, &[&format!("{other}=1; {pair}")]);
            prop_assert_eq!(cookie(&headers, "__Host-s"), Some(value.as_str()));
        }

        #[test]
        fn any_accept_header_is_read_without_failing(text in "[ -~]{0,60}") {
            prefers_html(&with(&header::ACCEPT, &[&text]));
        }
    }

    #[test]
    fn no_cookie_is_set_that_would_break_its_header() {
        for (name, value) in [("", "a"), ("a b", "a"), ("a", "a;b"), ("a", "a b"), ("a", "a\n")] {
            assert!(
                set_cookie(name, value, Duration::ZERO).is_none(),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn only_a_client_that_names_html_gets_a_page() {
        let html = |accept: &str| prefers_html(&with(&header::ACCEPT, &[accept]));
        assert!(html(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(html("application/json;q=0.5, text/html;q=0.501"));
        for json in [
            "*/*",
            "application/json",
            "text/html;q=0.2, application/json",
            "text/html;q=x",
            "",
        ] {
            assert!(!html(json), "{json}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }

    #[test]
    fn a_page_forbids_everything_that_is_not_ours() {
        let mut headers = HeaderMap::new();
        protect_page(&mut headers);
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        assert_eq!(headers["cache-control"], "no-store");
    }
}
