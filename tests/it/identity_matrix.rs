//! Who may speak for whom: every kind of credential × every field that a message may have × whose uid × transport.
//! Whatever comes of it, the agents that it doesn't belong to are the same afterwards, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use muster::app::accounts::NewToken;
use muster::app::enrolment::{Enrol, NewEnrolmentToken};
use muster::app::records::TimelineEntry;
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::fleet::agent::report::{
    AvailableComponents, Component, ConnectionStatus, Health, RemoteConfigOutcome, RemoteConfigStatus,
};
use muster::fleet::agent::{Delivery, RefusalKind, Registration, Reported, Standing};
use muster::fleet::attributes::Description;
use muster::fleet::config::ConfigMap;
use muster::fleet::identity::{Credential, Purpose};
use muster::fleet::ids::AgentId;
use muster::fleet::name::Name;
use muster::opamp::client::{self, Incoming, Outgoing};
use muster::store::{Record, Store, Versioned};

use crate::harness::{ALL, Agent, Line, Plan, Request, World, admin, bearer_of, caps::C, fresh_uid, text};
use crate::people;

/// What is presented instead of a good credential, or beside one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Of one agent, which is bound to it and there.
    Bound,
    /// Of one agent that never spoke.
    Fresh,
    /// Of a gateway.
    Many,
    /// Offered to an agent that hasn't used it yet.
    Candidate,
    /// Replaced by another, good for coming back.
    Recovery,
    /// Offered once, never used, over.
    Lapsed,
    Revoked,
    Quarantined,
    EnrolmentToken,
    SetupToken,
    ApiToken,
    Session,
    /// The bound agent's own id, which is not secret.
    CredentialId,
    /// The victim's credential without its last letter.
    CutOff,
    Nonsense,
    Nothing,
}

const KINDS: [Kind; 16] = [
    Kind::Bound,
    Kind::Fresh,
    Kind::Many,
    Kind::Candidate,
    Kind::Recovery,
    Kind::Lapsed,
    Kind::Revoked,
    Kind::Quarantined,
    Kind::EnrolmentToken,
    Kind::SetupToken,
    Kind::ApiToken,
    Kind::Session,
    Kind::CredentialId,
    Kind::CutOff,
    Kind::Nonsense,
    Kind::Nothing,
];

/// Whose uid a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Own,
    Unknown,
    /// Of an agent that has a credential for itself.
    Victim,
    /// Of an agent behind somebody else's gateway.
    Pooled,
}

/// What comes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 401, before anything else.
    Stranger,
    /// Heard, as its own agent or as a new one.
    Heard,
    /// Heard, and told to use another uid.
    Renamed,
    /// `BAD_REQUEST`.
    Refused,
}

fn expected(kind: Kind, whose: Whose) -> Outcome {
    match (kind, whose) {
        (Kind::Bound | Kind::Fresh | Kind::Many | Kind::Candidate, Whose::Own | Whose::Unknown)
        | (Kind::Recovery, Whose::Own) => Outcome::Heard,
        (Kind::Fresh, Whose::Victim | Whose::Pooled) => Outcome::Renamed,
        (Kind::Bound | Kind::Many | Kind::Candidate, Whose::Victim | Whose::Pooled) | (Kind::Recovery, _) => {
            Outcome::Refused
        }
        _ => Outcome::Stranger,
    }
}

