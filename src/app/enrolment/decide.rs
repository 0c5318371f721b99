//! Agents that wait for an operator: what they look like, and what is decided about them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::app::changes::Topic;
use crate::app::claims::NamedAgent;
use crate::app::connections::CloseReason;
use crate::app::error::Error;
use crate::app::identities::holder;
use crate::app::live::Snapshot;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::{
    Completeness, Contact, Delivery, Happening, Intent, Registration, Standing, Transport,
};
use crate::fleet::enrolment::{Likeness, Traits};
use crate::fleet::identity::{Credential, CredentialState, Scope};
use crate::fleet::ids::{AgentId, CredentialId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// The most lookalikes that are named.
const MOST_LIKE: usize = 5;

/// An agent that waits for an operator: acknowledged, and given nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waiting {
    /// The agent.
    pub agent: NamedAgent,
    /// Whether it waits because it looks like another; otherwise because its token wants that.
    pub conflict: bool,
    /// The host name that it gave; empty when none.
    pub host: String,
    /// The id of its machine, as it says; empty when it doesn't.
    pub host_id: String,
    /// Its system, as it says; empty when it doesn't.
    pub system: String,
    /// The address that it came from; empty when unknown.
    pub address: String,
    /// What its enrolment token is for; empty when that isn't said.
    pub token: String,
    /// The labels that it would have.
    pub labels: BTreeMap<String, String>,
    /// The group that it would be in.
    pub group: Name,
    /// Whether it is there.
    pub online: bool,
    /// Since when it waits.
    pub since: Timestamp,
    /// Whether its credential is its own: refusing it revokes that. Otherwise others use it too.
    pub own_credential: bool,
    /// Agents that it looks like: the most alike first, then those that are silent.
    pub looks_like: Vec<Lookalike>,
}

/// An agent that a newcomer looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lookalike {
    /// That agent.
    pub agent: NamedAgent,
    /// By what.
    pub by: Likeness,
    /// Whether it is there.
    pub online: bool,
    /// Since when it is there, or isn't.
    pub since: Timestamp,
    /// Its group.
    pub group: Name,
    /// Whether the newcomer can be merged into it.
    pub can_merge: bool,
}

