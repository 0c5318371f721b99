//! Intent about configurations: what is saved, who is in which group, and what reaches hosts.

use std::sync::Arc;

use muster::app::changes::Changes;
use muster::app::clock::Clock;
use muster::app::configs::{NewConfig, NewRevision};
use muster::app::error::Error;
use muster::app::groups::{GroupEdit, NewGroup};
use muster::app::intentions::Intentions;
use muster::app::publish::{IfRunning, Publish};
use muster::app::tasks::Activation;
use muster::app::vault::{Keys, SealKey};
use muster::auth::actor::Actor;
use muster::auth::permission::Role;
use muster::fleet::agent::{Agent, HoldReason, Intent, Origin, Registration};
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::{ConfigMap, Content};
use muster::fleet::hash::{ConfigHash, HashKey};
use muster::fleet::ids::{AgentId, CredentialId, TargetId};
use muster::fleet::name::Name;
use muster::fleet::rollout::Strategy;
use muster::fleet::selector::Known;
use muster::fleet::target::{Blocker, ConfirmationReason, Effect, LayerRef, Member};
use muster::fleet::time::Timestamp;
use muster::store::{AuditVerdict, Store};

const KEY: [u8; 32] = [7; 32];

struct World {
    store: Store,
    intentions: Intentions,
}

impl World {
    fn new() -> Self {
        Self::on(Store::in_memory().unwrap())
    }

    /// The same store after a restart.
    fn restarted(self) -> Self {
        Self::on(self.store)
    }

    fn on(store: Store) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000));
        let (reconcile, changes) = (Activation::new(), Changes::default());
        let keys = Keys {
            hash: HashKey(KEY),
            seal: SealKey([9; 32]),
        };
        let intentions = Intentions::load(store.clone(), clock, keys, reconcile, changes).unwrap();
        Self { store, intentions }
    }

    async fn config(&self, name: &str, yaml: &str) {
        let created = self
            .intentions
            .create_config(&operator(), new_config(name, yaml))
            .await;
        assert!(created.unwrap().created);
    }

    async fn save(&self, name: &str, base: u64, yaml: &str) -> Result<(u64, bool), Error> {
        let new = NewRevision {
            base,
            content: Content::Yaml(yaml.into()),
            message: String::new(),
            allow_blank: false,
        };
        let saved = self.intentions.save_revision(&operator(), name, new).await?;
        Ok((saved.revision.number, saved.created))
    }

    async fn group(&self, name: &str, selectors: &[&str]) -> Result<u64, Error> {
        let new = NewGroup {
            name: name.into(),
            edit: GroupEdit {
                selectors: Some(selectors.iter().map(|&s| s.into()).collect()),
                ..GroupEdit::default()
            },
        };
        self.intentions.create_group(&deployer(), new, known).await
    }

    async fn publish(
        &self,
        group: &str,
        config: &str,
        revision: u64,
        fleet: &[Member],
    ) -> Result<TargetId, Error> {
        let confirm = Some(u32::try_from(fleet.len()).unwrap());
        let publish = Publish {
            confirm,
            ..publication(group, config, revision)
        };
        let published = self.intentions.publish(&deployer(), publish, fleet).await?;
        Ok(published.target.id)
    }

    /// What an agent of the group should have.
    fn wanted(&self, group: &str) -> Intent<muster::fleet::agent::Offer> {
        self.intentions.desired(&agent(1, group).registration).config
    }

    fn wanted_hash(&self, group: &str) -> [u8; ConfigHash::LENGTH] {
        let Intent::Want(offer) = self.wanted(group) else {
            panic!("nothing is wanted of {group}")
        };
        offer.hash
    }

    fn acts(&self) -> Vec<String> {
        let records = self.store.audit(None, usize::MAX).unwrap();
        records
            .into_iter()
            .rev()
            .map(|record| record.entry.action)
            .collect()
    }
}

fn layer(config: &str, revision: u64) -> LayerRef {
    LayerRef {
        config: Name::slug(config),
        revision,
    }
}

fn publication(group: &str, config: &str, revision: u64) -> Publish {
    Publish {
        group: group.into(),
        layers: vec![layer(config, revision)],
        message: "for the tests".into(),
        expected_revision: None,
        confirm: None,
        allow_blank: false,
        strategy: Some(Strategy::all_at_once()),
        if_running: IfRunning::default(),
    }
}

fn person(role: Role) -> Actor {
    Actor {
        name: role.word().into(),
        role,
        ..Actor::muster()
    }
}

fn operator() -> Actor {
    person(Role::Operator)
}

