//! Simulated agents against the real server: they join, report, take configurations and come back.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use muster::app::clock::Clock;
use muster::app::configs::NewConfig;
use muster::app::enrolment::NewEnrolmentToken;
use muster::app::groups::NewGroup;
use muster::app::publish::{IfRunning, Publish};
use muster::app::rollouts::RolloutDetail;
use muster::auth::actor::Actor;
use muster::fleet::config::Content;
use muster::fleet::ids::RolloutId;
use muster::fleet::name::Name;
use muster::fleet::rollout::{Ended, State, Strategy};
use muster::fleet::selector::Known;
use muster::fleet::target::LayerRef;
use muster::observability::Secret;
use muster::pki::client_config;
use muster::server::Server;
use muster::settings::Settings;
use muster::simulator::{
    Memory, Mix, Plan, Simulation, SimulationError, Sources, Target, Temper, TransportChoice,
};

/// Longer than a server that is stopping asks agents to stay away.
const PATIENCE: Duration = Duration::from_mins(2);

fn start(data: &Path, agents: SocketAddr) -> Server {
    let mut settings = Settings {
        data: data.to_owned(),
        ..Settings::default()
    };
    settings.agent_plane.listen = agents;
    settings.admin_plane.listen = "127.0.0.1:0".parse().unwrap();
    Server::start(&settings, &Clock::system()).unwrap()
}

fn start_anywhere(data: &Path) -> Server {
    start(data, "127.0.0.1:0".parse().unwrap())
}

/// A token for so many agents with a credential each, or for one credential of so many.
async fn token(server: &Server, agents: u32, shared: bool) -> Secret<String> {
    let wish = NewEnrolmentToken {
        uses: Some(if shared { 1 } else { agents }),
        many: shared.then_some(agents),
        group: Some(Name::new("edge").unwrap()),
        ..NewEnrolmentToken::default()
    };
    let group = NewGroup {
        name: "edge".into(),
        ..NewGroup::default()
    };
    server
        .app
        .intentions
        .create_group(&Actor::muster(), group, |_| Known::Neither)
        .await
        .unwrap();
    let made = server
        .app
        .create_enrolment_token(&Actor::muster(), wish)
        .await
        .unwrap();
    Secret::new(made.secret)
}

async fn plan(server: &Server, agents: u32, token: Option<Secret<String>>) -> Plan {
    let tls = client_config(server.authority.ca_pem()).unwrap();
    let url = format!("https://localhost:{}", server.agent_address.port());
    Plan {
        target: Target::find(&url, tls).await.unwrap(),
        token,
        agents,
        transport: TransportChoice::Websocket,
        ramp_up: Duration::ZERO,
        heartbeat: Some(Duration::from_millis(500)),
        mix: Mix::default(),
        temper: Temper::default(),
        sources: Sources::default(),
        seed: 7,
        status_bytes: 6400,
        apply_delay: Duration::from_millis(50),
        longest_wait: Duration::from_millis(500),
        memory: None,
    }
}

async fn publish(server: &Server, agents: u32, yaml: &str) {
    roll_out(server, agents, "first", yaml, Strategy::all_at_once()).await;
}

async fn roll_out(server: &Server, agents: u32, name: &str, yaml: &str, strategy: Strategy) -> RolloutId {
    let new = NewConfig {
        name: name.into(),
        description: String::new(),
        content: Content::Yaml(yaml.into()),
        message: String::new(),
        allow_blank: false,
    };
    server
        .app
        .intentions
        .create_config(&Actor::muster(), new)
        .await
        .unwrap();
    let publish = Publish {
        group: "edge".into(),
        layers: vec![LayerRef {
            config: Name::slug(name),
            revision: 1,
        }],
        message: String::new(),
        expected_revision: None,
        confirm: Some(agents),
        allow_blank: false,
        strategy: Some(strategy),
        if_running: IfRunning::default(),
    };
    let published = server.app.publish(&Actor::muster(), publish).await.unwrap();
    published.rollout.unwrap()
}

const YAML: &str = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    metrics:\n      receivers: [nop]\n      exporters: [nop]\n";

