//! Protected groups: nothing reaches their agents that nobody but its author has seen.

use std::time::Duration;

use http::{Method, StatusCode};
use muster::app::accounts::NewAccount;
use muster::app::agents::AgentAct;
use muster::app::configs::NewConfig;
use muster::app::error::Error;
use muster::app::groups::{GroupEdit, NewGroup};
use muster::app::publish::{IfRunning, Publish};
use muster::app::rollouts::{Decide, Decision, ProposalView, Steer};
use muster::auth::actor::{Actor, Via};
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::fleet::config::Content;
use muster::fleet::hash::Digest;
use muster::fleet::ids::{AccountId, AgentId, RolloutId, SessionId};
use muster::fleet::name::Name;
use muster::fleet::rollout::{Act, Ended, State, Strategy};
use muster::fleet::selector::Known;
use muster::fleet::target::LayerRef;
use serde_json::json;

use crate::admin::site::Site;
use crate::harness::{Agent, Line, Plan, World, admin, collector};
use crate::people::{self, OTHER, PASSWORD};

/// Somebody who is signed in and gave their password just now.
fn person(world: &World, number: u8, role: Role) -> Actor {
    Actor {
        name: format!("person {number}"),
        via: Via::Session {
            account: AccountId([number; 16]),
            session: SessionId([number; 16]),
        },
        role,
        proven_at: world.clock.now(),
        address: None,
    }
}

fn deployer(world: &World, number: u8) -> Actor {
    person(world, number, Role::Deployer)
}

fn script(of: u8, role: Role) -> Actor {
    Actor {
        name: format!("person {of} (token ci)"),
        via: Via::Token {
            account: AccountId([of; 16]),
            token: SessionId([99; 16]),
        },
        role,
        ..Actor::muster()
    }
}

/// A group `edge`, protected, whose agents run nothing of ours yet.
async fn protected(world: &World, approvals: u32) {
    world.group("edge").await;
    protect(world, &admin(), "edge", approvals).await.unwrap();
}

async fn protect(world: &World, actor: &Actor, group: &str, approvals: u32) -> Result<(), Error> {
    let edit = GroupEdit {
        approvals: Some(approvals),
        ..GroupEdit::default()
    };
    edit_group(world, actor, group, edit).await
}

async fn edit_group(world: &World, actor: &Actor, group: &str, edit: GroupEdit) -> Result<(), Error> {
    let known = |_: &str| Known::Neither;
    let edited = world.app.intentions.edit_group(actor, group, edit, None, known);
    edited.await.map(drop)
}

async fn host(world: &World) -> (Agent, Line) {
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(world).await;
    line.ask(&agent.full()).await;
    (agent, line)
}

async fn config(world: &World, name: &str) -> LayerRef {
    let new = NewConfig {
        name: name.into(),
        description: String::new(),
        content: Content::Yaml(collector(&format!("{name}:4317"))),
        message: String::new(),
        allow_blank: false,
    };
    world.app.intentions.create_config(&admin(), new).await.unwrap();
    LayerRef {
        config: Name::slug(name),
        revision: 1,
    }
}

async fn publish(
    world: &World,
    actor: &Actor,
    name: &str,
    if_running: IfRunning,
) -> Result<RolloutId, Error> {
    let layers = vec![config(world, name).await];
    let preview = world.app.impact(actor, "edge", &layers)?;
    let publish = Publish {
        group: "edge".into(),
        layers,
        message: "for the tests".into(),
        expected_revision: None,
        confirm: preview.impact.confirmation.map(|confirmation| confirmation.count),
        allow_blank: false,
        strategy: Some(Strategy::all_at_once()),
        if_running,
    };
    Ok(world.app.publish(actor, publish).await?.rollout.unwrap())
}

impl World {
    fn proposal(&self, id: RolloutId) -> Option<ProposalView> {
        self.app.rollout(&admin(), id).unwrap().proposal
    }

    fn rollout_stands(&self, id: RolloutId) -> State {
        self.app.rollout(&admin(), id).unwrap().summary.rollout.state
    }

    /// Approves what is there now.
    async fn approve(&self, actor: &Actor, id: RolloutId) -> Result<State, Error> {
        let binds = self
            .proposal(id)
            .map_or(Digest([0; 32]), |proposal| proposal.binds);
        self.decides(actor, id, Decision::Approve { binds }, "").await
    }

