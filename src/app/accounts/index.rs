//! The accounts and sessions in memory, by what leads to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::auth::account::{Account, Setup};
use crate::auth::secret::Secret;
use crate::auth::session::{Session, SessionKind};
use crate::fleet::hash::Digest;
use crate::fleet::ids::{AccountId, SessionId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// How far the time of the last use may run ahead of what is written.
const UNWRITTEN_USE: Duration = Duration::from_mins(5);
/// The most sessions that one upkeep writes.
const UPKEEP: usize = 500;

/// One step of a change.
#[derive(Debug)]
pub(super) enum Edit {
    PutAccount(Account),
    EndAccount(AccountId, Name),
    PutSession(Session),
    EndSession(SessionId),
    PutSetup(Setup),
}

#[derive(Debug, Default)]
pub(super) struct Index {
    accounts: BTreeMap<AccountId, Account>,
    sessions: BTreeMap<SessionId, Held>,
    by_digest: BTreeMap<Digest, SessionId>,
    setup: Option<Setup>,
}

/// A session and when it was last used, which changes with every request.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) session: Session,
    used_at: AtomicU64,
}

impl Held {
    pub(super) fn used_at(&self) -> Timestamp {
        Timestamp(self.used_at.load(Ordering::Relaxed))
    }
}

impl Index {
    pub(super) fn new(accounts: Vec<Account>, sessions: Vec<Session>, setup: Option<Setup>) -> Self {
        let mut index = Self {
            setup,
            ..Self::default()
        };
        accounts
            .into_iter()
            .map(Edit::PutAccount)
            .for_each(|edit| index.apply(edit));
        sessions
            .into_iter()
            .map(Edit::PutSession)
            .for_each(|edit| index.apply(edit));
        index
    }

    pub(super) fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::PutAccount(account) => {
                self.accounts.insert(account.id, account);
            }
            Edit::EndAccount(id, _) => {
                self.accounts.remove(&id);
            }
            Edit::PutSession(session) => {
                let used_at = self.sessions.get(&session.id).map(Held::used_at);
                let used_at = used_at.unwrap_or_default().max(session.last_used_at);
                self.by_digest.insert(session.secret_digest, session.id);
                let used_at = AtomicU64::new(used_at.0);
                self.sessions.insert(session.id, Held { session, used_at });
            }
            Edit::EndSession(id) => {
                if let Some(held) = self.sessions.remove(&id) {
                    self.by_digest.remove(&held.session.secret_digest);
                }
            }
            Edit::PutSetup(setup) => self.setup = Some(setup),
        }
    }

    pub(super) fn setup(&self) -> Option<&Setup> {
        self.setup.as_ref()
    }

    /// An account without the record of the claim also means claimed: better closed than open.
    pub(super) fn is_claimed(&self) -> bool {
        !self.accounts.is_empty() || matches!(self.setup, Some(Setup::Claimed { .. }))
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        let mut accounts: Vec<_> = self.accounts.values().collect();
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        accounts.into_iter()
    }

    pub(super) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    pub(super) fn account_named(&self, name: &str) -> Option<&Account> {
        self.accounts
            .values()
            .find(|account| account.name.as_str() == name)
    }

    pub(super) fn session(&self, id: SessionId) -> Option<&Held> {
        self.sessions.get(&id)
    }

    pub(super) fn session_of(&self, digest: &Digest) -> Option<SessionId> {
        self.by_digest.get(digest).copied()
    }

    /// The live sessions of an account, the latest used first.
    pub(super) fn sessions_of(&self, account: AccountId, now: Timestamp) -> Vec<&Held> {
        let own = self
            .sessions
            .values()
            .filter(|held| held.session.account == account);
        let mut live: Vec<_> = own
            .filter(|held| held.session.is_live(held.used_at(), now))
            .collect();
        live.sort_by_key(|held| std::cmp::Reverse(held.used_at()));
        live
    }

    /// Whose live session it is, and notes the use.
    pub(super) fn uses(&self, secret: &Secret, now: Timestamp) -> Option<(&Account, &Session)> {
        let held = self.sessions.get(self.by_digest.get(&secret.digest())?)?;
        let found = self.holds(secret, now)?;
        held.used_at.fetch_max(now.0, Ordering::Relaxed);
        Some(found)
    }

    /// Whose live session it is. Looking is no use of it.
    pub(super) fn holds(&self, secret: &Secret, now: Timestamp) -> Option<(&Account, &Session)> {
        let held = self.sessions.get(self.by_digest.get(&secret.digest())?)?;
        let account = self.accounts.get(&held.session.account)?;
        if account.disabled_at.is_some() || !held.session.is_live(held.used_at(), now) {
            return None;
        }
        Some((account, &held.session))
    }

    /// What is to be written down: sessions that ended by themselves, and uses since the last writing.
    pub(super) fn overdue(&self, now: Timestamp) -> Vec<Edit> {
        let overdue = self.sessions.values().filter_map(|held| {
            let used_at = held.used_at();
            let session = &held.session;
            if !session.is_live(used_at, now) || !self.accounts.contains_key(&session.account) {
                return Some(Edit::EndSession(session.id));
            }
            (used_at.since(session.last_used_at) >= UNWRITTEN_USE).then(|| {
                Edit::PutSession(Session {
                    last_used_at: used_at,
                    ..session.clone()
                })
            })
        });
        overdue.take(UPKEEP).collect()
    }

    /// All sessions and API tokens of an account, to be ended.
    pub(super) fn all_sessions_of(&self, account: AccountId) -> Vec<Edit> {
        let sessions = self.sessions.values().map(|held| &held.session);
        let own = sessions.filter(|session| session.account == account);
        own.map(|session| Edit::EndSession(session.id)).collect()
    }

    /// The browser sessions of an account but one, to be ended.
    pub(super) fn browser_sessions_but(&self, account: AccountId, kept: Option<SessionId>) -> Vec<Edit> {
        let sessions = self.sessions.values().map(|held| &held.session);
        let browsers =
            sessions.filter(|session| session.account == account && session.kind == SessionKind::Browser);
        let others = browsers.filter(|session| Some(session.id) != kept);
        others.map(|session| Edit::EndSession(session.id)).collect()
    }
}
