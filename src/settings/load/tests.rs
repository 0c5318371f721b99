use std::time::Duration;

use super::*;
use crate::settings::{ByteSize, TEMPLATE, TlsFiles};

fn read(text: &str) -> Result<Effective, Problems> {
    read_with(text, SettingsFlags::default(), &[])
}

fn read_with(text: &str, flags: SettingsFlags, variables: &[(&str, &str)]) -> Result<Effective, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    fs::write(&path, text).unwrap();
    let flags = SettingsFlags {
        settings: Some(path.clone()),
        ..flags
    };
    load(&flags, &Environment::from_pairs(variables.iter().copied())).map_err(|Problems(problems)| {
        // The folder has a new name each time; the message shows only the file's.
        let rename = |origin: Origin| match origin {
            Origin::File { line, .. } => Origin::File {
                path: "site.toml".into(),
                line,
            },
            Origin::Default | Origin::Environment(_) | Origin::Flag(_) => origin,
        };
        Problems(problems.into_iter().map(|problem| at(problem, rename)).collect())
    })
}

fn at(problem: Problem, rename: impl Fn(Origin) -> Origin) -> Problem {
    match problem {
        Problem::Unknown {
            origin,
            name,
            nearest,
        } => Problem::Unknown {
            origin: rename(origin),
            name,
            nearest,
        },
        Problem::Value {
            origin,
            key,
            value,
            allowed,
        } => Problem::Value {
            origin: rename(origin),
            key,
            value,
            allowed,
        },
        Problem::Together { origin, why } => Problem::Together {
            origin: rename(origin),
            why,
        },
        Problem::Syntax { origin, why } => Problem::Syntax {
            origin: rename(origin),
            why,
        },
        Problem::Unreadable { .. } => problem,
    }
}

#[test]
fn the_template_holds_every_setting_with_its_default() {
    let effective = read(TEMPLATE).unwrap();
    assert_eq!(effective.settings, Settings::default());
    let from_file: Vec<_> = effective.origins.keys().copied().collect();
    let mut all: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    all.sort_unstable();
    assert_eq!(from_file, all, "the template leaves none out");
    let order: Vec<_> = effective
        .rows()
        .into_iter()
        .map(|row| effective.origin(row.name))
        .collect();
    assert!(order.is_sorted(), "template and table have one order");
}

#[test]
fn what_a_setting_shows_is_what_it_reads() {
    let mut draft = Draft::default();
    for key in KEYS {
        (key.set)(&mut draft, &(key.show)(&Settings::default())).unwrap();
    }
    assert_eq!(draft.finish().unwrap(), Settings::default());
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let text =
        "site_name = 'file'\nnames = ['a.example']\n[limits]\nmessage_size = '2 MiB'\nconnections = 7\n";
    let flags = SettingsFlags {
        site_name: Some("flag".to_owned()),
        names: vec!["b.example".to_owned(), "192.0.2.1".to_owned()],
        set: vec!["presence.http_silence = 5m".to_owned()],
        ..SettingsFlags::default()
    };
    let variables = [
        ("MUSTER_SITE_NAME", "environment"),
        ("MUSTER_LIMITS_MESSAGE_SIZE", "3 MiB"),
        ("MUSTER_LOG_LEVEL", "debug"),
        ("HOME", "/root"),
    ];
    let effective = read_with(text, flags, &variables).unwrap();
    let settings = &effective.settings;
    assert_eq!(settings.site_name, "flag");
    assert_eq!(settings.names, ["b.example", "192.0.2.1"]);
    assert_eq!(settings.limits.message_size, ByteSize::mib(3));
    assert_eq!(settings.limits.connections, 7);
    assert_eq!(settings.presence.http_silence, Duration::from_mins(5));
    let origin = |name: &str| {
        effective
            .rows()
            .into_iter()
            .find(|row| row.name == name)
            .unwrap()
            .origin
    };
    assert_eq!(origin("site_name"), "--site-name");
    assert_eq!(origin("limits.message_size"), "MUSTER_LIMITS_MESSAGE_SIZE");
    assert!(origin("limits.connections").ends_with("site.toml:5"));
    assert_eq!(origin("data"), "default");
}