    async fn decides(
        &self,
        actor: &Actor,
        id: RolloutId,
        decision: Decision,
        reason: &str,
    ) -> Result<State, Error> {
        let decide = Decide {
            decision,
            reason: reason.to_owned(),
        };
        self.app.decide(actor, id, &decide).await
    }
}

fn is_conflict(result: &Result<State, Error>, words: &str) -> bool {
    matches!(result, Err(Error::Conflict(why)) if why.contains(words))
}

#[tokio::test]
async fn what_is_published_to_a_protected_group_reaches_nobody_until_somebody_else_approves_just_that() {
    let world = World::start();
    protected(&world, 1).await;
    let (agent, mut line) = host(&world).await;
    let (author, other) = (deployer(&world, 1), deployer(&world, 2));
    let id = publish(&world, &author, "first", IfRunning::Refuse)
        .await
        .unwrap();
    assert_eq!(world.rollout_stands(id), State::AwaitingApproval);
    let early = line.hears_within(Duration::from_millis(150)).await;
    assert!(early.is_none_or(|message| message.remote_config.is_none()));
    let group = world.app.intentions.group(&admin(), "edge", &[]).unwrap();
    assert_eq!(group.summary.published, None, "the group is as it was");
    let proposal = world.proposal(id).unwrap();
    assert_eq!(proposal.agents.len(), 1);
    assert_eq!(proposal.agents[0].id, agent.id());
    assert!(!proposal.diff.is_empty());

    assert!(is_conflict(&world.approve(&author, id).await, "proposed it"));
    let same = script(1, Role::Admin);
    for (who, why) in [
        (&same, "a token of the author"),
        (&script(2, Role::Admin), "any token"),
    ] {
        let refused = world.approve(who, id).await;
        assert!(matches!(refused, Err(Error::NotAllowed(_))), "{why}");
    }
    let viewer = person(&world, 3, Role::Operator);
    assert!(matches!(
        world.approve(&viewer, id).await,
        Err(Error::Forbidden(_))
    ));
    let late = Actor {
        proven_at: world.clock.now().minus(Duration::from_mins(11)),
        ..other.clone()
    };
    assert!(matches!(world.approve(&late, id).await, Err(Error::Unproven)));
    let elsewhere = Decision::Approve {
        binds: Digest([1; 32]),
    };
    let refused = world.decides(&other, id, elsewhere, "").await;
    assert!(is_conflict(&refused, "changed since you looked"));
    assert_eq!(world.rollout_stands(id), State::AwaitingApproval);

    world.approve(&other, id).await.unwrap();
    let heard = line.hear().await;
    assert!(heard.remote_config.is_some(), "now it is offered");
    let group = world.app.intentions.group(&admin(), "edge", &[]).unwrap();
    assert_eq!(group.summary.group.layers, [Name::slug("first")]);
    assert!(is_conflict(&world.approve(&other, id).await, "isn't waiting"));
    let acts = world.acts();
    for told in ["group.propose", "rollout.approve"] {
        let times = acts.iter().filter(|act| *act == told).count();
        assert_eq!(times, 1, "{told}: {acts:?}");
    }
}

