//! The event stream.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use muster::app::changes::Topic;
use muster::auth::permission::Role;

use super::site::Site;

/// Reads the stream until it has said `count` events besides beats, or ends.
async fn events(mut body: Incoming, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    let read = async {
        while names.len() < count {
            let Some(frame) = body.frame().await else { return };
            let data = frame.unwrap().into_data().unwrap();
            let text = std::str::from_utf8(&data).unwrap().to_owned();
            let name = text
                .lines()
                .next()
                .unwrap()
                .strip_prefix("event: ")
                .unwrap()
                .to_owned();
            assert!(text.ends_with("\n\n") && text.contains("\ndata: 18000"), "{text}");
            if name != "beat" {
                names.push(name);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("the stream has to go on");
    names
}

#[tokio::test]
async fn a_stream_names_what_changed_among_what_was_asked_for_and_nothing_twice_at_once() {
    let site = Site::start().await;
    let opened = site
        .get("/events?topics=agents,groups,nonsense!")
        .role(Role::Viewer)
        .open()
        .await;
    assert_eq!(opened.status(), StatusCode::OK);
    assert_eq!(opened.headers()["content-type"], "text/event-stream");
    assert_eq!(opened.headers()["cache-control"], "no-store");
    for _ in 0..50 {
        site.app.changes.announce(Topic::Configs);
        site.app.changes.announce(Topic::Agents);
    }
    site.app.changes.announce(Topic::Groups);
    assert_eq!(events(opened.into_body(), 2).await, ["agents", "groups"]);
}

#[tokio::test]
async fn what_somebody_may_not_see_is_not_named_to_them() {
    let site = Site::start().await;
    let opened = site
        .get("/events?topics=enrolment,agents")
        .role(Role::Viewer)
        .open()
        .await;
    site.app.changes.announce(Topic::Enrolment);
    site.app.changes.announce(Topic::Agents);
    assert_eq!(events(opened.into_body(), 1).await, ["agents"]);
    let opened = site
        .get("/events?topics=enrolment")
        .role(Role::Deployer)
        .open()
        .await;
    site.app.changes.announce(Topic::Enrolment);
    assert_eq!(events(opened.into_body(), 1).await, ["enrolment"]);
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let site = Site::start().await;
    let opened = site.get("/events?topics=agents").browser().open().await;
    site.stop.cancel();
    assert!(events(opened.into_body(), 1).await.is_empty());
}
