//! Messages spelled out byte by byte: what the specification's worked examples are to us, in both directions.

use std::sync::Arc;
use std::time::Duration;

use muster::fleet::agent::report::{
    ConnectionStatus, Health, Parts, RemoteConfigOutcome, RemoteConfigStatus,
};
use muster::fleet::agent::{Command, Offer, RefusalKind, Refused, Reply, Update};
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::{ConfigFile, ConfigMap};
use muster::fleet::connection_offer::{ConnectionOffer, ConnectionSettings, Header};
use muster::fleet::hash::{ConfigHash, Digest, HashKey};
use muster::fleet::ids::{CredentialId, InstanceUid};
use muster::fleet::time::Timestamp;
use muster::opamp::client::{self, Outgoing};
use muster::opamp::{Cause, Limits, ServerCapabilities, UidFault, decode, encode, scan};

const UID: &str = "0a10018f3a5c0011722283339444a555b666";

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The example's uid with `rest` behind it.
fn message(rest: &str) -> Vec<u8> {
    hex(&format!("{UID}{rest}"))
}

fn uid() -> InstanceUid {
    "018f3a5c-0011-7222-8333-9444a555b666".parse().unwrap()
}

/// Says that these bytes are what `outgoing` writes, and that we read the same from them.
fn agent_says(bytes: &[u8], outgoing: &Outgoing) {
    assert_eq!(client::write(outgoing), bytes);
    let report = decode(bytes, &Limits::default()).unwrap();
    assert_eq!(report.uid, uid());
    assert_eq!(Outgoing::from(report), *outgoing);
}

fn server_says(bytes: &[u8], reply: &Reply) {
    assert_eq!(encode(&uid().0, reply, ServerCapabilities::SERVED), bytes);
    assert_eq!(client::read(bytes).unwrap().uid, uid().0);
}

fn from_agent(sequence: u64, capabilities: u64) -> Outgoing {
    Outgoing {
        uid: uid().0.to_vec(),
        sequence,
        capabilities,
        ..Outgoing::default()
    }
}

#[test]
fn a_bare_poll_is_a_heartbeat_and_says_nothing() {
    agent_says(&message(""), &from_agent(0, 0));
    let bytes = message("");
    assert!(scan(&bytes, &Limits::default()).unwrap().is_heartbeat);
    assert!(decode(&bytes, &Limits::default()).unwrap().is_bare());
}

#[test]
fn a_poll_with_number_and_capabilities_is_a_heartbeat() {
    agent_says(&message("1007 208150"), &from_agent(7, 0x2801));
    let bytes = message("1007 208150");
    let scan = scan(&bytes, &Limits::default()).unwrap();
    assert!(scan.is_heartbeat);
    assert_eq!((scan.sequence, scan.capabilities), (7, 0x2801));
    let stated = scan.decode().unwrap().capabilities.unwrap();
    assert!(stated.has(Capabilities::REPORTS_HEARTBEAT));
}

#[test]
fn a_goodbye_is_no_heartbeat() {
    let goodbye = Outgoing {
        disconnect: true,
        ..from_agent(8, 0x2801)
    };
    agent_says(&message("1008 208150 4a00"), &goodbye);
    assert!(
        !scan(&message("1008 208150 4a00"), &Limits::default())
            .unwrap()
            .is_heartbeat
    );
}

#[test]
fn a_request_for_a_uid_is_no_heartbeat() {
    let request = Outgoing {
        requests_uid: true,
        ..from_agent(1, 1)
    };
    agent_says(&message("1001 2001 5001"), &request);
    assert!(
        !scan(&message("1001 2001 5001"), &Limits::default())
            .unwrap()
            .is_heartbeat
    );
}

#[test]
fn a_status_of_a_configuration_is_read() {
    let status = RemoteConfigStatus {
        hash: vec![0xa1, 0xb2],
        outcome: RemoteConfigOutcome::Applied,
        error: String::new(),
    };
    let parts = Parts {
        remote_config_status: Some(status),
        ..Parts::default()
    };
    let outgoing = Outgoing {
        parts,
        ..from_agent(9, 0x1003)
    };
    agent_says(&message("1009 208320 3a060a02a1b21001"), &outgoing);
}

#[test]
fn health_is_read_to_the_nanosecond() {
    let health = Health {
        healthy: true,
        started_at: Some(Timestamp(1)),
        ..Health::default()
    };
    let parts = Parts {
        health: Some(health),
        ..Parts::default()
    };
    let outgoing = Outgoing {
        parts,
        ..from_agent(1, 0x801)
    };
    agent_says(&message("1001 208110 2a0b0801110100000000000000"), &outgoing);
}

#[test]
fn nothing_to_say_is_the_uid_alone() {
    server_says(&message(""), &Reply::Update(Update::default()));
}

