//! Agents that wait for an operator: approved by hand, merged into who they were before, or refused.

use muster::app::agents::AgentAct;
use muster::app::enrolment::{Enrol, Enrolled, NewEnrolmentToken, Waiting};
use muster::app::error::Error;
use muster::auth::actor::Actor;
use muster::fleet::agent::{Happening, Standing};
use muster::fleet::enrolment::Likeness;
use muster::fleet::identity::CredentialState;
use muster::fleet::ids::{AgentId, CredentialId};
use muster::fleet::name::Name;

use crate::harness::{Agent, Plan, World, admin, collector, fresh_uid};

impl World {
    /// Enrols a host with a token like `wish`.
    async fn enrols(&self, wish: NewEnrolmentToken, host: Enrol) -> Enrolled {
        let token = self.app.create_enrolment_token(&admin(), wish).await.unwrap();
        let from = Some("192.0.2.7".parse().unwrap());
        self.app.enrol(&token.secret, host, from).await.unwrap()
    }

    fn waits(&self) -> Vec<Waiting> {
        self.app.waiting(&admin()).unwrap()
    }

    async fn settles(&self, id: AgentId, act: AgentAct) -> Result<(), Error> {
        self.app.act(&admin(), id, &act).await
    }

    fn state_of(&self, credential: CredentialId) -> CredentialState {
        let all = self.app.credentials(&admin()).unwrap();
        all.into_iter()
            .find(|known| known.id == credential)
            .unwrap()
            .state
    }
}

fn by_hand() -> NewEnrolmentToken {
    NewEnrolmentToken {
        note: "image of the web servers".into(),
        by_hand: true,
        group: Some(Name::slug("edge")),
        ..NewEnrolmentToken::default()
    }
}

fn host(name: &str) -> Enrol {
    Enrol {
        host: name.into(),
        host_id: format!("machine-of-{name}"),
        system: "Linux 6.8.0 x86_64".into(),
        ..Enrol::default()
    }
}

/// The agent of an enrolment, with a uid of its own.
fn agent_of(enrolled: &Enrolled, host: &str) -> Agent {
    Agent {
        uid: fresh_uid(),
        credential: enrolled.credential.clone(),
        credential_id: enrolled.credential_id,
        id: enrolled.agent_id,
        sequence: 0,
        capabilities: crate::harness::ALL,
        host: host.into(),
        status: muster::fleet::agent::report::RemoteConfigStatus::default(),
        effective: muster::fleet::config::ConfigMap::document("receivers: {}\n"),
    }
}

#[tokio::test]
async fn an_agent_that_has_to_be_approved_is_acknowledged_and_given_nothing_until_it_is() {
    let world = World::start();
    world.wants("edge", "a").await;
    let enrolled = world.enrols(by_hand(), host("web-1")).await;
    assert!(enrolled.pending && !enrolled.conflict);
    let mut agent = agent_of(&enrolled, "web-1");
    let mut line = agent.connect(&world).await;
    let full = agent.full();
    let answer = line.ask(&full).await;
    assert!(answer.error.is_none() && answer.remote_config.is_none());

    let waits = world.waits();
    let [waiting] = waits.as_slice() else {
        panic!("{waits:?}")
    };
    assert_eq!(
        (waiting.agent.id, waiting.conflict, waiting.online),
        (agent.id(), false, true)
    );
    assert_eq!(
        (
            waiting.host.as_str(),
            waiting.system.as_str(),
            waiting.token.as_str()
        ),
        ("web-1", "Linux 6.8.0 x86_64", "image of the web servers")
    );
    assert_eq!(
        (waiting.host_id.as_str(), waiting.address.as_str()),
        ("machine-of-web-1", "192.0.2.7")
    );
    assert_eq!(waiting.looks_like, []);

    world.settles(agent.id(), AgentAct::Approve).await.unwrap();
    assert!(line.hear().await.remote_config.is_some(), "at once");
    assert_eq!(world.waits(), []);
    let by = "ada".to_owned();
    assert!(world.story(agent.id()).contains(&Happening::Approved { by }));
    let again = world.settles(agent.id(), AgentAct::Approve).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "decided once");
}

#[tokio::test]
async fn what_waits_still_waits_after_a_restart_and_is_not_put_away_undecided() {
    let world = World::on_disk(Plan::default());
    world.group("edge").await;
    let enrolled = world.enrols(by_hand(), host("web-1")).await;
    let id = enrolled.agent_id.unwrap();
    let world = world.restart().await;
    assert_eq!(world.look(id).registration.standing, Standing::Pending);
    let archived = world.settles(id, AgentAct::Archive).await;
    assert!(matches!(archived, Err(Error::Conflict(_))));
    world.settles(id, AgentAct::Approve).await.unwrap();
    let world = world.kill().await;
    assert_eq!(world.look(id).registration.standing, Standing::Active);
}