#[tokio::test]
async fn another_agent_in_the_group_makes_approvals_void_and_those_who_lost_the_right_do_not_count() {
    let world = World::start();
    let accounts = &world.app.accounts;
    let setup = accounts.issue_setup_token(&people::host()).await.unwrap();
    let claimed = accounts
        .claim(
            setup.expose(),
            "anna",
            &Password::new(PASSWORD),
            &people::visitor(1),
        )
        .await
        .unwrap();
    let mut signed_in = Vec::new();
    for name in ["bert", "carl"] {
        let new = NewAccount {
            name: name.to_owned(),
            role: Role::Deployer,
        };
        let (_, first) = accounts.create(&claimed.actor, new).await.unwrap();
        let (first, own) = (Password::new(first), Password::new(OTHER));
        let begun = accounts
            .login(name, &first, &people::visitor(2), None)
            .await
            .unwrap();
        accounts
            .change_password(&begun.actor, &first, &own)
            .await
            .unwrap();
        signed_in.push(accounts.actor_by_session(&begun.secret, None).unwrap());
    }
    protected(&world, 2).await;
    let (_agent, _line) = host(&world).await;
    let id = publish(&world, &claimed.actor, "first", IfRunning::Refuse)
        .await
        .unwrap();
    assert_eq!(
        world.approve(&signed_in[0], id).await.unwrap(),
        State::AwaitingApproval
    );
    assert!(is_conflict(&world.approve(&signed_in[0], id).await, "already"));
    assert_eq!(world.proposal(id).unwrap().missing, 1);
    let seen = world.proposal(id).unwrap().binds;

    let (_another, _its_line) = host(&world).await;
    let proposal = world.proposal(id).unwrap();
    assert_ne!(proposal.binds, seen);
    assert_eq!((proposal.given.len(), proposal.missing), (0, 2));
    let refused = world
        .decides(&signed_in[1], id, Decision::Approve { binds: seen }, "")
        .await;
    assert!(is_conflict(&refused, "changed since you looked"));
    world.approve(&signed_in[1], id).await.unwrap();
    assert_eq!(world.rollout_stands(id), State::AwaitingApproval);

    let act = muster::app::accounts::AccountAct::Disable;
    accounts.manage(&claimed.actor, "carl", act).await.unwrap();
    world.approve(&signed_in[0], id).await.unwrap();
    assert_eq!(
        world.rollout_stands(id),
        State::AwaitingApproval,
        "one of two is gone"
    );
}

#[tokio::test]
async fn a_proposal_is_rejected_with_a_reason_withdrawn_or_expires_and_survives_a_kill() {
    let world = World::on_disk(Plan::default());
    protected(&world, 1).await;
    let (author, other) = (deployer(&world, 1), deployer(&world, 2));
    let first = publish(&world, &author, "first", IfRunning::Refuse)
        .await
        .unwrap();
    let refused = publish(&world, &author, "second", IfRunning::Refuse).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "one at a time");
    let mute = world.decides(&other, first, Decision::Reject, " ").await;
    assert!(matches!(mute, Err(Error::Invalid(_))));
    let by_script = world
        .decides(&script(2, Role::Admin), first, Decision::Reject, "no")
        .await;
    assert!(matches!(by_script, Err(Error::NotAllowed(_))));
    let rejected = world
        .decides(&other, first, Decision::Reject, "no")
        .await
        .unwrap();
    assert_eq!(rejected, State::Ended { how: Ended::Rejected });
    let second = publish(&world, &author, "third", IfRunning::Refuse)
        .await
        .unwrap();
    let world = world.kill().await;
    assert_eq!(world.rollout_stands(second), State::AwaitingApproval);
    let instead = publish(&world, &author, "fourth", IfRunning::Replace)
        .await
        .unwrap();
    assert_eq!(
        world.rollout_stands(second),
        State::Ended {
            how: Ended::Superseded
        }
    );
    let withdrawn = world
        .decides(&author, instead, Decision::Withdraw, "")
        .await
        .unwrap();
    assert_eq!(
        withdrawn,
        State::Ended {
            how: Ended::Withdrawn
        }
    );
    let last = publish(&world, &author, "fifth", IfRunning::Refuse)
        .await
        .unwrap();
    world.pass(Duration::from_hours(7 * 24));
    let other = deployer(&world, 2);
    assert!(is_conflict(&world.approve(&other, last).await, "too long"));
}

