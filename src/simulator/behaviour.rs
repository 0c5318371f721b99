//! What agents do with a configuration, and how many of them do what.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What an agent does with a configuration that it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Applies it, unless its text contains `FAIL`.
    Healthy,
    /// Reports that it failed.
    Fails,
    /// Applies it after some time, 20 seconds if nothing else is said.
    Slow,
    /// Applies it, says so, and is never heard of again; the connection stays open.
    Dark,
    /// Breaks off while applying it, starts again, and runs what it ran before.
    Crashes,
    /// Applies it, says so, and is unhealthy.
    Lies,
    /// Breaks off while applying it and comes back long after, with what it ran before.
    Vanishes,
    /// Applies it, and its health turns all the time.
    Flaps,
    /// Applies it, and becomes unhealthy some time after.
    Dies,
    /// Applies it, and asks for another uid.
    Rekeys,
    /// Takes what it is first offered, is then away for some time, and well.
    Offline,
}

/// What the agents of a simulation have in common in how they behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temper {
    /// Only contents with these letters bring their behaviour out; they take others well. `None`: all contents do.
    pub only_with: Option<String>,
    /// How long a slow agent takes.
    pub slow_by: Duration,
    /// After what time an agent that dies does.
    pub dies_after: Duration,
    /// How long agents are away that vanish or are offline.
    pub away: Duration,
}

impl Default for Temper {
    fn default() -> Self {
        Self {
            only_with: None,
            slow_by: Duration::from_secs(20),
            dies_after: Duration::from_mins(3),
            away: Duration::from_mins(5),
        }
    }
}

impl Behaviour {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Healthy, "healthy"),
        (Self::Fails, "fails"),
        (Self::Slow, "slow"),
        (Self::Dark, "dark"),
        (Self::Crashes, "crashes"),
        (Self::Lies, "lies"),
        (Self::Vanishes, "vanishes"),
        (Self::Flaps, "flaps"),
        (Self::Dies, "dies"),
        (Self::Rekeys, "rekeys"),
        (Self::Offline, "offline"),
    ];
}

/// Weights of behaviours, written as `healthy=90,fails=5,slow=5`. Where they add up to the number of agents, they are
/// numbers of agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(Vec<(Behaviour, u32)>);

/// Why a text is no mix of behaviours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// Not of the form `name=number`.
    #[error("{0:?} is not a behaviour with its weight, such as fails=5")]
    Form(String),
    /// No such behaviour.
    #[error(
        "there is no behaviour {0:?}; there are healthy, fails, slow, dark, crashes, lies, vanishes, flaps, \
             dies, rekeys and offline"
    )]
    Unknown(String),
    /// All weights are 0.
    #[error("at least one behaviour needs a weight above 0")]
    Empty,
}

impl Default for Mix {
    fn default() -> Self {
        Self(vec![(Behaviour::Healthy, 1)])
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut weights = Vec::new();
        for part in text.split(',').map(str::trim) {
            let form = || MixError::Form(part.to_owned());
            let (name, weight) = part.split_once('=').ok_or_else(form)?;
            let weight: u32 = weight.trim().parse().map_err(|_| form())?;
            let known = Behaviour::ALL.iter().find(|(_, known)| *known == name.trim());
            let (behaviour, _) = known.ok_or_else(|| MixError::Unknown(name.trim().to_owned()))?;
            weights.push((*behaviour, weight));
        }
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err(MixError::Empty);
        }
        Ok(Self(weights))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (behaviour, weight)) in self.0.iter().enumerate() {
            let word = Behaviour::ALL.iter().find(|(known, _)| known == behaviour);
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}={weight}", word.map_or("", |(_, word)| word))?;
        }
        Ok(())
    }
}

impl Mix {
    /// The behaviours of `agents` agents: as near to the weights as whole agents allow, in an order that `random` decides.
    #[must_use]
    pub fn deal(&self, agents: usize, random: &mut fastrand::Rng) -> Vec<Behaviour> {
        let sum: u64 = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut dealt = Vec::with_capacity(agents);
        let mut weight_so_far = 0;
        for (behaviour, weight) in &self.0 {
            // Cutting at the running sum leaves nobody out and rounds each share by less than one agent.
            weight_so_far += u64::from(*weight);
            let until = (agents as u64 * weight_so_far + sum / 2) / sum.max(1);
            dealt.resize(usize::try_from(until).unwrap_or(agents), *behaviour);
        }
        random.shuffle(&mut dealt);
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(dealt: &[Behaviour], wanted: Behaviour) -> usize {
        dealt.iter().filter(|behaviour| **behaviour == wanted).count()
    }

    #[test]
    fn weights_become_shares_and_weights_that_add_up_become_counts() {
        let mix: Mix = "healthy=90, fails=5,slow=3,dark=1,crashes=1".parse().unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        let hundred = mix.deal(100, &mut random);
        let counts = Behaviour::ALL.map(|(behaviour, _)| count(&hundred, behaviour));
        assert_eq!(counts, [90, 5, 3, 1, 1, 0, 0, 0, 0, 0, 0]);
        let many = mix.deal(20_001, &mut random);
        assert_eq!(many.len(), 20_001);
        assert!(count(&many, Behaviour::Fails).abs_diff(1000) <= 1);
        assert!(mix.deal(3, &mut random).len() == 3 && mix.deal(0, &mut random).is_empty());
        assert_eq!(mix.to_string().parse(), Ok(mix));
    }

    #[test]
    fn the_same_seed_deals_the_same() {
        let mix: Mix = "healthy=1,slow=1".parse().unwrap();
        let deal = |seed| mix.deal(50, &mut fastrand::Rng::with_seed(seed));
        assert_eq!(deal(4), deal(4));
        assert_ne!(deal(4), deal(5));
    }

    #[test]
    fn a_wrong_mix_is_refused_with_the_reason() {
        assert!(matches!("healthy".parse::<Mix>(), Err(MixError::Form(_))));
        assert!(matches!("lazy=1".parse::<Mix>(), Err(MixError::Unknown(_))));
        assert_eq!("dark=0".parse::<Mix>(), Err(MixError::Empty));
    }
}
