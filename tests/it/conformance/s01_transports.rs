//! Both transports, on one path, with one meaning.

use muster::opamp::client::Outgoing;

use super::s04_exchange::is_bare;
use crate::harness::{Line, Raw, Request, World};

#[tokio::test]
async fn s_001_both_transports_are_served() {
    let world = World::start();
    let mut polling = world.agent().await;
    let mut connected = world.agent().await;
    let polled = polling.clone().poll(&polling.full()).send(&world).await.message();
    let spoken = connected.connect(&world).await.ask(&connected.full()).await;
    assert_eq!((polled.error, spoken.error), (None, None));
    assert_eq!((polled.uid, spoken.uid), (polling.uid, connected.uid));
}

#[tokio::test]
async fn s_002_other_paths_are_not_found() {
    let world = World::start();
    let mut agent = world.agent().await;
    for path in ["/", "/v1/opamp/", "/v2/opamp", "/opamp"] {
        let mut poll = agent.clone().poll(&agent.full());
        poll.path = path.into();
        assert_eq!(poll.send(&world).await.status, 404, "{path}");
    }
}

#[test]
fn s_003_the_agent_plane_listens_on_port_4320() {
    let known = muster::settings::Settings::default();
    assert_eq!(known.agent_plane.listen.port(), 4320);
}

#[tokio::test]
async fn s_004_the_content_type_chooses_the_transport() {
    let world = World::start();
    let mut agent = world.agent().await;
    assert_eq!(agent.clone().poll(&agent.full()).send(&world).await.status, 200);
    let head = Raw::open(&world).await.shake(&agent.credential, "").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
}

#[tokio::test]
async fn s_005_the_media_type_is_read_leniently_and_nothing_hangs() {
    let world = World::start();
    let mut agent = world.agent().await;
    let poll = agent.clone().poll(&agent.full());
    let lenient = poll
        .clone()
        .with("content-type", "Application/X-Protobuf; charset=utf-8");
    assert_eq!(lenient.send(&world).await.status, 200);
    assert_eq!(
        poll.clone().without("content-type").send(&world).await.status,
        415
    );
    assert_eq!(
        poll.clone()
            .with("content-type", "text/plain")
            .send(&world)
            .await
            .status,
        415
    );
    assert_eq!(poll.clone().by("GET").send(&world).await.status, 426);
    let put = poll.by("PUT").send(&world).await;
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
}

#[tokio::test]
async fn s_008_refusals_come_before_the_upgrade() {
    let world = World::start();
    let head = Raw::open(&world).await.shake("muster_agent_nobody", "").await;
    assert!(head.starts_with("http/1.1 401"), "{head}");
    assert!(Line::open(&world, "nobody").await.is_err());
    assert_eq!(world.app.open_links(), 0);
}

#[tokio::test]
async fn s_009_an_agent_may_change_its_transport_with_every_message() {
    let world = World::start();
    let mut agent = world.agent().await;
    let mut line = agent.online(&world).await;
    for _ in 0..5 {
        let polled = agent
            .clone()
            .poll(&agent.compressed())
            .send(&world)
            .await
            .message();
        assert!(is_bare(&polled), "{polled:?}");
        let spoken = line.ask(&agent.compressed()).await;
        assert!(is_bare(&spoken), "{spoken:?}");
    }
    world.restart_agent(&agent).await;
    assert!(
        line.hear().await.restart,
        "it is reached by what it spoke on last"
    );
    assert_eq!(world.app.fleet().len(), 1);
}

#[tokio::test]
async fn s_007_nothing_is_redirected() {
    let world = World::start();
    let mut agent = world.agent().await;
    for path in ["/v1/opamp", "/v1/OPAMP", "//v1/opamp", "/v1/opamp?x=1"] {
        let mut poll = agent.clone().poll(&agent.full());
        poll.path = path.into();
        let status = poll.send(&world).await.status;
        assert!(!(300..400).contains(&status), "{path}: {status}");
    }
    let other = Request {
        method: "POST",
        path: "/v1/enroll".into(),
        headers: Vec::new(),
        body: muster::opamp::client::write(&Outgoing::default()),
    };
    assert_eq!(other.send(&world).await.status, 401);
}
