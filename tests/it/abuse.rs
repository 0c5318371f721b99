//! What abuse gets, from outside. The program itself, as a child, is abused in `black_box` and `whole_server`: there stands
//! every row again that a peer over TLS can ask for, on both transports where both have it.
//!
//! | what comes | test, here unless a file is named |
//! |---|---|
//! | no, wrong or revoked credential | `strangers_are_refused_before_their_bodies_are_read`, `s_320`, `s_322` (`conformance/s18_security`) |
//! | all of these up to the uids of other lengths, over TLS, on both transports | `black_box::nobody_speaks_for_another_on_either_transport` |
//! | a bound credential with the uid of another | `a_bound_credential_with_anothers_uid_is_refused_and_audited`, `three_foreign_uids_quarantine_a_credential_until_it_is_released` |
//! | a fresh credential with the uid of another | `a_cloned_image_gets_a_record_and_a_uid_of_its_own` |
//! | one credential used twice | `a_second_user_of_a_credential_is_acknowledged_and_given_nothing` |
//! | uids of 0, 1, 15, 17 bytes or 1 MB, all zero | `uids_of_other_lengths_and_zeros_are_refused_and_leave_no_record` |
//! | `Content-Length: 2 GiB` | `claims_of_two_gigabytes_are_refused_at_once`, `whole_server::bombs_and_bodies_without_end_leave_memory_flat` |
//! | endless chunks | `endless_chunks_are_cut_off_at_the_limit`, `whole_server::bombs_and_bodies_without_end_leave_memory_flat` |
//! | gzip bomb | `a_bomb_of_gzip_is_413`, `whole_server::bombs_and_bodies_without_end_leave_memory_flat` |
//! | 400,000 empty attributes | `hundreds_of_thousands_of_empty_attributes_are_refused_unread` |
//! | values nested 100,000 deep | `values_inside_values_without_end_are_refused_unread` |
//! | more large messages at once than there is room for | `messages_beyond_the_room_for_all_are_sent_away_and_small_ones_are_not` |
//! | every prefix and bit flip of a valid message | `every_prefix_and_bit_flip_of_a_message_is_answered`, `every_prefix_on_a_websocket_is_answered_or_closed_in_order` |
//! | all of these up to broken frames, over TLS, on both transports | `black_box::bytes_that_are_no_message_are_answered_and_the_program_goes_on` |
//! | wrong method or content type, an `Origin` | `wrong_methods_and_media_types_are_told_what_is_right` |
//! | text, unmasked frames | `broken_frames_close_with_their_codes` |
//! | a header that isn't 0; a frame of 2^62 bytes | `s_011`, `s_015` (`conformance/s02_websocket`), `a_frame_that_claims_the_world_is_1009` |
//! | unfinished fragments, also between pings | `a_message_that_never_ends_runs_into_the_deadline` |
//! | a peer that never reads | `a_peer_that_never_reads_is_let_go_and_harms_nobody` |
//! | a peer that stops reading | `a_peer_that_stops_reading_keeps_its_agent_from_nothing`, `a_revoked_peer_that_stops_reading_is_let_go_at_once` |
//! | 100 connections with the credential of one agent | `one_agent_s_credential_opens_only_so_many_connections` |
//! | a peer that sends nothing | `a_connection_that_says_nothing_is_closed`, `a_connection_that_only_pings_is_closed`, `late_headers_end_the_connection_while_pauses_between_requests_do_not` (`http`) |
//! | 5,000 silent sockets | `whole_server::silent_sockets_above_the_cap_keep_nobody_from_working`; at full size `tests/bench/silent_sockets.py` |
//! | 1,000 messages a second of one agent | `a_flood_of_one_agent_is_throttled_and_its_neighbours_are_not`, `black_box::a_flood_on_either_transport_is_slowed_down_and_a_neighbour_is_not`, `s_304`, `s_305` (`conformance/s17_errors`) |
//! | a single-use token used 100 times at once | `of_a_hundred_uses_of_a_single_use_token_one_succeeds`, `black_box::a_revoked_agent_is_out_within_two_seconds_and_a_token_for_one_use_is_used_once` |
//! | a credential revoked while connected | `s_322` (`conformance/s18_security`) |
//! | cross-site POST, wrong Host | `a_page_of_another_site_changes_nothing_with_somebodys_session`, `a_name_that_is_not_ours_is_misdirected` (`admin/guards`), `black_box::pages_of_others_wrong_names_and_guessed_passwords_get_nowhere` |
//! | stale ETag, replayed Idempotency-Key | `a_group_is_made_edited_by_its_revision_published_to_and_deleted`, `a_repeated_key_makes_nothing_twice_and_gives_the_same_answer` (`admin/rows`) |
//! | 200 parallel wrong passwords | `of_200_parallel_wrong_passwords_few_are_verified_and_the_rest_are_too_many` (`login`) |
//! | a setup token claimed 100 times at once, guessed | `a_single_use_setup_token_claimed_100_times_at_once_has_one_success`, `five_wrong_setup_tokens_close_the_setup_also_across_a_restart` (`setup`) |
//! | YAML with bombs of aliases, 10,000 levels, a key twice, a NUL, 5 MiB | `black_box::configurations_that_would_tie_us_up_are_refused_with_their_place` |
//! | any credential saying anything as anybody | `identity_matrix::no_message_of_whoever_is_let_in_touches_another_agent`, `identity_matrix::no_message_of_whoever_is_not_let_in_touches_any_agent` |
//! | 100 XSS payloads in every field | `tests/browser/xss.test.js` |
//! | host names with newlines, JSON, escapes | `whole_server::what_agents_call_themselves_stays_one_line_of_the_log` |

