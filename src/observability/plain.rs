//! Text of others, made safe to print on a line of a log or a terminal.

use std::fmt::{self, Write};

/// Writes what it is given with escapes for all characters that are not plain.
#[derive(Debug)]
pub struct Plain<'a, W>(pub &'a mut W);

impl<W: Write> Write for Plain<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if is_plain(c) {
                self.0.write_char(c)
            } else {
                write!(self.0, "{}", c.escape_default())
            }
        })
    }
}

/// `text` with escapes for all characters that are not plain.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing into a String cannot fail.
    let _ = Plain(&mut escaped).write_str(text);
    escaped
}

/// Whether a character stays on its line, moves nothing on a terminal, and neither reorders nor hides its neighbours.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_steers_is_escaped() {
        assert_eq!(plain("Zürich 日本 \"x\""), "Zürich 日本 \"x\"");
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
    }
}
