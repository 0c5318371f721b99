//! Why something is decided, and for how long.

use std::time::Duration;

use crate::app::clock::Clock;
use crate::app::terms::OnTerms;

/// On which terms.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Terms {
    /// Why; others see it
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// When it ends by itself, such as 30m, 4h or 7d [default: when somebody ends it]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Length>,
}

/// A length of time with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length(Duration);

impl std::str::FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a time is written like 30m, 4h or 7d".to_owned();
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        if let Some(days) = days.filter(|days| *days > 0) {
            return Ok(Self(Duration::from_hours(u64::from(days) * 24)));
        }
        let length: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        match Duration::try_from(length) {
            Ok(length) if !length.is_zero() => Ok(Self(length)),
            _ => Err(wrong()),
        }
    }
}

impl Length {
    /// That long from now, by this host's clock.
    pub(super) fn ends_at(self) -> crate::fleet::time::Timestamp {
        Clock::system().now().plus(self.0)
    }
}

impl Terms {
    /// As the API takes them.
    pub(super) fn asked(self) -> OnTerms {
        OnTerms {
            reason: self.reason,
            until: self.length.map(Length::ends_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_a_unit_and_is_not_nothing() {
        assert_eq!("90m".parse(), Ok(Length(Duration::from_mins(90))));
        assert_eq!("7d".parse(), Ok(Length(Duration::from_hours(168))));
        for wrong in ["7", "-1h", "0s", "0d", "", "d"] {
            assert!(wrong.parse::<Length>().is_err(), "{wrong}");
        }
    }
}
