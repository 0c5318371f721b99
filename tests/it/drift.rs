//! Where configurations stand, and what operators do about it: re-apply, adopt, hold, detach, pin.

use std::time::Duration;

use muster::app::adopt::Adoption;
use muster::app::agents::{AgentAct, AgentQuery};
use muster::app::error::Error;
use muster::app::overview::{RecentKind, TroubleKind};
use muster::app::secrets::{HiddenText, SetSecret};
use muster::app::terms::OnTerms;
use muster::fleet::agent::report::RemoteConfigOutcome::{Applied, Applying, Failed};
use muster::fleet::agent::{Happening, HoldReason, Intent, Verdict};
use muster::fleet::config::{ConfigMap, Content, Drift};
use muster::fleet::ids::AgentId;
use muster::fleet::name::Name;
use muster::fleet::suspension::Ended;
use muster::fleet::target::LayerRef;
use muster::fleet::time::Timestamp;
use muster::observability::Secret;

use crate::harness::{Agent, Line, Plan, World, admin, collector};

/// So long a quiet server is listened to.
const QUIET: Duration = Duration::from_millis(150);

impl World {
    async fn act(&self, id: AgentId, act: AgentAct) -> Result<(), Error> {
        self.app.act(&admin(), id, &act).await
    }

    fn listed(&self, filter: &str) -> usize {
        let query = AgentQuery {
            filter: filter.into(),
            ..AgentQuery::default()
        };
        self.app.agents(&admin(), &query).unwrap().matching
    }

    fn troubles(&self) -> Vec<TroubleKind> {
        let overview = self.app.overview(&admin()).unwrap();
        overview
            .troubles
            .into_iter()
            .map(|trouble| trouble.kind)
            .collect()
    }

    fn in_an_hour(&self) -> Timestamp {
        self.clock.now().plus(Duration::from_hours(1))
    }