/// Messages by the name of the field that they are about; the last one has them all. `sequence_num` and `capabilities`
/// are in every one.
#[allow(clippy::too_many_lines, reason = "a table")]
fn messages(hash: &[u8]) -> Vec<(&'static str, Outgoing, &'static [u8])> {
    let with = |change: fn(&mut Outgoing)| {
        let mut message = Outgoing::default();
        change(&mut message);
        message
    };
    let mut applied = Outgoing::default();
    applied.parts.remote_config_status = Some(RemoteConfigStatus {
        hash: hash.to_vec(),
        outcome: RemoteConfigOutcome::Failed,
        error: "forged".into(),
    });
    let mut connection = Outgoing::default();
    connection.parts.connection_status = Some(ConnectionStatus {
        hash: hash.to_vec(),
        outcome: RemoteConfigOutcome::Failed,
        error: "forged".into(),
    });
    let mut list = vec![
        ("instance_uid", Outgoing::default(), &b""[..]),
        ("sequence_num", Outgoing::default(), b""),
        (
            "capabilities",
            with(|message| message.capabilities = C::REPORTS_STATUS.0),
            b"",
        ),
        (
            "agent_description",
            with(|message| message.parts.description = Some(forged_description())),
            b"",
        ),
        (
            "health",
            with(|message| {
                message.parts.health = Some(Health {
                    last_error: "forged".into(),
                    ..Health::default()
                });
            }),
            b"",
        ),
        (
            "effective_config",
            with(|message| message.parts.effective_config = Some(ConfigMap::document("forged: 1\n"))),
            b"",
        ),
        ("remote_config_status", applied, b""),
        // What our own client doesn't say is put behind, as bytes: a package `forged`, and so on.
        (
            "package_statuses",
            Outgoing::default(),
            b"\x42\x16\x0a\x0c\x0a\x06forged\x12\x02\x0a\x00\x12\x06forged",
        ),
        ("agent_disconnect", with(|message| message.disconnect = true), b""),
        ("flags", with(|message| message.requests_uid = true), b""),
        (
            "connection_settings_request",
            Outgoing::default(),
            b"\x5a\x04\x0a\x02\x0a\x00",
        ),
        (
            "custom_capabilities",
            with(|message| message.parts.custom_capabilities = Some(vec!["forged".into()])),
            b"",
        ),
        ("custom_message", Outgoing::default(), b"\x6a\x08\x0a\x06forged"),
        (
            "available_components",
            with(|message| {
                message.parts.available_components = Some(AvailableComponents {
                    hash: b"hash".to_vec(),
                    components: BTreeMap::from([("forged".into(), Component::default())]),
                });
            }),
            b"",
        ),
        ("connection_settings_status", connection, b""),
    ];
    let mut all = Outgoing {
        disconnect: true,
        requests_uid: true,
        ..Outgoing::default()
    };
    for (_, one, _) in &list {
        let parts = one.parts.clone();
        all.parts.description = all.parts.description.take().or(parts.description);
        all.parts.health = all.parts.health.take().or(parts.health);
        all.parts.effective_config = all.parts.effective_config.take().or(parts.effective_config);
        all.parts.remote_config_status = all
            .parts
            .remote_config_status
            .take()
            .or(parts.remote_config_status);
        all.parts.connection_status = all.parts.connection_status.take().or(parts.connection_status);
        all.parts.available_components = all
            .parts
            .available_components
            .take()
            .or(parts.available_components);
        all.parts.custom_capabilities = all.parts.custom_capabilities.take().or(parts.custom_capabilities);
    }
    list.push((
        "all",
        all,
        b"\x42\x16\x0a\x0c\x0a\x06forged\x12\x02\x0a\x00\x12\x06forged\x5a\x04\x0a\x02\x0a\x00\x6a\x08\x0a\x06forged",
    ));
    list
}

fn forged_description() -> Description {
    Description {
        identifying: vec![text("service.name", "forged")],
        non_identifying: vec![text("host.name", "victim-host")],
    }
}

#[test]
fn the_matrix_has_a_message_for_every_field_that_there_is() {
    let mut named: BTreeSet<&str> = messages(b"").into_iter().map(|(name, ..)| name).collect();
    assert!(named.remove("all"));
    let mut fields = BTreeSet::new();
    let mut inside = false;
    for line in include_str!("../corpus/opamp_schema.txt").lines() {
        match line.strip_prefix("  ") {
            Some(row) if inside => {
                fields.insert(row.split(' ').nth(1).unwrap());
            }
            Some(_) => {}
            None => inside = line == "message AgentToServer",
        }
    }
    assert!(!fields.is_empty());
    assert_eq!(named, fields);
}

/// A server with the agents that nobody may touch.
struct Stage {
    world: World,
    victim: Agent,
    pooled: Agent,
    line: Line,
    hash: Vec<u8>,
    /// Names that nobody had yet.
    next: u32,
}

