//! Routing by a table of rows: method, path pattern, and whatever a plane keeps per route.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;

/// A table that can't be routed by.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// Two rows have the same method and path.
    #[error("two routes for {method} {path}")]
    Duplicate {
        /// The method of both.
        method: Method,
        /// The path of both.
        path: String,
    },
    /// A pattern is malformed, or overlaps another one.
    #[error("the path {path} can't be routed")]
    Path {
        /// The pattern.
        path: String,
        /// Why.
        #[source]
        source: matchit::InsertError,
    },
}

/// The values of a path's parameters, percent-decoded, in the order of the pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The value of the parameter `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a table says about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, T> {
    /// There is a route.
    Found {
        /// The row's value.
        value: &'a T,
        /// The path's parameters.
        params: Params,
    },
    /// No pattern fits the path: 404. Also for a path that is not UTF-8 once decoded.
    NotFound,
    /// The path is there for other methods: 405.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: String,
    },
}

/// A table of routes. Patterns are those of matchit: `/agents/{id}`, `/assets/{*path}`.
#[derive(Debug)]
pub struct Router<T> {
    paths: matchit::Router<usize>,
    methods: Vec<Vec<(Method, T)>>,
}

impl<T> Router<T> {
    /// A router over `rows` of method, pattern and value.
    ///
    /// # Errors
    ///
    /// [`RouterError`] when two rows are the same or patterns overlap.
    pub fn new<P: Into<String>>(rows: impl IntoIterator<Item = (Method, P, T)>) -> Result<Self, RouterError> {
        let mut by_path: BTreeMap<String, Vec<(Method, T)>> = BTreeMap::new();
        for (method, path, value) in rows {
            let path = path.into();
            let methods = by_path.entry(path.clone()).or_default();
            if methods.iter().any(|(known, _)| *known == method) {
                return Err(RouterError::Duplicate { method, path });
            }
            methods.push((method, value));
        }
        let mut router = Self {
            paths: matchit::Router::new(),
            methods: Vec::with_capacity(by_path.len()),
        };
        for (path, methods) in by_path {
            router
                .paths
                .insert(path.clone(), router.methods.len())
                .map_err(|source| RouterError::Path { path, source })?;
            router.methods.push(methods);
        }
        Ok(router)
    }

    /// The route of a request to `path` (without its query). `HEAD` falls to `GET`.
    pub fn find(&self, method: &Method, path: &str) -> Lookup<'_, T> {
        let Ok(hit) = self.paths.at(path) else {
            return Lookup::NotFound;
        };
        let methods = self
            .methods
            .get(*hit.value)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let row = |wanted: &Method| methods.iter().find(|(known, _)| known == wanted);
        let found = row(method).or_else(|| (method == Method::HEAD).then(|| row(&Method::GET)).flatten());
        let Some((_, value)) = found else {
            return Lookup::MethodNotAllowed {
                allow: allow(methods),
            };
        };
        let params: Option<_> = hit
            .params
            .iter()
            .map(|(name, value)| {
                let decoded = percent_decode_str(value).decode_utf8().ok()?;
                Some((name.to_owned(), decoded.into_owned()))
            })
            .collect();
        match params {
            Some(params) => Lookup::Found {
                value,
                params: Params(params),
            },
            None => Lookup::NotFound,
        }
    }
}

fn allow<T>(methods: &[(Method, T)]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<u8> {
        Router::new([
            (Method::GET, "/agents/{id}", 1),
            (Method::DELETE, "/agents/{id}", 2),
            (Method::POST, "/agents", 3),
            (Method::GET, "/assets/{*path}", 4),
        ])
        .unwrap()
    }

    #[test]
    fn a_route_is_found_with_its_decoded_parameters() {
        let router = router();
        let Lookup::Found { value, params } = router.find(&Method::DELETE, "/agents/a%2Fb%C3%A9") else {
            panic!("not found");
        };
        assert_eq!(
            (*value, params.get("id"), params.get("x")),
            (2, Some("a/bé"), None)
        );
        let Lookup::Found { value, params } = router.find(&Method::HEAD, "/assets/a/b.css") else {
            panic!("not found");
        };
        assert_eq!((*value, params.get("path")), (4, Some("a/b.css")));
    }

    #[test]
    fn another_method_is_told_from_another_path() {
        let router = router();
        let allow = |allow: &str| Lookup::MethodNotAllowed {
            allow: allow.to_owned(),
        };
        assert_eq!(router.find(&Method::PUT, "/agents/a"), allow("DELETE, GET, HEAD"));
        assert_eq!(router.find(&Method::HEAD, "/agents"), allow("POST"));
        for path in ["/", "/agents/", "/agents/a/b", "", "/agents/%ff"] {
            assert_eq!(router.find(&Method::GET, path), Lookup::NotFound, "{path}");
        }
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        let twice = Router::new([(Method::GET, "/a", 1), (Method::GET, "/a", 2)]);
        assert!(matches!(twice, Err(RouterError::Duplicate { .. })));
        let overlapping = Router::new([(Method::GET, "/a/{id}", 1), (Method::POST, "/a/{name}", 2)]);
        assert!(matches!(overlapping, Err(RouterError::Path { .. })));
    }
}