    /// An agent of the group `edge` that applied what is wanted and reports just that.
    async fn in_sync(&self) -> (Agent, Line, Vec<u8>) {
        self.wants("edge", "a").await;
        let mut agent = self.agent_of("edge").await;
        let mut line = agent.connect(self).await;
        let (content, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
        agent.effective = content;
        let mut applied = agent.reports(&hash, Applied);
        applied.parts.effective_config = Some(agent.effective.clone());
        line.ask(&applied).await;
        assert_eq!(self.standing(agent.id()), Verdict::InSync);
        (agent, line, hash)
    }
}

/// Reports that it runs something else from now on.
async fn drifts(agent: &mut Agent, line: &mut Line, yaml: &str) {
    agent.effective = ConfigMap::document(yaml);
    let mut message = agent.compressed();
    message.parts.effective_config = Some(agent.effective.clone());
    line.ask(&message).await;
}

fn layer(config: &str, revision: u64) -> LayerRef {
    LayerRef {
        config: Name::slug(config),
        revision,
    }
}

fn hold(until: Option<Timestamp>) -> AgentAct {
    AgentAct::Hold {
        reason: "the disk is full".into(),
        until,
    }
}

fn detach(until: Option<Timestamp>) -> AgentAct {
    AgentAct::Detach {
        reason: String::new(),
        until,
    }
}

#[tokio::test]
async fn an_agent_that_runs_something_else_is_drifted_wherever_it_is_looked_for() {
    let world = World::start();
    let (mut agent, mut line, _) = world.in_sync().await;
    let id = agent.id();
    drifts(&mut agent, &mut line, &collector("b:4317")).await;
    assert_eq!(world.standing(id), Verdict::Drifted);
    // It is well, as far as it says: drift is no matter of health.
    assert_eq!(world.look(id).summary.status.reason, "Reports healthy");
    assert_eq!(
        (
            world.listed("config = drifted"),
            world.listed("config = \"in sync\"")
        ),
        (1, 0)
    );
    let page = world.app.agents(&admin(), &AgentQuery::default()).unwrap();
    assert_eq!(page.verdicts, [(Verdict::Drifted, 1)].into());
    assert!(matches!(
        world.troubles().as_slice(),
        [TroubleKind::Drifted { .. }]
    ));
    let group = world.app.intentions.group(&admin(), "edge", &world.app.fleet());
    assert_eq!(group.unwrap().summary.members.drifted, 1);
    let found = world.app.agent_configuration(&admin(), id).unwrap();
    let Some(Drift::Differs { differences }) = found.drift else {
        panic!("it drifted");
    };
    let [difference] = differences.as_slice() else {
        panic!("{differences:?}");
    };
    assert_eq!(difference.path, "receivers.otlp.protocols.grpc.endpoint");
    let text = |shown: &Option<muster::fleet::config::Shown>| shown.as_ref().unwrap().text.clone();
    assert_eq!(
        (text(&difference.offered), text(&difference.runs)),
        ("a:4317".to_owned(), "b:4317".to_owned())
    );
    world
        .until("drift is noted", || world.story(id).contains(&Happening::Drifted))
        .await;
    let yaml = collector("a:4317") + "extensions:\n  opamp: {x: 1}\n";
    drifts(&mut agent, &mut line, &yaml).await;
    assert_eq!(
        world.standing(id),
        Verdict::InSync,
        "what a supervisor adds is no drift"
    );
}

#[tokio::test]
async fn an_agent_that_runs_the_secret_that_it_was_sent_is_in_sync() {
    let world = World::start();
    let set = SetSecret {
        value: Some(HiddenText(Secret::new("hunter2-hunter2".into()))),
        description: None,
    };
    let name = "vendor";
    world
        .app
        .intentions
        .set_secret(&admin(), name, set)
        .await
        .unwrap();
    world.group("edge").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    line.ask(&agent.full()).await;
    let yaml = collector("${muster:secret.vendor}:4317");
    world.wants_content("edge", Content::Yaml(yaml)).await;
    let (content, hash) = line.hear().await.remote_config.unwrap();
    agent.effective = content;
    let mut applied = agent.reports(&hash, Applied);
    applied.parts.effective_config = Some(agent.effective.clone());
    line.ask(&applied).await;
    assert_eq!(world.standing(agent.id()), Verdict::InSync);
    let again = collector("hunter2-hunter2:4317").replace("debug: {}", "debug:");
    drifts(&mut agent, &mut line, &again).await;
    assert_eq!(world.standing(agent.id()), Verdict::InSync, "in another form");
    drifts(&mut agent, &mut line, &collector("hunter3-hunter3:4317")).await;
    assert_eq!(world.standing(agent.id()), Verdict::Drifted);
}

#[tokio::test]
async fn what_was_compared_once_is_compared_in_the_background_for_lists() {
    let world = World::start();
    let (mut agent, mut line, _) = world.in_sync().await;
    drifts(&mut agent, &mut line, &collector("c:4317")).await;
    // Nobody looks at the agent itself.
    world
        .until("the list knows it", || world.listed("config = drifted") == 1)
        .await;
}

#[tokio::test]
async fn what_can_not_be_compared_is_unverified_and_never_in_sync() {
    let world = World::start();
    let (mut agent, mut line, _) = world.in_sync().await;
    drifts(&mut agent, &mut line, "a: [").await;
    assert_eq!(world.standing(agent.id()), Verdict::Unverified);
    let mut mute = world.agent_of("edge").await;
    mute.capabilities = muster::fleet::capabilities::Capabilities(
        mute.capabilities.0 & !crate::harness::caps::C::REPORTS_EFFECTIVE_CONFIG.0,
    );
    let mut line = mute.connect(&world).await;
    let (_, hash) = line.ask(&mute.full()).await.remote_config.unwrap();
    line.ask(&mute.reports(&hash, Applied)).await;
    assert_eq!(world.standing(mute.id()), Verdict::Unverified);
}

#[tokio::test]
async fn a_supervisor_that_rolls_back_by_itself_is_self_reverted_and_left_alone() {
    let world = World::start();
    let (mut agent, mut line, old) = world.in_sync().await;
    world.wants("edge", "b").await;
    let (_, new) = line.hear().await.remote_config.unwrap();
    let mut refused = agent.reports(&new, Failed);
    refused.parts.remote_config_status.as_mut().unwrap().error = "unknown exporter".into();
    line.ask(&refused).await;
    assert_eq!(world.standing(agent.id()), Verdict::Failed);
    line.ask(&agent.reports(&old, Applying)).await;
    let answer = line.ask(&agent.reports(&old, Applied)).await;
    assert_eq!(answer.remote_config, None);
    let standing = world.look(agent.id()).summary.config;
    assert_eq!(
        (standing.state, standing.error.as_str()),
        (Verdict::SelfReverted, "unknown exporter")
    );
    assert_eq!(world.listed("config in (failed, self-reverted)"), 1);
    assert!(matches!(
        world.troubles().as_slice(),
        [TroubleKind::Refused { .. }]
    ));
}

/// Over HTTP nobody can tell that an answer was lost, and a client may go on without it.
#[tokio::test]
async fn an_offer_whose_answer_was_lost_is_made_again_by_re_apply() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let lost = agent.clone().poll(&agent.full()).send(&world).await.message();
    let (_, hash) = lost.remote_config.unwrap();
    let refused = world.act(agent.id(), AgentAct::Reapply).await;
    assert!(
        matches!(refused, Err(Error::Conflict(_))),
        "it may be about to answer"
    );
    for _ in 0..6 {
        world.pass(Duration::from_mins(1));
        let poll = agent.clone().poll(&agent.compressed());
        assert_eq!(poll.send(&world).await.message().remote_config, None);
    }
    world.act(agent.id(), AgentAct::Reapply).await.unwrap();
    let again = agent.clone().poll(&agent.compressed()).send(&world).await;
    assert_eq!(again.message().remote_config.unwrap().1, hash);
}