impl Stage {
    async fn set() -> Self {
        // Without what goes on by itself: whatever changes, a message changed it.
        let world = World::with(Plan {
            loops: false,
            ..Plan::default()
        });
        world.wants("edge", "a").await;
        let mut victim = enrolled(&world, "victim-host", None).await;
        let pin = muster::app::agents::AgentAct::Pin {
            group: Name::slug("edge"),
            reason: String::new(),
            until: None,
        };
        world.app.act(&admin(), victim.id(), &pin).await.unwrap();
        let mut line = victim.connect(&world).await;
        let mut full = victim.full();
        full.parts.available_components = Some(AvailableComponents {
            hash: b"hash".to_vec(),
            components: BTreeMap::from([("receivers".into(), Component::default())]),
        });
        let (_, hash) = line.ask(&full).await.remote_config.unwrap();
        let applied = victim.reports(&hash, RemoteConfigOutcome::Applied);
        assert_eq!(line.ask(&applied).await.error, None);
        let mut pooled = enrolled(&world, "pool", Some(10)).await;
        assert_eq!(
            pooled
                .poll(&pooled.clone().full())
                .send(&world)
                .await
                .message()
                .error,
            None
        );
        pooled.id = world.record_of(&pooled.uid);
        Self {
            world,
            victim,
            pooled,
            line,
            hash,
            next: 0,
        }
    }

    async fn another(&mut self, many: Option<u32>) -> Agent {
        self.next += 1;
        enrolled(&self.world, &format!("other-{}", self.next), many).await
    }

    /// An agent that took part in a replacement of its credential: with the one before, and with the new one.
    async fn rotated(&mut self) -> (Agent, Agent) {
        let mut before = self
            .another(None)
            .await
            .able(ALL.with(C::ACCEPTS_OPAMP_CONNECTION_SETTINGS));
        self.says(&mut before).await;
        self.world.rotate(&before).await;
        let answer = before
            .poll(&before.clone().compressed())
            .send(&self.world)
            .await
            .message();
        let mut after = before.clone();
        after.take(&answer.connection.expect("an offer"));
        (before, after)
    }

    async fn says(&self, agent: &mut Agent) -> Incoming {
        let message = agent.full();
        agent.poll(&message).send(&self.world).await.message()
    }

    /// Somebody with a credential of this kind, and a uid.
    async fn speaker(&mut self, kind: Kind) -> Agent {
        let mut one = match kind {
            Kind::Many => self.another(Some(10)).await,
            Kind::Candidate | Kind::Lapsed | Kind::Recovery => {
                let (before, mut after) = self.rotated().await;
                if kind == Kind::Recovery {
                    self.says(&mut after).await;
                    before
                } else {
                    after
                }
            }
            _ => self.another(None).await,
        };
        match kind {
            Kind::Bound | Kind::Many => {
                self.says(&mut one).await;
            }
            Kind::Revoked => {
                let operator = admin();
                let revoking = self.world.app.revoke_credential(&operator, one.credential_id);
                revoking.await.unwrap();
            }
            Kind::Quarantined => {
                self.says(&mut one).await;
                let mut forged = one.clone();
                // Somebody else's than the victims', whose records are being compared.
                let mut other = self.another(None).await;
                self.says(&mut other).await;
                forged.uid = other.uid;
                for _ in 0..3 {
                    self.says(&mut forged).await;
                }
            }
            Kind::EnrolmentToken => one.credential = enrolment_token(&self.world, None).await,
            Kind::SetupToken | Kind::ApiToken | Kind::Session => {
                one.credential = of_people(&self.world, kind).await;
            }
            Kind::CredentialId => one.credential = one.credential_id.to_string(),
            Kind::CutOff => {
                one.credential.clone_from(&self.victim.credential);
                one.credential.pop();
            }
            Kind::Nonsense => one.credential = "nonsense".into(),
            Kind::Nothing => one.credential = String::new(),
            Kind::Fresh | Kind::Candidate | Kind::Lapsed | Kind::Recovery => {}
        }
        one
    }

    fn uid(&self, speaker: &Agent, whose: Whose) -> Vec<u8> {
        match whose {
            Whose::Own => speaker.uid.clone(),
            Whose::Unknown => fresh_uid(),
            Whose::Victim => self.victim.uid.clone(),
            Whose::Pooled => self.pooled.uid.clone(),
        }
    }

