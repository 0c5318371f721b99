use super::*;
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::agent::{Acknowledgement, Failure, Origin, Registration, Standing};
use crate::fleet::ids::{CredentialId, TargetId};

const DIGEST: Digest = Digest([7; 32]);

fn agent(number: u8, group: &str) -> Agent {
    let mut registration = Registration::new(AgentId([number; 16]), CredentialId([1; 16]), Origin::default());
    registration.group = Name::slug(group);
    registration.name = Some(format!("agent {number:03}"));
    let mut agent = Agent::new(registration);
    agent.reported.capabilities = Capabilities::ACCEPTS_REMOTE_CONFIG;
    agent
}

fn member(agent: Agent) -> Member {
    Member {
        agent: Arc::new(agent),
        online: true,
        lacks: Vec::new(),
    }
}

fn impact(fleet: &[Member]) -> Impact {
    let group = Name::slug("edge");
    Impact::of(
        Proposal {
            group: &group,
            renderings: &Renderings::Common(DIGEST),
            secrets: false,
        },
        fleet,
    )
}

/// Agents in the group, and others outside of it up to `total`.
fn fleet(inside: u8, total: u8) -> Vec<Member> {
    (0..total)
        .map(|n| member(agent(n, if n < inside { "edge" } else { "core" })))
        .collect()
}

fn only_effect(agent: Agent) -> Effect {
    impact(&[member(agent)]).agents[0].effect.clone()
}

#[test]
fn every_agent_that_can_not_have_it_is_named_with_its_reason() {
    let mut incapable = agent(1, "edge");
    incapable.reported.capabilities = Capabilities::default();
    let because = Blocker::NotCapable;
    assert_eq!(only_effect(incapable), Effect::Blocked { because });

    let mut failed = agent(1, "edge");
    failed.delivery.remember_failure(Failure {
        digest: DIGEST,
        error: "no such exporter".into(),
        at: Timestamp(5),
    });
    let (error, at) = ("no such exporter".into(), Timestamp(5));
    let because = Blocker::FailedBefore { error, at };
    assert_eq!(only_effect(failed), Effect::Blocked { because });

    let mut archived = agent(1, "edge");
    archived.registration.standing = Standing::Archived {
        at: Timestamp(1),
        conflict_with: None,
    };
    let because = Blocker::NotServed;
    assert_eq!(only_effect(archived), Effect::Blocked { because });

    let mut held = agent(1, "edge");
    held.delivery.hold = Some(HoldReason::Operator);
    let because = Blocker::Held {
        hold: HoldReason::Operator,
    };
    assert_eq!(only_effect(held), Effect::Blocked { because });

    let mut offline = member(agent(1, "edge"));
    offline.online = false;
    let because = Blocker::Offline;
    assert_eq!(impact(&[offline]).agents[0].effect, Effect::Blocked { because });
}

#[test]
fn an_agent_that_runs_it_or_has_its_own_does_not_change() {
    let mut running = agent(1, "edge");
    running.delivery.acknowledged = Some(Acknowledgement {
        digest: Some(DIGEST),
        outcome: RemoteConfigOutcome::Applied,
        error: String::new(),
        at: Timestamp(1),
    });
    assert_eq!(only_effect(running), Effect::RunsIt);
    let mut own = agent(1, "edge");
    own.registration.own_target = Some(TargetId([1; 16]));
    assert_eq!(only_effect(own), Effect::OwnTarget);
}

#[test]
fn reaching_nobody_asks_for_a_confirmation() {
    let found = impact(&fleet(0, 3));
    let confirmation = found.confirmation.unwrap();
    assert_eq!(
        (confirmation.count, confirmation.because),
        (0, ConfirmationReason::ReachesNobody)
    );
    assert!(!found.is_confirmed_by(None) && found.is_confirmed_by(Some(0)));
}

#[test]
fn a_large_share_of_the_fleet_asks_for_its_number() {
    assert_eq!(impact(&fleet(10, 10)).confirmation, None, "ten agents are few");
    assert_eq!(
        impact(&fleet(25, 100)).confirmation,
        None,
        "a quarter is no large share"
    );
    let found = impact(&fleet(26, 100));
    assert_eq!(found.confirmation.unwrap().count, 26);
    assert!(!found.is_confirmed_by(Some(25)) && found.is_confirmed_by(Some(26)));
}

#[test]
fn agents_that_are_away_count_for_the_confirmation_because_they_come_back() {
    let mut fleet = fleet(26, 100);
    for member in &mut fleet {
        member.online = false;
    }
    let found = impact(&fleet);
    assert_eq!((found.will_change, found.blocked), (0, 26));
    assert_eq!(found.confirmation.unwrap().count, 26);
}

#[test]
fn a_component_that_an_agent_lacks_is_named_and_must_be_confirmed() {
    let mut fleet = fleet(2, 20);
    fleet[1].lacks = vec!["exporters/kafka".into()];
    let found = impact(&fleet);
    let components = vec!["exporters/kafka".to_owned()];
    let because = Blocker::MissingComponents { components };
    assert_eq!(found.agents[0].effect, Effect::Blocked { because });
    assert_eq!(found.lacking(), BTreeMap::from([("exporters/kafka", 1)]));
    let confirmation = found.confirmation.unwrap();
    assert_eq!(
        (confirmation.count, confirmation.because),
        (2, ConfirmationReason::LacksComponents)
    );
}

#[test]
fn an_agent_of_another_group_is_not_counted() {
    let found = impact(&fleet(1, 5));
    assert_eq!((found.members, found.will_change, found.fleet), (1, 1, 5));
}
