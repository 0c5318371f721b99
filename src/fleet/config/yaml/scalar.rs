//! What an unquoted word means, as the collectors' parser reads it.

use super::Value;

/// The value of an unquoted word.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        b'0'..=b'9' | b'.' => (false, text),
        _ => return None,
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Float(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }));
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Value::Float(f64::NAN));
    }
    if unsigned.starts_with('_') {
        return None;
    }
    let digits: String = unsigned.chars().filter(|c| *c != '_').collect();
    if let Some(magnitude) = integer(&digits) {
        return Some(Value::Int(if negative { -magnitude } else { magnitude }));
    }
    // `012` is octal to some and decimal to others: text, as it was written.
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole && digits.starts_with('0') {
        return None;
    }
    let fits = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let float: f64 = (fits && begins).then(|| digits.parse().ok())??;
    Some(Value::Float(if negative { -float } else { float }))
}

/// A whole number of at most 64 bits.
fn integer(digits: &str) -> Option<i128> {
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
    let prefixed = prefixed
        .into_iter()
        .find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, radix)));
    let (digits, radix) = prefixed.unwrap_or((digits, 10));
    let leading_zero = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    if leading_zero || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(i128::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unquoted_word_is_what_collectors_take_it_for() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (word, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("true", Value::Bool(true)),
            ("yes", text("yes")),
            ("on", text("on")),
            ("0", Value::Int(0)),
            ("-7", Value::Int(-7)),
            ("+7", Value::Int(7)),
            ("1_000", Value::Int(1000)),
            ("0x1F", Value::Int(31)),
            ("0o14", Value::Int(12)),
            ("0b11", Value::Int(3)),
            ("012", text("012")),
            ("18446744073709551615", Value::Int(u64::MAX.into())),
            ("18446744073709551616", Value::Float(18_446_744_073_709_551_616.0)),
            ("1e3", Value::Float(1000.0)),
            ("0.5", Value::Float(0.5)),
            ("-.5", Value::Float(-0.5)),
            (".inf", Value::Float(f64::INFINITY)),
            ("-.Inf", Value::Float(f64::NEG_INFINITY)),
            ("10s", text("10s")),
            ("0.0.0.0:4317", text("0.0.0.0:4317")),
            ("1.2.3", text("1.2.3")),
            ("-", text("-")),
            (".", text(".")),
            ("+-1", text("+-1")),
            ("0x", text("0x")),
            ("0x-1", text("0x-1")),
            ("_1", text("_1")),
            ("-_1", text("-_1")),
            ("inf", text("inf")),
            ("nan", text("nan")),
            ("é", text("é")),
        ] {
            assert_eq!(plain(word), value, "{word:?}");
        }
        assert!(matches!(plain(".nan"), Value::Float(nan) if nan.is_nan()));
    }
}