    /// All that is known of the two.
    async fn untouchable(&self) -> [Vec<String>; 2] {
        self.world.app.flush_all().await;
        [&self.victim, &self.pooled].map(|agent| all_of(&self.world, agent))
    }
}

async fn enrolment_token(world: &World, many: Option<u32>) -> String {
    let wish = NewEnrolmentToken {
        many,
        ..NewEnrolmentToken::default()
    };
    world
        .app
        .create_enrolment_token(&admin(), wish)
        .await
        .unwrap()
        .secret
}

async fn enrolled(world: &World, host: &str, many: Option<u32>) -> Agent {
    let token = enrolment_token(world, many).await;
    let wish = Enrol {
        host: host.to_owned(),
        ..Enrol::default()
    };
    let made = world.app.enrol(&token, wish, None).await.unwrap();
    assert!(!made.conflict, "{host}");
    Agent {
        uid: fresh_uid(),
        credential: made.credential,
        credential_id: made.credential_id,
        id: made.agent_id,
        sequence: 0,
        capabilities: ALL,
        host: host.to_owned(),
        status: RemoteConfigStatus::default(),
        effective: ConfigMap::document("receivers: {}\n"),
    }
}

/// A secret that is good for something else.
async fn of_people(world: &World, kind: Kind) -> String {
    let accounts = &world.app.accounts;
    let Ok(setup) = accounts.issue_setup_token(&people::host()).await else {
        let password = Password::new(people::PASSWORD);
        let login = accounts
            .login("anna", &password, &people::visitor(1), None)
            .await
            .unwrap();
        if kind == Kind::Session {
            return login.secret.expose().to_owned();
        }
        let wish = NewToken {
            name: format!("token-{}", fresh_uid()[15]),
            role: Role::Admin,
            days: 1,
            account: None,
        };
        let (secret, _) = accounts.create_token(&login.actor, wish).await.unwrap();
        return secret.expose().to_owned();
    };
    let secret = setup.expose().to_owned();
    if kind == Kind::SetupToken {
        return secret;
    }
    let password = Password::new(people::PASSWORD);
    let claimed = accounts
        .claim(&secret, "anna", &password, &people::visitor(1))
        .await
        .unwrap();
    if kind == Kind::Session {
        return claimed.secret.expose().to_owned();
    }
    let wish = NewToken {
        name: "matrix".into(),
        role: Role::Admin,
        days: 1,
        account: None,
    };
    let (secret, _) = accounts.create_token(&claimed.actor, wish).await.unwrap();
    secret.expose().to_owned()
}

/// A row as the store has it: how often it was written, and its JSON.
fn row<R: Record>(found: &Versioned<R>) -> String {
    format!(
        "{} {} {}",
        R::TABLE,
        found.revision,
        serde_json::to_string(&found.record).unwrap()
    )
}

fn kept<R: Record>(store: &Store, key: &R::Key) -> Option<String> {
    store.get::<R>(key).unwrap().as_ref().map(row)
}

/// Every row about an agent, and every view of it.
fn all_of(world: &World, agent: &Agent) -> Vec<String> {
    let (store, app, id) = (&world.store, &world.app, agent.id());
    let mut all: Vec<String> = [
        kept::<Registration>(store, &id),
        kept::<Reported>(store, &id),
        kept::<Delivery>(store, &id),
        kept::<Credential>(store, &agent.credential_id),
    ]
    .into_iter()
    .flatten()
    .collect();
    let timeline = store
        .under::<AgentId, u64, TimelineEntry>(&id, usize::MAX, false)
        .unwrap();
    all.extend(timeline.iter().map(|(_, found)| row(found)));
    let json = |view: serde_json::Result<String>| view.unwrap();
    all.push(json(serde_json::to_string(&app.agent(&admin(), id).unwrap())));
    all.push(json(serde_json::to_string(
        &app.agent_identity(&admin(), id).unwrap(),
    )));
    all.push(json(serde_json::to_string(
        &app.agent_configuration(&admin(), id).unwrap(),
    )));
    all.push(json(serde_json::to_string(
        &app.effective_config(&admin(), id).unwrap(),
    )));
    all.push(json(serde_json::to_string(
        &app.components(&admin(), id).unwrap(),
    )));
    all.push(json(serde_json::to_string(
        &app.timeline(&admin(), id, 1000).unwrap(),
    )));
    assert!(all.len() > 9, "{all:?}");
    all
}

