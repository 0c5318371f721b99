//! What stands between a browser and an act that its owner didn't mean: the names we answer to, where a request comes
//! from, and the token in every form.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, StatusCode, request};

use super::call::Visit;
use super::failure::Failure;
use super::identity::Who;
use crate::auth::form_token::is_form_token;
use crate::http::Problem;

/// The names that `Host` may say.
#[derive(Debug)]
pub(super) struct Hosts(BTreeSet<String>);

impl Hosts {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut hosts: BTreeSet<String> = names.map(|name| bare(name)).collect();
        hosts.insert("localhost".to_owned());
        Self(hosts)
    }

    /// Whether it is one of the names; a `*.` among them stands for one label.
    fn covers(&self, name: &str) -> bool {
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let known = self.0.contains(name) || wildcard.is_some_and(|wildcard| self.0.contains(&wildcard));
        known && !name.contains('*')
    }

    /// Refuses names that we don't answer to, which pages of others could have been made to point here. An address is
    /// always one of ours: nobody else's name hides behind it. On the local socket names mean nothing.
    /// `given` are the names of a certificate that was given.
    pub(super) fn check(
        &self,
        parts: &request::Parts,
        local: bool,
        given: impl Fn(&str) -> bool,
    ) -> Result<(), Problem> {
        let known = host(parts).map(host_only).is_some_and(|name| {
            let name = bare(name);
            self.covers(&name) || name.parse::<IpAddr>().is_ok() || given(&name)
        });
        if known || local {
            return Ok(());
        }
        let why = "This server doesn't go by that name; use one from its certificate, or add it to the setting `names`.";
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host", why))
    }
}

/// What the client called us, with the port. `None` when it doesn't say, or says two things.
pub(super) fn host(parts: &request::Parts) -> Option<&str> {
    let mut stated = parts.headers.get_all(HOST).iter();
    let (first, second) = (stated.next(), stated.next());
    if second.is_some() {
        return None;
    }
    // HTTP/2 says it in the request's own address.
    match (parts.uri.authority(), first) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, first) => first?.to_str().ok(),
    }
}

fn host_only(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Refuses a mutation that a page of somebody else's started. Tokens and the local socket are nothing that a browser
/// adds by itself, so they need no such check.
pub(super) fn same_site(headers: &HeaderMap, who: &Who, host: &str) -> Result<(), Failure> {
    if matches!(who, Who::Token(_) | Who::Local(_)) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    // Pages of ours come over TLS: one without it was made by somebody on the way.
    let origin = text(ORIGIN.as_str()).is_none_or(|origin| {
        origin
            .strip_prefix("https://")
            .is_some_and(|own| same_authority(own, host))
    });
    if site && origin { Ok(()) } else { Err(cross_site()) }
}

fn same_authority(one: &str, other: &str) -> bool {
    let plain = |authority: &str| {
        authority
            .strip_suffix(":443")
            .unwrap_or(authority)
            .to_ascii_lowercase()
    };
    plain(one) == plain(other)
}

/// Refuses a mutation of a session without the token of its forms, from the field `form_token` or the header
/// `X-Form-Token`, and a form that holds anything but text: what isn't UTF-8 would be saved as something else. Returns the
/// body without the token.
pub(super) fn form_token(visit: &Visit, who: &Who) -> Result<Bytes, Failure> {
    let is_form = visit.header(CONTENT_TYPE.as_str()).is_some_and(|media| {
        let media = media.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    let mut token = visit.header("x-form-token").map(str::to_owned);
    let mut body = visit.body.clone();
    if is_form {
        if let Some(field) = field_without_text(&body) {
            return Err(not_text(Some(&field)));
        }
        let mut fields = form_urlencoded::Serializer::new(String::with_capacity(body.len()));
        for (name, value) in form_urlencoded::parse(&visit.body) {
            if name == "form_token" {
                token = Some(value.into_owned());
            } else {
                fields.append_pair(&name, &value);
            }
        }
        body = fields.finish().into();
    }
    match who {
        Who::Session(_, secret) if !token.is_some_and(|token| is_form_token(secret, &token)) => {
            Err(cross_site())
        }
        Who::Session(..) | Who::Nobody | Who::Token(_) | Who::Local(_) => Ok(body),
    }
}

/// The name of the first field of a form whose bytes aren't UTF-8.
fn field_without_text(form: &[u8]) -> Option<String> {
    let mut pairs = form.split(|byte| *byte == b'&');
    let pair = pairs.find(|pair| percent_encoding::percent_decode(pair).decode_utf8().is_err())?;
    let name = form_urlencoded::parse(pair)
        .next()
        .map(|(name, _)| name.into_owned());
    Some(name.unwrap_or_default())
}

/// The refusal of bytes that aren't UTF-8, in one field or in the whole of a body.
pub(super) fn not_text(field: Option<&str>) -> Failure {
    let why = "What was sent holds bytes that aren't UTF-8 text. Save the file as UTF-8 and send it again.";
    let problem = Problem::new(StatusCode::BAD_REQUEST, "not-utf-8", why);
    match field {
        Some(field) => problem.field(field, "isn't UTF-8 text").into(),
        None => problem.into(),
    }
}

fn cross_site() -> Failure {
    let why =
        "This didn't come from a page of your present session. Load the page again and repeat it there.";
    Problem::new(StatusCode::FORBIDDEN, "cross-site", why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(hosts: &[&str], uri: &str) -> request::Parts {
        let mut request = http::Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_our_names_and_plain_addresses_are_answered_to() {
        let hosts = Hosts::new(["Muster.example.com".to_owned()].iter());
        let fits = |host: &str| hosts.check(&parts(&[host], "/"), false, |_| false).is_ok();
        for ours in [
            "muster.example.com",
            "MUSTER.example.com.:4321",
            "localhost:4321",
            "192.0.2.1",
            "[::1]:4321",
            "[2001:db8::1]",
        ] {
            assert!(fits(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "muster.example.com.evil.example",
            "",
            "192.0.2.1.evil.example:80",
        ] {
            assert!(!fits(other), "{other}");
        }
        assert!(hosts.check(&parts(&[], "/"), false, |_| false).is_err());
        assert!(
            hosts
                .check(&parts(&["localhost", "localhost"], "/"), false, |_| false)
                .is_err()
        );
        assert!(
            hosts
                .check(&parts(&[], "https://localhost:1/x"), false, |_| false)
                .is_ok()
        );
        assert!(
            hosts
                .check(&parts(&["evil.example"], "https://localhost:1/x"), false, |_| {
                    false
                })
                .is_ok()
        );
        assert!(hosts.check(&parts(&[], "/"), true, |_| false).is_ok());
    }

    #[test]
    fn a_page_of_another_site_starts_nothing() {
        let check = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            same_site(&headers, &Who::Nobody, "muster.example.com:4321").is_ok()
        };
        assert!(check(&[]));
        assert!(check(&[
            ("origin", "https://Muster.example.com:4321"),
            ("sec-fetch-site", "same-origin")
        ]));
        for wrong in [
            ("origin", "https://evil.example"),
            ("origin", "https://muster.example.com"),
            ("origin", "null"),
            ("origin", "http://muster.example.com:4321"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!check(&[wrong]), "{wrong:?}");
        }
    }
}
