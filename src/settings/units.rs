//! Quantities as people write them: `1 MiB`, `30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A number of bytes. Written as `512 KiB`, `1 MiB`, `2 GB` or a bare number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Why a text is not a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// It doesn't begin with a whole number.
    #[error("a size begins with a whole number, as in \"1 MiB\"")]
    Number,
    /// The unit is not one of ours.
    #[error("the unit of a size is one of B, KiB, MiB, GiB, kB, MB, GB")]
    Unit,
    /// More than 2^64 bytes.
    #[error("the size is too large")]
    TooLarge,
}

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// So many KiB.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// So many MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes, for buffers and bodies in memory.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        if number.is_empty() {
            return Err(ByteSizeError::Number);
        }
        let number: u64 = number.parse().map_err(|_| ByteSizeError::TooLarge)?;
        let unit = match unit.trim_start() {
            "" => "B",
            unit => unit,
        };
        let (_, size) = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or(ByteSizeError::Unit)?;
        number.checked_mul(*size).map(Self).ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    /// With the largest binary unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS
            .iter()
            .take(3)
            .find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size));
        match binary {
            Some((unit, size)) => write!(f, "{} {unit}", self.0 / size),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Reads `30s`, `2m`, `1h 30m`; also `500ms` and words such as `2 minutes`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, jiff::Error> {
    Duration::try_from(text.trim().parse::<SignedDuration>()?)
}

/// Writes a duration so that [`parse_duration`] reads the same one.
pub(super) fn show_duration(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(
        |_| format!("{}s", duration.as_secs()),
        |duration| format!("{duration:#}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit_and_a_space() {
        for (text, bytes) in [
            ("1 MiB", 1 << 20),
            ("1MiB", 1 << 20),
            ("64 kib", 64 << 10),
            ("5 MB", 5_000_000),
            ("1024", 1024),
            (" 7 B ", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        assert_eq!("MiB".parse::<ByteSize>(), Err(ByteSizeError::Number));
        assert_eq!("-1".parse::<ByteSize>(), Err(ByteSizeError::Number));
        assert_eq!("1 mebi".parse::<ByteSize>(), Err(ByteSizeError::Unit));
        assert_eq!("1.5 MiB".parse::<ByteSize>(), Err(ByteSizeError::Unit));
        assert_eq!(
            "99999999999 GiB".parse::<ByteSize>(),
            Err(ByteSizeError::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn a_size_that_is_written_is_read_back(bytes: u64) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }

        #[test]
        fn a_duration_that_is_written_is_read_back(ms in 0_u64..1_000_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)).unwrap(), duration);
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(show_duration(Duration::from_mins(2)), "2m");
        assert_eq!(parse_duration("1h 30m").unwrap(), Duration::from_mins(90));
        assert!(parse_duration("30").is_err(), "a bare number has no unit");
        assert!(parse_duration("-30s").is_err());
    }
}