#[tokio::test]
async fn a_host_that_was_set_up_anew_is_merged_into_the_record_that_it_had() {
    let world = World::on_disk(Plan::default());
    world.wants("edge", "a").await;
    let first = world.enrols(by_hand(), host("web-3")).await;
    let known = first.agent_id.unwrap();
    let label = AgentAct::Label {
        set: [("rack".to_owned(), "7".to_owned())].into(),
        remove: Vec::new(),
    };
    world.settles(known, AgentAct::Approve).await.unwrap();
    world.settles(known, label).await.unwrap();
    let mut before = agent_of(&first, "web-3");
    let line = before.online(&world).await;
    line.close().await;
    world.until("it is gone", || !world.is_online(known)).await;
    world.pass(std::time::Duration::from_hours(1));

    // The host was set up anew: other files, another uid, the same machine under the same name.
    let mut wish = by_hand();
    wish.group = None;
    let second = world.enrols(wish, host("web-3")).await;
    assert!(second.pending && !second.conflict, "nobody of that name is alive");
    let mut anew = agent_of(&second, "web-3");
    let mut line = anew.connect(&world).await;
    let full = anew.full();
    assert!(line.ask(&full).await.remote_config.is_none());
    let waits = world.waits();
    let [candidate] = waits[0].looks_like.as_slice() else {
        panic!("{waits:?}")
    };
    assert_eq!(
        (
            candidate.agent.id,
            candidate.by,
            candidate.online,
            candidate.can_merge
        ),
        (known, Likeness::HostId, false, true)
    );

    let merge = AgentAct::Merge { into: known };
    world.settles(anew.id(), merge.clone()).await.unwrap();
    assert_eq!(line.closed().await, Some(1012), "it is to come back at once");
    let kept = world.look(known).registration;
    assert_eq!(kept.labels.get("rack").map(String::as_str), Some("7"));
    assert_eq!((kept.group.as_str(), kept.standing), ("edge", Standing::Active));
    assert_eq!(kept.uid.map(|uid| uid.0.to_vec()), Some(anew.uid.clone()));
    assert!(matches!(
        world.state_of(first.credential_id),
        CredentialState::Revoked { .. }
    ));
    assert_eq!(world.state_of(second.credential_id), CredentialState::Active);

    // With the new credential it is the record of before, and given what that is to have.
    let mut line = anew.connect(&world).await;
    let full = anew.full();
    assert!(line.ask(&full).await.remote_config.is_some());
    assert!(world.is_online(known));
    assert_eq!(before.poll(&before.clone().full()).send(&world).await.status, 401);
    let merged =
        |happening: &Happening| matches!(happening, Happening::Merged { from, .. } if *from == anew.id());
    assert!(world.story(known).iter().any(merged));
    assert_eq!(world.acts().iter().filter(|act| *act == "agent.merge").count(), 1);
    assert_eq!(world.waits(), []);

    // What is left of the newcomer's record serves nobody, whatever is done to it.
    let husk = world.look(anew.id()).registration;
    assert!(husk.is_archived() && husk.uid.is_none());
    world.settles(anew.id(), AgentAct::Restore).await.unwrap();
    let husk = world.look(anew.id()).registration;
    assert!(matches!(husk.standing, Standing::Revoked { .. }));

    // All of it lasts.
    let world = world.kill().await;
    let full = anew.full();
    assert_eq!(anew.poll(&full).send(&world).await.status, 200);
    assert_eq!(world.record_of(&anew.uid), Some(known));
    assert_eq!(before.poll(&before.clone().full()).send(&world).await.status, 401);
    let again = world.settles(anew.id(), merge).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "it waits no longer");
}

#[tokio::test]
async fn a_merge_with_a_record_that_wants_nothing_goes_on_with_what_the_host_ran() {
    let world = World::start();
    let first = world.agent().await;
    let running = Enrol {
        running_config: Some(collector("a:4317")),
        ..host(&first.host)
    };
    let mut wish = by_hand();
    wish.group = None;
    let second = world.enrols(wish, running).await;
    let into = first.id();
    world
        .settles(second.agent_id.unwrap(), AgentAct::Merge { into })
        .await
        .unwrap();
    let mut anew = agent_of(&second, &first.host);
    anew.id = Some(into);
    let mut line = anew.connect(&world).await;
    let full = anew.full();
    let given = line.ask(&full).await.remote_config;
    assert!(given.is_some(), "its own running configuration");
    assert!(world.look(into).registration.own_target.is_some());
}

