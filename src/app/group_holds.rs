//! Holding what a group publishes, and releasing it.

use std::sync::Arc;

use super::changes::Topic;
use super::error::Error;
use super::groups::{named, object, unchanged};
use super::intentions::{GroupHead, Intentions, fingerprint};
use super::terms::OnTerms;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::group::Group;
use crate::fleet::suspension::Terms;
use crate::fleet::time::Timestamp;
use crate::store::Batch;

impl Intentions {
    /// Holds what a group publishes: nothing is offered to its agents, and what runs stays. Agents with a configuration of
    /// their own are not touched. `expected` is the revision that was looked at; `None` changes whatever is there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], or [`Error::Invalid`] when the terms can't be.
    pub async fn hold_group(
        &self,
        actor: &Actor,
        name: &str,
        terms: OnTerms,
        expected: Option<u64>,
    ) -> Result<u64, Error> {
        actor.may(Permission::OperateAgents)?;
        let told = OnTerms::told(&terms.reason, terms.until);
        let terms = terms.terms(actor, self.now())?;
        self.set_hold(actor, ("group.hold", name, told), Some(terms), expected)
            .await
    }

    /// Lets a group's agents be offered again what is published to it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], or [`Error::Conflict`] when it isn't held.
    pub async fn release_group(
        &self,
        actor: &Actor,
        name: &str,
        expected: Option<u64>,
    ) -> Result<u64, Error> {
        actor.may(Permission::Publish)?;
        self.set_hold(actor, ("group.release", name, String::new()), None, expected)
            .await
    }

    /// Ends the holds that have come to their end.
    pub(super) async fn expire_groups(&self, now: Timestamp) -> Result<(), Error> {
        let over: Vec<Arc<GroupHead>> = self
            .index()
            .groups()
            .filter(|head| head.group.clone().expire(now))
            .cloned()
            .collect();
        for head in over {
            let told = "ended by itself".to_owned();
            let act = ("group.expire", head.group.name.as_str(), told);
            let done = self
                .set_hold(&Actor::muster(), act, None, Some(head.revision))
                .await;
            // Somebody changed it in this moment: the next run looks again.
            if let Err(error) = done
                && !matches!(error, Error::Stale | Error::NotFound { .. })
            {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn set_hold(
        &self,
        actor: &Actor,
        (action, name, told): (&str, &str, String),
        hold: Option<Terms>,
        expected: Option<u64>,
    ) -> Result<u64, Error> {
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let head = Arc::clone(named(&index, name)?);
        unchanged(&head, expected)?;
        if hold.is_none() && head.group.hold.is_none() {
            return Err(Error::Conflict("the group is not held".into()));
        }
        let group = Group {
            hold,
            updated_at: self.now(),
            ..head.group.clone()
        };
        let mut batch = Batch::new();
        batch.vital();
        batch.expect_revision::<Group>(&group.name, head.revision);
        batch.put(&group.name, &group);
        let mut entry = self.audited(actor, action, object(&group.name), told);
        entry.before = fingerprint(&head.group);
        entry.after = fingerprint(&group);
        batch.audit(entry);
        writing.commit(batch).await?;
        let (name, revision) = (group.name.clone(), head.revision + 1);
        index.put_group(GroupHead { group, revision });
        writing.install(index, [Topic::Groups, Topic::Group(name), Topic::Agents], true);
        Ok(revision)
    }
}
