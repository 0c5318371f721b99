//! The `instance_uid`: its form, its echo, its replacement, and agents that share one.

use muster::app::agents::AgentAct;
use muster::fleet::agent::{RefusalKind, Standing};
use muster::opamp::client::{Incoming, Outgoing};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::s04_exchange::is_bare;
use crate::harness::{Disk, Plan, Request, World, admin};

#[tokio::test]
async fn s_080_only_uids_of_sixteen_bytes_are_taken() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    for length in [0, 1, 15, 17] {
        let mut message = agent.clone().full();
        message.uid = vec![7; length];
        let error = line.ask(&message).await.error.expect("an error");
        assert_eq!(error.kind, RefusalKind::BadRequest);
    }
    assert_eq!(line.ask(&agent.full()).await.error, None, "the connection stays");
    let mut any = world.agent().await;
    any.uid = vec![0xff; 16];
    assert_eq!(any.connect(&world).await.ask(&any.full()).await.error, None);
}

#[tokio::test]
async fn s_081_a_uid_of_old_agents_is_refused_with_its_own_bytes() {
    let world = World::start();
    let mut agent = world.agent().await;
    agent.uid = b"01ARZ3NDEKTSV4RRFFQ69G5FAV".to_vec();
    let answer = agent.connect(&world).await.ask(&agent.full()).await;
    let error = answer.error.expect("an error");
    assert_eq!((error.kind, answer.uid), (RefusalKind::BadRequest, agent.uid));
    assert!(error.message.contains("0.10"), "{}", error.message);
}

#[tokio::test]
async fn s_082_every_answer_echoes_the_uid() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(line.ask(&agent.full()).await.uid, agent.uid);
    let asking = Outgoing {
        requests_uid: true,
        ..agent.compressed()
    };
    let answer = line.ask(&asking).await;
    assert!(answer.new_uid.is_some());
    assert_eq!(answer.uid, agent.uid);
    let odd = Outgoing {
        uid: vec![3; 17],
        ..agent.compressed()
    };
    assert_eq!(line.ask(&odd).await.uid, vec![3; 17]);
}

#[tokio::test]
async fn s_083_a_new_uid_is_a_uuid_of_version_seven() {
    let world = World::start();
    let mut agent = world.agent().await;
    let asking = Outgoing {
        requests_uid: true,
        ..agent.full()
    };
    let uid = agent.connect(&world).await.ask(&asking).await.new_uid.unwrap();
    let given = uuid::Uuid::from_slice(&uid).unwrap();
    assert_eq!(
        (given.get_version_num(), given.get_variant()),
        (7, uuid::Variant::RFC4122)
    );
}

#[tokio::test]
async fn s_084_who_asks_for_a_uid_gets_it_in_that_answer() {
    let world = World::start();
    let mut agent = world.agent().await;
    let asking = Outgoing {
        requests_uid: true,
        ..agent.full()
    };
    let answer = agent.poll(&asking).send(&world).await.message();
    assert!(answer.new_uid.is_some_and(|uid| uid != agent.uid));
}

#[tokio::test]
async fn s_085_a_repeated_request_gets_the_same_new_uid() {
    let world = World::start();
    let mut agent = world.agent().await;
    let poll = agent.clone().poll(&Outgoing {
        requests_uid: true,
        ..agent.full()
    });
    let first = poll.send(&world).await.message().new_uid;
    assert!(first.is_some());
    assert_eq!(poll.send(&world).await.message().new_uid, first);
    let later = Outgoing {
        requests_uid: true,
        ..agent.compressed()
    };
    assert_eq!(agent.poll(&later).send(&world).await.message().new_uid, first);
}