fn deployer() -> Actor {
    person(Role::Deployer)
}

fn known(key: &str) -> Known {
    match key {
        "region" => Known::Both,
        "env" => Known::Label,
        _ => Known::Neither,
    }
}

fn collector(endpoint: &str) -> String {
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {endpoint}\nexporters:\n  debug: {{}}\n\
         service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n"
    )
}

fn new_config(name: &str, yaml: &str) -> NewConfig {
    NewConfig {
        name: name.into(),
        description: String::new(),
        content: Content::Yaml(yaml.into()),
        message: "first".into(),
        allow_blank: false,
    }
}

fn agent(number: u8, group: &str) -> Agent {
    let mut registration = Registration::new(AgentId([number; 16]), CredentialId([1; 16]), Origin::default());
    registration.group = Name::slug(group);
    let mut agent = Agent::new(registration);
    agent.reported.capabilities = Capabilities::ACCEPTS_REMOTE_CONFIG;
    agent
}

fn fleet(group: &str, count: u8) -> Vec<Member> {
    let member = |number| Member {
        agent: Arc::new(agent(number, group)),
        online: true,
        lacks: Vec::new(),
    };
    (1..=count).map(member).collect()
}

fn agents(fleet: &[Member]) -> Vec<Arc<Agent>> {
    fleet.iter().map(|member| Arc::clone(&member.agent)).collect()
}

fn field(error: &Error) -> &str {
    let Error::Invalid(fields) = error else {
        panic!("{error:?}")
    };
    &fields[0].field
}

/// A group `edge` with a published config `base`.
async fn published() -> World {
    let world = World::new();
    world.config("base", &collector("a:1")).await;
    world.group("edge", &["label.env = prod"]).await.unwrap();
    world.publish("edge", "base", 1, &fleet("edge", 3)).await.unwrap();
    world
}

#[tokio::test]
async fn nothing_is_wanted_of_anybody_before_something_is_published() {
    let world = World::new();
    world.config("base", &collector("a:1")).await;
    world.group("edge", &["*"]).await.unwrap();
    assert_eq!(world.wanted("edge"), Intent::Unmanaged);
    assert_eq!(world.wanted("unassigned"), Intent::Unmanaged);
}

#[tokio::test]
async fn what_is_published_is_wanted_byte_for_byte_and_again_after_a_restart() {
    let world = published().await;
    let Intent::Want(offer) = world.wanted("edge") else {
        panic!("nothing is wanted")
    };
    assert_eq!(*offer.content, ConfigMap::document(&collector("a:1")));
    let before = world.wanted_hash("edge");
    assert_eq!(world.restarted().wanted_hash("edge"), before);
}

#[tokio::test]
async fn saving_reaches_nobody() {
    let world = published().await;
    let before = world.wanted_hash("edge");
    world.save("base", 1, &collector("b:1")).await.unwrap();
    assert_eq!(world.wanted_hash("edge"), before);
    let group = world.intentions.group(&deployer(), "edge", &[]).unwrap();
    assert_eq!(group.summary.newer, [layer("base", 2)]);
}

#[tokio::test]
async fn rolling_back_by_hand_gives_the_old_content_its_old_hash() {
    let world = published().await;
    let first = world.wanted_hash("edge");
    world.save("base", 1, &collector("b:1")).await.unwrap();
    world.publish("edge", "base", 2, &fleet("edge", 3)).await.unwrap();
    assert_ne!(world.wanted_hash("edge"), first);
    world.publish("edge", "base", 1, &fleet("edge", 3)).await.unwrap();
    assert_eq!(world.wanted_hash("edge"), first);
    let group = world.intentions.group(&deployer(), "edge", &[]).unwrap();
    assert_eq!(group.history.len(), 3, "what was once published can be looked at");
}

#[tokio::test]
async fn of_two_operators_saving_at_once_the_second_is_told() {
    let world = World::new();
    world.config("base", &collector("a:1")).await;
    assert_eq!(world.save("base", 1, &collector("b:1")).await.unwrap(), (2, true));
    assert!(matches!(
        world.save("base", 1, &collector("c:1")).await,
        Err(Error::Stale)
    ));
}

#[tokio::test]
async fn the_same_content_makes_no_new_revision_and_no_new_target() {
    let world = published().await;
    assert_eq!(
        world.save("base", 1, &collector("a:1")).await.unwrap(),
        (1, false)
    );
    let acts = world.acts().len();
    let again = world
        .intentions
        .publish(&deployer(), publication("edge", "base", 1), &fleet("edge", 3))
        .await;
    assert!(!again.unwrap().created);
    assert_eq!(
        world.acts().len(),
        acts,
        "nothing happened, so nothing is recorded"
    );
}

