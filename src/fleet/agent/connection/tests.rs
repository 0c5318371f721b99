use super::*;
use crate::fleet::agent::{Desired, Origin, Pulse, Registration, Reply, Transport, Update};
use crate::fleet::connection_offer::ConnectionSettings;
use crate::fleet::ids::AgentId;

const TAKES: Capabilities = Capabilities::ACCEPTS_OPAMP_CONNECTION_SETTINGS;
const REPORTS: Capabilities = Capabilities::REPORTS_CONNECTION_SETTINGS_STATUS;
const OLD: CredentialId = CredentialId([1; 16]);
const NEW: CredentialId = CredentialId([2; 16]);

struct Scene {
    agent: Arc<Agent>,
    contact: Contact,
    now: Timestamp,
    offer: Arc<ConnectionOffer>,
}

impl Scene {
    fn new(capabilities: Capabilities) -> Self {
        let registration = Registration::new(AgentId([9; 16]), OLD, Origin::default());
        let mut agent = Agent::new(registration);
        agent.reported.capabilities = capabilities;
        let token =
            ConnectionSettings::with_token("a:1", Transport::WebSocket, "t", "ca", Duration::from_secs(30));
        let mut scene = Self {
            agent: Arc::new(agent),
            contact: Contact::new(Transport::WebSocket),
            now: Timestamp::from_seconds(1_000),
            offer: Arc::new(ConnectionOffer::new(NEW, token)),
        };
        scene.connect(OLD, false);
        scene
    }

    fn connect(&mut self, credential: CredentialId, recovery: bool) {
        self.contact = Contact::new(Transport::WebSocket);
        self.contact.using = Some(Using {
            credential,
            recovery,
            authority: None,
        });
        let now = self.now;
        self.with(|subject| subject.arrive(now));
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Subject<'_>) -> T) -> T {
        work(&mut Subject {
            agent: &mut self.agent,
            pulse: &mut Pulse::default(),
            contact: &mut self.contact,
        })
    }

    /// Whether a reply now carries the offer.
    fn offered(&mut self) -> bool {
        let desired = Desired {
            connection: Some(Arc::clone(&self.offer)),
            ..Desired::default()
        };
        let now = self.now;
        match self.with(|subject| subject.reply(&desired, now).0) {
            Reply::Update(update) => update.connection.is_some(),
            other @ (Reply::Error(_) | Reply::Command(_)) => panic!("{other:?}"),
        }
    }

    fn says(&mut self, hash: &[u8], outcome: RemoteConfigOutcome) -> Observed {
        let status = ConnectionStatus {
            hash: hash.to_vec(),
            outcome,
            error: "no route".into(),
        };
        let (now, mut observed) = (self.now, Observed::default());
        self.with(|subject| subject.take_connection_status(&status, now, &mut observed));
        observed
    }

    fn passes(&mut self, minutes: u64) {
        self.now = self.now.plus(Duration::from_mins(minutes));
    }
}

#[test]
fn without_statuses_an_offer_is_made_once() {
    let mut scene = Scene::new(TAKES);
    assert!(scene.offered());
    for _ in 0..5 {
        assert!(!scene.offered());
        scene.connect(OLD, false);
        scene.passes(20);
        assert!(!scene.offered());
    }
}

#[test]
fn without_the_capability_nothing_is_offered() {
    let mut scene = Scene::new(Capabilities(!TAKES.0));
    assert!(!scene.offered());
    assert_eq!(scene.agent.delivery.connection, None);
}

#[test]
fn a_connection_that_shows_the_credential_settles_it() {
    let mut scene = Scene::new(TAKES);
    assert!(scene.offered());
    assert!(scene.agent.changes_over(scene.now));
    scene.connect(NEW, false);
    assert!(!scene.offered());
    assert!(!scene.agent.changes_over(scene.now));
    let accepted = scene
        .agent
        .delivery
        .connection
        .as_ref()
        .unwrap()
        .accepted
        .unwrap();
    assert_eq!((accepted.credential, accepted.heartbeat_seconds), (NEW, 30));
    let now = scene.now;
    assert!(!scene.with(|subject| subject.arrive(now)), "known already");
}

