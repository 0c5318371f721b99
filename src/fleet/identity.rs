//! Who may speak for which agent: credentials, and the admission of a message.
//!
//! A uid is a claim. A credential decides which records it may reach, and no message ever reads, makes or changes a
//! record of another credential.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::enrolment::Network;
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
    /// What it is good for, among those of its agent.
    #[serde(default)]
    pub purpose: Purpose,
    /// The first credential of its agent, which the record names; `None` for that one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<CredentialId>,
    /// What the secret was derived with, for a credential that reaches its agent by an offer; `None` for one that was
    /// shown at enrolment. Worth nothing without the key in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Digest>,
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
        /// Networks that its agents may come from; empty means any.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        networks: Vec<Network>,
        /// Whether an operator has to approve each of its agents.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_hand: bool,
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

/// What a credential is good for, among those of its agent. While one replaces another both are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "purpose")]
pub enum Purpose {
    /// Everything: the agent uses it.
    #[default]
    Main,
    /// Everything: it was made to be offered, and wasn't used yet. Its first use makes it the main one.
    Candidate {
        /// When it lapses, if it is never used.
        until: Timestamp,
    },
    /// Coming back: it was the main one before. It reaches its own record, is acknowledged, and gets the offer of the
    /// present one, for there are agents that keep what they are offered in memory alone.
    Recovery {
        /// Since when.
        since: Timestamp,
        /// When it lapses; `None` for one that may lie in a file of the host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
}

impl Admission {
    /// Whether the presented uid becomes a record's.
    #[must_use]
    pub fn takes_uid(self) -> bool {
        match self {
            Self::Bind(_) | Self::Rekey(_) | Self::Conflict(_) | Self::Join => true,
            Self::Known(_)
            | Self::BindAnother(_)
            | Self::TooEarly
            | Self::Foreign
            | Self::Full
            | Self::TooManyRekeys => false,
        }
    }
}

impl Purpose {
    /// Whether it is the main one.
    #[must_use]
    pub fn is_main(&self) -> bool {
        *self == Self::Main
    }

    /// Whether it is good for coming back only.
    #[must_use]
    pub fn is_recovery(&self) -> bool {
        matches!(self, Self::Recovery { .. })
    }

    /// When it lapses by itself.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Timestamp> {
        match self {
            Self::Main => None,
            Self::Candidate { until } => Some(*until),
            Self::Recovery { until, .. } => *until,
        }
    }
}

/// How long a credential waits for its first use, and how long one that came by an offer stays good for coming back.
pub const ROTATED_FOR: Duration = Duration::from_hours(24 * 30);

impl Scope {
    /// Whether an agent of it may come from `address`.
    #[must_use]
    pub fn reaches(&self, address: Option<std::net::IpAddr>) -> bool {
        match self {
            Self::One { .. } => true,
            Self::Many { networks, .. } => Network::admit(networks, address),
        }
    }
}

impl Credential {
    /// The credential as it may be shown: nothing of its secret.
    #[must_use]
    pub fn without_secret(self) -> Self {
        Self {
            secret_digest: None,
            salt: None,
            ..self
        }
    }

    /// The first credential of the agent: what its record names.
    #[must_use]
    pub fn first(&self) -> CredentialId {
        self.line.unwrap_or(self.id)
    }

    /// Whether it was made to lie in a file of its host, in the place of another: the agent keeps it, whatever happens.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.line.is_some() && self.salt.is_none()
    }

    /// Whether it dies when `other` of its line is used for the first time. Those that a kept one replaces do: nobody can
    /// come back with them but who should not have them.
    #[must_use]
    pub fn dies_with(&self, other: &Self) -> bool {
        let open = !matches!(self.state, CredentialState::Revoked { .. });
        open && self.id != other.id && other.is_kept()
    }

    /// Whether it has lapsed.
    #[must_use]
    pub fn is_lapsed(&self, now: Timestamp) -> bool {
        self.purpose.lapses_at().is_some_and(|at| now >= at)
    }

    /// What its purpose becomes when `other` of its line is used for the first time; `None` when it keeps its own. The one
    /// that is used is the main one from then on, and the main one before is good for coming back. Candidates stay: the
    /// agent may hold them and be about to use one.
    #[must_use]
    pub fn purpose_after(&self, other: CredentialId, now: Timestamp) -> Option<Purpose> {
        match self.purpose {
            _ if self.id == other => (!self.purpose.is_main()).then_some(Purpose::Main),
            Purpose::Main => Some(Purpose::Recovery {
                since: now,
                until: self.salt.map(|_| now.plus(ROTATED_FOR)),
            }),
            Purpose::Candidate { .. } | Purpose::Recovery { .. } => None,
        }
    }
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
    /// For scope `many`: how many records it has, beside archived ones.
    pub records: u32,
}

/// The record of a scope-`one` credential, as far as admission needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// It never bound a uid.
    Unbound,
    /// It has a uid, and its agent was heard of lately.
    Alive,
    /// It has a uid, and its agent was known before the server started and has had no time to come back.
    Awaited,
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
    /// Whether the record's agent is silent isn't known yet: the speaker is to come back later.
    TooEarly,
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
            Holder::Awaited => Admission::TooEarly,
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
            networks: Vec::new(),
            by_hand: false,
        }
    }

    #[test]
    fn a_first_use_makes_the_one_before_good_for_coming_back() {
        let now = Timestamp::from_seconds(5);
        let credential = |id: u8, purpose, salt| Credential {
            id: CredentialId([id; 16]),
            secret_digest: None,
            scope: ONE,
            state: CredentialState::Active,
            purpose,
            line: (id > 1).then_some(CredentialId([1; 16])),
            salt,
            created_at: now,
            first_used_at: None,
            token: None,
        };
        let candidate = Purpose::Candidate { until: now };
        let (second, salt) = (CredentialId([2; 16]), Some(Digest([0; 32])));
        assert_eq!(
            credential(2, candidate, salt).purpose_after(second, now),
            Some(Purpose::Main)
        );
        assert_eq!(credential(3, candidate, salt).purpose_after(second, now), None);
        // One from a file stays; one that came by an offer lapses.
        let recovery = |until| Some(Purpose::Recovery { since: now, until });
        assert_eq!(
            credential(1, Purpose::Main, None).purpose_after(second, now),
            recovery(None)
        );
        let lapses = recovery(Some(now.plus(ROTATED_FOR)));
        assert_eq!(
            credential(4, Purpose::Main, salt).purpose_after(second, now),
            lapses
        );
        assert_eq!(
            credential(2, Purpose::Main, salt).purpose_after(second, now),
            None
        );
        assert_eq!(credential(4, Purpose::Main, salt).first(), CredentialId([1; 16]));
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
        for holder in [Holder::Alive, Holder::Awaited, Holder::Silent { rekeyed: 0 }] {
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
    fn nobody_takes_over_a_record_whose_agent_had_no_time_to_come_back() {
        let awaited = Claim {
            holder: Holder::Awaited,
            ..UNKNOWN
        };
        assert_eq!(admit(&ONE, &awaited), Admission::TooEarly);
        let known = Claim {
            own: Some(AGENT),
            ..awaited
        };
        assert_eq!(admit(&ONE, &known), Admission::Known(AGENT));
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
