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
