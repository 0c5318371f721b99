//! What a handler is given, and what it answers with.

use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE, USER_AGENT};
use http::{HeaderValue, StatusCode, request};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::AdminPlane;
use super::failure::Failure;
use super::identity::SESSION_COOKIE;
use super::pages::layout::{self, Nav};
use super::pages::parts::{Banner, BannerKind, Markup, visible};
use crate::app::App;
use crate::auth::actor::{Actor, Via};
use crate::auth::form_token::form_token;
use crate::auth::secret::Secret;
use crate::auth::session::{Session, Visitor};
use crate::fleet::time::Timestamp;
use crate::http::headers::{cookie, prefers_html, set_cookie};
use crate::http::{Body, Params, Problem, RequestId, Response, form, json};

/// Carries what was done to the next page: one sentence, shown once.
const NOTICE_COOKIE: &str = "__Host-muster_notice";
/// How long a notice waits to be shown.
const NOTICE_LIFE: std::time::Duration = std::time::Duration::from_mins(1);
/// The longest notice, in characters.
const NOTICE_CHARACTERS: usize = 300;

/// A request of somebody who need not be known.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) plane: Arc<AdminPlane>,
    pub(super) parts: request::Parts,
    pub(super) params: Params,
    /// The body, without the form token.
    pub(super) body: Bytes,
    pub(super) id: RequestId,
    pub(super) address: Option<IpAddr>,
    /// The session that the browser came with, if it holds.
    pub(super) session: Option<Secret>,
}

/// A request of somebody who may make it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) actor: Actor,
    pub(super) visit: Visit,
}

impl Deref for Call {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

/// A page of a signed-in person, without what every page has; see [`layout::Page`].
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) title: &'a str,
    pub(super) active: Option<Nav>,
    pub(super) crumbs: &'a [(&'a str, &'a str)],
    pub(super) topics: &'a [&'a str],
    pub(super) banner: Option<&'a Banner<'a>>,
    pub(super) editor: bool,
    pub(super) body: Markup,
}

impl Default for View<'_> {
    fn default() -> Self {
        Self {
            title: "",
            active: None,
            crumbs: &[],
            topics: &[],
            banner: None,
            editor: false,
            body: maud::html! {},
        }
    }
}

impl Visit {
    pub(super) fn app(&self) -> &App {
        &self.plane.app
    }

    pub(super) fn now(&self) -> Timestamp {
        self.plane.app.clock().now()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The name under which the browser called, with its port.
    pub(super) fn host(&self) -> &str {
        super::guard::host(&self.parts).unwrap_or_default()
    }

    /// A parameter of the path; empty when the pattern has none of that name.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// A parameter of the path as an identifier or number. What is none leads nowhere: 404.
    pub(super) fn parse<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let text = self.param(name);
        text.parse().map_err(|_| crate::http::problem::not_found().into())
    }

    /// The query of the address.
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Ok(form::parse_query(&self.parts.uri).map_err(Problem::from)?)
    }

    /// The posted form.
    pub(super) fn form<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Ok(form::parse(&self.body).map_err(Problem::from)?)
    }

    /// The posted form's fields as they came, in order: to render a form again with what was typed.
    pub(super) fn typed(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// Who is at the other end, for what records it.
    pub(super) fn visitor(&self) -> Visitor {
        Visitor::new(self.address, self.header(USER_AGENT.as_str()).unwrap_or_default())
    }

    /// The token that every form of this session carries; empty without a session.
    pub(super) fn form_token(&self) -> String {
        self.session.as_ref().map(form_token).unwrap_or_default()
    }

    /// Whether the client would rather read a page than JSON.
    pub(super) fn wants_page(&self) -> bool {
        let is_api = self.parts.uri.path().starts_with("/api/");
        !is_api && !self.is_fragment() && prefers_html(&self.parts.headers)
    }

    /// Whether a region of a page is fetched again.
    pub(super) fn is_fragment(&self) -> bool {
        is_fragment(&self.parts.headers)
    }

    /// A page for somebody who isn't signed in.
    pub(super) fn bare(
        &self,
        status: StatusCode,
        title: &str,
        notice: Option<&Banner<'_>>,
        body: &Markup,
    ) -> Response {
        html(
            status,
            layout::bare_page(title, &self.plane.site.name, self.now(), notice, body),
        )
    }

    fn notice(&self) -> Option<String> {
        let value = cookie(&self.parts.headers, NOTICE_COOKIE).filter(|value| !value.is_empty())?;
        Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
    }

    /// The query of a request to the API; what nobody knows is refused.
    pub(super) fn api_query<T: DeserializeOwned>(&self, known: &super::schema::Fields) -> Result<T, Failure> {
        let query = self.parts.uri.query().unwrap_or_default();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            known.check(&name)?;
        }
        self.query()
    }

    /// The body of a request to the API; what nobody knows is refused. An empty one reads as an object without fields.
    pub(super) fn api_body<T: DeserializeOwned>(&self, known: &super::schema::Fields) -> Result<T, Failure> {
        let body: &[u8] = if matches!(self.body.trim_ascii(), b"" | b"null") {
            b"{}"
        } else {
            &self.body
        };
        if body != b"{}" {
            let is_json = self.header(CONTENT_TYPE.as_str()).is_some_and(|media| {
                let media = media.split(';').next().unwrap_or_default().trim();
                media.eq_ignore_ascii_case("application/json")
            });
            if !is_json {
                let why = "The API takes application/json; say so in Content-Type.";
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", why).into());
            }
            let fields: serde_json::Value = json::parse(body).map_err(Problem::from)?;
            for name in fields.as_object().into_iter().flat_map(serde_json::Map::keys) {
                known.check(name)?;
            }
        }
        Ok(json::parse(body).map_err(Problem::from)?)
    }

    /// The revision that `If-Match` states; `None` when it states none or any.
    pub(super) fn if_match(&self) -> Result<Option<u64>, Failure> {
        let Some(value) = self
            .header("if-match")
            .map(str::trim)
            .filter(|value| *value != "*")
        else {
            return Ok(None);
        };
        let revision = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(|text| text.parse().ok());
        // A tag that isn't one of ours is that of no present state.
        revision
            .map(Some)
            .ok_or_else(|| crate::app::error::Error::Stale.into())
    }
}

