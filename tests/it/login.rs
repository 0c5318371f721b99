//! Signing in, and what those get who guess.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use muster::app::clock::Stopwatch;
use muster::app::error::Error;
use muster::auth::account::Account;
use muster::auth::password::Password;
use muster::auth::secret::{Secret, SecretKind};

use crate::people::{PASSWORD, People, visitor};

#[tokio::test]
async fn the_right_password_signs_in_and_the_name_may_be_typed_with_capitals() {
    let (people, first) = People::claimed().await;
    let second = people.login(" Anna ", PASSWORD).await.unwrap();
    assert_eq!(second.actor.name, "anna");
    assert!(people.is_in(&first) && people.is_in(&second));
    assert_ne!(first.secret.expose(), second.secret.expose());
    assert_eq!(people.acts().await.split_off(2), ["session.login"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_parallel_wrong_passwords_few_are_verified_and_the_rest_are_too_many() {
    let (people, _) = People::claimed().await;
    let people = Arc::new(people);
    // From many addresses, so that the account's own limit is what holds.
    let attempts = (0..200).map(|host| {
        let people = Arc::clone(&people);
        async move {
            people
                .login_from(host, "anna", "not the password")
                .await
                .unwrap_err()
        }
    });
    let errors = join_all(attempts).await;
    let verified = errors
        .iter()
        .filter(|error| matches!(error, Error::WrongCredentials))
        .count();
    let refused = errors
        .iter()
        .filter(|error| matches!(error, Error::TooMany { .. }))
        .count();
    assert_eq!((verified, refused), (5, 195));
    let error = people.login_from(250, "anna", PASSWORD).await.unwrap_err();
    let Error::TooMany { retry_after } = error else {
        panic!("{error:?}")
    };
    assert!(retry_after <= Duration::from_mins(1));
    people.clock.advance(retry_after);
    people.login_from(250, "anna", PASSWORD).await.unwrap();
    let refusals = people.acts().await;
    let refusals = refusals
        .iter()
        .filter(|act| *act == "session.login.refused")
        .count();
    assert_eq!(
        refusals, 2,
        "one for each reason: a flood of guesses is no flood of records"
    );
}

#[tokio::test]
async fn an_unknown_user_costs_and_answers_the_same() {
    let (people, _) = People::claimed().await;
    let mut answers = Vec::new();
    let mut fastest = [Duration::MAX; 2];
    for (at, name) in ["anna", "nobody"].into_iter().enumerate() {
        let mut told = Vec::new();
        for _ in 0..7 {
            let watch = Stopwatch::start();
            let error = people.login(name, "not the password").await.unwrap_err();
            if matches!(error, Error::WrongCredentials) {
                fastest[at] = fastest[at].min(watch.elapsed());
            }
            told.push(format!("{error} / {error:?}"));
        }
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1], "word by word, and locked after as many");
    let [known, unknown] = fastest;
    // Without the decoy the unknown name is answered a hundred times faster.
    assert!(
        known < unknown * 3 && unknown < known * 3,
        "{known:?} and {unknown:?}"
    );
}

#[tokio::test]
async fn names_that_strangers_make_up_never_reach_the_audit_log() {
    let (people, _) = People::claimed().await;
    for name in ["mallory", "\u{202e}anna\n", "x".repeat(100_000).as_str()] {
        people.login(name, "not the password").await.unwrap_err();
    }
    let log = people.log().await.split_off(2);
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].entry.actor, "unknown");
    assert_eq!(log[0].entry.address.as_deref(), Some("192.0.2.1"));
}

#[tokio::test]
async fn one_address_can_not_try_one_account_after_the_other() {
    let (people, _) = People::claimed().await;
    let mut verified = 0;
    for attempt in 0..40 {
        let result = people
            .login_from(66, &format!("name-{attempt}"), "not the password")
            .await;
        verified += usize::from(matches!(result, Err(Error::WrongCredentials)));
    }
    assert_eq!(verified, 20);
    people.login_from(67, "anna", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_success_forgives_the_typos_before_it() {
    let (people, _) = People::claimed().await;
    for round in 0..4 {
        for _ in 0..4 {
            let error = people
                .login_from(round, "anna", "a typo, not it")
                .await
                .unwrap_err();
            assert!(matches!(error, Error::WrongCredentials));
        }
        people.login_from(round, "anna", PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn signing_in_rotates_the_session_that_the_browser_had() {
    let (people, first) = People::claimed().await;
    let again = |previous| {
        let accounts = people.accounts.clone();
        async move {
            accounts
                .login("anna", &Password::new(PASSWORD), &visitor(1), previous)
                .await
                .unwrap()
        }
    };
    let second = again(Some(&first.secret)).await;
    assert!(
        !people.is_in(&first),
        "what was planted or seen before is worth nothing"
    );
    assert!(people.is_in(&second));
    let planted = Secret::new(SecretKind::Session, [5; 20]);
    let third = again(Some(&planted)).await;
    assert_ne!(
        third.secret.expose(),
        planted.expose(),
        "a session is never one that the browser brought"
    );
    assert!(people.is_in(&second) && people.is_in(&third));
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_looks_like_a_wrong_password() {
    let (people, own) = People::claimed().await;
    let (name, account) = people.store.scan::<Account>().unwrap().remove(0);
    let mut batch = muster::store::Batch::new();
    let disabled = Account {
        disabled_at: Some(people.clock.now()),
        ..account.record
    };
    batch.put(&name, &disabled);
    people.store.commit(batch).await.unwrap();
    let people = people.restarted();
    assert!(!people.is_in(&own));
    assert!(matches!(
        people.login("anna", PASSWORD).await,
        Err(Error::WrongCredentials)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_with_the_old_password_never_survives_its_change() {
    let (people, own) = People::claimed().await;
    let (old, new) = (Password::new(PASSWORD), Password::new("another four small words"));
    let logins = (0..4).map(|host| people.login_from(host, "anna", PASSWORD));
    let (changed, logins) = tokio::join!(
        people.accounts.change_password(&own.actor, &old, &new),
        join_all(logins)
    );
    changed.unwrap();
    for signed_in in logins.into_iter().flatten() {
        assert!(
            !people.is_in(&signed_in),
            "it began before the change, or not at all"
        );
    }
    assert!(people.is_in(&own));
}