#[tokio::test]
async fn an_empty_configuration_is_neither_saved_nor_published_unless_it_is_meant() {
    let world = World::new();
    let refused = world
        .intentions
        .create_config(&operator(), new_config("blank", " \n"))
        .await;
    assert_eq!(field(&refused.unwrap_err()), "allow_blank");
    let blank = NewConfig {
        content: Content::Files([].into()),
        allow_blank: true,
        ..new_config("blank", "")
    };
    world.intentions.create_config(&operator(), blank).await.unwrap();
    world.group("edge", &["*"]).await.unwrap();
    let refused = world.publish("edge", "blank", 1, &fleet("edge", 1)).await;
    assert_eq!(field(&refused.unwrap_err()), "allow_blank");
    let meant = Publish {
        allow_blank: true,
        ..publication("edge", "blank", 1)
    };
    world
        .intentions
        .publish(&deployer(), meant, &fleet("edge", 1))
        .await
        .unwrap();
    assert!(matches!(world.wanted("edge"), Intent::Want(offer) if offer.content.is_empty()));
}

#[tokio::test]
async fn a_configuration_with_errors_is_refused_with_its_places() {
    let world = World::new();
    let twice = "receivers:\n  otlp: {}\nreceivers: {}\n";
    let refused = world
        .intentions
        .create_config(&operator(), new_config("base", twice))
        .await;
    let Err(Error::Problems(problems)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(problems[0].at.line, 3);
    assert!(world.intentions.configs(&operator()).unwrap().is_empty());
}

#[tokio::test]
async fn a_withdrawn_group_holds_its_agents_and_never_sends_an_empty_configuration() {
    let world = published().await;
    world
        .intentions
        .withdraw(&deployer(), "edge", "", None)
        .await
        .unwrap();
    let nothing_left = Intent::Hold(HoldReason::NothingLeft);
    assert_eq!(world.wanted("edge"), nothing_left);
    let world = world.restarted();
    assert_eq!(world.wanted("edge"), nothing_left);
    let again = world.intentions.withdraw(&deployer(), "edge", "", None).await;
    assert!(matches!(again, Err(Error::Conflict(_))));
    world.publish("edge", "base", 1, &fleet("edge", 3)).await.unwrap();
    assert!(matches!(world.wanted("edge"), Intent::Want(_)));
}

#[tokio::test]
async fn removing_the_last_layer_becomes_a_hold_and_adding_it_again_publishes_nothing() {
    let world = published().await;
    let edit = |layers: &[&str]| GroupEdit {
        layers: Some(layers.iter().map(|&layer| layer.into()).collect()),
        ..GroupEdit::default()
    };
    world
        .intentions
        .edit_group(&deployer(), "edge", edit(&[]), None, known)
        .await
        .unwrap();
    assert_eq!(world.wanted("edge"), Intent::Hold(HoldReason::NothingLeft));
    world
        .intentions
        .edit_group(&deployer(), "edge", edit(&["base"]), None, known)
        .await
        .unwrap();
    assert_eq!(world.wanted("edge"), Intent::Hold(HoldReason::NothingLeft));
}

#[tokio::test]
async fn a_group_that_has_members_is_deleted_only_when_that_is_said_and_then_nothing_is_sent() {
    let world = published().await;
    let members = agents(&fleet("edge", 3));
    let refused = world
        .intentions
        .delete_group(&deployer(), "edge", None, false, &members)
        .await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
    let deleted = world
        .intentions
        .delete_group(&deployer(), "edge", None, true, &members)
        .await
        .unwrap();
    assert_eq!(deleted.members, 3);
    assert_eq!(world.wanted("edge"), Intent::Unmanaged);
    assert_eq!(world.restarted().wanted("edge"), Intent::Unmanaged);
}

#[tokio::test]
async fn nothing_is_published_to_agents_in_no_group_and_no_group_takes_their_name() {
    let world = World::new();
    world.config("base", &collector("a:1")).await;
    let refused = world.publish("unassigned", "base", 1, &[]).await.unwrap_err();
    assert_eq!(field(&refused), "group");
    assert_eq!(
        field(&world.group("unassigned", &["*"]).await.unwrap_err()),
        "name"
    );
}

#[tokio::test]
async fn empty_and_ambiguous_selectors_are_refused_with_the_question() {
    let world = World::new();
    let Err(Error::Invalid(fields)) = world
        .group("edge", &["label.env = prod", "", "region = eu"])
        .await
    else {
        panic!("accepted")
    };
    let named: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(named, ["selectors[1]", "selectors[2]"]);
    assert!(
        fields[1].why.contains("label.region or fact.region"),
        "{}",
        fields[1].why
    );
    world.group("edge", &["env = prod"]).await.unwrap();
    let group = world.intentions.group(&deployer(), "edge", &[]).unwrap();
    assert_eq!(group.summary.group.selectors[0].to_string(), "label.env = prod");
}

#[tokio::test]
async fn a_group_that_was_changed_since_it_was_looked_at_is_not_published_to() {
    let world = published().await;
    let seen = world
        .intentions
        .group(&deployer(), "edge", &[])
        .unwrap()
        .summary
        .revision;
    let edit = GroupEdit {
        priority: Some(5),
        ..GroupEdit::default()
    };
    world
        .intentions
        .edit_group(&deployer(), "edge", edit.clone(), Some(seen), known)
        .await
        .unwrap();
    let late = Publish {
        expected_revision: Some(seen),
        ..publication("edge", "base", 1)
    };
    let refused = world
        .intentions
        .publish(&deployer(), late, &fleet("edge", 3))
        .await;
    assert!(matches!(refused, Err(Error::Stale)));
    let edit = GroupEdit {
        priority: Some(6),
        ..edit
    };
    let refused = world
        .intentions
        .edit_group(&deployer(), "edge", edit, Some(seen), known)
        .await;
    assert!(matches!(refused, Err(Error::Stale)));
}

#[tokio::test]
async fn zero_matches_and_large_shares_ask_for_a_typed_number() {
    let world = World::new();
    world.config("base", &collector("a:1")).await;
    world.group("edge", &["*"]).await.unwrap();
    let unconfirmed = || publication("edge", "base", 1);
    let nobody = world
        .intentions
        .publish(&deployer(), unconfirmed(), &fleet("core", 3))
        .await;
    assert_eq!(field(&nobody.unwrap_err()), "confirm");
    let many = fleet("edge", 30);
    let preview = world
        .intentions
        .impact(&deployer(), "edge", &[layer("base", 1)], &many)
        .unwrap();
    let confirmation = preview.impact.confirmation.unwrap();
    assert_eq!(
        (confirmation.count, confirmation.because),
        (30, ConfirmationReason::LargeShare)
    );
    let refused = world.intentions.publish(&deployer(), unconfirmed(), &many).await;
    assert_eq!(field(&refused.unwrap_err()), "confirm");
    assert_eq!(world.wanted("edge"), Intent::Unmanaged);
    world.publish("edge", "base", 1, &many).await.unwrap();
    assert!(matches!(world.wanted("edge"), Intent::Want(_)));
}

#[tokio::test]
async fn an_agent_whose_capability_was_withdrawn_is_shown_as_blocked() {
    let world = published().await;
    let mut agent = agent(1, "edge");
    agent.reported.capabilities = Capabilities::REPORTS_STATUS;
    let agent = Arc::new(agent);
    let (online, lacks) = (true, Vec::new());
    let fleet = [Member { agent, online, lacks }];
    let preview = world
        .intentions
        .impact(&deployer(), "edge", &[layer("base", 1)], &fleet)
        .unwrap();
    let because = Blocker::NotCapable;
    assert_eq!(preview.impact.agents[0].effect, Effect::Blocked { because });
    assert!(preview.already_published && preview.diff.is_empty());
}

#[tokio::test]
async fn what_a_host_ran_before_it_joined_is_its_own_and_goes_before_its_groups() {
    let world = published().await;
    let yaml = collector("host:1");
    let (name, target) = world
        .intentions
        .adopt_running(AgentId([1; 16]), "Web 3", &yaml)
        .await
        .unwrap();
    assert_eq!(name.as_str(), "web-3");
    let mut registration = agent(1, "edge").registration;
    registration.own_target = Some(target);
    let found = world.intentions.desired(&registration);
    assert!(found.own);
    assert!(matches!(&found.config, Intent::Want(offer) if *offer.content == ConfigMap::document(&yaml)));
    let world = world.restarted();
    assert_eq!(world.intentions.desired(&registration).digest(), found.digest());
    let (other, _) = world
        .intentions
        .adopt_running(AgentId([2; 16]), "Web 3", &yaml)
        .await
        .unwrap();
    assert_ne!(other, name, "a second host of that name gets a config of its own");
}

#[tokio::test]
async fn what_can_not_run_again_is_not_adopted() {
    let world = World::new();
    for yaml in ["", " \n", "a: [REDACTED]", "a: {"] {
        assert!(world.intentions.check_adoptable(yaml).is_err(), "{yaml:?}");
    }
    assert!(world.intentions.check_adoptable("a: 1").is_ok());
}

#[tokio::test]
async fn a_config_in_use_is_not_deleted_and_an_unused_one_is() {
    let world = published().await;
    let refused = world
        .intentions
        .delete_config(&operator(), "base", None, &[])
        .await;
    assert!(matches!(refused, Err(Error::Conflict(why)) if why.contains("edge")));
    let (name, target) = world
        .intentions
        .adopt_running(AgentId([1; 16]), "web", "a: 1")
        .await
        .unwrap();
    let mut own = agent(1, "edge");
    own.registration.own_target = Some(target);
    let refused = world
        .intentions
        .delete_config(&operator(), name.as_str(), None, &[Arc::new(own)])
        .await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
    world
        .intentions
        .delete_config(&operator(), name.as_str(), None, &[])
        .await
        .unwrap();
    let left = world.restarted().intentions.configs(&operator()).unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn who_may_not_is_refused_before_anything_happens() {
    let world = published().await;
    let (acts, viewer) = (world.acts().len(), person(Role::Viewer));
    let intentions = &world.intentions;
    let publish = publication("edge", "base", 1);
    let refusals = [
        intentions
            .create_config(&viewer, new_config("x", "a: 1"))
            .await
            .err(),
        intentions.publish(&operator(), publish, &[]).await.err(),
        intentions.withdraw(&operator(), "edge", "", None).await.err(),
        intentions
            .delete_group(&operator(), "edge", None, true, &[])
            .await
            .err(),
        intentions
            .edit_group(&viewer, "edge", GroupEdit::default(), None, known)
            .await
            .err(),
        intentions.delete_config(&viewer, "base", None, &[]).await.err(),
        intentions.release_all(&operator()).await.err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Some(Error::Forbidden(_))), "{refusal:?}");
    }
    assert_eq!(world.acts().len(), acts);
}

