//! Every route × method × role.

use http::{Method, StatusCode};
use muster::admin_plane::{Face, Need, described};
use muster::auth::permission::Role;

use super::site::{Site, filled_rows, may};

#[tokio::test]
async fn every_route_lets_in_exactly_the_roles_that_its_row_names() {
    let site = Site::start().await;
    for (row, path) in filled_rows() {
        // Making a setup token or ending sessions over and over changes nothing that the walk depends on.
        for role in [Role::Viewer, Role::Operator, Role::Deployer, Role::Admin] {
            let ask = site.call(row.method.clone(), &path).role(role);
            let (parts, body) = ask.open().await.into_parts();
            let status = parts.status;
            let what = format!("{} {path} as {}: {status}", row.method, role.word());
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{what}");
            if row.face == Face::Stream {
                assert_eq!(status, StatusCode::OK, "{what}");
                continue;
            }
            let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
            let text = String::from_utf8_lossy(&body);
            // Who has the role can still be refused by the use case, as an API token that would make another.
            let refused =
                status == StatusCode::FORBIDDEN && text.to_lowercase().contains("this needs the role");
            let elsewhere = status == StatusCode::FORBIDDEN && row.need == Need::LocalSocket;
            assert_eq!(!(refused || elsewhere), may(role, row.need), "{what} {text}");
            assert!(!status.is_server_error() || path == "/readyz", "{what} {text}");
        }
    }
}

#[tokio::test]
async fn strangers_reach_nothing_but_what_is_open_to_all() {
    let site = Site::start().await;
    let mut bodies = std::collections::BTreeSet::new();
    for (row, path) in filled_rows() {
        if row.need == Need::Nothing {
            continue;
        }
        // Strangers may not ask this often at once.
        site.app.clock().advance(std::time::Duration::from_secs(10));
        for secret in [None, Some("mst_api_x"), Some(site.session.expose())] {
            let mut ask = site.call(row.method.clone(), &path);
            if let Some(secret) = secret {
                ask = ask.bearer(secret);
            }
            let answer = ask.send().await;
            let what = format!("{} {path}", row.method);
            if matches!(row.face, Face::Page | Face::Form) {
                assert_eq!(answer.status, StatusCode::SEE_OTHER, "{what}");
                assert!(answer.header("location").starts_with("/login"), "{what}");
                continue;
            }
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
            let mut body = answer.json();
            body.as_object_mut().unwrap().remove("instance");
            bodies.insert(body.to_string());
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test]
async fn methods_and_paths_that_no_row_has_do_nothing() {
    let site = Site::start().await;
    for (row, path) in filled_rows() {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::TRACE,
        ] {
            if described()
                .iter()
                .any(|other| other.path == row.path && other.method == method)
            {
                continue;
            }
            let answer = site.call(method.clone(), &path).role(Role::Admin).send().await;
            let statuses = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND];
            // A fixed path can be hidden behind a pattern: then that one answers.
            let hidden = described()
                .iter()
                .any(|other| other.method == method && other.path != row.path && fits(other.path, &path));
            assert!(
                statuses.contains(&answer.status) || hidden,
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    let answer = site.get("/api/v1/nothing").role(Role::Admin).send().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::NOT_FOUND, "not-found")
    );
    let page = site.get("/nothing").browser().send().await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.header("content-type").starts_with("text/html"));
}

fn fits(pattern: &str, path: &str) -> bool {
    let same = |(part, given): (&str, &str)| part.starts_with('{') || part == given;
    pattern.split('/').count() == path.split('/').count() && pattern.split('/').zip(path.split('/')).all(same)
}

#[test]
fn reading_never_mutates_and_pages_are_read_by_get() {
    for row in described() {
        match row.face {
            Face::Page | Face::Stream | Face::Asset | Face::Probe => {
                assert_eq!(row.method, Method::GET, "{}", row.path);
            }
            Face::Form => assert_eq!(row.method, Method::POST, "{}", row.path),
            Face::Api => assert!(row.path.starts_with("/api/v1/"), "{}", row.path),
        }
        if row.need == Need::Nothing {
            let open = ["/healthz", "/readyz", "/assets/{*path}", "/login", "/setup"];
            assert!(open.contains(&row.path), "{} is open to everybody", row.path);
        }
    }
}
