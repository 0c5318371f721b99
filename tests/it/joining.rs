//! What a host is given while it joins: the script for everybody, and how the server sees its own agent for that alone.

use muster::app::enrolment::NewEnrolmentToken;
use serde_json::{Value, json};

use crate::harness::{Request, SOON, World, admin};

fn get(path: &str) -> Request {
    let nobody = Request::posting("", Vec::new())
        .by("GET")
        .without("authorization");
    Request {
        path: path.into(),
        ..nobody
    }
}

async fn standing(world: &World, credential: &str) -> (u16, Value) {
    let request = get("/v1/agent").with("authorization", &format!("Bearer {credential}"));
    let answer = request.send(world).await;
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, body)
}

#[tokio::test]
async fn the_join_script_is_for_the_address_under_which_the_host_found_the_server() {
    let world = World::start();
    let answer = get("/join.sh").send(&world).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let script = String::from_utf8(answer.body).unwrap();
    assert!(script.starts_with("#!/bin/sh\n"));
    assert!(
        script.contains("\nserver='https://muster:443'\n"),
        "what `Host` says"
    );
    assert_eq!(get("/join.sh").by("POST").send(&world).await.status, 405);
    for path in ["/join-macos.sh", "/join.ps1"] {
        let answer = get(path).send(&world).await;
        let script = String::from_utf8(answer.body).unwrap();
        assert!(
            answer.status == 200 && script.contains("'https://muster:443'"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_address_that_is_none_gets_into_no_script() {
    use tokio::io::AsyncWriteExt as _;
    let world = World::start();
    for host in ["a'b:1", "$(id):4320", "a:b:c", "a b", "`id`"] {
        let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
        let head = format!("GET /join.sh HTTP/1.1\r\nhost: {host}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(SOON, crate::harness::Answer::read(&mut stream)).await;
        assert_eq!(answer.unwrap().status, 400, "{host}");
    }
}

#[tokio::test]
async fn a_host_is_told_of_its_own_agent_and_nobody_elses() {
    let world = World::start();
    assert_eq!(get("/v1/agent").send(&world).await.status, 401);
    let (mut agent, other) = (world.agent().await, world.agent().await);
    let (status, seen) = standing(&world, &agent.credential).await;
    assert_eq!((status, &seen["online"]), (200, &Value::Bool(false)));
    assert_eq!(seen["agent_id"], agent.id().to_string());

    let message = agent.full();
    Request::poll(&agent.credential, &message)
        .send(&world)
        .await
        .message();
    let (_, seen) = standing(&world, &agent.credential).await;
    assert_eq!(seen["online"], true);
    let (_, unseen) = standing(&world, &other.credential).await;
    assert_eq!(
        (&unseen["agent_id"], &unseen["online"]),
        (&Value::from(other.id().to_string()), &Value::Bool(false))
    );

    // A credential of many speaks for none of them, and a revoked one for nobody.
    let gateway = world.gateway(None, 3).await;
    assert_eq!(standing(&world, &gateway.credential).await.0, 404);
    world
        .app
        .revoke_credential(&admin(), agent.credential_id)
        .await
        .unwrap();
    assert_eq!(standing(&world, &agent.credential).await.0, 401);
}

#[tokio::test]
async fn a_token_for_many_that_is_handed_a_hosts_configuration_is_refused_and_not_used_up() {
    let world = World::start();
    let wish = NewEnrolmentToken {
        many: Some(3),
        ..NewEnrolmentToken::default()
    };
    let token = world.app.create_enrolment_token(&admin(), wish).await.unwrap();
    let enrolling = |body: Value| Request {
        method: "POST",
        path: "/v1/enroll".into(),
        headers: vec![
            ("authorization".into(), format!("Bearer {}", token.secret)),
            ("content-type".into(), "application/json".into()),
        ],
        body: body.to_string().into_bytes(),
    };
    let running = "receivers: {nop: }\nexporters: {nop: }\n\
                   service: {pipelines: {metrics: {receivers: [nop], exporters: [nop]}}}\n";
    let refused = enrolling(json!({"host": "web-1", "running_config": running}))
        .send(&world)
        .await;
    let said = String::from_utf8(refused.body).unwrap();
    assert!(refused.status == 422 && said.contains("--no-adopt"), "{said}");
    let welcome = enrolling(json!({"host": "web-1"})).send(&world).await;
    assert_eq!(welcome.status, 201, "the one use that it had is still there");
}

async fn rewrite(world: &World, credential: &str) -> (u16, Value) {
    let request = Request {
        method: "POST",
        path: "/v1/rotate".into(),
        headers: vec![("authorization".into(), format!("Bearer {credential}"))],
        body: b"{}".to_vec(),
    };
    let answer = request.send(world).await;
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, body)
}

#[tokio::test]
async fn a_credential_that_is_rewritten_in_its_hosts_file_dies_when_the_new_one_is_used() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    let (status, made) = rewrite(&world, &agent.credential).await;
    assert_eq!((status, &made["agent_id"]), (201, &json!(agent.id().to_string())));
    let new = made["credential"].as_str().unwrap().to_owned();

    // Made and not used: nothing has changed, and asking is no use.
    let (_, seen) = standing(&world, &new).await;
    assert_eq!(
        (&seen["online"], &seen["uses_this_credential"]),
        (&json!(true), &json!(false))
    );
    let (_, seen) = standing(&world, &agent.credential).await;
    assert_eq!(seen["uses_this_credential"], true);
    let heartbeat = agent.compressed();
    assert!(line.ask(&heartbeat).await.error.is_none());

    // The host's agent comes back with it: what it had before is nobody's way in any more.
    let old = agent.credential.clone();
    agent.credential.clone_from(&new);
    let message = agent.full();
    let answer = Request::poll(&new, &message).send(&world).await;
    assert!(answer.status == 200 && answer.message().error.is_none());
    assert_eq!(line.closed().await, Some(1008));
    assert_eq!(standing(&world, &old).await.0, 401);
    let (_, seen) = standing(&world, &new).await;
    assert_eq!(seen["uses_this_credential"], true);
    assert_eq!(rewrite(&world, &old).await.0, 401);
    let acts = world.acts();
    for act in ["credential.rewrite", "credential.take_up"] {
        assert_eq!(acts.iter().filter(|known| *known == act).count(), 1, "{act}");
    }
}

#[tokio::test]
async fn only_an_agent_with_a_credential_of_its_own_rewrites_it_and_not_without_end() {
    let world = World::start();
    assert_eq!(rewrite(&world, "mst_agent_x").await.0, 401);
    let gateway = world.gateway(None, 3).await;
    assert_eq!(rewrite(&world, &gateway.credential).await.0, 409);
    let agent = world.agent().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        let (status, answer) = rewrite(&world, &agent.credential).await;
        assert_eq!(status, 201);
        made.push(answer["credential"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        rewrite(&world, &agent.credential).await.0,
        409,
        "four wait already"
    );
    let (status, said) = rewrite(&world, &made[0]).await;
    assert_eq!(status, 409, "{said}");
}

#[tokio::test]
async fn a_host_is_told_that_nobody_has_decided_about_its_agent_yet() {
    let world = World::start();
    let wish = NewEnrolmentToken {
        by_hand: true,
        ..NewEnrolmentToken::default()
    };
    let token = world.app.create_enrolment_token(&admin(), wish).await.unwrap();
    let host = muster::app::enrolment::Enrol::default();
    let enrolled = world.app.enrol(&token.secret, host, None).await.unwrap();
    let (_, seen) = standing(&world, &enrolled.credential).await;
    assert_eq!(seen["standing"]["state"], "pending");
    let id = enrolled.agent_id.unwrap();
    let approve = muster::app::agents::AgentAct::Approve;
    world.app.act(&admin(), id, &approve).await.unwrap();
    let (_, seen) = standing(&world, &enrolled.credential).await;
    assert_eq!(seen["standing"]["state"], "active");
    assert_eq!(
        standing(&world, &enrolled.credential).await.1["agent_id"],
        json!(id.to_string())
    );
}
