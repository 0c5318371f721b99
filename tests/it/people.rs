//! What tests about people share: the accounts of a server, without the server, on the real store in memory.

use std::time::Duration;

use muster::app::accounts::{Accounts, NewToken, SignedIn};
use muster::app::audit::{Audit, AuditRecord};
use muster::app::clock::Clock;
use muster::app::error::Error;
use muster::app::tasks::Tasks;
use muster::auth::actor::{Actor, Via};
use muster::auth::password::Password;
use muster::auth::permission::Role;
use muster::auth::session::Visitor;
use muster::fleet::time::Timestamp;
use muster::store::Store;

pub(crate) const PASSWORD: &str = "four words, all small";
pub(crate) const OTHER: &str = "another four small words";

/// The people of a server, without the server.
pub(crate) struct People {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) audit: Audit,
    pub(crate) accounts: Accounts,
}

impl People {
    pub(crate) fn fresh() -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        Self::on(Store::in_memory().unwrap(), clock)
    }

    pub(crate) fn on(store: Store, clock: Clock) -> Self {
        let tasks = Tasks::new();
        let audit = Audit::new(store.clone(), clock.clone(), tasks.clone());
        let accounts = Accounts::load(store.clone(), clock.clone(), tasks.clone(), audit.clone()).unwrap();
        Self {
            store,
            clock,
            tasks,
            audit,
            accounts,
        }
    }

    /// What a restart knows.
    pub(crate) fn restarted(&self) -> Self {
        Self::on(self.store.clone(), self.clock.clone())
    }

    /// A server that `anna` has claimed.
    pub(crate) async fn claimed() -> (Self, SignedIn) {
        let people = Self::fresh();
        let token = people.accounts.issue_setup_token(&host()).await.unwrap();
        let signed_in = people.claim(token.expose(), "anna").await.unwrap();
        (people, signed_in)
    }

    pub(crate) async fn claim(&self, token: &str, name: &str) -> Result<SignedIn, Error> {
        self.accounts
            .claim(token, name, &Password::new(PASSWORD), &visitor(1))
            .await
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Result<SignedIn, Error> {
        self.login_from(1, name, password).await
    }

    pub(crate) async fn login_from(&self, host: u8, name: &str, password: &str) -> Result<SignedIn, Error> {
        self.accounts
            .login(name, &Password::new(password), &visitor(host), None)
            .await
    }

    pub(crate) fn is_in(&self, signed_in: &SignedIn) -> bool {
        self.accounts.actor_by_session(&signed_in.secret, None).is_some()
    }

    /// The audit log, oldest first, once everything that was started is done.
    pub(crate) async fn log(&self) -> Vec<AuditRecord> {
        self.tasks.shutdown(Duration::from_mins(1)).await.unwrap();
        let mut log = self.audit.page(&host(), None, 100).unwrap();
        log.reverse();
        log
    }

    pub(crate) async fn acts(&self) -> Vec<String> {
        self.log()
            .await
            .into_iter()
            .map(|record| record.entry.action)
            .collect()
    }
}

/// The operator of the host.
pub(crate) fn host() -> Actor {
    Actor {
        name: "root on this host".to_owned(),
        via: Via::LocalSocket { uid: 0 },
        role: Role::Admin,
        address: None,
        proven_at: Timestamp::EPOCH,
    }
}

pub(crate) fn visitor(host: u8) -> Visitor {
    Visitor::new(Some([192, 0, 2, host].into()), "Browser/1.0")
}

pub(crate) fn field(error: &Error) -> &str {
    let Error::Invalid(fields) = error else {
        panic!("not about a field: {error:?}");
    };
    &fields[0].field
}

pub(crate) fn token(name: &str, role: Role) -> NewToken {
    NewToken {
        name: name.to_owned(),
        role,
        days: 30,
        account: None,
    }
}
