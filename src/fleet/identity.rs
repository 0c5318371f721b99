//! Who may speak for which agent: credentials, and the admission of a message.
//!
//! A uid is a claim. A credential decides which records it may reach, and no message ever reads, makes or changes a
//! record of another credential.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::hash::Digest;
use crate::fleet::ids::{AgentId, CredentialId, EnrolmentTokenId};
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// What agents authenticate with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credential {
    /// Its identity.
    pub id: CredentialId,
    /// The digest of the secret; the secret itself is nowhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret_digest: Option<Digest>,
    /// How many agents it speaks for.
    pub scope: Scope,
    /// Whether it is accepted.
    pub state: CredentialState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was first used successfully; `None` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_used_at: Option<Timestamp>,
    /// The enrolment token that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<EnrolmentTokenId>,
}

/// How many agents a credential speaks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "scope")]
pub enum Scope {
    /// One agent, whose record was made with it.
    One {
        /// That agent.
        agent: AgentId,
    },
    /// A gateway or a pool: every unknown uid makes a record, up to a maximum.
    Many {
        /// The most records that it may make.
        maximum: u32,
        /// Labels of the records that it makes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        /// The group of the records that it makes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<Name>,
        /// What people call the gateway or pool.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
    },
}

/// Whether a credential is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CredentialState {
    /// Yes.
    Active,
    /// Never again.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
    /// Not until an operator releases it: it kept presenting uids of others.
    Quarantined {
        /// Since when.
        at: Timestamp,
    },
}

/// What is known when a credential presents a uid.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The record of this credential that uses the uid now, or that we took it from by assigning another.
    pub own: Option<AgentId>,
    /// Whether a record of another credential uses the uid.
    pub foreign: bool,
    /// For scope `one`: the state of its record.
    pub holder: Holder,
    /// For scope `many`: how many records it has.
    pub records: u32,
}

/// The record of a scope-`one` credential, as far as admission needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// It never bound a uid.
    Unbound,
    /// It has a uid, and its agent was heard of lately.
    Alive,
    /// It has a uid, and its agent is silent; so often was it re-keyed in the last hour.
    Silent {
        /// Re-keyings in the last hour.
        rekeyed: usize,
    },
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is this agent's.
    Known(AgentId),
    /// The first uid of this record binds.
    Bind(AgentId),
    /// The record is fresh and the presented uid is somebody else's (a cloned image): it gets a uid of its own.
    BindAnother(AgentId),
    /// The record's agent is silent and comes back with another uid.
    Rekey(AgentId),
    /// A second agent uses the credential of one that is alive: a record of its own, in conflict.
    Conflict(AgentId),
    /// A new agent of a gateway or pool.
    Join,
    /// The uid belongs to another credential's record: refused, audited, a strike.
    Foreign,
    /// The gateway or pool is full.
    Full,
    /// The record is re-keyed too often.
    TooManyRekeys,
}

/// How often a record may change its uid in an hour.
pub const REKEYS_PER_HOUR: usize = 5;
/// How many foreign uids a credential may present before it is quarantined.
pub const STRIKES: usize = 3;
/// Within what time they count.
pub const STRIKE_WINDOW: Duration = Duration::from_mins(10);

/// Decides whose message it is.
#[must_use]
pub fn admit(scope: &Scope, claim: &Claim) -> Admission {
    if let Some(agent) = claim.own {
        return Admission::Known(agent);
    }
    match scope {
        Scope::One { agent } => match claim.holder {
            Holder::Unbound if claim.foreign => Admission::BindAnother(*agent),
            Holder::Unbound => Admission::Bind(*agent),
            _ if claim.foreign => Admission::Foreign,
            Holder::Alive => Admission::Conflict(*agent),
            Holder::Silent { rekeyed } if rekeyed >= REKEYS_PER_HOUR => Admission::TooManyRekeys,
            Holder::Silent { .. } => Admission::Rekey(*agent),
        },
        Scope::Many { .. } if claim.foreign => Admission::Foreign,
        Scope::Many { maximum, .. } if claim.records >= *maximum => Admission::Full,
        Scope::Many { .. } => Admission::Join,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: AgentId = AgentId([1; 16]);
    const ONE: Scope = Scope::One { agent: AGENT };
    const UNKNOWN: Claim = Claim {
        own: None,
        foreign: false,
        holder: Holder::Unbound,
        records: 0,
    };

    fn many(maximum: u32) -> Scope {
        Scope::Many {
            maximum,
            labels: BTreeMap::new(),
            group: None,
            name: String::new(),
        }
    }

    #[test]
    fn the_first_uid_binds_and_a_cloned_image_gets_another() {
        assert_eq!(admit(&ONE, &UNKNOWN), Admission::Bind(AGENT));
        assert_eq!(
            admit(
                &ONE,
                &Claim {
                    foreign: true,
                    ..UNKNOWN
                }
            ),
            Admission::BindAnother(AGENT)
        );
    }

    #[test]
    fn a_bound_credential_never_reaches_a_foreign_uid() {
        for holder in [Holder::Alive, Holder::Silent { rekeyed: 0 }] {
            assert_eq!(
                admit(
                    &ONE,
                    &Claim {
                        foreign: true,
                        holder,
                        ..UNKNOWN
                    }
                ),
                Admission::Foreign
            );
        }
        assert_eq!(
            admit(
                &many(5),
                &Claim {
                    foreign: true,
                    ..UNKNOWN
                }
            ),
            Admission::Foreign
        );
    }

    #[test]
    fn an_unknown_uid_re_keys_a_silent_record_and_conflicts_with_a_living_one() {
        let silent = |rekeyed| Claim {
            holder: Holder::Silent { rekeyed },
            ..UNKNOWN
        };
        assert_eq!(admit(&ONE, &silent(0)), Admission::Rekey(AGENT));
        assert_eq!(admit(&ONE, &silent(REKEYS_PER_HOUR)), Admission::TooManyRekeys);
        assert_eq!(
            admit(
                &ONE,
                &Claim {
                    holder: Holder::Alive,
                    ..UNKNOWN
                }
            ),
            Admission::Conflict(AGENT)
        );
    }

    #[test]
    fn a_pool_takes_unknown_uids_up_to_its_maximum() {
        assert_eq!(
            admit(
                &many(2),
                &Claim {
                    records: 1,
                    ..UNKNOWN
                }
            ),
            Admission::Join
        );
        assert_eq!(
            admit(
                &many(2),
                &Claim {
                    records: 2,
                    ..UNKNOWN
                }
            ),
            Admission::Full
        );
    }
}