/// Shows no more than what differs.
fn assert_same(now: &[Vec<String>; 2], before: &[Vec<String>; 2], what: &str) {
    let pairs = now.iter().flatten().zip(before.iter().flatten());
    for (now, before) in pairs {
        let same = now
            .bytes()
            .zip(before.bytes())
            .take_while(|(now, before)| now == before)
            .count();
        let around = same.saturating_sub(120);
        let part = |text: &str| {
            String::from_utf8_lossy(&text.as_bytes()[around.min(text.len())..])
                .chars()
                .take(300)
                .collect::<String>()
        };
        assert!(
            now == before,
            "{what}\nnow    {}\nbefore {}",
            part(now),
            part(before)
        );
    }
    assert_eq!(
        now.each_ref().map(Vec::len),
        before.each_ref().map(Vec::len),
        "{what}"
    );
}

/// What came back for bytes on one of the transports.
async fn sent(world: &World, credential: &str, bytes: &[u8], websocket: bool) -> Result<Incoming, u16> {
    if websocket {
        let mut line = match Line::open(world, credential).await {
            Ok(line) => line,
            Err(refused) => {
                let said = refused.to_string();
                assert!(said.contains("401"), "{said}");
                return Err(401);
            }
        };
        line.send([&[0], bytes].concat()).await;
        return Ok(line.hear().await);
    }
    let mut request = Request::posting(credential, bytes.to_vec());
    if credential.is_empty() {
        request = request.without("authorization");
    }
    let answer = request.send(world).await;
    match answer.status {
        200 => Ok(answer.message()),
        status => Err(status),
    }
}

fn outcome(answer: &Result<Incoming, u16>) -> Outcome {
    match answer {
        Err(401) => Outcome::Stranger,
        Err(status) => panic!("status {status}"),
        Ok(answer) => match &answer.error {
            Some(error) => {
                assert_eq!(error.kind, RefusalKind::BadRequest, "{error:?}");
                Outcome::Refused
            }
            None if answer.new_uid.is_some() => Outcome::Renamed,
            None => Outcome::Heard,
        },
    }
}

/// Walks a share of the matrix, and returns how much that was.
async fn walk(kinds: &[Kind]) -> usize {
    let mut walked = 0;
    for kind in kinds.iter().copied() {
        let mut stage = Stage::set().await;
        let mut before = stage.untouchable().await;
        let mut strangers = None;
        for (name, message, behind) in messages(&stage.hash) {
            for whose in [Whose::Own, Whose::Unknown, Whose::Victim, Whose::Pooled] {
                for websocket in [false, true] {
                    let expected = expected(kind, whose);
                    // Who is let in by nobody is the same each time; others are changed by what they said before.
                    let speaker = match strangers.take() {
                        Some(speaker) => speaker,
                        None => stage.speaker(kind).await,
                    };
                    if kind == Kind::Lapsed && walked % (16 * 8) == 0 {
                        stage.world.pass(std::time::Duration::from_hours(24 * 31));
                        before = stage.untouchable().await;
                    }
                    let message = Outgoing {
                        uid: stage.uid(&speaker, whose),
                        sequence: speaker.sequence + 1,
                        capabilities: if message.capabilities == 0 {
                            ALL.0
                        } else {
                            message.capabilities
                        },
                        ..message.clone()
                    };
                    let bytes = [client::write(&message).as_slice(), behind].concat();
                    let answer = sent(&stage.world, &speaker.credential, &bytes, websocket).await;
                    let what = format!("{kind:?} says {name} as {whose:?}, websocket: {websocket}");
                    let asks_for_uid = message.requests_uid && expected == Outcome::Heard;
                    let got = outcome(&answer);
                    assert!(
                        got == expected || asks_for_uid && got == Outcome::Renamed,
                        "{what}: {answer:?}"
                    );
                    if let Ok(answer) = &answer {
                        // Nobody hears of another's configuration, command or credential.
                        let given = answer.remote_config.is_some() || answer.restart;
                        assert!(!given, "{what}: {answer:?}");
                        let told = answer.connection.as_ref().map(bearer_of);
                        assert_ne!(told.as_ref(), Some(&stage.victim.credential), "{what}");
                    }
                    // Strangers are looked at once for each message.
                    if expected != Outcome::Stranger || whose == Whose::Pooled && websocket {
                        assert_same(&stage.untouchable().await, &before, &what);
                    }
                    if expected == Outcome::Stranger {
                        strangers = Some(speaker);
                    }
                    walked += 1;
                }
            }
        }
        if kind != Kind::Lapsed {
            assert_same(&stage.untouchable().await, &before, "afterwards");
            let mut victim = stage.victim.clone();
            let answer = stage.line.ask(&victim.compressed()).await;
            let quiet = answer.error.is_none() && !answer.full_state && answer.remote_config.is_none();
            assert!(
                quiet && answer.new_uid.is_none(),
                "{kind:?}: its connection was left alone: {answer:?}"
            );
        }
    }
    walked
}

