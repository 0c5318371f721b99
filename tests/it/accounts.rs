//! Passwords, and what is kept of accounts.

use std::time::Duration;

use muster::app::accounts::SetupStatus;
use muster::app::clock::Clock;
use muster::app::error::Error;
use muster::auth::account::Account;
use muster::auth::actor::Actor;
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::auth::session::Session;
use muster::fleet::time::Timestamp;
use muster::store::{Batch, Store};

use crate::people::{OTHER, PASSWORD, People, field, host, token};

#[tokio::test]
async fn changing_the_password_asks_for_the_present_one_and_ends_other_sessions() {
    let (people, own) = People::claimed().await;
    let other = people.login("anna", PASSWORD).await.unwrap();
    let (present, new) = (Password::new(PASSWORD), Password::new(OTHER));
    let wrong = people
        .accounts
        .change_password(&own.actor, &Password::new("no idea at all"), &new)
        .await;
    assert_eq!(field(&wrong.unwrap_err()), "present_password");
    let weak = people
        .accounts
        .change_password(&own.actor, &present, &Password::new("anna-anna-anna"))
        .await;
    assert_eq!(field(&weak.unwrap_err()), "new_password");
    assert!(people.is_in(&other));

    people
        .accounts
        .change_password(&own.actor, &present, &new)
        .await
        .unwrap();
    assert!(people.is_in(&own));
    assert!(!people.is_in(&other));
    assert!(matches!(
        people.login("anna", PASSWORD).await,
        Err(Error::WrongCredentials)
    ));
    people.restarted().login("anna", OTHER).await.unwrap();
    let acts = people.acts().await;
    assert!(acts.contains(&"account.change_password".to_owned()), "{acts:?}");
    assert!(
        acts.contains(&"account.change_password.refused".to_owned()),
        "{acts:?}"
    );
}

#[tokio::test]
async fn a_stolen_session_can_not_guess_the_present_password_for_ever() {
    let (people, own) = People::claimed().await;
    let new = Password::new(OTHER);
    let mut outcomes = Vec::new();
    for _ in 0..8 {
        let wrong = Password::new("a guess, not the password");
        outcomes.push(
            people
                .accounts
                .change_password(&own.actor, &wrong, &new)
                .await
                .unwrap_err(),
        );
    }
    let refused = outcomes
        .iter()
        .filter(|error| matches!(error, Error::TooMany { .. }))
        .count();
    assert_eq!(refused, 3, "{outcomes:?}");
}

#[tokio::test]
async fn the_operator_of_the_host_resets_a_forgotten_password_and_unlocks_the_account() {
    let (people, own) = People::claimed().await;
    while !matches!(
        people.login("anna", "not the password").await,
        Err(Error::TooMany { .. })
    ) {}
    let new = Password::new(OTHER);
    let error = people
        .accounts
        .reset_password(&host(), "nobody", &new)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    people
        .accounts
        .reset_password(&host(), "anna", &new)
        .await
        .unwrap();
    assert!(!people.is_in(&own), "whoever had the old password is out");
    people.login("anna", OTHER).await.unwrap();
    let viewer = Actor {
        role: Role::Viewer,
        ..own.actor
    };
    let denied = people
        .accounts
        .reset_password(&viewer, "anna", &new)
        .await
        .unwrap_err();
    assert!(matches!(denied, Error::Forbidden(_)));
}

#[tokio::test]
async fn no_secret_and_no_password_is_ever_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let settings = muster::store::Settings::default();
    let store = Store::open(folder.path(), &settings, Timestamp::from_seconds(1)).unwrap();
    let people = People::on(
        store.clone(),
        Clock::manual(Timestamp::from_seconds(1_800_000_000)),
    );
    let setup = people.accounts.issue_setup_token(&host()).await.unwrap();
    let signed_in = people.claim(setup.expose(), "anna").await.unwrap();
    let (api, _) = people
        .accounts
        .create_token(&signed_in.actor, token("ci", Role::Viewer))
        .await
        .unwrap();
    people.log().await;
    store.close();
    let file = std::fs::read(folder.path().join("store.redb")).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("anna"), "this is the file");
    for secret in [&setup, &signed_in.secret, &api] {
        let (_, body) = secret.expose().rsplit_once('_').unwrap();
        assert!(!holds(body), "{secret}");
    }
    assert!(!holds(PASSWORD));
}

#[tokio::test]
async fn whoever_hangs_up_in_the_middle_separates_nothing() {
    let (people, own) = People::claimed().await;
    let mut left = Box::pin(people.accounts.logout(&own.actor));
    assert!(
        futures_util::poll!(&mut left).is_pending(),
        "it waits for the commit"
    );
    drop(left);
    people.tasks.shutdown(Duration::from_mins(1)).await.unwrap();
    assert!(!people.is_in(&own), "the memory says what the store says");
    assert_eq!(people.store.scan::<Session>().unwrap().len(), 0);
}

#[tokio::test]
async fn a_damaged_account_locks_out_its_owner_and_opens_the_setup_to_nobody() {
    let (people, own) = People::claimed().await;
    let mut batch = Batch::new();
    let key = people.store.scan::<Account>().unwrap().remove(0).0;
    batch.delete::<Account>(&key);
    people.store.commit(batch).await.unwrap();
    let people = people.restarted();
    assert!(!people.is_in(&own));
    assert_eq!(people.accounts.setup_status(), SetupStatus::Claimed);
    assert!(matches!(
        people.login("anna", PASSWORD).await,
        Err(Error::WrongCredentials)
    ));
}
