//! Accounts and what signs them in: the setup of a fresh server, login, sessions, passwords, API tokens.
//!
//! All of it is small and read with every request, so it is held in memory as well; who a secret stands for is a look-up
//! there. Changes are made one at a time: decided on the memory, committed with their audit entry, then applied to the
//! memory, in a task of their own, so that somebody who hangs up in between can't separate the two.
//!
//! The first account claims the server; the others are made by admins.

mod hashing;
mod index;
mod login;
mod manage;
mod passwords;
mod sessions;
mod setup;
mod tokens;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

pub use login::SignedIn;
pub use manage::{AccountAct, NewAccount, made_password};
pub use setup::{SETUP_LINK_FILE, SetupStatus};
pub use tokens::NewToken;

use hashing::Hashing;
use index::{Edit, Index};

use super::audit::{Audit, AuditEntry};
use super::clock::Clock;
use super::error::Error;
use super::tasks::Tasks;
use crate::auth::account::{Account, AccountView, Setup};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::auth::session::Session;
use crate::auth::throttle::{Throttle, Throttled, origin};
use crate::fleet::ids::SessionId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;
use crate::store::{Batch, ReadError, Record, Store};

crate::records! {
    /// The tables of accounts.
    pub const TABLES;
    Account: Name => "accounts_v1", version 1;
    Session: SessionId => "sessions_v1", version 1;
    Setup: () => "setup_v1", version 1;
}

/// The accounts of a server. Clones are the same accounts.
#[derive(Clone, Debug)]
pub struct Accounts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Clock,
    tasks: Tasks,
    audit: Audit,
    index: RwLock<Index>,
    /// Held from the decision on a change until the memory knows it.
    changing: tokio::sync::Mutex<()>,
    hashing: Hashing,
    throttles: Mutex<Throttles>,
}

/// How often secrets that people choose or copy may be tried.
#[derive(Debug)]
struct Throttles {
    /// By the name that is tried, whether or not there is such an account.
    accounts: Throttle<String>,
    addresses: Throttle<Option<IpAddr>>,
}

/// What a change does, for the store and the memory alike, and what whoever asked gets.
struct Change<T> {
    edits: Vec<Edit>,
    audit: Option<AuditEntry>,
    answer: T,
}

