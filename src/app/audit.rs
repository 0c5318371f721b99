//! The audit log: who did what, and who was refused.
//!
//! Acts are told in the batch that does them; what they say begins with [`entry`]. Refusals change nothing, so they are
//! counted in memory and told in batches of their own: the first at once, then once a minute.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::store::{AuditEntry, AuditFault, AuditRecord, AuditVerdict};

use super::clock::Clock;
use super::error::Error;
use super::tasks::Tasks;
use crate::auth::actor::{Actor, Unproven};
use crate::auth::permission::{Permission, Role};
use crate::auth::refusals::{Refusal, Refusals, Report};
use crate::fleet::time::Timestamp;
use crate::store::{Batch, Store};

/// The audit log. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Clock,
    tasks: Tasks,
    refusals: Mutex<Refusals>,
}

/// The most records of one page.
pub const PAGE: usize = 500;

/// What an act of `actor` says of itself, to be completed with digests and detail and added to the batch that does it.
#[must_use]
pub fn entry(actor: &Actor, at: Timestamp, action: &str, object: impl Into<String>) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.name.clone(),
        action: action.to_owned(),
        object: object.into(),
        address: actor.address.map(|address| address.to_string()),
        ..AuditEntry::default()
    }
}

impl Audit {
    /// The log in `store`.
    #[must_use]
    pub fn new(store: Store, clock: Clock, tasks: Tasks) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            tasks,
            refusals: Mutex::default(),
        }))
    }

    /// The newest records whose number is below `before` (or the newest of all), newest first, at most `limit` and
    /// [`PAGE`].
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Permission::ViewAudit`].
    pub fn page(&self, actor: &Actor, before: Option<u64>, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        self.permit(actor, Permission::ViewAudit, "audit.view")?;
        Ok(self.0.store.audit(before, limit.min(PAGE))?)
    }

    /// Walks the whole chain and names the first record that doesn't hold.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Permission::ViewAudit`].
    pub async fn verify(&self, actor: &Actor) -> Result<AuditVerdict, Error> {
        self.permit(actor, Permission::ViewAudit, "audit.verify")?;
        let store = self.0.store.clone();
        let walk = tokio::task::spawn_blocking(move || store.verify_audit());
        Ok(walk.await.map_err(Error::internal)??)
    }

    /// Whether `actor` may do `act`; a refusal is counted.
    ///
    /// # Errors
    /// [`Error::Forbidden`] names the role that it takes.
    pub fn permit(&self, actor: &Actor, permission: Permission, act: &'static str) -> Result<(), Error> {
        actor.may(permission).map_err(|denied| {
            self.refused(&actor.name, actor.address, act, missing_role(permission));
            denied.into()
        })
    }

    /// Whether `actor` has shown lately who they are, as dangerous acts ask; the refusal of a script is counted.
    ///
    /// # Errors
    /// [`Error::Unproven`] when they are to give the password once more; [`Error::NotAllowed`] for an API token.
    pub fn prove(&self, actor: &Actor, act: &'static str) -> Result<(), Error> {
        actor.proves(self.0.clock.now()).map_err(|why| {
            if why == Unproven::Token {
                self.refused(&actor.name, actor.address, act, "an API token");
            }
            why.into()
        })
    }

    /// Counts that `actor` was refused to do `act`, and tells it now or within a minute. Who was not identified goes by a
    /// fixed word: never by a name of their choice.
    pub fn refused(
        &self,
        actor: &str,
        address: Option<IpAddr>,
        act: &'static str,
        reason: impl Into<Cow<'static, str>>,
    ) {
        let refusal = Refusal {
            actor: actor.to_owned(),
            act,
            reason: reason.into(),
        };
        let now = self.0.clock.now();
        let report = self.refusals().count(refusal, address, now);
        if let Some(report) = report {
            let shared = Arc::clone(&self.0);
            let work = async move { shared.tell(vec![report], now).await };
            self.0.tasks.spawn("audit refusal", work);
        }
    }

    /// Tells the refusals that were counted and not told for a minute. For a background loop.
    pub async fn tell_refusals(&self) {
        let now = self.0.clock.now();
        let reports = self.refusals().due(now);
        self.0.tell(reports, now).await;
    }

    /// Tells all refusals that were not told, before the end.
    pub async fn flush(&self) {
        let reports = self.refusals().drain();
        self.0.tell(reports, self.0.clock.now()).await;
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        // Counting doesn't panic; if it did, the counts would still be counts.
        self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody without the permission isn't.
#[must_use]
pub fn missing_role(permission: Permission) -> &'static str {
    match permission.least_role() {
        Role::Viewer => "not a viewer",
        Role::Operator => "not an operator",
        Role::Deployer => "not a deployer",
        Role::Admin => "not an admin",
    }
}

impl Shared {
    async fn tell(&self, reports: Vec<Report>, at: Timestamp) {
        let mut batch = Batch::new();
        batch.vital();
        for report in reports {
            batch.audit(told(&report, at));
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(%error, "refusals could not be written to the audit log");
        }
    }
}

fn told(report: &Report, at: Timestamp) -> AuditEntry {
    let Report {
        refusal,
        count,
        address,
    } = report;
    let times = if *count == 1 {
        String::new()
    } else {
        format!(", {count} times")
    };
    AuditEntry {
        at,
        actor: refusal.actor.clone(),
        action: format!("{}.refused", refusal.act),
        address: address.map(|address| address.to_string()),
        detail: format!("{}{times}", refusal.reason),
        ..AuditEntry::default()
    }
}
