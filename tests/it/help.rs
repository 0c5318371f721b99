//! The pages of help: reachable, whole, and made from what they describe.

use std::sync::Arc;

use muster::admin_plane::pages::help::{self, Topic};
use muster::admin_plane::{Face, Site, described};
use muster::fleet::hash::Digest;
use muster::fleet::time::Timestamp;
use muster::server::manual;

fn site() -> Site {
    Site {
        name: "Muster".to_owned(),
        ca_pem: String::new(),
        ca_fingerprint: Digest([7; 32]),
        ca_expires: Timestamp::EPOCH,
        certificate_ends: Arc::default(),
        names: vec!["muster.example.net".to_owned()],
        wildcards: Vec::new(),
        agent_port: 4320,
        admin_port: 4321,
        message_limit_bytes: 1 << 20,
        data_folder: "/var/lib/muster".into(),
        manual: Arc::new(manual()),
    }
}

fn page(topic: Topic) -> String {
    help::page(topic, &site()).into_string()
}

#[test]
fn help_renders_as_agreed() {
    insta::assert_snapshot!("help", help::index().into_string());
    let written = [
        Topic::Joining,
        Topic::Configs,
        Topic::Publishing,
        Topic::Security,
        Topic::Troubleshooting,
    ];
    for topic in written {
        insta::assert_snapshot!(format!("help_{}", topic.slug()), page(topic));
    }
}

#[test]
fn every_page_of_help_leads_to_every_other() {
    for topic in Topic::ALL {
        assert_eq!(Topic::of(topic.slug()), Some(topic));
        for other in Topic::ALL.into_iter().filter(|other| *other != topic) {
            let link = format!("href=\"/help/{}\"", other.slug());
            assert!(page(topic).contains(&link), "{topic:?} to {other:?}");
        }
    }
}

#[test]
fn links_on_pages_of_help_lead_to_routes() {
    let routes: Vec<&str> = described().iter().map(|row| row.path).collect();
    for topic in Topic::ALL {
        let page = page(topic);
        for link in page.split("href=\"/").skip(1) {
            let path = format!("/{}", link.split(['"', '#', '?']).next().unwrap());
            let known = routes.contains(&path.as_str()) || path.starts_with("/help/");
            assert!(known, "{topic:?}: {path}");
        }
    }
}

#[test]
fn the_command_line_describes_itself() {
    let (manual, list) = (manual(), page(Topic::CommandLine));
    let names: Vec<&str> = manual.verbs.iter().map(|verb| verb.name.as_str()).collect();
    for name in [
        "serve",
        "groups create",
        "agents label",
        "tokens revoke",
        "publish",
    ] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    for known in &manual.verbs {
        assert!(
            list.contains(&format!("<code>{}</code>", known.name)),
            "{}",
            known.name
        );
        let first = known.name.split(' ').next().unwrap();
        let page = help::verb(first, &manual).unwrap().into_string();
        assert!(
            page.contains(&format!("<code>muster {}</code>", known.name)),
            "{}",
            known.name
        );
        assert!(!page.contains('\u{1b}'), "no colours");
    }
    let publish = help::verb("publish", &manual).unwrap().into_string();
    assert!(publish.contains("--impact-only"), "arguments are there too");
    assert!(help::verb("nothing", &manual).is_none());
}

#[test]
fn every_setting_stands_there_with_its_default_and_variable() {
    let page = page(Topic::Settings);
    for setting in manual().settings {
        assert!(
            page.contains(&format!("<code>{}</code>", setting.name)),
            "{setting:?}"
        );
        assert!(page.contains(&setting.variable), "{setting:?}");
    }
    assert!(page.contains("MUSTER_LIMITS_MESSAGE_SIZE"));
    assert!(page.contains("# Settings of a Muster server."));
}

#[test]
fn every_route_of_the_api_stands_there_with_what_it_does() {
    let page = page(Topic::Api);
    let routes = described()
        .into_iter()
        .filter(|row| row.face == Face::Api && !row.summary.is_empty());
    for row in routes {
        assert!(
            page.contains(&format!("<code>{} {}</code>", row.method, row.path)),
            "{row:?}"
        );
    }
}
