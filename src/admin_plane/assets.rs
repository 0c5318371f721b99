//! The files that a browser needs: embedded, named by their content, compressed once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use rust_embed::RustEmbed;

/// Where the assets live on the admin plane.
pub const PREFIX: &str = "/assets/";

/// A file whose name carries its content's hash never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A file asked for by its plain name is checked every time.
const CHECKED: &str = "no-cache";

#[derive(RustEmbed)]
#[folder = "assets/browser"]
struct Browser;

struct Asset {
    /// Name with the first bytes of the hash, so that a page never meets a style sheet of another release.
    hashed: String,
    etag: HeaderValue,
    etag_gzip: HeaderValue,
    content_type: HeaderValue,
    plain: Bytes,
    /// Only where it is smaller.
    gzip: Option<Bytes>,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    Browser::iter()
        .filter_map(|name| Some((name.to_string(), load(&name)?)))
        .collect()
});

/// The URL of an asset, to be used in pages. It changes with the content, so browsers may keep it for ever.
///
/// An unknown name gives a URL that answers 404; a test holds the pages' names to the files.
#[must_use]
pub fn url(name: &str) -> String {
    ASSETS.get(name).map_or_else(
        || format!("{PREFIX}{name}"),
        |asset| format!("{PREFIX}{}", asset.hashed),
    )
}

/// The names of all assets, without hashes.
pub fn names() -> impl Iterator<Item = &'static str> {
    ASSETS.keys().map(String::as_str)
}

/// Answers a GET or HEAD for `path`, the part of the URL after [`PREFIX`]; `None` when there is no such file.
///
/// `if_none_match` and `accept_encoding` are the request's headers. The answer is 200 with the bytes, gzip where the
/// client takes it, or 304 without a body.
#[must_use]
pub fn asset(
    path: &str,
    if_none_match: Option<&str>,
    accept_encoding: Option<&str>,
) -> Option<Response<Bytes>> {
    let (asset, cache) = find(path)?;
    let gzip = asset.gzip.as_ref().filter(|_| accepts_gzip(accept_encoding));
    let etag = if gzip.is_some() {
        &asset.etag_gzip
    } else {
        &asset.etag
    };
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(ETAG, etag.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
    if if_none_match.is_some_and(|wanted| names_etag(wanted, etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(response);
    }
    headers.insert(CONTENT_TYPE, asset.content_type.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if gzip.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = gzip.unwrap_or(&asset.plain).clone();
    Some(response)
}

fn find(path: &str) -> Option<(&'static Asset, &'static str)> {
    if let Some(asset) = ASSETS.get(path) {
        return Some((asset, CHECKED));
    }
    ASSETS
        .values()
        .find(|asset| asset.hashed == path)
        .map(|asset| (asset, FOR_EVER))
}

fn load(name: &str) -> Option<Asset> {
    let file = Browser::get(name)?;
    let mut hash = String::with_capacity(64);
    for byte in file.metadata.sha256_hash() {
        let _ = write!(hash, "{byte:02x}");
    }
    let plain = match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let (stem, extension) = name.split_once('.')?;
    let content_type = content_type(name.rsplit_once('.')?.1)?;
    Some(Asset {
        hashed: format!("{stem}-{}.{extension}", hash.get(..12)?),
        etag: HeaderValue::from_str(&format!("\"{hash}\"")).ok()?,
        etag_gzip: HeaderValue::from_str(&format!("\"{hash}-gzip\"")).ok()?,
        content_type: HeaderValue::from_static(content_type),
        gzip: compress(&plain).filter(|small| small.len() < plain.len()),
        plain,
    })
}

fn content_type(extension: &str) -> Option<&'static str> {
    match extension {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

fn compress(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Whether the client's Accept-Encoding takes gzip (by name or `*`, with a weight above zero).
fn accepts_gzip(header: Option<&str>) -> bool {
    header.unwrap_or_default().split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let refused = parts.any(|parameter| {
            parameter
                .strip_prefix("q=")
                .or_else(|| parameter.strip_prefix("Q="))
                .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        });
        named && !refused
    })
}

/// Whether an If-None-Match header names this tag (weak comparison, RFC 9110 section 13.1.2).
fn names_etag(header: &str, etag: &HeaderValue) -> bool {
    header
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http::HeaderName;

    use super::*;

    fn header(response: &Response<Bytes>, name: HeaderName) -> &str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn every_file_has_a_type_and_a_name_that_follows_its_content() {
        assert_eq!(Browser::iter().count(), ASSETS.len());
        for name in names() {
            let path = url(name).strip_prefix(PREFIX).unwrap().to_owned();
            assert_ne!(path, name);
            let kept = asset(&path, None, None).unwrap();
            assert_eq!(header(&kept, CACHE_CONTROL), FOR_EVER);
            assert_eq!(header(&asset(name, None, None).unwrap(), CACHE_CONTROL), CHECKED);
            assert!(!kept.body().is_empty(), "{name}");
        }
    }

    #[test]
    fn compressed_and_plain_bytes_are_the_same_file_under_different_tags() {
        let plain = asset("app.css", None, None).unwrap();
        let small = asset("app.css", None, Some("br, gzip;q=0.8")).unwrap();
        assert_eq!(header(&small, CONTENT_ENCODING), "gzip");
        assert_ne!(header(&plain, ETAG), header(&small, ETAG));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(small.body().as_ref())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked.as_slice(), plain.body().as_ref());
    }

    #[test]
    fn a_client_that_has_the_file_gets_no_body() {
        let etag = header(&asset("app.js", None, None).unwrap(), ETAG).to_owned();
        let again = asset("app.js", Some(&format!("\"x\", W/{etag}")), None).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.body().is_empty());
        assert_eq!(
            asset("app.js", Some("\"x\""), None).unwrap().status(),
            StatusCode::OK
        );
    }

    #[test]
    fn a_coding_with_weight_zero_is_refused() {
        assert!(accepts_gzip(Some("*")));
        assert!(!accepts_gzip(Some("gzip;q=0, br")));
        assert!(!accepts_gzip(None));
    }

    #[test]
    fn names_outside_the_list_are_not_found() {
        for path in ["", "../Cargo.toml", "app-000000000000.css", "editor/entry.js"] {
            assert!(asset(path, None, None).is_none(), "{path}");
        }
    }

    #[test]
    fn a_page_without_the_editor_weighs_less_than_150_kilobytes() {
        let bytes: usize = names()
            .filter(|name| *name != "editor.js")
            .map(|name| asset(name, None, None).unwrap().body().len())
            .sum();
        assert!(bytes < 150_000, "{bytes}");
    }
}
