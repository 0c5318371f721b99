//! Accounts of others: making them, what they may do, and what it takes to change that.

use std::time::Duration;

use http::{Method, StatusCode};
use muster::app::accounts::{AccountAct, NewAccount};
use muster::app::error::Error;
use muster::auth::actor::{Actor, Via};
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::fleet::ids::SessionId;
use serde_json::json;

use crate::admin::site::Site;
use crate::people::{OTHER, PASSWORD, People, field, host, token};
use muster::app::clock::Clock;
use muster::fleet::time::Timestamp;
use muster::store::Store;

fn new(name: &str, role: Role) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        role,
    }
}

#[tokio::test]
async fn an_account_that_an_admin_made_only_looks_until_its_owner_chose_a_password() {
    let (people, own) = People::claimed().await;
    let wanted = new("bert", Role::Deployer);
    let (account, first) = people.accounts.create(&own.actor, wanted).await.unwrap();
    assert!(account.provisional);
    let bert = people.login("bert", &first).await.unwrap();
    assert_eq!(bert.actor.role, Role::Viewer);
    let (present, chosen) = (Password::new(&first), Password::new(OTHER));
    people
        .accounts
        .change_password(&bert.actor, &present, &chosen)
        .await
        .unwrap();
    let now = people.accounts.actor_by_session(&bert.secret, None).unwrap();
    assert_eq!(now.role, Role::Deployer);
    let error = people
        .accounts
        .create(&own.actor, new("bert", Role::Admin))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Conflict(_)));
    for reserved in ["muster", "unknown", "others", "Bert"] {
        let error = people
            .accounts
            .create(&own.actor, new(reserved, Role::Viewer))
            .await
            .unwrap_err();
        assert_eq!(field(&error), "name", "{reserved}");
    }
    assert!(people.acts().await.contains(&"account.create".to_owned()));
}

#[tokio::test]
async fn dangerous_acts_take_a_password_of_the_last_ten_minutes_and_never_an_api_token() {
    let (people, own) = People::claimed().await;
    let accounts = &people.accounts;
    people.clock.advance(Duration::from_mins(11));
    let actor = accounts.actor_by_session(&own.secret, None).unwrap();
    let error = accounts
        .create(&actor, new("bert", Role::Viewer))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unproven));
    let wrong = accounts.prove(&actor, &Password::new("not it at all")).await;
    assert_eq!(field(&wrong.unwrap_err()), "password");
    accounts.prove(&actor, &Password::new(PASSWORD)).await.unwrap();
    let actor = accounts.actor_by_session(&own.secret, None).unwrap();
    accounts.create(&actor, new("bert", Role::Viewer)).await.unwrap();
    let (secret, _) = accounts
        .create_token(&actor, token("ci", Role::Admin))
        .await
        .unwrap();
    let script = accounts.actor_by_token(&secret, None).unwrap();
    for act in [AccountAct::Disable, AccountAct::Unlock] {
        let error = accounts.manage(&script, "bert", act).await.unwrap_err();
        assert!(matches!(error, Error::NotAllowed(_)), "{act:?}");
    }
    let refused = accounts.delete(&script, "bert").await.unwrap_err();
    assert!(matches!(refused, Error::NotAllowed(_)));
    let refused = accounts
        .prove(&script, &Password::new(PASSWORD))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::NotAllowed(_)));
    let acts = people.acts().await;
    for told in [
        "session.prove.refused",
        "session.prove",
        "account.disable.refused",
    ] {
        assert!(acts.contains(&told.to_owned()), "{told}: {acts:?}");
    }
}

#[tokio::test]
async fn the_last_admin_stays_and_nobody_changes_their_own_account() {
    let (people, own) = People::claimed().await;
    let accounts = &people.accounts;
    let set_role = |role| AccountAct::SetRole { role };
    for act in [AccountAct::Disable, set_role(Role::Viewer)] {
        let mine = accounts.manage(&own.actor, "anna", act).await.unwrap_err();
        assert!(matches!(mine, Error::NotAllowed(_)));
        let last = accounts.manage(&host(), "anna", act).await.unwrap_err();
        assert!(matches!(last, Error::Conflict(_)), "{act:?}");
    }
    assert!(matches!(
        accounts.delete(&host(), "anna").await,
        Err(Error::Conflict(_))
    ));
    accounts
        .create(&own.actor, new("bert", Role::Operator))
        .await
        .unwrap();
    accounts
        .manage(&host(), "bert", set_role(Role::Admin))
        .await
        .unwrap();
    accounts
        .manage(&host(), "anna", set_role(Role::Viewer))
        .await
        .unwrap();
    let actor = accounts.actor_by_session(&own.secret, None).unwrap();
    assert_eq!(actor.role, Role::Viewer, "it counts with the next request");
    accounts
        .manage(&host(), "anna", AccountAct::Disable)
        .await
        .unwrap();
    assert!(!people.is_in(&own));
    assert!(matches!(
        people.login("anna", PASSWORD).await,
        Err(Error::WrongCredentials)
    ));
    accounts
        .manage(&host(), "anna", AccountAct::Enable)
        .await
        .unwrap();
    people.login("anna", PASSWORD).await.unwrap();
    accounts.delete(&host(), "anna").await.unwrap();
    assert!(matches!(
        people.login("anna", PASSWORD).await,
        Err(Error::WrongCredentials)
    ));
    let again = people.restarted();
    let names: Vec<_> = again.accounts.list(&host()).unwrap();
    assert_eq!(names.len(), 1);
}