#[tokio::test]
async fn no_message_of_whoever_is_let_in_touches_another_agent() {
    let walked = walk(&KINDS[..5]).await;
    assert_eq!(walked, 5 * 16 * 8);
}

#[tokio::test]
async fn no_message_of_whoever_is_not_let_in_touches_any_agent() {
    let walked = walk(&KINDS[5..]).await;
    assert_eq!(walked, 11 * 16 * 8);
}

#[tokio::test]
async fn nobody_enrols_or_asks_in_the_place_of_another_agent() {
    let mut asked = 0;
    for kind in KINDS {
        let mut stage = Stage::set().await;
        for (host, uid) in [
            ("victim-host", None),
            ("new-host", Some(stage.victim.uid.clone())),
        ] {
            let speaker = stage.speaker(kind).await;
            if kind == Kind::Lapsed {
                stage.world.pass(std::time::Duration::from_hours(24 * 31));
            }
            let before = stage.untouchable().await;
            let uid = uid.map(|uid| muster::fleet::ids::InstanceUid(uid.try_into().unwrap()));
            let wish = serde_json::json!({"host": host, "instance_uid": uid});
            let enrolling = Request {
                path: "/v1/enroll".into(),
                body: wish.to_string().into_bytes(),
                ..Request::posting(&speaker.credential, Vec::new()).with("content-type", "application/json")
            };
            let answer = enrolling.send(&stage.world).await;
            let what = format!("{kind:?} enrols as {host}");
            if kind == Kind::EnrolmentToken {
                assert_eq!(answer.status, 201, "{what}");
                let made: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(made["conflict"], true, "{what}: somebody looks at it first");
                let made = made["agent_id"].as_str().unwrap().parse().unwrap();
                let standing = stage.world.look(made).registration.standing;
                assert_eq!(
                    standing,
                    Standing::Conflict {
                        with: stage.victim.id()
                    }
                );
            } else {
                assert_eq!(answer.status, 401, "{what}");
            }
            let standing = Request {
                path: "/v1/agent".into(),
                ..Request::posting(&speaker.credential, Vec::new()).by("GET")
            };
            let answer = standing.send(&stage.world).await;
            let own = String::from_utf8_lossy(&answer.body);
            assert!(
                !own.contains(&stage.victim.id().to_string()),
                "{kind:?} is shown another agent"
            );
            assert_same(&stage.untouchable().await, &before, &what);
            asked += 2;
        }
    }
    assert_eq!(asked, KINDS.len() * 4);
}

#[test]
fn purposes_of_credentials_are_all_in_the_matrix() {
    // A purpose that is added doesn't compile here until somebody decides where it stands in the matrix.
    let kind = |purpose: Purpose| match purpose {
        Purpose::Main => Kind::Bound,
        Purpose::Candidate { .. } => Kind::Candidate,
        Purpose::Recovery { .. } => Kind::Recovery,
    };
    assert!(KINDS.contains(&kind(Purpose::Main)));
}
