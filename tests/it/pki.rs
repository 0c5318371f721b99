//! Keys and certificates as others see them: OpenSSL, a TLS client, and an operator who replaces files.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use muster::fleet::hash::Digest;
use muster::fleet::time::Timestamp;
use muster::pki::{
    Authority, Names, Resolver, ServerCertificate, ServerCertificateError, client_config,
    pinned_client_config, server_config,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

const DAY: Duration = Duration::from_hours(24);

/// The real time: rustls and OpenSSL compare certificates with it.
fn now() -> Timestamp {
    Timestamp::from_seconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap())
}

fn authority(folder: &Path) -> Arc<Authority> {
    Arc::new(Authority::load_or_create(folder, "Muster test authority", now()).unwrap())
}

fn names(list: &[&str]) -> Names {
    let mut names = Names::default();
    for name in list {
        names.add(name).unwrap();
    }
    names
}

fn issued(folder: &Path, list: &[&str], now: Timestamp) -> ServerCertificate {
    ServerCertificate::issued(authority(folder), folder, names(list), now).unwrap()
}

/// A handshake in memory; the digest of the certificate that the client accepted.
fn handshake(
    resolver: Arc<Resolver>,
    client: Arc<ClientConfig>,
    host: &str,
) -> Result<Digest, rustls::Error> {
    let config = server_config(resolver, &[b"http/1.1"], 0).unwrap();
    let mut server = ServerConnection::new(config)?;
    let mut client = ClientConnection::new(client, ServerName::try_from(host.to_owned()).unwrap())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(Digest::of(&client.peer_certificates().unwrap()[0]))
}

#[test]
fn openssl_accepts_the_chain_for_every_name_and_for_servers_only() {
    let folder = tempfile::tempdir().unwrap();
    issued(folder.path(), &["muster.example", "10.1.2.3", "::1"], now());
    let verify = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(["verify", "-x509_strict", "-CAfile"])
            .arg(folder.path().join("ca.pem"))
            .args(arguments)
            .arg(folder.path().join("server.pem"))
            .output()
            .expect("OpenSSL has to be installed for this test");
        output.status.success()
    };
    assert!(verify(&[
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "muster.example"
    ]));
    assert!(verify(&["-verify_ip", "10.1.2.3"]));
    assert!(verify(&["-verify_ip", "::1"]));
    assert!(!verify(&["-verify_hostname", "other.example"]));
    assert!(!verify(&["-purpose", "sslclient"]));
}

#[test]
fn a_client_trusts_by_authority_or_by_its_fingerprint_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let certificate = issued(folder.path(), &["localhost"], now());
    let (ours, theirs) = (authority(folder.path()), authority(other.path()));
    let by_authority = client_config(ours.ca_pem()).unwrap();
    let by_fingerprint = pinned_client_config(ours.fingerprint()).unwrap();
    for client in [by_authority, by_fingerprint] {
        let seen = handshake(certificate.resolver(), Arc::clone(&client), "localhost");
        assert_eq!(seen, Ok(certificate.fingerprint()));
        assert!(handshake(certificate.resolver(), client, "elsewhere").is_err());
    }
    let strangers = [
        client_config(theirs.ca_pem()).unwrap(),
        pinned_client_config(theirs.fingerprint()).unwrap(),
        // The leaf's own fingerprint is not an authority's.
        pinned_client_config(certificate.fingerprint()).unwrap(),
    ];
    for client in strangers {
        assert!(handshake(certificate.resolver(), client, "localhost").is_err());
    }
    assert!(client_config("nothing").is_err());
}

#[test]
fn a_certificate_is_kept_over_restarts_until_a_third_of_its_life_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let start = now();
    let first = issued(folder.path(), &["localhost", "127.0.0.1"], start);
    let kept = |days: u32, list: &[&str]| issued(folder.path(), list, start.plus(DAY * days)).fingerprint();
    assert_eq!(kept(59, &["localhost"]), first.fingerprint());
    let wider = kept(59, &["localhost", "muster.example"]);
    assert_ne!(wider, first.fingerprint(), "a name that is not covered");
    assert_ne!(kept(120, &["localhost"]), wider, "a third left");
}

#[test]
fn a_damaged_or_foreign_certificate_on_disk_is_issued_anew() {
    let folder = tempfile::tempdir().unwrap();
    let first = issued(folder.path(), &["localhost"], now());
    fs::write(folder.path().join("server.key"), "damaged").unwrap();
    let second = issued(folder.path(), &["localhost"], now());
    assert_ne!(second.fingerprint(), first.fingerprint());

    let other = tempfile::tempdir().unwrap();
    issued(other.path(), &["localhost"], now());
    for name in ["server.key", "server.pem"] {
        fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
    }
    let third = issued(folder.path(), &["localhost"], now());
    let client = client_config(authority(folder.path()).ca_pem()).unwrap();
    assert_eq!(
        handshake(third.resolver(), client, "localhost"),
        Ok(third.fingerprint())
    );
}

#[test]
fn renewal_is_seen_by_the_next_handshake_of_a_running_listener() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = issued(folder.path(), &["localhost"], now().minus(DAY * 61));
    let resolver = certificate.resolver();
    let client = client_config(authority(folder.path()).ca_pem()).unwrap();
    let before = handshake(Arc::clone(&resolver), Arc::clone(&client), "localhost").unwrap();
    assert!(!certificate.renew_if_due(now().minus(DAY * 10)).unwrap());
    assert!(certificate.renew_if_due(now()).unwrap());
    let after = handshake(resolver, client, "localhost").unwrap();
    assert_ne!(before, after);
    assert_eq!(after, certificate.fingerprint());
    assert!(certificate.expires() > now().plus(DAY * 89));
}

#[test]
fn given_files_are_read_again_when_they_change_and_bad_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    issued(folder.path(), &["localhost"], now());
    issued(other.path(), &["localhost"], now());
    let paths = |folder: &Path| (folder.join("server.pem"), folder.join("server.key"));
    let (pem, key) = paths(folder.path());
    let (other_pem, other_key) = paths(other.path());
    let certificate = ServerCertificate::from_files(&pem, &key, now()).unwrap();
    let before = certificate.fingerprint();
    assert!(!certificate.reload_if_changed(now()).unwrap());

    fs::copy(&other_pem, &pem).unwrap();
    let error = certificate.reload_if_changed(now()).unwrap_err();
    assert!(
        matches!(error, ServerCertificateError::Mismatch { .. }),
        "{error}"
    );
    assert_eq!(certificate.fingerprint(), before);

    fs::copy(&other_key, &key).unwrap();
    assert!(certificate.reload_if_changed(now()).unwrap());
    assert_ne!(certificate.fingerprint(), before);
}

#[test]
fn what_is_wrong_with_given_files_is_said() {
    let folder = tempfile::tempdir().unwrap();
    issued(folder.path(), &["localhost"], now());
    let (pem, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let open = |at: Timestamp| ServerCertificate::from_files(&pem, &key, at).unwrap_err();
    assert!(matches!(
        open(now().plus(DAY * 91)),
        ServerCertificateError::Expired { .. }
    ));
    assert!(matches!(
        open(now().minus(DAY * 2)),
        ServerCertificateError::NotYetValid { .. }
    ));
    fs::write(
        &key,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    assert!(matches!(open(now()), ServerCertificateError::NoKey { .. }));
    fs::write(&pem, "not PEM").unwrap();
    assert!(
        open(now())
            .to_string()
            .contains("server.pem holds no certificate")
    );
    fs::remove_file(&pem).unwrap();
    assert!(matches!(open(now()), ServerCertificateError::Io { .. }));
}
