//! The names and certificates that people reach the server by, as the settings give them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muster::app::clock::Clock;
use muster::app::overview::TroubleKind;
use muster::auth::actor::Actor;
use muster::fleet::time::Timestamp;
use muster::pki::{Authority, Names, ServerCertificate};
use muster::server::{Server, SetupLink};
use muster::settings::{Settings, TlsFiles};

const DAY: Duration = Duration::from_hours(24);

fn settings(folder: &Path) -> Settings {
    let mut settings = Settings {
        data: folder.join("data"),
        ..Settings::default()
    };
    settings.agent_plane.listen.set_port(0);
    settings.admin_plane.listen.set_port(0);
    settings
}

/// A certificate of somebody else's authority for these names, made at `at`: it is good for 90 days.
fn given(folder: &Path, names: &[&str], at: Timestamp) -> TlsFiles {
    std::fs::create_dir_all(folder).unwrap();
    let authority = Arc::new(Authority::load_or_create(folder, "Corp", at).unwrap());
    let mut all = Names::default();
    for name in names {
        all.add(name).unwrap();
    }
    ServerCertificate::issued(authority, folder, all, at).unwrap();
    let file = |name: &str| -> PathBuf { folder.join(name) };
    TlsFiles {
        certificate: file("server.pem"),
        key: file("server.key"),
    }
}

#[tokio::test]
async fn a_wildcard_among_the_names_is_answered_to_and_stands_in_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let named = Settings {
        names: vec!["*.example.com".to_owned(), "muster.example.net".to_owned()],
        ..settings(folder.path())
    };
    let server = Server::start(&named, &Clock::system()).unwrap();
    assert!(
        server.admin_url().starts_with("https://muster.example.net:"),
        "{}",
        server.admin_url()
    );
    let SetupLink::Fresh(link) = server.setup_link().await.unwrap() else {
        panic!("the first start shows a link")
    };
    assert!(!link.contains('*'), "{link}");
    server.stop().await.unwrap();

    let alone = Settings {
        names: vec!["*.example.com".to_owned()],
        ..settings(folder.path())
    };
    let server = Server::start(&alone, &Clock::system()).unwrap();
    assert!(!server.admin_url().contains('*'), "{}", server.admin_url());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_given_certificate_brings_its_names_and_is_trouble_before_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let now = clock.now();
    let old = given(
        &folder.path().join("corp"),
        &["muster.corp", "*.lab.corp"],
        now.minus(80 * DAY),
    );
    let mut with_files = settings(folder.path());
    with_files.admin_plane.tls = Some(old);
    let server = Server::start(&with_files, &clock).unwrap();
    let known = server.app.given_certificate().unwrap();
    for name in ["muster.corp", "a.lab.corp"] {
        assert!(known.names.cover(name), "{name}");
    }
    let left = known.expires.since(now);
    assert!(left < 11 * DAY && left > 8 * DAY, "{left:?}");
    let overview = server.app.overview(&Actor::muster()).unwrap();
    let troubles: Vec<_> = overview
        .troubles
        .into_iter()
        .map(|trouble| trouble.kind)
        .collect();
    assert_eq!(troubles, [TroubleKind::CertificateEnding { at: known.expires }]);
    server.stop().await.unwrap();

    // Without one there is nothing to say.
    let server = Server::start(&settings(folder.path()), &clock).unwrap();
    assert_eq!(server.app.given_certificate(), None);
    assert_eq!(server.app.overview(&Actor::muster()).unwrap().troubles, []);
    server.stop().await.unwrap();
}