#[test]
fn an_unknown_name_is_refused_with_its_line_and_the_nearest_one() {
    let text =
        "site_nmae = 'x'\n\n[limits]\nconections = 5\n[log]\nhttp_silence = '1m'\n[kubernetes]\nx = 1\n";
    let problems = read_with(
        text,
        SettingsFlags::default(),
        &[("MUSTER_LIMIT_CONNECTIONS", "1")],
    )
    .unwrap_err();
    insta::assert_snapshot!(problems, @r#"
site.toml:1: "site_nmae" is not a setting; did you mean "site_name"?
site.toml:4: "limits.conections" is not a setting; did you mean "limits.connections"?
site.toml:6: "log.http_silence" is not a setting; did you mean "presence.http_silence"?
site.toml:8: "kubernetes.x" is not a setting
MUSTER_LIMIT_CONNECTIONS: "MUSTER_LIMIT_CONNECTIONS" is not a setting; did you mean "MUSTER_LIMITS_CONNECTIONS"?
"#);
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_what_is_allowed() {
    let text = "names = 'one'\nworker_threads = 0\n[limits]\nmessage_size = '1 GiB'\n[presence]\nhttp_silence = 30\n\
                [log]\nformat = ['text']\n[agent_plane]\nlisten = 4320\n";
    let flags = SettingsFlags {
        names: vec!["https://x".to_owned()],
        ..SettingsFlags::default()
    };
    let problems = read_with(text, flags, &[("MUSTER_LOG_LEVEL", "loud=loud")]).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
site.toml:1: "one" is not a value of names: a list of host names ("muster.example.com", "*.example.com") and addresses, without scheme or port
site.toml:2: "0" is not a value of worker_threads: "auto" (one per processor) or a whole number from 1 to 256
site.toml:4: "1 GiB" is not a value of limits.message_size: a size from 64 KiB to 16 MiB
site.toml:6: "30" is not a value of presence.http_silence: a time with its unit from "30s" to "24h"
site.toml:8: "[text]" is not a value of log.format: auto (text on a terminal, JSON otherwise), text or json
site.toml:10: "4320" is not a value of agent_plane.listen: an address and a port, as in "[::]:4320" or "127.0.0.1:4320"
MUSTER_LOG_LEVEL: "loud=loud" is not a value of log.level: error, warn, info, debug or trace, also per module as in "info,muster::agent_plane=debug"
--name: "https://x" is not a value of names: a list of host names ("muster.example.com", "*.example.com") and addresses, without scheme or port
"#);
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    insta::assert_snapshot!(read("site_name = 'x'\n[limits\n").unwrap_err(), @"site.toml:2: unclosed table, expected `]`");
}

#[test]
fn a_file_that_was_named_must_exist_and_the_default_one_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().display().to_string());
    let flags = SettingsFlags {
        data: data.clone(),
        ..SettingsFlags::default()
    };
    let none = Environment::default();
    assert_eq!(load(&flags, &none).unwrap().file, None);
    let flags = SettingsFlags {
        settings: Some(folder.path().join("no.toml")),
        ..flags
    };
    assert!(matches!(
        load(&flags, &none).unwrap_err().0.as_slice(),
        [Problem::Unreadable { .. }]
    ));

    fs::write(folder.path().join("muster.toml"), "site_name = 'Lab'\n").unwrap();
    let flags = SettingsFlags {
        data,
        ..SettingsFlags::default()
    };
    assert_eq!(load(&flags, &none).unwrap().settings.site_name, "Lab");
    fs::write(folder.path().join("muster.toml"), "data = '/elsewhere'\n").unwrap();
    assert!(matches!(
        load(&flags, &none).unwrap_err().0.as_slice(),
        [Problem::Together { .. }]
    ));
}

#[test]
fn a_certificate_without_its_key_is_refused_and_the_pair_may_come_from_two_places() {
    let text = "[admin_plane]\ntls_cert = 'cert.pem'\n";
    insta::assert_snapshot!(read(text).unwrap_err(), @"site.toml:2: tls_cert and tls_key go together: give both, or neither");
    let flags = SettingsFlags {
        tls_key: Some("key.pem".to_owned()),
        ..SettingsFlags::default()
    };
    let tls = read_with(text, flags, &[]).unwrap().settings.admin_plane.tls;
    assert_eq!(
        tls,
        Some(TlsFiles {
            certificate: "cert.pem".into(),
            key: "key.pem".into()
        })
    );
}

#[test]
fn the_two_planes_need_a_port_each() {
    let flags = SettingsFlags {
        admin_listen: Some("[::]:4320".to_owned()),
        ..SettingsFlags::default()
    };
    insta::assert_snapshot!(read_with("", flags, &[]).unwrap_err(), @"--admin-listen: agent_plane.listen and admin_plane.listen are the same; the two planes need a port each");
    let any = Some("127.0.0.1:0".to_owned());
    let flags = SettingsFlags {
        agent_listen: any.clone(),
        admin_listen: any,
        ..SettingsFlags::default()
    };
    assert!(
        read_with("", flags, &[]).is_ok(),
        "port 0 is a new port each time"
    );
}

#[test]
fn what_kubernetes_and_our_own_client_set_is_no_misspelt_setting() {
    let variables = [
        ("MUSTER_SERVICE_HOST", "10.0.0.1"),
        ("MUSTER_SERVICE_PORT_AGENTS", "4320"),
        ("MUSTER_PORT_4320_TCP_ADDR", "10.0.0.1"),
        ("MUSTER_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ("MUSTER_ADMIN_PORT_4321_TCP", "tcp://10.0.0.1:4321"),
        ("MUSTER_PORT", "tcp://10.0.0.1:4320"),
        ("MUSTER_SERVER", "https://muster.example.com:4321"),
        ("MUSTER_TOKEN", "x"),
        ("MUSTER_SITE_NAME", ""),
    ];
    assert!(read_with("", SettingsFlags::default(), &variables).is_ok());
}