#[tokio::test]
async fn a_locked_account_is_shown_as_such_and_unlocked_by_an_admin() {
    let (people, own) = People::claimed().await;
    let accounts = &people.accounts;
    let (_, first) = accounts
        .create(&own.actor, new("bert", Role::Viewer))
        .await
        .unwrap();
    for host in 0..9 {
        drop(people.login_from(host, "bert", "not the password").await);
    }
    assert!(matches!(
        people.login_from(20, "bert", &first).await,
        Err(Error::TooMany { .. })
    ));
    let locked = accounts.named(&own.actor, "bert").unwrap();
    assert!(locked.locked_until.is_some());
    accounts
        .manage(&own.actor, "bert", AccountAct::Unlock)
        .await
        .unwrap();
    assert_eq!(accounts.named(&own.actor, "bert").unwrap().locked_until, None);
    people.login_from(20, "bert", &first).await.unwrap();
}

#[tokio::test]
async fn ending_the_sessions_of_another_leaves_one_s_own() {
    let (people, own) = People::claimed().await;
    let accounts = &people.accounts;
    let (_, first) = accounts
        .create(&own.actor, new("bert", Role::Viewer))
        .await
        .unwrap();
    let bert = people.login("bert", &first).await.unwrap();
    accounts
        .manage(&own.actor, "bert", AccountAct::EndSessions)
        .await
        .unwrap();
    assert!(!people.is_in(&bert) && people.is_in(&own));
    let stranger = Actor {
        via: Via::Session {
            account: own.actor.account().unwrap(),
            session: SessionId([9; 16]),
        },
        role: Role::Deployer,
        ..own.actor
    };
    let denied = accounts
        .manage(&stranger, "bert", AccountAct::EndSessions)
        .await
        .unwrap_err();
    assert!(matches!(denied, Error::Forbidden(_)));
}

#[tokio::test]
async fn a_form_that_lacks_the_proof_comes_back_with_all_that_was_typed() {
    let site = Site::start().await;
    site.app.clock().advance(Duration::from_mins(11));
    let form = |extra: &[(&'static str, &'static str)]| {
        let mut fields = vec![("name", "bert"), ("role", "deployer")];
        fields.extend(extra);
        let ask = site.call(Method::POST, "/users/-/new").bare_form(&fields);
        ask.own_form().send()
    };
    let asked = form(&[]).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    let html = asked.text();
    assert!(html.contains("name=\"name\" value=\"bert\""), "{html}");
    assert!(
        html.contains("name=\"proof\" type=\"password\"") || html.contains("id=\"proof\""),
        "{html}"
    );
    let wrong = form(&[("proof", "not my password")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!wrong.text().contains("not my password"));
    assert!(
        wrong.text().contains("name=\"name\" value=\"bert\""),
        "{}",
        wrong.text()
    );
    let made = form(&[("proof", PASSWORD)]).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    assert!(made.text().contains("The account is made"));
    let page = site.get("/users/bert").browser().send().await;
    assert!(page.text().contains("Has yet to choose a password"));
    let script = site
        .call(Method::POST, "/api/v1/accounts")
        .role(Role::Admin)
        .json(&json!({"name": "carl", "role": "viewer"}))
        .send()
        .await;
    assert_eq!(script.problem(), "not-allowed");
    let local = site
        .call(Method::POST, "/api/v1/accounts")
        .local()
        .json(&json!({"name": "carl", "role": "viewer"}))
        .send()
        .await;
    assert_eq!(local.status, StatusCode::CREATED, "{}", local.text());
    let acted = site
        .call(Method::POST, "/api/v1/accounts/carl/acts")
        .local()
        .json(&json!({"act": "set_role", "role": "admin"}))
        .send()
        .await;
    assert_eq!(acted.json()["role"], "admin");
    let gone = site
        .call(Method::DELETE, "/api/v1/accounts/carl")
        .local()
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn whoever_owns_the_data_folder_breaks_the_glass_while_no_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let settings = muster::store::Settings::default();
        let store = Store::open(folder.path(), &settings, Timestamp::from_seconds(1)).unwrap();
        People::on(store, Clock::system())
    };
    let people = open();
    let setup = people.accounts.issue_setup_token(&host()).await.unwrap();
    people.claim(setup.expose(), "anna").await.unwrap();
    people
        .accounts
        .create(&host(), new("bert", Role::Viewer))
        .await
        .unwrap();
    let run = |args: &'static [&'static str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(args).env_clear();
        command.arg("--offline").arg("--data").arg(folder.path());
        async move { command.output().await.unwrap() }
    };
    let refused = run(&["users", "promote", "bert"]).await;
    assert!(!refused.status.success(), "the folder is in use");
    people.log().await;
    people.store.clone().close();
    drop(people);
    let promoted = run(&["users", "promote", "bert"]).await;
    assert!(promoted.status.success(), "{promoted:?}");
    let reset = run(&["users", "reset-password", "anna"]).await;
    assert!(reset.status.success(), "{reset:?}");
    let said = String::from_utf8(reset.stdout).unwrap();
    let password = said.lines().map(str::trim).find(|line| line.len() == 20).unwrap();
    let people = open();
    people.login("anna", password).await.unwrap();
    let bert = people.accounts.named(&host(), "bert").unwrap();
    assert_eq!(bert.role, Role::Admin);
    let acts = people.acts().await;
    for told in ["account.set_role", "account.reset_password"] {
        assert!(acts.contains(&told.to_owned()), "{told}: {acts:?}");
    }
}