#[tokio::test]
async fn s_086_the_record_moves_to_the_new_uid() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let mut line = agent.connect(&world).await;
    let asking = Outgoing {
        requests_uid: true,
        ..agent.full()
    };
    let answer = line.ask(&asking).await;
    assert!(answer.remote_config.is_some());
    let old = std::mem::replace(&mut agent.uid, answer.new_uid.clone().unwrap());
    let next = line.ask(&agent.compressed()).await;
    assert!(is_bare(&next) && next.uid == agent.uid);
    let mut straggler = agent.compressed();
    straggler.uid = old.clone();
    let answered = line.ask(&straggler).await;
    assert_eq!((answered.uid, answered.new_uid), (old, answer.new_uid));
    assert_eq!(world.record_of(&agent.uid), Some(agent.id()));
    assert_eq!(world.app.fleet().len(), 1);
}

#[tokio::test]
async fn s_087_of_two_connected_agents_with_one_uid_one_gets_another() {
    let world = World::start();
    let mut first = world.agent().await;
    let mut second = first.clone();
    second.host = "the-clone".into();
    let mut one = first.online(&world).await;
    second.sequence = 500;
    let mut other = second.online(&world).await;
    let mut renamed = None;
    for _ in 0..6 {
        one.ask(&first.full()).await;
        renamed = renamed.or(other.ask(&second.full()).await.new_uid);
    }
    let new_uid = renamed.expect("one is given another uid");
    assert_ne!(new_uid, first.uid);
    assert_eq!(one.ask(&first.compressed()).await.new_uid, None);
    second.uid = new_uid;
    assert_eq!(other.ask(&second.full()).await.error, None);
    assert_eq!(world.app.fleet().len(), 2);
}

#[tokio::test]
async fn s_087_of_two_polling_agents_with_one_uid_one_gets_another() {
    let world = World::start();
    let mut first = world.agent().await;
    let mut second = first.clone();
    second.sequence = 500;
    let mut renamed = None;
    for _ in 0..8 {
        for agent in [&mut first, &mut second] {
            let answer = agent
                .clone()
                .poll(&agent.compressed())
                .send(&world)
                .await
                .message();
            if answer.full_state {
                agent.clone().poll(&agent.full()).send(&world).await;
            }
            renamed = renamed.or(answer.new_uid);
        }
    }
    assert!(renamed.is_some_and(|uid| uid != first.uid));
}

#[tokio::test]
async fn s_088_two_agents_with_one_uid_are_parted_and_neither_is_shut_out() {
    let world = World::start();
    let mut first = world.agent().await;
    let mut second = first.clone();
    let mut one = first.online(&world).await;
    let mut other = second.connect(&world).await;
    for _ in 0..6 {
        assert_eq!(other.ask(&second.full()).await.error, None);
        assert_eq!(one.ask(&first.full()).await.error, None);
    }
}

#[tokio::test]
async fn s_089_a_reconnect_beside_a_dead_connection_is_no_duplicate() {
    let world = World::start();
    let mut agent = world.agent().await;
    let frozen = agent.online(&world).await;
    let mut line = agent.connect(&world).await;
    for _ in 0..5 {
        assert!(is_bare(&{
            let mut answer = line.ask(&agent.compressed()).await;
            answer.capabilities = 0;
            answer
        }));
    }
    drop(frozen);
    assert!(is_bare(&line.ask(&agent.compressed()).await));
    assert!(world.is_online(agent.id()));
}

#[tokio::test]
async fn s_090_who_comes_back_with_the_old_uid_is_told_the_new_one_again() {
    let world = World::on_disk(Plan::default());
    let mut agent = world.agent().await;
    let asking = Outgoing {
        requests_uid: true,
        ..agent.full()
    };
    let assigned = agent.poll(&asking).send(&world).await.message().new_uid;
    let world = world.restart().await;
    agent.sequence = 0;
    let back = agent.poll(&agent.clone().full()).send(&world).await.message();
    assert_eq!(back.new_uid, assigned);
    assert_eq!(world.app.fleet().len(), 1);
}