#[tokio::test]
async fn there_is_no_way_around_a_protected_group() {
    let world = World::start();
    protected(&world, 1).await;
    world.group("other").await;
    let (agent, _line) = host(&world).await;
    let (deploys, admins) = (deployer(&world, 1), person(&world, 2, Role::Admin));
    let layer = config(&world, "own").await;
    for who in [&deploys, &admins] {
        let alone = world
            .app
            .publish_to_agent(who, agent.id(), (&layer, ""), false, None)
            .await;
        assert!(
            matches!(alone, Err(Error::Conflict(_))),
            "a configuration of its own"
        );
    }
    let out = AgentAct::Pin {
        group: Name::slug("other"),
        reason: String::new(),
        until: None,
    };
    let edit = |edit: GroupEdit| edit_group(&world, &deploys, "edge", edit);
    let forbidden = |result: Result<(), Error>, what: &str| {
        assert!(matches!(result, Err(Error::Forbidden(_))), "{what}: {result:?}");
    };
    forbidden(
        world.app.act(&deploys, agent.id(), &out).await,
        "pinning it elsewhere",
    );
    forbidden(protect(&world, &deploys, "edge", 0).await, "unprotecting");
    forbidden(
        edit(GroupEdit {
            selectors: Some(vec!["label.a = b".to_owned()]),
            ..GroupEdit::default()
        })
        .await,
        "other selectors",
    );
    forbidden(
        edit(GroupEdit {
            priority: Some(-5),
            ..GroupEdit::default()
        })
        .await,
        "another priority",
    );
    let fleet = world.app.fleet();
    let intentions = &world.app.intentions;
    let deleted = intentions
        .delete_group(&deploys, "edge", None, true, &fleet)
        .await;
    assert!(matches!(deleted, Err(Error::Forbidden(_))));
    let late = Actor {
        proven_at: world.clock.now().minus(Duration::from_mins(11)),
        ..admins.clone()
    };
    assert!(matches!(
        protect(&world, &late, "edge", 0).await,
        Err(Error::Unproven)
    ));
    let token = script(2, Role::Admin);
    assert!(matches!(
        protect(&world, &token, "edge", 0).await,
        Err(Error::NotAllowed(_))
    ));
    assert!(matches!(
        world.app.act(&token, agent.id(), &out).await,
        Err(Error::NotAllowed(_))
    ));
    protect(&world, &deploys, "edge", 2)
        .await
        .expect("more protection takes no admin");
    protect(&world, &admins, "edge", 0).await.unwrap();
    assert!(world.app.act(&deploys, agent.id(), &out).await.is_ok());
}

#[tokio::test]
async fn another_group_takes_no_agent_out_of_a_protected_one_by_its_priority_and_facts_lead_into_none() {
    let world = World::start();
    let claims = |name: &str, priority, approvals, selector: &str| NewGroup {
        name: name.to_owned(),
        edit: GroupEdit {
            selectors: Some(vec![selector.to_owned()]),
            priority: Some(priority),
            approvals: Some(approvals),
            joins_by_facts: Some(true),
            ..GroupEdit::default()
        },
    };
    let intentions = &world.app.intentions;
    let known = |_: &str| Known::Neither;
    for new in [
        claims("prod", 0, 1, "label.env = prod"),
        claims("grabs", 100, 0, "label.env = prod"),
        claims("wants-facts", 200, 1, "fact.service.name =~ .*"),
    ] {
        intentions.create_group(&admin(), new, known).await.unwrap();
    }
    world.group("start").await;
    let mut agent = world.agent_of("start").await;
    let mut line = agent.connect(&world).await;
    line.ask(&agent.full()).await;
    let label = AgentAct::Label {
        set: [("env".to_owned(), "prod".to_owned())].into(),
        remove: Vec::new(),
    };
    let id: AgentId = agent.id();
    let unpin = AgentAct::Pin {
        group: Name::unassigned(),
        reason: String::new(),
        until: None,
    };
    world.app.act(&admin(), id, &unpin).await.unwrap();
    let deploys = deployer(&world, 1);
    if world.look(id).registration.token_group.is_none() {
        let refused = world.app.act(&deploys, id, &label).await;
        assert!(
            matches!(refused, Err(Error::Forbidden(_))),
            "into a protected group: {refused:?}"
        );
        world.app.act(&admin(), id, &label).await.unwrap();
        assert_eq!(world.look(id).registration.group, Name::slug("prod"));
    }
    assert_ne!(world.look(id).registration.group, Name::slug("wants-facts"));
}