#[tokio::test(flavor = "multi_thread")]
async fn fifty_agents_of_both_transports_join_and_each_answers_an_offer_in_its_way() {
    let data = tempfile::tempdir().unwrap();
    let server = start_anywhere(data.path());
    let token = token(&server, 50, true).await;
    let mut plan = plan(&server, 50, Some(token)).await;
    plan.transport = TransportChoice::Mixed;
    plan.mix = "healthy=42,fails=3,dark=2,crashes=3".parse().unwrap();
    let simulation = Simulation::start(plan, &Clock::system()).await.unwrap();
    assert!(
        simulation.wait_online(None, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    let joined = simulation.figures();
    assert_eq!((joined.online, joined.counts.connects), (50, 50), "{joined:#?}");
    assert_eq!(joined.counts.full_reports_sent, 50, "{joined:#?}");
    assert_eq!(joined.counts.full_state_requests, 0, "{joined:#?}");
    assert!(
        joined.refusals.is_empty() && joined.errors.is_empty(),
        "{joined:#?}"
    );

    simulation.reset();
    publish(&server, 50, YAML).await;
    assert!(
        simulation.wait_verdicts(50, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    let (answered, memory) = simulation.stop(true).await;
    let counts = answered.counts;
    assert_eq!((counts.applied, counts.failed), (44, 6), "{answered:#?}");
    assert_eq!((counts.offers, counts.offers_repeated), (50, 0), "{answered:#?}");
    assert_eq!((answered.dark, counts.misdirected), (2, 0), "{answered:#?}");
    assert!(answered.first_offer_to_last_applied_ms.is_some() && answered.apply.count == 44);
    assert_eq!(memory.agents.len(), 50);
    assert_eq!(memory.configs.len(), 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_go_on_where_they_were_when_the_server_or_they_themselves_come_back() {
    let data = tempfile::tempdir().unwrap();
    let server = start_anywhere(data.path());
    let address = server.agent_address;
    let token = token(&server, 8, false).await;
    let mut plan = plan(&server, 8, Some(token)).await;
    // Nothing is on its way when the server stops, so nothing can get lost.
    plan.heartbeat = None;
    let simulation = Simulation::start(plan.clone(), &Clock::system()).await.unwrap();
    assert!(
        simulation.wait_online(None, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    publish(&server, 8, YAML).await;
    assert!(
        simulation.wait_verdicts(8, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );

    simulation.reset();
    simulation.reconnect();
    assert!(
        simulation.wait_online(None, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    let counts = simulation.figures().counts;
    assert_eq!(
        (counts.reconnects, counts.full_reports_sent, counts.offers),
        (8, 0, 0),
        "{counts:#?}"
    );
    simulation.reset();
    simulation.restart();
    assert!(
        simulation.wait_online(None, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    let counts = simulation.figures().counts;
    assert!(
        counts.reconnects == 8 && counts.full_reports_sent >= 8 && counts.offers == 0,
        "{counts:#?}"
    );

    server.stop().await.unwrap();
    simulation.reset();
    let server = start(data.path(), address);
    assert!(
        simulation.wait_online(None, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    let (back, memory) = simulation.stop(false).await;
    assert_eq!(
        (back.counts.full_state_requests, back.counts.offers),
        (0, 0),
        "{back:#?}"
    );

    let file = data.path().join("agents.json");
    memory.save(&file).unwrap();
    let again = Plan {
        token: None,
        memory: Memory::load(&file).unwrap(),
        ..plan
    };
    let simulation = Simulation::start(again, &Clock::system()).await.unwrap();
    assert!(
        simulation.wait_online(None, PATIENCE).await,
        "{:#?}",
        simulation.figures()
    );
    let (resumed, _) = simulation.stop(true).await;
    assert_eq!(
        (resumed.counts.enrolled, resumed.counts.full_reports_sent),
        (0, 0),
        "{resumed:#?}"
    );
    assert_eq!(
        (resumed.counts.full_state_requests, resumed.counts.offers),
        (0, 0),
        "{resumed:#?}"
    );
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_lets_nobody_in_is_told_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let server = start_anywhere(data.path());
    let none = plan(&server, 2, None).await;
    let wrong = plan(&server, 2, Some(Secret::new("mst_enrol_x".to_owned()))).await;
    let nobody = plan(&server, 0, None).await;
    let start = |plan| async { Simulation::start(plan, &Clock::system()).await.unwrap_err() };
    assert!(matches!(start(none).await, SimulationError::NoToken));
    assert!(matches!(start(wrong).await, SimulationError::Enrolment(_)));
    assert!(matches!(start(nobody).await, SimulationError::Agents(20_000)));
    server.stop().await.unwrap();
}

/// Publishes what breaks agents of this mix, in stages of seconds; how many it broke, once it is over and all are back.
async fn broken_by(mix: &str, agents: u32) -> usize {
    let data = tempfile::tempdir().unwrap();
    let server = start_anywhere(data.path());
    let token = token(&server, agents, true).await;
    let mut plan = plan(&server, agents, Some(token)).await;
    plan.mix = mix.parse().unwrap();
    plan.temper.only_with = Some("BREAK".into());
    let simulation = Simulation::start(plan, &Clock::system()).await.unwrap();
    assert!(simulation.wait_online(None, PATIENCE).await);
    publish(&server, agents, YAML).await;
    assert!(simulation.wait_verdicts(u64::from(agents), PATIENCE).await);
    let mut strategy: Strategy = "1 for 4s; 50% for 1s; all for 1s".parse().unwrap();
    (strategy.grace_seconds, strategy.silence_seconds) = (1, 10);
    let id = roll_out(&server, agents, "next", &format!("{YAML}# BREAK\n"), strategy).await;
    let found = once_over(&server, id).await;
    let back = State::Ended {
        how: Ended::RolledBack,
    };
    let waits = &found.summary.waits;
    assert_eq!(found.summary.rollout.state, back, "{waits:?}");
    assert!(waits.contains("failed"), "it says why: {waits}");
    let fleet = server.app.fleet();
    assert!(
        fleet.iter().all(|agent| agent.reported.healthy == Some(true)),
        "all are well again"
    );
    simulation.stop(true).await;
    server.stop().await.unwrap();
    found.summary.total.failed as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_polls_is_taken_through_a_rollout() {
    let data = tempfile::tempdir().unwrap();
    let server = start_anywhere(data.path());
    let token = token(&server, 4, true).await;
    let mut plan = plan(&server, 4, Some(token)).await;
    plan.transport = TransportChoice::Http;
    let simulation = Simulation::start(plan, &Clock::system()).await.unwrap();
    assert!(simulation.wait_online(None, PATIENCE).await);
    publish(&server, 4, YAML).await;
    assert!(simulation.wait_verdicts(4, PATIENCE).await);
    simulation.reset();
    let strategy: Strategy = "1 for 2s; all for 1s".parse().unwrap();
    let id = roll_out(&server, 4, "next", &format!("{YAML}# better\n"), strategy).await;
    let found = once_over(&server, id).await;
    let succeeded = State::Ended {
        how: Ended::Succeeded,
    };
    assert_eq!(
        found.summary.rollout.state, succeeded,
        "{:?}",
        found.summary.waits
    );
    assert_eq!((found.summary.total.proven, found.summary.total.failed), (4, 0));
    // One after the other: nobody was given it before the first had stayed well with it.
    let stages = found.summary.rollout.history.iter();
    let began = stages
        .filter(|step| matches!(step.state, State::Running { .. }))
        .count();
    assert_eq!(began, 2, "{:?}", found.summary.rollout.history);
    let counts = simulation.figures().counts;
    assert_eq!(
        (counts.offers, counts.offers_repeated, counts.applied),
        (4, 0, 4),
        "{counts:#?}"
    );
    simulation.stop(true).await;
    server.stop().await.unwrap();
}

/// The rollout once it is over.
async fn once_over(server: &Server, id: RolloutId) -> RolloutDetail {
    let over = async {
        loop {
            let found = server.app.rollout(&Actor::muster(), id).unwrap();
            if found.summary.rollout.is_ended() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_every_agent_lie_breaks_the_first_stage_and_all_are_well_again() {
    assert_eq!(broken_by("lies=1", 60).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_a_third_of_the_agents_lie_breaks_one_percent_and_one() {
    assert!(broken_by("healthy=7,lies=3", 100).await <= 2);
}
