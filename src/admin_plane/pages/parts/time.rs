//! Times as people say them, with the exact one behind.

use std::time::Duration;

use maud::{Markup, html};

use crate::fleet::time::Timestamp;

/// "4 min ago", with the absolute time in `title` and `datetime`. The page's script keeps it ticking.
///
/// An instant after `now` (a skewed clock) reads "in 4 min".
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let words = if at > now {
        format!("in {}", duration_words(at.since(now)))
    } else {
        match now.since(at) {
            elapsed if elapsed < Duration::from_secs(5) => "just now".to_owned(),
            elapsed => format!("{} ago", duration_words(elapsed)),
        }
    };
    html! { time datetime=(at) title=(absolute(at)) data-time="ago" { (words) } }
}

/// "for 4 min" without the "for": how long something has held, with the moment it began in `title`.
#[must_use]
pub fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) title=(absolute(at)) data-time="since" { (duration_words(now.since(at))) }
    }
}

/// "2026-11-22 10:04:09 UTC".
#[must_use]
pub fn absolute(at: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(at.0)) {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => at.to_string(),
    }
}

/// A length of time in the one or two units that matter: "40 s", "4 min", "3 h 20 min", "6 d", "14 months".
#[must_use]
pub fn duration_words(length: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = length.as_secs();
    let with_rest = |whole: u64, unit: &str, rest: u64, rest_unit: &str| {
        if rest == 0 {
            format!("{whole} {unit}")
        } else {
            format!("{whole} {unit} {rest} {rest_unit}")
        }
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..21_600 => with_rest(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        21_600..DAY => format!("{} h", seconds / HOUR),
        DAY..259_200 => with_rest(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        259_200..5_184_000 => format!("{} d", seconds / DAY),
        5_184_000..63_072_000 => format!("{} months", seconds / (30 * DAY)),
        _ => format!("{} years", seconds / (365 * DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_341_849);

    fn back(seconds: u64) -> String {
        ago(NOW.minus(Duration::from_secs(seconds)), NOW).into_string()
    }

    #[test]
    fn an_age_uses_the_units_that_matter() {
        let said = [
            59, 60, 3_599, 3_600, 5_400, 21_600, 90_000, 259_200, 5_184_000, 63_072_000,
        ];
        let said = said.map(|seconds| duration_words(Duration::from_secs(seconds)));
        assert_eq!(
            said,
            [
                "59 s",
                "1 min",
                "59 min",
                "1 h",
                "1 h 30 min",
                "6 h",
                "1 d 1 h",
                "3 d",
                "2 months",
                "2 years"
            ]
        );
    }

    #[test]
    fn the_absolute_time_stands_behind_the_relative_one() {
        assert_eq!(
            back(240),
            "<time datetime=\"2026-11-22T10:00:09Z\" title=\"2026-11-22 10:00:09 UTC\" data-time=\"ago\">\
             4 min ago</time>"
        );
        assert!(back(2).contains(">just now<"));
    }

    #[test]
    fn a_clock_that_runs_ahead_is_said_and_never_wraps() {
        let ahead = ago(NOW.plus(Duration::from_mins(2)), NOW).into_string();
        assert!(ahead.contains(">in 2 min<"), "{ahead}");
        assert!(
            since(NOW.plus(Duration::from_secs(9)), NOW)
                .into_string()
                .contains(">0 s<")
        );
    }
}
