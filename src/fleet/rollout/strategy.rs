//! How a rollout goes about it: stages, how much may go wrong, and what follows when it does.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fleet::selector::Selector;

/// The most stages.
pub const MOST_STAGES: usize = 20;
/// The longest time that a strategy may state, in seconds: 30 days.
pub const LONGEST_SECONDS: u64 = 30 * 24 * 3600;

/// How a rollout goes about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
pub struct Strategy {
    /// The stages in their order; the last one takes everybody.
    pub stages: Vec<Stage>,
    /// Failed agents and agents that were given the new content and haven't proved it yet are never more than this.
    pub at_risk: Budget,
    /// Failures beyond these stop the rollout.
    pub tolerated_failures: Budget,
    /// What follows when it stops.
    pub on_failure: OnFailure,
    /// How long an agent that was given the new content may be silent, in seconds, before it counts as dark. Agents that
    /// poll may be silent five times as long.
    pub silence_seconds: u64,
    /// How long an agent may be unhealthy after it took the new content, in seconds, before it counts as failed.
    pub grace_seconds: u64,
}

/// A strategy as it may be written: in one line, or whole.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    /// `all at once`, or stages such as `1 for 3m; 10% for 1m; all`.
    Line(String),
    /// Everything by its name.
    Whole(Whole),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whole {
    /// The stages in their order; the last one takes everybody.
    stages: Vec<Stage>,
    /// Failed agents and agents that were given the new content and haven't proved it yet are never more than this.
    #[serde(default = "default_at_risk")]
    at_risk: Budget,
    /// Failures beyond these stop the rollout.
    #[serde(default)]
    tolerated_failures: Budget,
    /// What follows when it stops.
    #[serde(default)]
    on_failure: OnFailure,
    /// How long an agent that was given the new content may be silent, in seconds.
    #[serde(default = "default_silence")]
    silence_seconds: u64,
    /// How long an agent may be unhealthy after it took the new content, in seconds.
    #[serde(default = "default_grace")]
    grace_seconds: u64,
}

impl TryFrom<Written> for Strategy {
    type Error = ParseStrategyError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Line(line) => line.parse(),
            Written::Whole(whole) => Ok(Self {
                stages: whole.stages,
                at_risk: whole.at_risk,
                tolerated_failures: whole.tolerated_failures,
                on_failure: whole.on_failure,
                silence_seconds: whole.silence_seconds,
                grace_seconds: whole.grace_seconds,
            }),
        }
    }
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How far it goes, all stages before included.
    pub size: Size,
    /// How long each of its agents must stay well with the new content, in seconds.
    #[serde(default)]
    pub soak_seconds: u64,
    /// How long an agent may take to prove the new content, in seconds, before the rollout pauses.
    #[serde(default = "default_deadline")]
    pub deadline_seconds: u64,
}

/// How far a stage goes. Written as `5`, `10%`, `all`, or a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// Until so many agents are in it or in stages before.
    Count(u32),
    /// Until this share of all members is in it or in stages before.
    Percent(u8),
    /// The agents that this takes.
    Selector(Selector),
    /// Everybody.
    All,
}

/// A number of agents plus a share of them. Written as `2`, `5%` or `1+1%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Agents.
    pub agents: u32,
    /// And this percentage of all, rounded down.
    pub percent: u8,
}

/// What follows when more agents fail than tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Every agent is brought back to what it had.
    #[default]
    RollBack,
    /// Nothing more is released until somebody decides.
    Pause,
}

/// Why a strategy can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// No stage, or too many.
    #[error("a strategy has 1 to {MOST_STAGES} stages; this one has {0}")]
    Stages(usize),
    /// The last stage leaves somebody out.
    #[error("the last stage must take everybody: `all` or `100%`")]
    LeavesOut,
    /// A stage takes nobody.
    #[error("stage {0} takes nobody: a stage has at least 1 agent or 1 %")]
    Nobody(usize),
    /// A stage is not wider than one before.
    #[error("stage {0} is not wider than a stage before it")]
    Narrower(usize),
    /// Nobody may ever be at risk.
    #[error("at least one agent must be at risk, or nobody is ever given the new content")]
    NoRisk,
    /// A share above everything.
    #[error("a share has at most 100 %")]
    Share,
    /// A time that is too long.
    #[error("a time has at most 30 days")]
    TooLong,
}

/// A text that is not a strategy, size or budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseStrategyError {
    /// Not a size.
    #[error(
        "{0:?} is not how far a stage goes: write a number of agents, a share such as 10%, all, or a selector"
    )]
    Size(String),
    /// Not a budget.
    #[error("{0:?} is not a number of agents: write 2, 5% or 1+1%")]
    Budget(String),
    /// Not a time.
    #[error("{0:?} is not a time: write 90s, 5m or 2h")]
    Time(String),
    /// Can't be.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
}

fn default_at_risk() -> Budget {
    Budget {
        agents: 1,
        percent: 1,
    }
}
fn default_silence() -> u64 {
    120
}
fn default_grace() -> u64 {
    30
}
fn default_deadline() -> u64 {
    15 * 60
}