mod black_box;
mod whole_server;

use std::time::Duration;

use muster::app::agents::AgentAct;
use muster::app::enrolment::NewEnrolmentToken;
use muster::fleet::agent::{RefusalKind, Registration, Reported, Standing};
use muster::fleet::config::Content;
use muster::fleet::ids::AgentId;
use muster::opamp::client::{self, Outgoing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Agent, Answer, Plan, Raw, Request, SOON, World, admin, collector};

#[test]
fn the_table_names_tests_that_there_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = crate::conformance::tests();
    let rows = include_str!("abuse.rs")
        .lines()
        .filter(|line| line.starts_with("//! | "));
    let named = rows.filter_map(|row| row.split('|').nth(2));
    let mut seen = 0;
    for name in named.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let test = name.rsplit("::").next().unwrap();
        let known = if name.starts_with("tests/") {
            root.join(name).is_file()
        } else if test.starts_with("s_") {
            tests.iter().any(|known| known.starts_with(test))
        } else {
            !test.contains('_') || test.contains('/') || tests.contains(test)
        };
        assert!(known, "{name}");
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}

/// Everything that is known of an agent, as the store and as memory have it.
async fn everything(world: &World, id: AgentId) -> (String, Option<String>, Option<String>) {
    world.app.flush_all().await;
    let registration = world.store.get::<Registration>(&id).unwrap();
    let reported = world.store.get::<Reported>(&id).unwrap();
    let text = |record: &dyn std::fmt::Debug| format!("{record:?}");
    (
        serde_json::to_string(&world.look(id)).unwrap(),
        registration.map(|found| text(&found.record)),
        reported.map(|found| text(&found.record)),
    )
}

#[tokio::test]
async fn a_bound_credential_with_anothers_uid_is_refused_and_audited() {
    let world = World::start();
    let (mut victim, mut attacker) = (world.agent().await, world.agent().await);
    let _line = victim.online(&world).await;
    let mut line = attacker.online(&world).await;
    let before = everything(&world, victim.id()).await;
    let forged = Outgoing {
        uid: victim.uid.clone(),
        disconnect: true,
        ..attacker.full()
    };
    let error = line.ask(&forged).await.error.unwrap();
    assert_eq!(error.kind, RefusalKind::BadRequest);
    let posted = attacker.poll(&forged).send(&world).await.message();
    assert_eq!(posted.error.unwrap().kind, RefusalKind::BadRequest);
    assert_eq!(everything(&world, victim.id()).await, before);
    let strikes = world
        .acts()
        .into_iter()
        .filter(|act| act == "credential.foreign_uid");
    assert_eq!(strikes.count(), 2);
}

