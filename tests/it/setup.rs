//! Claiming a fresh server.

use std::time::Duration;

use futures_util::future::join_all;
use muster::app::accounts::SetupStatus;
use muster::app::error::Error;
use muster::auth::account::Account;
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::auth::secret::{Secret, SecretKind};
use muster::auth::session::Session;

use crate::people::{PASSWORD, People, field, host, visitor};

#[tokio::test]
async fn whoever_has_the_setup_token_becomes_the_admin_and_is_signed_in() {
    let people = People::fresh();
    assert_eq!(
        people.accounts.setup_status(),
        SetupStatus::Closed,
        "nobody until a token is made"
    );
    let token = people.accounts.issue_setup_token(&host()).await.unwrap();
    assert!(matches!(people.accounts.setup_status(), SetupStatus::Open { .. }));
    let signed_in = people.claim(token.expose(), "anna").await.unwrap();
    assert_eq!(signed_in.actor.role, Role::Admin);
    assert_eq!(
        people
            .accounts
            .actor_by_session(&signed_in.secret, visitor(1).address),
        Some(signed_in.actor.clone())
    );
    assert_eq!(people.accounts.setup_status(), SetupStatus::Claimed);
    assert_eq!(people.acts().await, ["setup_token.create", "account.claim"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_use_setup_token_claimed_100_times_at_once_has_one_success() {
    let people = People::fresh();
    let token = people.accounts.issue_setup_token(&host()).await.unwrap();
    let password = Password::new(PASSWORD);
    let visitors: Vec<_> = (0..100).map(visitor).collect();
    let claims = visitors.iter().enumerate().map(|(at, visitor)| {
        let (accounts, token, password) = (&people.accounts, token.expose(), &password);
        async move {
            accounts
                .claim(token, &format!("person-{at}"), password, visitor)
                .await
        }
    });
    let results = join_all(claims).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for error in results.into_iter().filter_map(Result::err) {
        assert!(
            matches!(error, Error::Conflict(_) | Error::TooMany { .. }),
            "{error:?}"
        );
    }
    assert_eq!(people.store.scan::<Account>().unwrap().len(), 1);
    assert_eq!(people.store.scan::<Session>().unwrap().len(), 1);
}

#[tokio::test]
async fn a_setup_token_expires_after_an_hour_and_the_newest_one_counts() {
    let people = People::fresh();
    let first = people.accounts.issue_setup_token(&host()).await.unwrap();
    people.clock.advance(Duration::from_hours(1));
    assert_eq!(people.accounts.setup_status(), SetupStatus::Closed);
    let error = people.claim(first.expose(), "anna").await.unwrap_err();
    assert!(
        error.to_string().contains("muster setup-token"),
        "it says what to do: {error}"
    );
    let second = people.accounts.issue_setup_token(&host()).await.unwrap();
    assert_eq!(
        field(&people.claim(first.expose(), "anna").await.unwrap_err()),
        "token"
    );
    people.claim(second.expose(), "anna").await.unwrap();
}

#[tokio::test]
async fn five_wrong_setup_tokens_close_the_setup_also_across_a_restart() {
    let people = People::fresh();
    let token = people.accounts.issue_setup_token(&host()).await.unwrap();
    let wrong = Secret::new(SecretKind::Setup, [9; 20]);
    for _ in 0..3 {
        assert_eq!(
            field(&people.claim(wrong.expose(), "anna").await.unwrap_err()),
            "token"
        );
    }
    let people = people.restarted();
    for _ in 0..2 {
        people.claim(wrong.expose(), "anna").await.unwrap_err();
    }
    assert_eq!(people.accounts.setup_status(), SetupStatus::Closed);
    let error = people.claim(token.expose(), "anna").await.unwrap_err();
    assert!(error.to_string().contains("too many wrong"), "{error}");
    let token = people.accounts.issue_setup_token(&host()).await.unwrap();
    people.claim(token.expose(), "anna").await.unwrap();
}

#[tokio::test]
async fn a_mistyped_setup_token_costs_no_try() {
    let people = People::fresh();
    let token = people.accounts.issue_setup_token(&host()).await.unwrap();
    let cut = token.expose().strip_suffix(|_: char| true).unwrap();
    for _ in 0..10 {
        let error = people.claim(cut, "anna").await.unwrap_err();
        assert!(error.to_string().contains("mistyped"), "{error}");
    }
    people.claim(token.expose(), "anna").await.unwrap();
}

#[tokio::test]
async fn a_weak_password_or_a_bad_name_leaves_the_setup_token_usable() {
    let people = People::fresh();
    let token = people.accounts.issue_setup_token(&host()).await.unwrap();
    let weak = Password::new("short");
    let claim = people
        .accounts
        .claim(token.expose(), "anna", &weak, &visitor(1))
        .await;
    assert_eq!(field(&claim.unwrap_err()), "password");
    assert_eq!(
        field(&people.claim(token.expose(), "Anna Bell").await.unwrap_err()),
        "name"
    );
    people.claim(token.expose(), " anna ").await.unwrap();
}

#[tokio::test]
async fn a_claimed_server_gives_out_no_setup_token_and_a_restart_knows_it() {
    let (people, signed_in) = People::claimed().await;
    for people in [&people, &people.restarted()] {
        let error = people.accounts.issue_setup_token(&host()).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error:?}");
        assert_eq!(people.accounts.setup_status(), SetupStatus::Claimed);
        assert!(people.is_in(&signed_in), "sessions survive restarts");
    }
}