impl Call {
    /// The user of this host that came over the local socket.
    pub(super) fn local_uid(&self) -> Option<u32> {
        match self.actor.via {
            Via::LocalSocket { uid } => Some(uid),
            Via::Session { .. } | Via::Token { .. } | Via::Muster => None,
        }
    }

    /// A page for the signed-in person, in the frame that all pages share.
    pub(super) fn page(&self, status: StatusCode, view: View<'_>) -> Response {
        let said = self.notice();
        let told = said.as_ref().map(|said| Banner {
            kind: BannerKind::Done,
            words: visible(said),
            link: None,
        });
        let View {
            title,
            active,
            crumbs,
            topics,
            banner,
            editor,
            body,
        } = view;
        let own = self.app().accounts.own(&self.actor);
        let provisional = own.is_some_and(|own| own.provisional).then(|| Banner {
            kind: BannerKind::Warning,
            words: maud::html! { "Somebody else set your password, so you only look for now." },
            link: Some(("Choose your own", "/account")),
        });
        let form_token = self.form_token();
        let page = layout::Page {
            title,
            site: &self.plane.site.name,
            user: &self.actor.name,
            active,
            crumbs,
            topics,
            banner: banner.or(told.as_ref()).or(provisional.as_ref()),
            editor,
            form_token: &form_token,
            now: self.now(),
            body,
        };
        let mut response = html(status, layout::page(&page));
        // A region that is fetched again shows no banner, so it leaves the notice for the page.
        if said.is_some() && !self.is_fragment() {
            add_cookie(
                &mut response,
                set_cookie(NOTICE_COOKIE, "", std::time::Duration::ZERO),
            );
        }
        response
    }
}

/// Whether a page asks by itself for one of its regions.
pub(super) fn is_fragment(headers: &http::HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

/// A whole document.
pub(super) fn html(status: StatusCode, markup: Markup) -> Response {
    super::text(status, "text/html; charset=utf-8", markup.into_string())
}

/// After a form: look there. `path` is ours, beginning with one slash.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let path = if is_own(path) { path } else { "/" };
    if let Ok(value) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// After a form: look there, where one sentence says what was done.
pub(super) fn done(path: &str, notice: &str) -> Response {
    let mut response = see_other(path);
    let short: String = notice.chars().take(NOTICE_CHARACTERS).collect();
    let value = utf8_percent_encode(&short, NON_ALPHANUMERIC).to_string();
    add_cookie(&mut response, set_cookie(NOTICE_COOKIE, &value, NOTICE_LIFE));
    response
}

/// Gives the browser a session, or takes it away.
pub(super) fn with_session(mut response: Response, secret: Option<&Secret>) -> Response {
    let (value, life) = secret.map_or(("", std::time::Duration::ZERO), |secret| {
        (secret.expose(), Session::LIFETIME)
    });
    add_cookie(&mut response, set_cookie(SESSION_COOKIE, value, life));
    response
}

fn add_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Whether a path leads to this server: a browser takes `//x` and `/\x` for other hosts.
pub(super) fn is_own(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.contains(char::is_control)
}