#[tokio::test]
async fn re_apply_offers_what_is_wanted_once_more_and_only_once() {
    let world = World::on_disk(Plan::default());
    let (mut agent, mut line, hash) = world.in_sync().await;
    let id = agent.id();
    let refused = world.act(id, AgentAct::Reapply).await;
    assert!(
        matches!(refused, Err(Error::Conflict(_))),
        "it runs what is wanted"
    );
    drifts(&mut agent, &mut line, &collector("b:4317")).await;
    world.pass(Duration::from_secs(1));
    world.act(id, AgentAct::Reapply).await.unwrap();
    let (content, again) = line.hear().await.remote_config.unwrap();
    assert_eq!(again, hash);
    assert!(
        world
            .story(id)
            .contains(&Happening::ReapplyOrdered { by: "ada".into() })
    );
    assert_eq!(world.standing(id), Verdict::Applying);
    // It says the same as before, which is no news.
    assert_eq!(
        line.ask(&agent.reports(&again, Applied)).await.remote_config,
        None
    );
    assert!(line.hears_within(QUIET).await.is_none());
    agent.effective = content;
    let mut runs = agent.compressed();
    runs.parts.effective_config = Some(agent.effective.clone());
    line.ask(&runs).await;
    world.pass(Duration::from_mins(3));
    assert_eq!(world.standing(id), Verdict::InSync);
    assert!(world.acts().contains(&"agent.reapply".to_owned()));
}

#[tokio::test]
async fn a_re_apply_survives_a_kill_and_waits_for_its_agent() {
    let world = World::on_disk(Plan::default());
    let (mut agent, mut line, hash) = world.in_sync().await;
    drifts(&mut agent, &mut line, &collector("b:4317")).await;
    line.close().await;
    let id = agent.id();
    world.until("it is gone", || !world.is_online(id)).await;
    world.app.flush_all().await;
    world.act(id, AgentAct::Reapply).await.unwrap();
    let world = world.kill().await;
    let mut line = agent.connect(&world).await;
    let offered = line.ask(&agent.full()).await.remote_config;
    assert_eq!(offered.map(|(_, hash)| hash), Some(hash));
    assert!(line.hears_within(QUIET).await.is_none());
    assert!(world.look(id).delivery.again.is_none());
}

#[tokio::test]
async fn while_an_agent_is_held_nothing_is_offered_and_what_runs_stays() {
    let world = World::start();
    let (mut agent, mut line, hash) = world.in_sync().await;
    let id = agent.id();
    world.act(id, hold(None)).await.unwrap();
    world.wants("edge", "b").await;
    assert!(line.hears_within(QUIET).await.is_none());
    let answer = line.ask(&agent.full()).await;
    assert_eq!(answer.remote_config, None);
    let standing = world.look(id).summary.config;
    assert_eq!(
        (standing.state, standing.hold),
        (Verdict::Held, Some(HoldReason::Operator))
    );
    let kept = world.look(id).registration.suspension.unwrap().terms;
    assert_eq!(
        (kept.reason.as_str(), kept.by.as_str()),
        ("the disk is full", "ada")
    );
    assert_eq!(
        world.listed("suspended = held, config = held, held = operator"),
        1
    );
    assert!(matches!(
        world.troubles().as_slice(),
        [TroubleKind::HeldByOperator]
    ));
    let refused = world.act(id, detach(None)).await;
    assert!(
        matches!(refused, Err(Error::Conflict(_))),
        "one would end with the other"
    );
    world.act(id, AgentAct::Release).await.unwrap();
    let (_, new) = line.hear().await.remote_config.unwrap();
    assert_ne!(new, hash);
    assert!(
        world
            .story(id)
            .contains(&Happening::Released { by: "ada".into() })
    );
}