impl Strategy {
    /// What a group without a strategy of its own gets: one agent, then a tenth, half, and everybody; for a group of one
    /// everybody at once.
    #[must_use]
    pub fn default_for(members: usize) -> Self {
        if members <= 1 {
            return Self::all_at_once();
        }
        let stage = |size, soak_seconds| Stage {
            soak_seconds,
            ..Stage::of(size)
        };
        Self::of(vec![
            stage(Size::Count(1), 180),
            stage(Size::Percent(10), 60),
            stage(Size::Percent(50), 60),
            stage(Size::All, 60),
        ])
    }

    /// Everybody at once: nobody is held back. Agents that fail are brought back one by one, the others go on.
    #[must_use]
    pub fn all_at_once() -> Self {
        let everybody = Budget {
            agents: 0,
            percent: 100,
        };
        Self {
            at_risk: everybody,
            tolerated_failures: everybody,
            ..Self::of(vec![Stage::of(Size::All)])
        }
    }

    /// These stages, and everything else as it is by default.
    #[must_use]
    pub fn of(stages: Vec<Stage>) -> Self {
        Self {
            stages,
            at_risk: default_at_risk(),
            tolerated_failures: Budget::default(),
            on_failure: OnFailure::default(),
            silence_seconds: default_silence(),
            grace_seconds: default_grace(),
        }
    }

    /// Whether it holds nobody back.
    #[must_use]
    pub fn is_all_at_once(&self) -> bool {
        let [only] = self.stages.as_slice() else {
            return false;
        };
        only.size.is_everybody() && self.at_risk.percent >= 100 && self.tolerated_failures.percent >= 100
    }

    /// Whether a strategy may be like this.
    ///
    /// # Errors
    /// [`StrategyError`] says what must change.
    pub fn check(&self) -> Result<(), StrategyError> {
        if self.stages.is_empty() || self.stages.len() > MOST_STAGES {
            return Err(StrategyError::Stages(self.stages.len()));
        }
        if !self.stages.last().is_some_and(|stage| stage.size.is_everybody()) {
            return Err(StrategyError::LeavesOut);
        }
        let (mut count, mut percent) = (0, 0);
        for (number, stage) in (1..).zip(&self.stages) {
            match stage.size {
                Size::Count(0) | Size::Percent(0) => return Err(StrategyError::Nobody(number)),
                Size::Count(agents) if agents <= count => return Err(StrategyError::Narrower(number)),
                Size::Percent(share) if share <= percent => return Err(StrategyError::Narrower(number)),
                Size::Percent(share) if share > 100 => return Err(StrategyError::Share),
                Size::Count(agents) => count = agents,
                Size::Percent(share) => percent = share,
                Size::All => percent = 100,
                Size::Selector(_) => {}
            }
            if stage.soak_seconds.max(stage.deadline_seconds) > LONGEST_SECONDS {
                return Err(StrategyError::TooLong);
            }
        }
        if self.silence_seconds.max(self.grace_seconds) > LONGEST_SECONDS {
            return Err(StrategyError::TooLong);
        }
        if self.at_risk == Budget::default() {
            return Err(StrategyError::NoRisk);
        }
        if self.at_risk.percent.max(self.tolerated_failures.percent) > 100 {
            return Err(StrategyError::Share);
        }
        Ok(())
    }

    /// How long an agent of that transport may be silent.
    pub(super) fn silence(&self, polls: bool) -> Duration {
        const POLLING: u64 = 5;
        let times = if polls { POLLING } else { 1 };
        Duration::from_secs(self.silence_seconds.saturating_mul(times))
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

impl Stage {
    /// A stage that goes so far, without a soak and with the usual deadline.
    #[must_use]
    pub fn of(size: Size) -> Self {
        Self {
            size,
            soak_seconds: 0,
            deadline_seconds: default_deadline(),
        }
    }

    /// How long each of its agents must stay well.
    #[must_use]
    pub fn soak(&self) -> Duration {
        Duration::from_secs(self.soak_seconds)
    }

    /// How long an agent may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds)
    }
}

impl Size {
    fn is_everybody(&self) -> bool {
        matches!(self, Self::All | Self::Percent(100..))
    }
}

impl Budget {
    /// What it comes to for so many members.
    #[must_use]
    pub fn of(self, members: u32) -> u32 {
        let share = u64::from(members) * u64::from(self.percent) / 100;
        self.agents
            .saturating_add(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

/// The strategy in one line, as [`Strategy::from_str`] reads it; budgets and times are not in it.
impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all_at_once() {
            return f.write_str("all at once");
        }
        for (at, stage) in self.stages.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{}", stage.size)?;
            if stage.soak_seconds > 0 {
                write!(f, " for {}", Time(stage.soak_seconds))?;
            }
        }
        Ok(())
    }
}

/// Reads `all at once`, or stages such as `1 for 3m; 10% for 1m; all`: how far each goes and how long its agents must stay
/// well. What isn't said is as it is by default.
impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if ["all at once", "all-at-once", "all_at_once"].contains(&text) {
            return Ok(Self::all_at_once());
        }
        let mut stages = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (size, soak) = match part.rsplit_once(" for ") {
                Some((size, time)) => (size, time.parse::<Time>()?.0),
                None => (part, 0),
            };
            stages.push(Stage {
                soak_seconds: soak,
                ..Stage::of(size.parse()?)
            });
        }
        let strategy = Self::of(stages);
        strategy.check()?;
        Ok(strategy)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(agents) => write!(f, "{agents}"),
            Self::Percent(share) => write!(f, "{share}%"),
            Self::Selector(selector) => write!(f, "{selector}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Size {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let wrong = || ParseStrategyError::Size(text.to_owned());
        if ["all", "*"].contains(&text) {
            return Ok(Self::All);
        }
        if let Some(share) = text.strip_suffix('%') {
            return share.trim().parse().map(Self::Percent).map_err(|_| wrong());
        }
        if text.chars().all(|letter| letter.is_ascii_digit()) {
            return text.parse().map(Self::Count).map_err(|_| wrong());
        }
        text.parse().map(Self::Selector).map_err(|_| wrong())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.agents, self.percent) {
            (agents, 0) => write!(f, "{agents}"),
            (0, percent) => write!(f, "{percent}%"),
            (agents, percent) => write!(f, "{agents}+{percent}%"),
        }
    }
}