#[tokio::test]
async fn an_emergency_needs_no_approval_and_an_approved_rollout_that_waited_is_looked_at_again() {
    let world = World::start();
    protected(&world, 1).await;
    let (_agent, mut line) = host(&world).await;
    let (author, other) = (deployer(&world, 1), deployer(&world, 2));
    let slow = {
        let layers = vec![config(&world, "slow").await];
        let preview = world.app.impact(&author, "edge", &layers).unwrap();
        let publish = Publish {
            group: "edge".into(),
            layers,
            message: String::new(),
            expected_revision: None,
            confirm: preview.impact.confirmation.map(|confirmation| confirmation.count),
            allow_blank: false,
            strategy: Some("1 for 10m; all for 10m".parse().unwrap()),
            if_running: IfRunning::Refuse,
        };
        world
            .app
            .publish(&author, publish)
            .await
            .unwrap()
            .rollout
            .unwrap()
    };
    world.approve(&other, slow).await.unwrap();
    line.hear().await;
    let next = publish(&world, &author, "next", IfRunning::Queue).await.unwrap();
    assert_eq!(world.approve(&other, next).await.unwrap(), State::Queued);
    let (_joined, _its_line) = host(&world).await;
    let abort = Steer {
        act: Act::Abort,
        reason: String::new(),
    };
    let ended = world.app.steer_rollout(&author, slow, &abort).await.unwrap();
    assert_eq!(ended, State::Ended { how: Ended::Aborted });
    world
        .until("the next asks again, since another agent came", || {
            world.rollout_stands(next) == State::AwaitingApproval
        })
        .await;
    assert!(world.acts().contains(&"rollout.void_approvals".to_owned()));
    world.approve(&other, next).await.unwrap();
    assert_ne!(world.rollout_stands(next), State::AwaitingApproval);
}

#[tokio::test]
async fn a_page_asks_and_the_api_proposes_approves_and_says_what_waits() {
    let site = Site::start().await;
    let post = |path: &'static str, body: serde_json::Value| {
        site.call(Method::POST, path).local().json(&body).send()
    };
    let yaml = collector("first:4317");
    post("/api/v1/configs", json!({"name": "base", "yaml": yaml})).await;
    post("/api/v1/groups", json!({"name": "edge", "approvals": 1})).await;
    let publish = json!({"layers": [{"config": "base", "revision": 1}], "confirm": 0});
    let proposed = post("/api/v1/groups/edge/publish", publish.clone()).await;
    assert_eq!(proposed.json()["awaits_approval"], true, "{}", proposed.text());
    let overview = site.get("/api/v1/overview").local().send().await.json();
    assert_eq!(overview["troubles"][0]["trouble"], "awaits_approval");
    let page = site.get("/").browser().send().await;
    assert!(page.text().contains("waits for somebody else to approve it"));
    let found = site.get("/api/v1/rollouts/1").local().send().await.json();
    let proposal = &found["proposal"];
    assert!(proposal["not_you"].as_str().unwrap().contains("proposed it"));
    let own = json!({"decision": "approve", "binds": proposal["binds"]});
    let refused = post("/api/v1/rollouts/1/decisions", own.clone()).await;
    assert_eq!(refused.problem(), "conflict");
    let script = site
        .call(Method::POST, "/api/v1/rollouts/1/decisions")
        .role(Role::Admin)
        .json(&own)
        .send()
        .await;
    assert_eq!(script.problem(), "not-allowed");

    let page = site.get("/rollouts/1").browser().send().await;
    assert!(
        page.text().contains("/rollouts/1/decisions/approve"),
        "{}",
        page.text()
    );
    let asked = site.get("/rollouts/1/decisions/approve").browser().send().await;
    let binds = proposal["binds"].as_str().unwrap();
    assert!(
        asked
            .text()
            .contains(&format!("name=\"binds\" value=\"{binds}\""))
    );
    let mute = site
        .call(Method::POST, "/rollouts/1/decisions/reject")
        .bare_form(&[("reason", "")])
        .own_form()
        .send()
        .await;
    assert_eq!(mute.status, StatusCode::UNPROCESSABLE_ENTITY);
    let approved = site
        .call(Method::POST, "/rollouts/1/decisions/approve")
        .bare_form(&[("binds", binds), ("reason", "seen")])
        .own_form()
        .send()
        .await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.text());
    let found = site.get("/api/v1/rollouts/1").local().send().await.json();
    assert_eq!(found["how"], "succeeded");
    let over = site.get("/rollouts/1/decisions/approve").browser().send().await;
    assert_eq!(over.status, StatusCode::SEE_OTHER);
}