#[tokio::test]
async fn every_change_is_in_the_audit_log() {
    let world = published().await;
    world.save("base", 1, &collector("b:1")).await.unwrap();
    world
        .intentions
        .withdraw(&deployer(), "edge", "", None)
        .await
        .unwrap();
    world
        .intentions
        .delete_group(&deployer(), "edge", None, false, &[])
        .await
        .unwrap();
    world
        .intentions
        .delete_config(&operator(), "base", None, &[])
        .await
        .unwrap();
    let acts = [
        "config.create",
        "group.create",
        "group.publish",
        "config.save",
        "group.withdraw",
        "group.delete",
        "config.delete",
    ];
    assert_eq!(world.acts(), acts);
    assert!(matches!(
        world.store.verify_audit().unwrap(),
        AuditVerdict::Intact { .. }
    ));
}

#[tokio::test]
async fn while_the_fleet_is_held_nothing_is_offered_and_contents_are_kept() {
    let world = published().await;
    world.intentions.hold_all(HoldReason::StoreWentBack);
    assert_eq!(world.wanted("edge"), Intent::Hold(HoldReason::StoreWentBack));
    world.intentions.release_all(&deployer()).await.unwrap();
    assert!(matches!(world.wanted("edge"), Intent::Want(_)));
    let collected = world
        .store
        .collect_bodies(|| Intentions::referenced(&world.store))
        .unwrap();
    assert_eq!(collected.bodies, 0);
}

#[tokio::test]
async fn a_published_content_that_is_lost_holds_its_agents() {
    let world = published().await;
    world.store.collect_bodies(|| Ok([].into())).unwrap();
    assert_eq!(
        world.restarted().wanted("edge"),
        Intent::Hold(HoldReason::Unreadable)
    );
}

/// A golden hash: a new version of Muster must offer nothing by itself. Change this only when agents may restart.
#[test]
fn upgrading_the_binary_offers_nothing() {
    let content = ConfigMap::document("receivers:\n  otlp: {}\n");
    let stamp = ConfigHash {
        digest: content.digest(),
        epoch: 1,
        generation: 2,
    };
    let wire = stamp.to_wire(&HashKey(KEY));
    let hash = wire
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(hash, GOLDEN);
}

const GOLDEN: &str = "27f25ad184b2c2f0a85fc35cee74d9040a0e804329ac0d2f5b49c60cb07b0656\
    0000000000000001000000000000000247640c3c7ab30905";
