//! Whether two scalars mean the same to a collector, however they were written.

use crate::fleet::config::yaml::Value;

/// Whether two scalars mean the same: `1`, `1.0` and `"1"`; `60s` and `1m0s`; the words `none` and `None`.
pub(super) fn same(ours: &Value, theirs: &Value) -> bool {
    let (Some(a), Some(b)) = (text(ours), text(theirs)) else {
        return ours == theirs;
    };
    let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    a == b
        || (word(&a) && a.eq_ignore_ascii_case(&b))
        || length(&a).is_some_and(|length_of_a| length(&b) == Some(length_of_a))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// A length of time as collectors read and write it, such as `1m0.5s`, in nanoseconds. `None` when it is none.
fn length(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let end = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, more) = behind.split_at_checked(end)?;
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut part = 0;
        let mut weight = *nanos;
        for digit in fraction.chars() {
            weight /= 10;
            part += u64::from(digit.to_digit(10)?) * weight;
        }
        sum = sum.checked_add(whole.checked_mul(*nanos)?)?.checked_add(part)?;
        rest = more;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        for (a, b) in [
            (Value::Int(1), text("1")),
            (Value::Float(1.0), Value::Int(1)),
            (text("60s"), text("1m0s")),
            (text("1.5h"), text("1h30m0s")),
            (text("200ms"), text("0.2s")),
            (Value::Int(0), text("0s")),
            (text("none"), text("None")),
            (Value::Null, Value::Null),
        ] {
            assert!(same(&a, &b), "{a:?} {b:?}");
        }
        for (a, b) in [
            (text("60s"), text("61s")),
            (text("/A"), text("/a")),
            (text("1x"), text("1X")),
            (text("a"), Value::Null),
            (text("1"), Value::Bool(true)),
            (text(""), text("0")),
        ] {
            assert!(!same(&a, &b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_a_length_or_none() {
        for odd in [
            "",
            ".",
            "s",
            "1",
            "1.s",
            "1..5s",
            "9999999999999h",
            "1m s",
            "é",
            "1µs2",
        ] {
            let _ = length(odd);
        }
        assert_eq!(length("1µs"), Some(1_000));
        assert_eq!(length("99999999999999h"), None);
    }
}
