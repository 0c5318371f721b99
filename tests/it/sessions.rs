//! Browser sessions: how long they last and how they end.

use std::time::Duration;

use muster::app::error::Error;
use muster::auth::actor::{Actor, Via};
use muster::auth::permission::Role;
use muster::auth::session::Session;
use muster::fleet::ids::{AccountId, SessionId};

use crate::people::{PASSWORD, People, token, visitor};

#[tokio::test]
async fn what_a_page_asks_by_itself_keeps_nobody_signed_in() {
    let (people, own) = People::claimed().await;
    let accounts = &people.accounts;
    let idle = Duration::from_hours(23);
    people.clock.advance(idle);
    assert!(
        accounts.actor_behind_session(&own.secret, None).is_some(),
        "it holds"
    );
    people.clock.advance(Duration::from_hours(1));
    assert!(
        accounts.actor_behind_session(&own.secret, None).is_none(),
        "looking was no use of it"
    );
    assert!(accounts.actor_by_session(&own.secret, None).is_none());

    let again = people.login("anna", PASSWORD).await.unwrap();
    people.clock.advance(idle);
    assert!(people.accounts.actor_by_session(&again.secret, None).is_some());
    people.clock.advance(idle);
    assert!(
        people
            .accounts
            .actor_behind_session(&again.secret, None)
            .is_some(),
        "a use was one"
    );
}

#[tokio::test]
async fn an_ended_session_is_worth_nothing_with_the_next_request() {
    let (people, own) = People::claimed().await;
    let other = people.login("anna", PASSWORD).await.unwrap();
    let views = people.accounts.sessions(&own.actor);
    assert_eq!(views.len(), 2);
    assert_eq!(views.iter().filter(|view| view.is_current).count(), 1);
    let ended = views.iter().find(|view| !view.is_current).unwrap();
    assert_eq!(
        (ended.address, ended.user_agent.as_str()),
        (visitor(1).address, "Browser/1.0")
    );
    people.accounts.end_session(&own.actor, ended.id).await.unwrap();
    assert!(!people.is_in(&other));
    assert!(!people.restarted().is_in(&other));

    people.accounts.logout(&own.actor).await.unwrap();
    assert!(!people.is_in(&own));
    people.accounts.logout(&own.actor).await.unwrap();
    assert_eq!(
        people.acts().await.split_off(3),
        ["session.end", "session.logout"]
    );
}

#[tokio::test]
async fn ending_all_others_keeps_the_own_session_and_the_tokens() {
    let (people, own) = People::claimed().await;
    let (secret, _) = people
        .accounts
        .create_token(&own.actor, token("ci", Role::Viewer))
        .await
        .unwrap();
    for _ in 0..3 {
        people.login("anna", PASSWORD).await.unwrap();
    }
    assert_eq!(people.accounts.end_other_sessions(&own.actor).await.unwrap(), 3);
    assert_eq!(people.accounts.end_other_sessions(&own.actor).await.unwrap(), 0);
    assert!(people.is_in(&own));
    assert!(people.accounts.actor_by_token(&secret, None).is_some());
}

#[tokio::test]
async fn a_session_of_somebody_else_is_not_found() {
    let (people, own) = People::claimed().await;
    let Via::Session { session, .. } = own.actor.via else {
        panic!("a browser session")
    };
    let stranger = Actor {
        via: Via::Session {
            account: AccountId([9; 16]),
            session: SessionId([9; 16]),
        },
        role: Role::Deployer,
        ..own.actor.clone()
    };
    let error = people.accounts.end_session(&stranger, session).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    assert!(people.is_in(&own));
}

#[tokio::test]
async fn an_unused_session_ends_after_a_day_and_a_used_one_after_a_week() {
    let (people, used) = People::claimed().await;
    let unused = people.login("anna", PASSWORD).await.unwrap();
    for hour in 1..168 {
        people.clock.advance(Duration::from_hours(1));
        assert!(people.is_in(&used), "hour {hour}");
    }
    assert!(!people.is_in(&unused));
    people.clock.advance(Duration::from_hours(1));
    assert!(!people.is_in(&used));
    people.accounts.upkeep().await.unwrap();
    assert_eq!(
        people.store.scan::<Session>().unwrap().len(),
        0,
        "what ended is forgotten"
    );
}

#[tokio::test]
async fn a_request_writes_nothing_and_upkeep_writes_the_last_use_once() {
    let (people, own) = People::claimed().await;
    let Via::Session { session, .. } = own.actor.via else {
        panic!("a browser session")
    };
    let written = || people.store.get::<Session>(&session).unwrap().unwrap();
    people.clock.advance(Duration::from_mins(10));
    for _ in 0..1000 {
        assert!(people.is_in(&own));
    }
    assert_eq!(written().revision, 1);
    people.accounts.upkeep().await.unwrap();
    people.accounts.upkeep().await.unwrap();
    assert_eq!(written().revision, 2);
    assert_eq!(written().record.last_used_at, people.clock.now());
    people.clock.advance(Duration::from_hours(23));
    assert!(people.restarted().is_in(&own), "the use counts after a restart");
}

#[tokio::test]
async fn a_21st_browser_session_ends_the_one_longest_unused() {
    let (people, first) = People::claimed().await;
    let mut sessions = Vec::new();
    for _ in 0..19 {
        people.clock.advance(Duration::from_mins(1));
        sessions.push(people.login("anna", PASSWORD).await.unwrap());
    }
    people.clock.advance(Duration::from_mins(1));
    assert!(
        people.is_in(&first),
        "used just now, so the second is longest unused"
    );
    people.login("anna", PASSWORD).await.unwrap();
    assert!(people.is_in(&first));
    assert!(!people.is_in(&sessions[0]));
    assert_eq!(people.accounts.sessions(&first.actor).len(), 20);
}