#[tokio::test]
async fn three_foreign_uids_quarantine_a_credential_until_it_is_released() {
    let world = World::start();
    let (mut victim, mut attacker) = (world.agent().await, world.agent().await);
    victim.online(&world).await;
    let mut line = attacker.online(&world).await;
    let forged = Outgoing {
        uid: victim.uid.clone(),
        ..attacker.full()
    };
    for _ in 0..3 {
        line.say(&forged).await;
    }
    assert_eq!(line.closed().await, Some(1008));
    let poll = attacker.clone().poll(&attacker.full());
    assert_eq!(poll.send(&world).await.status, 401);
    world
        .app
        .release_credential(&admin(), attacker.credential_id)
        .await
        .unwrap();
    assert_eq!(poll.send(&world).await.status, 200);
}

#[tokio::test]
async fn a_cloned_image_gets_a_record_and_a_uid_of_its_own() {
    let world = World::start();
    let mut original = world.agent().await;
    let _line = original.online(&world).await;
    let before = everything(&world, original.id()).await;
    let mut clone = world.agent().await;
    clone.uid.clone_from(&original.uid);
    let answer = clone.poll(&clone.clone().full()).send(&world).await.message();
    assert_eq!((answer.uid, answer.error), (original.uid.clone(), None));
    let new_uid = answer.new_uid.expect("a uid of its own");
    assert_ne!(new_uid, original.uid);
    assert_eq!(world.record_of(&new_uid), Some(clone.id()));
    assert_eq!(world.look(clone.id()).summary.host_name, clone.host);
    assert_eq!(everything(&world, original.id()).await, before);
}

#[tokio::test]
async fn a_second_user_of_a_credential_is_acknowledged_and_given_nothing() {
    let world = World::start();
    world.wants("edge", "a").await;
    let mut agent = world.agent_of("edge").await;
    let _line = agent.online(&world).await;
    let other = agent.sibling();
    let answer = other.poll(&other.clone().full()).send(&world).await.message();
    assert!(answer.error.is_none() && answer.remote_config.is_none() && !answer.full_state);
    let record = world.record_of(&other.uid).unwrap();
    assert_eq!(
        world.look(record).registration.standing,
        Standing::Conflict { with: agent.id() }
    );
    for _ in 0..20 {
        let mut stranger = agent.sibling();
        stranger.clone().poll(&stranger.full()).send(&world).await;
    }
    assert!(world.app.fleet().len() < 10, "bounded");
}

#[tokio::test]
async fn uids_of_other_lengths_and_zeros_are_refused_and_leave_no_record() {
    let world = World::start();
    let mut agent = world.agent().await;
    let records = world.app.fleet().len();
    let mut line = agent.connect(&world).await;
    let odd = [
        vec![],
        vec![1],
        vec![1; 15],
        vec![1; 17],
        vec![1; 1_000_000],
        vec![0; 16],
    ];
    for uid in odd {
        let message = Outgoing { uid, ..agent.full() };
        let error = line.ask(&message).await.error.unwrap();
        assert_eq!(error.kind, RefusalKind::BadRequest);
        let answer = agent.poll(&message).send(&world).await;
        assert!(answer.status == 200 || answer.status == 400);
        assert!(client::read(&answer.body).unwrap().error.is_some());
    }
    assert_eq!(world.app.fleet().len(), records);
}

