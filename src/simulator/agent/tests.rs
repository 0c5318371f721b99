use super::offers::AWAY;
use super::*;
use crate::fleet::agent::Refused;
use crate::fleet::agent::report::{Parts, Report};
use crate::fleet::config::ConfigMap;
use crate::opamp::{self, Limits};

const PERIOD: Duration = Duration::from_secs(30);
const DELAY: Duration = Duration::from_millis(100);
const START: Timestamp = Timestamp::from_seconds(1_000);

fn at(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

fn agent(behaviour: Behaviour) -> Agent {
    let profile = Arc::new(Profile::new("sim", 6400));
    Agent::new(
        3,
        InstanceUid([3; 16]),
        behaviour,
        &profile,
        Some(PERIOD),
        DELAY,
        START,
    )
}

/// The agent after its first connection and the server's answer.
fn greeted(behaviour: Behaviour) -> Agent {
    let mut agent = agent(behaviour);
    assert_eq!(sent(&agent.handle(Happening::Connected, START)).len(), 1);
    agent
}

fn read(message: &[u8]) -> Report {
    opamp::decode(message, &Limits::default()).unwrap()
}

fn sent(acts: &[Act]) -> Vec<Report> {
    let message = |act: &Act| match act {
        Act::Send { message, .. } => Some(read(message)),
        Act::Vanish(_) | Act::FallSilent | Act::Note(_) => None,
    };
    acts.iter().filter_map(message).collect()
}

fn notes(acts: &[Act]) -> Vec<Event> {
    let note = |act: &Act| match act {
        Act::Note(event) => Some(*event),
        Act::Vanish(_) | Act::FallSilent | Act::Send { .. } => None,
    };
    acts.iter().filter_map(note).collect()
}

fn answer() -> Incoming {
    Incoming {
        uid: vec![3; 16],
        ..Incoming::default()
    }
}

fn offer(yaml: &str) -> Incoming {
    Incoming {
        remote_config: Some((ConfigMap::document(yaml), yaml.as_bytes().to_vec())),
        ..answer()
    }
}

/// Offers `yaml` and lets the delay pass; the acts at its end.
fn apply(agent: &mut Agent, yaml: &str, now: Timestamp) -> Vec<Act> {
    let acts = agent.handle(Happening::Heard(&offer(yaml)), now);
    assert_eq!(outcome(&sent(&acts)[0]), RemoteConfigOutcome::Applying);
    let due = agent.due().unwrap();
    agent.handle(Happening::Time, due)
}

fn outcome(report: &Report) -> RemoteConfigOutcome {
    report.parts.remote_config_status.as_ref().unwrap().outcome
}

#[test]
fn the_first_report_tells_everything_in_the_wanted_size_and_the_next_only_that_it_lives() {
    let mut agent = agent(Behaviour::Healthy);
    let acts = agent.handle(Happening::Connected, START);
    let Act::Send {
        message,
        kind: Kind::Full,
    } = &acts[0]
    else {
        panic!("{acts:?}")
    };
    assert!(message.len().abs_diff(6400) < 16, "{}", message.len());
    let report = read(message);
    let parts = &report.parts;
    assert!(parts.description.is_some() && parts.health.as_ref().unwrap().healthy);
    assert!(parts.effective_config.is_some() && parts.remote_config_status.is_some());
    assert!(parts.available_components.as_ref().unwrap().components.is_empty());
    assert_eq!((report.sequence, agent.due()), (0, Some(START.plus(PERIOD))));
    let beat = agent.handle(Happening::Time, START.plus(PERIOD));
    assert_eq!(sent(&beat)[0].parts, Parts::default());
    assert_eq!(sent(&beat)[0].sequence, 1);
}

#[test]
fn a_reconnected_agent_tells_only_that_it_is_there_and_a_reborn_one_everything() {
    let mut agent = greeted(Behaviour::Healthy);
    let again = sent(&agent.handle(Happening::Connected, at(5)));
    assert_eq!((again[0].sequence, &again[0].parts), (1, &Parts::default()));
    assert!(agent.handle(Happening::Reborn, at(6)).is_empty());
    let reborn = sent(&agent.handle(Happening::Connected, at(7)));
    assert_eq!(reborn[0].sequence, 0);
    assert_eq!(reborn[0].parts.health.as_ref().unwrap().started_at, Some(at(6)));
}

#[test]
fn what_the_server_asks_for_is_told_at_once() {
    let mut agent = greeted(Behaviour::Healthy);
    let asked = Incoming {
        full_state: true,
        available_components: true,
        ..answer()
    };
    let acts = agent.handle(Happening::Heard(&asked), at(1));
    assert_eq!(notes(&acts), [Event::FullStateAsked, Event::ComponentsAsked]);
    let told = sent(&acts);
    assert_eq!(told.len(), 1);
    assert!(told[0].parts.description.is_some());
    assert_eq!(
        told[0]
            .parts
            .available_components
            .as_ref()
            .unwrap()
            .components
            .len(),
        4
    );
    assert!(agent.handle(Happening::Heard(&answer()), at(2)).is_empty());
}

#[test]
fn a_healthy_agent_applies_an_offer_and_runs_it() {
    let mut agent = greeted(Behaviour::Healthy);
    let acts = apply(&mut agent, "a: 1", at(0));
    let told = &sent(&acts)[0];
    assert_eq!(outcome(told), RemoteConfigOutcome::Applied);
    assert_eq!(told.parts.remote_config_status.as_ref().unwrap().hash, b"a: 1");
    assert_eq!(told.parts.effective_config, Some(ConfigMap::document("a: 1")));
    assert_eq!(notes(&acts), [Event::Applied]);
    let again = agent.handle(Happening::Heard(&offer("a: 1")), at(200));
    assert_eq!(notes(&again), [Event::Offered { again: true }]);
    assert_eq!(outcome(&sent(&again)[0]), RemoteConfigOutcome::Applied);
}

#[test]
fn an_offer_that_comes_again_while_it_is_applied_changes_nothing() {
    let mut agent = greeted(Behaviour::Slow);
    let _: Vec<Act> = agent.handle(Happening::Heard(&offer("a: 1")), at(0));
    assert!(sent(&agent.handle(Happening::Heard(&offer("a: 1")), at(10))).is_empty());
    assert!(sent(&agent.handle(Happening::Time, at(19_999))).is_empty());
    let done = sent(&agent.handle(Happening::Time, at(20_000)));
    assert_eq!(outcome(&done[0]), RemoteConfigOutcome::Applied);
}

#[test]
fn a_poisoned_configuration_fails_and_the_former_one_stays() {
    let mut agent = greeted(Behaviour::Healthy);
    apply(&mut agent, "a: 1", at(0));
    let acts = apply(&mut agent, "a: FAIL", at(500));
    let told = &sent(&acts)[0];
    assert_eq!(outcome(told), RemoteConfigOutcome::Failed);
    assert!(!told.parts.remote_config_status.as_ref().unwrap().error.is_empty());
    assert!(!told.parts.health.as_ref().unwrap().healthy);
    assert_eq!(agent.running().unwrap().hash, b"a: 1");
    let repeated = agent.handle(Happening::Heard(&offer("a: FAIL")), at(900));
    assert!(notes(&repeated).contains(&Event::Offered { again: true }));
    let healed = apply(&mut agent, "a: 2", at(2000));
    assert!(sent(&healed)[0].parts.health.as_ref().unwrap().healthy);
}

#[test]
fn a_failing_agent_fails_with_anything() {
    let acts = apply(&mut greeted(Behaviour::Fails), "a: 1", at(0));
    assert_eq!(notes(&acts), [Event::Failed]);
}

#[test]
fn a_dark_agent_applies_and_is_never_heard_of_again() {
    let mut agent = greeted(Behaviour::Dark);
    let acts = apply(&mut agent, "a: 1", at(0));
    assert_eq!(acts.last(), Some(&Act::FallSilent));
    assert_eq!(outcome(&sent(&acts)[0]), RemoteConfigOutcome::Applied);
    assert_eq!(agent.due(), None);
    assert!(agent.handle(Happening::Heard(&offer("b: 1")), at(9)).is_empty());
    assert!(agent.handle(Happening::Time, at(90_000)).is_empty());
}

#[test]
fn a_crashing_agent_comes_back_as_a_new_process_that_fell_back() {
    let mut agent = greeted(Behaviour::Healthy);
    apply(&mut agent, "a: 1", at(0));
    agent.behaviour = Behaviour::Crashes;
    let acts = apply(&mut agent, "b: 1", at(1000));
    assert_eq!(acts, [Act::Vanish(AWAY)]);
    let back = agent.handle(Happening::Connected, at(3000));
    let told = &sent(&back)[0];
    assert_eq!((told.sequence, outcome(told)), (0, RemoteConfigOutcome::Failed));
    assert_eq!(told.parts.effective_config, Some(ConfigMap::document("a: 1")));
    assert_eq!(notes(&back), [Event::Failed]);
    let fell_back = sent(&agent.handle(Happening::Time, at(4500)));
    assert_eq!(outcome(&fell_back[0]), RemoteConfigOutcome::Applied);
    assert!(fell_back[0].parts.health.as_ref().unwrap().healthy);
    assert_eq!(
        fell_back[0].parts.remote_config_status.as_ref().unwrap().hash,
        b"a: 1"
    );
}

#[test]
fn a_server_without_time_is_left_alone_and_then_told_what_it_missed() {
    let mut agent = agent(Behaviour::Healthy);
    let _: Vec<Act> = agent.handle(Happening::Connected, START);
    let refused = Refused {
        kind: RefusalKind::Unavailable,
        message: String::new(),
        retry_after: Some(Duration::from_secs(45)),
    };
    let busy = Incoming {
        error: Some(refused),
        ..answer()
    };
    let acts = agent.handle(Happening::Heard(&busy), at(0));
    assert_eq!(notes(&acts), [Event::Refused(RefusalKind::Unavailable)]);
    assert_eq!(agent.due(), Some(at(45_000)));
    assert!(sent(&agent.handle(Happening::Time, at(30_000))).is_empty());
    let told = sent(&agent.handle(Happening::Time, at(45_000)));
    assert!(told[0].parts.description.is_some());
    assert_eq!(agent.due(), Some(at(75_000)));
}

#[test]
fn a_restart_is_followed_by_a_new_start_time_and_a_new_uid_is_used_from_then_on() {
    let mut agent = greeted(Behaviour::Healthy);
    let restart = Incoming {
        restart: true,
        ..answer()
    };
    assert_eq!(
        notes(&agent.handle(Happening::Heard(&restart), at(0))),
        [Event::RestartAsked]
    );
    let up = sent(&agent.handle(Happening::Time, at(1000)));
    assert_eq!(up[0].parts.health.as_ref().unwrap().started_at, Some(at(1000)));
    let renamed = Incoming {
        new_uid: Some(vec![9; 16]),
        ..answer()
    };
    assert_eq!(
        notes(&agent.handle(Happening::Heard(&renamed), at(2000))),
        [Event::Renamed]
    );
    assert_eq!(
        sent(&agent.handle(Happening::Leaving, at(2001)))[0].uid,
        InstanceUid([9; 16])
    );
    assert_eq!(
        notes(&agent.handle(Happening::Heard(&answer()), at(2002))),
        [Event::Misdirected]
    );
}

#[test]
fn an_agent_from_memory_goes_on_where_it_was() {
    let mut former = greeted(Behaviour::Healthy);
    apply(&mut former, "a: 1", at(0));
    let kept = former.keep();
    let mut agent = agent(Behaviour::Healthy).resumed(&kept, former.running().cloned());
    let hello = sent(&agent.handle(Happening::Connected, at(9000)));
    assert_eq!(
        (hello[0].sequence, &hello[0].parts),
        (kept.sequence, &Parts::default())
    );
    let asked = Incoming {
        full_state: true,
        ..answer()
    };
    let told = sent(&agent.handle(Happening::Heard(&asked), at(9001)));
    assert_eq!(outcome(&told[0]), RemoteConfigOutcome::Applied);
    assert_eq!(told[0].parts.effective_config, Some(ConfigMap::document("a: 1")));
    assert_eq!(told[0].parts.health.as_ref().unwrap().started_at, Some(START));
}
