//! The `instance_uid`: its form, its echo, its replacement, and agents that share one.

use muster::fleet::agent::RefusalKind;
use muster::opamp::client::Outgoing;

use super::s04_exchange::is_bare;
use crate::harness::World;

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
    let world = World::on_disk(crate::harness::Plan::default());
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