#[tokio::test]
async fn a_hold_ends_by_itself_and_survives_a_restart_until_then() {
    let world = World::on_disk(Plan::default());
    let (mut agent, line, _) = world.in_sync().await;
    let id = agent.id();
    let late = world.act(id, hold(Some(world.clock.now()))).await;
    assert!(matches!(late, Err(Error::Invalid(_))), "this moment is over");
    world.act(id, hold(Some(world.in_an_hour()))).await.unwrap();
    world.wants("edge", "b").await;
    line.close().await;
    let world = world.restart().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(line.ask(&agent.full()).await.remote_config, None);
    world.pass(Duration::from_mins(61));
    // Any change has the loop look, which it does every 30 s otherwise.
    world.group("other").await;
    assert!(line.hear().await.remote_config.is_some());
    let ended = Happening::EndedByItself { what: Ended::Hold };
    assert!(world.story(id).contains(&ended));
    assert!(world.acts().contains(&"agent.expire".to_owned()));
}

#[tokio::test]
async fn a_detached_agent_is_only_observed_until_it_is_attached() {
    let world = World::start();
    let (mut agent, mut line, _) = world.in_sync().await;
    let id = agent.id();
    world.act(id, detach(None)).await.unwrap();
    world.wants("edge", "b").await;
    assert_eq!(line.ask(&agent.full()).await.remote_config, None);
    assert_eq!(world.standing(id), Verdict::ObserveOnly);
    assert_eq!(
        world.look(id).summary.group,
        Name::slug("edge"),
        "it stays in its group"
    );
    assert!(matches!(world.troubles().as_slice(), [TroubleKind::Detached]));
    for wrong in [hold(None), AgentAct::Release] {
        assert!(matches!(world.act(id, wrong).await, Err(Error::Conflict(_))));
    }
    world.act(id, AgentAct::Attach).await.unwrap();
    assert!(line.hear().await.remote_config.is_some());
    let twice = world.act(id, AgentAct::Attach).await;
    assert!(matches!(twice, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_held_group_sends_nothing_but_leaves_agents_with_their_own_alone() {
    let world = World::start();
    let (mut agent, mut line, _) = world.in_sync().await;
    let id = agent.id();
    let intentions = &world.app.intentions;
    let terms = OnTerms::of("a fair", Some(world.in_an_hour()));
    intentions
        .hold_group(&admin(), "edge", terms, None)
        .await
        .unwrap();
    world.wants("edge", "b").await;
    assert_eq!(line.ask(&agent.full()).await.remote_config, None);
    let standing = world.look(id).summary.config;
    assert_eq!(
        (standing.state, standing.hold),
        (Verdict::Held, Some(HoldReason::Group))
    );
    assert!(matches!(
        world.troubles().as_slice(),
        [TroubleKind::GroupHeld { .. }]
    ));
    world
        .app
        .publish_to_agent(&admin(), id, (&layer("edge", 1), ""), true, None)
        .await
        .unwrap();
    assert_eq!(world.standing(id), Verdict::InSync, "its own goes first");
    world.act(id, AgentAct::Unpublish).await.unwrap();
    assert_eq!(world.standing(id), Verdict::Held);
    world.pass(Duration::from_mins(61));
    world.group("other").await;
    assert!(line.hear().await.remote_config.is_some(), "it ended by itself");
    assert!(world.acts().contains(&"group.expire".to_owned()));
    let twice = intentions.release_group(&admin(), "edge", None).await;
    assert!(matches!(twice, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_pin_and_a_configuration_of_its_own_end_by_themselves() {
    let world = World::start();
    let (agent, mut line, _) = world.in_sync().await;
    let id = agent.id();
    world.group("other").await;
    let pin = AgentAct::Pin {
        group: Name::slug("other"),
        reason: "a trial".into(),
        until: Some(world.in_an_hour()),
    };
    world.act(id, pin).await.unwrap();
    assert_eq!(world.look(id).summary.group, Name::slug("other"));
    world.wants("spare", "z").await;
    world
        .app
        .publish_to_agent(
            &admin(),
            id,
            (&layer("spare", 1), "a trial"),
            false,
            Some(world.in_an_hour()),
        )
        .await
        .unwrap();
    assert!(line.hear().await.remote_config.is_some());
    let registration = world.look(id).registration;
    assert_eq!(registration.own_terms.unwrap().reason, "a trial");
    world.pass(Duration::from_mins(61));
    world.group("third").await;
    world
        .until("both ended", || {
            let registration = world.look(id).registration;
            registration.own_target.is_none() && registration.group == Name::slug("edge")
        })
        .await;
    let story = world.story(id);
    for what in [Ended::Pin, Ended::OwnConfig] {
        assert!(story.contains(&Happening::EndedByItself { what }));
    }
}

#[tokio::test]
async fn adopting_drops_what_supervisors_add_and_leaves_secrets_to_fill_in_and_offers_nothing() {
    let world = World::start();
    let (mut agent, mut line, _) = world.in_sync().await;
    let id = agent.id();
    let yaml = "\
receivers: {otlp: {protocols: {grpc: }}}
exporters: {otlphttp: {endpoint: 'https://x', headers: {authorization: '[REDACTED]'}}}
extensions: {opamp: {server: {}}}
service:
  extensions: [opamp]
  pipelines: {traces: {receivers: [otlp], exporters: [otlphttp]}}
";
    drifts(&mut agent, &mut line, yaml).await;
    let adopt = |name: &str, config: Option<&str>| {
        let adoption = Adoption {
            name: name.into(),
            config: config.map(str::to_owned),
        };
        let app = std::sync::Arc::clone(&world.app);
        async move { app.adopt(&admin(), id, adoption).await }
    };
    let kept = adopt("kept", None).await.unwrap();
    assert_eq!(kept.dropped, ["extensions.opamp"]);
    let [secret] = kept.to_fill_in.as_slice() else {
        panic!("{kept:?}");
    };
    assert_eq!(secret.path, "exporters.otlphttp.headers.authorization");
    assert_eq!(kept.saved.revision.number, 1);
    assert!(kept.saved.revision.message.contains(secret.secret.as_str()));
    let saved = world.app.intentions.revision(&admin(), "kept", 1).unwrap();
    let Content::Yaml(text) = saved.content else {
        panic!("a document");
    };
    assert!(
        text.contains(&secret.variable()) && !text.contains("opamp"),
        "{text}"
    );
    let again = adopt("", Some("edge")).await.unwrap();
    assert_eq!(
        (again.saved.revision.config.as_str(), again.saved.revision.number),
        ("edge", 2)
    );
    assert!(matches!(adopt("kept", None).await, Err(Error::Conflict(_))));
    assert!(matches!(
        adopt("", Some("none")).await,
        Err(Error::NotFound { .. })
    ));
    assert!(line.hears_within(QUIET).await.is_none(), "nothing is offered");
    let registration = world.look(id).registration;
    let Intent::Want(offer) = world.app.intentions.desired(&registration).config else {
        panic!("its group's");
    };
    assert_eq!(Some(offer.stamp.digest), world.look(id).summary.config.wanted);
}

#[tokio::test]
async fn a_content_of_two_configs_is_named_by_the_one_that_is_wanted_of_the_agent() {
    let world = World::start();
    for group in ["web-5", "web-6"] {
        world
            .wants_content(group, Content::Yaml(collector("same:4317")))
            .await;
    }
    for group in ["web-5", "web-6"] {
        let mut agent = world.agent_of(group).await;
        let mut line = agent.connect(&world).await;
        let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
        line.ask(&agent.reports(&hash, Applied)).await;
        let layer = LayerRef {
            config: Name::slug(group),
            revision: 1,
        };
        let found = world.app.agent_configuration(&admin(), agent.id()).unwrap();
        let wanted = found.wanted.unwrap().target.unwrap().content.unwrap();
        let layers = vec![layer];
        assert_eq!(wanted.layers, layers);
        assert_eq!(found.said.unwrap().layers, layers);
        let lately = world.app.overview(&admin()).unwrap().recent;
        assert!(lately.iter().any(|recent| recent.kind
            == RecentKind::Applied {
                layers: layers.clone()
            }));
    }
}
