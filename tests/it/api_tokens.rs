//! API tokens: what they may and when they stop.

use std::time::Duration;

use muster::app::accounts::NewToken;
use muster::app::error::Error;
use muster::auth::actor::Actor;
use muster::auth::password::Password;
use muster::auth::permission::{Permission, Role};

use crate::people::{OTHER, PASSWORD, People, field, host, token, visitor};

#[tokio::test]
async fn an_api_token_acts_with_its_role_until_it_is_revoked() {
    let (people, own) = People::claimed().await;
    let (secret, view) = people
        .accounts
        .create_token(&own.actor, token("ci", Role::Operator))
        .await
        .unwrap();
    let actor = people
        .accounts
        .actor_by_token(&secret, visitor(7).address)
        .unwrap();
    assert_eq!(
        (actor.name.as_str(), actor.role),
        ("anna (token ci)", Role::Operator)
    );
    assert_eq!(actor.address, visitor(7).address);
    assert!(actor.may(Permission::Publish).is_err());
    assert!(
        people.accounts.actor_by_session(&secret, None).is_none(),
        "a token is no cookie"
    );
    assert!(
        people.accounts.actor_by_token(&own.secret, None).is_none(),
        "a cookie is no token"
    );
    assert_eq!(people.accounts.tokens(&own.actor), [view]);

    let people = people.restarted();
    assert!(people.accounts.actor_by_token(&secret, None).is_some());
    people.accounts.revoke_token(&own.actor, "ci").await.unwrap();
    assert!(people.accounts.actor_by_token(&secret, None).is_none());
    let again = people.accounts.revoke_token(&own.actor, "ci").await.unwrap_err();
    assert!(matches!(again, Error::NotFound { .. }));
    assert_eq!(people.acts().await.split_off(2), ["token.create", "token.revoke"]);
}

#[tokio::test]
async fn an_api_token_expires_when_it_was_said_to() {
    let (people, own) = People::claimed().await;
    let (secret, _) = people
        .accounts
        .create_token(&own.actor, token("ci", Role::Viewer))
        .await
        .unwrap();
    people.clock.advance(Duration::from_hours(30 * 24 - 1));
    assert!(
        people.accounts.actor_by_token(&secret, None).is_some(),
        "idleness alone doesn't end a token"
    );
    people.clock.advance(Duration::from_hours(1));
    assert!(people.accounts.actor_by_token(&secret, None).is_none());
}

#[tokio::test]
async fn an_api_token_never_exceeds_its_maker_and_never_makes_another() {
    let (people, own) = People::claimed().await;
    let lesser = Actor {
        role: Role::Operator,
        ..own.actor.clone()
    };
    let error = people
        .accounts
        .create_token(&lesser, token("ci", Role::Admin))
        .await
        .unwrap_err();
    assert_eq!(field(&error), "role");
    let (secret, _) = people
        .accounts
        .create_token(&own.actor, token("ci", Role::Admin))
        .await
        .unwrap();
    let script = people.accounts.actor_by_token(&secret, None).unwrap();
    let error = people
        .accounts
        .create_token(&script, token("more", Role::Viewer))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotAllowed(_)));
    let (present, new) = (Password::new(PASSWORD), Password::new(OTHER));
    let error = people
        .accounts
        .change_password(&script, &present, &new)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotAllowed(_)));
}

#[tokio::test]
async fn neither_an_api_token_nor_a_stolen_session_becomes_a_sign_in_of_its_own() {
    let (people, own) = People::claimed().await;
    let (secret, _) = people
        .accounts
        .create_token(&own.actor, token("ci", Role::Admin))
        .await
        .unwrap();
    let script = people.accounts.actor_by_token(&secret, None).unwrap();
    let new = Password::new(OTHER);
    for actor in [&script, &own.actor] {
        let error = people
            .accounts
            .reset_password(actor, "anna", &new)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NotAllowed(_)), "{error:?}");
    }
    let signed_in = people.login("anna", PASSWORD).await;
    signed_in.expect("the password is what it was");
    let refused = people.acts().await;
    let refused = refused
        .iter()
        .filter(|act| *act == "account.reset_password.refused");
    assert_eq!(refused.count(), 2);
    people
        .accounts
        .reset_password(&host(), "anna", &new)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_wanted_token_is_said_at_its_field() {
    let (people, own) = People::claimed().await;
    let create = |wanted| people.accounts.create_token(&own.actor, wanted);
    let good = || token("ci", Role::Viewer);
    assert_eq!(
        field(
            &create(NewToken {
                name: "C I".into(),
                ..good()
            })
            .await
            .unwrap_err()
        ),
        "name"
    );
    assert_eq!(
        field(&create(NewToken { days: 0, ..good() }).await.unwrap_err()),
        "days"
    );
    assert_eq!(
        field(&create(NewToken { days: 367, ..good() }).await.unwrap_err()),
        "days"
    );
    assert_eq!(
        field(
            &create(NewToken {
                account: Some("bob".into()),
                ..good()
            })
            .await
            .unwrap_err()
        ),
        "account"
    );
    create(good()).await.unwrap();
    assert!(matches!(create(good()).await, Err(Error::Conflict(_))));
    let nobody = people
        .accounts
        .create_token(&host(), token("host", Role::Viewer))
        .await
        .unwrap_err();
    assert_eq!(
        field(&nobody),
        "account",
        "the host has no account, so it says whose"
    );
    let named = NewToken {
        account: Some("anna".into()),
        ..token("host", Role::Viewer)
    };
    people.accounts.create_token(&host(), named).await.unwrap();
}
