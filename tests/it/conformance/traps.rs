//! What a naive server does to real agents, and we don't. Traps that a duty's test shows as well are not repeated here.

use std::time::Duration;

use muster::fleet::agent::report::RemoteConfigOutcome;

use crate::harness::{Agent, Line, Plan, World};

/// An agent as opamp-go is one: it answers a request for its full state at once.
async fn obedient(agent: &mut Agent, line: &mut Line, messages: usize) -> usize {
    let mut asked = 0;
    line.say(&agent.compressed()).await;
    for _ in 0..messages {
        let message = if line.hear().await.full_state {
            asked += 1;
            let mut poor = agent.full();
            poor.parts.health = None;
            poor.parts.effective_config = None;
            poor
        } else {
            agent.compressed()
        };
        line.say(&message).await;
    }
    asked
}

#[tokio::test]
async fn t_01_the_full_state_is_asked_for_once_per_gap() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(obedient(&mut agent, &mut line, 20).await, 1);
    let mut lost = agent.clone();
    lost.sequence += 10;
    let mut line = lost.connect(&world).await;
    assert_eq!(obedient(&mut lost, &mut line, 20).await, 1);
}

#[tokio::test]
async fn t_12_an_agent_whose_full_state_is_too_large_is_not_asked_in_a_loop() {
    let mut plan = Plan::default();
    plan.plane.message.bytes = 10_000;
    let world = World::with(plan);
    let mut agent = world.agent().await;
    let mut asked = 0;
    for _ in 0..12 {
        let mut line = agent.connect(&world).await;
        if line.ask(&agent.compressed()).await.full_state {
            asked += 1;
            let mut huge = agent.full();
            huge.parts.health.as_mut().unwrap().last_error = "x".repeat(20_000);
            line.say(&huge).await;
            assert_eq!(line.closed().await, Some(1009));
        }
    }
    assert_eq!(asked, 1, "reconnects within a moment");
    for _ in 0..20 {
        world.pass(Duration::from_mins(2));
        let answer = agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message();
        asked += usize::from(answer.full_state);
        agent.sequence += u64::from(answer.full_state);
    }
    assert!(asked <= 12, "{asked}");
}

#[tokio::test]
async fn t_12_over_http_it_is_asked_three_times_and_then_taken_as_it_is() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut asked = 0;
    for _ in 0..20 {
        let answer = agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message();
        asked += usize::from(answer.full_state);
    }
    assert_eq!(asked, 3);
    assert!(
        agent
            .clone()
            .poll(&agent.at(500))
            .send(&world)
            .await
            .message()
            .full_state,
        "a new gap"
    );
}

#[tokio::test]
async fn t_23_applied_says_nothing_about_what_runs() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let (_, hash) = line.ask(&agent.full()).await.remote_config.unwrap();
    line.ask(&agent.reports(&hash, RemoteConfigOutcome::Applied))
        .await;
    let effective = world.look(agent.id()).effective_config.unwrap();
    assert_eq!(
        effective.digest,
        agent.effective.digest(),
        "as reported, not as offered"
    );
}