#[tokio::test]
async fn only_who_waits_and_has_a_credential_of_its_own_is_merged_and_only_into_such() {
    let world = World::start();
    world.group("edge").await;
    let (mut served, other) = (world.agent().await, world.agent().await);
    let _line = served.online(&world).await;
    let (first, second) = (
        world.enrols(by_hand(), host("a")).await,
        world.enrols(by_hand(), host("b")).await,
    );
    let (first, second) = (first.agent_id.unwrap(), second.agent_id.unwrap());
    let mut gateway = world.gateway(None, 3).await;
    let _line = gateway.online(&world).await;
    let pooled = world.record_of(&gateway.uid).unwrap();
    // A second one that uses the credential of another waits as well.
    let sharer = served.sibling();
    sharer.poll(&sharer.clone().full()).send(&world).await;
    let sharer = world.record_of(&sharer.uid).unwrap();
    for (id, into) in [
        (served.id(), other.id()),
        (first, first),
        (first, second),
        (first, pooled),
        (sharer, other.id()),
        (sharer, served.id()),
    ] {
        let merged = world.settles(id, AgentAct::Merge { into }).await;
        assert!(matches!(merged, Err(Error::Conflict(_))), "{merged:?}");
    }
    assert_eq!(world.acts().iter().filter(|act| *act == "agent.merge").count(), 0);

    // Merging kills credentials, which is not for everybody who may publish.
    let deployer = Actor {
        role: muster::auth::permission::Role::Deployer,
        ..admin()
    };
    let merge = AgentAct::Merge { into: other.id() };
    let refused = world.app.act(&deployer, first, &merge).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    world.app.act(&deployer, first, &AgentAct::Approve).await.unwrap();
}

#[tokio::test]
async fn a_refused_agent_loses_its_own_credential_and_never_that_of_another() {
    let world = World::start();
    world.group("edge").await;
    let enrolled = world.enrols(by_hand(), host("web-1")).await;
    let mut newcomer = agent_of(&enrolled, "web-1");
    let mut line = newcomer.connect(&world).await;
    let full = newcomer.full();
    line.ask(&full).await;
    world.settles(newcomer.id(), AgentAct::Refuse).await.unwrap();
    assert_eq!(line.closed().await, Some(1008));
    assert_eq!(newcomer.poll(&full).send(&world).await.status, 401);
    let standing = world.look(newcomer.id()).registration.standing;
    assert!(matches!(standing, Standing::Revoked { .. }));
    assert_eq!(
        world.acts().iter().filter(|act| *act == "agent.refuse").count(),
        1
    );

    let mut served = world.agent().await;
    let mut line = served.online(&world).await;
    let sharer = served.sibling();
    sharer.poll(&sharer.clone().full()).send(&world).await;
    let id = world.record_of(&sharer.uid).unwrap();
    world.settles(id, AgentAct::Refuse).await.unwrap();
    assert!(world.look(id).registration.is_archived());
    let heartbeat = served.compressed();
    assert!(line.ask(&heartbeat).await.error.is_none(), "it is not touched");
    world.settles(id, AgentAct::Restore).await.unwrap();
    let standing = world.look(id).registration.standing;
    assert_eq!(standing, Standing::Conflict { with: served.id() });
}

#[tokio::test]
async fn each_agent_of_a_pool_is_approved_and_comes_from_its_networks() {
    let world = World::start();
    world.wants("edge", "a").await;
    let wish = NewEnrolmentToken {
        many: Some(3),
        networks: vec!["127.0.0.0/8".into(), "192.0.2.0/24".into()],
        ..by_hand()
    };
    let pool = world.enrols(wish, host("pods")).await;
    assert!(
        !pool.pending && pool.agent_id.is_none(),
        "its agents wait, not the pool"
    );
    let pod = agent_of(&pool, "pod-1");
    let answer = pod.poll(&pod.clone().full()).send(&world).await.message();
    assert!(answer.error.is_none() && answer.remote_config.is_none());
    let id = world.record_of(&pod.uid).unwrap();
    assert_eq!(world.look(id).registration.standing, Standing::Pending);
    assert_eq!(world.look(id).registration.group.as_str(), "edge");
    let waits = world.waits();
    assert_eq!((waits.len(), waits[0].own_credential), (1, false));

    let elsewhere = NewEnrolmentToken {
        networks: vec!["192.0.2.0/24".into()],
        many: Some(3),
        ..NewEnrolmentToken::default()
    };
    let pool = world.enrols(elsewhere, host("others")).await;
    let pod = agent_of(&pool, "pod-1");
    assert_eq!(pod.poll(&pod.clone().full()).send(&world).await.status, 401);
}