#[tokio::test]
async fn claims_of_two_gigabytes_are_refused_at_once() {
    let world = World::start();
    let agent = world.agent().await;
    let head = Request::posting(&agent.credential, Vec::new()).head();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = head + "content-length: 2147483648\r\n\r\n";
    let watch = muster::app::clock::Stopwatch::start();
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 413);
    assert!(watch.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn strangers_are_refused_before_their_bodies_are_read() {
    let world = World::with(Plan {
        loops: false,
        ..Plan::default()
    });
    let before = world.store.statistics();
    for path in ["/v1/opamp", "/v1/enroll"] {
        let mut request = Request::posting("nobody", Vec::new());
        request.path = path.into();
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = request.head() + "content-length: 1000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(Answer::read(&mut stream).await.status, 401, "{path}");
    }
    assert_eq!(world.store.statistics(), before, "nothing is written");
}

#[tokio::test]
async fn endless_chunks_are_cut_off_at_the_limit() {
    let world = World::start();
    let agent = world.agent().await;
    let head = Request::posting(&agent.credential, Vec::new()).head();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = head + "transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![0; 0x10000], b"\r\n"].concat();
    let (mut reading, mut writing) = stream.split();
    let mut sent = 0_usize;
    let mut status = [0; 12];
    let feeding = async {
        while writing.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
            tokio::task::yield_now().await;
        }
        // Whatever it was refused with is still to be read.
        std::future::pending::<()>().await;
    };
    let answered = tokio::time::timeout(SOON, async {
        tokio::select! {
            read = reading.read_exact(&mut status) => { read.unwrap(); }
            () = feeding => {}
        }
    });
    answered.await.expect("an answer");
    assert_eq!(status, *b"HTTP/1.1 413");
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn a_bomb_of_gzip_is_413() {
    let world = World::start();
    let agent = world.agent().await;
    let bomb = crate::conformance::gzip(&vec![0; 8 << 20]);
    let watch = muster::app::clock::Stopwatch::start();
    let request = Request::posting(&agent.credential, bomb).with("content-encoding", "gzip");
    assert_eq!(request.send(&world).await.status, 413);
    assert!(watch.elapsed() < Duration::from_secs(2));
}

/// Bytes of a message with this as its description.
fn described(agent: &Agent, description: &[u8]) -> Vec<u8> {
    let mut bytes = client::write(&agent.clone().compressed());
    bytes.push(0x1a);
    push_length(&mut bytes, description.len());
    bytes.extend(description);
    bytes
}

#[tokio::test]
async fn hundreds_of_thousands_of_empty_attributes_are_refused_unread() {
    let world = World::start();
    let agent = world.agent().await;
    let bytes = described(&agent, &[0x0a, 0x00].repeat(400_000));
    assert_eq!(
        Request::posting(&agent.credential, bytes.clone())
            .send(&world)
            .await
            .status,
        400
    );
    let mut line = agent.connect(&world).await;
    line.send([&[0], bytes.as_slice()].concat()).await;
    assert_eq!(line.hear().await.error.unwrap().kind, RefusalKind::BadRequest);
    assert_eq!(world.look(agent.id()).sequence, None);
}

#[tokio::test]
async fn values_inside_values_without_end_are_refused_unread() {
    let world = World::start();
    let agent = world.agent().await;
    // key_value { value { array_value { values { array_value … } } } }, written backwards from the inside out.
    let mut nested: Vec<u8> = Vec::new();
    for _ in 0..100_000 {
        for tag in [0x0a, 0x2a] {
            let mut outer = vec![tag];
            push_length(&mut outer, nested.len());
            nested.extend(outer.iter().rev());
        }
    }
    nested.reverse();
    let mut pair = vec![0x12];
    push_length(&mut pair, nested.len());
    pair.extend(&nested);
    let mut description = vec![0x0a];
    push_length(&mut description, pair.len());
    description.extend(&pair);
    let bytes = described(&agent, &description);
    assert_eq!(
        Request::posting(&agent.credential, bytes)
            .send(&world)
            .await
            .status,
        400
    );
}

fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
}

#[tokio::test]
async fn every_prefix_and_bit_flip_of_a_message_is_answered() {
    let world = World::start();
    let mut agent = world.agent().await;
    let valid = client::write(&agent.full());
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for end in 0..valid.len() {
        let answer = Request::posting(&agent.credential, valid[..end].to_vec())
            .send_on(&mut stream)
            .await;
        assert!(matches!(answer.status, 200 | 400), "{end}: {}", answer.status);
    }
    let mut pool = world.gateway(None, 100_000).await;
    let valid = client::write(&pool.full());
    for bit in 0..valid.len() * 8 {
        let mut bent = valid.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let answer = Request::posting(&pool.credential, bent)
            .send_on(&mut stream)
            .await;
        assert!(matches!(answer.status, 200 | 400), "{bit}: {}", answer.status);
    }
}

#[tokio::test]
async fn every_prefix_on_a_websocket_is_answered_or_closed_in_order() {
    let world = World::start();
    let mut agent = world.agent().await;
    let valid = [&[0], client::write(&agent.full()).as_slice()].concat();
    for end in 0..valid.len() {
        let mut line = agent.connect(&world).await;
        line.send(valid[..end].to_vec()).await;
        assert_eq!(line.hear_bytes().await.first(), Some(&0), "{end}");
    }
}