#[tokio::test]
async fn s_091_a_uid_is_no_credential() {
    let world = World::start();
    let mut victim = world.agent().await;
    let mut attacker = world.agent().await;
    victim.online(&world).await;
    let mut line = attacker.online(&world).await;
    let before = world.look(victim.id()).registration;
    let mut forged = attacker.full();
    forged.uid.clone_from(&victim.uid);
    let answer = line.ask(&forged).await;
    assert_eq!(answer.error.unwrap().kind, RefusalKind::BadRequest);
    assert_eq!(world.look(victim.id()).registration, before);
}

/// Sends requests at the same time while no commit gets through, then lets them; the answers.
async fn at_once(world: &World, disk: &Disk, requests: Vec<Request>) -> Vec<Incoming> {
    let tasks = world.tracker.len() + requests.len();
    disk.hold();
    let mut sent = JoinSet::new();
    for request in requests {
        let address = world.address;
        sent.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            request.send_on(&mut stream).await.message()
        });
    }
    world
        .until("all are there", || disk.waits() && world.tracker.len() >= tasks)
        .await;
    disk.go_on();
    sent.join_all().await
}

#[tokio::test]
async fn a_pool_takes_no_more_than_its_maximum_also_at_once() {
    let (disk, world) = World::on_failing_disk();
    let pool = world.gateway(None, 2).await;
    let polls = (0..30).map(|_| {
        let mut agent = pool.sibling();
        agent.clone().poll(&agent.full())
    });
    let answers = at_once(&world, &disk, polls.collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.error.is_none()).count(), 2);
    assert_eq!(world.app.fleet().len(), 2);
}

#[tokio::test]
async fn an_archived_agent_leaves_its_place_in_the_pool() {
    let world = World::start();
    let pool = world.gateway(None, 1).await;
    let (mut first, mut second) = (pool.sibling(), pool.sibling());
    assert_eq!(
        first
            .clone()
            .poll(&first.full())
            .send(&world)
            .await
            .message()
            .error,
        None
    );
    let refused = second.clone().poll(&second.full()).send(&world).await.message();
    assert!(refused.error.unwrap().message.contains("archive"));
    let id = world.record_of(&first.uid).unwrap();
    world.app.act(&admin(), id, &AgentAct::Archive).await.unwrap();
    let taken = second.clone().poll(&second.full()).send(&world).await.message();
    assert_eq!(taken.error, None);
}

#[tokio::test]
async fn of_cloned_images_that_start_together_one_keeps_the_uid() {
    let (disk, world) = World::on_failing_disk();
    let first = world.agent().await;
    let mut polls = Vec::new();
    for _ in 0..4 {
        let mut clone = world.agent().await;
        clone.uid.clone_from(&first.uid);
        polls.push(clone.clone().poll(&clone.full()));
    }
    let answers = at_once(&world, &disk, polls).await;
    let kept = answers.iter().filter(|answer| answer.new_uid.is_none()).count();
    assert_eq!(kept, 1);
    assert!(answers.iter().all(|answer| answer.error.is_none()));
}

/// Whether it is gone can't be known before it had the time to come back.
#[tokio::test]
async fn just_after_a_start_nobody_takes_over_a_record_and_nobody_is_in_conflict() {
    let world = World::on_disk(Plan::default());
    let mut agent = world.agent().await;
    agent.online(&world).await;
    let world = world.restart().await;
    let other = agent.sibling();
    let poll = other.poll(&other.clone().full());
    let early = poll.send(&world).await;
    assert_eq!(early.status, 503);
    let wait: u64 = early.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 30);
    agent.online(&world).await.close().await;
    assert_eq!(world.look(agent.id()).registration.standing, Standing::Active);
    assert_eq!(world.app.fleet().len(), 1);
    world.until("gone", || !world.is_online(agent.id())).await;
    assert_eq!(poll.send(&world).await.message().error, None);
    assert_eq!(world.record_of(&other.uid), Some(agent.id()), "it is taken then");
}