#[test]
fn one_who_comes_to_recover_is_offered_it_each_time_and_told_nothing_else() {
    let mut scene = Scene::new(TAKES.with(Capabilities::ACCEPTS_REMOTE_CONFIG));
    assert!(scene.offered());
    for _ in 0..10 {
        scene.connect(NEW, false);
        assert!(!scene.offered());
        scene.connect(OLD, true);
        assert!(scene.offered());
        assert!(!scene.offered(), "once per link");
    }
    scene.connect(OLD, true);
    let (desired, now) = (Desired::default(), scene.now);
    let reply = scene.with(|subject| subject.reply(&desired, now).0);
    assert_eq!(
        reply,
        Reply::Update(Update {
            capabilities: true,
            ..Update::default()
        })
    );
}

#[test]
fn one_who_reconnects_at_every_offer_and_keeps_what_it_had_is_left_alone_for_a_while() {
    let mut scene = Scene::new(TAKES);
    let mut offers = 0;
    for _ in 0..60 {
        scene.connect(OLD, true);
        offers += u32::from(scene.offered());
        scene.passes(1);
    }
    assert!((3..=9).contains(&offers), "{offers} in an hour");
}

#[test]
fn a_failure_is_remembered_and_never_offered_again_by_itself() {
    let mut scene = Scene::new(TAKES.with(REPORTS));
    assert!(scene.offered());
    let hash = scene.offer.hash.0;
    assert_eq!(
        scene.says(&hash, RemoteConfigOutcome::Applying).connection_failed,
        None
    );
    let observed = scene.says(&hash, RemoteConfigOutcome::Failed);
    assert_eq!(observed.connection_failed, Some(NEW));
    assert!(observed.delivery_changed);
    for recovery in [false, true] {
        scene.connect(OLD, recovery);
        scene.passes(60);
        scene.says(b"older", RemoteConfigOutcome::Applied);
        assert!(!scene.offered());
    }
}

#[test]
fn a_failure_after_a_use_is_a_failure_again() {
    let mut scene = Scene::new(TAKES.with(REPORTS));
    assert!(scene.offered());
    let hash = scene.offer.hash.0;
    scene.says(&hash, RemoteConfigOutcome::Failed);
    scene.connect(NEW, false);
    assert_eq!(scene.agent.delivery.connection.as_ref().unwrap().failures, []);
    scene.connect(OLD, false);
    let observed = scene.says(&hash, RemoteConfigOutcome::Failed);
    assert_eq!(observed.connection_failed, Some(NEW));
    assert!(!scene.offered());
}

#[test]
fn a_status_that_names_another_hash_is_answered_by_an_offer_and_the_right_one_is_not() {
    let mut scene = Scene::new(TAKES.with(REPORTS));
    assert!(scene.offered());
    scene.says(b"older", RemoteConfigOutcome::Applied);
    assert!(scene.offered());
    let hash = scene.offer.hash.0;
    scene.says(&hash, RemoteConfigOutcome::Applied);
    assert!(!scene.offered());
    // On the old credential it says that it has them: only a connection would prove it, and asking again doesn't help.
    scene.connect(OLD, false);
    assert!(!scene.offered());
}

#[test]
fn an_empty_health_at_the_change_of_connections_changes_nothing() {
    let mut scene = Scene::new(TAKES);
    assert!(scene.offered());
    assert!(!scene.with(|subject| subject.begins_as_offered(Timestamp::from_seconds(1_000))));
    scene.connect(NEW, false);
    let now = scene.now;
    assert!(scene.with(|subject| subject.begins_as_offered(now)));
    assert!(!scene.offered());
    assert!(
        !scene.with(|subject| subject.begins_as_offered(now)),
        "only the first message"
    );
    scene.passes(5);
    scene.connect(NEW, false);
    let now = scene.now;
    assert!(
        !scene.with(|subject| subject.begins_as_offered(now)),
        "a restart of its own"
    );
}

#[test]
fn silence_is_borne_for_several_of_the_intervals_that_it_took() {
    let mut scene = Scene::new(TAKES);
    let usual = Duration::from_mins(2);
    let settings = ConnectionSettings::with_token("a:1", Transport::Http, "t", "ca", Duration::from_mins(5));
    scene.offer = Arc::new(ConnectionOffer::new(NEW, settings));
    let borne = |scene: &Scene| scene.agent.silence_borne(scene.contact.using.as_ref(), usual);
    assert!(scene.offered());
    assert_eq!(borne(&scene), usual);
    scene.connect(NEW, false);
    assert_eq!(borne(&scene), Duration::from_mins(20));
    scene.connect(OLD, true);
    assert_eq!(borne(&scene), usual, "it is back on its own interval");
}