#[test]
fn the_first_answer_states_what_we_serve() {
    let update = Update {
        capabilities: true,
        ..Update::default()
    };
    server_says(&message("3827"), &Reply::Update(update));
}

#[test]
fn questions_are_flags() {
    let full_state = Update {
        full_state: true,
        ..Update::default()
    };
    server_says(&message("3001"), &Reply::Update(full_state));
    let components = Update {
        available_components: true,
        ..Update::default()
    };
    server_says(&message("3002"), &Reply::Update(components));
}

#[test]
fn a_new_uid_is_sixteen_bytes_beside_the_old_one() {
    let update = Update {
        new_uid: Some(InstanceUid([7; 16])),
        ..Update::default()
    };
    let bytes = message("4212 0a10 07070707070707070707070707070707");
    server_says(&bytes, &Reply::Update(update));
    assert_eq!(client::read(&bytes).unwrap().new_uid, Some(vec![7; 16]));
}

#[test]
fn an_error_stands_alone_and_waits_only_when_unavailable() {
    let refused = |kind, message: &str| {
        Reply::Error(Refused {
            kind,
            message: message.to_owned(),
            retry_after: Some(Duration::from_secs(30)),
        })
    };
    server_says(
        &message("120a08021a060880d88ee16f"),
        &refused(RefusalKind::Unavailable, ""),
    );
    server_says(
        &message("120b0801120762616420756964"),
        &refused(RefusalKind::BadRequest, "bad uid"),
    );
    server_says(&message("1203120178"), &refused(RefusalKind::Unknown, "x"));
    let read = client::read(&message("120a08021a060880d88ee16f")).unwrap();
    assert_eq!(read.error.unwrap().retry_after, Some(Duration::from_secs(30)));
}

#[test]
fn a_restart_is_present_though_it_is_empty() {
    let bytes = message("3827 4a00");
    server_says(&bytes, &Reply::Command(Command::Restart));
    assert!(client::read(&bytes).unwrap().restart);
    assert!(!client::read(&message("3827")).unwrap().restart);
}

#[test]
fn an_offer_of_connection_settings_is_whole() {
    let settings = ConnectionSettings {
        endpoint: "wss://a".into(),
        headers: vec![Header {
            name: "A".into(),
            value: "B".into(),
        }],
        ca_pem: "c".into(),
        heartbeat_seconds: 30,
    };
    let offer = ConnectionOffer {
        credential: CredentialId([1; 16]),
        settings: settings.clone(),
        hash: Digest([0xaa; 32]),
    };
    let update = Update {
        connection: Some(Arc::new(offer)),
        ..Update::default()
    };
    let hash = "aa".repeat(32);
    let opamp = "0a07 7773733a2f2f61 1208 0a06 0a0141120142 1a03 1a0163 201e";
    let bytes = message(&format!("223e 0a20 {hash} 121a {opamp}"));
    server_says(&bytes, &Reply::Update(update));
    let read = client::read(&bytes).unwrap();
    let read = read.connection.unwrap();
    assert_eq!((read.hash, read.settings), (vec![0xaa; 32], settings));
}

#[test]
fn a_status_of_connection_settings_is_read() {
    let mut outgoing = from_agent(2, 0x8101);
    outgoing.parts.connection_status = Some(ConnectionStatus {
        hash: vec![0xab, 0xcd],
        outcome: RemoteConfigOutcome::Failed,
        error: "x".into(),
    });
    agent_says(&message("1002 20818202 7a09 0a02abcd 1003 1a0178"), &outgoing);
}

fn offer(content: ConfigMap) -> Offer {
    let stamp = ConfigHash {
        digest: Digest([1; 32]),
        epoch: 1,
        generation: 1,
    };
    Offer {
        hash: [0xa1; ConfigHash::LENGTH],
        ..Offer::new(content, stamp, &HashKey([0; 32]))
    }
}

fn offering(offer: &Arc<Offer>) -> Reply {
    Reply::Update(Update {
        full_state: true,
        remote_config: Some(Arc::clone(offer)),
        ..Update::default()
    })
}

#[test]
fn an_offer_stands_between_uid_and_flags() {
    let file = ConfigFile {
        body: b"x: 1".to_vec(),
        content_type: "text/yaml".into(),
        role: String::new(),
    };
    let offer = Arc::new(offer(ConfigMap {
        files: [(String::new(), file)].into(),
    }));
    let hash = "a1".repeat(ConfigHash::LENGTH);
    let entry = "0a15 0a13 1211 0a04783a2031 1209746578742f79616d6c";
    let bytes = message(&format!("1a51 {entry} 1238{hash} 3001"));
    server_says(&bytes, &offering(&offer));
    let (content, hash) = client::read(&bytes).unwrap().remote_config.unwrap();
    assert_eq!((&content, hash), (&*offer.content, offer.hash.to_vec()));
}

