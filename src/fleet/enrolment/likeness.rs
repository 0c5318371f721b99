//! Whether a newcomer looks like an agent that is known already.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::agent::Agent;
use crate::fleet::ids::{CredentialId, InstanceUid};

/// By what one agent looks like another, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// Both use one credential.
    Credential,
    /// Both go by one `instance_uid`.
    Uid,
    /// Both say that they are on the machine with this id.
    HostId,
    /// Both go by one host name.
    HostName,
}

impl Likeness {
    /// What they have in common, as in "the same host name".
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Uid => "instance_uid",
            Self::HostId => "host id",
            Self::HostName => "host name",
        }
    }
}

/// What an agent can be recognised by. All of it is its own word, but for the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The first credential of its line.
    pub credential: Option<CredentialId>,
    /// The uid that it uses.
    pub uid: Option<InstanceUid>,
    /// Ids of its machine, as given at enrolment and as reported since.
    pub host_ids: Vec<String>,
    /// Names of its host, in small letters.
    pub hosts: Vec<String>,
}

impl Traits {
    /// Those of an agent.
    #[must_use]
    pub fn of(agent: &Agent) -> Self {
        let registration = &agent.registration;
        let origin = &registration.origin;
        let reported = agent.reported.description.as_ref();
        let host_id = reported.and_then(|packed| packed.unpack().fact("host.id"));
        let filled = |text: String| Some(text).filter(|text| !text.is_empty());
        let name = |text: &str| filled(text.to_lowercase());
        Self {
            credential: Some(registration.credential),
            uid: registration.uid,
            host_ids: host_id
                .into_iter()
                .chain([origin.host_id.clone()])
                .filter_map(filled)
                .collect(),
            hosts: [name(&origin.host), name(&agent.reported.host_name)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// By what it looks like `other`, the strongest; `None` when by nothing.
    #[must_use]
    pub fn like(&self, other: &Self) -> Option<Likeness> {
        let shared = |ours: &[String], theirs: &[String]| ours.iter().any(|our| theirs.contains(our));
        if self.credential.is_some() && self.credential == other.credential {
            Some(Likeness::Credential)
        } else if self.uid.is_some() && self.uid == other.uid {
            Some(Likeness::Uid)
        } else if shared(&self.host_ids, &other.host_ids) {
            Some(Likeness::HostId)
        } else if shared(&self.hosts, &other.hosts) {
            Some(Likeness::HostName)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(credential: u8, uid: Option<u8>, host_id: &str, host: &str) -> Traits {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Traits {
            credential: Some(CredentialId([credential; 16])),
            uid: uid.map(|uid| InstanceUid([uid; 16])),
            host_ids: filled(host_id).into_iter().collect(),
            hosts: filled(host).into_iter().collect(),
        }
    }

    #[test]
    fn the_strongest_thing_in_common_counts_and_what_nobody_says_is_nothing_in_common() {
        let known = traits(1, Some(1), "abc", "web-3");
        assert_eq!(traits(1, None, "", "").like(&known), Some(Likeness::Credential));
        assert_eq!(
            traits(2, Some(1), "abc", "web-3").like(&known),
            Some(Likeness::Uid)
        );
        assert_eq!(traits(2, None, "abc", "x").like(&known), Some(Likeness::HostId));
        assert_eq!(
            traits(2, None, "", "web-3").like(&known),
            Some(Likeness::HostName)
        );
        assert_eq!(traits(2, None, "", "").like(&traits(1, None, "", "")), None);
        assert!(Likeness::Credential < Likeness::HostName);
    }
}