impl Accounts {
    /// Reads the accounts in `store`. A record that can't be read is logged and treated as missing: its owner can't sign
    /// in, everybody else can.
    ///
    /// # Errors
    /// When the storage fails, or it can't be said whether the server was claimed.
    pub fn load(store: Store, clock: Clock, tasks: Tasks, audit: Audit) -> Result<Self, Error> {
        let setup = match store.get::<Setup>(&()) {
            Ok(setup) => setup.map(|setup| setup.record),
            Err(error @ ReadError::Unavailable(_)) => return Err(error.into()),
            // Nobody is to claim a server that may have been claimed.
            Err(ReadError::Damaged(_) | ReadError::Migrate { .. }) => {
                Some(Setup::Claimed { at: clock.now() })
            }
        };
        let index = Index::new(readable::<Account>(&store)?, readable::<Session>(&store)?, setup);
        Ok(Self(Arc::new(Shared {
            store,
            clock,
            tasks,
            audit,
            index: RwLock::new(index),
            changing: tokio::sync::Mutex::default(),
            hashing: Hashing::new()?,
            throttles: Mutex::new(Throttles {
                accounts: Throttle::new(5, Duration::from_mins(1)),
                addresses: Throttle::new(20, Duration::from_secs(10)),
            }),
        })))
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Permission::ManageAccounts`].
    pub fn list(&self, actor: &Actor) -> Result<Vec<AccountView>, Error> {
        self.0
            .audit
            .permit(actor, Permission::ManageAccounts, "account.list")?;
        let mut views: Vec<AccountView> = self.index().accounts().map(AccountView::from).collect();
        let now = self.now();
        let throttles = self.throttles();
        for view in &mut views {
            view.locked_until = throttles.accounts.refused_until(&view.name.to_string(), now);
        }
        Ok(views)
    }

    /// One account.
    ///
    /// # Errors
    /// As [`Accounts::list`], and [`Error::NotFound`].
    pub fn named(&self, actor: &Actor, name: &str) -> Result<AccountView, Error> {
        let mut all = self.list(actor)?.into_iter();
        let found = all.find(|account| account.name.as_str() == name);
        found.ok_or_else(|| Error::not_found("account", name))
    }

    /// The account that acts; `None` when it isn't one.
    #[must_use]
    pub fn own(&self, actor: &Actor) -> Option<AccountView> {
        self.index().account(actor.account()?).map(AccountView::from)
    }

    /// Writes down when sessions were last used and forgets those that ended by themselves. For a background loop, every
    /// few minutes, and for the end.
    ///
    /// # Errors
    /// When the store can't be written; nothing is lost but the times.
    pub async fn upkeep(&self) -> Result<(), Error> {
        let decide = |index: &Index, now| {
            Ok(Change {
                edits: index.overdue(now),
                audit: None,
                answer: (),
            })
        };
        self.change(decide).await
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        // Applying edits doesn't panic; a poisoned lock would still hold whole records.
        self.0.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttles(&self) -> MutexGuard<'_, Throttles> {
        self.0.throttles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt from `address`.
    fn attempt_from(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let now = self.now();
        let attempt = self.throttles().addresses.attempt(&address.map(origin), now);
        attempt.map_err(too_many)
    }

    /// Counts an attempt at the password of the account `name`.
    fn attempt_at(&self, name: &str) -> Result<(), Error> {
        let now = self.now();
        let attempt = self.throttles().accounts.attempt(&name.to_owned(), now);
        attempt.map_err(too_many)
    }

    /// Makes one change: `decide` sees the memory as it is and nobody else changes it until the change is made.
    async fn change<T, F>(&self, decide: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Index, Timestamp) -> Result<Change<T>, Error> + Send + 'static,
    {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&self.0);
        self.0.tasks.spawn("account change", async move {
            let turn = shared.changing.lock().await;
            let result = shared.change_now(decide).await;
            drop(turn);
            // Whoever asked may be gone; the change is made all the same.
            drop(reply.send(result));
        });
        answer.await.map_err(Error::internal)?
    }
}

impl Shared {
    async fn change_now<T, F>(&self, decide: F) -> Result<T, Error>
    where
        F: FnOnce(&Index, Timestamp) -> Result<Change<T>, Error>,
    {
        let change = decide(
            &self.index.read().unwrap_or_else(PoisonError::into_inner),
            self.clock.now(),
        )?;
        let mut batch = Batch::new();
        // Whoever is to make room has to get in.
        let lets_in = |edit: &Edit| {
            matches!(
                edit,
                Edit::PutSession(_) | Edit::EndSession(_) | Edit::PutSetup(_)
            )
        };
        if change.edits.iter().all(lets_in) {
            batch.vital();
        }
        for edit in &change.edits {
            match edit {
                Edit::PutAccount(account) => batch.put(&account.name, account),
                Edit::EndAccount(_, name) => batch.delete::<Account>(name),
                Edit::PutSession(session) => batch.put(&session.id, session),
                Edit::EndSession(id) => batch.delete::<Session>(id),
                Edit::PutSetup(setup) => batch.put(&(), setup),
            };
        }
        if let Some(entry) = change.audit {
            batch.audit(entry);
        }
        self.store.commit(batch).await?;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for edit in change.edits {
            index.apply(edit);
        }
        Ok(change.answer)
    }
}

fn too_many(throttled: Throttled) -> Error {
    Error::TooMany {
        retry_after: throttled.retry_after,
    }
}

fn readable<R: Record>(store: &Store) -> Result<Vec<R>, Error> {
    let survey = store.survey::<R>()?;
    Ok(survey.rows.into_iter().map(|(_, row)| row.record).collect())
}

fn invalid(field: &str, why: &impl std::error::Error) -> Error {
    Error::invalid(field, why.to_string())
}
