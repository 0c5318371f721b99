//! The tokens with which agents enrol: making, listing and withdrawing them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::app::audit_entry;
use crate::app::changes::Topic;
use crate::app::error::Error;
use crate::app::randomness::random;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::auth::secret::{Secret, SecretKind};
use crate::fleet::enrolment::{EnrolmentToken, Grants, Network};
use crate::fleet::ids::EnrolmentTokenId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;
use crate::store::{AuditEntry, Batch};

/// What an enrolment token is to be like.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewEnrolmentToken {
    /// What it is for.
    pub note: String,
    /// How often it may be used; 1 when not stated.
    pub uses: Option<u32>,
    /// How long it works, in seconds; an hour when not stated.
    pub valid_seconds: Option<u64>,
    /// For a gateway or pool: the most agents behind one credential. Not stated: each use enrols one agent.
    pub many: Option<u32>,
    /// Labels of its agents.
    pub labels: BTreeMap<String, String>,
    /// The group of its agents.
    pub group: Option<Name>,
    /// Networks that it may be used from, as CIDR; none means any.
    pub networks: Vec<String>,
    /// Whether an operator has to approve each of its agents before that is given anything.
    pub by_hand: bool,
}

/// A token that was just made: the only time that its secret is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MadeEnrolmentToken {
    /// The secret.
    pub secret: String,
    /// The token.
    pub token: EnrolmentToken,
}

const MOST_USES: u32 = 100_000;
const LONGEST_VALIDITY: Duration = Duration::from_hours(24 * 365);

impl App {
    /// Makes an enrolment token.
    ///
    /// # Errors
    /// When the actor may not, or the wish makes no sense.
    pub async fn create_enrolment_token(
        &self,
        actor: &Actor,
        wish: NewEnrolmentToken,
    ) -> Result<MadeEnrolmentToken, Error> {
        actor.may(Permission::EnrolAgents)?;
        let now = self.clock.now();
        let token = self.check_token(actor, wish, now)?;
        let secret = Secret::new(SecretKind::Enrolment, random()?);
        let token = EnrolmentToken {
            secret_digest: secret.digest(),
            ..token
        };
        let mut batch = Batch::new();
        batch.put(&token.id, &token);
        batch.audit(AuditEntry {
            detail: format!("{} uses, until {}", token.uses_allowed, token.expires_at),
            ..audit_entry(
                actor,
                "enrolment_token.create",
                format!("enrolment-token/{}", token.id),
                now,
            )
        });
        self.store.commit(batch).await?;
        self.tokens.put(token.clone());
        self.changes.announce(Topic::Enrolment);
        Ok(MadeEnrolmentToken {
            secret: secret.expose().to_owned(),
            token: token.without_secret(),
        })
    }

    fn check_token(
        &self,
        actor: &Actor,
        wish: NewEnrolmentToken,
        now: Timestamp,
    ) -> Result<EnrolmentToken, Error> {
        let uses_allowed = wish.uses.unwrap_or(1);
        if uses_allowed == 0 || uses_allowed > MOST_USES {
            return Err(Error::invalid(
                "uses",
                format!("a token has between 1 and {MOST_USES} uses"),
            ));
        }
        let validity = wish
            .valid_seconds
            .map_or(Duration::from_hours(1), Duration::from_secs);
        if validity.is_zero() || validity > LONGEST_VALIDITY {
            return Err(Error::invalid(
                "valid_seconds",
                "a token is valid for between a second and a year",
            ));
        }
        let grants = match wish.many {
            None => Grants::One,
            Some(0) => return Err(Error::invalid("many", "a gateway or pool has at least one agent")),
            Some(maximum) => Grants::Many { maximum },
        };
        if let Some(group) = &wish.group
            && !self.intentions.has_group(group)
        {
            return Err(Error::invalid(
                "group",
                format!("there is no group {group:?}; make it first"),
            ));
        }
        check_labels(&wish.labels)?;
        let networks = wish.networks.iter().filter(|text| !text.trim().is_empty());
        let networks: Result<Vec<Network>, _> = networks.map(|text| text.trim().parse()).collect();
        Ok(EnrolmentToken {
            id: EnrolmentTokenId(random()?),
            secret_digest: crate::fleet::hash::Digest([0; 32]),
            note: wish.note.chars().take(200).collect(),
            grants,
            uses_allowed,
            uses: 0,
            expires_at: now.plus(validity),
            labels: wish.labels,
            group: wish.group,
            networks: networks.map_err(|error| Error::invalid("networks", error.to_string()))?,
            by_hand: wish.by_hand,
            created_by: actor.name.clone(),
            created_at: now,
            withdrawn_at: None,
        })
    }

    /// All enrolment tokens, newest first.
    ///
    /// # Errors
    /// When the actor may not.
    pub fn enrolment_tokens(&self, actor: &Actor) -> Result<Vec<EnrolmentToken>, Error> {
        actor.may(Permission::EnrolAgents)?;
        let tokens = self.tokens.all().into_iter();
        let mut tokens: Vec<_> = tokens.map(EnrolmentToken::without_secret).collect();
        tokens.sort_by_key(|token| std::cmp::Reverse((token.created_at, token.id)));
        Ok(tokens)
    }

    /// Withdraws an enrolment token. Agents that it let in stay.
    ///
    /// # Errors
    /// When the actor may not, or there is none.
    pub async fn withdraw_enrolment_token(&self, actor: &Actor, id: EnrolmentTokenId) -> Result<(), Error> {
        actor.may(Permission::EnrolAgents)?;
        let _writing = self.enrolments.lock(id).await;
        let token = self
            .tokens
            .get(id)
            .ok_or_else(|| Error::not_found("enrolment token", &id))?;
        let now = self.clock.now();
        let token = EnrolmentToken {
            withdrawn_at: token.withdrawn_at.or(Some(now)),
            ..token
        };
        let mut batch = Batch::new();
        batch.vital().put(&id, &token);
        batch.audit(audit_entry(
            actor,
            "enrolment_token.withdraw",
            format!("enrolment-token/{id}"),
            now,
        ));
        self.store.commit(batch).await?;
        self.tokens.put(token);
        self.changes.announce(Topic::Enrolment);
        Ok(())
    }
}

/// Whether labels can be put on an agent.
///
/// # Errors
/// What is wrong with the first that can't.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Error> {
    const MOST: usize = 64;
    if labels.len() > MOST {
        return Err(Error::invalid(
            "labels",
            format!("an agent has at most {MOST} labels"),
        ));
    }
    for (key, value) in labels {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if key.is_empty() || key.len() > 64 || !key.chars().all(fits) {
            let why = format!("{key:?} is no label key: 1 to 64 letters, digits, '-', '_', '.' or '/'");
            return Err(Error::invalid("labels", why));
        }
        if value.len() > 256 || value.chars().any(char::is_control) {
            let why =
                format!("the value of {key:?} is too long or has control characters: at most 256 bytes");
            return Err(Error::invalid("labels", why));
        }
    }
    Ok(())
}
