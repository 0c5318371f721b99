//! The audit log, and refusals in it.

use std::time::Duration;

use muster::app::audit::AuditVerdict;
use muster::app::error::Error;
use muster::auth::actor::Actor;
use muster::auth::permission::{Permission, Role};

use crate::people::People;

#[tokio::test]
async fn the_audit_log_says_who_from_where_and_is_read_by_admins_alone() {
    let (people, own) = People::claimed().await;
    let log = people.log().await;
    let claim = &log.last().unwrap().entry;
    assert_eq!(
        (claim.actor.as_str(), claim.object.as_str()),
        ("anna", "account/anna")
    );
    assert_eq!(claim.address.as_deref(), Some("192.0.2.1"));
    assert_eq!(claim.at, people.clock.now());
    assert_eq!(
        people.audit.page(&own.actor, Some(2), 10).unwrap().len(),
        1,
        "older than the second"
    );
    assert!(matches!(
        people.audit.verify(&own.actor).await,
        Ok(AuditVerdict::Intact { records: 2, .. })
    ));
    let viewer = Actor {
        role: Role::Deployer,
        ..own.actor
    };
    assert!(matches!(
        people.audit.page(&viewer, None, 10),
        Err(Error::Forbidden(_))
    ));
    assert!(matches!(
        people.audit.verify(&viewer).await,
        Err(Error::Forbidden(_))
    ));
}

#[tokio::test]
async fn refusals_are_told_at_once_and_then_once_a_minute_with_their_count() {
    let (people, own) = People::claimed().await;
    let viewer = Actor {
        role: Role::Viewer,
        ..own.actor
    };
    for _ in 0..50 {
        people
            .audit
            .permit(&viewer, Permission::Publish, "group.publish")
            .unwrap_err();
    }
    people.audit.tell_refusals().await;
    people.clock.advance(Duration::from_mins(1));
    people.audit.tell_refusals().await;
    people
        .audit
        .permit(&viewer, Permission::Publish, "group.publish")
        .unwrap_err();
    people.audit.flush().await;
    let mut told = people.log().await.split_off(2);
    // The first is told by a task of its own, which may come to it after the minute.
    told.sort_by_key(|record| record.entry.at);
    let told: Vec<_> = told
        .iter()
        .map(|record| (&*record.entry.action, &*record.entry.detail))
        .collect();
    let act = "group.publish.refused";
    assert_eq!(
        told,
        [
            (act, "not a deployer"),
            (act, "not a deployer, 49 times"),
            (act, "not a deployer")
        ]
    );
}
