//! A host that exchanges the credential in its own files, as the join script's `--rotate` does.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::app::changes::Topic;
use crate::app::error::Error;
use crate::app::identities::{Speaker, accepted, holder};
use crate::app::randomness::random;
use crate::auth::secret::{Secret, SecretKind};
use crate::fleet::identity::{Credential, CredentialState, Purpose, ROTATED_FOR};
use crate::fleet::ids::{AgentId, CredentialId};
use crate::store::{AuditEntry, Batch};

/// How many credentials that were made for a host's files may wait for their first use.
const WAITING: usize = 4;

/// What a host writes into its files in the place of what it had.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Rewritten {
    /// The agent's record.
    pub agent_id: AgentId,
    /// The new credential's id, which is not secret.
    pub credential_id: CredentialId,
    /// The new credential. Shown once.
    pub credential: String,
}

impl App {
    /// Makes a credential for the files of an agent's host. Until it is used the present one is good, too; at its first
    /// use all others of the agent die.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the credential speaks for many, isn't the present one, or too many wait already.
    pub async fn rewrite_credential(&self, speaker: &Speaker) -> Result<Rewritten, Error> {
        let refuse = |why: &str| Err(Error::Conflict(why.to_owned()));
        let Some(agent) = holder(&speaker.credential.scope) else {
            return refuse("this credential speaks for many agents; enrol each of them with one of its own");
        };
        let first = speaker.credential.first();
        let _admitting = self.admissions.lock(first.0).await;
        let Ok(present) = self.still_accepted(speaker) else {
            return Err(Error::Unauthenticated);
        };
        if !present.purpose.is_main() {
            return refuse("this credential isn't the present one of its agent; start the agent first");
        }
        let now = self.clock.now();
        let waiting = self.identities.line(first).into_iter().filter(|known| {
            let waits = matches!(known.purpose, Purpose::Candidate { .. });
            waits && known.is_kept() && accepted(known, now).is_ok()
        });
        if waiting.count() >= WAITING {
            return refuse(
                "several credentials were made for this host and never used; revoke some of them first",
            );
        }
        let secret = Secret::new(SecretKind::Agent, random()?);
        let made = Credential {
            id: CredentialId(random()?),
            secret_digest: Some(secret.digest()),
            state: CredentialState::Active,
            purpose: Purpose::Candidate {
                until: now.plus(ROTATED_FOR),
            },
            line: Some(first),
            salt: None,
            created_at: now,
            first_used_at: None,
            ..Credential::clone(&present)
        };
        let id = made.id;
        let mut batch = Batch::new();
        batch.put(&id, &made);
        batch.audit(AuditEntry {
            at: now,
            actor: format!("agent/{agent}"),
            action: "credential.rewrite".into(),
            object: format!("credential/{id}"),
            address: speaker.address.map(|address| address.to_canonical().to_string()),
            detail: "made for a file of its host".into(),
            ..AuditEntry::default()
        });
        self.store.commit(batch).await?;
        self.identities.put_credential(made);
        self.changes.announce(Topic::Enrolment);
        self.announce_agent(agent);
        Ok(Rewritten {
            agent_id: agent,
            credential_id: id,
            credential: secret.expose().to_owned(),
        })
    }
}
