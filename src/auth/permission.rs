//! The permission table: the only place that says which role may do what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can be permitted. Every route and every use case names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Look at the fleet: agents, groups, configs, their state.
    ViewFleet,
    /// Look at configurations as agents report them, which may hold secrets.
    ViewEffectiveConfig,
    /// Label, rename, hold, detach, archive agents; restart them. Labels that move an agent to another group take
    /// `publish` besides.
    OperateAgents,
    /// Make and edit groups.
    EditGroups,
    /// Make configs and revisions.
    EditConfigs,
    /// Set and delete secrets.
    ManageSecrets,
    /// Publish a revision to a group or an agent: what reaches hosts.
    Publish,
    /// Approve or reject what somebody else published to a protected group.
    Approve,
    /// Make and withdraw enrolment tokens.
    EnrolAgents,
    /// Revoke and release agents' credentials.
    RevokeAgents,
    /// Weaken the protection of a group, and move agents into protected groups and out of them.
    Unprotect,
    /// Look at the audit log.
    ViewAudit,
    /// Manage accounts of others and everybody's API tokens.
    ManageAccounts,
    /// Look at and change the server itself.
    ManageSystem,
    /// Change one's own password, sessions and API tokens.
    OwnAccount,
}

/// The roles, each with all that the one before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Edits; what it edits reaches nobody.
    Operator,
    /// Publishes.
    Deployer,
    /// Everything.
    Admin,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 15] = [
        Self::ViewFleet,
        Self::ViewEffectiveConfig,
        Self::OperateAgents,
        Self::EditGroups,
        Self::EditConfigs,
        Self::ManageSecrets,
        Self::Publish,
        Self::Approve,
        Self::EnrolAgents,
        Self::RevokeAgents,
        Self::Unprotect,
        Self::ViewAudit,
        Self::ManageAccounts,
        Self::ManageSystem,
        Self::OwnAccount,
    ];

    /// The least role that may do it.
    #[must_use]
    pub fn least_role(self) -> Role {
        match self {
            Self::ViewFleet | Self::OwnAccount => Role::Viewer,
            Self::ViewEffectiveConfig | Self::OperateAgents | Self::EditConfigs => Role::Operator,
            Self::EditGroups | Self::ManageSecrets | Self::Publish | Self::Approve | Self::EnrolAgents => {
                Role::Deployer
            }
            Self::RevokeAgents
            | Self::Unprotect
            | Self::ViewAudit
            | Self::ManageAccounts
            | Self::ManageSystem => Role::Admin,
        }
    }
}

impl Role {
    /// All roles, each with all that the one before may.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Deployer, Self::Admin];

    /// The role with that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whether the role may do it.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        self >= permission.least_role()
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_changes_nothing_and_only_a_deployer_reaches_hosts() {
        let may = |role: Role| {
            Permission::ALL
                .into_iter()
                .filter(move |p| role.may(*p))
                .collect::<Vec<_>>()
        };
        assert_eq!(may(Role::Viewer), [Permission::ViewFleet, Permission::OwnAccount]);
        assert!(!Role::Operator.may(Permission::Publish));
        assert!(Role::Deployer.may(Permission::Publish));
        assert_eq!(may(Role::Admin).len(), Permission::ALL.len());
        assert_eq!(Role::of_word("deployer"), Some(Role::Deployer));
    }
}
