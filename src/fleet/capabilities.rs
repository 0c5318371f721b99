//! What an agent says it can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The bits of `AgentToServer.capabilities` as last stated. Bits that we don't know are kept and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Reports status.
    pub const REPORTS_STATUS: Self = Self(0x1);
    /// May be sent a remote configuration.
    pub const ACCEPTS_REMOTE_CONFIG: Self = Self(0x2);
    /// Reports its effective configuration.
    pub const REPORTS_EFFECTIVE_CONFIG: Self = Self(0x4);
    /// May be offered packages.
    pub const ACCEPTS_PACKAGES: Self = Self(0x8);
    /// Reports the state of its packages.
    pub const REPORTS_PACKAGE_STATUSES: Self = Self(0x10);
    /// May be offered a destination for its own traces.
    pub const REPORTS_OWN_TRACES: Self = Self(0x20);
    /// May be offered a destination for its own metrics.
    pub const REPORTS_OWN_METRICS: Self = Self(0x40);
    /// May be offered a destination for its own logs.
    pub const REPORTS_OWN_LOGS: Self = Self(0x80);
    /// May be offered settings of its OpAMP connection.
    pub const ACCEPTS_OPAMP_CONNECTION_SETTINGS: Self = Self(0x100);
    /// May be offered settings of other connections.
    pub const ACCEPTS_OTHER_CONNECTION_SETTINGS: Self = Self(0x200);
    /// May be told to restart.
    pub const ACCEPTS_RESTART_COMMAND: Self = Self(0x400);
    /// Reports health.
    pub const REPORTS_HEALTH: Self = Self(0x800);
    /// Reports what became of a remote configuration.
    pub const REPORTS_REMOTE_CONFIG: Self = Self(0x1000);
    /// Sends heartbeats.
    pub const REPORTS_HEARTBEAT: Self = Self(0x2000);
    /// Reports the components that it is built from.
    pub const REPORTS_AVAILABLE_COMPONENTS: Self = Self(0x4000);
    /// Reports what became of offered connection settings.
    pub const REPORTS_CONNECTION_SETTINGS_STATUS: Self = Self(0x8000);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The known capabilities that are set, in words, in the order of their bits.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        const WORDS: [&str; 16] = [
            "reports status",
            "accepts remote configuration",
            "reports effective configuration",
            "accepts packages",
            "reports package statuses",
            "reports own traces",
            "reports own metrics",
            "reports own logs",
            "accepts OpAMP connection settings",
            "accepts other connection settings",
            "accepts a restart",
            "reports health",
            "reports remote configuration status",
            "reports heartbeats",
            "reports available components",
            "reports connection settings status",
        ];
        WORDS
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, word)| *word)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_are_kept_and_mean_nothing() {
        let capabilities = Capabilities(1 << 40).with(Capabilities::ACCEPTS_REMOTE_CONFIG);
        assert!(capabilities.has(Capabilities::ACCEPTS_REMOTE_CONFIG));
        assert!(!capabilities.has(Capabilities::ACCEPTS_PACKAGES));
        assert_eq!(capabilities.words(), ["accepts remote configuration"]);
    }
}
