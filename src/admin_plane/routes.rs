//! The table of routes: one row each, with everything that has to be known before a handler runs.
//!
//! A row can't be made without saying who may: [`Row::open`] and its kin take handlers of strangers ([`Visit`]), all
//! others take handlers that are given an [`Actor`](crate::auth::actor::Actor) ([`Call`]) together with an [`Access`].

mod api;
mod pages;
mod plain;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::Answer;
use super::call::{Call, Visit};
use super::failure::{Failure, Outcome};
use super::rate::Rate;
use super::schema::ApiSchema;
use crate::auth::permission::Permission;

/// Every route of the plane.
pub(super) fn table() -> Vec<Row> {
    let mut rows = plain::rows();
    rows.extend(api::rows());
    rows.extend(pages::rows());
    rows
}

/// What a route's answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// A page.
    Page,
    /// The target of a form: 303 to a page, or the page again with what is wrong.
    Form,
    /// JSON.
    Api,
    /// Events for as long as the page is open.
    Stream,
    /// A file that never changes.
    Asset,
    /// What monitoring asks.
    Probe,
}

/// Who may, for routes with an actor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    /// Whoever was identified; what they may do is their own.
    SignedIn,
    /// Whoever has the permission.
    Needs(Permission),
    /// The operator of this host, over the local socket.
    Local,
}

impl From<Permission> for Access {
    fn from(permission: Permission) -> Self {
        Self::Needs(permission)
    }
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Public,
    SignedIn,
    Needs(Permission),
    Local,
}

pub(super) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;
pub(super) type Known = Arc<dyn Fn(Call) -> Work + Send + Sync>;

#[derive(Clone)]
pub(super) enum Handler {
    /// Of strangers.
    Open(Arc<dyn Fn(Visit) -> Work + Send + Sync>),
    /// Of an actor with the row's access.
    Known(Known),
}

/// One route.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) face: Face,
    pub(super) rule: Rule,
    pub(super) rate: Rate,
    /// The most bytes of a body.
    pub(super) body_bytes: usize,
    /// Whether `Idempotency-Key` counts.
    pub(super) repeats: bool,
    /// Whether `If-Match` counts.
    pub(super) versioned: bool,
    /// What it does, for the API's document.
    pub(super) summary: &'static str,
    pub(super) schema: Option<ApiSchema>,
    pub(super) handler: Handler,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({:?}, {:?})",
            self.method, self.path, self.face, self.rule
        )
    }
}

/// The most bytes of a body, unless the row says something else.
const BODY_BYTES: usize = 64 * 1024;
/// The most bytes of a stranger's body.
const STRANGERS_BODY_BYTES: usize = 16 * 1024;
/// The most bytes of a body that carries a configuration, escaped in whatever way.
const CONTENT_BYTES: usize = 4 * 1024 * 1024;

impl Row {
    fn of(method: Method, path: &'static str, face: Face, rule: Rule, handler: Handler) -> Self {
        let rate = match (rule, &method) {
            (Rule::Public, _) => Rate::Stranger,
            (_, &Method::GET) => Rate::Look,
            _ => Rate::Change,
        };
        let body_bytes = if rule == Rule::Public {
            STRANGERS_BODY_BYTES
        } else {
            BODY_BYTES
        };
        Self {
            method,
            path,
            face,
            rule,
            rate,
            body_bytes,
            repeats: false,
            versioned: false,
            summary: "",
            schema: None,
            handler,
        }
    }

    /// A route that everybody may use.
    pub(super) fn open<F>(
        method: Method,
        path: &'static str,
        face: Face,
        handler: impl Fn(Visit) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let handler = Handler::Open(Arc::new(move |visit| Box::pin(handler(visit))));
        Self::of(method, path, face, Rule::Public, handler)
    }

    /// A route of an actor with `access`.
    pub(super) fn known<F>(
        method: Method,
        path: &'static str,
        face: Face,
        access: impl Into<Access>,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let rule = match access.into() {
            Access::SignedIn => Rule::SignedIn,
            Access::Needs(permission) => Rule::Needs(permission),
            Access::Local => Rule::Local,
        };
        let handler = Handler::Known(Arc::new(move |call| Box::pin(handler(call))));
        Self::of(method, path, face, rule, handler)
    }

    /// A page: `GET`.
    pub(super) fn page<F>(
        path: &'static str,
        access: impl Into<Access>,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Self::known(Method::GET, path, Face::Page, access, handler)
    }

    /// The target of a form: `POST`.
    pub(super) fn form<F>(
        path: &'static str,
        access: impl Into<Access>,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Self::known(Method::POST, path, Face::Form, access, handler)
    }

    /// A route of the API. Its schemas are those of what the handler takes and gives.
    pub(super) fn api<Q, B, R, F>(
        method: Method,
        path: &'static str,
        access: impl Into<Access>,
        summary: &'static str,
        handler: impl Fn(Call, Q, B) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<Answer<R>, Failure>> + Send + 'static,
    {
        let schema = ApiSchema::of::<Q, B, R>();
        let (query_fields, body_fields) = schema.known_fields();
        let fields = Arc::new((query_fields, body_fields));
        let face = Face::Api;
        let parsed = move |call: Call| {
            let (handler, fields) = (handler.clone(), Arc::clone(&fields));
            async move {
                let query = call.api_query::<Q>(&fields.0)?;
                let body = call.api_body::<B>(&fields.1)?;
                let if_none_match = call.header("if-none-match").map(str::to_owned);
                Ok(handler(call, query, body)
                    .await?
                    .into_response(if_none_match.as_deref()))
            }
        };
        Self {
            summary,
            schema: Some(schema),
            ..Self::known(method, path, face, access, parsed)
        }
    }

    /// With a body that may carry a configuration.
    pub(super) fn with_content(self) -> Self {
        Self {
            body_bytes: CONTENT_BYTES,
            ..self
        }
    }

    /// With `Idempotency-Key`: it makes something, and repeating the request doesn't make it twice.
    pub(super) fn repeatable(self) -> Self {
        Self {
            repeats: true,
            ..self
        }
    }

    /// With `If-Match`: it changes something that has revisions.
    pub(super) fn versioned(self) -> Self {
        Self {
            versioned: true,
            ..self
        }
    }

    /// With a rate for what costs much.
    pub(super) fn heavy(self) -> Self {
        Self {
            rate: Rate::Heavy,
            ..self
        }
    }
}

/// What it takes to use a route, as tests and documents tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// To be somebody.
    SignedIn,
    /// A permission.
    Permission(Permission),
    /// To come over the local socket.
    LocalSocket,
}

/// A row of the table, to be looked at.
#[derive(Clone, Debug)]
pub struct Described {
    /// The method.
    pub method: Method,
    /// The pattern of the path.
    pub path: &'static str,
    /// What its answers are.
    pub face: Face,
    /// What it takes to use it.
    pub need: Need,
    /// What it does, for routes of the API; empty for others.
    pub summary: &'static str,
}

/// The table, to be looked at: tests walk every route with it.
#[must_use]
pub fn described() -> Vec<Described> {
    let need = |rule| match rule {
        Rule::Public => Need::Nothing,
        Rule::SignedIn => Need::SignedIn,
        Rule::Needs(permission) => Need::Permission(permission),
        Rule::Local => Need::LocalSocket,
    };
    let described = |row: Row| Described {
        need: need(row.rule),
        method: row.method,
        path: row.path,
        face: row.face,
        summary: row.summary,
    };
    table().into_iter().map(described).collect()
}