#[tokio::test]
async fn wrong_methods_and_media_types_are_told_what_is_right() {
    let world = World::start();
    let mut agent = world.agent().await;
    let poll = agent.clone().poll(&agent.full());
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = poll.clone().by(method).send(&world).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, POST")),
            "{method}"
        );
    }
    assert_eq!(
        poll.clone()
            .with("content-type", "application/json")
            .send(&world)
            .await
            .status,
        415
    );
    assert_eq!(
        poll.with("origin", "https://example.com")
            .send(&world)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn broken_frames_close_with_their_codes() {
    let world = World::start();
    let mut agent = world.agent().await;
    let message = [&[0], client::write(&agent.full()).as_slice()].concat();
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    raw.frame(0x81, b"text").await;
    assert_eq!(raw.close_code().await, 1003);
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    let unmasked = [
        &[0x82, u8::try_from(message.len().min(125)).unwrap()][..],
        &message,
    ]
    .concat();
    raw.stream.write_all(&unmasked).await.unwrap();
    assert_eq!(raw.close_code().await, 1002);
}

#[tokio::test]
async fn a_frame_that_claims_the_world_is_1009() {
    let world = World::start();
    let agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    let head = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    raw.stream.write_all(&head).await.unwrap();
    assert_eq!(raw.close_code().await, 1009);
}

#[tokio::test]
async fn a_message_that_never_ends_runs_into_the_deadline() {
    let mut plan = Plan::default();
    plan.plane.body_deadline = Duration::from_millis(300);
    let world = World::with(plan);
    let mut agent = world.agent().await;
    agent.online(&world).await.close().await;
    for pings in [false, true] {
        let mut raw = Raw::open(&world).await;
        raw.shake(&agent.credential, "").await;
        raw.frame(0x02, &[0, 0x0a]).await;
        let ending = async {
            loop {
                if pings {
                    raw.frame(0x89, b"").await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let (first, payload) = raw.next_frame().await;
                if first == 0x88 {
                    return u16::from_be_bytes([payload[0], payload[1]]);
                }
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(5), ending).await;
        assert_eq!(closed, Ok(1008), "with pings: {pings}");
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let mut plan = Plan::default();
    plan.plane.first_message_deadline = Duration::from_millis(100);
    let world = World::with(plan);
    let agent = world.agent().await;
    let mut line = agent.connect(&world).await;
    assert_eq!(line.closed().await, Some(1008));
}

#[tokio::test]
async fn a_connection_that_only_pings_is_closed() {
    let mut plan = Plan::default();
    plan.plane.first_message_deadline = Duration::from_millis(300);
    let world = World::with(plan);
    let agent = world.agent().await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    let pinging = async {
        loop {
            raw.frame(0x89, b"").await;
            let (first, payload) = raw.next_frame().await;
            if first == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(3), pinging).await;
    assert_eq!(closed, Ok(1008));
}

#[tokio::test]
async fn a_flood_of_one_agent_is_throttled_and_its_neighbours_are_not() {
    let mut plan = Plan::default();
    plan.plane.messages_per_minute = 300;
    let world = World::with(plan);
    let mut loud = world.gateway(None, 5).await;
    let mut quiet = loud.sibling();
    let mut line = loud.online(&world).await;
    line.ask(&quiet.full()).await;
    let mut taken = 0;
    for _ in 0..1_000 {
        match line.ask(&loud.compressed()).await.error {
            None => taken += 1,
            Some(refused) => {
                assert_eq!(refused.kind, RefusalKind::Unavailable);
                assert!(refused.retry_after.unwrap() >= Duration::from_secs(30));
            }
        }
    }
    assert!(taken <= 300, "{taken}");
    assert_eq!(line.ask(&quiet.compressed()).await.error, None);
    world.pass(Duration::from_mins(1));
    assert_eq!(line.ask(&loud.full()).await.error, None, "it is welcome again");
}

#[tokio::test]
async fn of_a_hundred_uses_of_a_single_use_token_one_succeeds() {
    let world = World::start();
    let made = world
        .app
        .create_enrolment_token(&admin(), NewEnrolmentToken::default())
        .await
        .unwrap();
    let request = Request {
        method: "POST",
        path: "/v1/enroll".into(),
        headers: vec![
            ("authorization".into(), format!("Bearer {}", made.secret)),
            ("content-type".into(), "application/json".into()),
        ],
        body: b"{\"host\":\"web-1\"}".to_vec(),
    };
    let uses = (0..100).map(|_| request.send(&world));
    let statuses: Vec<u16> = futures_of(uses)
        .await
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    let count = |status| statuses.iter().filter(|known| **known == status).count();
    assert_eq!((count(201), count(401)), (1, 99), "{statuses:?}");
    assert_eq!(world.app.fleet().len(), 1);
}

/// All at once.
async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let std::task::Poll::Ready(output) = running.as_mut().poll(context)
            {
                (*future, *done) = (None, Some(output));
            }
        }
        if done.iter().any(Option::is_none) {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(done.iter_mut().filter_map(Option::take).collect())
    })
    .await
}

#[tokio::test]
async fn a_peer_that_never_reads_is_let_go_and_harms_nobody() {
    let mut plan = Plan::default();
    plan.plane.write_deadline = Duration::from_millis(300);
    plan.plane.messages_per_minute = 10_000_000;
    let world = World::with(plan);
    world.wants("edge", "a").await;
    let mut deaf = world.agent_of("edge").await;
    let mut neighbour = world.agent_of("edge").await;
    let mut line = neighbour.online(&world).await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&deaf.credential, "").await;
    let flooding = async {
        loop {
            let message = [&[0], client::write(&deaf.at(5)).as_slice()].concat();
            let frame = [
                &[0x82, 0x80 | u8::try_from(message.len()).unwrap(), 0, 0, 0, 0][..],
                &message,
            ]
            .concat();
            if raw.stream.write_all(&frame.repeat(1_000)).await.is_err() {
                return;
            }
        }
    };
    let given_up = tokio::time::timeout(Duration::from_mins(1), flooding).await;
    assert!(given_up.is_ok(), "the deaf peer stayed");
    assert_eq!(line.ask(&neighbour.compressed()).await.error, None);
}

/// A world that waits long for peers, and the connection of an agent that was sent so much, unread, that the server
/// can't go on.
async fn deafened() -> (World, Agent, Raw) {
    let mut plan = Plan::default();
    plan.plane.write_deadline = Duration::from_mins(5);
    let world = World::with(plan);
    let big = collector("a:1") + &format!("# {}\n", "x".repeat(500_000));
    world.wants_content("edge", Content::Yaml(big)).await;
    let mut deaf = world.agent_of("edge").await;
    let mut raw = Raw::open(&world).await;
    raw.shake(&deaf.credential, "").await;
    // The same message again and again: each is answered with the same offer.
    let message = [&[0], client::write(&deaf.full()).as_slice()].concat();
    for _ in 0..200 {
        raw.frame(0x82, &message).await;
    }
    // Until nothing more arrives, although most is still to come.
    let (mut arrived, mut unchanged) = (0, 0);
    let mut buffer = vec![0; 16 << 20];
    let stuck = async {
        while unchanged < 50 {
            let now = raw.stream.peek(&mut buffer).await.unwrap();
            unchanged = if now == arrived { unchanged + 1 } else { 0 };
            arrived = now;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, stuck)
        .await
        .expect("the server waits for it");
    assert!(arrived < 200 * 500_000);
    (world, deaf, raw)
}

#[tokio::test]
async fn a_peer_that_stops_reading_keeps_its_agent_from_nothing() {
    let (world, mut agent, _deaf) = deafened().await;
    agent.sequence = 1;
    let answer = agent.connect(&world).await.ask(&agent.compressed()).await;
    assert_eq!(answer.error, None);
    let operator = admin();
    let restarting = world.app.act(&operator, agent.id(), &AgentAct::Restart);
    assert!(tokio::time::timeout(SOON, restarting).await.is_ok());
    world
        .until("the deaf one is let go", || world.app.open_links() <= 1)
        .await;
}

#[tokio::test]
async fn a_revoked_peer_that_stops_reading_is_let_go_at_once() {
    let (world, agent, _deaf) = deafened().await;
    assert_eq!(world.app.open_links(), 1);
    let operator = admin();
    let revoking = world.app.act(&operator, agent.id(), &AgentAct::Revoke);
    assert!(tokio::time::timeout(SOON, revoking).await.is_ok());
    world.until("it is let go", || world.app.open_links() == 0).await;
}

#[tokio::test]
async fn one_agent_s_credential_opens_only_so_many_connections() {
    let world = World::start();
    let (agent, mut neighbour) = (world.agent().await, world.agent().await);
    let mut open = Vec::new();
    let refused = loop {
        match agent.connect_or_refusal(&world).await {
            Ok(line) => open.push(line),
            Err(refused) => break refused,
        }
        world
            .until("it is known", || world.app.open_links() == open.len())
            .await;
        assert!(open.len() < 100);
    };
    assert!(refused.to_string().contains("429"), "{refused}");
    neighbour.online(&world).await;
}

#[tokio::test]
async fn messages_beyond_the_room_for_all_are_sent_away_and_small_ones_are_not() {
    let mut plan = Plan::default();
    plan.plane.messages_in_flight = 2 << 20;
    let world = World::with(plan);
    let (mut agent, mut neighbour) = (world.agent().await, world.agent().await);
    let mut line = neighbour.online(&world).await;
    let taken = || world.app.metrics.messages_in_flight.get();
    let large = [
        &[0x82, 0xff][..],
        &900_000_u64.to_be_bytes(),
        &[0; 4],
        &[0; 5_000],
    ]
    .concat();
    let mut begun = Vec::new();
    for already in [0, 900_000] {
        assert_eq!(taken(), already);
        let mut raw = Raw::open(&world).await;
        raw.shake(&agent.credential, "").await;
        raw.stream.write_all(&large).await.unwrap();
        world.until("it is counted", || taken() > already).await;
        begun.push(raw);
    }
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    raw.stream.write_all(&large).await.unwrap();
    assert_eq!(raw.close_code().await, 1013);
    // In pieces it is as large.
    let mut raw = Raw::open(&world).await;
    raw.shake(&agent.credential, "").await;
    raw.frame(0x02, &vec![7; 60_000]).await;
    for _ in 0..8 {
        // It may be closed already.
        let piece = [&[0x00, 0xfe][..], &60_000_u16.to_be_bytes(), &vec![0; 60_004][..]].concat();
        let _ = raw.stream.write_all(&piece).await;
    }
    assert_eq!(raw.close_code().await, 1013);
    let mut poll = agent.clone().poll(&agent.full());
    poll.body = vec![0; 600_000];
    let refused = poll.send(&world).await;
    assert_eq!(refused.status, 503);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 30);
    assert_eq!(line.ask(&neighbour.full()).await.error, None, "small ones go on");
    assert_eq!(agent.clone().poll(&agent.full()).send(&world).await.status, 200);
    // What is on the wire as little can be much once it is read.
    let many = described(&agent, &[0x0a, 0x00].repeat(20_000));
    assert!(many.len() < 50_000);
    let mut other = agent.connect(&world).await;
    other.send([&[0], many.as_slice()].concat()).await;
    let refused = other.hear().await.error.unwrap();
    assert_eq!(refused.kind, RefusalKind::Unavailable);
    assert!(refused.retry_after.unwrap() >= Duration::from_secs(30));
    let packed = crate::conformance::gzip(&[0x22, 0].repeat(200_000));
    assert!(packed.len() < 4 << 10, "free as it came");
    let packed = Request::posting(&agent.credential, packed).with("content-encoding", "gzip");
    let inflated_in_room = packed.send(&world).await;
    assert_eq!(inflated_in_room.status, 413, "beyond a hundred times what came");
    // Whoever goes gives its room back.
    drop(begun);
    world.until("there is room again", || taken() == 0).await;
    other.send([&[0], many.as_slice()].concat()).await;
    assert_eq!(other.hear().await.error, None);
    assert!(
        world
            .app
            .metrics
            .render(world.store.statistics())
            .contains("muster_refused_total{reason=\"in_flight\"} 4")
    );
}
