use super::*;
use crate::fleet::agent::report::{RemoteConfigOutcome, RemoteConfigStatus};
use crate::fleet::agent::{Agent, Contact, Offered, Origin, Pulse, Registration};
use crate::fleet::attributes::Description;
use crate::fleet::hash::{ConfigHash, Digest};
use crate::fleet::ids::{AgentId, CredentialId, InstanceUid};

const NOW: Timestamp = Timestamp::from_seconds(1_000);

struct Told {
    agent: Arc<Agent>,
    pulse: Pulse,
    contact: Contact,
}

impl Told {
    /// An agent that reported everything under this number, on a link where it was answered.
    fn after(number: u64) -> Self {
        let registration = Registration::new(AgentId([1; 16]), CredentialId([1; 16]), Origin::default());
        let mut told = Self {
            agent: Arc::new(Agent::new(registration)),
            pulse: Pulse::default(),
            contact: Contact::new(Transport::WebSocket),
        };
        told.observe(report(number, true));
        told.contact.capabilities_stated = true;
        told
    }

    fn observe(&mut self, report: Report) -> Observed {
        let key = HashKey([1; 32]);
        let seen = Seen {
            key: &key,
            epoch: 1,
            generation: 5,
            ask_at: NOW,
        };
        let mut subject = Subject {
            agent: &mut self.agent,
            pulse: &mut self.pulse,
            contact: &mut self.contact,
        };
        subject.observe(report, &seen, NOW)
    }
}

fn report(sequence: u64, full: bool) -> Report {
    Report {
        uid: InstanceUid([1; 16]),
        sequence,
        fingerprint: sequence,
        capabilities: Some(Capabilities::REPORTS_STATUS),
        parts: Parts {
            description: full.then(Description::default),
            ..Parts::default()
        },
        disconnect: false,
        requests_uid: false,
    }
}

fn status(outcome: RemoteConfigOutcome, hash: Vec<u8>) -> Report {
    let mut report = report(6, false);
    report.parts.remote_config_status = Some(RemoteConfigStatus {
        hash,
        outcome,
        error: String::new(),
    });
    report
}

#[test]
fn only_the_next_number_continues() {
    for (number, full, lost) in [
        (6, false, false),
        (7, false, true),
        (7, true, true),
        (4, false, true),
        (0, true, false),
        (1, true, false),
        (u64::MAX, false, true),
    ] {
        let mut told = Told::after(5);
        let observed = told.observe(report(number, full));
        assert_eq!(observed.staleness.is_some(), lost, "{number} {full}");
        assert_eq!(told.pulse.sequence, Some(number), "it is the new beginning");
    }
}

#[test]
fn numbers_go_on_after_the_last_one() {
    let mut told = Told::after(u64::MAX);
    assert_eq!(told.observe(report(0, false)).staleness, None);
}

#[test]
fn an_equal_number_is_a_repetition_only_with_equal_bytes() {
    let mut told = Told::after(5);
    assert!(told.observe(report(5, true)).repetition);
    let other = Report {
        fingerprint: 99,
        ..report(5, false)
    };
    assert_eq!(told.observe(other).staleness, Some(Staleness::Gap));
}

#[test]
fn a_first_message_that_is_repeated_on_a_new_link_is_a_restart() {
    let mut told = Told::after(0);
    Arc::make_mut(&mut told.agent).delivery.offered = Some(Offered {
        digest: Digest([1; 32]),
        at: NOW,
    });
    told.contact = Contact::new(Transport::WebSocket);
    let observed = told.observe(report(0, true));
    assert!(!observed.repetition && observed.staleness.is_none());
    assert_eq!(
        told.agent.delivery.offered, None,
        "it is told again what it can't say that it has"
    );
}

#[test]
fn a_bare_poll_moves_no_number() {
    let mut told = Told::after(5);
    let bare = Report {
        capabilities: None,
        ..report(0, false)
    };
    assert_eq!(told.observe(bare), Observed::default());
    assert_eq!(told.pulse.sequence, Some(5));
}

#[test]
fn a_heartbeat_of_an_agent_that_is_not_known_whole_goes_the_long_way() {
    let mut told = Told::after(5);
    let beat = |told: &mut Told| {
        let mut subject = Subject {
            agent: &mut told.agent,
            pulse: &mut told.pulse,
            contact: &mut told.contact,
        };
        subject.heartbeat(6, 1, Capabilities::REPORTS_STATUS.0, NOW)
    };
    Arc::make_mut(&mut told.agent).reported.completeness = Completeness::Unknown;
    assert!(!beat(&mut told));
    Arc::make_mut(&mut told.agent).reported.completeness = Completeness::Incomplete;
    assert!(beat(&mut told));
}

#[test]
fn a_hash_from_the_future_of_this_store_holds_the_agent() {
    let hash = |epoch, generation| {
        let hash = ConfigHash {
            digest: Digest([1; 32]),
            epoch,
            generation,
        };
        hash.to_wire(&HashKey([1; 32])).to_vec()
    };
    for (epoch, generation, held) in [(1, 5, false), (1, 6, true), (2, 6, false)] {
        let mut told = Told::after(5);
        let observed = told.observe(status(RemoteConfigOutcome::Applied, hash(epoch, generation)));
        assert_eq!(observed.store_went_back, held, "{epoch} {generation}");
        assert_eq!(told.agent.delivery.hold.is_some(), held);
    }
}

#[test]
fn a_status_that_says_nothing_new_changes_nothing() {
    let mut told = Told::after(5);
    assert!(
        told.observe(status(RemoteConfigOutcome::Failed, b"x".to_vec()))
            .delivery_changed
    );
    let mut again = status(RemoteConfigOutcome::Failed, b"x".to_vec());
    again.sequence = 7;
    let observed = told.observe(again);
    assert!(!observed.delivery_changed && observed.happenings.is_empty());
}