impl FromStr for Budget {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseStrategyError::Budget(text.to_owned());
        let number = |part: &str| part.trim().parse::<u32>().map_err(|_| wrong());
        let share = |part: &str| {
            let part = part.trim().strip_suffix('%').ok_or_else(wrong)?;
            let share: u8 = part.trim().parse().map_err(|_| wrong())?;
            if share > 100 {
                return Err(wrong());
            }
            Ok(share)
        };
        match text.split_once('+') {
            Some((agents, percent)) => Ok(Self {
                agents: number(agents)?,
                percent: share(percent)?,
            }),
            None if text.trim().ends_with('%') => Ok(Self {
                agents: 0,
                percent: share(text)?,
            }),
            None => Ok(Self {
                agents: number(text)?,
                percent: 0,
            }),
        }
    }
}

/// Seconds as people write them: `90s`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds > 0 && seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
            seconds if seconds > 0 && seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

impl FromStr for Time {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseStrategyError::Time(text.to_owned());
        let text = text.trim();
        let (number, times) = match text.strip_suffix(['s', 'm', 'h']) {
            Some(number) if text.ends_with('m') => (number, 60),
            Some(number) if text.ends_with('h') => (number, 3600),
            Some(number) => (number, 1),
            None => return Err(wrong()),
        };
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(times).map(Self).ok_or_else(wrong)
    }
}

macro_rules! text {
    ($name:ident, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'_, str>::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": $pattern})
            }
        }
    };
}
text!(
    Size,
    "a number of agents, a share such as 10%, all, or a selector"
);
text!(
    Budget,
    "a number of agents, a share of them such as 5%, or both as in 1+1%"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_in_one_line_is_read_back() {
        for text in [
            "all at once",
            "1 for 3m; 10% for 1m; 50% for 1m; all for 1m",
            "label.env = test, exists label.a for 90s; all",
            "2; 100%",
        ] {
            let strategy: Strategy = text.parse().unwrap();
            assert_eq!(strategy.to_string(), text);
            let json = serde_json::to_string(&strategy).unwrap();
            assert_eq!(serde_json::from_str::<Strategy>(&json).unwrap(), strategy);
        }
        assert_eq!(
            Strategy::default_for(2).to_string(),
            "1 for 3m; 10% for 1m; 50% for 1m; all for 1m"
        );
        assert!(Strategy::default_for(1).is_all_at_once());
    }

    #[test]
    fn a_strategy_that_leaves_somebody_out_or_shrinks_is_refused() {
        let refused = |text: &str| match text.parse::<Strategy>() {
            Err(ParseStrategyError::Strategy(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("1; 10%"), StrategyError::LeavesOut);
        assert_eq!(refused("10%; 5%; all"), StrategyError::Narrower(2));
        assert_eq!(refused("0; all"), StrategyError::Nobody(1));
        assert_eq!(refused(""), StrategyError::Stages(0));
        assert!("1 for ever; all".parse::<Strategy>().is_err());
    }

    #[test]
    fn a_budget_is_agents_plus_a_share_rounded_down() {
        let budget: Budget = "1+1%".parse().unwrap();
        assert_eq!([1, 99, 100, 1000].map(|n| budget.of(n)), [1, 1, 2, 11]);
        for text in ["0", "3", "5%", "1+1%"] {
            assert_eq!(text.parse::<Budget>().unwrap().to_string(), text);
        }
        assert!("120%".parse::<Budget>().is_err() && "many".parse::<Budget>().is_err());
    }
}