impl App {
    /// All agents that wait for an operator, the latest first.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn waiting(&self, actor: &Actor) -> Result<Vec<Waiting>, Error> {
        actor.may(Permission::ViewFleet)?;
        let fleet = self.live.snapshot();
        let waits = |snapshot: &&Snapshot| snapshot.agent.registration.waits();
        let mut waiting: Vec<&Snapshot> = fleet.iter().filter(waits).collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        waiting.sort_by_key(|snapshot| {
            let registration = &snapshot.agent.registration;
            (std::cmp::Reverse(registration.origin.at), registration.id)
        });
        let known: Vec<(&Snapshot, Traits)> = fleet
            .iter()
            .filter(|snapshot| !snapshot.agent.registration.waits())
            .map(|snapshot| (snapshot, Traits::of(&snapshot.agent)))
            .collect();
        Ok(waiting
            .into_iter()
            .map(|snapshot| self.describe(snapshot, &known))
            .collect())
    }

    /// How one agent waits; `None` when it doesn't.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn waits(&self, actor: &Actor, id: AgentId) -> Result<Option<Waiting>, Error> {
        let mut all = self.waiting(actor)?;
        let at = all.iter().position(|waiting| waiting.agent.id == id);
        Ok(at.map(|at| all.swap_remove(at)))
    }

    fn describe(&self, snapshot: &Snapshot, known: &[(&Snapshot, Traits)]) -> Waiting {
        let registration = &snapshot.agent.registration;
        let traits = Traits::of(&snapshot.agent);
        let own_credential = self.holds_alone(registration);
        let with = match registration.standing {
            Standing::Conflict { with } => Some(with),
            Standing::Pending | Standing::Active | Standing::Archived { .. } | Standing::Revoked { .. } => {
                None
            }
        };
        let mut looks_like: Vec<Lookalike> = known
            .iter()
            .filter_map(|(other, theirs)| {
                let id = other.agent.id();
                // Two of one pool have their credential in common, and nothing else follows from that.
                let shared = |by: &Likeness| *by != Likeness::Credential || with == Some(id);
                let by = traits.like(theirs).filter(shared);
                let by = by.or((with == Some(id)).then_some(Likeness::HostName))?;
                Some(Lookalike {
                    agent: NamedAgent {
                        title: other.agent.title(),
                        id,
                    },
                    by,
                    online: other.presence.is_online(),
                    since: other.presence.since(),
                    group: other.agent.registration.group.clone(),
                    can_merge: own_credential && self.holds_alone(&other.agent.registration),
                })
            })
            .collect();
        looks_like.sort_by_key(|other| {
            (
                other.by,
                other.online,
                std::cmp::Reverse(other.since),
                other.agent.id,
            )
        });
        looks_like.truncate(MOST_LIKE);
        let origin = &registration.origin;
        let description = snapshot.agent.reported.description.as_ref();
        let host_id = description.and_then(|packed| packed.unpack().fact("host.id"));
        let token = origin.token.and_then(|token| self.tokens.get(token));
        Waiting {
            agent: NamedAgent {
                title: snapshot.agent.title(),
                id: registration.id,
            },
            conflict: registration.standing != Standing::Pending,
            host: if origin.host.is_empty() {
                snapshot.agent.reported.host_name.clone()
            } else {
                origin.host.clone()
            },
            host_id: host_id.unwrap_or_else(|| origin.host_id.clone()),
            system: origin.system.clone(),
            address: origin.address.clone(),
            token: token.map(|token| token.note).unwrap_or_default(),
            labels: registration.labels.clone(),
            group: registration.group.clone(),
            online: snapshot.presence.is_online(),
            since: origin.at,
            own_credential,
            looks_like,
        }
    }

    /// Whether the record's credential speaks for it alone.
    fn holds_alone(&self, registration: &Registration) -> bool {
        let first = self.identities.credential(registration.credential);
        first.and_then(|first| holder(&first.scope)) == Some(registration.id)
    }

    /// Serves an agent that waited, as one of its own.
    pub(in crate::app) async fn approve(
        &self,
        actor: &Actor,
        id: AgentId,
        entry: AuditEntry,
    ) -> Result<(), Error> {
        let at = entry.at;
        self.edit_registration(id, entry, |registration| {
            check_waits(registration)?;
            registration.standing = Standing::Active;
            Ok(())
        })
        .await?;
        let by = actor.name.clone();
        self.happen(id, Happening::Approved { by }, at);
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }

    /// Turns an agent away that waited: its credential is revoked, or where others use that too, only its record is put
    /// away.
    pub(in crate::app) async fn refuse(&self, id: AgentId, entry: AuditEntry) -> Result<(), Error> {
        let first = self.snapshot_of(id)?.agent.registration.credential;
        let admitting = self.admissions.lock(first.0).await;
        let now = entry.at;
        let own = self.holds_alone(&self.snapshot_of(id)?.agent.registration);
        let died = if own {
            self.revoked_line(first, now)
        } else {
            Vec::new()
        };
        self.edit_registration_with(id, putting(&died), entry, |registration| {
            check_waits(registration)?;
            let conflict_with = match registration.standing {
                Standing::Conflict { with } => Some(with),
                Standing::Pending
                | Standing::Active
                | Standing::Archived { .. }
                | Standing::Revoked { .. } => None,
            };
            registration.standing = if own {
                Standing::Revoked { at: now }
            } else {
                Standing::Archived {
                    at: now,
                    conflict_with,
                }
            };
            Ok(())
        })
        .await?;
        self.bury(died);
        drop(admitting);
        self.say_goodbye(id, None, "it was refused", now);
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }

    /// Finds that an agent that waits is `into`, enrolled again: that record stays, with its labels, group and story, and
    /// takes over the newcomer's credential and uid. Its own credentials die, and the newcomer's record is put away.
    pub(in crate::app) async fn merge(
        &self,
        actor: &Actor,
        id: AgentId,
        into: AgentId,
        entry: AuditEntry,
    ) -> Result<(), Error> {
        let turn = self.turn_of(into, None).await;
        let _turn = turn.ok_or_else(|| Error::not_found("agent", &into))?;
        let credential_of =
            |id| -> Result<CredentialId, Error> { Ok(self.snapshot_of(id)?.agent.registration.credential) };
        let (new, old) = (credential_of(id)?, credential_of(into)?);
        let _admitting = self.admissions.lock_all([new.0, old.0]).await;
        let _writing = self.registrations.lock_all([id, into]).await;
        let (newcomer, known) = (self.snapshot_of(id)?.agent, self.snapshot_of(into)?.agent);
        let (newcomer, known) = (&newcomer.registration, &known.registration);
        self.check_merge(newcomer, known, (new, old))?;
        let now = entry.at;

        let moved: Vec<Credential> = self
            .identities
            .line(new)
            .iter()
            .map(|known| Credential {
                scope: Scope::One { agent: into },
                ..Credential::clone(known)
            })
            .collect();
        let died: Vec<Credential> = self
            .revoked_line(old, now)
            .into_iter()
            .map(|known| Credential {
                scope: Scope::One { agent: id },
                ..known
            })
            .collect();
        let mut heir = Registration {
            credential: new,
            offered_credential: newcomer.offered_credential,
            uid: newcomer.uid,
            replaced_uids: newcomer.replaced_uids.clone(),
            standing: Standing::Active,
            ..known.clone()
        };
        heir.origin.address.clone_from(&newcomer.origin.address);
        // Nothing is wanted of it: what the host ran before it joined goes on.
        if self.desired(&heir).config == Intent::Unmanaged {
            heir.own_target = newcomer.own_target;
        }
        let husk = Registration {
            credential: old,
            offered_credential: None,
            uid: None,
            replaced_uids: Vec::new(),
            own_target: None,
            standing: Standing::Archived {
                at: now,
                conflict_with: None,
            },
            ..newcomer.clone()
        };
        // What the one before had says nothing about this one; what failed on the host may fail again.
        let delivery = self.live.get(into).map(|live| Delivery {
            offered: None,
            acknowledged: None,
            applied: None,
            connection: None,
            ..live.agent.delivery.clone()
        });
        let delivery = delivery.unwrap_or_default();
        let mut batch = putting(&moved);
        for credential in &died {
            batch.put(&credential.id, credential);
        }
        batch.put(&into, &heir);
        batch.put(&into, &delivery);
        batch.put(&id, &husk);
        batch.audit(entry);
        self.store.commit(batch).await?;

        self.identities.trade((newcomer, &husk), (known, &heir));
        self.live.with(id, |live| {
            std::sync::Arc::make_mut(&mut live.agent).registration = husk;
        });
        self.live.with(into, |live| {
            live.pulse.sequence = None;
            live.contact = Contact::new(Transport::Http);
            let agent = std::sync::Arc::make_mut(&mut live.agent);
            agent.registration = heir;
            agent.reported.completeness = Completeness::Unknown;
            agent.delivery = delivery;
        });
        for credential in moved {
            let link = credential.id;
            self.identities.put_credential(credential);
            // It comes back at once, as the record that it is now.
            self.close_links(link, CloseReason::Stopping);
        }
        self.bury(died);
        self.say_goodbye(id, None, "it was found to be another agent", now);
        let by = actor.name.clone();
        self.happen(into, Happening::Merged { by, from: id }, now);
        self.announce_agent(into);
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }

    fn check_merge(
        &self,
        newcomer: &Registration,
        known: &Registration,
        (new, old): (CredentialId, CredentialId),
    ) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::Conflict(why.to_owned()));
        check_waits(newcomer)?;
        if (newcomer.credential, known.credential) != (new, old) {
            return refuse("somebody decided about one of them just now; look at it again");
        }
        if known.waits() {
            return refuse("the other agent waits for a decision itself; decide about that first");
        }
        if !self.holds_alone(newcomer) {
            return refuse(
                "its credential speaks for other agents too; enrol its host again with one of its own",
            );
        }
        if !self.holds_alone(known) {
            return refuse(
                "the credential of the other agent speaks for others too, so that it can't be exchanged",
            );
        }
        Ok(())
    }

    /// All credentials of the agent whose first is `first` as they are once they are revoked, but for those that are.
    fn revoked_line(&self, first: CredentialId, now: Timestamp) -> Vec<Credential> {
        let line = self.identities.line(first).into_iter();
        line.map(|known| {
            let state = match known.state {
                CredentialState::Revoked { at } => CredentialState::Revoked { at },
                CredentialState::Active | CredentialState::Quarantined { .. } => {
                    CredentialState::Revoked { at: now }
                }
            };
            Credential {
                state,
                ..Credential::clone(&known)
            }
        })
        .collect()
    }

    /// Takes credentials that were just revoked durably out of use.
    fn bury(&self, died: Vec<Credential>) {
        for credential in died {
            let id = credential.id;
            self.identities.put_credential(credential);
            self.close_links_of(id);
        }
    }
}

fn check_waits(registration: &Registration) -> Result<(), Error> {
    if registration.waits() {
        return Ok(());
    }
    Err(Error::Conflict("the agent doesn't wait for a decision".into()))
}

fn putting(credentials: &[Credential]) -> Batch {
    let mut batch = Batch::new();
    for credential in credentials {
        batch.put(&credential.id, credential);
    }
    batch
}