#[test]
fn an_empty_offer_is_present_and_empty() {
    let offer = Arc::new(offer(ConfigMap::default()));
    let hash = "a1".repeat(ConfigHash::LENGTH);
    server_says(&message(&format!("1a3c 0a00 1238{hash} 3001")), &offering(&offer));
}

#[test]
fn an_offer_reads_the_same_with_and_without_its_empty_key() {
    for entry in [
        "1a1d0a170a150a0012110a04783a20311209746578742f79616d6c1202a1b2",
        "1a1b0a150a1312110a04783a20311209746578742f79616d6c1202a1b2",
    ] {
        let (content, hash) = client::read(&message(entry)).unwrap().remote_config.unwrap();
        assert_eq!(content, ConfigMap::document("x: 1"));
        assert_eq!(hash, [0xa1, 0xb2]);
    }
    let (content, _) = client::read(&message("1a060a001202a1b2"))
        .unwrap()
        .remote_config
        .unwrap();
    assert!(content.is_empty());
}

#[test]
fn a_faulty_uid_is_named_and_handed_back() {
    let faulty = [
        (vec![], UidFault::Absent),
        (vec![0; 16], UidFault::Zero),
        (vec![1; 15], UidFault::Length(15)),
        (vec![1; 17], UidFault::Length(17)),
        (b"01ARZ3NDEKTSV4RRFFQ69G5FAV".to_vec(), UidFault::Ulid),
    ];
    for (uid, fault) in faulty {
        let outgoing = Outgoing {
            uid: uid.clone(),
            ..Outgoing::default()
        };
        let refusal = decode(&client::write(&outgoing), &Limits::default()).unwrap_err();
        assert_eq!(refusal.cause, Cause::Uid(fault));
        assert_eq!(refusal.echo.as_bytes(), uid);
    }
    let outgoing = Outgoing {
        uid: vec![1; 1_000_000],
        ..Outgoing::default()
    };
    let refusal = decode(&client::write(&outgoing), &Limits::default()).unwrap_err();
    assert_eq!(refusal.cause, Cause::Uid(UidFault::Length(1_000_000)));
    assert!(refusal.echo.as_bytes().is_empty());
}

#[test]
fn a_refusal_says_in_words_what_is_wrong() {
    let text = |bytes: &[u8]| decode(bytes, &Limits::default()).unwrap_err().to_string();
    assert_eq!(text(&[]), "instance_uid is missing; 16 bytes are needed");
    assert_eq!(text(&hex("0a02ffff")), "instance_uid has 2 bytes; 16 are needed");
    assert_eq!(
        text(&message("2a031a01ff")),
        "failed to decode Protobuf message: ComponentHealth.last_error: AgentToServer.health: \
         invalid string value: data is not UTF-8 encoded"
    );
}

#[test]
fn a_refusal_becomes_a_bad_request_to_whoever_sent_it() {
    let refusal = decode(&hex("0a02ffff"), &Limits::default()).unwrap_err();
    assert!(!refusal.is_unreadable());
    let reply = Reply::Error(Refused::from(&refusal));
    let bytes = encode(refusal.echo.as_bytes(), &reply, ServerCapabilities::SERVED);
    let incoming = client::read(&bytes).unwrap();
    assert_eq!(incoming.uid, [0xff, 0xff]);
    let error = incoming.error.unwrap();
    assert_eq!(error.kind, RefusalKind::BadRequest);
    assert_eq!(error.message, refusal.to_string());

    assert!(
        decode(&message("2a"), &Limits::default())
            .unwrap_err()
            .is_unreadable()
    );
}

#[test]
fn unknown_fields_and_values_are_skipped() {
    // Field 100 as a number and as bytes, a status of 99, a capability of tomorrow.
    let bytes = message("a00601 a2060178 3a021063 208080808080 40");
    let report = decode(&bytes, &Limits::default()).unwrap();
    let status = report.parts.remote_config_status.unwrap();
    assert_eq!(status.outcome, RemoteConfigOutcome::Unset);
    assert_eq!(report.capabilities, Some(Capabilities(1 << 41)));
    assert!(scan(&message("a00601"), &Limits::default()).unwrap().is_heartbeat);
}

#[test]
fn an_integer_download_rate_costs_the_agent_nothing() {
    // package_statuses { packages { "p": { download_details { bytes_per_second: 5 as a number } } } }, then health.
    let bytes = message("1003 420b 0a09 0a0170 1204 4202 1005 2a020801");
    let report = decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(report.sequence, 3);
    assert!(report.parts.health.unwrap().healthy);
}

#[test]
fn an_effective_configuration_without_a_map_is_no_statement() {
    let effective = |rest| {
        decode(&message(rest), &Limits::default())
            .unwrap()
            .parts
            .effective_config
    };
    assert_eq!(effective("3200"), None);
    assert_eq!(effective("32020a00"), Some(ConfigMap::default()));
}
