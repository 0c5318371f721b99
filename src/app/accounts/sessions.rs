//! One's own browser sessions: looking at them and ending them.

use super::{Accounts, Change, Edit, Index};
use crate::app::audit::entry;
use crate::app::error::Error;
use crate::auth::actor::{Actor, Via};
use crate::auth::permission::Permission;
use crate::auth::session::{SessionKind, SessionView};
use crate::fleet::ids::{AccountId, SessionId};

impl Accounts {
    /// The browser sessions of the actor's account, the latest used first; none for who has no account.
    #[must_use]
    pub fn sessions(&self, actor: &Actor) -> Vec<SessionView> {
        self.views(actor, |kind| *kind == SessionKind::Browser)
    }

    /// The sessions of an account in browsers, the latest used first.
    ///
    /// # Errors
    /// When the actor may not manage accounts, or there is no such account.
    pub fn sessions_of(&self, actor: &Actor, account: &str) -> Result<Vec<SessionView>, Error> {
        self.views_of(actor, account, |kind| *kind == SessionKind::Browser)
    }

    pub(super) fn views(&self, actor: &Actor, wanted: impl Fn(&SessionKind) -> bool) -> Vec<SessionView> {
        let own = actor.account();
        own.map_or_else(Vec::new, |account| self.views_in(actor, account, wanted))
    }

    pub(super) fn views_of(
        &self,
        actor: &Actor,
        account: &str,
        wanted: impl Fn(&SessionKind) -> bool,
    ) -> Result<Vec<SessionView>, Error> {
        actor.may(Permission::ManageAccounts)?;
        let id = self.index().account_named(account).map(|account| account.id);
        let id = id.ok_or_else(|| Error::not_found("account", account))?;
        Ok(self.views_in(actor, id, wanted))
    }

    fn views_in(
        &self,
        actor: &Actor,
        account: AccountId,
        wanted: impl Fn(&SessionKind) -> bool,
    ) -> Vec<SessionView> {
        let current = browser_session(actor);
        let index = self.index();
        let held = index.sessions_of(account, self.now()).into_iter();
        held.filter(|held| wanted(&held.session.kind))
            .map(|held| SessionView::new(&held.session, held.used_at(), current))
            .collect()
    }

    /// Ends a session or revokes an API token: one's own, or anybody's with [`Permission::ManageAccounts`]. It stops
    /// working with the next request.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for those of others.
    pub async fn end_session(&self, actor: &Actor, id: SessionId) -> Result<(), Error> {
        self.0
            .audit
            .permit(actor, Permission::OwnAccount, "session.end")?;
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let reaches_all = actor.may(Permission::ManageAccounts).is_ok();
            let held = index
                .session(id)
                .filter(|held| reaches_all || Some(held.session.account) == actor.account());
            let session = &held.ok_or_else(|| Error::not_found("session", &id))?.session;
            let act = match &session.kind {
                SessionKind::Browser => entry(&actor, now, "session.end", format!("session/{id}")),
                SessionKind::ApiToken { name, .. } => {
                    entry(&actor, now, "token.revoke", format!("token/{name}"))
                }
            };
            Ok(Change {
                edits: vec![Edit::EndSession(id)],
                audit: Some(act),
                answer: (),
            })
        };
        self.change(decide).await
    }

    /// Ends the browser sessions of the actor's account but the one that it came with. Returns how many.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn end_other_sessions(&self, actor: &Actor) -> Result<usize, Error> {
        self.0
            .audit
            .permit(actor, Permission::OwnAccount, "session.end")?;
        let account = actor
            .account()
            .ok_or(Error::NotAllowed("only an account has sessions"))?;
        let actor = actor.clone();
        let decide = move |index: &Index, now| {
            let edits = index.browser_sessions_but(account, browser_session(&actor));
            let mut act = entry(&actor, now, "session.end", format!("account/{}", actor.name));
            act.detail = format!("all others: {}", edits.len());
            Ok(Change {
                audit: (!edits.is_empty()).then_some(act),
                answer: edits.len(),
                edits,
            })
        };
        self.change(decide).await
    }
}

/// The browser session that the actor came with; `None` for who came otherwise.
pub(super) fn browser_session(actor: &Actor) -> Option<SessionId> {
    match actor.via {
        Via::Session { session, .. } => Some(session),
        Via::Token { .. } | Via::LocalSocket { .. } | Via::Muster => None,
    }
}
